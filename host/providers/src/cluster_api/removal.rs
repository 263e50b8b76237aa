//! One machine of a group goes: it is marked, and the group gets smaller by one.
//!
//! The order is that of cluster-autoscaler's provider for Cluster API (`clusterapi_nodegroup.go`): a machine that is
//! marked before the size changes is the one that goes. A MachinePool with Machines is told the same way (Cluster API,
//! proposal "MachinePool Machines": a Machine that is merely deleted would be replaced).

use plimsoll_kube::{ApiError, ObjectName, Patch, Permit};
use plimsoll_model::Text;
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::LaunchFailure;
use serde_json::{Value, json};

use super::object::{Kind, Scaled};
use super::{ClusterApi, Known, TRIES, machine, size};
use crate::ProviderError;
use crate::object::{deleting, full_name, name, namespace, shown, text};
use crate::outcome::{provider_error, unremoved, unseen};

/// What there is around a node that is to go.
struct Found {
    version: String,
    id: Text,
    group: Scaled,
    /// The machine of the node.
    machine: Value,
    /// The others of its group that are not being deleted.
    others: Vec<Value>,
}

/// Whose node it is.
enum Whose {
    Found(Box<Found>),
    Gone,
    /// A sentence.
    Nobodys(String),
}

/// How far the size is.
enum Size {
    /// It is lower by one already.
    Lowered,
    /// It was written down, and is to be one less; the scale as it was read.
    Due(Value),
}

impl ClusterApi {
    /// The size of the group that a node is of.
    pub(super) async fn size_before(&self, removal: &Removal) -> Result<u32, ProviderError> {
        match self.whose(removal).await.map_err(|error| provider_error(&error))? {
            Whose::Found(found) => self.current_size(&found.version, &found.group).await,
            Whose::Gone => Err(ProviderError::Failed(format!("no Machine is node {} any more", removal.node))),
            Whose::Nobodys(text) => Err(ProviderError::Failed(text)),
        }
    }

    /// Marks the machine of a node and lowers the size of its group, as far as that has not been done.
    pub(super) async fn take_out(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        let found = match self.whose(removal).await {
            Ok(Whose::Found(found)) => found,
            Ok(Whose::Gone) => return RemovalOutcome::Gone,
            Ok(Whose::Nobodys(text)) => return invalid(text),
            Err(error) => return unseen(&error),
        };
        if deleting(&found.machine) {
            return RemovalOutcome::Accepted;
        }
        let outcome = self.lower(permit, removal, &found).await;
        // Nothing goes now: a mark that stayed would let this machine go with the next one.
        if matches!(outcome, RemovalOutcome::Failed(_)) {
            self.unmark(permit, removal, &found).await;
        }
        outcome
    }

    async fn lower(&self, permit: &Permit, removal: &Removal, found: &Found) -> RemovalOutcome {
        let Some(baseline) = removal.baseline else {
            return invalid(format!("the size of {} before the removal was not written down", found.id));
        };
        let Some(wanted) = baseline.checked_sub(1) else {
            return invalid(format!("{} was to have no nodes before the removal", found.id));
        };
        match self.scale(found, baseline).await {
            Ok(Size::Lowered) => return found.once_lowered(removal, wanted),
            Ok(Size::Due(_)) => {}
            Err(outcome) => return outcome,
        }
        if wanted < found.group.min {
            let (exact, min) = (found.group.exact(), found.group.min);
            return invalid(format!("{exact} is to keep {min} nodes at least, and has {baseline}"));
        }
        if let Err(problem) = found.is_clear(removal) {
            return RemovalOutcome::Unknown(format!("nothing was sent: {problem}"));
        }
        if machine::mark(&found.machine) != Some(&removal.drain)
            && let Err(outcome) = self.mark(permit, found, Some(&removal.drain)).await
        {
            return outcome;
        }
        let resource = found.group.kind.resource(&found.version);
        for _ in 0..TRIES {
            let mut scale = match self.scale(found, baseline).await {
                Ok(Size::Due(scale)) => scale,
                // By somebody else, and since the mark: this machine goes.
                Ok(Size::Lowered) => return RemovalOutcome::Accepted,
                Err(outcome) => return outcome,
            };
            match scale["spec"].as_object_mut() {
                Some(spec) => spec.insert("replicas".to_owned(), wanted.into()),
                None => return garbled(&found.group, "spec"),
            };
            match self.api.replace(permit, &resource, &found.group.object, Some("scale"), &scale).await {
                Ok(_) => return RemovalOutcome::Accepted,
                Err(ApiError::Conflict(_)) => {}
                Err(error) => return unremoved(&error),
            }
        }
        RemovalOutcome::Unknown(format!("others changed {} {TRIES} times", found.group.exact()))
    }

    /// Reads the size. One that is larger than what was written down is another story: lowered to one less than that,
    /// several machines would go.
    async fn scale(&self, found: &Found, baseline: u32) -> Result<Size, RemovalOutcome> {
        let resource = found.group.kind.resource(&found.version);
        let scale = self.api.get_part(&resource, &found.group.object, "scale").await;
        let scale = scale.map_err(|error| unseen(&error))?;
        let (now, exact) = (size(&scale), found.group.exact());
        if now < u64::from(baseline) {
            return Ok(Size::Lowered);
        }
        if now > u64::from(baseline) {
            let text = format!("{exact} had {baseline} nodes when this removal began, and is to have {now} by now");
            return Err(RemovalOutcome::Failed(LaunchFailure::Other(text)));
        }
        match text(&scale, "/metadata/resourceVersion") {
            Some(_) => Ok(Size::Due(scale)),
            None => Err(garbled(&found.group, "resourceVersion")),
        }
    }

    /// Sets the mark of the machine, or takes it away.
    async fn mark(&self, permit: &Permit, found: &Found, value: Option<&str>) -> Result<(), RemovalOutcome> {
        let object = &found.machine;
        let mut patch = json!({"metadata": {"annotations": {machine::MARK: value}}});
        // Another machine may get the name meanwhile.
        match text(object, "/metadata/uid") {
            Some(uid) => patch["metadata"]["uid"] = uid.into(),
            None => {
                let text = format!("nothing was sent: Machine {} has no UID", full_name(object));
                return Err(RemovalOutcome::Unknown(text));
            }
        }
        let place = ObjectName::in_namespace(namespace(object), name(object));
        let resource = machine::resource(&found.version);
        match self.api.patch(permit, &resource, &place, None, Patch::Merge, &patch).await {
            Ok(_) => Ok(()),
            // It is being looked for again at the next time.
            Err(ApiError::NotFound(answer)) => Err(RemovalOutcome::Unknown(answer.to_string())),
            Err(error) => Err(unremoved(&error)),
        }
    }

    /// Takes a mark of this removal away again.
    async fn unmark(&self, permit: &Permit, removal: &Removal, found: &Found) {
        let place = ObjectName::in_namespace(namespace(&found.machine), name(&found.machine));
        match self.api.get(&machine::resource(&found.version), &place).await {
            Ok(now) if machine::mark(&now) == Some(&removal.drain) => {}
            _ => return,
        }
        if let Err(outcome) = self.mark(permit, found, None).await {
            tracing::warn!(machine = %place, ?outcome, "a machine that stays is still marked to be deleted first");
        }
    }

    /// Looks for the machine of a node, and for its group.
    async fn whose(&self, removal: &Removal) -> Result<Whose, ApiError> {
        let Known { version, groups, problems } = self.look().await?;
        let machines = self.list(&machine::resource(&version)).await?;
        let mut of_node = machines.iter().filter(|machine| machine::is_of(machine, removal));
        let Some(found) = of_node.next() else {
            // That it had a size before says that it had a machine.
            let known = removal.group.as_ref().and_then(|group| groups.get(group));
            return Ok(match known {
                Some(pool) if pool.kind == Kind::Pool && !machines.iter().any(|machine| pool.has(machine)) => {
                    Whose::Nobodys(format!("{} has no Machines: which of its nodes go is not to be said", pool.exact()))
                }
                None if removal.baseline.is_none() => {
                    Whose::Nobodys(format!("no Machine of a node group is node {}", removal.node))
                }
                Some(_) | None => Whose::Gone,
            });
        };
        if let Some(other) = of_node.next() {
            let (one, other) = (full_name(found), full_name(other));
            return Ok(Whose::Nobodys(format!("node {} is two Machines, {one} and {other}", removal.node)));
        }
        let Some((id, group)) = groups.iter().find(|(_, group)| group.has(found)) else {
            let why = problems.first().map(|problem| format!(": {problem}")).unwrap_or_default();
            return Ok(Whose::Nobodys(format!("Machine {} is of no node group{why}", full_name(found))));
        };
        if let Some(said) = removal.group.as_ref().filter(|said| *said != id) {
            let text =
                format!("Machine {} is of node group {id}, and node {} of {said}", full_name(found), removal.node);
            return Ok(Whose::Nobodys(text));
        }
        let is_other = |other: &&Value| group.has(other) && full_name(other) != full_name(found) && !deleting(other);
        Ok(Whose::Found(Box::new(Found {
            version,
            id: id.clone(),
            group: group.clone(),
            machine: found.clone(),
            others: machines.iter().filter(is_other).cloned().collect(),
        })))
    }
}

impl Found {
    /// The size is lower than it was written down: this machine goes, if any is still to go.
    fn once_lowered(&self, removal: &Removal, wanted: u32) -> RemovalOutcome {
        let there = u32::try_from(self.others.len()).unwrap_or(u32::MAX).saturating_add(1);
        let exact = self.group.exact();
        if machine::mark(&self.machine) == Some(&removal.drain) && there > wanted {
            return RemovalOutcome::Accepted;
        }
        let text = format!("{exact} became smaller without this machine: {there} are left, and it is to have {wanted}");
        RemovalOutcome::Failed(LaunchFailure::Other(text))
    }

    /// Whether it is sure that this machine goes when the group gets smaller by one. What is in the way passes.
    fn is_clear(&self, removal: &Removal) -> Result<(), String> {
        if let Some(other) = self.others.iter().find(|other| machine::mark(other).is_some()) {
            let mark = shown(machine::mark(other).unwrap_or_default());
            let name = full_name(other);
            return Err(format!("Machine {name} is to go first, marked \"{mark}\"; it might go in place of this one"));
        }
        // While it rolls out a deployment chooses itself which of its sets gets smaller.
        let own = machine::set(&self.machine);
        let elsewhere = self.others.iter().find(|other| machine::set(other) != own);
        match elsewhere.filter(|_| self.group.kind == Kind::Deployment) {
            Some(other) => Err(format!(
                "{} is being rolled out: node {} is of MachineSet {}, and Machine {} of {}",
                self.group.exact(),
                removal.node,
                own.unwrap_or("(none)"),
                full_name(other),
                machine::set(other).unwrap_or("(none)"),
            )),
            None => Ok(()),
        }
    }
}

fn invalid(text: String) -> RemovalOutcome {
    RemovalOutcome::Failed(LaunchFailure::Invalid(text))
}

fn garbled(group: &Scaled, what: &str) -> RemovalOutcome {
    RemovalOutcome::Unknown(format!("the scale of {} has no {what}", group.exact()))
}
