//! Characters of a stream of bytes.

use std::io::Read;

use granit_parser::{ErrorKind, InputIoError};

const CHUNK: usize = 64 * 1024;

/// The characters of a UTF-8 stream, or why there are no more.
pub(super) struct Utf8Chars<R> {
    source: R,
    buffer: Vec<u8>,
    at: usize,
    ended: bool,
}

impl<R: Read> Utf8Chars<R> {
    pub(super) fn new(source: R) -> Self {
        Self { source, buffer: Vec::new(), at: 0, ended: false }
    }

    fn fill(&mut self) -> Result<(), ErrorKind> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let wanted = u64::try_from(CHUNK).unwrap_or(u64::MAX);
        let read = self
            .source
            .by_ref()
            .take(wanted)
            .read_to_end(&mut self.buffer)
            .map_err(|error| ErrorKind::InputIo { error: InputIoError::from_io(error) })?;
        self.ended = read < CHUNK;
        Ok(())
    }

    fn refuse(&mut self, message: &str) -> Option<Result<char, ErrorKind>> {
        self.ended = true;
        self.at = self.buffer.len();
        Some(Err(ErrorKind::InputDecoding { message: message.to_owned() }))
    }

    /// A character beyond ASCII: up to four bytes.
    fn long_char(&mut self) -> Option<Result<char, ErrorKind>> {
        let rest = &self.buffer[self.at..];
        let start = &rest[..rest.len().min(4)];
        let valid = match std::str::from_utf8(start) {
            Ok(text) => Some(text),
            Err(error) => std::str::from_utf8(&start[..error.valid_up_to()]).ok(),
        };
        match valid.and_then(|text| text.chars().next()) {
            Some(char) => {
                self.at += char.len_utf8();
                Some(Ok(char))
            }
            None => self.refuse("this is no UTF-8 text; name a dump in JSON or YAML"),
        }
    }
}

impl<R: Read> Iterator for Utf8Chars<R> {
    type Item = Result<char, ErrorKind>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.buffer.len() - self.at < 4
            && !self.ended
            && let Err(kind) = self.fill()
        {
            self.ended = true;
            self.at = self.buffer.len();
            return Some(Err(kind));
        }
        match *self.buffer.get(self.at)? {
            // The parser would take it for the end of the text and drop the rest.
            0 => self.refuse("this is no text (it holds NUL bytes); name a dump in JSON or YAML"),
            ascii @ 1..0x80 => {
                self.at += 1;
                Some(Ok(char::from(ascii)))
            }
            _ => self.long_char(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            into[0] = *first;
            self.0 = rest;
            Ok(1)
        }
    }

    #[test]
    fn characters_survive_any_split() {
        let text = "a é € 😀 z".repeat(9000);
        let read: Result<String, _> = Utf8Chars::new(Trickle(text.as_bytes())).collect();
        assert_eq!(read.unwrap(), text);
        let read: Result<String, _> = Utf8Chars::new(text.as_bytes()).collect();
        assert_eq!(read.unwrap(), text);
    }

    #[test]
    fn what_is_no_text_is_refused_once() {
        for bytes in [&b"ab\0c"[..], b"ab\xffc", b"ab\xe2\x82", b"ab\xc0\x80"] {
            let mut chars = Utf8Chars::new(bytes);
            assert!(matches!(chars.by_ref().nth(2), Some(Err(ErrorKind::InputDecoding { .. }))), "{bytes:?}");
            assert_eq!(chars.next(), None);
        }
    }
}
