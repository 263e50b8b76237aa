//! What a policy said during one call, within bounds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use plimsoll_planner::{LogLevel, LogLine};

use crate::Limits;

/// Lines of one call. Shared, because output streams of WASI outlive any borrow of the store.
#[derive(Clone, Debug)]
pub struct Journal(Arc<Mutex<Pages>>);

#[derive(Debug)]
struct Pages {
    lines: Vec<LogLine>,
    dropped: u64,
    lines_left: u32,
    bytes_left: usize,
    /// What came on an output stream after its last line break.
    rest: [Vec<u8>; 2],
}

/// An output stream of WASI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Out,
    /// Standard error.
    Err,
}

// === impl Journal ===

impl Journal {
    /// An empty journal.
    pub fn new(limits: &Limits) -> Self {
        Self(Arc::new(Mutex::new(Pages {
            lines: Vec::new(),
            dropped: 0,
            lines_left: limits.log_lines,
            bytes_left: usize::try_from(limits.log_bytes.0).unwrap_or(usize::MAX),
            rest: [Vec::new(), Vec::new()],
        })))
    }

    /// Adds a line. One that is too long is cut; one that finds no room is counted.
    pub fn add(&self, level: LogLevel, message: &str) {
        self.pages().add(level, message);
    }

    /// Adds what was written to an output stream, line by line.
    pub fn write(&self, stream: Stream, bytes: &[u8]) {
        self.pages().write(stream, bytes);
    }

    /// What a panic left behind, or else the last line of level `error`.
    pub fn last_words(&self) -> Option<String> {
        let mut pages = self.pages();
        pages.finish();
        let lines = &pages.lines;
        if let Some(at) = lines.iter().rposition(|line| line.message.contains("panicked at")) {
            // The message itself is on the next line.
            let words: Vec<&str> = lines[at..].iter().take(2).map(|line| line.message.trim()).collect();
            return Some(words.join(" "));
        }
        lines.iter().rfind(|line| line.level == LogLevel::Error).map(|line| line.message.clone())
    }

    /// All lines, and how many found no room.
    pub fn take(&self) -> (Vec<LogLine>, u64) {
        let mut pages = self.pages();
        pages.finish();
        (std::mem::take(&mut pages.lines), pages.dropped)
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Pages ===

impl Pages {
    fn add(&mut self, level: LogLevel, message: &str) {
        if self.lines_left == 0 || self.bytes_left == 0 {
            self.dropped += 1;
            return;
        }
        let kept = &message[..message.floor_char_boundary(self.bytes_left)];
        // A line that does not fit is the last one.
        self.bytes_left = if kept.len() < message.len() { 0 } else { self.bytes_left - kept.len() };
        self.lines_left -= 1;
        let cut = if kept.len() < message.len() { " [cut]" } else { "" };
        self.lines.push(LogLine { level, message: format!("{kept}{cut}") });
    }

    fn write(&mut self, stream: Stream, bytes: &[u8]) {
        let mut lines = bytes.split(|byte| *byte == b'\n');
        // `split` gives at least one piece: what follows the last line break.
        let rest = lines.next_back().unwrap_or_default();
        for line in lines {
            self.append(stream, line);
            self.end_line(stream);
        }
        self.append(stream, rest);
    }

    fn append(&mut self, stream: Stream, bytes: &[u8]) {
        let room = self.bytes_left + 1;
        let rest = &mut self.rest[stream as usize];
        // One byte more than there is room for shows that the line was cut.
        rest.extend_from_slice(&bytes[..bytes.len().min(room.saturating_sub(rest.len()))]);
    }

    fn end_line(&mut self, stream: Stream) {
        let line = std::mem::take(&mut self.rest[stream as usize]);
        let level = match stream {
            Stream::Out => LogLevel::Info,
            Stream::Err => LogLevel::Warn,
        };
        self.add(level, &String::from_utf8_lossy(&line));
    }

    fn finish(&mut self) {
        for stream in [Stream::Out, Stream::Err] {
            if !self.rest[stream as usize].is_empty() {
                self.end_line(stream);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::Bytes;

    use super::*;

    fn journal(lines: u32, bytes: u64) -> Journal {
        Journal::new(&Limits { log_lines: lines, log_bytes: Bytes(bytes), ..Limits::default() })
    }

    fn messages(journal: &Journal) -> (Vec<String>, u64) {
        let (lines, dropped) = journal.take();
        (lines.into_iter().map(|line| line.message).collect(), dropped)
    }

    #[test]
    fn lines_and_bytes_are_bounded() {
        let few = journal(2, 100);
        (0..5).for_each(|at| few.add(LogLevel::Info, &at.to_string()));
        assert_eq!(messages(&few), (vec!["0".into(), "1".into()], 3));
        let short = journal(10, 5);
        ["abc", "dëf", "ghi"].iter().for_each(|line| short.add(LogLevel::Info, line));
        assert_eq!(messages(&short), (vec!["abc".into(), "d [cut]".into()], 1));
    }

    #[test]
    fn streams_become_lines() {
        let journal = journal(10, 100);
        journal.write(Stream::Out, b"one\ntw");
        journal.write(Stream::Err, b"oh\xff");
        journal.write(Stream::Out, b"o\nthree");
        assert_eq!(messages(&journal), (vec!["one".into(), "two".into(), "three".into(), "oh\u{fffd}".into()], 0));
    }

    #[test]
    fn last_words_are_the_panic() {
        let journal = journal(10, 1000);
        assert_eq!(journal.last_words(), None);
        journal.add(LogLevel::Error, "no such zone");
        assert_eq!(journal.last_words().as_deref(), Some("no such zone"));
        journal.write(Stream::Err, b"\nthread 'main' panicked at src/lib.rs:5:3:\nno options\nnote: run with");
        let words = "thread 'main' panicked at src/lib.rs:5:3: no options";
        assert_eq!(journal.last_words().as_deref(), Some(words));
    }

    #[test]
    fn a_stream_without_line_breaks_is_bounded_too() {
        let journal = journal(10, 8);
        (0..1000).for_each(|_| journal.write(Stream::Out, &[b'x'; 4096]));
        assert!(journal.pages().rest[0].len() <= 9);
        assert_eq!(messages(&journal), (vec!["xxxxxxxx [cut]".into()], 0));
    }
}
