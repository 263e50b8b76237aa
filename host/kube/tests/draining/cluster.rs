//! A small cluster: a node, pods on it, and budgets that somebody counts.

use std::time::Duration;

use plimsoll_apiserver::WallClock;
use plimsoll_apiserver::world::{Part, World, WorldConfig, live};
use plimsoll_kube::{Api, ApiError, ObjectName, Patch, Permit, Precondition, Resource};
use plimsoll_model::Uid;
use plimsoll_planner::drain::{NodeRef, PodRef};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::wire::{Alone, Wire, unique, until};

pub struct Cluster {
    pub wire: Wire,
    pub api: Api,
    pub node: NodeRef,
    alone: Alone,
    world: Option<JoinHandle<()>>,
}

pub const SERVICES: Resource = resource("", "services", "Service");
pub const SLICES: Resource = resource("discovery.k8s.io", "endpointslices", "EndpointSlice");

const fn resource(group: &'static str, plural: &'static str, kind: &'static str) -> Resource {
    use std::borrow::Cow::Borrowed;
    Resource {
        group: Borrowed(group),
        version: Borrowed("v1"),
        plural: Borrowed(plural),
        kind: Borrowed(kind),
        namespaced: true,
    }
}

impl Cluster {
    pub async fn start() -> Self {
        let wire = Wire::start().await;
        let world = wire.server().map(|server| {
            let parts =
                [Part::NodeLifecycle, Part::Workloads, Part::Garbage, Part::Scheduler, Part::Budgets, Part::Endpoints];
            let world = World::new(WorldConfig { parts: parts.into(), ..WorldConfig::default() }).expect("a world");
            let store = server.store().clone();
            tokio::spawn(async move { match live(&world, &store, &WallClock).await {} })
        });
        let api = wire.api().await;
        let alone = Alone::new();
        let name = unique("n");
        let object = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"plimsoll.dev/test": name}}});
        let object = wire.create(&Resource::NODES, object).await;
        let node = NodeRef { name: name.as_str().into(), uid: uid(&object).to_owned() };
        let cluster = Self { wire, api, node, alone, world };
        let ready = json!({"status": {
            "capacity": {"cpu": "8", "memory": "16Gi", "pods": "50"}, "allocatable": {"cpu": "8", "memory": "16Gi", "pods": "50"},
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady",
                            "lastHeartbeatTime": now(), "lastTransitionTime": now()}],
        }});
        let name = cluster.node_name();
        cluster
            .api
            .patch(&cluster.permit(), &Resource::NODES, &name, Some("status"), Patch::Merge, &ready)
            .await
            .expect("ready");
        until("the node takes pods", async || cluster.node().await["spec"]["taints"].is_null()).await;
        cluster
    }

    pub fn permit(&self) -> Permit {
        self.alone.permit()
    }

    pub fn node_name(&self) -> ObjectName {
        ObjectName::of_cluster(&self.node.name)
    }

    pub async fn node(&self) -> Value {
        self.api.get(&Resource::NODES, &self.node_name()).await.expect("the node is there")
    }

    pub async fn patch(&self, resource: &Resource, name: &ObjectName, part: Option<&str>, body: Value) -> Value {
        self.api.patch(&self.permit(), resource, name, part, Patch::Merge, &body).await.expect("can be patched")
    }

    /// A pod on the node that is ready.
    pub async fn running(&self, name: &str, app: &str) -> PodRef {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": self.wire.namespace, "labels": {"app": app}},
            "spec": {"nodeName": &*self.node.name, "containers": [{"name": "c", "image": "i"}]},
        });
        let pod = self.wire.create(&Resource::PODS, object).await;
        self.make_ready(name).await;
        self.pod_ref(&pod)
    }

    pub fn pod_ref(&self, pod: &Value) -> PodRef {
        PodRef {
            namespace: self.wire.namespace.as_str().into(),
            name: pod["metadata"]["name"].as_str().expect("a name").into(),
            uid: Uid::parse(uid(pod)),
        }
    }

    /// As its kubelet would.
    pub async fn make_ready(&self, pod: &str) {
        let ready = |kind: &str| json!({"type": kind, "status": "True", "lastTransitionTime": now()});
        let address = format!("10.0.{}.{}", pod.len() % 250, 1 + pod.bytes().map(usize::from).sum::<usize>() % 250);
        let status = json!({"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}], "startTime": now(),
            "conditions": [ready("PodScheduled"), ready("Ready"), ready("ContainersReady"), ready("Initialized")],
        }});
        self.patch(&Resource::PODS, &self.wire.name(pod), Some("status"), status).await;
    }

    /// As its kubelet would when its containers have ended.
    pub async fn finish(&self, pod: &PodRef) {
        let name = self.wire.name(&pod.name);
        let this_one = Precondition { uid: Some(pod.uid.to_string()), resource_version: None };
        let ended = self.api.delete_within(&self.permit(), &Resource::PODS, &name, &this_one, Duration::ZERO).await;
        assert!(matches!(ended, Ok(_) | Err(ApiError::NotFound(_))), "{ended:?}");
    }

    pub async fn pod(&self, name: &str) -> Result<Value, ApiError> {
        self.api.get(&Resource::PODS, &self.wire.name(name)).await
    }

    pub async fn budget(&self, name: &str, app: &str, spec: Value) {
        let mut spec = spec;
        spec["selector"] = json!({"matchLabels": {"app": app}});
        let object = json!({
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": name, "namespace": self.wire.namespace}, "spec": spec,
        });
        self.wire.create(&Resource::DISRUPTION_BUDGETS, object).await;
        let name = self.wire.name(name);
        until("the budget is counted", async || {
            let budget = self.api.get(&Resource::DISRUPTION_BUDGETS, &name).await.expect("is there");
            let status = &budget["status"];
            status["observedGeneration"] == budget["metadata"]["generation"] && status["currentHealthy"] == 1
        })
        .await;
    }

    /// Leaves nothing behind, as a real server keeps it.
    pub async fn clean(self) {
        for pod in self.api.list(&Resource::PODS, &self.wire.namespace, "").await.expect("pods") {
            let name = pod["metadata"]["name"].as_str().expect("a name");
            if pod["metadata"]["finalizers"].is_array() {
                self.patch(&Resource::PODS, &self.wire.name(name), None, json!({"metadata": {"finalizers": null}}))
                    .await;
            }
        }
        let names =
            [(Resource::NAMESPACES, ObjectName::of_cluster(&self.wire.namespace)), (Resource::NODES, self.node_name())];
        for (resource, name) in names {
            let gone = self.api.delete(&self.permit(), &resource, &name, &Precondition::default()).await;
            assert!(matches!(gone, Ok(_) | Err(ApiError::NotFound(_) | ApiError::Conflict(_))), "{gone:?}");
        }
        if let Some(world) = self.world {
            world.abort();
        }
    }
}

pub fn uid(object: &Value) -> &str {
    object["metadata"]["uid"].as_str().expect("a UID")
}

fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
