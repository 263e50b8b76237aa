//! Splits a stream of text into objects, one at a time.
//!
//! ```text
//!   bytes ─> Text (BOM, "is this text at all?") ─┬─ JSON ────────────> Window ─> Document ─> Sink
//!                                                └─ YAML ─> YamlJson ─^
//! ```
//!
//! YAML is turned into JSON line by line, so that one reader finds the objects and every line number holds.

mod anchors;
mod document;
mod head;
mod opening;
mod utf8;
mod window;
mod yaml;

pub(crate) use document::{RawObject, Sink};
pub(crate) use window::message;

use std::io::{self, Read};

use opening::{Form, Opening};
use window::Window;
use yaml::YamlJson;

/// Why a stream could not be split.
#[derive(Debug)]
pub(crate) enum StreamError {
    /// The reader failed after this line.
    Broke { line: u64, problem: io::Error },
    /// The text is not what it should be.
    Syntax(SyntaxError),
}

/// A place in a text and what is wrong there. Lines and columns count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {problem}")]
pub(crate) struct SyntaxError {
    pub line: u64,
    pub column: u64,
    pub problem: String,
}

/// Gives every object of a stream to `sink`.
pub(crate) fn read_objects(mut reader: impl Read, sink: &mut dyn Sink) -> Result<(), StreamError> {
    let opening = Opening::read(&mut reader)?;
    let form = opening.form()?;
    let reader = opening.into_reader(reader);
    match form {
        Form::Json => document::read(&mut Window::new(reader), sink),
        Form::Yaml => document::read(&mut Window::without_columns(YamlJson::new(reader)), sink),
    }
}

impl StreamError {
    fn syntax(line: u64, column: u64, problem: impl Into<String>) -> Self {
        Self::Syntax(SyntaxError { line, column, problem: problem.into() })
    }

    /// A reader's error; those of the YAML side carry their own place.
    fn reading(line: u64, problem: io::Error) -> Self {
        match problem.downcast::<SyntaxError>() {
            Ok(syntax) => Self::Syntax(syntax),
            Err(problem) => Self::Broke { line, problem },
        }
    }
}

#[cfg(test)]
mod tests;
