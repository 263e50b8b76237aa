//! YAML as a stream of JSON text in which every value keeps its line.

use std::io::{self, Read};

use granit_parser::{Event, FallibleBufferedInput, Parser, ScalarStyle, ScanError, Span, Tag, options};

use super::SyntaxError;
use super::anchors::Anchors;
use super::utf8::Utf8Chars;

/// How much JSON is made ahead.
const CHUNK: usize = 64 * 1024;

/// Reads YAML documents; what comes out are JSON documents.
pub(super) struct YamlJson<R: Read> {
    parser: Parser<'static, FallibleBufferedInput<Utf8Chars<R>>>,
    /// JSON that nobody has read yet, from `at`.
    out: Vec<u8>,
    at: usize,
    /// The line that the end of `out` is on.
    line: usize,
    open: Vec<Container>,
    anchors: Anchors,
    ended: bool,
}

/// A container that is open, and what comes next in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Container {
    List { first: bool },
    Key { first: bool },
    Value,
}

// === impl YamlJson ===

impl<R: Read> YamlJson<R> {
    pub(super) fn new(source: R) -> Self {
        let options = options! { emit_comments: false, flow_nesting_limit: 100, block_nesting_limit: 100 };
        Self {
            parser: Parser::new_from_fallible_iter_with_options(Utf8Chars::new(source), options),
            out: Vec::new(),
            at: 0,
            line: 1,
            open: Vec::new(),
            anchors: Anchors::default(),
            ended: false,
        }
    }

    fn step(&mut self) -> io::Result<()> {
        let (event, span) = match self.parser.next_event() {
            None => {
                self.ended = true;
                return Ok(());
            }
            Some(Ok(next)) => next,
            Some(Err(error)) => return Err(scan_error(error)),
        };
        let refuse = |problem: &'static str| syntax(span.start.line(), span.start.col(), problem);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                self.before(&span, matches!(style, ScalarStyle::Plain) && text == "<<").map_err(refuse)?;
                self.anchors.start(anchor);
                let key = matches!(self.open.last(), Some(Container::Key { .. }));
                let json = scalar(&text, style, tag.as_deref(), key)?;
                self.write(&json).map_err(refuse)?;
                self.anchors.close();
                self.after();
            }
            Event::Alias(anchor) => {
                self.before(&span, false).map_err(refuse)?;
                if matches!(self.open.last(), Some(Container::Key { .. })) {
                    return Err(refuse("an alias cannot name a field; write the name out"));
                }
                let json = self.anchors.resolve(anchor).map_err(refuse)?;
                self.write(&json).map_err(refuse)?;
                self.after();
            }
            Event::SequenceStart(_, anchor, _) => {
                self.enter(&span, anchor, b"[", Container::List { first: true }).map_err(refuse)?;
            }
            Event::MappingStart(_, anchor, _) => {
                self.enter(&span, anchor, b"{", Container::Key { first: true }).map_err(refuse)?;
            }
            Event::SequenceEnd => self.leave(b"]").map_err(refuse)?,
            Event::MappingEnd => self.leave(b"}").map_err(refuse)?,
            Event::DocumentEnd => {
                self.anchors.clear();
                self.out.push(b' ');
            }
            _ => {}
        }
        Ok(())
    }

    fn enter(&mut self, span: &Span, anchor: usize, bracket: &[u8], container: Container) -> Result<(), &'static str> {
        self.before(span, false)?;
        if matches!(self.open.last(), Some(Container::Key { .. })) {
            return Err("a field name must be text, not a list or a map");
        }
        self.anchors.start(anchor);
        self.write(bracket)?;
        self.anchors.enter();
        self.open.push(container);
        Ok(())
    }

    fn leave(&mut self, bracket: &[u8]) -> Result<(), &'static str> {
        self.open.pop();
        self.write(bracket)?;
        self.anchors.leave();
        self.after();
        Ok(())
    }

    /// What stands between the last value and the next.
    fn before(&mut self, span: &Span, merge: bool) -> Result<(), &'static str> {
        let separator: &[u8] = match self.open.last() {
            Some(Container::Key { .. }) if merge => return Err("merge keys (<<) are not read; write the fields out"),
            Some(Container::List { first: false } | Container::Key { first: false }) => b",",
            Some(Container::Value) => b":",
            _ => b"",
        };
        self.write(separator)?;
        while self.line < span.start.line() {
            self.out.push(b'\n');
            self.line += 1;
        }
        Ok(())
    }

    /// A value, or a name, is complete.
    fn after(&mut self) {
        if let Some(container) = self.open.last_mut() {
            *container = match container {
                Container::List { .. } => Container::List { first: false },
                Container::Key { .. } => Container::Value,
                Container::Value => Container::Key { first: false },
            };
        }
    }

    fn write(&mut self, json: &[u8]) -> Result<(), &'static str> {
        self.out.extend_from_slice(json);
        self.anchors.record(json)
    }
}

impl<R: Read> Read for YamlJson<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.out.len() {
            self.out.clear();
            self.at = 0;
            while self.out.len() < CHUNK && !self.ended {
                self.step()?;
            }
        }
        let length = into.len().min(self.out.len() - self.at);
        into[..length].copy_from_slice(&self.out[self.at..self.at + length]);
        self.at += length;
        Ok(length)
    }
}

/// A scalar by YAML's core schema. Numbers that JSON cannot write as they stand, like 0x1F, stay text.
fn scalar(text: &str, style: ScalarStyle, tag: Option<&Tag>, key: bool) -> io::Result<Vec<u8>> {
    let is_text =
        key || !matches!(style, ScalarStyle::Plain) || tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str"));
    let json = match text {
        _ if is_text => None,
        "" | "~" | "null" | "Null" | "NULL" => Some("null"),
        "true" | "True" | "TRUE" => Some("true"),
        "false" | "False" | "FALSE" => Some("false"),
        number if is_json_number(number) => Some(number),
        _ => None,
    };
    match json {
        Some(json) => Ok(json.as_bytes().to_vec()),
        None => serde_json::to_vec(text).map_err(io::Error::other),
    }
}

fn is_json_number(text: &str) -> bool {
    let starts_right = match text.strip_prefix('-').unwrap_or(text).as_bytes() {
        [b'0'] | [b'0', b'.' | b'e' | b'E', ..] => true,
        [first, ..] => matches!(first, b'1'..=b'9'),
        [] => false,
    };
    starts_right && serde_json::from_str::<serde_json::Number>(text).is_ok()
}

fn scan_error(error: ScanError) -> io::Error {
    let (line, column) = (error.marker().line(), error.marker().col());
    let info = error.info();
    match error.try_into_input_io_error() {
        Ok(problem) => {
            let text = problem.to_string();
            problem.try_into_io_error().unwrap_or_else(|_| io::Error::other(text))
        }
        Err(_) if info.contains("this is no ") => syntax(line, column, info),
        Err(_) => syntax(line, column, format!("{info}; is this YAML cut off or edited?")),
    }
}

fn syntax(line: usize, column: usize, problem: impl Into<String>) -> io::Error {
    let count = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    io::Error::other(SyntaxError {
        line: count(line),
        column: count(column).saturating_add(1),
        problem: problem.into(),
    })
}
