//! What waits for a node, and why.

use serde_json::{Value, json};

use super::nodes;
use super::pods::{Life, Owner, PodPlan, Priority, with};
use super::workloads::exporter;

const NO_CPU: &str =
    "0/34 nodes are available: 12 Insufficient cpu, 22 node(s) didn't match Pod's node affinity/selector.";
const NO_GPU: &str = "0/34 nodes are available: 34 Insufficient nvidia.com/gpu.";
const NO_MEMORY: &str =
    "0/34 nodes are available: 30 node(s) didn't match Pod's node affinity/selector, 4 Insufficient memory.";
const NO_MATCH: &str = "0/34 nodes are available: 34 node(s) didn't match Pod's node affinity/selector.";
const TAINTED: &str = "0/34 nodes are available: 30 node(s) didn't match Pod's node affinity/selector, 4 node(s) had untolerated taint {workload: memory}.";

/// All pods that have no node.
pub fn pods() -> Vec<Value> {
    plans().iter().map(PodPlan::object).collect()
}

#[rustfmt::skip]
fn plans() -> Vec<PodPlan> {
    let mut plans = Vec::new();
    // A sale has begun: more of the same, on demand only.
    plans.extend(more("shop", "storefront", 14..23, 800, 1024, Priority::Business, NO_CPU, |pod| with::lifecycle(pod, "od")));
    plans.extend(more("shop", "checkout", 6..10, 700, 768, Priority::Business, NO_CPU, |pod| with::lifecycle(pod, "od")));
    plans.extend(more("shop", "ledger", 0..1, 2000, 4096, Priority::Business, NO_CPU, |pod| with::lifecycle(pod, "od")));
    // Batch work on spot nodes, each as large as a node of the group nearly is.
    plans.extend(jobs("sales-simulation", 4, 7000, 10_240, NO_CPU, |pod| { with::workload(pod, "batch"); with::lifecycle(pod, "spot"); }));
    // A group that stands at zero.
    plans.extend(jobs("recommend-train", 4, 3000, 10_240, NO_GPU, gpu));
    // More memory than is left on any node.
    plans.extend(jobs("fraud-graph", 1, 4000, 57_344, NO_MEMORY, |pod| with::workload(pod, "memory")));
    // These can never run here.
    plans.extend(jobs("genome-import", 1, 64_000, 262_144, NO_CPU, |pod| with::workload(pod, "batch")));
    plans.extend(more("data", "clickhouse", 0..1, 2000, 8192, Priority::Plain, NO_MATCH, |pod| pod["spec"]["nodeSelector"] = json!({"disktype": "nvme"})));
    plans.extend(more("shop", "session-store", 0..1, 1000, 4096, Priority::Plain, TAINTED, |pod| pod["spec"]["nodeSelector"] = json!({"plimsoll.dev/node-group": "memory"})));
    // These wait for something else than a node.
    plans.extend(jobs("quota-report", 1, 500, 512, "", gated));
    plans.extend(more("shop", "fraud-check", 0..1, 1500, 1024, Priority::Business, NO_CPU, nominated));
    plans.push(PodPlan { owner: Owner::DaemonSet, index: 99, ..plan("monitoring", "node-exporter", 50, 64, Priority::Node, "0/34 nodes are available: 1 Insufficient cpu, 33 node(s) didn't match Pod's node affinity/selector.", pinned_exporter) });
    plans
}

fn plan(
    namespace: &'static str,
    app: &'static str,
    cpu: u64,
    memory: u64,
    priority: Priority,
    why: &'static str,
    tweak: fn(&mut Value),
) -> PodPlan {
    PodPlan { namespace, app, owner: Owner::Deployment, index: 0, cpu, memory, priority, life: Life::Waits(why), tweak }
}

#[allow(clippy::too_many_arguments, reason = "one line of the table")]
fn more(
    namespace: &'static str,
    app: &'static str,
    indexes: std::ops::Range<usize>,
    cpu: u64,
    memory: u64,
    priority: Priority,
    why: &'static str,
    tweak: fn(&mut Value),
) -> impl Iterator<Item = PodPlan> {
    indexes.map(move |index| PodPlan { index, ..plan(namespace, app, cpu, memory, priority, why, tweak) })
}

fn jobs(
    app: &'static str,
    count: usize,
    cpu: u64,
    memory: u64,
    why: &'static str,
    tweak: fn(&mut Value),
) -> impl Iterator<Item = PodPlan> {
    more("batch", app, 0..count, cpu, memory, Priority::Low, why, tweak)
        .map(|plan| PodPlan { owner: Owner::Job, ..plan })
}

fn gpu(pod: &mut Value) {
    let resources = &mut pod["spec"]["containers"][0]["resources"];
    resources["limits"] = json!({"nvidia.com/gpu": "1"});
    resources["requests"]["nvidia.com/gpu"] = json!("1");
    pod["spec"]["tolerations"] = json!([{"effect": "NoSchedule", "key": "nvidia.com/gpu", "operator": "Exists"}]);
}

fn gated(pod: &mut Value) {
    pod["spec"]["schedulingGates"] = json!([{"name": "quota.shop.example/approved"}]);
    let condition = &mut pod["status"]["conditions"][0];
    condition["reason"] = json!("SchedulingGated");
    condition["message"] = json!("Scheduling is blocked due to non-empty scheduling gates");
}

/// The scheduler is making room for it by preemption.
fn nominated(pod: &mut Value) {
    with::lifecycle(pod, "od");
    pod["status"]["nominatedNodeName"] = json!(nodes::find("general-7").name());
}

/// The DaemonSet's controller pins its pods to their node by a field.
fn pinned_exporter(pod: &mut Value) {
    exporter(pod);
    let node = nodes::find("general-12").name();
    pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"] =
        json!({"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]});
}
