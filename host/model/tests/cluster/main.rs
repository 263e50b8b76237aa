//! A cluster that changes, beside a plain one that is computed from scratch for every snapshot.

#![allow(clippy::unwrap_used, reason = "in a test a surprise is a failure")]

mod samples;
mod world;

use std::collections::BTreeSet;
use std::sync::Arc;

use plimsoll_model::{
    Address, AddressKind, Changes, Cluster, ClusterBuilder, CsiNode, DisruptionBudget, Millis, Node, NodeId, Owner,
    Phase, Pod, PodId, PodShape, PriorityClass, Scheduling, Snapshot, Taint, TaintEffect, Timestamp, Uid, WorkloadKind,
};
use proptest::prelude::*;

use samples::{NAMESPACES, labels, node, owner, pod};
use world::{Step, World, each, every_claim, node_identity, pod_identity, steps};

/// What every look-up finds, by names.
fn found(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    let name = |id: &PodId| snapshot.pod(*id).full_name();
    for (id, node) in snapshot.nodes() {
        assert_eq!(snapshot.find_node(&node.name).unwrap().0, id);
        let names: Vec<String> = snapshot.pods_on(id).iter().map(name).collect();
        lines.push(format!("{:?} has {names:?} with {}m", snapshot.node(id), snapshot.requested_on(id).cpu.0));
    }
    for (id, pod) in snapshot.pods() {
        assert_eq!(snapshot.find_pod(&pod.namespace, &pod.name).unwrap().0, id);
        let kin = pod.owner.as_ref().map(|owner| snapshot.replicas_of(owner));
        let covering: Vec<_> = snapshot.budgets_of(pod).map(|(at, _)| (at, &snapshot.budgets()[at].name)).collect();
        lines.push(format!("{:?} is one of {kin:?} under {covering:?}", snapshot.pod(id)));
    }
    lines.extend(snapshot.pending().map(|(id, _)| format!("{} waits", name(&id))));
    for (namespace, claim) in every_claim() {
        let ids: Vec<PodId> = snapshot.claim_users(&namespace, &claim).collect();
        assert!(ids.is_sorted());
        let users: BTreeSet<String> = ids.iter().map(name).collect();
        lines.push(format!("{namespace}/{claim} is mounted by {:?}", users.into_iter().collect::<Vec<_>>()));
    }
    each(&mut lines, snapshot.budgets());
    each(&mut lines, snapshot.signing_requests());
    each(&mut lines, snapshot.machines());
    each(&mut lines, snapshot.claims().map(|claim| snapshot.claim(&claim.namespace, &claim.name).unwrap()));
    each(&mut lines, snapshot.volumes().map(|volume| snapshot.volume(&volume.name).unwrap()));
    each(&mut lines, snapshot.storage_classes().map(|class| snapshot.storage_class(&class.name).unwrap()));
    each(&mut lines, ["a", "b", "c"].iter().filter_map(|node| snapshot.csi_node(node)));
    each(&mut lines, snapshot.daemon_sets());
    each(&mut lines, snapshot.priority_classes().map(|class| snapshot.priority_class(&class.name).unwrap()));
    each(&mut lines, snapshot.workloads());
    each(&mut lines, ["a", "b", "c"].iter().filter_map(|name| Some((name, snapshot.namespace_labels(name)?))));
    assert_eq!((snapshot.nodes().count(), snapshot.pods().count()), (snapshot.node_count(), snapshot.pod_count()));
    assert!(snapshot.find_node("nobody").is_none() && snapshot.find_pod("shop", "nobody").is_none());
    lines
}

/// Every slot with who is in it and all of it.
type Row = (String, String);

fn rows(snapshot: &Snapshot) -> (Vec<Option<Row>>, Vec<Option<Row>>) {
    let node = |slot| Some(snapshot.find_node_id(slot)?.1).map(|node| (node_identity(node), format!("{node:?}")));
    let pod = |slot| Some(snapshot.find_pod_id(slot)?.1).map(|pod| (pod_identity(pod), format!("{pod:?}")));
    ((0..200).map(node).collect(), (0..200).map(pod).collect())
}

/// Slots that differ. Who stays keeps the slot, and nobody takes one over from somebody else in one go.
fn differing(before: &[Option<Row>], after: &[Option<Row>], removed: &BTreeSet<String>) -> Vec<u32> {
    let place =
        |rows: &[Option<Row>], who: &str| rows.iter().position(|row| matches!(row, Some((name, _)) if name == who));
    for (slot, row) in before.iter().enumerate() {
        if let (Some((was, _)), Some((is, _))) = (row, &after[slot]) {
            assert_eq!(was, is, "slot {slot} has somebody else");
        }
        if let Some((who, _)) = row
            && !removed.contains(who)
        {
            assert_eq!(place(after, who), Some(slot), "{who} has moved");
        }
    }
    (0u32..).zip(before.iter().zip(after)).filter(|(_, (was, is))| was != is).map(|(slot, _)| slot).collect()
}

fn filled<T>(rows: &[Option<T>]) -> usize {
    rows.iter().rposition(Option::is_some).map_or(0, |last| last + 1)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn a_cluster_that_changed_is_as_one_made_from_scratch(first in steps(), steps in steps()) {
        let mut world = World::default();
        for step in first {
            world.step(step, &mut Cluster::default());
        }
        let mut cluster = Cluster::from(world.builder());
        let mut last = cluster.snapshot();
        prop_assert_eq!(last.changes(), &Changes { wide: true, ..Changes::default() });
        prop_assert_eq!(found(&last), world.expected());
        (world.wide, world.removed) = Default::default();
        let mut before = rows(&last);
        let mut kept = vec![(last.clone(), world.expected())];
        let mut revision = cluster.revision();

        for step in steps.into_iter().chain([Step::Snapshot]) {
            if !world.step(step, &mut cluster) {
                continue;
            }
            let snapshot = cluster.snapshot();
            // Whoever looks only when the revision has moved misses nothing.
            let moved = std::mem::replace(&mut revision, cluster.revision()) != cluster.revision();
            prop_assert!(moved || found(&last) == found(&snapshot));
            prop_assert_eq!((snapshot.version(), snapshot.lineage()), (last.version() + 1, last.lineage()));
            prop_assert_eq!(found(&snapshot), world.expected());
            let scratch = world.builder().build();
            prop_assert_eq!(found(&scratch), world.expected());
            prop_assert_eq!(snapshot.seed(), scratch.seed());
            prop_assert!(scratch.lineage() != snapshot.lineage());

            let after = rows(&snapshot);
            prop_assert_eq!((snapshot.node_slots(), snapshot.pod_slots()), (filled(&after.0), filled(&after.1)));
            let changes = Changes {
                nodes: differing(&before.0, &after.0, &world.removed).into_iter().map(NodeId).collect(),
                pods: differing(&before.1, &after.1, &world.removed).into_iter().map(PodId).collect(),
                wide: world.wide,
            };
            prop_assert_eq!(snapshot.changes(), &changes);
            (world.wide, world.removed) = Default::default();
            kept.push((snapshot.clone(), world.expected()));
            (last, before) = (snapshot, after);
        }
        for (snapshot, expected) in kept {
            prop_assert_eq!(found(&snapshot), expected, "version {}", snapshot.version());
        }
    }
}

#[test]
fn what_is_built_has_ids_in_the_order_of_names() {
    let mut builder = ClusterBuilder::default();
    for index in [3, 1, 4, 0, 2] {
        builder.add_node(node(&format!("n{index}"), 0, true)).unwrap();
        builder.add_pod(pod(NAMESPACES[index % 2], &format!("p{index}"), 0)).unwrap();
    }
    let twice = builder.add_pod(pod("shop", "p0", 1)).unwrap_err();
    assert_eq!((twice.kind, twice.name.as_str()), ("Pod", "shop/p0"));
    let snapshot = builder.build();
    assert!(snapshot.nodes().map(|(id, _)| id).eq((0..5).map(NodeId)));
    assert!(snapshot.pods().map(|(id, _)| id).eq((0..5).map(PodId)));
}

#[test]
fn what_is_gone_does_not_pile_up() {
    let mut cluster = Cluster::default();
    cluster.upsert_pod(pod("shop", "stays", 0));
    for round in 0..20_000 {
        let name = cluster.text(&format!("web-{round}"));
        let labels = cluster.labels([("app", name.clone())].into_iter().collect());
        let owner = cluster.owner(Owner { name, ..owner("shop", 0).as_ref().clone() });
        cluster.upsert_pod(Pod { labels, owner: Some(owner), ..pod("shop", "comes-and-goes", round) });
        if round % 10 == 0 {
            assert!(cluster.snapshot().pod_slots() <= 3);
        }
    }
    assert!(cluster.pools().len() < 10_000, "{} shared parts of one pod", cluster.pools().len());
}

#[test]
fn whatever_changes_is_listed_and_nothing_else() {
    let pods: [fn(&mut Pod); 14] = [
        |pod| pod.labels = labels("other"),
        |pod| pod.annotations = labels("other"),
        |pod| pod.owner = Some(owner("shop", 1)),
        |pod| pod.shape = Arc::new(PodShape { priority: 1, ..PodShape::default() }),
        |pod| pod.node = Some("n1".into()),
        |pod| pod.phase = Phase::Failed,
        |pod| pod.scheduling = Scheduling::Unschedulable,
        |pod| pod.priority_class = Some("high".into()),
        |pod| pod.ready = true,
        |pod| pod.created = None,
        |pod| pod.deletion = Some(Timestamp(9)),
        |pod| pod.grace = Millis(0),
        |pod| pod.volumes.local = true,
        |pod| pod.claims = Arc::new(["data".into()]),
    ];
    let nodes: [fn(&mut Node); 9] = [
        |node| node.labels = labels("other"),
        |node| node.annotations = labels("other"),
        |node| node.taints = vec![Taint { key: "a".into(), value: "".into(), effect: TaintEffect::NoSchedule }],
        |node| node.allocatable.pods = 110,
        |node| node.unschedulable = true,
        |node| node.ready = true,
        |node| node.created = Some(Timestamp(9)),
        |node| node.deleting = true,
        |node| node.addresses = vec![Address { kind: AddressKind::Dns, value: "n1".into() }],
    ];
    let mut cluster = Cluster::default();
    let (mut pod, mut node) = (pod("shop", "web", 0), node("n1", 0, false));
    for (at, change) in pods.into_iter().enumerate() {
        cluster.upsert_pod(pod.clone());
        cluster.upsert_node(node.clone());
        cluster.snapshot();
        cluster.upsert_pod(pod.clone());
        cluster.upsert_node(node.clone());
        assert_eq!(cluster.snapshot().changes(), &Changes::default());
        change(&mut pod);
        cluster.upsert_pod(pod.clone());
        let mut expected = Changes { pods: vec![PodId(0)], ..Changes::default() };
        if let Some(change) = nodes.get(at) {
            change(&mut node);
            cluster.upsert_node(node.clone());
            expected.nodes.push(NodeId(0));
        }
        assert_eq!(cluster.snapshot().changes(), &expected, "change {at}");
    }
}

#[test]
fn the_seed_is_that_of_the_names() {
    let seed = |nodes: &[&str], pods: &[(&str, &str)]| {
        let mut builder = ClusterBuilder::default();
        nodes.iter().for_each(|name| builder.add_node(node(name, 0, true)).unwrap());
        pods.iter().for_each(|(namespace, name)| builder.add_pod(pod(namespace, name, 0)).unwrap());
        builder.build().seed()
    };
    let seeds: BTreeSet<u64> = [
        seed(&[], &[]),
        seed(&["a"], &[]),
        seed(&["a", "b"], &[]),
        seed(&["ab"], &[]),
        seed(&[], &[("a", "b")]),
        seed(&[], &[("b", "a")]),
        seed(&["a"], &[("a", "b")]),
    ]
    .into();
    assert_eq!(seeds.len(), 7);
}

#[test]
fn what_is_put_in_as_it_was_is_no_change() {
    let mut cluster = Cluster::default();
    let put: [fn(&mut Cluster); 13] = [
        |cluster| cluster.upsert_node(node("n1", 0, true)),
        |cluster| cluster.upsert_pod(pod("shop", "web", 0)),
        |cluster| {
            let budget = DisruptionBudget {
                namespace: "shop".into(),
                name: "web".into(),
                selector: None,
                disruptions_allowed: 1,
            };
            cluster.upsert_budget(budget);
        },
        |cluster| cluster.upsert_signing_request(samples::signing_request("csr", 1)),
        |cluster| cluster.upsert_machine(samples::machine("m", 1)),
        |cluster| cluster.upsert_claim(samples::claim("data", 1)),
        |cluster| cluster.upsert_volume(samples::volume("v", 1)),
        |cluster| cluster.upsert_storage_class(samples::storage_class("fast", 1)),
        |cluster| cluster.upsert_csi_node(CsiNode { node: "n1".into(), drivers: Vec::new() }),
        |cluster| cluster.upsert_daemon_set(samples::daemon_set("agent", 1)),
        |cluster| cluster.upsert_priority_class(samples::priority_class("high", 1)),
        |cluster| cluster.upsert_workload(samples::workload("web", 1)),
        |cluster| cluster.upsert_namespace("shop".into(), labels("shop")),
    ];
    for (at, put) in put.into_iter().enumerate() {
        let empty = cluster.revision();
        put(&mut cluster);
        let full = cluster.revision();
        assert!(full > empty, "{at}");
        put(&mut cluster);
        assert_eq!(cluster.revision(), full, "{at}");
    }
    let full = cluster.revision();
    cluster.remove_pod("shop", "nobody");
    cluster.remove_machine_of("elsewhere", "m");
    cluster.remove_workload(WorkloadKind::Job, "shop", "web");
    assert_eq!(cluster.revision(), full);
}

#[test]
fn machines_of_several_inventories_may_have_one_name() {
    let mut cluster = Cluster::default();
    for (inventory, variant) in [("b", 0), ("", 1), ("a", 2), ("b", 3)] {
        cluster.upsert_machine_of(inventory, samples::machine("m", variant));
    }
    cluster.upsert_machine_of("a", samples::machine("l", 0));
    let nodes = |cluster: &mut Cluster| {
        let snapshot = cluster.snapshot();
        snapshot.machines().iter().map(|machine| machine.node.clone().unwrap().to_string()).collect::<Vec<_>>()
    };
    assert_eq!(nodes(&mut cluster), ["n1", "n2", "n3", "n4"]);
    cluster.remove_machine("m");
    cluster.remove_machine_of("a", "l");
    assert_eq!(nodes(&mut cluster), ["n3", "n4"]);
}

#[test]
fn an_owner_is_found_as_long_as_it_is_the_same() {
    let mut cluster = Cluster::default();
    cluster.upsert_workload(samples::workload("7", 3));
    let snapshot = cluster.snapshot();
    let own = owner("shop", 7).as_ref().clone();
    assert_eq!(snapshot.workload(&own).map(|workload| workload.desired), Some(Some(3)));
    for other in [
        Owner { uid: Uid::Uuid(8), ..own.clone() },
        Owner { kind: "StatefulSet".into(), ..own.clone() },
        Owner { api_version: "apps.kruise.io/v1".into(), ..own.clone() },
        Owner { namespace: "team".into(), ..own.clone() },
    ] {
        assert!(snapshot.workload(&other).is_none(), "{other:?}");
    }
    for kind in WorkloadKind::ALL {
        let version = if kind.group().is_empty() { "v1".to_owned() } else { format!("{}/v1", kind.group()) };
        let owner = Owner { kind: kind.name().into(), api_version: version.as_str().into(), ..own.clone() };
        assert_eq!(WorkloadKind::of(&owner), Some(kind));
    }
}

#[test]
fn pods_have_the_priority_of_their_class() {
    let mut cluster = Cluster::default();
    assert_eq!(cluster.snapshot().priority_of(None), Some(0));
    for (name, value, global_default) in [("high", 9, false), ("low", -5, true), ("other", 3, true)] {
        cluster.upsert_priority_class(PriorityClass { name: name.into(), value, global_default, preempts: true });
    }
    let snapshot = cluster.snapshot();
    assert_eq!(snapshot.priority_of(Some("high")), Some(9));
    assert_eq!((snapshot.priority_of(None), snapshot.priority_of(Some("unknown"))), (Some(-5), None));
}
