//! What the configuration of kube-scheduler changes about its filters.

use std::collections::HashSet;
use std::sync::Arc;

use plimsoll_model::{NodeSelector, PodShape, Text};

use crate::NodeState;

/// Settings of one scheduler profile that decide what fits. The default is that of kube-scheduler.
///
/// Source: `KubeSchedulerConfiguration` (kubescheduler.config.k8s.io/v1), arguments of the plugins `NodeResourcesFit`
/// and `NodeAffinity`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SchedulerProfile {
    /// `NodeResourcesFitArgs.ignoredResources`: extended resources that somebody else looks after.
    pub ignored_resources: Vec<Text>,
    /// `NodeResourcesFitArgs.ignoredResourceGroups`: the same, by what stands before the `/` of their names.
    pub ignored_resource_groups: Vec<Text>,
    /// The required part of `NodeAffinityArgs.addedAffinity`: what every pod needs of a node beside its own affinity.
    pub added_affinity: Option<NodeSelector>,
}

/// Shapes without the resources that a profile ignores, each once.
pub(crate) type Trimmed = HashSet<Arc<PodShape>>;

impl SchedulerProfile {
    /// True if the scheduler does not look at this resource.
    pub fn ignores(&self, resource: &str) -> bool {
        // Only what `IsExtendedResourceName` of kubernetes takes for an extended resource can be ignored.
        let Some((group, _)) = resource.split_once('/') else { return false };
        let native = resource.contains("kubernetes.io/") || resource.starts_with("requests.");
        !native
            && (self.ignored_resources.iter().any(|known| *known == *resource)
                || self.ignored_resource_groups.iter().any(|known| *known == *group))
    }

    /// True if the affinity that the scheduler adds to every pod keeps all of them off the node.
    pub(crate) fn bars(&self, node: &NodeState) -> bool {
        self.added_affinity.as_ref().is_some_and(|affinity| !affinity.matches(&node.name, &node.labels))
    }

    /// The shape as the scheduler sees it.
    pub(crate) fn trim(&self, shape: Arc<PodShape>, known: &mut Trimmed) -> Arc<PodShape> {
        if !shape.requests.extended().iter().any(|(name, _)| self.ignores(name)) {
            return shape;
        }
        let mut trimmed = PodShape::clone(&shape);
        for (name, _) in shape.requests.extended() {
            if self.ignores(name) {
                trimmed.requests.set_extended(name.clone(), 0);
            }
        }
        if let Some(known) = known.get(&trimmed) {
            return known.clone();
        }
        let trimmed = Arc::new(trimmed);
        known.insert(trimmed.clone());
        trimmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_extended_resources_are_ignored() {
        let profile = SchedulerProfile {
            ignored_resources: vec!["a.io/x".into(), "hugepages-2Mi".into(), "kubernetes.io/z".into()],
            ignored_resource_groups: vec!["b.io".into(), "kubernetes.io".into(), "requests.c.io".into()],
            ..SchedulerProfile::default()
        };
        for ignored in ["a.io/x", "b.io/anything"] {
            assert!(profile.ignores(ignored), "{ignored}");
        }
        for seen in ["a.io/y", "hugepages-2Mi", "kubernetes.io/z", "requests.c.io/x", "b.io.d/x", "cpu"] {
            assert!(!profile.ignores(seen), "{seen}");
        }
    }

    #[test]
    fn a_shape_is_trimmed_once() {
        let profile = SchedulerProfile { ignored_resources: vec!["a.io/x".into()], ..SchedulerProfile::default() };
        let mut known = Trimmed::default();
        let shape = |amount| {
            let mut shape = PodShape::default();
            shape.requests.set_extended("a.io/x".into(), amount);
            shape.requests.set_extended("a.io/y".into(), 1);
            Arc::new(shape)
        };
        let (one, two) = (profile.trim(shape(1), &mut known), profile.trim(shape(2), &mut known));
        assert!(Arc::ptr_eq(&one, &two));
        assert_eq!((one.requests.get_extended("a.io/x"), one.requests.get_extended("a.io/y")), (0, 1));
        let plain = Arc::new(PodShape::default());
        assert!(Arc::ptr_eq(&profile.trim(plain.clone(), &mut known), &plain));
    }
}
