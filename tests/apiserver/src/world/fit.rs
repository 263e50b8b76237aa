//! Why a pod cannot run on a node: the filters of a scheduler, the simple ones.

use std::collections::BTreeMap;

use serde_json::Value;

use super::object::{self, list, text};
use super::quantity::milli;
use crate::semantics::condition;

/// Resources in thousandths.
pub(super) type Resources = BTreeMap<String, i128>;

/// A port of a node that a pod takes: protocol, address and number.
type HostPort = (String, String, i64);

/// A node and what is taken of it.
pub(super) struct Place<'a> {
    /// The node.
    pub node: &'a Value,
    allocatable: Resources,
    taken: Resources,
    pods: i128,
    ports: Vec<HostPort>,
}

/// What a pod asks of a node.
pub(super) struct Demand {
    requests: Resources,
    ports: Vec<HostPort>,
}

// === impl Demand ===

impl Demand {
    pub(super) fn of(pod: &Value) -> Self {
        let mut requests = Resources::new();
        let mut ports = Vec::new();
        for container in list(pod, "/spec/containers") {
            add(&mut requests, &requests_of(container));
            for port in list(container, "/ports") {
                let number = port["hostPort"].as_i64().unwrap_or_default();
                if number > 0 {
                    let or = |field: &str, default: &str| port[field].as_str().unwrap_or(default).to_owned();
                    ports.push((or("protocol", "TCP"), or("hostIP", "0.0.0.0"), number));
                }
            }
        }
        // Sidecars run beside all others; other init containers run alone, beside the sidecars started before them.
        let mut sidecars = Resources::new();
        let mut peak = Resources::new();
        for container in list(pod, "/spec/initContainers") {
            let mut own = requests_of(container);
            if container["restartPolicy"] == "Always" {
                add(&mut requests, &own);
                add(&mut sidecars, &own);
                own = sidecars.clone();
            } else {
                add(&mut own, &sidecars);
            }
            raise(&mut peak, &own);
        }
        raise(&mut requests, &peak);
        add(&mut requests, &resources(pod.pointer("/spec/overhead")));
        Self { requests, ports }
    }
}

// === impl Place ===

impl<'a> Place<'a> {
    pub(super) fn new(node: &'a Value) -> Self {
        let allocatable = resources(node.pointer("/status/allocatable").or_else(|| node.pointer("/status/capacity")));
        Self { node, allocatable, taken: Resources::new(), pods: 0, ports: Vec::new() }
    }

    /// Counts a pod that runs here.
    pub(super) fn take(&mut self, demand: &Demand) {
        add(&mut self.taken, &demand.requests);
        self.ports.extend(demand.ports.iter().cloned());
        self.pods += 1;
    }

    /// Why a pod cannot run here, in the words of kube-scheduler; nothing when it can.
    pub(super) fn problems(&self, pod: &Value, demand: &Demand) -> Vec<String> {
        let one = |problem: &str| vec![problem.to_owned()];
        let cordoned = self.node.pointer("/spec/unschedulable") == Some(&Value::Bool(true));
        if cordoned && !tolerates(pod, "node.kubernetes.io/unschedulable", "", "NoSchedule") {
            return one("node(s) were unschedulable");
        }
        // The API server taints such nodes at creation, and the node controller later; until then the condition counts.
        let not_ready = "node.kubernetes.io/not-ready";
        if !condition::holds(self.node, "Ready") && !tolerates(pod, not_ready, "", "NoSchedule") {
            return vec![format!("node(s) had untolerated taint {{{not_ready}: }}")];
        }
        let repels = |taint: &&Value| {
            let effect = text(taint, "/effect");
            matches!(effect, "NoSchedule" | "NoExecute")
                && !tolerates(pod, text(taint, "/key"), text(taint, "/value"), effect)
        };
        if let Some(taint) = list(self.node, "/spec/taints").iter().find(repels) {
            let (key, value) = (text(taint, "/key"), text(taint, "/value"));
            return vec![format!("node(s) had untolerated taint {{{key}: {value}}}")];
        }
        if !is_selected(pod, self.node) {
            return one("node(s) didn't match Pod's node affinity/selector");
        }
        if demand.ports.iter().any(|port| self.ports.iter().any(|taken| collide(port, taken))) {
            return one("node(s) didn't have free ports for the requested pod ports");
        }
        let free = |resource: &str| {
            let get = |of: &Resources| of.get(resource).copied().unwrap_or_default();
            get(&self.allocatable) - get(&self.taken)
        };
        let mut problems = Vec::new();
        if self.allocatable.get("pods").is_some_and(|most| (self.pods + 1) * 1000 > *most) {
            problems.push("Too many pods".to_owned());
        }
        let lacking = demand.requests.iter().filter(|(name, wanted)| **wanted > 0 && **wanted > free(name));
        problems.extend(lacking.map(|(name, _)| format!("Insufficient {name}")));
        problems
    }

    /// How empty the node would be, in millionths of CPU and memory together.
    pub(super) fn emptiness(&self, demand: &Demand) -> i128 {
        let of = |resource: &str| {
            let get = |of: &Resources| of.get(resource).copied().unwrap_or_default();
            let all = get(&self.allocatable);
            if all <= 0 { 0 } else { (all - get(&self.taken) - get(&demand.requests)).saturating_mul(1_000_000) / all }
        };
        of("cpu") + of("memory")
    }
}

/// Whether a pod may run on a node as far as its own node selector and required affinity say.
pub(super) fn is_selected(pod: &Value, node: &Value) -> bool {
    let label = |key: &str| node.pointer("/metadata/labels").and_then(|labels| labels.get(key)).and_then(Value::as_str);
    let selector = pod.pointer("/spec/nodeSelector").and_then(Value::as_object);
    if !selector.into_iter().flatten().all(|(key, value)| label(key).is_some() && label(key) == value.as_str()) {
        return false;
    }
    let required = "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution";
    if pod.pointer(required).is_none_or(Value::is_null) {
        return true;
    }
    list(pod, &format!("{required}/nodeSelectorTerms")).iter().any(|term| {
        let (labels, fields) = (list(term, "/matchExpressions"), list(term, "/matchFields"));
        let name = |key: &str| (key == "metadata.name").then(|| object::name(node));
        !(labels.is_empty() && fields.is_empty())
            && labels.iter().all(|one| holds(one, label(text(one, "/key"))))
            && fields.iter().all(|one| holds(one, name(text(one, "/key"))))
    })
}

/// Whether a pod tolerates a taint.
pub(super) fn tolerates(pod: &Value, key: &str, value: &str, effect: &str) -> bool {
    list(pod, "/spec/tolerations").iter().any(|toleration| {
        let of = |field: &str| toleration[field].as_str().unwrap_or_default();
        let exists = of("operator") == "Exists";
        (of("effect").is_empty() || of("effect") == effect)
            && ((of("key").is_empty() && exists) || of("key") == key)
            && (exists || of("value") == value)
    })
}

/// Whether a requirement on a label holds.
fn holds(requirement: &Value, label: Option<&str>) -> bool {
    let values = list(requirement, "/values");
    let listed = || label.is_some_and(|label| values.iter().any(|value| value == label));
    let numbers = || -> Option<(i64, i64)> { Some((label?.parse().ok()?, values.first()?.as_str()?.parse().ok()?)) };
    match text(requirement, "/operator") {
        "In" => listed(),
        "NotIn" => !listed(),
        "Exists" => label.is_some(),
        "DoesNotExist" => label.is_none(),
        "Gt" => numbers().is_some_and(|(label, bound)| label > bound),
        "Lt" => numbers().is_some_and(|(label, bound)| label < bound),
        _ => false,
    }
}

fn collide(one: &HostPort, other: &HostPort) -> bool {
    let any = "0.0.0.0";
    one.0 == other.0 && one.2 == other.2 && (one.1 == other.1 || one.1 == any || other.1 == any)
}

/// Requests of a container; a limit without a request is one.
fn requests_of(container: &Value) -> Resources {
    let mut requests = resources(container.pointer("/resources/limits"));
    requests.extend(resources(container.pointer("/resources/requests")));
    requests
}

fn resources(value: Option<&Value>) -> Resources {
    let all = value.and_then(Value::as_object).into_iter().flatten();
    all.map(|(name, quantity)| (name.clone(), milli(quantity))).collect()
}

fn add(sum: &mut Resources, more: &Resources) {
    for (name, amount) in more {
        *sum.entry(name.clone()).or_default() += amount;
    }
}

fn raise(to: &mut Resources, least: &Resources) {
    for (name, amount) in least {
        let own = to.entry(name.clone()).or_default();
        *own = (*own).max(*amount);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn node() -> Value {
        json!({ "metadata": { "name": "n", "labels": { "zone": "a", "cores": "8" } }, "spec": {},
            "status": { "allocatable": { "cpu": "2", "memory": "4Gi", "pods": "3" }, "conditions": [{ "type": "Ready", "status": "True" }] } })
    }

    fn pod(spec: Value) -> Value {
        json!({ "spec": spec })
    }

    fn problems(node: &Value, pod: &Value) -> Vec<String> {
        Place::new(node).problems(pod, &Demand::of(pod))
    }

    #[test]
    fn requests_count_as_the_kubelet_counts() {
        let cpu = |cpu: &str| json!({ "resources": { "requests": { "cpu": cpu } } });
        let mut sidecar = cpu("200m");
        sidecar["restartPolicy"] = "Always".into();
        for (spec, expected) in [
            (json!({ "containers": [cpu("100m"), cpu("1")] }), 1100),
            (json!({ "containers": [cpu("100m")], "initContainers": [cpu("1")] }), 1000),
            (json!({ "containers": [cpu("100m")], "initContainers": [sidecar, cpu("1")] }), 1200),
            (json!({ "containers": [cpu("900m")], "initContainers": [sidecar, cpu("500m")] }), 1100),
            (
                json!({ "containers": [{ "resources": { "limits": { "cpu": "3" } } }], "overhead": { "cpu": "1" } }),
                4000,
            ),
        ] {
            assert_eq!(Demand::of(&pod(spec.clone())).requests.get("cpu"), Some(&expected), "{spec}");
        }
    }

    #[test]
    fn each_filter_has_its_word() {
        let fitting = pod(json!({ "containers": [{ "resources": { "requests": { "cpu": "2", "memory": "4Gi" } } }] }));
        assert!(problems(&node(), &fitting).is_empty());
        let mut starting = node();
        starting["status"]["conditions"] = json!([]);
        assert_eq!(problems(&starting, &fitting), ["node(s) had untolerated taint {node.kubernetes.io/not-ready: }"]);
        let mut cordoned = node();
        cordoned["spec"]["unschedulable"] = true.into();
        assert_eq!(problems(&cordoned, &fitting), ["node(s) were unschedulable"]);
        let mut tainted = node();
        tainted["spec"]["taints"] = json!([{ "key": "gpu", "value": "yes", "effect": "NoSchedule" }, { "key": "soft", "effect": "PreferNoSchedule" }]);
        assert_eq!(problems(&tainted, &fitting), ["node(s) had untolerated taint {gpu: yes}"]);
        for (toleration, expected) in [
            (json!({ "key": "gpu", "operator": "Exists" }), true),
            (json!({ "operator": "Exists" }), true),
            (json!({ "key": "gpu", "value": "yes", "effect": "NoSchedule" }), true),
            (json!({ "key": "gpu", "value": "no" }), false),
            (json!({ "key": "gpu", "operator": "Exists", "effect": "NoExecute" }), false),
        ] {
            let mut pod = fitting.clone();
            pod["spec"]["tolerations"] = json!([toleration]);
            assert_eq!(problems(&tainted, &pod).is_empty(), expected, "{toleration}");
        }
        let big = pod(
            json!({ "containers": [{ "resources": { "requests": { "cpu": "3", "memory": "5Gi", "gpu": "1" } } }] }),
        );
        assert_eq!(problems(&node(), &big), ["Insufficient cpu", "Insufficient gpu", "Insufficient memory"]);
    }

    #[test]
    fn what_runs_already_counts() {
        let node = node();
        let mut place = Place::new(&node);
        let port = pod(json!({ "containers": [{ "ports": [{ "containerPort": 80, "hostPort": 80 }] }] }));
        let local = pod(json!({ "containers": [{ "ports": [{ "hostPort": 80, "hostIP": "127.0.0.1" }] }] }));
        let udp = pod(json!({ "containers": [{ "ports": [{ "hostPort": 80, "protocol": "UDP" }] }] }));
        place.take(&Demand::of(&port));
        assert_eq!(place.problems(&local, &Demand::of(&local)).len(), 1);
        assert!(place.problems(&udp, &Demand::of(&udp)).is_empty());
        let half = pod(json!({ "containers": [{ "resources": { "requests": { "cpu": "1500m" } } }] }));
        let before = place.emptiness(&Demand::of(&half));
        place.take(&Demand::of(&half));
        assert!(place.emptiness(&Demand::of(&half)) < before);
        assert_eq!(place.problems(&half, &Demand::of(&half)), ["Insufficient cpu"]);
        place.take(&Demand::of(&pod(json!({}))));
        assert_eq!(place.problems(&pod(json!({})), &Demand::of(&pod(json!({})))), ["Too many pods"]);
    }

    #[test]
    fn selectors_and_affinity_choose_nodes() {
        let terms = |terms: Value| json!({ "affinity": { "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms } } } });
        let by = |key: &str, operator: &str, values: Value| {
            terms(json!([{ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] }]))
        };
        for (spec, expected) in [
            (json!({}), true),
            (json!({ "nodeSelector": { "zone": "a" } }), true),
            (json!({ "nodeSelector": { "zone": "b" } }), false),
            (json!({ "nodeSelector": { "none": "b" } }), false),
            (by("zone", "In", json!(["a", "b"])), true),
            (by("zone", "NotIn", json!(["a"])), false),
            (by("none", "NotIn", json!(["a"])), true),
            (by("zone", "Exists", json!([])), true),
            (by("zone", "DoesNotExist", json!([])), false),
            (by("cores", "Gt", json!(["7"])), true),
            (by("cores", "Lt", json!(["8"])), false),
            (by("zone", "Near", json!(["a"])), false),
            (terms(json!([])), false),
            (terms(json!([{}])), false),
            (terms(json!([{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["n"] }] }])), true),
            (terms(json!([{ "matchFields": [{ "key": "metadata.name", "operator": "In", "values": ["m"] }] }])), false),
        ] {
            assert_eq!(is_selected(&pod(spec.clone()), &node()), expected, "{spec}");
        }
    }
}
