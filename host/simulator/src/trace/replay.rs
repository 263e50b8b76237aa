//! A run out of a trace.

use plimsoll_model::{Bytes, MilliCpu, Millis, NodeGroup, Text};
use plimsoll_planner::scale_up::ClusterLimits;

use super::{Trace, whole};
use crate::chance::Seed;
use crate::queue::later;
use crate::replica::Settings;
use crate::run::{Faults, Plan};
use crate::scenario::{group, machine_type};
use crate::world::{Pace, START};

/// Points of a plot.
const SAMPLES: u64 = 400;

/// The first days of a trace, under these settings, with nothing that goes wrong. A pod that is evicted starts again and
/// ends when the trace says.
pub fn replay(trace: &Trace, days: f64, settings: Settings, seed: Seed) -> Plan {
    let span = Millis(whole((days * 86_400_000.0).clamp(1.0, 1e12)));
    Plan {
        seed,
        pace: Pace { boot: (Millis(60_000), Millis(120_000)), ..Pace::default() },
        settings,
        found: Vec::<(Text, Text, Text, u32)>::new(),
        life: trace.life(days),
        faults: Faults { latency: Millis(50), lag: Millis(500), ..Faults::default() },
        end: later(START, span),
        sample: Millis((span.0 / SAMPLES).max(60_000)),
    }
}

/// Groups for who has configured none: machines of 4 GiB a core at one price a core, as large as the largest of the
/// trace needs.
pub fn groups_for(trace: &Trace) -> Vec<NodeGroup> {
    let (cpu, memory, gpus) = trace.largest();
    let mut types = Vec::new();
    for cores in [4_u64, 8, 16, 32, 64, 96, 128, 192] {
        types.push(machine_type(&format!("plain.{cores}"), cores, cores * 4, cores * 48));
        types.push(machine_type(&format!("memory.{cores}"), cores, cores * 8, cores * 63));
    }
    let mut groups = vec![group("plain", 0, 5_000, types)];
    if gpus > 0 {
        let mut kind = machine_type("gpu.8", (cpu / 1000).max(96) + 8, (memory / 1024).max(512) + 16, 24_000);
        kind.gpus = gpus.max(8);
        groups.push(group("gpu", 0, 5_000, vec![kind]));
    }
    groups
}

/// Limits that no trace reaches, for who has configured none.
pub fn no_limits() -> ClusterLimits {
    ClusterLimits { max_cpu: MilliCpu(u64::MAX / 4), max_memory: Bytes(u64::MAX / 4), max_nodes: 20_000 }
}
