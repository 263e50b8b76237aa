//! Deleting: at once, with grace, or when the finalizers are through.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{Write, Written, finalizers, set_meta, success};
use crate::semantics::refusal::{Cause, Refusal};
use crate::store::{meta, rfc3339};

/// How an object is deleted: `metav1.DeleteOptions`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeleteOptions {
    pub(crate) grace: Option<i64>,
    pub(crate) uid: Option<String>,
    pub(crate) version: Option<String>,
    pub(crate) propagation: Option<String>,
    pub(crate) dry_run: bool,
}

/// The finalizer of a deletion that waits for dependents.
const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of a deletion that leaves dependents alone.
const ORPHAN: &str = "orphan";

// === impl DeleteOptions ===

impl DeleteOptions {
    /// Reads the options of a body; null for none.
    pub(crate) fn parse(body: &Value) -> Result<Self, Refusal> {
        let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
        let preconditions = body.get("preconditions").unwrap_or(&Value::Null);
        let orphan = body.get("orphanDependents").and_then(Value::as_bool).map(|orphan| match orphan {
            true => "Orphan".to_owned(),
            false => "Background".to_owned(),
        });
        let propagation = text(body, "propagationPolicy").or(orphan);
        if let Some(policy) = &propagation
            && !matches!(policy.as_str(), "Orphan" | "Background" | "Foreground")
        {
            let known = ["Foreground", "Background", "Orphan", "nil"];
            let cause = Cause::unsupported("propagationPolicy", &policy.as_str().into(), &known);
            return Err(Refusal::invalid("DeleteOptions", "meta.k8s.io", "", &[cause]));
        }
        let dry_run = match body.get("dryRun") {
            None | Some(Value::Null) => false,
            Some(list) if list.as_array().is_some_and(Vec::is_empty) => false,
            Some(list) if list.as_array().is_some_and(|list| list.iter().all(|one| one == "All")) => true,
            Some(list) => {
                let cause = Cause::unsupported("dryRun", list, &["All"]);
                return Err(Refusal::invalid("DeleteOptions", "meta.k8s.io", "", &[cause]));
            }
        };
        Ok(Self {
            grace: body.get("gracePeriodSeconds").and_then(Value::as_i64),
            uid: text(preconditions, "uid"),
            version: text(preconditions, "resourceVersion"),
            propagation,
            dry_run,
        })
    }
}

// === impl Write ===

impl Write<'_> {
    /// Deletes an object.
    pub(crate) fn delete(&mut self, name: &str, options: &DeleteOptions) -> Result<Written, Refusal> {
        let kind = self.served.kind.clone();
        let old = self.find(name)?.tree();
        self.check_preconditions(name, &old, options)?;
        if kind.plural == "namespaces" && kind.group.is_empty() {
            return Ok(self.terminate(name, old));
        }
        let wanted = wanted_finalizers(&old, options);
        let grace = grace(&kind.plural, &old, options);
        let mut new = old.clone();
        set_meta(&mut new, "finalizers", (!wanted.is_empty()).then(|| wanted.clone().into()));
        if let Some(grace) = grace.filter(|_| kind.plural == "pods" || !wanted.is_empty()) {
            mark(&mut new, grace, self.now);
        }
        if new != old {
            let key = self.key(name);
            match self.dry_run {
                true => {}
                false => drop(self.state.put(self.served.collection, key, &mut new)),
            }
        }
        let held = !wanted.is_empty() || new["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() > 0;
        if held {
            return Ok(Written::object(200, new));
        }
        if !self.dry_run {
            let key = self.key(name);
            if let Some(gone) = self.state.remove(self.served.collection, &key, Some(new.clone())) {
                new = gone.tree();
            }
            self.after_removal(name);
        }
        if kind.returns_deleted && !self.dry_run {
            return Ok(Written::object(200, new));
        }
        Ok(Written { code: 200, tree: success(&kind.target(name), meta(&old, "uid")), is_status: true })
    }

    fn check_preconditions(&self, name: &str, old: &Value, options: &DeleteOptions) -> Result<(), Refusal> {
        let kind = &self.served.kind;
        let refuse = |what: &str, given: &str, kept: &str, hint: &str| {
            let why = format!(
                "the {what} in the precondition ({given}) does not match the {what} in record ({kept}). {hint}"
            );
            Refusal::conflict(&kind.group, &kind.kind, name, &why)
        };
        if let Some(given) = options.uid.as_deref().filter(|given| *given != meta(old, "uid")) {
            let hint = "The object might have been deleted and then recreated";
            return Err(refuse("UID", given, meta(old, "uid"), hint));
        }
        if let Some(given) = options.version.as_deref().filter(|given| *given != meta(old, "resourceVersion")) {
            let hint = "The object might have been modified";
            return Err(refuse("ResourceVersion", given, meta(old, "resourceVersion"), hint));
        }
        Ok(())
    }
}

/// The seconds an object has left; none if a running deletion stays as it is.
fn grace(plural: &str, old: &Value, options: &DeleteOptions) -> Option<i64> {
    let running = old["metadata"]["deletionGracePeriodSeconds"].as_i64();
    if plural != "pods" {
        return running.is_none().then_some(0);
    }
    let spec = old["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(30);
    let finished = matches!(old["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
    let placed = old["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty());
    let asked = options.grace.map(|grace| if grace < 0 { 1 } else { grace });
    match running {
        // A deletion that runs is only ever shortened.
        Some(running) => asked.filter(|asked| *asked < running),
        None if finished || !placed => Some(0),
        None => Some(asked.unwrap_or(if spec < 0 { 1 } else { spec })),
    }
}

/// Marks an object as being deleted, `grace` seconds after that was first asked for.
pub(super) fn mark(tree: &mut Value, grace: i64, now: Timestamp) {
    let running = tree["metadata"]["deletionGracePeriodSeconds"].as_i64();
    let planned: Option<Timestamp> = meta(tree, "deletionTimestamp").parse().ok();
    let asked = match (planned, running) {
        (Some(planned), Some(running)) => planned.checked_sub(SignedDuration::from_secs(running)).unwrap_or(now),
        _ => now,
    };
    let end = asked.checked_add(SignedDuration::from_secs(grace)).unwrap_or(asked);
    if planned.is_none()
        && let Some(generation) = tree["metadata"].get("generation").and_then(Value::as_i64)
    {
        set_meta(tree, "generation", Some((generation + 1).into()));
    }
    set_meta(tree, "deletionTimestamp", Some(rfc3339(end).into()));
    set_meta(tree, "deletionGracePeriodSeconds", Some(grace.into()));
}

fn wanted_finalizers(old: &Value, options: &DeleteOptions) -> Vec<String> {
    let mut list: Vec<String> = finalizers(old).into_iter().map(str::to_owned).collect();
    let wanted = match options.propagation.as_deref() {
        Some("Foreground") => Some(FOREGROUND),
        Some("Orphan") => Some(ORPHAN),
        Some(_) => None,
        None => return list,
    };
    list.retain(|one| one != FOREGROUND && one != ORPHAN);
    list.extend(wanted.map(str::to_owned));
    list
}
