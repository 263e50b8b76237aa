//! New objects.

use serde_json::{Map, Value, json};

use super::{Write, Written, defaults, set_meta};

use crate::patch::apply;
use crate::resource::{self, ResourceKind, StatusRule};
use crate::semantics::csr;
use crate::semantics::refusal::{Cause, Refusal};
use crate::semantics::validate;
use crate::store::{Key, State, meta, metadata, rfc3339};

/// The wording of the rule for most names (k8s.io/apimachinery: validation of DNS-1123 subdomains).
const NAME_RULE: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', \
    and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is \
    '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

// === impl Write ===

impl Write<'_> {
    /// Creates an object from its stored form.
    pub(crate) fn create(&mut self, tree: Value) -> Result<Written, Refusal> {
        self.create_tracked(tree, true)
    }

    /// The same; an apply has tracked its fields already.
    pub(super) fn create_tracked(&mut self, mut tree: Value, track: bool) -> Result<Written, Refusal> {
        let kind = self.served.kind.clone();
        check_shape(&kind, &tree)?;
        let given = meta(&tree, "namespace");
        if !given.is_empty() && given != self.namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(message));
        }
        if !matches!(meta(&tree, "resourceVersion"), "" | "0") {
            // Without a reason and with this code: so says the real server.
            return Err(Refusal::new(500, "", "resourceVersion should not be set on objects to be created"));
        }
        self.identify(&mut tree);
        let name = meta(&tree, "name").to_owned();
        let target = kind.target(&name);
        check_name(&tree, &name).map_err(|cause| target.invalid(&[cause]))?;
        if kind.namespaced {
            self.check_namespace(&name)?;
        }
        self.initial_status(&mut tree);
        defaults::set(self.state, &kind, &mut tree, true)?;
        defaults::unset_times(&kind, &mut tree);
        if kind.plural == "certificatesigningrequests" && kind.group == "certificates.k8s.io" {
            csr::create(&mut tree, self.user)?;
        }
        validate::create(&target, &tree)?;
        if self.state.find(self.served.collection, &self.key(&name)).is_some() {
            return Err(Refusal::already_exists(&kind.group, &kind.plural, &name));
        }
        if track {
            apply::track(&target, None, &mut tree, self.manager, self.subresource, self.now);
        }
        self.put(&name, &mut tree);
        if !self.dry_run && kind.plural == "customresourcedefinitions" {
            establish(self.state, self.served.collection, &self.key(&name), &mut tree, &rfc3339(self.now));
        }
        Ok(Written::object(201, tree))
    }

    /// Gives a new object its name, UID and time.
    fn identify(&mut self, tree: &mut Value) {
        if meta(tree, "name").is_empty() && !meta(tree, "generateName").is_empty() {
            let name = format!("{}{}", meta(tree, "generateName"), self.state.new_suffix());
            set_meta(tree, "name", Some(name.into()));
        }
        let uid = self.state.new_uid();
        for field in ["resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "generation", "selfLink"] {
            set_meta(tree, field, None);
        }
        set_meta(tree, "uid", Some(uid.into()));
        set_meta(tree, "creationTimestamp", Some(rfc3339(self.now).into()));
        if self.served.kind.generation {
            set_meta(tree, "generation", Some(1.into()));
        }
        let namespace = self.served.kind.namespaced.then(|| Value::from(self.namespace));
        set_meta(tree, "namespace", namespace);
        prune(metadata(tree));
    }

    /// What the status of a new object is: clients have no say in it, apart from nodes.
    fn initial_status(&self, tree: &mut Value) {
        let kind = &self.served.kind;
        let Value::Object(fields) = tree else { return };
        match (kind.status, kind.plural.as_str()) {
            (StatusRule::Plain | StatusRule::KeptOnCreate, _) => return,
            (StatusRule::Separate, _) if kind.custom => {
                fields.remove("status");
                return;
            }
            (StatusRule::Separate, "customresourcedefinitions") => {
                fields.insert("status".to_owned(), json!({ "conditions": [], "storedVersions": [] }));
                return;
            }
            _ => {}
        }
        let status = match kind.plural.as_str() {
            "pods" | "persistentvolumes" | "persistentvolumeclaims" => json!({ "phase": "Pending" }),
            "namespaces" => json!({ "phase": "Active" }),
            "services" => json!({ "loadBalancer": {} }),
            "ingresses" => json!({ "loadBalancer": {} }),
            "volumeattachments" => json!({ "attached": false }),
            "replicasets" | "replicationcontrollers" => json!({ "replicas": 0 }),
            "statefulsets" => json!({ "replicas": 0, "availableReplicas": 0 }),
            "daemonsets" => json!({
                "currentNumberScheduled": 0, "numberMisscheduled": 0, "desiredNumberScheduled": 0, "numberReady": 0
            }),
            "poddisruptionbudgets" => json!({
                "disruptionsAllowed": 0, "currentHealthy": 0, "desiredHealthy": 0, "expectedPods": 0
            }),
            "horizontalpodautoscalers" => json!({ "desiredReplicas": 0, "currentMetrics": null }),
            _ => json!({}),
        };
        fields.insert("status".to_owned(), status);
    }

    /// The namespace of a new object must be there, and stay.
    pub(super) fn check_namespace(&self, name: &str) -> Result<(), Refusal> {
        let refused = || Refusal::not_found("", "namespaces", self.namespace);
        let namespaces = self.state.registry.find("", "namespaces").ok_or_else(refused)?;
        let namespace = self.state.find(namespaces, &Key::new("", self.namespace)).ok_or_else(refused)?.tree();
        if meta(&namespace, "deletionTimestamp").is_empty() {
            return Ok(());
        }
        let kind = &self.served.kind;
        let why =
            format!("unable to create new content in namespace {} because it is being terminated", self.namespace);
        Err(Refusal::forbidden(&kind.group, &kind.plural, name, &why).with_causes(&[Cause {
            reason: "NamespaceTerminating",
            message: format!("namespace {} is being terminated", self.namespace),
            field: "metadata.namespace".to_owned(),
        }]))
    }
}

/// Serves the kind of a definition, and says so in its status.
pub(super) fn establish(state: &mut State, collection: usize, key: &Key, tree: &mut Value, now: &str) {
    let Some(kind) = resource::of_crd(tree) else { return };
    let stored = kind.stored_version().to_owned();
    let condition = |kind: &str, reason: &str, message: &str| json!({ "type": kind, "status": "True", "lastTransitionTime": now, "reason": reason, "message": message });
    let status = json!({
        "acceptedNames": tree["spec"]["names"],
        "conditions": [
            condition("NamesAccepted", "NoConflicts", "no conflicts found"),
            condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
        ],
        "storedVersions": [stored],
    });
    state.register(kind);
    if let Value::Object(fields) = tree {
        fields.insert("status".to_owned(), status);
    }
    state.put(collection, key.clone(), tree);
}

/// Leaves out metadata that says nothing, as encoding them does in a real server.
pub(super) fn prune(metadata: &mut Map<String, Value>) {
    metadata.retain(|_, value| match value {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::String(text) => !text.is_empty(),
        _ => true,
    });
}

/// What every object must look like, so that it can be worked with at all.
pub(super) fn check_shape(kind: &ResourceKind, tree: &Value) -> Result<(), Refusal> {
    let wrong = |field: &str, wanted: &str| {
        let what = format!("{} in version {:?}", kind.kind, kind.stored_version());
        Err(Refusal::bad_request(format!("{what} cannot be handled as a {}: {field} must be {wanted}", kind.kind)))
    };
    let Some(fields) = tree.as_object() else { return wrong("it", "an object") };
    let of = |map: &Map<String, Value>, name: &str| map.get(name).filter(|value| !value.is_null()).cloned();
    for name in ["spec", "status"] {
        if of(fields, name).is_some_and(|value| !value.is_object()) {
            return wrong(name, "an object");
        }
    }
    let metadata = match of(fields, "metadata") {
        None => return Ok(()),
        Some(Value::Object(metadata)) => metadata,
        Some(_) => return wrong("metadata", "an object"),
    };
    for name in ["name", "generateName", "namespace", "uid", "resourceVersion"] {
        if of(&metadata, name).is_some_and(|value| !value.is_string()) {
            return wrong(&format!("metadata.{name}"), "a string");
        }
    }
    for name in ["labels", "annotations"] {
        let right = |value: &Value| value.as_object().is_some_and(|map| map.values().all(Value::is_string));
        if of(&metadata, name).is_some_and(|value| !right(&value)) {
            return wrong(&format!("metadata.{name}"), "a map of strings");
        }
    }
    let right = |value: &Value| value.as_array().is_some_and(|list| list.iter().all(Value::is_string));
    if of(&metadata, "finalizers").is_some_and(|value| !right(&value)) {
        return wrong("metadata.finalizers", "a list of strings");
    }
    Ok(())
}

fn check_name(tree: &Value, name: &str) -> Result<(), Cause> {
    if name.is_empty() {
        return Err(Cause::required("metadata.name", "name or generateName is required"));
    }
    // Roles and their bindings may be named with colons; the rule for all others is that of DNS names.
    let kind = tree.get("kind").and_then(Value::as_str).unwrap_or_default();
    if matches!(kind, "Role" | "ClusterRole" | "RoleBinding" | "ClusterRoleBinding") {
        return Ok(());
    }
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        label.bytes().all(|byte| inner(byte) || byte == b'-')
            && label.bytes().next().is_some_and(inner)
            && label.bytes().last().is_some_and(inner)
    };
    if name.len() <= 253 && name.split('.').all(label) {
        return Ok(());
    }
    Err(Cause::invalid("metadata.name", &name.into(), NAME_RULE))
}
