//! What runs.

use serde_json::{Value, json};

use super::placement::{Place, Placement};
use super::pods::{Life, Owner, PodPlan, Priority, with};

/// A workload with its replicas.
struct Workload {
    namespace: &'static str,
    app: &'static str,
    owner: Owner,
    place: Place,
    /// In thousandths.
    cpu: u64,
    /// In MiB.
    memory: u64,
    priority: Priority,
    tweak: fn(&mut Value),
}

const ON_DEMAND: fn(&mut Value) = |pod| with::lifecycle(pod, "od");
const NOTHING: fn(&mut Value) = |_| {};
const CONTROL: Place = Place::On(&["control-1", "control-2", "control-3"]);

/// In the order in which they are placed: what is large first, so that the last fill the gaps.
#[rustfmt::skip]
const WORKLOADS: &[Workload] = &[
    // On every node.
    row("kube-system", "kube-proxy", Owner::DaemonSet, Place::Everywhere, 100, 0, Priority::Node, tolerate_all),
    row("kube-system", "vpc-cni", Owner::DaemonSet, Place::Everywhere, 50, 0, Priority::Node, tolerate_all),
    row("monitoring", "node-exporter", Owner::DaemonSet, Place::On(EXPORTED), 50, 64, Priority::Node, exporter),
    // The control plane's own.
    row("kube-system", "kube-apiserver", Owner::Node, CONTROL, 500, 2048, Priority::Node, mirror),
    row("kube-system", "etcd", Owner::Node, CONTROL, 500, 2048, Priority::Node, mirror),
    row("kube-system", "kube-controller-manager", Owner::Node, CONTROL, 200, 512, Priority::Node, mirror),
    row("kube-system", "kube-scheduler", Owner::Node, CONTROL, 100, 256, Priority::Node, mirror),
    // On-demand nodes: what customers see and pay with. They are full.
    row("shop", "search", Owner::Deployment, Place::Spread("general", 5), 1500, 4096, Priority::Business, ON_DEMAND),
    row("data", "kafka", Owner::StatefulSet, Place::Spread("general", 3), 1500, 4096, Priority::Business, kafka),
    row("shop", "payments", Owner::Deployment, Place::Spread("general", 4), 900, 1024, Priority::Business, ON_DEMAND),
    row("shop", "storefront", Owner::Deployment, Place::Spread("general", 14), 800, 1024, Priority::Business, ON_DEMAND),
    row("shop", "checkout", Owner::Deployment, Place::Spread("general", 6), 700, 768, Priority::Business, ON_DEMAND),
    row("shop", "catalog", Owner::Deployment, Place::Spread("general", 8), 600, 1024, Priority::Plain, ON_DEMAND),
    row("shop", "cart", Owner::StatefulSet, Place::Spread("general", 3), 500, 1024, Priority::Business, |pod| { with::lifecycle(pod, "od"); with::claim(pod); }),
    row("ingress", "ingress-nginx", Owner::Deployment, Place::On(&["general-1", "general-2", "general-3"]), 400, 512, Priority::Business, ingress),
    row("shop", "pricing", Owner::Deployment, Place::Spread("general", 3), 300, 512, Priority::Plain, ON_DEMAND),
    row("kube-system", "metrics-server", Owner::Deployment, Place::Spread("general", 1), 100, 200, Priority::Cluster, ON_DEMAND),
    row("kube-system", "coredns", Owner::Deployment, Place::Spread("general", 2), 100, 170, Priority::Cluster, ON_DEMAND),
    row("plimsoll-system", "plimsoll", Owner::Deployment, Place::Spread("general", 2), 100, 128, Priority::Node, ON_DEMAND),
    row("shop", "vat-lookup", Owner::Deployment, Place::On(&["general-12"]), 450, 512, Priority::Plain, ON_DEMAND),
    row("monitoring", "alertmanager", Owner::StatefulSet, Place::Spread("general", 2), 50, 128, Priority::Plain, ON_DEMAND),
    // Spot nodes: what may be interrupted. One reason to stay on each of the first six.
    row("shop", "recommendation", Owner::Deployment, Place::On(&["spot-1", "spot-1", "spot-1", "spot-1"]), 700, 2048, Priority::Plain, NOTHING),
    row("shop", "image-resizer", Owner::Deployment, Place::On(&["spot-2", "spot-3", "spot-4", "spot-5", "spot-6"]), 900, 1024, Priority::Low, with::scratch),
    row("shop", "feed-export", Owner::Deployment, Place::On(&["spot-2"]), 800, 1024, Priority::Low, |pod| with::label(pod, "spotinst.io/restrict-scale-down", "true")),
    row("shop", "price-crawler", Owner::Deployment, Place::On(&["spot-3"]), 600, 512, Priority::Low, |pod| with::annotation(pod, "cluster-autoscaler.kubernetes.io/safe-to-evict", "false")),
    row("shop", "debug-shell", Owner::Nothing, Place::On(&["spot-4"]), 100, 128, Priority::Plain, NOTHING),
    row("shop", "admin-ui", Owner::Deployment, Place::On(&["spot-5"]), 300, 512, Priority::Plain, |pod| with::label(pod, "spot.io/pre-eviction-warmup", "300s")),
    row("shop", "reviews", Owner::Deployment, Place::On(&["spot-6", "spot-6"]), 500, 512, Priority::Plain, NOTHING),
    row("shop", "wishlist", Owner::Deployment, Place::On(&["spot-7", "spot-9"]), 400, 512, Priority::Plain, NOTHING),
    row("shop", "mailer", Owner::Deployment, Place::On(&["spot-7", "spot-10"]), 200, 256, Priority::Low, NOTHING),
    row("shop", "sitemap", Owner::Deployment, Place::On(&["spot-7"]), 200, 256, Priority::Low, |pod| with::label(pod, "spot.io/pre-eviction-warmup", "90s")),
    row("shop", "newsletter", Owner::Deployment, Place::On(&["spot-9", "spot-11"]), 150, 256, Priority::Low, NOTHING),
    // Nodes for what needs memory.
    row("data", "postgres", Owner::StatefulSet, Place::On(&["memory-1", "memory-2", "memory-3"]), 3000, 24_576, Priority::Business, postgres),
    row("monitoring", "prometheus", Owner::StatefulSet, Place::On(&["memory-1", "memory-2"]), 1500, 16_384, Priority::Plain, |pod| { with::workload(pod, "memory"); with::claim(pod); }),
    row("data", "redis", Owner::StatefulSet, Place::On(&["memory-3"]), 1000, 12_288, Priority::Business, |pod| with::workload(pod, "memory")),
    row("monitoring", "grafana", Owner::Deployment, Place::On(&["memory-4"]), 200, 512, Priority::Plain, |pod| with::workload(pod, "memory")),
    row("monitoring", "loki", Owner::Deployment, Place::On(&["memory-4"]), 500, 4096, Priority::Plain, |pod| with::workload(pod, "memory")),
    // Jobs.
    row("batch", "demand-forecast", Owner::Job, Place::On(&["batch-1"]), 5000, 8192, Priority::Low, |pod| { with::workload(pod, "batch"); with::annotation(pod, "cluster-autoscaler.kubernetes.io/safe-to-evict", "false"); }),
    row("batch", "index-rebuild", Owner::Job, Place::On(&["batch-2"]), 6000, 8192, Priority::Low, |pod| { with::workload(pod, "batch"); with::label(pod, "spotinst.io/restrict-scale-down", "true"); }),
    row("batch", "thumbnails", Owner::Job, Place::On(&["batch-3"]), 1500, 2048, Priority::Low, |pod| with::workload(pod, "batch")),
    row("batch", "click-stream", Owner::Job, Place::On(&["batch-4", "batch-4"]), 1000, 2048, Priority::Low, |pod| with::workload(pod, "batch")),
    row("batch", "nightly-report", Owner::Job, Place::On(&["spot-6"]), 400, 512, Priority::Plain, NOTHING),
];

/// Jobs of CronJobs that have ended: the app and where each ran.
const FINISHED: [(&str, &[&str]); 3] = [
    ("db-backup", &["memory-4", "memory-4", "memory-4"]),
    ("invoice-run", &["general-5", "general-9"]),
    ("cache-warmer", &["spot-8", "spot-8", "spot-1"]),
];

/// Every node but the one that has no room for the exporter.
#[rustfmt::skip]
const EXPORTED: &[&str] = &[
    "control-1", "control-2", "control-3", "general-1", "general-2", "general-3", "general-4", "general-5", "general-6",
    "general-7", "general-8", "general-9", "general-10", "general-11", "spot-1", "spot-2", "spot-3", "spot-4", "spot-5",
    "spot-6", "spot-7", "spot-8", "spot-9", "spot-10", "spot-11", "memory-1", "memory-2", "memory-3", "memory-4",
    "batch-1", "batch-2", "batch-3", "batch-4",
];

#[allow(clippy::too_many_arguments, reason = "one line of the table")]
const fn row(
    namespace: &'static str,
    app: &'static str,
    owner: Owner,
    place: Place,
    cpu: u64,
    memory: u64,
    priority: Priority,
    tweak: fn(&mut Value),
) -> Workload {
    Workload { namespace, app, owner, place, cpu, memory, priority, tweak }
}

/// All pods that have a node.
pub fn pods() -> Vec<Value> {
    let mut placement = Placement::default();
    let mut pods = Vec::new();
    for workload in WORKLOADS {
        let keys = placement.place(workload.place, workload.cpu);
        pods.extend(keys.into_iter().enumerate().map(|(index, key)| workload.pod(index, Life::Runs(key)).object()));
    }
    for (app, keys) in FINISHED {
        let job = row("batch", app, Owner::Job, Place::On(keys), 250, 256, Priority::Plain, NOTHING);
        pods.extend(keys.iter().enumerate().map(|(index, key)| job.pod(index, Life::Succeeded(key)).object()));
    }
    pods
}

impl Workload {
    fn pod(&self, index: usize, life: Life) -> PodPlan {
        let Self { namespace, app, owner, cpu, memory, priority, tweak, .. } = *self;
        PodPlan { namespace, app, owner, index, cpu, memory, priority, life, tweak }
    }
}

fn tolerate_all(pod: &mut Value) {
    pod["spec"]["hostNetwork"] = json!(true);
    pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    if let Some(requests) = pod["spec"]["containers"][0]["resources"]["requests"].as_object_mut() {
        requests.remove("memory");
    }
}

/// The node exporter listens on the node's own port.
pub fn exporter(pod: &mut Value) {
    pod["spec"]["hostNetwork"] = json!(true);
    pod["spec"]["tolerations"] = json!([{"operator": "Exists"}]);
    pod["spec"]["containers"][0]["ports"] = json!([{"containerPort": 9100, "hostPort": 9100, "protocol": "TCP"}]);
    pod["spec"]["volumes"] = json!([{"hostPath": {"path": "/proc", "type": ""}, "name": "proc"}]);
}

fn mirror(pod: &mut Value) {
    let hash = pod["metadata"]["uid"].as_str().unwrap_or_default().replace('-', "");
    with::annotation(pod, "kubernetes.io/config.mirror", &hash);
    with::annotation(pod, "kubernetes.io/config.source", "file");
    pod["spec"]["hostNetwork"] = json!(true);
    pod["spec"]["tolerations"] = json!([{"effect": "NoExecute", "operator": "Exists"}]);
}

fn kafka(pod: &mut Value) {
    with::lifecycle(pod, "od");
    with::apart(pod);
    with::claim(pod);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(120);
}

fn postgres(pod: &mut Value) {
    with::workload(pod, "memory");
    with::apart(pod);
    with::claim(pod);
    pod["spec"]["terminationGracePeriodSeconds"] = json!(600);
    // A sidecar that ships the log, and a check before the start.
    pod["spec"]["initContainers"] = json!([
        {
            "image": "registry.shop.example/wal-shipper:2026.11.3",
            "name": "wal-shipper",
            "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}},
            "restartPolicy": "Always",
        },
        {
            "image": "registry.shop.example/postgres:2026.11.3",
            "name": "check-volume",
            "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}},
        },
    ]);
}

fn ingress(pod: &mut Value) {
    with::lifecycle(pod, "od");
    pod["spec"]["containers"][0]["ports"] = json!([
        {"containerPort": 80, "hostPort": 80, "protocol": "TCP"},
        {"containerPort": 443, "hostPort": 443, "protocol": "TCP"},
    ]);
}
