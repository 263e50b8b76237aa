//! What a real server fills in where a client says nothing. Facts: `pkg/apis/*/defaults.go` and the admission plugins
//! `Priority`, `DefaultTolerationSeconds` and `TaintNodesByCondition`.

use serde_json::{Map, Value, json};

use crate::resource::ResourceKind;
use crate::semantics::refusal::Refusal;
use crate::store::{Key, State, meta};

/// Fills in the defaults of an object; those of admission only when it is `new`.
pub(super) fn set(state: &State, kind: &ResourceKind, tree: &mut Value, new: bool) -> Result<(), Refusal> {
    if kind.custom {
        return Ok(());
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => {
            let Some(spec) = field(tree, "spec") else { return Ok(()) };
            requests_from_limits(spec);
            pod_spec(spec);
            entry(spec, "enableServiceLinks", json!(true));
            if new {
                admit(state, meta(tree, "name").to_owned().as_str(), tree)?;
                let class = quality(&tree["spec"]);
                tree["status"]["qosClass"] = class.into();
            }
        }
        ("", "nodes") if new => not_ready(tree),
        ("", "namespaces") if new => {
            let name = meta(tree, "name").to_owned();
            tree["metadata"]["labels"]["kubernetes.io/metadata.name"] = name.into();
            if tree["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty) {
                tree["spec"]["finalizers"] = json!(["kubernetes"]);
            }
        }
        ("", "persistentvolumeclaims") => default(tree, "spec", &[("volumeMode", json!("Filesystem"))]),
        ("", "persistentvolumes") => {
            let defaults = [("volumeMode", json!("Filesystem")), ("persistentVolumeReclaimPolicy", json!("Retain"))];
            default(tree, "spec", &defaults);
        }
        ("", "services") => {
            default(tree, "spec", &[("type", json!("ClusterIP")), ("sessionAffinity", json!("None"))]);
        }
        ("", "secrets") => top(tree, "type", json!("Opaque")),
        ("apps", "deployments") => {
            let strategy =
                json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": "25%", "maxSurge": "25%" } });
            let limit = ("revisionHistoryLimit", json!(10));
            let deadline = ("progressDeadlineSeconds", json!(600));
            default(tree, "spec", &[("replicas", json!(1)), ("strategy", strategy), limit, deadline]);
            template(tree);
        }
        ("apps", "replicasets") | ("", "replicationcontrollers") => {
            default(tree, "spec", &[("replicas", json!(1))]);
            template(tree);
        }
        ("apps", "statefulsets") => {
            let strategy = json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } });
            let management = ("podManagementPolicy", json!("OrderedReady"));
            let limit = ("revisionHistoryLimit", json!(10));
            default(tree, "spec", &[("replicas", json!(1)), ("updateStrategy", strategy), management, limit]);
            template(tree);
        }
        ("apps", "daemonsets") => {
            let strategy = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 0 } });
            default(tree, "spec", &[("updateStrategy", strategy), ("revisionHistoryLimit", json!(10))]);
            template(tree);
        }
        ("batch", "jobs") => {
            let defaults = [
                ("backoffLimit", json!(6)),
                ("completionMode", json!("NonIndexed")),
                ("suspend", json!(false)),
                ("podReplacementPolicy", json!("TerminatingOrFailed")),
                ("manualSelector", json!(false)),
            ];
            default(tree, "spec", &defaults);
            if tree["spec"].get("parallelism").is_none() && tree["spec"].get("completions").is_none() {
                default(tree, "spec", &[("parallelism", json!(1)), ("completions", json!(1))]);
            }
            template(tree);
        }
        ("storage.k8s.io", "storageclasses") => {
            top(tree, "reclaimPolicy", json!("Delete"));
            top(tree, "volumeBindingMode", json!("Immediate"));
        }
        ("scheduling.k8s.io", "priorityclasses") => top(tree, "preemptionPolicy", json!("PreemptLowerPriority")),
        _ => {}
    }
    Ok(())
}

/// Times of conditions that were never set are written as null: they have no `omitempty` in the API's types.
pub(super) fn unset_times(kind: &ResourceKind, tree: &mut Value) {
    let times: &[&str] = match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => &["lastProbeTime", "lastTransitionTime"],
        ("", "nodes") => &["lastHeartbeatTime", "lastTransitionTime"],
        _ => return,
    };
    for condition in tree.pointer_mut("/status/conditions").and_then(Value::as_array_mut).into_iter().flatten() {
        let Value::Object(condition) = condition else { continue };
        for time in times {
            condition.entry(*time).or_insert(Value::Null);
        }
    }
}

/// A new node takes no pods before it has been seen to be ready (admission plugin `TaintNodesByCondition`).
fn not_ready(node: &mut Value) {
    const KEY: &str = "node.kubernetes.io/not-ready";
    let Some(fields) = node.as_object_mut() else { return };
    let Some(spec) = fields.entry("spec").or_insert_with(|| json!({})).as_object_mut() else { return };
    let Some(taints) = spec.entry("taints").or_insert_with(|| json!([])).as_array_mut() else { return };
    if !taints.iter().any(|taint| taint["key"] == KEY && taint["effect"] == "NoSchedule") {
        taints.push(json!({ "key": KEY, "effect": "NoSchedule" }));
    }
}

/// What admission adds to a new pod.
fn admit(state: &State, name: &str, pod: &mut Value) -> Result<(), Refusal> {
    let class = pod["spec"]["priorityClassName"].as_str().unwrap_or_default().to_owned();
    let (priority, preemption) = match class.as_str() {
        "" => (0, json!("PreemptLowerPriority")),
        "system-cluster-critical" => (2_000_000_000, json!("PreemptLowerPriority")),
        "system-node-critical" => (2_000_001_000, json!("PreemptLowerPriority")),
        class => {
            let found = state.registry.find("scheduling.k8s.io", "priorityclasses");
            let found = found.and_then(|index| state.find(index, &Key::new("", class)));
            let found = found.map(|stored| stored.tree()).ok_or_else(|| {
                Refusal::forbidden("", "pods", name, &format!("no PriorityClass with name {class} was found"))
            })?;
            let preemption = found.get("preemptionPolicy").cloned().unwrap_or_else(|| json!("PreemptLowerPriority"));
            (found["value"].as_i64().unwrap_or_default(), preemption)
        }
    };
    let Some(spec) = field(pod, "spec") else { return Ok(()) };
    spec.insert("priority".to_owned(), priority.into());
    entry(spec, "preemptionPolicy", preemption);
    let tolerations = spec.entry("tolerations").or_insert_with(|| json!([]));
    for key in ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"] {
        let Some(list) = tolerations.as_array_mut() else { continue };
        let tolerated = list.iter().any(|one| {
            let effect = one["effect"].as_str().unwrap_or_default();
            (one["key"] == key || one.get("key").is_none()) && matches!(effect, "" | "NoExecute")
        });
        if !tolerated {
            list.push(json!({ "key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300 }));
        }
    }
    Ok(())
}

/// The quality of service that follows from requests and limits.
fn quality(spec: &Value) -> &'static str {
    let lists = ["containers", "initContainers"];
    let containers = lists.iter().filter_map(|list| spec.get(list)?.as_array()).flatten();
    let (mut any, mut guaranteed) = (false, true);
    for container in containers {
        let of = |part: &str, name: &str| container["resources"][part].get(name).cloned();
        for name in ["cpu", "memory"] {
            let (request, limit) = (of("requests", name), of("limits", name));
            any |= request.is_some() || limit.is_some();
            guaranteed &= limit.is_some() && (request.is_none() || request == limit);
        }
    }
    match (any, guaranteed) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

fn template(tree: &mut Value) {
    if let Some(spec) = tree.pointer_mut("/spec/template/spec").and_then(Value::as_object_mut) {
        pod_spec(spec);
    }
}

fn pod_spec(spec: &mut Map<String, Value>) {
    entry(spec, "restartPolicy", json!("Always"));
    entry(spec, "terminationGracePeriodSeconds", json!(30));
    entry(spec, "dnsPolicy", json!("ClusterFirst"));
    entry(spec, "securityContext", json!({}));
    entry(spec, "schedulerName", json!("default-scheduler"));
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Value::Object(container) = container else { continue };
            entry(container, "resources", json!({}));
            entry(container, "terminationMessagePath", json!("/dev/termination-log"));
            entry(container, "terminationMessagePolicy", json!("File"));
            let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
            let tag = image.rsplit('/').next().unwrap_or_default().split_once(':').map_or("latest", |(_, tag)| tag);
            let pull = if tag == "latest" && !image.contains('@') { "Always" } else { "IfNotPresent" };
            entry(container, "imagePullPolicy", json!(pull));
            for port in container.get_mut("ports").and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::Object(port) = port {
                    entry(port, "protocol", json!("TCP"));
                }
            }
        }
    }
}

/// A container that limits a resource and requests none of it requests its limit.
fn requests_from_limits(spec: &mut Map<String, Value>) {
    for list in ["containers", "initContainers"] {
        for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            let Some(limits) = container.pointer("/resources/limits").and_then(Value::as_object).cloned() else {
                continue;
            };
            for (name, limit) in limits {
                let requests = &mut container["resources"]["requests"];
                if requests.get(&name).is_none() && (requests.is_object() || requests.is_null()) {
                    requests[name] = limit;
                }
            }
        }
    }
}

fn field<'a>(tree: &'a mut Value, name: &str) -> Option<&'a mut Map<String, Value>> {
    tree.get_mut(name)?.as_object_mut()
}

fn entry(map: &mut Map<String, Value>, name: &str, value: Value) {
    if map.get(name).is_none_or(Value::is_null) {
        map.insert(name.to_owned(), value);
    }
}

fn default(tree: &mut Value, part: &str, defaults: &[(&str, Value)]) {
    let Some(map) = field(tree, part) else { return };
    for (name, value) in defaults {
        entry(map, name, value.clone());
    }
}

fn top(tree: &mut Value, name: &str, value: Value) {
    if let Value::Object(fields) = tree {
        entry(fields, name, value);
    }
}
