//! Machines go: marked, and then counted down.

use plimsoll_apiserver::{Fault, Options, Rule};
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_providers::{InstanceState, MachineState, NodeGroupProvider as _};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{DEPLOYMENTS, object, provider, replicas};
use crate::cluster::Cluster;
use crate::support::{removal, removed};

const MACHINES: &str = "machines.cluster.x-k8s.io";
const MARK: &str = "cluster.x-k8s.io/delete-machine";

fn machine(number: u32, labels: Value) -> Value {
    json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2",
        "kind": "Machine",
        "metadata": {
            "name": format!("web-{number}"), "namespace": "clusters", "labels": labels,
            "finalizers": ["machine.cluster.x-k8s.io"],
        },
        "spec": {"providerID": format!("aws:///i-{number}")},
        "status": {"phase": "Running", "nodeRef": {"name": format!("n{number}")}},
    })
}

fn labels(set: &str) -> Value {
    json!({"cluster.x-k8s.io/deployment-name": "web", "cluster.x-k8s.io/set-name": set})
}

/// The deployment `web` with three machines.
async fn start() -> Cluster {
    let cluster = Cluster::start(Options::default()).await;
    cluster.store().create(object("MachineDeployment", "web", 3)).expect("created");
    for number in 1..=3 {
        cluster.store().create(machine(number, labels("web-abc"))).expect("created");
    }
    cluster
}

fn second(baseline: Option<u32>) -> Removal {
    removal("n2", Some("aws:///i-2"), Some("web"), baseline)
}

fn mark(cluster: &Cluster, number: u32) -> Option<String> {
    let machine = cluster.store().get(MACHINES, "clusters", &format!("web-{number}")).expect("a machine");
    machine["metadata"]["annotations"][MARK].as_str().map(str::to_owned)
}

fn change(cluster: &Cluster, number: u32, change: impl FnOnce(&mut Value)) {
    cluster.store().update(MACHINES, "clusters", &format!("web-{number}"), change).expect("a machine");
}

fn resize(cluster: &Cluster, replicas: u32) {
    cluster
        .store()
        .update(DEPLOYMENTS, "clusters", "web", |web| web["spec"]["replicas"] = replicas.into())
        .expect("there");
}

fn writes(cluster: &Cluster) -> Vec<String> {
    let requests = cluster.server.requests();
    let writes = requests.iter().filter(|request| matches!(request.verb.as_str(), "update" | "patch" | "delete"));
    writes.map(|request| format!("{} {}{}", request.verb, request.resource, request.subresource)).collect()
}

/// What Cluster API does: as many machines as there are too many go, those with a mark first.
fn reconcile(cluster: &Cluster) {
    let mut machines = cluster.store().list(MACHINES, "clusters");
    machines.retain(|machine| machine["metadata"].get("deletionTimestamp").is_none());
    machines.sort_by_key(|machine| machine["metadata"]["annotations"][MARK].is_null());
    let wanted = usize::try_from(replicas(cluster)).expect("few");
    let surplus = machines.len().saturating_sub(wanted);
    for machine in machines.iter().take(surplus) {
        cluster.store().delete(MACHINES, "clusters", machine["metadata"]["name"].as_str().expect("a name"));
    }
}

fn leaving(cluster: &Cluster) -> Vec<String> {
    let mut machines = cluster.store().list(MACHINES, "clusters");
    machines.retain(|machine| machine["metadata"].get("deletionTimestamp").is_some());
    machines.iter().map(|machine| machine["metadata"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn a_machine_is_marked_and_then_counted_down() {
    let cluster = start().await;
    let provider = provider(&cluster);
    let baseline = provider.removal_baseline(&second(None)).await.expect("a size");
    assert_eq!(baseline, Some(3));
    let removal = second(baseline);
    for _ in 0..3 {
        assert_eq!(provider.remove(&cluster.permit(), &removal).await, RemovalOutcome::Accepted);
        assert_eq!((replicas(&cluster), mark(&cluster, 2).as_deref()), (2, Some("d-7")));
    }
    assert_eq!(writes(&cluster), ["patch machines", "update machinedeploymentsscale"], "in this order, once");
    reconcile(&cluster);
    assert_eq!(leaving(&cluster), ["web-2"]);
    assert_eq!(provider.remove(&cluster.permit(), &removal).await, RemovalOutcome::Accepted);
    let inventory = provider.inventory().await.expect("an inventory");
    assert_eq!((inventory.groups[0].target, &inventory.groups[0].instances[1].state), (2, &InstanceState::Deleting));
    assert_eq!(inventory.machine_state("n2", Some("aws:///i-2")), MachineState::Deleting);
    assert_eq!(inventory.machine_state("n1", None), MachineState::Present);
    change(&cluster, 2, |machine| machine["metadata"]["finalizers"] = json!([]));
    assert_eq!(provider.remove(&cluster.permit(), &removal).await, RemovalOutcome::Gone);
    let inventory = provider.inventory().await.expect("an inventory");
    assert_eq!(inventory.machine_state("n2", Some("aws:///i-2")), MachineState::Gone);
    assert_eq!((replicas(&cluster), writes(&cluster).len()), (2, 2));
}

#[tokio::test]
async fn what_a_crash_left_undone_is_done() {
    // Between the mark and the size.
    let cluster = start().await;
    cluster.server.faults().add(Rule::on("update", "machinedeployments/scale").times(1), Fault::DropBeforeWrite);
    assert_eq!(removed(&provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await), "Unknown");
    assert_eq!((replicas(&cluster), mark(&cluster, 2).as_deref()), (3, Some("d-7")));
    assert_eq!(provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await, RemovalOutcome::Accepted);
    assert_eq!(replicas(&cluster), 2);
    assert_eq!(writes(&cluster).iter().filter(|write| *write == "patch machines").count(), 1);
    // After the size, before the answer.
    let cluster = start().await;
    cluster.server.faults().add(Rule::on("update", "machinedeployments/scale").times(1), Fault::DropAfterWrite);
    assert_eq!(removed(&provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await), "Unknown");
    assert_eq!(provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await, RemovalOutcome::Accepted);
    assert_eq!(replicas(&cluster), 2);
    // Before the mark is there.
    for fault in [Fault::DropBeforeWrite, Fault::DropAfterWrite] {
        let cluster = start().await;
        cluster.server.faults().add(Rule::on("patch", "machines").times(1), fault);
        assert_eq!(removed(&provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await), "Unknown");
        assert_eq!(replicas(&cluster), 3);
        assert_eq!(provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await, RemovalOutcome::Accepted);
        assert_eq!(replicas(&cluster), 2);
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_apart_and_a_refusal_leaves_no_mark() {
    let status = |code| Fault::Status { code, retry_after: None };
    for (verb, resource, fault, times, expected, size, marked) in [
        ("update", "machinedeployments/scale", status(403), 1, "Unauthorized", 3, false),
        ("update", "machinedeployments/scale", status(422), 1, "Invalid", 3, false),
        ("update", "machinedeployments/scale", status(429), 1, "RateLimited", 3, false),
        ("update", "machinedeployments/scale", status(500), 1, "Unknown", 3, true),
        ("update", "machinedeployments/scale", status(409), 4, "Accepted", 2, true),
        ("update", "machinedeployments/scale", status(409), 9, "Unknown", 3, true),
        ("patch", "machines", status(403), 1, "Unauthorized", 3, false),
        ("patch", "machines", status(409), 1, "Unknown", 3, false),
        ("patch", "machines", status(404), 1, "Unknown", 3, false),
        ("get", "machinedeployments/scale", status(403), 1, "Unknown", 3, false),
        ("list", "machines", status(403), 1, "Unknown", 3, false),
    ] {
        let cluster = start().await;
        cluster.server.faults().add(Rule::on(verb, resource).times(times), fault.clone());
        let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
        cluster.server.faults().clear();
        let found = (removed(&outcome), replicas(&cluster), mark(&cluster, 2).is_some());
        assert_eq!(found, (expected, size, marked), "{verb} {resource} {fault:?}: {outcome:?}");
        let again = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
        assert_eq!((removed(&again), replicas(&cluster)), ("Accepted", 2), "{verb} {resource} {fault:?}");
    }
}

#[tokio::test]
async fn a_size_that_is_another_by_now_is_left_alone() {
    // Larger: several machines would go.
    let cluster = start().await;
    resize(&cluster, 5);
    let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
    assert_eq!((removed(&outcome), replicas(&cluster), mark(&cluster, 2)), ("Other", 5, None), "{outcome:?}");
    // Smaller, before this machine was marked: another one went for it.
    let cluster = start().await;
    resize(&cluster, 2);
    let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
    assert_eq!((removed(&outcome), replicas(&cluster), mark(&cluster, 2)), ("Other", 2, None), "{outcome:?}");
    // Smaller, with the mark, but another one went all the same.
    let cluster = start().await;
    assert_eq!(provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await, RemovalOutcome::Accepted);
    cluster.store().delete(MACHINES, "clusters", "web-3");
    let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
    assert_eq!((removed(&outcome), replicas(&cluster), mark(&cluster, 2)), ("Other", 2, None), "{outcome:?}");
}

#[tokio::test]
async fn it_is_sure_which_machine_goes_or_none_does() {
    // Somebody else marked another one.
    let cluster = start().await;
    change(&cluster, 3, |machine| machine["metadata"]["annotations"] = json!({MARK: "yes"}));
    let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
    assert!(matches!(&outcome, RemovalOutcome::Unknown(text) if text.contains("clusters/web-3")), "{outcome:?}");
    assert_eq!((replicas(&cluster), mark(&cluster, 2)), (3, None));
    // It goes: nothing is in the way any more.
    cluster.store().delete(MACHINES, "clusters", "web-3");
    assert_eq!(removed(&provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await), "Accepted");
    // While a deployment rolls out, its sets get smaller as it chooses.
    let cluster = start().await;
    change(&cluster, 1, |machine| machine["metadata"]["labels"] = labels("web-xyz"));
    let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
    assert!(matches!(&outcome, RemovalOutcome::Unknown(text) if text.contains("rolled out")), "{outcome:?}");
    assert_eq!((replicas(&cluster), writes(&cluster).len()), (3, 0));
}

#[tokio::test]
async fn what_makes_no_sense_is_not_sent() {
    let cluster = start().await;
    let loose = machine(8, json!({"cluster.x-k8s.io/deployment-name": "by-hand"}));
    cluster.store().create(loose).expect("created");
    for (removal, expected) in [
        (second(None), "Invalid"),
        (second(Some(0)), "Invalid"),
        (removal("n2", Some("aws:///i-2"), Some("other"), Some(3)), "Invalid"),
        (removal("n8", Some("aws:///i-8"), Some("web"), Some(3)), "Invalid"),
        (removal("n9", Some("aws:///i-9"), Some("web"), Some(3)), "Gone"),
        (removal("n9", Some("aws:///i-9"), None, Some(3)), "Gone"),
        // Nothing says that it ever was a machine.
        (removal("n9", Some("aws:///i-9"), None, None), "Invalid"),
        // The name is that of another machine by now.
        (removal("n2", Some("aws:///i-0"), Some("web"), Some(3)), "Gone"),
    ] {
        let outcome = provider(&cluster).remove(&cluster.permit(), &removal).await;
        assert_eq!(removed(&outcome), expected, "{removal:?}: {outcome:?}");
    }
    assert!(writes(&cluster).is_empty(), "{:?}", writes(&cluster));
    for (removal, size) in [
        (removal("n2", None, None, None), Some(3)),
        (removal("n8", Some("aws:///i-8"), None, None), None),
        (removal("n9", None, Some("web"), None), None),
    ] {
        assert_eq!(provider(&cluster).removal_baseline(&removal).await.ok().flatten(), size, "{removal:?}");
    }
    change(&cluster, 3, |machine| machine["spec"]["providerID"] = "aws:///i-2".into());
    let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
    assert_eq!(removed(&outcome), "Invalid", "{outcome:?}");
}

#[tokio::test]
async fn the_smallest_size_is_kept() {
    let cluster = start().await;
    cluster
        .store()
        .update(DEPLOYMENTS, "clusters", "web", |web| {
            let key = "cluster.x-k8s.io/cluster-api-autoscaler-node-group-min-size";
            web["metadata"]["annotations"][key] = "3".into();
        })
        .expect("there");
    let outcome = provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await;
    assert!(matches!(&outcome, RemovalOutcome::Failed(failure) if failure.message().contains("keep 3")), "{outcome:?}");
    assert_eq!((replicas(&cluster), mark(&cluster, 2)), (3, None));
}

#[tokio::test]
async fn a_pool_goes_by_its_machines_if_it_has_any() {
    let cluster = start().await;
    cluster.store().create(object("MachinePool", "pool", 2)).expect("created");
    let of_pool = || removal("n7", Some("aws:///i-7"), Some("clusters/pool"), Some(2));
    let outcome = provider(&cluster).remove(&cluster.permit(), &of_pool()).await;
    assert!(matches!(&outcome, RemovalOutcome::Failed(failure) if failure.message().contains("has no Machines")));
    let inventory = provider(&cluster).inventory().await.expect("an inventory");
    assert_eq!(inventory.machine_state("n7", Some("aws:///i-7")), MachineState::Unknown);
    let pool = "machinepools.cluster.x-k8s.io";
    for number in [7, 8] {
        cluster.store().create(machine(number, json!({"cluster.x-k8s.io/pool-name": "pool"}))).expect("created");
    }
    assert_eq!(provider(&cluster).remove(&cluster.permit(), &of_pool()).await, RemovalOutcome::Accepted);
    assert_eq!(cluster.store().get(pool, "clusters", "pool").expect("there")["spec"]["replicas"], 1);
    assert_eq!((mark(&cluster, 7).as_deref(), mark(&cluster, 8)), (Some("d-7"), None));
}

#[tokio::test]
async fn without_leadership_nothing_is_sent() {
    let cluster = start().await;
    let permit = cluster.permit();
    cluster.setter.resign();
    assert_eq!(removed(&provider(&cluster).remove(&permit, &second(Some(3))).await), "Unknown");
    assert!(writes(&cluster).is_empty());
    // Machines that may not be listed are not gone.
    cluster.lead(2);
    cluster.server.deny("*", "list", "cluster.x-k8s.io", "machines");
    assert_eq!(removed(&provider(&cluster).remove(&cluster.permit(), &second(Some(3))).await), "Unknown");
    let inventory = provider(&cluster).inventory().await.expect("an inventory");
    assert_eq!(inventory.machine_state("n2", Some("aws:///i-2")), MachineState::Unknown);
}

#[derive(Clone, Debug)]
enum Mishap {
    Mark(Fault),
    Size(Fault),
    Reconciled,
    Touched,
}

fn mishap() -> impl Strategy<Value = Mishap> {
    let fault = prop_oneof![
        Just(Fault::DropAfterWrite),
        Just(Fault::DropBeforeWrite),
        Just(Fault::Status { code: 500, retry_after: None }),
        Just(Fault::Status { code: 409, retry_after: None }),
        Just(Fault::Status { code: 403, retry_after: None }),
    ];
    prop_oneof![
        fault.clone().prop_map(Mishap::Mark),
        fault.prop_map(Mishap::Size),
        Just(Mishap::Reconciled),
        Just(Mishap::Touched),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to writes and processes, the same removals end with exactly those machines going.
    #[test]
    fn the_others_stay(mishaps in proptest::collection::vec(mishap(), 0..8)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (size, going) = runtime.block_on(async {
            let cluster = start().await;
            let mut mishaps = mishaps.into_iter();
            for number in [3, 1] {
                let (node, id) = (format!("n{number}"), format!("aws:///i-{number}"));
                let mut removal = removal(&node, Some(&id), Some("web"), None);
                removal.baseline = provider(&cluster).removal_baseline(&removal).await.expect("a size");
                for tries in 0.. {
                    assert!(tries < 14, "it never ends");
                    match mishaps.next() {
                        Some(Mishap::Mark(fault)) => _ = cluster.server.faults().add(Rule::on("patch", "*").times(1), fault),
                        Some(Mishap::Size(fault)) => _ = cluster.server.faults().add(Rule::on("update", "*").times(1), fault),
                        Some(Mishap::Reconciled) => reconcile(&cluster),
                        Some(Mishap::Touched) => {
                            let touch = |object: &mut Value| object["metadata"]["labels"] = json!({"touched": "yes"});
                            cluster.store().update(DEPLOYMENTS, "clusters", "web", touch).expect("touched");
                        }
                        None => {}
                    }
                    // Each try is a process of its own.
                    if removed(&provider(&cluster).remove(&cluster.permit(), &removal).await) == "Accepted" {
                        break;
                    }
                }
                reconcile(&cluster);
            }
            (replicas(&cluster), leaving(&cluster))
        });
        prop_assert_eq!(size, 1);
        prop_assert_eq!(going, ["web-1", "web-3"]);
    }
}
