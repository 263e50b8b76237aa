//! The objects of the cluster, and the way tests and worlds put them there: as the system itself, without HTTP.

mod collection;
mod facets;
mod in_process;
mod object;
mod state;
mod template;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::watch;

pub(crate) use collection::{Change, Event, Forgotten, Objects, within};
pub(crate) use facets::Fields;
pub use in_process::Observed;
pub(crate) use object::{Key, Stored};
pub(crate) use state::{State, meta, metadata, rfc3339};
pub use template::Template;

use crate::clock::Clock;
use crate::resource::{self, ResourceKind, Served};
use crate::semantics::refusal::Refusal;

/// All objects. Copies are the same store.
///
/// What is done here is done by the system: nothing is authorized, no fault is injected, nothing is defaulted, and
/// the status of an object is kept as it is given. Kinds are named as for kubectl: `pods`, `deployments.apps`.
/// Cluster-scoped objects have the namespace `""`.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    written: watch::Sender<u64>,
    clock: Arc<dyn Clock>,
}

/// The store while nobody else can write. Whoever waits for writes is told when it is let go.
pub(crate) struct Writing<'a> {
    state: MutexGuard<'a, State>,
    before: u64,
    written: &'a watch::Sender<u64>,
}

// === impl Store ===

impl Store {
    /// An empty store with the built-in kinds. Each kind remembers its last `window` events.
    pub(crate) fn new(window: usize, clock: Arc<dyn Clock>) -> Self {
        let mut state = State::new(window.max(1));
        for kind in resource::builtin() {
            state.register(kind);
        }
        let shared = Shared { written: watch::Sender::new(state.revision()), state: Mutex::new(state), clock };
        Self { shared: Arc::new(shared) }
    }

    /// Takes the store for reading or writing.
    pub(crate) fn lock(&self) -> Writing<'_> {
        let state = self.shared.state.lock().unwrap_or_else(PoisonError::into_inner);
        Writing { before: state.revision(), state, written: &self.shared.written }
    }

    /// The time that objects are stamped with.
    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.shared.clock
    }

    /// The revision of the last write.
    pub fn revision(&self) -> u64 {
        self.lock().revision()
    }

    /// Creates an object. Its namespace is created with it.
    pub fn create(&self, object: Value) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let (served, key, tree) = resolve(&state, object)?;
        if state.find(served.collection, &key).is_some() {
            return Err(Refusal::already_exists(&served.kind.group, &served.kind.plural, &key.name));
        }
        self.insert(&mut state, &served, key, tree)
    }

    /// An object, if it is there.
    pub fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let stored = {
            let state = self.lock();
            let collection = state.registry.find_by_name(resource)?;
            state.find(collection, &Key::new(namespace, name))?.clone()
        };
        Some(stored.tree())
    }

    /// The objects of a kind, in a namespace or in all if it is empty.
    pub fn list(&self, resource: &str, namespace: &str) -> Vec<Value> {
        let objects = self.objects(resource);
        within(&objects, namespace, None).map(|stored| stored.tree()).collect()
    }

    /// How many objects of a kind there are.
    pub fn count(&self, resource: &str) -> usize {
        self.objects(resource).len()
    }

    /// Puts an object in the place of the one of its name: specification and status. If it names a resource version,
    /// that must be the present one.
    pub fn replace(&self, object: Value) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let (served, key, tree) = resolve(&state, object)?;
        let Some(old) = state.find(served.collection, &key).cloned() else {
            return Err(Refusal::not_found(&served.kind.group, &served.kind.plural, &key.name));
        };
        let given = meta(&tree, "resourceVersion");
        if !given.is_empty() && given != old.revision.to_string() {
            return Err(Refusal::modified(&served.kind.group, &served.kind.plural, &key.name));
        }
        Ok(overwrite(&mut state, &served, key, &old.tree(), tree))
    }

    /// Changes an object in place, with nobody in between.
    pub fn update(
        &self,
        resource: &str,
        namespace: &str,
        name: &str,
        change: impl FnOnce(&mut Value),
    ) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let served = state.serve(resource).ok_or_else(|| unknown(resource))?;
        let key = Key::new(namespace, name);
        let Some(old) = state.find(served.collection, &key).cloned() else {
            return Err(Refusal::not_found(&served.kind.group, &served.kind.plural, name));
        };
        let (old, mut tree) = (old.tree(), old.tree());
        change(&mut tree);
        Ok(overwrite(&mut state, &served, key, &old, tree))
    }

    /// Creates an object, or puts it in the place of the one of its name.
    pub fn apply(&self, object: Value) -> Result<Value, Refusal> {
        let mut state = self.lock();
        let (served, key, tree) = resolve(&state, object)?;
        match state.find(served.collection, &key).cloned() {
            Some(old) => Ok(overwrite(&mut state, &served, key, &old.tree(), tree)),
            None => self.insert(&mut state, &served, key, tree),
        }
    }

    /// Deletes an object at once. One with finalizers only gets its deletion timestamp. Gives it as it was last.
    pub fn delete(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut state = self.lock();
        let served = state.serve(resource)?;
        let key = Key::new(namespace, name);
        let old = state.find(served.collection, &key)?.tree();
        let finalizers = old["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
        if !finalizers {
            return Some(state.remove(served.collection, &key, None)?.tree());
        }
        let mut tree = old.clone();
        let now = rfc3339(self.shared.clock.now());
        metadata(&mut tree).entry("deletionTimestamp").or_insert_with(|| now.into());
        metadata(&mut tree).entry("deletionGracePeriodSeconds").or_insert_with(|| 0.into());
        Some(overwrite(&mut state, &served, key, &old, tree))
    }

    /// Deletes an object at once, whatever its finalizers say.
    pub fn force_delete(&self, resource: &str, namespace: &str, name: &str) -> Option<Value> {
        let mut state = self.lock();
        let collection = state.registry.find_by_name(resource)?;
        Some(state.remove(collection, &Key::new(namespace, name), None)?.tree())
    }

    /// Renders and keeps many objects of one kind, replacing those of the same name. Each item gives the values of
    /// the placeholders, `name` and (for namespaced kinds) `namespace` among them. Gives how many there were.
    pub fn load(
        &self,
        template: &Template,
        items: impl IntoIterator<Item = Vec<(&'static str, String)>>,
    ) -> Result<u64, Refusal> {
        let (served, fields) = {
            let state = self.lock();
            let served = state.registry.find_by_kind(&template.api_version, &template.kind);
            let served = served.ok_or_else(|| unknown(&template.kind))?;
            let fields = state.collections.get(served.collection).map(|collection| collection.fields.clone());
            (served, fields.unwrap_or_default())
        };
        let now = rfc3339(self.shared.clock.now());
        let mut count = 0;
        for item in items {
            let of = |name: &str| item.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str());
            let key = Key::new(of("namespace").unwrap_or_default(), of("name").unwrap_or_default());
            let mut state = self.lock();
            let revision = state.next_revision();
            let version = revision.to_string();
            let uid = match state.find(served.collection, &key) {
                // A template that is rendered again is the same object.
                Some(old) => meta(old.facets(&fields), "uid").to_owned(),
                None => state.new_uid(),
            };
            let body = template.render(|name| match name {
                "rv" => Some(version.as_str()),
                "uid" => Some(of("uid").unwrap_or(uid.as_str())),
                "now" => Some(of("now").unwrap_or(now.as_str())),
                name => of(name),
            })?;
            let object = Stored::of_bytes(key, revision, Bytes::from(body), template.head());
            state.keep(served.collection, Arc::new(object));
            count += 1;
        }
        Ok(count)
    }

    /// Serves one more kind.
    pub fn register(&self, kind: ResourceKind) {
        self.lock().register(kind);
    }

    /// Serves the kind that a custom resource definition describes, and keeps the definition.
    pub fn register_crd(&self, definition: &Value) -> Result<(), Refusal> {
        let kind = resource::of_crd(definition)
            .ok_or_else(|| Refusal::bad_request("this is no custom resource definition with a served version"))?;
        self.register(kind);
        self.apply(definition.clone()).map(drop)
    }

    /// Serves the machine kinds of Cluster API.
    pub fn register_cluster_api(&self) {
        resource::cluster_api().into_iter().for_each(|kind| self.register(kind));
    }

    /// Serves the node kinds of Karpenter.
    pub fn register_karpenter(&self) {
        resource::karpenter().into_iter().for_each(|kind| self.register(kind));
    }

    /// Serves the kinds of the metrics server.
    pub fn register_metrics(&self) {
        resource::metrics().into_iter().for_each(|kind| self.register(kind));
    }

    /// Waits until something is so, looking again at each write. False if it is not so in time.
    pub async fn wait_until(&self, limit: Duration, is_so: impl Fn(&Self) -> bool) -> bool {
        let mut written = self.shared.written.subscribe();
        let waiting = async {
            loop {
                written.mark_unchanged();
                if is_so(self) {
                    return true;
                }
                if written.changed().await.is_err() {
                    return false;
                }
            }
        };
        tokio::time::timeout(limit, waiting).await.unwrap_or(false)
    }

    fn objects(&self, resource: &str) -> Objects {
        let state = self.lock();
        let collection = state.registry.find_by_name(resource).and_then(|index| state.collections.get(index));
        collection.map(|collection| collection.objects.clone()).unwrap_or_default()
    }

    /// Completes the metadata of a new object and keeps it.
    fn insert(&self, state: &mut State, served: &Served, mut key: Key, mut tree: Value) -> Result<Value, Refusal> {
        if key.name.is_empty() {
            let prefix = meta(&tree, "generateName").to_owned();
            if prefix.is_empty() {
                return Err(Refusal::bad_request("the object has neither a name nor a generateName"));
            }
            key.name = format!("{prefix}{}", state.new_suffix()).into();
            metadata(&mut tree).insert("name".to_owned(), (*key.name).into());
        }
        if !key.namespace.is_empty() {
            self.ensure_namespace(state, &key.namespace);
        }
        let now = rfc3339(self.shared.clock.now());
        let uid = state.new_uid();
        let metadata = metadata(&mut tree);
        metadata.entry("uid").or_insert_with(|| uid.into());
        metadata.entry("creationTimestamp").or_insert_with(|| now.into());
        if served.kind.generation {
            metadata.entry("generation").or_insert_with(|| 1.into());
        }
        if served.kind.plural == "customresourcedefinitions"
            && let Some(kind) = resource::of_crd(&tree)
        {
            state.register(kind);
        }
        state.put(served.collection, key, &mut tree);
        Ok(tree)
    }

    /// Creates a namespace if it is not there.
    pub(crate) fn ensure_namespace(&self, state: &mut State, name: &str) {
        let key = Key::new("", name);
        let Some(collection) = state.registry.find("", "namespaces") else { return };
        if state.find(collection, &key).is_some() {
            return;
        }
        let uid = state.new_uid();
        let mut tree = json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {
                "name": name, "uid": uid, "creationTimestamp": rfc3339(self.shared.clock.now()),
                "labels": { "kubernetes.io/metadata.name": name },
            },
            "spec": { "finalizers": ["kubernetes"] },
            "status": { "phase": "Active" },
        });
        state.put(collection, key, &mut tree);
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("revision", &self.revision()).finish_non_exhaustive()
    }
}

// === impl Writing ===

impl Writing<'_> {
    /// What `pods` or `deployments.apps` is.
    fn serve(&self, resource: &str) -> Option<Served> {
        let kind = self.registry.kind(self.registry.find_by_name(resource)?)?.clone();
        self.registry.serve(&kind.group, kind.stored_version(), &kind.plural)
    }
}

impl std::ops::Deref for Writing<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl std::ops::DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        let revision = self.state.revision();
        if revision != self.before {
            self.written.send_replace(revision);
        }
    }
}

/// What an object is, and where it belongs.
fn resolve(state: &State, object: Value) -> Result<(Served, Key, Value), Refusal> {
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let served = state.registry.find_by_kind(text("apiVersion"), text("kind"));
    let served = served.ok_or_else(|| unknown(&format!("{} {}", text("apiVersion"), text("kind"))))?;
    let mut tree = crate::convert::to_stored(&served, object);
    let mut namespace = meta(&tree, "namespace").to_owned();
    if served.kind.namespaced && namespace.is_empty() {
        namespace = "default".to_owned();
        metadata(&mut tree).insert("namespace".to_owned(), namespace.clone().into());
    }
    if !served.kind.namespaced {
        namespace.clear();
        metadata(&mut tree).remove("namespace");
    }
    let key = Key::new(&namespace, meta(&tree, "name"));
    Ok((served, key, tree))
}

/// Puts `tree` in the place of `old`, which it stays the same object as. Nothing is written if nothing changes.
fn overwrite(state: &mut State, served: &Served, key: Key, old: &Value, mut tree: Value) -> Value {
    let metadata = metadata(&mut tree);
    for field in ["uid", "creationTimestamp", "generation", "resourceVersion"] {
        match old["metadata"].get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    if tree == *old {
        return tree;
    }
    if served.kind.generation && tree.get("spec") != old.get("spec") {
        let generation = old["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
        self::metadata(&mut tree).insert("generation".to_owned(), generation.into());
    }
    let leaving = tree["metadata"].get("deletionTimestamp").is_some();
    let held = tree["metadata"]["finalizers"].as_array().is_some_and(|list| !list.is_empty());
    let graceful = tree["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() > 0;
    if leaving && !held && !graceful {
        return state.remove(served.collection, &key, Some(tree.clone())).map_or(tree, |stored| stored.tree());
    }
    state.put(served.collection, key, &mut tree);
    tree
}

fn unknown(resource: &str) -> Refusal {
    Refusal::new(404, "NotFound", format!("the server does not serve {resource}"))
}
