//! Labels of a new node.

use plimsoll_model::{InstanceType, LabelSet, Lifecycle, NodeGroup, Pool, Text, well_known};

/// Makes the labels of new nodes; equal texts are one.
#[derive(Default)]
pub(in crate::scale_up) struct NodeLabels(Pool<str>);

impl NodeLabels {
    /// The labels that a provider is told to give a node. The group's own come last and win.
    ///
    /// Keys: Kubernetes, "Well-Known Labels"; Spot Ocean, "Labels and taints"; Karpenter, "Well-Known Labels".
    pub fn ordered(
        &mut self,
        group: &NodeGroup,
        instance_type: &InstanceType,
        zone: &Text,
        lifecycle: Lifecycle,
    ) -> LabelSet {
        self.standard(group, instance_type, zone, lifecycle).into_iter().chain(own(group)).collect()
    }

    /// The labels of a node that is imagined: with a name, and with its group's name under a further key.
    pub fn imagined(
        &mut self,
        name: &Text,
        group: &NodeGroup,
        instance_type: &InstanceType,
        zone: &Text,
        lifecycle: Lifecycle,
        group_key: Option<&str>,
    ) -> LabelSet {
        let mut all = self.standard(group, instance_type, zone, lifecycle);
        all.push((self.0.text(well_known::HOSTNAME), name.clone()));
        all.extend(group_key.map(|key| (self.0.text(key), group.name.clone())));
        all.into_iter().chain(own(group)).collect()
    }

    fn standard(
        &mut self,
        group: &NodeGroup,
        instance_type: &InstanceType,
        zone: &Text,
        lifecycle: Lifecycle,
    ) -> Vec<(Text, Text)> {
        let arch = self.0.text(instance_type.arch.label());
        let os = self.0.text(group.os.label());
        let mut all = vec![
            (self.0.text(well_known::ZONE), zone.clone()),
            (self.0.text(well_known::ZONE_BETA), zone.clone()),
            (self.0.text(well_known::INSTANCE_TYPE), instance_type.name.clone()),
            (self.0.text(well_known::INSTANCE_TYPE_BETA), instance_type.name.clone()),
            (self.0.text(well_known::ARCH), arch.clone()),
            (self.0.text(well_known::ARCH_BETA), arch),
            (self.0.text(well_known::OS), os.clone()),
            (self.0.text(well_known::OS_BETA), os),
            (self.0.text(well_known::LIFECYCLE), self.0.text(lifecycle.label())),
            (self.0.text(well_known::LIFECYCLE_KARPENTER), self.0.text(lifecycle.name())),
            (self.0.text(well_known::NODE_GROUP[0]), group.name.clone()),
        ];
        if let Some(region) = &group.region {
            all.push((self.0.text(well_known::REGION), region.clone()));
            all.push((self.0.text(well_known::REGION_BETA), region.clone()));
        }
        all
    }
}

fn own(group: &NodeGroup) -> impl Iterator<Item = (Text, Text)> {
    group.labels.iter().map(|(key, value)| (key.clone(), value.clone()))
}
