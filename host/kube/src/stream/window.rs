//! A window that moves over a stream of JSON text.

use std::io::{self, Read};

use serde::de::{Deserialize, IgnoredAny};

use super::StreamError;

/// How much is asked for at least when more is needed.
const CHUNK: usize = 256 * 1024;
/// The API server refuses objects far smaller than this.
const LARGEST_VALUE: usize = 512 * 1024 * 1024;

/// The part of the stream that is in memory, with the place where reading stands.
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    /// First byte of `buffer` that is not consumed.
    at: usize,
    /// Line of `at`, from 1.
    line: u64,
    /// Bytes of that line before `at`.
    column: u64,
    ended: bool,
    /// Columns are those of the file. Of YAML only the lines are.
    columns: bool,
    /// What is consumed is repeated here, if somebody asked for it.
    tape: Option<Vec<u8>>,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self::starting_at(source, 1)
    }

    /// A window over text that was made from other text of the same lines.
    pub(super) fn without_columns(source: R) -> Self {
        Self { columns: false, ..Self::starting_at(source, 1) }
    }

    /// A window over text whose first line has this number.
    pub(super) fn starting_at(source: R, line: u64) -> Self {
        Self { source, buffer: Vec::new(), at: 0, line, column: 0, ended: false, columns: true, tape: None }
    }

    pub(super) fn line(&self) -> u64 {
        self.line
    }

    pub(super) fn error(&self, problem: impl Into<String>) -> StreamError {
        self.error_at(self.line, self.column + 1, problem)
    }

    fn error_at(&self, line: u64, column: u64, problem: impl Into<String>) -> StreamError {
        StreamError::syntax(line, if self.columns { column } else { 1 }, problem)
    }

    /// The next byte that is no white space, not consumed; `None` at the end.
    pub(super) fn peek(&mut self) -> Result<Option<u8>, StreamError> {
        loop {
            let rest = &self.buffer[self.at..];
            match rest.iter().position(|byte| !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
                Some(blanks) => {
                    self.consume(blanks);
                    return Ok(self.buffer.get(self.at).copied());
                }
                None => {
                    self.consume(self.buffer.len() - self.at);
                    if !self.fill()? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// The next byte that is no white space; the end is an error.
    pub(super) fn peek_inside(&mut self) -> Result<u8, StreamError> {
        self.peek()?.ok_or_else(|| self.cut_off())
    }

    /// Consumes the byte that `peek` showed.
    pub(super) fn skip_byte(&mut self) {
        self.consume(1);
    }

    /// Reads one value that starts here, without consuming it: the value and its length.
    pub(super) fn value<T: for<'a> Deserialize<'a>>(&mut self) -> Result<(T, usize), StreamError> {
        loop {
            let rest = &self.buffer[self.at..];
            let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<T>();
            let outcome = values.next();
            let length = values.byte_offset();
            match outcome {
                // A number at the end of what is in memory may go on.
                Some(Ok(value)) if length < rest.len() || self.ended => return Ok((value, length)),
                Some(Err(error)) if !error.is_eof() => return Err(self.locate(&error)),
                _ if rest.len() > LARGEST_VALUE => {
                    return Err(self.error("one value of more than 512 MiB; no cluster writes such objects"));
                }
                _ => {}
            }
            if !self.fill()? {
                return Err(self.cut_off());
            }
        }
    }

    /// The length of the value that starts here.
    pub(super) fn value_length(&mut self) -> Result<usize, StreamError> {
        self.value::<IgnoredAny>().map(|(_, length)| length)
    }

    /// The next bytes, which are in memory after `value`.
    pub(super) fn next_bytes(&self, length: usize) -> &[u8] {
        &self.buffer[self.at..self.at + length]
    }

    pub(super) fn consume(&mut self, length: usize) {
        let gone = &self.buffer[self.at..self.at + length];
        if let Some(tape) = &mut self.tape {
            tape.extend_from_slice(gone);
        }
        match memchr::memrchr(b'\n', gone) {
            Some(last) => {
                self.line += count(memchr::memchr_iter(b'\n', gone).count());
                self.column = count(gone.len() - last - 1);
            }
            None => self.column += count(gone.len()),
        }
        self.at += length;
    }

    /// From here on, what is consumed is kept.
    pub(super) fn start_tape(&mut self) {
        self.tape = Some(Vec::new());
    }

    /// What was consumed since, and no more of it is kept.
    pub(super) fn take_tape(&mut self) -> Option<Vec<u8>> {
        self.tape.take()
    }

    /// Goes on with a tape.
    pub(super) fn resume_tape(&mut self, tape: Option<Vec<u8>>) {
        self.tape = tape;
    }

    /// Reads on; false at the end.
    fn fill(&mut self) -> Result<bool, StreamError> {
        if self.ended {
            return Ok(false);
        }
        self.buffer.drain(..self.at);
        self.at = 0;
        let filled = self.buffer.len();
        // A large value is tried again after each step, so steps grow with it.
        let wanted = CHUNK.max(filled);
        self.buffer.resize(filled + wanted, 0);
        let outcome = read_full(&mut self.source, &mut self.buffer[filled..]);
        let read = match &outcome {
            Ok(read) => *read,
            Err(_) => 0,
        };
        self.buffer.truncate(filled + read);
        self.ended = read < wanted;
        outcome.map_err(|problem| StreamError::reading(self.line, problem))?;
        Ok(read > 0)
    }

    fn locate(&self, error: &serde_json::Error) -> StreamError {
        let line = self.line + count(error.line()).saturating_sub(1);
        let column = if error.line() <= 1 { self.column + count(error.column()) } else { count(error.column()) };
        self.error_at(line, column.max(1), format!("{}; is this JSON cut off or edited?", message(error)))
    }

    pub(super) fn cut_off(&self) -> StreamError {
        let rest = &self.buffer[self.at..];
        let line = self.line + count(memchr::memchr_iter(b'\n', rest).count());
        let column = match memchr::memrchr(b'\n', rest) {
            Some(last) => count(rest.len() - last),
            None => self.column + count(rest.len()) + 1,
        };
        self.error_at(line, column, "the text ends in the middle of an object; write the dump again")
    }
}

/// A serde_json error without the place, which is relative to the value.
pub(crate) fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    text.strip_suffix(&place).unwrap_or(&text).to_owned()
}

/// Reads until `into` is full or the stream ends.
fn read_full(source: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match source.read(&mut into[filled..]) {
            Ok(0) => break,
            Ok(more) => filled += more,
            Err(problem) if problem.kind() == io::ErrorKind::Interrupted => {}
            Err(problem) => return Err(problem),
        }
    }
    Ok(filled)
}

fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
