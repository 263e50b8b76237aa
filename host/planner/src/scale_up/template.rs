//! The next node of a group, imagined.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{
    InstanceType, LabelSet, NodeGroup, NodeSelector, Owner, PodShape, Resources, Snapshot, Text, well_known,
};
use plimsoll_scheduler::{NodeState, fits};

/// A node that a group could launch: one instance type in one zone.
pub(super) struct Template<'a> {
    pub group: &'a NodeGroup,
    pub instance_type: &'a InstanceType,
    pub zone: &'a Text,
    /// The node with its DaemonSet pods on it.
    pub node: NodeState,
}

/// Every node that the groups could launch, in the order of the configuration.
pub(super) fn templates<'a>(snapshot: &Snapshot, groups: &'a [NodeGroup]) -> Vec<Template<'a>> {
    let daemons = daemon_shapes(snapshot);
    let mut all = Vec::new();
    for group in groups {
        for instance_type in &group.instance_types {
            let allocatable = allocatable(snapshot, group, instance_type);
            for zone in &group.zones {
                let mut node = NodeState {
                    name: format!("new-{}-{}", group.name, zone).into(),
                    labels: Arc::new(labels(group, instance_type, zone)),
                    taints: group.taints.clone(),
                    unschedulable: false,
                    free: allocatable.clone(),
                    ports: Vec::new(),
                };
                for shape in &daemons {
                    if fits(shape, &node) {
                        node.add(shape, 1);
                    }
                }
                all.push(Template { group, instance_type, zone, node });
            }
        }
    }
    all
}

fn labels(group: &NodeGroup, instance_type: &InstanceType, zone: &Text) -> LabelSet {
    let name: Text = format!("new-{}-{}", group.name, zone).into();
    let text = |text: &str| Text::from(text);
    let standard = [
        (well_known::ZONE, zone.clone()),
        (well_known::ZONE_BETA, zone.clone()),
        (well_known::INSTANCE_TYPE, instance_type.name.clone()),
        (well_known::INSTANCE_TYPE_BETA, instance_type.name.clone()),
        (well_known::ARCH, text(instance_type.arch.label())),
        (well_known::OS, text("linux")),
        (well_known::HOSTNAME, name),
        (well_known::LIFECYCLE, text(group.lifecycle.label())),
        (well_known::NODE_GROUP[0], group.name.clone()),
    ];
    // The group's own labels come last and win.
    let standard = standard.into_iter().map(|(key, value)| (text(key), value));
    standard.chain(group.labels.iter().map(|(key, value)| (key.clone(), value.clone()))).collect()
}

/// What a node of this type offers: as a live node of the group does, else capacity minus the reservation.
fn allocatable(snapshot: &Snapshot, group: &NodeGroup, instance_type: &InstanceType) -> Resources {
    let alike = snapshot
        .nodes()
        .find(|(_, node)| node.ready && node.instance_type() == Some(&instance_type.name) && group.owns(node));
    if let Some((_, node)) = alike {
        return node.allocatable.clone();
    }
    let mut all = Resources {
        cpu: instance_type.cpu,
        memory: instance_type.memory,
        // Root volumes are the provider's business: storage is no limit until it reports one.
        ephemeral_storage: plimsoll_model::Bytes(u64::MAX),
        pods: instance_type.max_pods,
        ..Default::default()
    };
    all.set_extended(instance_type.gpu_resource.clone(), instance_type.gpus);
    all.subtract(&group.system_reserved, 1);
    all
}

/// One shape for every DaemonSet of the snapshot, free of the affinity that ties a pod to its present node.
fn daemon_shapes(snapshot: &Snapshot) -> Vec<PodShape> {
    let mut by_owner: HashMap<&Owner, &PodShape> = HashMap::new();
    let mut order: Vec<&Owner> = Vec::new();
    for (_, pod) in snapshot.pods().filter(|(_, pod)| pod.daemon_set() && !pod.finished()) {
        if let Some(owner) = &pod.owner
            && by_owner.insert(owner, &pod.shape).is_none()
        {
            order.push(owner);
        }
    }
    order.into_iter().filter_map(|owner| by_owner.get(owner)).map(|shape| untied(shape)).collect()
}

fn untied(shape: &PodShape) -> PodShape {
    let mut shape = shape.clone();
    if let Some(affinity) = shape.node_affinity.take() {
        let mut terms = affinity.terms;
        for term in &mut terms {
            term.match_fields.clear();
        }
        // A term that was nothing but the node's name allows every node once that is gone.
        let anywhere = terms.iter().any(|term| term.match_expressions.is_empty());
        shape.node_affinity = (!anywhere).then_some(NodeSelector { terms });
    }
    shape
}
