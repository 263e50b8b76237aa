//! Reading a large dump: time, peak memory, and memory kept per pod, beside a plain implementation.
//!
//! `cargo bench -p plimsoll-kube` reads 150,000 pods; `cargo test --benches` a few, to see that it works. Each
//! measurement runs in a process of its own, so that making the dump does not count.

mod counted;
mod generate;

use std::error::Error;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use plimsoll_kube::{Source, read_dump};
use plimsoll_model::Phase;

/// Set in the processes that measure: what to read with.
const READER: &str = "PLIMSOLL_BENCH_READER";
/// Set in the processes that measure: what to read.
const DUMP: &str = "PLIMSOLL_BENCH_DUMP";

/// What a measuring process found, as it prints it.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
struct Found {
    pods: usize,
    seconds: f64,
    kept_bytes: usize,
    peak_kib: u64,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("read_dump: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    if let (Ok(reader), Some(dump)) = (std::env::var(READER), std::env::var_os(DUMP)) {
        let found = if reader == "plain" { read_plainly(dump.as_ref())? } else { read(dump.as_ref())? };
        println!("{}", serde_json::to_string(&found)?);
        return Ok(());
    }
    let large = std::env::args().any(|argument| argument == "--bench");
    let (pods, few) = if large { (150_000, 5_000) } else { (2_000, 200) };
    let folder = tempfile::tempdir()?;
    println!("reader           form           pods   MB read   seconds   us/pod   peak MiB   bytes kept/pod");
    for (reader, form, pods) in [
        ("plimsoll", generate::Form::Raw, pods),
        ("plimsoll", generate::Form::Pretty, pods / 10),
        ("plimsoll", generate::Form::Yaml, pods / 30),
        ("plain", generate::Form::Raw, few),
    ] {
        let path = folder.path().join("dump");
        generate::write(&path, form, pods)?;
        let megabytes = std::fs::metadata(&path)?.len() / 1_000_000;
        let found = measure(reader, &path)?;
        std::fs::remove_file(&path)?;
        if found.pods != pods {
            return Err(format!("{reader} found {} of {pods} pods", found.pods).into());
        }
        let Found { seconds, kept_bytes, peak_kib, .. } = found;
        let per_pod = seconds * 1e6 / f64::from(u32::try_from(pods)?);
        let (peak, kept) = (peak_kib / 1024, kept_bytes / pods);
        println!(
            "{reader:<16} {:<11} {pods:>7} {megabytes:>9} {seconds:>9.2} {per_pod:>8.1} {peak:>10} {kept:>16}",
            form.name()
        );
        // Of a few pods each is one of a kind, so only many tell what one costs.
        if reader == "plimsoll" && form == generate::Form::Raw && kept >= 1024 {
            return Err(format!("{kept} bytes a pod are kept; 1024 is the promise").into());
        }
    }
    Ok(())
}

/// Lets another process of this program read the dump.
fn measure(reader: &str, dump: &Path) -> Result<Found, Box<dyn Error>> {
    let output = Command::new(std::env::current_exe()?).env(READER, reader).env(DUMP, dump).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

fn read(dump: &Path) -> Result<Found, Box<dyn Error>> {
    let (before, start) = (counted::live_bytes(), Instant::now());
    let dump = read_dump(&[Source::Path(dump.to_owned())], &|_| {})?;
    let seconds = start.elapsed().as_secs_f64();
    let kept_bytes = counted::live_bytes() - before;
    if let Some(broken) = dump.account.broken.first() {
        return Err(broken.to_string().into());
    }
    // What counts is there: a pod that runs, with an owner, labels and requests.
    let whole = |pod: &plimsoll_model::Pod| {
        pod.phase == Phase::Running && pod.owner.is_some() && pod.labels.len() >= 4 && pod.shape.requests.cpu.0 > 0
    };
    let pods = dump.snapshot.pods().filter(|(_, pod)| whole(pod)).count();
    Ok(Found { pods, seconds, kept_bytes, peak_kib: peak_kib()? })
}

/// What a program would do that thinks of nothing: the whole file as a tree.
fn read_plainly(dump: &Path) -> Result<Found, Box<dyn Error>> {
    let (before, start) = (counted::live_bytes(), Instant::now());
    let tree: serde_json::Value = serde_json::from_reader(BufReader::new(File::open(dump)?))?;
    let seconds = start.elapsed().as_secs_f64();
    let kept_bytes = counted::live_bytes() - before;
    let pods = tree["items"].as_array().map_or(0, Vec::len);
    Ok(Found { pods, seconds, kept_bytes, peak_kib: peak_kib()? })
}

/// The most memory that this process ever had; 0 where the system does not tell.
fn peak_kib() -> Result<u64, Box<dyn Error>> {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return Ok(0) };
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}
