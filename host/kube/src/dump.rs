//! Reads dumps.

use std::cell::Cell;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use plimsoll_model::Snapshot;

use crate::account::Account;
use crate::collector::Collector;
use crate::source::Input;
use crate::stream::{self, RawObject, Sink, StreamError};
use crate::{DumpError, Source};

/// What standard input is called in messages.
const STDIN: &str = "standard input";
/// Progress is told after this many objects.
const PROGRESS_STEP: u64 = 500;

/// A cluster as it was when somebody wrote it down.
#[derive(Debug)]
pub struct Dump {
    /// The cluster.
    pub snapshot: Snapshot,
    /// What was read, what was not, and what was wrong.
    pub account: Account,
}

/// How far reading has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file that is being read, or `standard input`.
    pub file: &'a str,
    /// Bytes read of it so far.
    pub bytes: u64,
    /// How many it has, if that is known.
    pub total: Option<u64>,
    /// Objects found so far, in all files.
    pub objects: u64,
}

/// Reads one cluster from all of these sources together.
///
/// An error means that nothing can be said about the cluster. Objects that are wrong by themselves are no error:
/// they are in [`Account::broken`].
pub fn read_dump(sources: &[Source], progress: &dyn Fn(Progress<'_>)) -> Result<Dump, DumpError> {
    if sources.is_empty() {
        return Err(DumpError::NoSource);
    }
    let mut reading = Reading::default();
    for source in sources {
        for input in source.inputs()? {
            match input {
                Input::File(path) => reading.file(&path, progress)?,
                Input::Stdin => reading.stream(STDIN, io::stdin().lock(), None, progress)?,
            }
        }
    }
    reading.finish()
}

/// Reads one cluster from one stream, which is called `name` in messages.
pub fn read_stream(name: &str, reader: impl Read) -> Result<Dump, DumpError> {
    let mut reading = Reading::default();
    reading.stream(name, reader, None, &|_| {})?;
    reading.finish()
}

/// Everything read so far.
#[derive(Default)]
struct Reading {
    collector: Collector,
    objects: u64,
    files: Vec<String>,
}

impl Reading {
    fn file(&mut self, path: &Path, progress: &dyn Fn(Progress<'_>)) -> Result<(), DumpError> {
        let unreadable = |problem| DumpError::Unreadable { path: path.to_owned(), problem };
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        // A pipe has no length.
        let total = about.is_file().then_some(about.len());
        self.stream(&path.display().to_string(), file, total, progress)
    }

    fn stream(
        &mut self,
        name: &str,
        reader: impl Read,
        total: Option<u64>,
        progress: &dyn Fn(Progress<'_>),
    ) -> Result<(), DumpError> {
        self.files.push(name.to_owned());
        let bytes = Cell::new(0);
        let mut sink = FileSink { reading: self, file: name, bytes: &bytes, total, progress };
        let outcome = stream::read_objects(Counted { reader, bytes: &bytes }, &mut sink);
        sink.tell();
        outcome.map_err(|error| located(name, error))
    }

    fn finish(self) -> Result<Dump, DumpError> {
        let Collector { cluster, account } = self.collector;
        if account.objects() == 0 {
            return Err(DumpError::NoObjects { files: self.files.join(", ") });
        }
        Ok(Dump { snapshot: cluster.build(), account })
    }
}

fn located(file: &str, error: StreamError) -> DumpError {
    let file = file.to_owned();
    match error {
        StreamError::Broke { line, problem } => DumpError::Broke { file, line, problem },
        StreamError::Syntax(error) => {
            DumpError::Syntax { file, line: error.line, column: error.column, problem: error.problem }
        }
    }
}

/// Takes the objects of one file.
struct FileSink<'a> {
    reading: &'a mut Reading,
    file: &'a str,
    bytes: &'a Cell<u64>,
    total: Option<u64>,
    progress: &'a dyn Fn(Progress<'_>),
}

impl FileSink<'_> {
    fn tell(&self) {
        let Self { file, total, .. } = *self;
        (self.progress)(Progress { file, bytes: self.bytes.get(), total, objects: self.reading.objects });
    }
}

impl Sink for FileSink<'_> {
    fn object(&mut self, object: RawObject<'_>) {
        self.reading.objects += 1;
        self.reading.collector.take(self.file, object);
        if self.reading.objects.is_multiple_of(PROGRESS_STEP) {
            self.tell();
        }
    }
}

/// Counts what passes.
struct Counted<'a, R> {
    reader: R,
    bytes: &'a Cell<u64>,
}

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.bytes.set(self.bytes.get().saturating_add(u64::try_from(read).unwrap_or(u64::MAX)));
        Ok(read)
    }
}
