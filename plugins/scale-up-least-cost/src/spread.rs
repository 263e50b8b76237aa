//! One choice of several nodes, divided over the zones in which the same option is on offer.

use plimsoll_sdk::scale_up::LaunchOption;

use crate::cover::Pick;

/// A part of one choice: an option of one zone, and how much of the choice it gets.
#[derive(Debug, Clone, Copy)]
pub struct Part<'a> {
    /// The option of that zone.
    pub option: &'a LaunchOption,
    /// How many nodes.
    pub nodes: u32,
    /// How many pods those would place.
    pub pods: u32,
}

/// Divides a choice so that the group's zones end up as even as they can be. Costs nothing: the parts are
/// options that differ in their zone only.
#[must_use]
pub fn over_zones<'a>(pick: &Pick<'a>, options: &'a [LaunchOption], picks: &[Pick<'a>]) -> Vec<Part<'a>> {
    let offer = &pick.offer;
    let whole = Part { option: offer.option, nodes: offer.nodes, pods: offer.pods };
    if offer.nodes < 2 {
        return vec![whole];
    }
    let chosen = |option: &LaunchOption| picks.iter().any(|other| other.offer.option.id == option.id);
    let twins = options.iter().filter(|option| is_twin(option, offer.option) && !chosen(option));
    // The chosen option is first, so that it also wins the ties.
    let mut parts: Vec<Part<'a>> = vec![Part { nodes: 0, pods: 0, ..whole }];
    parts.extend(twins.map(|option| Part { option, nodes: 0, pods: 0 }));
    if parts.len() == 1 {
        return vec![whole];
    }
    for _ in 0..offer.nodes {
        let open = parts.iter_mut().filter(|part| part.nodes < capacity(part.option));
        match open.min_by_key(|part| u64::from(part.option.zone_nodes) + u64::from(part.nodes)) {
            Some(part) => part.nodes += 1,
            None => return vec![whole],
        }
    }
    parts.retain(|part| part.nodes > 0);
    divide(&mut parts, offer.nodes, offer.pods);
    parts
}

fn is_twin(option: &LaunchOption, of: &LaunchOption) -> bool {
    option.id != of.id
        && option.group == of.group
        && option.instance_type == of.instance_type
        && option.lifecycle == of.lifecycle
        && option.price == of.price
        && option.nodes == of.nodes
        && option.places == of.places
}

fn capacity(option: &LaunchOption) -> u32 {
    option.max_nodes.min(option.free_ips.unwrap_or(u32::MAX))
}

/// Gives each part its pods in proportion to its nodes; the rounding never loses a pod.
fn divide(parts: &mut [Part<'_>], nodes: u32, pods: u32) {
    let (mut seen, mut given) = (0_u64, 0_u64);
    for part in parts {
        seen += u64::from(part.nodes);
        let due = u64::from(pods) * seen / u64::from(nodes);
        part.pods = u32::try_from(due - given).unwrap_or(pods);
        given = due;
    }
}
