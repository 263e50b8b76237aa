//! Requests for machines of the Azure Public Dataset V1 (Cortez et al., SOSP'17, CC-BY-4.0): time, size, and how long
//! they lasted, in bins.

use std::path::Path;

use plimsoll_model::Millis;

use super::{Arrival, Format, Rows, columns, number, whole};

/// The least and the most of each bin, in seconds, where no `duration_bins.csv` lies beside the trace: no time, steps of
/// five minutes up to an hour, and then ever longer ones.
const STEP: u64 = 300;

/// What reads the lines, if this is its header.
pub(super) fn rows(header: &csv::StringRecord, path: &Path) -> Option<Rows> {
    let [at, cpu, memory, bin, censored] =
        columns(header, ["arrival_s", "vcpu", "mem_gib", "duration_bin", "censored"])?;
    let bins = bins_beside(path);
    let read = move |record: &csv::StringRecord| {
        let cpu = number(record, cpu, "vcpu")?;
        let memory = number(record, memory, "mem_gib")?;
        let bin = whole(number(record, bin, "duration_bin")?);
        let open = number(record, censored, "censored")? > 0.0;
        let span = match bins.get(usize::try_from(bin).unwrap_or(usize::MAX)) {
            // The middle of the bin.
            Some((least, most)) => u64::midpoint(*least, *most),
            None => return Err(format!("duration_bin is {bin}, there are {}", bins.len())),
        };
        let arrival = Arrival {
            at: Millis(0),
            span: (!open).then_some(Millis::from_secs(span)),
            cpu: whole(cpu * 1000.0),
            memory: whole(memory * 1024.0),
            gpus: 0,
        };
        Ok((whole(number(record, at, "arrival_s")?), arrival))
    };
    Some(Rows { format: Format::AzureV1, read: Box::new(read) })
}

/// The bins of the file beside the trace, or those of the data set.
fn bins_beside(path: &Path) -> Vec<(u64, u64)> {
    let beside = path.with_file_name("duration_bins.csv");
    let Ok(mut csv) = csv::Reader::from_path(beside) else { return known_bins() };
    let mut bins = Vec::new();
    for record in csv.records().flatten() {
        let value = |at: usize| record.get(at).and_then(|text| text.parse::<f64>().ok());
        match (value(1), value(2)) {
            (Some(least), Some(most)) => bins.push((whole(least), whole(most.max(least)))),
            (Some(least), None) => bins.push((whole(least), whole(least) * 2)),
            _ => return known_bins(),
        }
    }
    if bins.is_empty() { known_bins() } else { bins }
}

fn known_bins() -> Vec<(u64, u64)> {
    (0..=12).map(|bin| (bin * STEP, bin * STEP)).collect()
}
