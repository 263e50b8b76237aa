//! Scale-up.

use plimsoll_planner::scale_up::{Choice, LaunchOption, Remaining, ScaleUpQuestion, ScaleUpVerdict, ShapeDemand};
use wasmtime::AsContextMut;

use super::{context, lifecycle};
use crate::bindings::exports::plimsoll::policy::scale_up as wit;
use crate::state::Moment;

/// Asks one round's question.
pub fn choose(
    store: impl AsContextMut,
    guest: &wit::Guest,
    question: &ScaleUpQuestion,
    settings: &str,
) -> wasmtime::Result<Option<ScaleUpVerdict>> {
    let placed = question.options.iter().flat_map(|option| &option.places);
    let places: Vec<wit::Placement> =
        placed.map(|place| wit::Placement { shape: place.shape, pods: place.pods }).collect();
    let shapes: Vec<wit::PodShape> = (0..).zip(&question.shapes).map(|(id, demand)| shape(id, demand)).collect();
    let mut rest = places.as_slice();
    let mut options = Vec::with_capacity(question.options.len());
    for (id, option) in (0..).zip(&question.options) {
        let (own, others) = rest.split_at(option.places.len());
        rest = others;
        options.push(launch_option(id, option, own));
    }
    let request = wit::Request {
        context: context(Moment { now: question.now, seed: question.seed }, settings),
        round: question.round,
        shapes: &shapes,
        options: &options,
        remaining: limits(question.remaining),
    };
    guest.call_choose(store, request).map(verdict)
}

fn shape(id: u32, demand: &ShapeDemand) -> wit::PodShape<'_> {
    wit::PodShape {
        id,
        pods: demand.pods,
        // An id that no look-up knows.
        example: demand.example.map_or(u32::MAX, |pod| pod.0),
        namespace: &demand.namespace,
        milli_cpu: demand.cpu.0,
        memory_bytes: demand.memory.0,
        gpus: demand.gpus,
        priority: demand.priority,
        lifecycle: demand.lifecycle.map(lifecycle),
        waiting_ms: demand.waiting.map(|waiting| waiting.0),
        deadline_ms: demand.deadline.map(|at| at.0),
        headroom: demand.headroom,
    }
}

fn launch_option<'a>(id: u32, option: &'a LaunchOption, places: &'a [wit::Placement]) -> wit::LaunchOption<'a> {
    wit::LaunchOption {
        id,
        group: &option.group,
        instance_type: &option.instance_type,
        zone: &option.zone,
        lifecycle: lifecycle(option.lifecycle),
        price: option.price.map(|price| price.0),
        nodes: option.nodes,
        max_nodes: option.max_nodes,
        places,
        wasted_milli_cpu: option.wasted_cpu.0,
        wasted_memory_bytes: option.wasted_memory.0,
        node_milli_cpu: option.node_cpu.0,
        node_memory_bytes: option.node_memory.0,
        node_gpus: option.node_gpus,
        zone_nodes: option.zone_nodes,
        free_ips: option.free_ips,
        preference: option.preference,
    }
}

fn limits(remaining: Remaining) -> wit::Limits {
    wit::Limits { nodes: remaining.nodes, milli_cpu: remaining.cpu.0, memory_bytes: remaining.memory.0 }
}

fn verdict(verdict: wit::Verdict) -> Option<ScaleUpVerdict> {
    match verdict {
        wit::Verdict::Pass => None,
        wit::Verdict::Hold(reason) => Some(ScaleUpVerdict::Hold(super::reason(reason))),
        wit::Verdict::Launch(launches) => Some(ScaleUpVerdict::Launch(launches.into_iter().map(choice).collect())),
    }
}

fn choice(launch: wit::Launch) -> Choice {
    Choice { option: launch.option_id, count: launch.count, reason: super::reason(launch.reason) }
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{Bytes, Lifecycle, MilliCpu, Millis, PodId, Price, Timestamp};
    use plimsoll_planner::scale_up::Placement;

    use super::*;
    use crate::bindings::plimsoll::policy::types;

    #[test]
    fn every_field_of_a_shape_has_its_place() {
        let demand = ShapeDemand {
            pods: 1,
            example: Some(PodId(2)),
            namespace: "a".into(),
            cpu: MilliCpu(3),
            memory: Bytes(4),
            gpus: 5,
            priority: -6,
            lifecycle: Some(Lifecycle::Spot),
            waiting: Some(Millis(7)),
            deadline: Some(Timestamp(8)),
            headroom: true,
        };
        let expected = wit::PodShape {
            id: 9,
            pods: 1,
            example: 2,
            namespace: "a",
            milli_cpu: 3,
            memory_bytes: 4,
            gpus: 5,
            priority: -6,
            lifecycle: Some(types::Lifecycle::Spot),
            waiting_ms: Some(7),
            deadline_ms: Some(8),
            headroom: true,
        };
        assert_eq!(format!("{:?}", shape(9, &demand)), format!("{expected:?}"));
    }

    #[test]
    fn every_field_of_an_option_has_its_place() {
        let option = LaunchOption {
            group: "a".into(),
            instance_type: "b".into(),
            zone: "c".into(),
            lifecycle: Lifecycle::OnDemand,
            price: Some(Price(1)),
            nodes: 2,
            max_nodes: 3,
            places: vec![Placement { shape: 4, pods: 5 }],
            wasted_cpu: MilliCpu(6),
            wasted_memory: Bytes(7),
            node_cpu: MilliCpu(8),
            node_memory: Bytes(9),
            node_gpus: 10,
            zone_nodes: 11,
            free_ips: Some(12),
            preference: Some(17),
        };
        let places = [wit::Placement { shape: 4, pods: 5 }];
        let expected = wit::LaunchOption {
            id: 13,
            group: "a",
            instance_type: "b",
            zone: "c",
            lifecycle: types::Lifecycle::OnDemand,
            price: Some(1),
            nodes: 2,
            max_nodes: 3,
            places: &places,
            wasted_milli_cpu: 6,
            wasted_memory_bytes: 7,
            node_milli_cpu: 8,
            node_memory_bytes: 9,
            node_gpus: 10,
            zone_nodes: 11,
            free_ips: Some(12),
            preference: Some(17),
        };
        assert_eq!(format!("{:?}", launch_option(13, &option, &places)), format!("{expected:?}"));
        let remaining = Remaining { nodes: 1, cpu: MilliCpu(2), memory: Bytes(3) };
        let expected = wit::Limits { nodes: 1, milli_cpu: 2, memory_bytes: 3 };
        assert_eq!(format!("{:?}", limits(remaining)), format!("{expected:?}"));
    }
}
