//! Every kind of node that the groups could launch, for whoever asks about one class of pods.

use plimsoll_model::{Lifecycle, NodeGroup, PodShape, Resources, Snapshot, Text};
use plimsoll_scheduler::{ClassId, Rejection, Simulation, Site};

use super::template::{Template, runs_on, templates};

/// A kind of node: one instance type of a group in one zone, bought one way.
pub(crate) struct Kind<'a> {
    template: Template<'a>,
    site: Site,
}

/// The kinds of all groups, in the order of the configuration.
pub(crate) fn kinds<'a>(snapshot: &Snapshot, simulation: &mut Simulation, groups: &'a [NodeGroup]) -> Vec<Kind<'a>> {
    let place = |template: Template<'a>| Kind { site: simulation.site(template.node.clone()), template };
    templates(snapshot, groups).into_iter().map(place).collect()
}

impl<'a> Kind<'a> {
    /// Its group.
    pub fn group(&self) -> &'a NodeGroup {
        self.template.group
    }

    /// Its instance type, by name.
    pub fn instance_type(&self) -> &'a Text {
        &self.template.instance_type.name
    }

    /// Its zone.
    pub fn zone(&self) -> &'a Text {
        self.template.zone
    }

    /// How it is bought.
    pub fn lifecycle(&self) -> Lifecycle {
        self.template.lifecycle
    }

    /// What it offers to pods, those of DaemonSets already on it.
    pub fn free(&self) -> &Resources {
        &self.template.node.free
    }

    /// True if a label of it has this value.
    pub fn has_label(&self, key: &str, value: &Text) -> bool {
        self.template.node.labels.get(key) == Some(value)
    }

    /// True if its group's operating system is one that the pod can run on.
    pub fn runs(&self, shape: &PodShape) -> bool {
        runs_on(shape, self.template.group.os)
    }

    /// Learns the topology keys that classes have brought which were prepared since.
    pub fn refresh(&mut self, simulation: &mut Simulation) {
        self.site = simulation.site(self.template.node.clone());
    }

    /// Everything that keeps a pod of a prepared class off such a node, were it there now.
    pub fn why_not(&self, simulation: &Simulation, class: ClassId) -> Vec<Rejection> {
        simulation.why_not_new(class, &self.site)
    }
}
