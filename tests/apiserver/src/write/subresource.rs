//! Writes that go through a subresource of their own: scale, binding, eviction.

use serde_json::Value;

use super::{DeleteOptions, Update, Write, Written, trees};
use crate::patch::{self, PatchType};
use crate::semantics::refusal::Refusal;
use crate::semantics::{binding, eviction, scale};
use crate::store::{Key, meta};

// === impl Write ===

impl Write<'_> {
    /// Changes the replicas of an object through its `/scale`.
    pub(crate) fn scale(&mut self, name: &str, update: Update) -> Result<Written, Refusal> {
        let kind = self.served.kind.clone();
        let target = kind.target(name);
        let old = self.find(name)?.tree();
        let paths = kind.scale.as_ref().ok_or_else(Refusal::no_such_path)?;
        let (body, put) = match update {
            Update::Put(scale) => (scale, true),
            Update::Patch(how, body) => {
                // A Scale is a built-in kind, whatever is scaled.
                let target = crate::semantics::refusal::Target { custom: false, kind: "Scale", ..target };
                (patch::patch(how, &target, &scale::read(&kind.target(name), paths, &old)?, &body)?, false)
            }
            Update::Apply { body, .. } => {
                let current = scale::read(&target, paths, &old)?;
                (patch::patch(PatchType::Merge, &target, &current, &body)?, false)
            }
        };
        let given = meta(&body, "name");
        if !given.is_empty() && given != name {
            return Err(Refusal::bad_request(format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            )));
        }
        let new = scale::write(&target, paths, &old, &body)?;
        let unconditional = put && matches!(meta(&new, "resourceVersion"), "" | "0");
        let mut write = self.about(self.served, self.namespace, "");
        let written = write.settle(name, &old, new, put && !unconditional, true)?;
        let scale = scale::read(&target, paths, &written.tree)?;
        Ok(Written { code: 200, tree: scale, is_status: true })
    }

    /// Gives a pod its node.
    pub(crate) fn bind(&mut self, name: &str, body: &Value) -> Result<Written, Refusal> {
        let old = self.find(name)?.tree();
        let mut new = binding::bind(&old, body, name, self.now)?;
        self.put(name, &mut new);
        Ok(Written { code: 201, tree: eviction::success(), is_status: true })
    }

    /// Evicts a pod, if its budgets let it.
    pub(crate) fn evict(&mut self, name: &str, body: &Value) -> Result<Written, Refusal> {
        self.check_namespace(name)?;
        let pod = self.find(name)?.tree();
        let budgets = trees(self.state, "policy", "poddisruptionbudgets", self.namespace);
        let verdict = eviction::decide(&eviction::Question {
            name,
            pod: &pod,
            body,
            dry_run: self.dry_run,
            budgets: &budgets,
            now: self.now,
        })?;
        if let (Some(mut budget), false) = (verdict.budget, self.dry_run) {
            let key = Key::new(self.namespace, meta(&budget, "name"));
            if let Some(collection) = self.state.registry.find("policy", "poddisruptionbudgets") {
                self.state.put(collection, key, &mut budget);
            }
        }
        let deletion = verdict.outcome?;
        let options = DeleteOptions::parse(&deletion.options)?;
        let dry_run = deletion.dry_run || options.dry_run || self.dry_run;
        if let (Some(mut pod), false) = (deletion.pod, dry_run) {
            self.put(name, &mut pod);
        }
        let mut write = self.about(self.served, self.namespace, "");
        write.dry_run = dry_run;
        let deleted = write.delete(name, &options);
        match (deleted, deletion.on_conflict) {
            (Ok(_), _) => Ok(Written { code: 201, tree: eviction::success(), is_status: true }),
            (Err(refusal), Some(instead)) if refusal.code == 409 => Err(instead),
            (Err(refusal), _) => Err(refusal),
        }
    }
}
