//! What a provider is told about nodes to launch.

use plimsoll_model::{Bytes, LabelSet, Lifecycle, Taint, Text};

use super::template::NodeLabels;
use super::{FreeIps, PlannedLaunch, ScaleUpConfig};

/// Equal nodes to launch in one place.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LaunchRequest {
    /// The node group.
    pub group: Text,
    /// The instance type.
    pub instance_type: Text,
    /// The zone.
    pub zone: Text,
    /// How they are bought.
    pub lifecycle: Lifecycle,
    /// How many.
    pub count: u32,
    /// Labels that they get.
    pub labels: LabelSet,
    /// Taints that they get. Startup taints are not among them: whoever removes them sets them.
    pub taints: Vec<Taint>,
    /// The subnet of the zone that has the most free addresses, where subnets are known.
    pub subnet: Option<Text>,
    /// Operations per second of the root volume.
    pub iops: Option<u64>,
    /// Size of the root volume.
    pub volume: Option<Bytes>,
}

/// The launches of a plan as a provider takes them: those of one launch may be spread over several subnets. Nodes for
/// which there are no addresses are left out, and so is what names a group or a type that is not configured.
pub fn launch_requests(config: &ScaleUpConfig, launches: &[PlannedLaunch]) -> Vec<LaunchRequest> {
    let mut free_ips = FreeIps::of(config);
    let mut labels = NodeLabels::default();
    let mut requests = Vec::new();
    for launch in launches {
        let Some(group) = config.groups.iter().find(|group| group.name == launch.group) else { continue };
        let Some(instance_type) = group.instance_type(&launch.instance_type) else { continue };
        let pods = u32::try_from(launch.pods.len()).unwrap_or(u32::MAX).saturating_add(launch.headroom);
        let pods = pods.div_ceil(launch.count.max(1));
        let labels = labels.ordered(group, instance_type, &launch.zone, launch.lifecycle);
        for (subnet, count) in free_ips.take(group, &launch.zone, launch.count, pods) {
            requests.push(LaunchRequest {
                group: launch.group.clone(),
                instance_type: launch.instance_type.clone(),
                zone: launch.zone.clone(),
                lifecycle: launch.lifecycle,
                count,
                labels: labels.clone(),
                taints: group.taints.clone(),
                subnet,
                iops: group.block_device.iops_for(instance_type),
                volume: group.block_device.volume_for(instance_type),
            });
        }
    }
    requests
}
