//! The first bytes of a stream: is it text, and which form?

use std::io::{Cursor, Read};

use super::StreamError;

/// Enough for a byte order mark and any honest run of blanks and comments.
const LENGTH: u64 = 4096;

/// The first bytes of a stream.
pub(super) struct Opening {
    bytes: Vec<u8>,
}

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    Yaml,
}

impl Opening {
    pub(super) fn read(reader: &mut impl Read) -> Result<Self, StreamError> {
        let mut bytes = Vec::new();
        reader.take(LENGTH).read_to_end(&mut bytes).map_err(|problem| StreamError::Broke { line: 0, problem })?;
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        Ok(Self { bytes })
    }

    /// JSON if it opens with a bracket: YAML would accept that too, but reads it more slowly.
    pub(super) fn form(&self) -> Result<Form, StreamError> {
        let refuse = |problem: &str| Err(StreamError::syntax(1, 1, problem));
        match self.bytes.as_slice() {
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => {
                return refuse("this is UTF-16 text; save it as UTF-8 (in PowerShell: `| Out-File -Encoding utf8`)");
            }
            [0x1f, 0x8b, ..] => return refuse("this is a gzip file; unpack it first"),
            bytes if bytes.contains(&0) => {
                return refuse("this is no text (it holds NUL bytes); name a dump in JSON or YAML");
            }
            _ => {}
        }
        match self.bytes.iter().find(|byte| !byte.is_ascii_whitespace()) {
            Some(b'{' | b'[') => Ok(Form::Json),
            _ => Ok(Form::Yaml),
        }
    }

    /// The whole stream again.
    pub(super) fn into_reader(self, rest: impl Read) -> impl Read {
        Cursor::new(self.bytes).chain(rest)
    }
}
