//! Pod lists of openb, the GPU cluster that Alibaba published in 2023 (`hkust-adsl/kubernetes-scheduler-simulator`).

use plimsoll_model::Millis;

use super::{Arrival, Format, Rows, columns, number, whole};

/// What reads the lines, if this is its header. Pods that share a GPU get a whole one: Kubernetes knows no parts.
pub(super) fn rows(header: &csv::StringRecord) -> Option<Rows> {
    let names = ["cpu_milli", "memory_mib", "num_gpu", "creation_time", "deletion_time"];
    let [cpu, memory, gpus, created, deleted] = columns(header, names)?;
    let read = move |record: &csv::StringRecord| {
        let at = whole(number(record, created, "creation_time")?);
        let end = match record.get(deleted) {
            None | Some("") => None,
            Some(_) => Some(whole(number(record, deleted, "deletion_time")?)),
        };
        let arrival = Arrival {
            at: Millis(0),
            span: end.map(|end| Millis::from_secs(end.saturating_sub(at))),
            cpu: whole(number(record, cpu, "cpu_milli")?),
            memory: whole(number(record, memory, "memory_mib")?),
            gpus: whole(number(record, gpus, "num_gpu")?),
        };
        Ok((at, arrival))
    };
    Some(Rows { format: Format::OpenB, read: Box::new(read) })
}
