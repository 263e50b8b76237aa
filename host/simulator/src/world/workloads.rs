//! Deployments and sets of pods: as many as wanted, and what left its set is replaced.

use std::collections::BTreeSet;

use plimsoll_model::{Millis, Pod, Text, Uid, well_known};
use serde_json::{Value, json};

use super::object::{PodSpec, owner_of, pod_of};
use super::{Event, PodKey, World};

/// Which set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SetId(u64);

/// A ReplicaSet, or whatever else keeps pods.
#[derive(Clone, Debug)]
pub struct Set {
    /// The kind of its pods' owner.
    pub kind: &'static str,
    /// Where it lives.
    pub namespace: Text,
    /// Its name.
    pub name: Text,
    /// Which object.
    pub uid: String,
    /// The value of `pod-template-hash` by which it knows its pods; `None` for one that never lets a pod go.
    pub hash: Option<Text>,
    /// How many pods are wanted.
    pub replicas: usize,
    /// The pods that it has, leaving ones too.
    pub pods: BTreeSet<PodKey>,
    /// The Deployment that it is of.
    pub deployment: Option<PodKey>,
    template: Value,
    made: u64,
    reported: (usize, usize),
}

/// A Deployment.
#[derive(Clone, Debug)]
pub struct Deployment {
    /// How many pods are wanted.
    pub replicas: usize,
    /// What its pods are.
    pub spec: PodSpec,
    uid: String,
    /// Its sets, the present one last.
    sets: Vec<SetId>,
    /// Ready pods, as its status says.
    ready: usize,
}

/// Until a controller has seen what changed.
const REACTION: Millis = Millis(60);

// === impl World ===

impl World {
    /// A Deployment with pods like this.
    pub fn deploy(&mut self, namespace: &str, name: &str, replicas: usize, spec: PodSpec) {
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "namespace": namespace, "name": name },
            "spec": { "replicas": replicas, "selector": { "matchLabels": { "app": name } } }, "status": {}
        });
        let Ok(made) = self.store.create(object) else { return };
        let uid = made["metadata"]["uid"].as_str().unwrap_or_default().to_owned();
        let key = (namespace.into(), name.into());
        self.deployments.insert(key, Deployment { replicas, spec: spec.clone(), uid, sets: Vec::new(), ready: 0 });
        self.roll_out(namespace, name, spec);
    }

    /// Another template for a Deployment, or the first one.
    pub fn roll_out(&mut self, namespace: &str, name: &str, spec: PodSpec) {
        let key: PodKey = (namespace.into(), name.into());
        let Some(deployment) = self.deployments.get_mut(&key) else { return };
        deployment.spec = spec.clone();
        let (replicas, uid) = (deployment.replicas, deployment.uid.clone());
        let hash = format!("r{}", spec.revision);
        let set_name = format!("{name}-{hash}");
        let owner = owner_of("apps/v1", "Deployment", name, &uid);
        let template = spec.template(name, Some(&hash));
        let set = self.new_set(
            "ReplicaSet",
            namespace,
            &set_name,
            (replicas, template, Some(hash.as_str().into()), Some(owner)),
        );
        if let (Some(set), Some(deployment)) = (set, self.deployments.get_mut(&key)) {
            deployment.sets.push(set);
            if let Some(known) = self.sets.get_mut(&set) {
                known.deployment = Some(key);
            }
        }
    }

    /// Another number of pods for a Deployment.
    pub fn scale(&mut self, namespace: &str, name: &str, replicas: usize) {
        let key: PodKey = (namespace.into(), name.into());
        let Some(deployment) = self.deployments.get_mut(&key) else { return };
        deployment.replicas = replicas;
        let last = deployment.sets.last().copied();
        self.update("deployments.apps", (namespace, name), |object| object["spec"]["replicas"] = replicas.into());
        if let Some(set) = last {
            self.resize(set, replicas);
        }
    }

    /// Pods that are kept by something else than a Deployment: a Job, or nothing that has an object here.
    pub fn keep(&mut self, kind: &'static str, namespace: &str, name: &str, spec: &PodSpec) -> Option<SetId> {
        self.new_set(kind, namespace, name, (1, spec.template(name, None), None, None))
    }

    /// The pods of a set are no longer wanted.
    pub fn end(&mut self, set: SetId) {
        let Some(known) = self.sets.get_mut(&set) else { return };
        known.replicas = 0;
        for key in known.pods.clone() {
            let _ = self.store.force_delete("pods", &key.0, &key.1);
        }
        if let Some(known) = self.sets.remove(&set) {
            self.set_ids.remove(&Uid::parse(&known.uid));
        }
    }

    /// A pod without an owner.
    pub fn bare_pod(&mut self, namespace: &str, name: &str, spec: &PodSpec) {
        let _ = self.store.create(pod_of(&spec.template(name, None), namespace, name, None));
    }

    /// The Deployments, in the order of names.
    pub fn deployments(&self) -> impl Iterator<Item = (&PodKey, &Deployment)> {
        self.deployments.iter()
    }

    /// Sets of pods, in the order in which they were made.
    pub fn sets(&self) -> impl Iterator<Item = &Set> {
        self.sets.values()
    }

    fn new_set(
        &mut self,
        kind: &'static str,
        namespace: &str,
        name: &str,
        (replicas, template, hash, owner): (usize, Value, Option<Text>, Option<Value>),
    ) -> Option<SetId> {
        self.next_set += 1;
        let id = SetId(self.next_set);
        let uid = if kind == "ReplicaSet" {
            let mut object = json!({
                "apiVersion": "apps/v1", "kind": kind, "metadata": { "namespace": namespace, "name": name },
                "spec": { "replicas": replicas, "selector": { "matchLabels": template["metadata"]["labels"] } },
                "status": { "replicas": 0 }
            });
            if let Some(owner) = owner {
                object["metadata"]["ownerReferences"] = owner;
            }
            self.store.create(object).ok()?["metadata"]["uid"].as_str()?.to_owned()
        } else {
            format!("{:08x}-0000-4000-8000-{:012x}", 0x5e75_0000_u32, id.0)
        };
        self.set_ids.insert(Uid::parse(&uid), id);
        if let Some(hash) = &hash {
            self.hashes.insert((namespace.into(), hash_of(name, hash)), id);
        }
        let set = Set {
            kind,
            namespace: namespace.into(),
            name: name.into(),
            uid,
            hash,
            replicas,
            pods: BTreeSet::new(),
            deployment: None,
            template,
            made: 0,
            reported: (0, 0),
        };
        self.sets.insert(id, set);
        self.wake_set(id);
        Some(id)
    }

    fn resize(&mut self, set: SetId, replicas: usize) {
        let Some(known) = self.sets.get_mut(&set).filter(|known| known.replicas != replicas) else { return };
        known.replicas = replicas;
        let (namespace, name) = (known.namespace.clone(), known.name.clone());
        if known.kind == "ReplicaSet" {
            self.update("replicasets.apps", (&namespace, &name), |object| object["spec"]["replicas"] = replicas.into());
        }
        self.wake_set(set);
    }

    fn wake_set(&mut self, set: SetId) {
        if self.reconciling.insert(set) {
            self.after(REACTION, Event::Reconcile(set));
        }
    }

    /// Keeps up which set has which pods.
    pub(super) fn sets_of_changed(&mut self, key: &PodKey, old: Option<&Pod>, new: Option<&Pod>) {
        let set_of = |pod: Option<&Pod>| pod?.owner.as_ref().and_then(|owner| self.set_ids.get(&owner.uid).copied());
        let (was, is) = (set_of(old), set_of(new));
        if was != is {
            if let Some(known) = was.and_then(|set| self.sets.get_mut(&set)) {
                known.pods.remove(key);
            }
            if let Some(known) = is.and_then(|set| self.sets.get_mut(&set)) {
                known.pods.insert(key.clone());
            }
        }
        // A pod of nobody whose labels say whose it is.
        let adopted = new.filter(|pod| pod.owner.is_none() && pod.deletion.is_none()).and_then(|pod| {
            let hash = pod.labels.get(well_known::POD_TEMPLATE_HASH)?;
            self.hashes.get(&(pod.namespace.clone(), hash_of_app(pod, hash))).copied()
        });
        for set in [was, is, adopted].into_iter().flatten() {
            self.wake_set(set);
        }
        if let Some(set) = adopted
            && let Some(known) = self.sets.get(&set)
        {
            let owner = owner_of("apps/v1", known.kind, &known.name, &known.uid);
            self.update("pods", (&key.0, &key.1), |pod| pod["metadata"]["ownerReferences"] = owner);
        }
    }

    /// Makes the pods of a set as many as wanted.
    pub(super) fn reconcile(&mut self, id: SetId) {
        self.reconciling.remove(&id);
        let Some(set) = self.sets.get(&id) else { return };
        let set = set.clone();
        // What no longer carries the set's label is let go (Kubernetes, "ReplicaSet": isolating Pods).
        let mut pods: Vec<Pod> = Vec::new();
        for key in &set.pods {
            let Some(pod) = self.live.get(key) else { continue };
            let foreign =
                set.hash.as_ref().is_some_and(|hash| pod.labels.get(well_known::POD_TEMPLATE_HASH) != Some(hash));
            if foreign {
                self.update("pods", (&key.0, &key.1), |pod| {
                    if let Some(metadata) = pod["metadata"].as_object_mut() {
                        metadata.remove("ownerReferences");
                    }
                });
            } else if pod.deletion.is_none() && !pod.finished() {
                pods.push(pod.clone());
            }
        }
        for _ in pods.len()..set.replicas {
            let Some(known) = self.sets.get_mut(&id) else { return };
            known.made += 1;
            let name = if known.replicas == 1 && known.hash.is_none() {
                format!("{}-{}", known.name, known.made)
            } else {
                format!("{}-{:04}", known.name, known.made)
            };
            let api_version = if known.kind == "Job" { "batch/v1" } else { "apps/v1" };
            let owner = owner_of(api_version, known.kind, &known.name, &known.uid);
            let pod = pod_of(&known.template, &known.namespace, &name, Some(owner));
            let _ = self.store.create(pod);
        }
        if pods.len() > set.replicas {
            // Which go first: without a node, not ready, young (Kubernetes, "ReplicaSet": scaling down).
            let worth = |pod: &Pod| (pod.node.is_some(), pod.ready, std::cmp::Reverse((pod.created, pod.name.clone())));
            pods.sort_by_cached_key(worth);
            let surplus = pods.len() - set.replicas;
            for pod in pods.drain(..surplus) {
                let _ = self.store.delete_with("pods", &pod.namespace, &pod.name, &json!({}));
            }
        }
        self.report(id, &set, &pods);
    }

    /// Writes what a set has into its status, and lets its Deployment go on.
    fn report(&mut self, id: SetId, set: &Set, pods: &[Pod]) {
        let ready = pods.iter().filter(|pod| pod.ready).count();
        let reported = (pods.len(), ready);
        if set.kind == "ReplicaSet" && set.reported != reported {
            if let Some(known) = self.sets.get_mut(&id) {
                known.reported = reported;
            }
            self.update("replicasets.apps", (&set.namespace, &set.name), |object| {
                object["status"] =
                    json!({ "replicas": reported.0, "readyReplicas": ready, "availableReplicas": ready });
            });
        }
        let Some(key) = &set.deployment else { return };
        let Some(deployment) = self.deployments.get_mut(key) else { return };
        let all_ready = deployment.sets.iter().filter_map(|set| self.sets.get(set)).map(|set| set.reported.1).sum();
        let changed = std::mem::replace(&mut deployment.ready, all_ready) != all_ready;
        if deployment.sets.last() == Some(&id) && ready >= deployment.replicas && deployment.sets.len() > 1 {
            let older: Vec<SetId> = deployment.sets.drain(..deployment.sets.len() - 1).collect();
            older.into_iter().for_each(|set| self.resize(set, 0));
        }
        if changed {
            self.update("deployments.apps", (&key.0, &key.1), |object| {
                object["status"] = json!({ "readyReplicas": all_ready, "availableReplicas": all_ready });
            });
        }
    }
}

/// What the pods of a set are known by, within a namespace.
fn hash_of(set: &str, hash: &str) -> Text {
    let app = set.strip_suffix(hash).and_then(|app| app.strip_suffix('-')).unwrap_or(set);
    format!("{app} {hash}").into()
}

fn hash_of_app(pod: &Pod, hash: &str) -> Text {
    let app = pod.labels.get("app").map_or("", Text::as_str);
    format!("{app} {hash}").into()
}
