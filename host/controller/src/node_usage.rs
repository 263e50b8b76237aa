//! What the nodes of each group have, and what is requested and used of it: for people. Decisions go by requests, never
//! by usage (`ocean-features`, A8).

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use plimsoll_kube::{ApiError, Feature, Resource};
use plimsoll_model::{GroupIndex, NodeGroup, Quantity, Snapshot};
use serde_json::Value;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::Parts;
use crate::metrics::GroupAmount;

/// The metrics server itself looks about as often.
const EVERY: Duration = Duration::from_secs(60);

/// Looks once a minute while this replica leads.
pub async fn look(parts: Parts, stop: CancellationToken) {
    let (mut mirror, mut leadership) = (parts.mirror.clone(), parts.leadership.clone());
    let mut server = MetricsServer::default();
    let mut shown = false;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            // At the start the cluster is not known yet.
            Ok(()) = mirror.changed(), if !shown => {},
            () = leadership.changed() => {},
            _ = ticks.tick() => {},
        }
        shown = false;
        let view = mirror.latest().filter(|_| parts.leadership.leads());
        let Some(view) = view else {
            show(&parts, &BTreeMap::new());
            continue;
        };
        let settings = parts.settings.borrow().clone();
        let used = if settings.usage && parts.features.is_on(Feature::NodeMetrics) {
            match stop.run_until_cancelled(parts.api.list(&Resource::NODE_METRICS, "", "")).await {
                None => return,
                Some(answer) => server.hear(answer, &parts),
            }
        } else {
            HashMap::new()
        };
        show(&parts, &by_group(&view.snapshot, &settings.scale_up.groups, &used));
        shown = true;
    }
}

/// CPU in cores, memory in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Amount {
    cores: f64,
    bytes: f64,
}

/// What there is of a group.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct GroupUse {
    requested: Amount,
    allocatable: Amount,
    /// `None` if nothing is known of any of its nodes.
    used: Option<Amount>,
}

/// Whether it answers: said when that changes.
#[derive(Debug, Default)]
struct MetricsServer {
    silent: bool,
}

impl MetricsServer {
    fn hear(&mut self, answer: Result<Vec<Value>, ApiError>, parts: &Parts) -> HashMap<String, Amount> {
        match answer {
            Ok(items) => {
                self.silent = false;
                usage(&items)
            }
            Err(error) => {
                if !self.silent {
                    tracing::info!(%error, "the metrics server does not say how busy nodes are; nothing depends on it");
                }
                self.silent = true;
                parts.features.failed(&error);
                HashMap::new()
            }
        }
    }
}

/// Usage by node. What cannot be read is left out.
fn usage(items: &[Value]) -> HashMap<String, Amount> {
    let read = |item: &Value| {
        let quantity = |key: &str| Quantity::parse_amount(item["usage"][key].as_str()?).ok();
        let cores = exact(quantity("cpu")?.milli_units()) / 1000.0;
        let bytes = exact(quantity("memory")?.units());
        Some((item["metadata"]["name"].as_str()?.to_owned(), Amount { cores, bytes }))
    };
    items.iter().filter_map(read).collect()
}

/// By the name of the group; nodes of no group are under the empty one.
fn by_group(snapshot: &Snapshot, groups: &[NodeGroup], used: &HashMap<String, Amount>) -> BTreeMap<String, GroupUse> {
    let index = GroupIndex::of(groups);
    let mut all: BTreeMap<String, GroupUse> = BTreeMap::new();
    for (id, node) in snapshot.nodes().filter(|(_, node)| !node.launching) {
        let group = index.group_of(node).map(|(_, group)| group.name.to_string()).unwrap_or_default();
        let sum = all.entry(group).or_default();
        let requested = snapshot.requested_on(id);
        sum.requested.add(requested.cpu.0, requested.memory.0);
        sum.allocatable.add(node.allocatable.cpu.0, node.allocatable.memory.0);
        if let Some(used) = used.get(node.name.as_str()) {
            let sum = sum.used.get_or_insert_default();
            sum.cores += used.cores;
            sum.bytes += used.bytes;
        }
    }
    all
}

impl Amount {
    fn add(&mut self, millis: u64, bytes: u64) {
        self.cores += exact(millis) / 1000.0;
        self.bytes += exact(bytes);
    }
}

/// As Prometheus takes it; exact up to 2^53.
#[expect(clippy::cast_precision_loss, reason = "a gauge is a float")]
fn exact(amount: u64) -> f64 {
    amount as f64
}

fn show(parts: &Parts, groups: &BTreeMap<String, GroupUse>) {
    let tell = |what, amount: &dyn Fn(&GroupUse) -> Option<Amount>| {
        let rows = groups.iter().filter_map(|(group, sums)| {
            let Amount { cores, bytes } = amount(sums)?;
            Some((group.clone(), cores, bytes))
        });
        parts.metrics.group_amounts(what, rows);
    };
    tell(GroupAmount::Requested, &|sums| Some(sums.requested));
    tell(GroupAmount::Allocatable, &|sums| Some(sums.allocatable));
    tell(GroupAmount::Used, &|sums| sums.used);
}

#[cfg(test)]
mod tests {
    use plimsoll_apiserver::Options;
    use serde_json::json;

    use super::*;
    use crate::Settings;
    use crate::fixture::Fixture;

    fn metrics(node: &str, cpu: &str, memory: &str) -> Value {
        json!({
            "apiVersion": "metrics.k8s.io/v1beta1", "kind": "NodeMetrics", "metadata": {"name": node},
            "timestamp": "2026-11-20T10:00:00Z", "window": "20s", "usage": {"cpu": cpu, "memory": memory},
        })
    }

    fn pod(name: &str, node: &str) -> Value {
        json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
            "spec": {"nodeName": node, "containers": [
                {"name": "c", "image": "example.com/c:1", "resources": {"requests": {"cpu": "500m", "memory": "1Gi"}}},
            ]},
            "status": {"phase": "Running"},
        })
    }

    #[test]
    fn usage_that_cannot_be_read_is_left_out() {
        let items = [
            metrics("n1", "1500000001n", "1Ki"),
            metrics("n2", "-1", "1Ki"),
            metrics("n3", "x", "1Ki"),
            json!({"metadata": {"name": "n4"}}),
            json!({"metadata": {}, "usage": {"cpu": "1", "memory": "1"}}),
            json!({"metadata": {"name": "n5"}, "usage": {"cpu": 1, "memory": []}}),
            json!("n6"),
            Value::Null,
        ];
        assert_eq!(usage(&items), [("n1".to_owned(), Amount { cores: 1.501, bytes: 1024.0 })].into());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn groups_show_what_is_requested_there_and_used() {
        let options = Options { metrics_api: true, ..Options::default() };
        let mut fixture = Fixture::start(&[Feature::Watch, Feature::NodeMetrics], options).await;
        let store = fixture.server.store().clone();
        for (name, group) in [("n1", "g"), ("n2", "g"), ("n3", "nobody's")] {
            fixture.node(name, group, true);
        }
        store.apply(pod("web", "n1")).expect("a pod");
        for item in [metrics("n1", "250m", "2Gi"), metrics("n2", "1", "1Gi"), metrics("gone", "9", "9Gi")] {
            store.apply(item).expect("metrics");
        }
        fixture.shows("all", |snapshot| snapshot.nodes().count() == 3 && snapshot.pods().count() == 1).await;
        tokio::spawn(look(fixture.parts.clone(), fixture.stop.clone()));
        for line in [
            "plimsoll_group_allocatable_cpu_cores{group=\"g\"} 7.0",
            "plimsoll_group_allocatable_memory_bytes{group=\"g\"} 17179869184.0",
            "plimsoll_group_requested_cpu_cores{group=\"g\"} 0.5",
            "plimsoll_group_requested_memory_bytes{group=\"g\"} 1073741824.0",
            "plimsoll_group_used_cpu_cores{group=\"g\"} 1.25",
            "plimsoll_group_used_memory_bytes{group=\"g\"} 3221225472.0",
            "plimsoll_group_allocatable_cpu_cores{group=\"\"} 3.5",
        ] {
            fixture.until(line, |fixture| fixture.says(line)).await;
        }
        assert!(!fixture.parts.metrics.text().contains("plimsoll_group_used_cpu_cores{group=\"\"}"), "not known");
        fixture.leader.resign();
        let forgotten =
            |fixture: &Fixture| !fixture.parts.metrics.text().contains("plimsoll_group_requested_cpu_cores{");
        fixture.until("whoever does not lead says nothing", forgotten).await;
        fixture.stop.cancel();
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn without_a_metrics_server_or_when_it_is_not_wanted_the_rest_is_shown() {
        for (served, usage) in [(false, true), (true, false)] {
            let options = Options { metrics_api: served, ..Options::default() };
            let mut fixture = Fixture::start(&[Feature::Watch, Feature::NodeMetrics], options).await;
            let settings = Settings { usage, ..(**fixture.settings.borrow()).clone() };
            fixture.settings.send_replace(std::sync::Arc::new(settings));
            fixture.node("n1", "g", true);
            if served {
                fixture.server.store().apply(metrics("n1", "1", "1Gi")).expect("metrics");
            }
            fixture.shows("a node", |snapshot| snapshot.nodes().count() == 1).await;
            tokio::spawn(look(fixture.parts.clone(), fixture.stop.clone()));
            let line = "plimsoll_group_allocatable_cpu_cores{group=\"g\"} 3.5";
            fixture.until(line, |fixture| fixture.says(line)).await;
            assert!(!fixture.parts.metrics.text().contains("plimsoll_group_used_cpu_cores{"));
            let asked = fixture
                .server
                .requests()
                .iter()
                .any(|logged| logged.group == "metrics.k8s.io" || logged.resource.contains("metrics.k8s.io"));
            assert_eq!(asked, usage, "asked only where it is wanted");
            fixture.stop.cancel();
        }
    }
}
