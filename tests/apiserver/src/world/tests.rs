//! Small worlds, looked at until nothing changes any more.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::object::{name, namespace, node_of, text};
use super::{Change, View, World, WorldConfig};
use crate::semantics::condition;

/// Objects by resource and name, each with a version.
struct Cluster {
    world: World,
    objects: BTreeMap<(String, String), Value>,
    version: u64,
    now: Timestamp,
}

impl Cluster {
    fn new() -> Self {
        let world = World::new(WorldConfig::default()).unwrap();
        Self { world, objects: BTreeMap::new(), version: 0, now: "2026-11-22T06:00:00Z".parse().unwrap() }
    }

    fn resource(object: &Value) -> &'static str {
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        View::RESOURCES.iter().find(|resource| resource.split('.').next().unwrap() == format!("{kind}s")).unwrap()
    }

    fn put(&mut self, mut object: Value) {
        self.version += 1;
        let key = (Self::resource(&object).to_owned(), name(&object).to_owned());
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = format!("uid-{}-{}", key.0, self.version).into();
            object["metadata"]["creationTimestamp"] = self.now.to_string().into();
        }
        if object["metadata"]["namespace"].is_null() {
            object["metadata"]["namespace"] = "default".into();
        }
        object["metadata"]["generation"] = 1.into();
        self.objects.insert(key, object);
    }

    fn remove(&mut self, resource: &str, name: &str) -> Option<Value> {
        self.objects.remove(&(resource.to_owned(), name.to_owned()))
    }

    fn edit(&mut self, resource: &str, name: &str, change: impl FnOnce(&mut Value)) {
        let mut object = self.get(resource, name).clone();
        change(&mut object);
        self.put(object);
    }

    fn all(&self, resource: &str) -> Vec<Value> {
        self.objects.iter().filter(|(key, _)| key.0 == resource).map(|(_, object)| object.clone()).collect()
    }

    fn get(&self, resource: &str, name: &str) -> &Value {
        self.objects.get(&(resource.to_owned(), name.to_owned())).unwrap_or_else(|| panic!("no {resource} {name}"))
    }

    /// Lets things happen for so many seconds; says how many looks it took.
    fn run(&mut self, seconds: i64) -> usize {
        let end = self.now + jiff::SignedDuration::from_secs(seconds);
        for looks in 0..500 {
            let view = View::of(|resource| self.all(resource));
            let step = self.world.step(&view, self.now);
            let mut changed = false;
            for change in step.changes {
                match change {
                    Change::Create(object) => {
                        assert!(
                            !self.objects.contains_key(&(Self::resource(&object).to_owned(), name(&object).to_owned()))
                        );
                        self.put(object);
                    }
                    Change::Replace(object) => {
                        let key = (Self::resource(&object).to_owned(), name(&object).to_owned());
                        let present = self.objects.get(&key).map(|old| old["metadata"]["resourceVersion"].clone());
                        if present.as_ref() != Some(&object["metadata"]["resourceVersion"]) {
                            continue;
                        }
                        self.put(object);
                    }
                    Change::Delete { resource, name, namespace } => {
                        let gone = self.remove(resource, &name).unwrap();
                        assert_eq!(super::object::namespace(&gone), namespace);
                    }
                }
                changed = true;
            }
            if !changed {
                match step.again {
                    Some(again) if again <= end => {
                        self.now = again.max(self.now + jiff::SignedDuration::from_millis(1))
                    }
                    _ => {
                        self.now = end;
                        return looks;
                    }
                }
            }
        }
        panic!("the world does not come to rest");
    }

    fn pods(&self) -> Vec<Value> {
        self.all("pods")
    }
}

fn node(name: &str, cpu: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": name, "namespace": "" }, "spec": {},
        "status": { "capacity": { "cpu": cpu, "memory": "8Gi", "pods": "10" } } })
}

fn pod(name: &str, cpu: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name, "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "c", "image": "i", "resources": { "requests": { "cpu": cpu } } }] },
        "status": { "phase": "Pending" } })
}

fn workload(kind: &str, replicas: i64) -> Value {
    json!({ "apiVersion": "apps/v1", "kind": kind, "metadata": { "name": "web" },
        "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": "web" } }, "template": {
            "metadata": { "labels": { "app": "web" } },
            "spec": { "containers": [{ "name": "c", "image": "1", "resources": { "requests": { "cpu": "500m" } } }] } } } })
}

fn running(pods: &[Value]) -> usize {
    pods.iter().filter(|pod| condition::holds(pod, "Ready") && text(pod, "/status/phase") == "Running").count()
}

#[test]
fn a_pod_waits_for_a_node_and_then_runs() {
    let mut cluster = Cluster::new();
    cluster.put(pod("p", "2"));
    cluster.run(5);
    let waiting = condition::find(cluster.get("pods", "p"), "PodScheduled").unwrap().clone();
    assert_eq!(
        (&waiting["reason"], &waiting["message"]),
        (&json!("Unschedulable"), &json!("no nodes available to schedule pods"))
    );
    cluster.put(node("small", "1"));
    cluster.run(5);
    let message = condition::find(cluster.get("pods", "p"), "PodScheduled").unwrap()["message"].clone();
    assert_eq!(message, "0/1 nodes are available: 1 Insufficient cpu.");
    cluster.put(node("big", "4"));
    cluster.run(5);
    let pod = cluster.get("pods", "p");
    assert_eq!((node_of(pod), text(pod, "/status/phase")), ("big", "Running"));
    assert!(condition::holds(pod, "Ready") && condition::holds(pod, "PodScheduled"));
    assert!(text(pod, "/status/podIP").starts_with("10."));
    assert_eq!(cluster.get("nodes", "big")["spec"].get("taints"), None, "a node that is ready has no taint");
}

#[test]
fn a_node_that_is_not_ready_or_cordoned_gets_no_pods() {
    let mut cluster = Cluster::new();
    let mut broken = node("broken", "4");
    broken["metadata"]["annotations"] = json!({ "world.plimsoll.dev/ready": "false" });
    cluster.put(broken);
    let mut cordoned = node("cordoned", "4");
    cordoned["spec"]["unschedulable"] = true.into();
    cluster.put(cordoned);
    cluster.put(pod("p", "1"));
    cluster.run(5);
    assert_eq!(node_of(cluster.get("pods", "p")), "");
    assert_eq!(cluster.get("nodes", "broken")["spec"]["taints"][0]["key"], "node.kubernetes.io/not-ready");
    assert_eq!(cluster.get("nodes", "cordoned")["spec"]["taints"][0]["key"], "node.kubernetes.io/unschedulable");
    cluster.edit("nodes", "cordoned", |node| node["spec"] = json!({ "taints": node["spec"]["taints"] }));
    cluster.run(5);
    assert_eq!(node_of(cluster.get("pods", "p")), "cordoned");
    assert_eq!(cluster.get("nodes", "cordoned")["spec"].get("taints"), None);
}

#[test]
fn the_more_important_pod_gets_the_room() {
    let mut cluster = Cluster::new();
    for (name, priority) in [("a", 0), ("b", 10)] {
        let mut pod = pod(name, "3");
        pod["spec"]["priority"] = priority.into();
        cluster.put(pod);
    }
    cluster.put(node("n", "4"));
    cluster.run(5);
    assert_eq!((node_of(cluster.get("pods", "a")), node_of(cluster.get("pods", "b"))), ("", "n"));
}

#[test]
fn a_deployment_becomes_pods_and_follows_its_replicas() {
    let mut cluster = Cluster::new();
    cluster.put(node("n", "4"));
    cluster.put(workload("Deployment", 3));
    cluster.run(10);
    let sets = cluster.all("replicasets.apps");
    assert_eq!(sets.len(), 1);
    assert_eq!(running(&cluster.pods()), 3);
    let owner = cluster.pods()[0]["metadata"]["ownerReferences"][0].clone();
    assert_eq!(
        (&owner["kind"], &owner["uid"], &owner["controller"]),
        (&json!("ReplicaSet"), &sets[0]["metadata"]["uid"], &json!(true))
    );
    let deployment = cluster.get("deployments.apps", "web");
    assert_eq!(deployment["status"]["availableReplicas"], 3);
    assert!(condition::holds(deployment, "Available"));
    cluster.edit("deployments.apps", "web", |one| one["spec"]["replicas"] = 1.into());
    cluster.run(10);
    assert_eq!(cluster.pods().len(), 1);
    assert_eq!(cluster.run(5), 0, "nothing more to do");
    cluster
        .edit("deployments.apps", "web", |one| one["spec"]["template"]["spec"]["containers"][0]["image"] = "2".into());
    cluster.run(20);
    assert_eq!(cluster.all("replicasets.apps").len(), 2);
    assert_eq!(
        cluster.pods().iter().map(|pod| pod["spec"]["containers"][0]["image"].clone()).collect::<Vec<_>>(),
        ["2"]
    );
    cluster.remove("deployments.apps", "web");
    cluster.run(10);
    assert_eq!((cluster.pods().len(), cluster.all("replicasets.apps").len()), (0, 0));
}

#[test]
fn a_deleted_pod_takes_its_time_and_is_replaced() {
    let mut cluster = Cluster::new();
    cluster.put(node("n", "4"));
    cluster.put(workload("ReplicaSet", 1));
    cluster.run(10);
    let pod = cluster.pods()[0].clone();
    let leaving = super::object::leaving(&pod, cluster.now).unwrap();
    cluster.put(leaving);
    cluster.run(1);
    assert_eq!(cluster.pods().len(), 2, "the other is there before the first is gone");
    cluster.run(3);
    assert_eq!(cluster.pods().len(), 1);
    assert_ne!(name(&cluster.pods()[0]), name(&pod));
}

fn service() -> Value {
    json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "web" },
        "spec": { "selector": { "app": "web" }, "ports": [{ "port": 80, "targetPort": 8080 }] } })
}

/// Addresses by whether they are ready.
fn endpoints(cluster: &Cluster) -> BTreeMap<String, bool> {
    let slices = cluster.all("endpointslices.discovery.k8s.io");
    let endpoints = slices.iter().flat_map(|slice| slice["endpoints"].as_array().unwrap());
    endpoints.map(|one| (text(one, "/targetRef/name").to_owned(), one["conditions"]["ready"] == true)).collect()
}

#[test]
fn a_pod_that_loses_the_label_of_its_replica_set_is_released_and_serves_on() {
    let mut cluster = Cluster::new();
    cluster.put(node("n", "4"));
    cluster.put(workload("Deployment", 1));
    cluster.put(service());
    cluster.run(10);
    let first = name(&cluster.pods()[0]).to_owned();
    assert_eq!(endpoints(&cluster), BTreeMap::from([(first.clone(), true)]));
    cluster.edit("pods", &first, |pod| pod["metadata"]["labels"] = json!({ "app": "web" }));
    cluster.run(0);
    assert_eq!(cluster.pods().len(), 2, "one in its place");
    assert_eq!(cluster.get("pods", &first)["metadata"].get("ownerReferences"), None);
    assert_eq!(endpoints(&cluster), BTreeMap::from([(first.clone(), true)]), "the other is not ready yet");
    cluster.run(10);
    assert_eq!(cluster.pods().len(), 2, "and no more");
    let second = cluster.pods().iter().map(name).find(|one| *one != first).unwrap().to_owned();
    assert_eq!(endpoints(&cluster), BTreeMap::from([(first.clone(), true), (second.clone(), true)]));
    assert_eq!(cluster.get("deployments.apps", "web")["status"]["replicas"], 1);
    let leaving = super::object::leaving(cluster.get("pods", &first), cluster.now).unwrap();
    cluster.put(leaving);
    cluster.run(0);
    assert_eq!(endpoints(&cluster), BTreeMap::from([(first, false), (second.clone(), true)]));
    cluster.run(10);
    assert_eq!(endpoints(&cluster), BTreeMap::from([(second, true)]));
    cluster.remove("services", "web");
    cluster.run(1);
    assert!(cluster.all("endpointslices.discovery.k8s.io").is_empty());
}

#[test]
fn a_pod_without_an_owner_is_adopted_by_the_set_that_selects_it() {
    let mut cluster = Cluster::new();
    cluster.put(pod("p", "1"));
    cluster.put(workload("ReplicaSet", 1));
    cluster.run(5);
    let pods = cluster.pods();
    assert_eq!(pods.iter().map(name).collect::<Vec<_>>(), ["p"]);
    assert_eq!(pods[0]["metadata"]["ownerReferences"][0]["name"], "web");
}

#[test]
fn stateful_sets_keep_names_and_daemons_follow_nodes() {
    let mut cluster = Cluster::new();
    cluster.put(node("a", "4"));
    cluster.put(workload("StatefulSet", 2));
    cluster.run(10);
    assert_eq!(cluster.pods().iter().map(name).collect::<Vec<_>>(), ["web-0", "web-1"]);
    cluster.remove("pods", "web-0");
    cluster.edit("statefulsets.apps", "web", |one| one["spec"]["replicas"] = 1.into());
    cluster.run(10);
    assert_eq!(cluster.pods().iter().map(name).collect::<Vec<_>>(), ["web-0"]);

    let mut cluster = Cluster::new();
    cluster.put(node("a", "4"));
    let mut tainted = node("b", "4");
    tainted["spec"]["taints"] = json!([{ "key": "gpu", "effect": "NoSchedule" }]);
    tainted["spec"]["unschedulable"] = true.into();
    cluster.put(tainted);
    cluster.put(workload("DaemonSet", 0));
    cluster.run(10);
    assert_eq!(cluster.pods().iter().map(node_of).collect::<Vec<_>>(), ["a"]);
    cluster.put(node("c", "4"));
    cluster.edit("nodes", "b", |node| node["spec"]["taints"] = json!([]));
    cluster.run(10);
    let mut places: Vec<String> = cluster.pods().iter().map(|pod| node_of(pod).to_owned()).collect();
    places.sort();
    assert_eq!(places, ["a", "b", "c"], "a daemon puts up with a cordon");
    assert_eq!(cluster.get("daemonsets.apps", "web")["status"]["numberReady"], 3);
}

#[test]
fn pods_of_a_node_that_is_gone_go_too() {
    let mut cluster = Cluster::new();
    cluster.put(node("a", "4"));
    cluster.put(workload("ReplicaSet", 2));
    cluster.run(10);
    cluster.remove("nodes", "a");
    cluster.run(10);
    assert_eq!(cluster.pods().len(), 2);
    assert!(cluster.pods().iter().all(|pod| node_of(pod).is_empty()));
}

#[test]
fn budgets_are_counted() {
    let mut cluster = Cluster::new();
    cluster.put(node("a", "4"));
    cluster.put(workload("Deployment", 4));
    cluster.put(json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "b" },
        "spec": { "maxUnavailable": "25%", "selector": { "matchLabels": { "app": "web" } } } }));
    cluster.run(10);
    let status = &cluster.get("poddisruptionbudgets.policy", "b")["status"];
    assert_eq!(
        (&status["expectedPods"], &status["currentHealthy"], &status["desiredHealthy"], &status["disruptionsAllowed"]),
        (&json!(4), &json!(4), &json!(3), &json!(1))
    );
}

#[test]
fn approved_requests_are_signed_and_others_are_not() {
    let key = rcgen::KeyPair::generate().unwrap();
    let request = rcgen::CertificateParams::new(["n1".to_owned()]).unwrap().serialize_request(&key).unwrap();
    let csr = |name: &str, conditions: Value, body: &str| {
        json!({ "apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": { "name": name },
            "spec": { "request": STANDARD.encode(body), "signerName": "kubernetes.io/kubelet-serving",
                "usages": ["server auth"], "expirationSeconds": 3600 },
            "status": { "conditions": conditions } })
    };
    let approved = json!([{ "type": "Approved", "status": "True" }]);
    let pem = request.pem().unwrap();
    let mut cluster = Cluster::new();
    cluster.put(csr("good", approved.clone(), &pem));
    cluster.put(csr("open", json!([]), &pem));
    cluster.put(csr("denied", json!([{ "type": "Denied", "status": "True" }]), &pem));
    cluster.put(csr("broken", approved, "no request"));
    cluster.run(5);
    let of = |name: &str| cluster.get("certificatesigningrequests.certificates.k8s.io", name);
    let certificate = STANDARD.decode(text(of("good"), "/status/certificate")).unwrap();
    let (_, certificate) = x509_parser::pem::parse_x509_pem(&certificate).unwrap();
    let certificate = certificate.parse_x509().unwrap();
    let ca = cluster.world.ca_pem().unwrap().as_bytes().to_vec();
    let (_, ca) = x509_parser::pem::parse_x509_pem(&ca).unwrap();
    assert!(certificate.verify_signature(Some(ca.parse_x509().unwrap().public_key())).is_ok());
    let hold = certificate.validity();
    assert_eq!(hold.not_after.timestamp() - cluster.now.as_second(), 3600 - 5);
    for name in ["open", "denied", "broken"] {
        assert_eq!(text(of(name), "/status/certificate"), "", "{name}");
    }
    assert!(condition::holds(of("broken"), "Failed"));
}

#[test]
fn nonsense_does_not_panic() {
    let mut cluster = Cluster::new();
    for (at, kind) in [
        "Pod",
        "Node",
        "Deployment",
        "ReplicaSet",
        "StatefulSet",
        "DaemonSet",
        "PodDisruptionBudget",
        "CertificateSigningRequest",
        "Service",
        "EndpointSlice",
    ]
    .into_iter()
    .enumerate()
    {
        for (spec, status) in [
            (json!(null), json!(null)),
            (json!([]), json!(5)),
            (json!("x"), json!([])),
            (json!({ "template": 5, "selector": 7, "containers": {}, "replicas": "x" }), json!({ "conditions": 5 })),
        ] {
            let mut object = json!({ "apiVersion": "v1", "kind": kind, "metadata": { "name": format!("o{at}-{}", cluster.version) }, "spec": spec });
            object["status"] = status;
            let key = (Cluster::resource(&object).to_owned(), name(&object).to_owned());
            cluster.put(object);
            assert!(cluster.objects.contains_key(&key));
        }
    }
    let view = View::of(|resource| cluster.all(resource));
    let step = cluster.world.step(&view, cluster.now);
    assert!(step.changes.iter().all(|change| match change {
        Change::Create(object) | Change::Replace(object) => !namespace(object).is_empty() || object["kind"] == "Node",
        Change::Delete { .. } => true,
    }));
}
