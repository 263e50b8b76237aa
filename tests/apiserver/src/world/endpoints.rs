//! Services find their pods: who gets requests.
//!
//! Follows `staging/src/k8s.io/endpointslice` in Kubernetes 1.36, for IPv4 and ports that are numbers.

use serde_json::{Map, Value, json};

use super::Turn;
use super::object::{self, is_leaving, is_over, list, name, namespace, node_of, short_hash, text, uid};
use crate::semantics::condition;

const SERVICE: &str = "kubernetes.io/service-name";
const MANAGED_BY: &str = "endpointslice.kubernetes.io/managed-by";
const CONTROLLER: &str = "endpointslice-controller.k8s.io";

/// Endpoints of one slice.
const MOST: usize = 100;

pub(super) fn step(turn: &mut Turn<'_>) {
    let view = turn.view;
    let services = view.all("services");
    for service in services.iter().filter(|service| !is_leaving(service)) {
        if let Some(selector) =
            service.pointer("/spec/selector").and_then(Value::as_object).filter(|one| !one.is_empty())
        {
            follow(service, selector, turn);
        }
    }
    for slice in view.all("endpointslices.discovery.k8s.io").iter().filter(|slice| is_managed(slice)) {
        let of = |service: &&Value| namespace(service) == namespace(slice) && name(service) == service_of(slice);
        if !services.iter().any(|service| of(&service)) {
            turn.delete("endpointslices.discovery.k8s.io", slice);
        }
    }
}

fn follow(service: &Value, selector: &Map<String, Value>, turn: &mut Turn<'_>) {
    let view = turn.view;
    let is_selected = |pod: &&Value| {
        namespace(pod) == namespace(service)
            && selector
                .iter()
                .all(|(key, value)| pod.pointer("/metadata/labels").is_some_and(|labels| &labels[key] == value))
    };
    let mut pods: Vec<&Value> = view
        .all("pods")
        .iter()
        .filter(is_selected)
        .filter(|pod| !is_over(pod) && !text(pod, "/status/podIP").is_empty())
        .collect();
    pods.sort_by_key(|pod| name(pod));
    let endpoints: Vec<Value> = pods.into_iter().map(|pod| endpoint(pod, service)).collect();
    // A service without pods has one slice, an empty one.
    let parts: Vec<&[Value]> = if endpoints.is_empty() { vec![&[]] } else { endpoints.chunks(MOST).collect() };
    let slices: Vec<&Value> = view
        .all("endpointslices.discovery.k8s.io")
        .iter()
        .filter(|slice| {
            is_managed(slice) && namespace(slice) == namespace(service) && service_of(slice) == name(service)
        })
        .collect();
    for (at, part) in parts.iter().enumerate() {
        let own_name = format!("{}-{}", name(service), short_hash(&format!("{}/{at}", uid(service))));
        match slices.iter().find(|slice| name(slice) == own_name) {
            Some(slice) => {
                let mut counted = (*slice).clone();
                counted["endpoints"] = part.to_vec().into();
                counted["ports"] = ports(service);
                turn.replace(slice, counted);
            }
            None => turn.create(slice_of(service, &own_name, part)),
        }
    }
    let wanted = |slice: &&&Value| {
        (0..parts.len())
            .any(|at| name(slice) == format!("{}-{}", name(service), short_hash(&format!("{}/{at}", uid(service)))))
    };
    slices
        .iter()
        .filter(|slice| !wanted(slice))
        .for_each(|slice| turn.delete("endpointslices.discovery.k8s.io", slice));
}

fn slice_of(service: &Value, own_name: &str, endpoints: &[Value]) -> Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": {
            "name": own_name, "namespace": namespace(service),
            "labels": { SERVICE: name(service), MANAGED_BY: CONTROLLER },
            "ownerReferences": object::owner_reference("v1", "Service", service)
        },
        "endpoints": endpoints, "ports": ports(service)
    })
}

fn endpoint(pod: &Value, service: &Value) -> Value {
    let (serving, terminating) = (condition::holds(pod, "Ready"), is_leaving(pod));
    let always = service.pointer("/spec/publishNotReadyAddresses") == Some(&Value::Bool(true));
    json!({
        "addresses": [text(pod, "/status/podIP")],
        "conditions": { "ready": always || (serving && !terminating), "serving": serving, "terminating": terminating },
        "nodeName": node_of(pod),
        "targetRef": { "kind": "Pod", "namespace": namespace(pod), "name": name(pod), "uid": uid(pod) }
    })
}

fn ports(service: &Value) -> Value {
    let port = |port: &Value| {
        let number = port.get("targetPort").filter(|target| target.is_i64()).unwrap_or(&port["port"]);
        json!({
            "name": text(port, "/name"), "port": number,
            "protocol": port.get("protocol").and_then(Value::as_str).unwrap_or("TCP")
        })
    };
    list(service, "/spec/ports").iter().map(port).collect()
}

fn is_managed(slice: &Value) -> bool {
    slice.pointer("/metadata/labels").is_some_and(|labels| labels[MANAGED_BY] == CONTROLLER)
}

fn service_of(slice: &Value) -> &str {
    slice.pointer("/metadata/labels").and_then(|labels| labels.get(SERVICE)?.as_str()).unwrap_or_default()
}
