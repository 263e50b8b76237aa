//! What arrived at a real cluster: traces of machines and pods, read from files.
//!
//! The format is told by the header, and that a file is compressed by its first bytes.

mod azure;
mod openb;
mod replay;

pub use replay::{groups_for, no_limits, replay};

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use plimsoll_model::{Millis, Timestamp};

use crate::queue::later;
use crate::run::Life;
use crate::world::{PodSpec, START};

/// A trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Which format it is in.
    pub format: Format,
    /// What arrived, in the order of time; the first arrives at 0.
    pub arrivals: Vec<Arrival>,
}

/// Formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Azure Public Dataset V1, as requests: `arrival_s,batch,vcpu,mem_gib,duration_bin,censored`.
    AzureV1,
    /// The pod lists of Alibaba's openb: `name,cpu_milli,memory_mib,num_gpu,gpu_milli,…,creation_time,deletion_time,…`.
    OpenB,
}

/// Something that arrived and stayed for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// After the first one.
    pub at: Millis,
    /// How long it stayed; `None`: to the end.
    pub span: Option<Millis>,
    /// CPU in thousandths of a core.
    pub cpu: u64,
    /// Memory in MiB.
    pub memory: u64,
    /// Whole GPUs.
    pub gpus: u64,
}

/// Why a trace cannot be used. The text says where and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its header is none that is known.
    #[error(
        "{}:1: this header is of no known trace: {header:?}; known are azure-v1 (arrival_s,batch,vcpu,mem_gib,duration_bin,censored) \
         and openb (name,cpu_milli,memory_mib,num_gpu,…,creation_time,deletion_time)",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// Its first line.
        header: String,
    },
    /// A line makes no sense.
    #[error("{}:{line}: {problem}", path.display())]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: u64,
        /// What is wrong.
        problem: String,
    },
    /// There is nothing in it.
    #[error("{}: nothing arrives in this trace", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Lines after which `progress` is told.
const STEP: u64 = 10_000;

/// Reads a trace; `progress` is told how many lines have been read.
pub fn read(path: &Path, progress: &mut dyn FnMut(u64)) -> Result<Trace, TraceError> {
    let unreadable = |source| TraceError::Unreadable { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(unreadable)?;
    let mut magic = [0; 2];
    let mut count = 0;
    while count < magic.len() {
        match file.read(magic.get_mut(count..).unwrap_or_default()).map_err(unreadable)? {
            0 => break,
            more => count += more,
        }
    }
    let start = std::io::Cursor::new(magic.get(..count).unwrap_or_default().to_vec());
    let whole = BufReader::new(start.chain(file));
    if magic == [0x1f, 0x8b] {
        from_reader(path, MultiGzDecoder::new(whole), progress)
    } else {
        from_reader(path, whole, progress)
    }
}

fn from_reader(path: &Path, reader: impl Read, progress: &mut dyn FnMut(u64)) -> Result<Trace, TraceError> {
    let mut csv = csv::ReaderBuilder::new().flexible(true).trim(csv::Trim::All).from_reader(reader);
    let broken = |error: &csv::Error| {
        let line = error.position().map_or(1, csv::Position::line);
        TraceError::Line { path: path.to_owned(), line, problem: error.to_string() }
    };
    let header = csv.headers().map_err(|error| broken(&error))?.clone();
    let rows: Rows = if let Some(rows) = azure::rows(&header, path) {
        rows
    } else if let Some(rows) = openb::rows(&header) {
        rows
    } else {
        let header = header.iter().collect::<Vec<_>>().join(",");
        let header = header.chars().take(200).collect();
        return Err(TraceError::UnknownFormat { path: path.to_owned(), header });
    };
    let mut arrivals: Vec<(u64, Arrival)> = Vec::new();
    let mut record = csv::StringRecord::new();
    let mut lines = 0;
    while csv.read_record(&mut record).map_err(|error| broken(&error))? {
        lines += 1;
        if lines % STEP == 0 {
            progress(lines);
        }
        let line = record.position().map_or(0, csv::Position::line);
        let read = (rows.read)(&record).map_err(|problem| TraceError::Line { path: path.to_owned(), line, problem })?;
        arrivals.push(read);
    }
    progress(lines);
    arrivals.sort_by_key(|(at, _)| *at);
    let first = arrivals.first().ok_or_else(|| TraceError::Empty { path: path.to_owned() })?.0;
    let arrivals =
        arrivals.into_iter().map(|(at, arrival)| Arrival { at: Millis((at - first).saturating_mul(1000)), ..arrival });
    Ok(Trace { format: rows.format, arrivals: arrivals.collect() })
}

/// How the lines of a format are read: when something arrives, in seconds of the trace, and what.
struct Rows {
    format: Format,
    read: Box<ReadRow>,
}

type ReadRow = dyn Fn(&csv::StringRecord) -> Result<(u64, Arrival), String>;

/// The columns of a header by name, if it has them all.
fn columns<const N: usize>(header: &csv::StringRecord, names: [&str; N]) -> Option<[usize; N]> {
    let found: Option<Vec<usize>> = names.iter().map(|name| header.iter().position(|column| column == *name)).collect();
    found?.try_into().ok()
}

/// A number in a column, with what is said when it is none.
fn number(record: &csv::StringRecord, column: usize, name: &str) -> Result<f64, String> {
    let text = record.get(column).ok_or_else(|| format!("the line ends before the column {name}"))?;
    let value: f64 = text.parse().map_err(|_| format!("{name} is {text:?}, which is no number"))?;
    if value.is_finite() && (0.0..1e15).contains(&value) {
        return Ok(value);
    }
    Err(format!("{name} is {text}, which is no amount"))
}

/// A number without its fraction.
fn whole(value: f64) -> u64 {
    // Formatting keeps what a cast would lose without a word.
    format!("{value:.0}").parse().unwrap_or_default()
}

// === impl Trace ===

impl Trace {
    /// What happens in the first days of it, in virtual time. Pods that were there at the beginning arrive together.
    pub fn life(&self, days: f64) -> Vec<(Timestamp, Life)> {
        let end = Millis(whole((days * 86_400_000.0).clamp(0.0, 1e12)));
        let mut life = Vec::new();
        for (number, arrival) in self.arrivals.iter().enumerate().take_while(|(_, arrival)| arrival.at < end) {
            let spec = PodSpec {
                cpu: arrival.cpu,
                memory: arrival.memory,
                gpus: arrival.gpus,
                grace: 30,
                stops_after: 1,
                ..PodSpec::default()
            };
            // What ends at once was there all the same.
            let span = arrival.span.unwrap_or(Millis(u64::MAX)).max(Millis(1_000));
            life.push((later(START, arrival.at), Life::Arrive(format!("t{number}").into(), spec, span)));
        }
        life
    }

    /// What comes after so many days of it. What was there by then is there at the beginning.
    #[must_use]
    pub fn from_day(&self, days: f64) -> Self {
        let start = Millis(whole((days * 86_400_000.0).clamp(0.0, 1e12)));
        let mut arrivals: Vec<Arrival> = Vec::new();
        for arrival in &self.arrivals {
            let end = arrival.span.map(|span| arrival.at + span);
            if end.is_some_and(|end| end <= start) {
                continue;
            }
            let begin = arrival.at.max(start);
            let at = begin.saturating_sub(start);
            arrivals.push(Arrival { at, span: end.map(|end| end.saturating_sub(begin)), ..*arrival });
        }
        Self { format: self.format, arrivals }
    }

    /// A part of it: one of `every` arrivals, spread over all.
    #[must_use]
    pub fn thinned(&self, every: usize) -> Self {
        let arrivals = self.arrivals.iter().step_by(every.max(1)).copied().collect();
        Self { format: self.format, arrivals }
    }

    /// The largest requests of all, CPU in thousandths, memory in MiB, GPUs.
    pub fn largest(&self) -> (u64, u64, u64) {
        self.arrivals.iter().fold((0, 0, 0), |(cpu, memory, gpus), arrival| {
            (cpu.max(arrival.cpu), memory.max(arrival.memory), gpus.max(arrival.gpus))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Trace, TraceError> {
        from_reader(Path::new("trace.csv"), text.as_bytes(), &mut |_| {})
    }

    #[test]
    fn both_formats_are_told_by_their_header() {
        let azure =
            "arrival_s,batch,vcpu,mem_gib,duration_bin,censored\n600,0,2,3.5,1,0\n300,0,8,14,0,0\n900,1,1,0.75,3,1\n";
        let trace = parse(azure).unwrap();
        assert_eq!(trace.format, Format::AzureV1);
        let at: Vec<u64> = trace.arrivals.iter().map(|arrival| arrival.at.0).collect();
        assert_eq!(at, [0, 300_000, 600_000]);
        assert_eq!((trace.arrivals[1].cpu, trace.arrivals[1].memory), (2000, 3584));
        assert_eq!(trace.arrivals[1].span, Some(Millis(300_000)));
        assert_eq!(trace.arrivals[2].span, None, "nobody has seen its end");
        let openb = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec,qos,pod_phase,creation_time,deletion_time,scheduled_time\n\
                     p0,12000,16384,1,460,,LS,Running,100,160,0\np1,8000,1024,0,0,,BE,Pending,90,,\n";
        let trace = parse(openb).unwrap();
        assert_eq!(trace.format, Format::OpenB);
        assert_eq!(
            trace.arrivals[1],
            Arrival { at: Millis(10_000), span: Some(Millis(60_000)), cpu: 12000, memory: 16384, gpus: 1 }
        );
        assert_eq!(trace.arrivals[0].span, None);
        assert_eq!(trace.life(1.0).len(), 2);
        assert_eq!(trace.life(0.0001).len(), 1, "8.6 s");
        // 69 s: the second pod has stayed for 59 of its 60 s.
        let later = trace.from_day(69.0 / 86_400.0);
        assert_eq!(later.arrivals[1], Arrival { at: Millis(0), span: Some(Millis(1_000)), ..trace.arrivals[1] });
        assert_eq!(trace.from_day(1.0).arrivals.len(), 1, "that of no end");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        let said = |text: &str| parse(text).unwrap_err().to_string();
        assert!(said("a,b\n1,2\n").starts_with("trace.csv:1: this header is of no known trace: \"a,b\""));
        let header = "arrival_s,batch,vcpu,mem_gib,duration_bin,censored\n";
        assert_eq!(said(header), "trace.csv: nothing arrives in this trace");
        assert_eq!(
            said(&format!("{header}1,0,2,3,1,0\n2,0,x,3,1,0\n")),
            "trace.csv:3: vcpu is \"x\", which is no number"
        );
        assert_eq!(said(&format!("{header}1,0\n")), "trace.csv:2: the line ends before the column vcpu");
        assert_eq!(said(&format!("{header}1,0,-2,3,1,0\n")), "trace.csv:2: vcpu is -2, which is no amount");
        assert!(said(&format!("{header}1,0,2,3,77,0\n")).contains("duration_bin is 77"));
    }

    #[test]
    fn compressed_files_are_read_and_missing_ones_named() {
        use std::io::Write as _;
        let path = std::env::temp_dir().join(format!("plimsoll-trace-{}.csv.gz", std::process::id()));
        let mut gz = flate2::write::GzEncoder::new(File::create(&path).unwrap(), flate2::Compression::fast());
        gz.write_all(b"arrival_s,batch,vcpu,mem_gib,duration_bin,censored\n0,0,2,4,1,0\n").unwrap();
        gz.finish().unwrap();
        assert_eq!(read(&path, &mut |_| {}).unwrap().arrivals.len(), 1);
        std::fs::remove_file(&path).unwrap();
        assert!(read(&path, &mut |_| {}).unwrap_err().to_string().contains(".csv.gz"));
    }

    #[test]
    fn real_traces_are_read() {
        let Ok(data) = std::env::var("PLIMSOLL_SHARED_DATA") else { return };
        let traces = Path::new(&data).join("traces");
        let azure = read(&traces.join("azure-v1/azure_v1_test.csv.gz"), &mut |_| {}).unwrap();
        assert_eq!(azure.arrivals.len(), 410_276);
        let openb = read(&traces.join("openb/openb_pod_list_default.csv"), &mut |_| {}).unwrap();
        assert_eq!((openb.format, openb.arrivals.len()), (Format::OpenB, 8_152));
    }
}
