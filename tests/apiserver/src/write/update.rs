//! Changes of objects that are there: by PUT, by patch and by apply.

use serde_json::{Value, json};

use super::{Write, Written, create, defaults, finalizers, set_meta};
use crate::convert;

use crate::patch::{self, PatchType, apply};
use crate::semantics::refusal::{Cause, Refusal};
use crate::semantics::{csr, validate};
use crate::store::{State, meta, metadata, rfc3339};

/// How an object is changed.
pub(crate) enum Update {
    /// This takes its place; in stored form.
    Put(Value),
    /// This is laid over it.
    Patch(PatchType, Value),
    /// This is applied, with force or without.
    Apply {
        /// What is applied.
        body: Value,
        /// Whether conflicts are won.
        force: bool,
    },
}

// === impl Write ===

impl Write<'_> {
    /// Changes an object, or creates it where that is allowed.
    pub(crate) fn update(&mut self, name: &str, update: Update) -> Result<Written, Refusal> {
        let kind = self.served.kind.clone();
        let target = kind.target(name);
        let old = self.state.find(self.served.collection, &self.key(name)).map(|stored| stored.tree());
        let put = matches!(update, Update::Put(_));
        let applied = matches!(update, Update::Apply { .. });
        let new = match (update, &old) {
            (Update::Put(new), _) => {
                if meta(&new, "name").is_empty() {
                    return Err(Refusal::bad_request(format!(
                        "the name of the object ({name} based on URL) was undeterminable: name must be provided"
                    )));
                }
                new
            }
            (Update::Patch(..), None) => return Err(self.not_found(name)),
            (Update::Patch(how, body), Some(old)) => {
                let shown = convert::from_stored(self.served, old.clone());
                convert::to_stored(self.served, patch::patch(how, &target, &shown, &body)?)
            }
            (Update::Apply { .. }, None) if !self.subresource.is_empty() => return Err(self.not_found(name)),
            (Update::Apply { body, force }, old) => {
                let options =
                    apply::Options { manager: self.manager, force, subresource: self.subresource, now: self.now };
                let mut new = apply::apply(&target, old.as_ref(), &body, &options)?;
                if old.is_none() {
                    set_meta(&mut new, "name", Some(name.into()));
                }
                new
            }
        };
        create::check_shape(&kind, &new)?;
        self.check_names(&new, name)?;
        let Some(old) = old else {
            if applied || (put && kind.create_on_update && self.subresource.is_empty()) {
                // It must be the object that was read, and that one is gone.
                if new["metadata"]["uid"].as_str().is_some_and(|uid| !uid.is_empty()) {
                    let why = "Precondition failed: UID in object meta: ";
                    return Err(Refusal::conflict(&kind.group, &kind.plural, name, why));
                }
                let mut new = new;
                set_meta(&mut new, "resourceVersion", None);
                return self.create_tracked(new, !applied);
            }
            return Err(self.not_found(name));
        };
        self.settle(name, &old, new, put, !applied)
    }

    /// Puts `new` in the place of `old`, as far as the kind and the subresource let it.
    pub(super) fn settle(
        &mut self,
        name: &str,
        old: &Value,
        mut new: Value,
        put: bool,
        track: bool,
    ) -> Result<Written, Refusal> {
        let kind = self.served.kind.clone();
        let target = kind.target(name);
        self.check_version(name, old, &mut new, put)?;
        if put {
            validate::update(&target, &new)?;
        }
        // What is not the client's to change.
        for field in ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"] {
            set_meta(&mut new, field, old["metadata"].get(field).cloned());
        }
        let namespace = kind.namespaced.then(|| Value::from(self.namespace));
        set_meta(&mut new, "namespace", namespace);
        if kind.namespaced || old["metadata"].get("generateName").is_some() {
            set_meta(&mut new, "generateName", old["metadata"].get("generateName").cloned());
        }
        if new["metadata"].get("managedFields").is_none() {
            set_meta(&mut new, "managedFields", old["metadata"].get("managedFields").cloned());
        }
        self.divide(old, &mut new)?;
        create::prune(metadata(&mut new));
        if self.subresource.is_empty() {
            defaults::set(self.state, &kind, &mut new, false)?;
        }
        defaults::unset_times(&kind, &mut new);
        validate::create(&target, &new)?;
        self.check_finalizers(name, old, &new)?;
        set_meta(&mut new, "resourceVersion", old["metadata"].get("resourceVersion").cloned());
        if kind.generation && is_new_generation(kind.custom, kind.has_status(), old, &new) {
            let generation = old["metadata"]["generation"].as_i64().unwrap_or_default() + 1;
            set_meta(&mut new, "generation", Some(generation.into()));
        }
        if track {
            apply::track(&target, Some(old), &mut new, self.manager, self.subresource, self.now);
        }
        if new == *old {
            return Ok(Written::object(200, new));
        }
        let leaving = new["metadata"].get("deletionTimestamp").is_some();
        let graceful = new["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() > 0;
        let emptied = kind.plural != "namespaces" || new["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        if leaving && !graceful && emptied && finalizers(&new).is_empty() {
            if !self.dry_run {
                let key = self.key(name);
                self.state.remove(self.served.collection, &key, Some(new.clone()));
                self.after_removal(name);
            }
            return Ok(Written::object(200, new));
        }
        self.put(name, &mut new);
        if !self.dry_run && kind.plural == "customresourcedefinitions" && new.get("spec") != old.get("spec") {
            let key = self.key(name);
            create::establish(self.state, self.served.collection, &key, &mut new, &rfc3339(self.now));
        }
        Ok(Written::object(200, new))
    }

    /// The name and namespace of the object must be those of the path.
    fn check_names(&self, new: &Value, name: &str) -> Result<(), Refusal> {
        let given = meta(new, "name");
        if given != name {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        let given = meta(new, "namespace");
        if !given.is_empty() && given != self.namespace {
            let message = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(message));
        }
        Ok(())
    }

    /// Optimistic concurrency: the version and the UID that were sent must be the present ones.
    fn check_version(&self, name: &str, old: &Value, new: &mut Value, put: bool) -> Result<(), Refusal> {
        let kind = &self.served.kind;
        let (uid, given) = (meta(old, "uid"), meta(new, "uid"));
        if !given.is_empty() && given != uid {
            if !put {
                let cause = Cause::invalid("metadata.uid", &given.into(), "field is immutable");
                return Err(kind.target(name).invalid(&[cause]));
            }
            let why = format!("Precondition failed: UID in precondition: {given}, UID in object meta: {uid}");
            return Err(Refusal::conflict(&kind.group, &kind.plural, name, &why));
        }
        let given = meta(new, "resourceVersion");
        if !matches!(given, "" | "0") {
            if given.parse::<u64>().is_err() {
                return Err(Refusal::new(500, "", format!("strconv.ParseUint: parsing {given:?}: invalid syntax")));
            }
            if given != meta(old, "resourceVersion") {
                return Err(Refusal::modified(&kind.group, &kind.plural, name));
            }
        } else if put && !kind.unconditional_update {
            let cause = Cause::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
            return Err(Refusal::invalid(&kind.plural, &kind.group, name, &[cause]));
        }
        Ok(())
    }

    /// Keeps apart what belongs to the object, to its status and to its other subresources.
    fn divide(&self, old: &Value, new: &mut Value) -> Result<(), Refusal> {
        let kind = &self.served.kind;
        let keep = |new: &mut Value, field: &str| {
            if let Value::Object(fields) = new {
                match old.get(field) {
                    Some(value) => fields.insert(field.to_owned(), value.clone()),
                    None => fields.remove(field),
                };
            }
        };
        let requests = kind.plural == "certificatesigningrequests" && kind.group == "certificates.k8s.io";
        match self.subresource {
            "approval" => csr::approval(old, new, self.now)?,
            "status" if requests => csr::status(old, new, self.now)?,
            "status" => {
                let maps = old.as_object().into_iter().chain(new.as_object());
                let names: Vec<String> = maps.flat_map(serde_json::Map::keys).cloned().collect();
                for field in names {
                    if field != "status" && field != "metadata" {
                        keep(new, &field);
                    }
                }
                if kind.custom || kind.group == "apps" {
                    let managed = new["metadata"].get("managedFields").cloned();
                    let version = new["metadata"].get("resourceVersion").cloned();
                    keep(new, "metadata");
                    set_meta(new, "managedFields", managed);
                    set_meta(new, "resourceVersion", version);
                }
                // The finalizers are the object's own.
                set_meta(new, "finalizers", old["metadata"].get("finalizers").cloned());
            }
            "finalize" => {
                let finalizers = new["spec"]["finalizers"].take();
                keep(new, "spec");
                keep(new, "status");
                new["spec"]["finalizers"] = finalizers;
            }
            _ => {
                if requests {
                    csr::update(old, new)?;
                } else if kind.has_status() {
                    keep(new, "status");
                }
                if kind.plural == "namespaces" {
                    new["spec"] = json!({ "finalizers": old["spec"]["finalizers"] });
                }
                if kind.plural == "pods" && self.subresource.is_empty() {
                    pod_stays_itself(&kind.target(meta(old, "name")), old, new)?;
                }
            }
        }
        Ok(())
    }

    /// An object that is being deleted gets no more finalizers.
    fn check_finalizers(&self, name: &str, old: &Value, new: &Value) -> Result<(), Refusal> {
        if old["metadata"].get("deletionTimestamp").is_none() {
            return Ok(());
        }
        let known = finalizers(old);
        let added: Vec<&str> = finalizers(new).into_iter().filter(|one| !known.contains(one)).collect();
        if added.is_empty() {
            return Ok(());
        }
        let list: Vec<String> = added.iter().map(|one| format!("{one:?}")).collect();
        let why = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            list.join(", ")
        );
        Err(self.target(name).invalid(&[Cause::forbidden("metadata.finalizers", &why)]))
    }
}

/// Whether a change counts for `metadata.generation`: one of the specification; for custom resources of anything but
/// metadata and status.
fn is_new_generation(custom: bool, has_status: bool, old: &Value, new: &Value) -> bool {
    if !custom {
        // Priority classes and others without a spec never change.
        return old.get("spec") != new.get("spec");
    }
    let without = |tree: &Value| {
        let mut tree = tree.clone();
        if let Value::Object(fields) = &mut tree {
            fields.remove("metadata");
            fields.remove("apiVersion");
            if has_status {
                fields.remove("status");
            }
        }
        tree
    };
    without(old) != without(new)
}

/// Of a pod's specification only images, the deadline, additional tolerations and a few more may change.
fn pod_stays_itself(target: &crate::semantics::refusal::Target<'_>, old: &Value, new: &Value) -> Result<(), Refusal> {
    let fixed = |pod: &Value| {
        let mut spec = pod["spec"].clone();
        for list in ["containers", "initContainers"] {
            for container in spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
                if let Value::Object(fields) = container {
                    fields.remove("image");
                }
            }
        }
        if let Value::Object(fields) = &mut spec {
            for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"] {
                fields.remove(field);
            }
        }
        spec
    };
    if fixed(old) == fixed(new) {
        return Ok(());
    }
    let why = "pod updates may not change fields other than \
               `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` \
               (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if \
               it was previously negative)";
    Err(target.invalid(&[Cause::forbidden("spec", why)]))
}

/// The trees of all objects of a kind in a namespace.
pub(crate) fn trees(state: &State, group: &str, plural: &str, namespace: &str) -> Vec<Value> {
    let collection = state.registry.find(group, plural).and_then(|index| state.collections.get(index));
    let objects = collection.map(|collection| collection.objects.clone()).unwrap_or_default();
    crate::store::within(&objects, namespace, None).map(|stored| stored.tree()).collect()
}
