//! The example cluster: written by its generator, and worth looking at.
#![allow(clippy::expect_used, clippy::panic, reason = "tests say what they expect")]

#[path = "../examples/make_shop/shop/mod.rs"]
mod shop;

use std::path::PathBuf;

use plimsoll_kube::{Dump, Source, read_dump};
use plimsoll_model::{CsrState, Lifecycle, NodeId, Pod, Scheduling, Snapshot, Timestamp, well_known};

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/clusters/shop/cluster.yaml")
}

fn dump() -> Dump {
    read_dump(&[Source::Path(file())], &|_| {}).expect("the example cluster")
}

/// CPU in thousandths, memory in bytes and places for pods that are left on a node.
fn free(snapshot: &Snapshot, id: NodeId) -> (u64, u64, u64) {
    let (offered, taken) = (&snapshot.node(id).allocatable, snapshot.requested_on(id));
    let left = |offered: u64, taken: u64, what: &str| {
        offered.checked_sub(taken).unwrap_or_else(|| panic!("{} has more {what} than fits", snapshot.node(id).name))
    };
    (
        left(offered.cpu.0, taken.cpu.0, "CPU"),
        left(offered.memory.0, taken.memory.0, "memory"),
        left(offered.pods, taken.pods, "pods"),
    )
}

fn waiting(snapshot: &Snapshot) -> Vec<&Pod> {
    snapshot.pods().map(|(_, pod)| pod).filter(|pod| pod.node.is_none() && !pod.finished()).collect()
}

#[test]
fn the_committed_file_is_what_the_generator_writes() {
    let committed = std::fs::read_to_string(file()).expect("the example cluster");
    assert!(committed == shop::cluster(), "run `cargo run -p plimsoll-kube --example make_shop` and commit the result");
    assert!(committed.len() < 400_000, "{} bytes", committed.len());
}

#[test]
fn it_is_read_whole() {
    let dump = dump();
    assert_eq!(dump.account.broken.first(), None);
    assert!(dump.account.unknown.is_empty(), "{:?}", dump.account.unknown);
    assert!(dump.snapshot.node_count() >= 32 && dump.snapshot.pod_count() >= 220);
    assert!(dump.snapshot.budgets().len() >= 6 && dump.snapshot.machines().len() == dump.snapshot.node_count() - 3 + 2);
    let newest = dump.account.newest.expect("times");
    let now = Timestamp(1_795_168_800_000);
    assert!(newest <= now && now.since(newest).0 < 20_000, "{newest:?}");
}

#[test]
fn nothing_is_overfull_and_some_nodes_are_nearly_empty() {
    let snapshot = dump().snapshot;
    let mut empty = 0;
    let mut light = 0;
    for (id, node) in snapshot.nodes() {
        let (cpu, _, _) = free(&snapshot, id);
        let own = snapshot.pods_on(id).iter().filter(|&&pod| !snapshot.pod(pod).daemon_set()).count();
        if node.control_plane() {
            assert!(node.group_label().is_none() && node.taints.len() == 1);
            continue;
        }
        assert!(node.zone().is_some() && node.lifecycle().is_some() && node.group_label().is_some(), "{}", node.name);
        empty += usize::from(own == 0);
        light += usize::from(own > 0 && cpu * 10 > node.allocatable.cpu.0 * 7);
        if node.group_label().is_some_and(|group| *group == "general") {
            assert!(cpu < 700, "{} has {cpu}m left", node.name);
        }
    }
    assert!(empty >= 1 && light >= 4, "{empty} empty, {light} light");
    assert_eq!(snapshot.nodes().filter(|(_, node)| node.unschedulable).count(), 1);
    assert_eq!(snapshot.nodes().filter(|(_, node)| !node.ready).count(), 1);
}

#[test]
fn what_waits_has_no_room_and_many_shapes() {
    let dump = dump();
    let snapshot = &dump.snapshot;
    let waiting = waiting(snapshot);
    assert!(waiting.len() >= 25, "{}", waiting.len());
    let mut shapes: Vec<_> = waiting.iter().map(|pod| std::sync::Arc::as_ptr(&pod.shape)).collect();
    shapes.sort_unstable();
    shapes.dedup();
    assert!(shapes.len() >= 10, "{}", shapes.len());
    let count = |wanted: fn(&Scheduling) -> bool| waiting.iter().filter(|pod| wanted(&pod.scheduling)).count();
    assert_eq!(count(|state| *state == Scheduling::Gated), 1);
    assert_eq!(count(|state| matches!(state, Scheduling::Nominated(_))), 1);
    assert_eq!(count(|state| *state == Scheduling::Quiet), 0);

    for pod in waiting.iter().filter(|pod| pod.scheduling == Scheduling::Unschedulable) {
        for (id, node) in snapshot.nodes() {
            let shape = &pod.shape;
            let (cpu, memory, pods) = free(snapshot, id);
            let room = shape.requests.cpu.0 <= cpu
                && shape.requests.memory.0 <= memory
                && pods > 0
                && shape.requests.gpus() <= node.allocatable.gpus();
            let tolerated = node
                .taints
                .iter()
                .filter(|taint| taint.repels())
                .all(|taint| shape.tolerations.iter().any(|toleration| toleration.tolerates(taint)));
            let chosen = node.labels.contains_all(&shape.node_selector)
                && shape.node_affinity.as_ref().is_none_or(|affinity| affinity.matches(&node.name, &node.labels));
            assert!(
                !(room && tolerated && chosen && node.ready && !node.unschedulable),
                "{} fits {}",
                pod.full_name(),
                node.name
            );
        }
    }
}

#[test]
fn pods_run_only_where_they_may() {
    let snapshot = dump().snapshot;
    for (id, node) in snapshot.nodes() {
        for &pod in snapshot.pods_on(id) {
            let pod = snapshot.pod(pod);
            let shape = &pod.shape;
            assert!(node.labels.contains_all(&shape.node_selector), "{} on {}", pod.full_name(), node.name);
            let affinity = shape.node_affinity.as_ref();
            assert!(affinity.is_none_or(|affinity| affinity.matches(&node.name, &node.labels)), "{}", pod.full_name());
            // What keeps new pods off lets old ones stay.
            let new_only = |key: &str| key.starts_with("node.kubernetes.io/");
            for taint in node.taints.iter().filter(|taint| taint.repels() && !new_only(&taint.key)) {
                let tolerated = pod.mirror() || shape.tolerations.iter().any(|toleration| toleration.tolerates(taint));
                assert!(tolerated, "{} on {} despite {taint}", pod.full_name(), node.name);
            }
        }
    }
}

#[test]
fn every_reason_to_stay_is_there() {
    let snapshot = dump().snapshot;
    let some = |what: &str, wanted: &dyn Fn(&Pod) -> bool| {
        let found = snapshot.pods().any(|(_, pod)| !pod.finished() && pod.node.is_some() && wanted(pod));
        assert!(found, "no pod {what}");
    };
    let is = |text: Option<&plimsoll_model::Text>, value: &str| text.is_some_and(|text| *text == *value);
    some("restricts scale-down", &|pod| is(pod.labels.get(well_known::RESTRICT_SCALE_DOWN), "true"));
    some("is not safe to evict", &|pod| is(pod.annotations.get(well_known::SAFE_TO_EVICT), "false"));
    some("is bare", &|pod| pod.owner.is_none());
    some("wants warm-up", &|pod| pod.labels.get(well_known::PRE_EVICTION_WARMUP).is_some());
    some("has two budgets", &|pod| snapshot.budgets_of(pod).count() == 2);
    some("has a budget of none", &|pod| snapshot.budgets_of(pod).any(|(_, budget)| budget.disruptions_allowed == 0));
    some("has a claim", &|pod| pod.volumes.claims);
    some("is local", &|pod| pod.volumes.local);
    some("takes a port", &|pod| pod.shape.host_ports.iter().any(|port| port.port == 443));
    some("is the kubelet's own", &Pod::mirror);
    some("runs on spot", &|pod| {
        let node = pod.node.as_ref().and_then(|name| snapshot.find_node(name));
        node.is_some_and(|(_, node)| node.lifecycle() == Some(Lifecycle::Spot))
    });
    assert!(snapshot.pods().filter(|(_, pod)| pod.finished()).count() >= 5);
}

#[test]
fn signing_requests_are_real_but_for_one() {
    let snapshot = dump().snapshot;
    let requests = snapshot.signing_requests();
    assert_eq!(requests.len(), 10);
    let readable = requests.iter().filter(|request| {
        let Ok((_, block)) = x509_parser::pem::parse_x509_pem(&request.pem) else { return false };
        let parsed =
            <x509_parser::certification_request::X509CertificationRequest<'_> as x509_parser::prelude::FromDer<
                '_,
                x509_parser::error::X509Error,
            >>::from_der(&block.contents);
        parsed.is_ok_and(|(_, request)| request.verify_signature().is_ok())
    });
    assert_eq!(readable.count(), 9);
    assert_eq!(requests.iter().filter(|request| request.state != CsrState::Pending).count(), 2);

    // The machine that wants to join is launched, has no node, and is in the zone its group allows.
    let launched: Vec<_> = snapshot.machines().iter().filter(|machine| machine.node.is_none()).collect();
    assert_eq!(launched.len(), 2);
    let joining = requests.iter().find(|request| request.name == "csr-2xk7p").expect("the joining node's request");
    let (_, block) = x509_parser::pem::parse_x509_pem(&joining.pem).expect("PEM");
    let text = String::from_utf8_lossy(&block.contents).into_owned();
    assert!(
        launched.iter().any(|machine| machine.addresses.iter().any(|address| text.contains(address.value.as_str())))
    );
}
