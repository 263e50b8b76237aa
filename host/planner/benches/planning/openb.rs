//! Real pods: the CPU-only pods of a published trace, on types of a real catalogue.
//!
//! `PLIMSOLL_SHARED_DATA` names the folder with both; without it the case is left out, and said so.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use plimsoll_model::{Bytes, Cluster, InstanceType, MilliCpu, NodeGroup, PodShape, Price};
use plimsoll_scheduler::Simulation;

use crate::policy::Thrifty;
use crate::worlds::{pending, resources};
use crate::{config, cost, describe, measure, nodes, placed, plan_by};

/// What cluster-autoscaler's first-fit-decreasing needs of m5.24xlarge for these pods.
const ESTIMATOR: u32 = 216;

pub fn run(large: bool) {
    let Some(folder) = std::env::var_os("PLIMSOLL_SHARED_DATA").map(PathBuf::from) else {
        println!("openb: left out, PLIMSOLL_SHARED_DATA is not set");
        return;
    };
    let mut cluster = Cluster::default();
    let (mut cpu, mut memory, mut count) = (0, 0, 0);
    for row in rows(&folder.join("traces/openb/openb_pod_list_default.csv")) {
        let number = |at: usize| row[at].parse::<u64>().unwrap_or(0);
        if number(3) > 0 {
            continue;
        }
        (cpu, memory, count) = (cpu + number(1), memory + number(2), count + 1);
        let shape = cluster.shape(PodShape { requests: resources(number(1), number(2)), ..Default::default() });
        cluster.upsert_pod(pending("openb", &row[0], Arc::default(), shape));
    }
    let snapshot = cluster.snapshot();
    let types = types(&folder.join("catalog/aws_karpenter_allocatable.csv"));
    let of = |names: &dyn Fn(&str) -> bool| {
        let instance_types: Vec<InstanceType> = types.iter().filter(|known| names(&known.name)).cloned().collect();
        config(vec![NodeGroup {
            name: "all".into(),
            max: 10_000,
            zones: vec!["a".into()],
            instance_types,
            ..NodeGroup::default()
        }])
    };
    let single = of(&|name| name == "m5.24xlarge");
    let (bound, largest) = {
        let known = &single.groups[0].instance_types[0];
        ((cpu.div_ceil(known.cpu.0)).max((memory << 20).div_ceil(known.memory.0)), known.price)
    };
    let work = |config, trims| {
        let snapshot = snapshot.clone();
        move || plan_by(&snapshot, &mut Simulation::new(&snapshot), config, &Thrifty { trims })
    };
    let one = measure("openb: m5.24xlarge only", 3, work(&single, false), describe);
    println!("  volume bound {bound} nodes, cluster-autoscaler's estimator {ESTIMATOR}, here {}", nodes(&one));
    assert_eq!(placed(&one), count);
    assert!(nodes(&one) <= ESTIMATOR);
    let family = of(&|name| ["m5.", "c5.", "r5."].iter().any(|family| name.starts_with(family)));
    let mixed = measure("openb: m5, c5 and r5", if large { 3 } else { 1 }, work(&family, true), describe);
    assert_eq!(placed(&mixed), count);
    assert!(cost(&mixed) < cost(&one), "a mix of types is cheaper than one");
    let floor = largest.map_or(0.0, |price| price.0 as f64 / 1e6) * bound as f64;
    println!("  one type ${:.2}/h (bound ${floor:.2}/h), mixed ${:.2}/h", cost(&one), cost(&mixed));
}

/// The rows of a CSV file without quoted fields, but for its first.
fn rows(path: &Path) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    text.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect()
}

fn types(path: &Path) -> Vec<InstanceType> {
    let amount = |text: &str, unit: &str| text.trim_end_matches(unit).parse::<u64>().unwrap_or(0);
    rows(path)
        .into_iter()
        .filter(|row| row.len() > 24 && row[1] == "amd64")
        .map(|row| InstanceType {
            name: row[0].as_str().into(),
            cpu: MilliCpu(amount(&row[15], "m")),
            memory: Bytes(amount(&row[16], "Mi") << 20),
            max_pods: row[18].parse().unwrap_or(0),
            price: row.last().and_then(|price| price.parse::<f64>().ok()).map(|dollars| {
                #[allow(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "prices are small and positive"
                )]
                Price((dollars * 1e6) as u64)
            }),
            ..InstanceType::default()
        })
        .collect()
}
