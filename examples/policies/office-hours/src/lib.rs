//! A drain policy of a team's own: nodes that only save money go in office hours and one zone at a time, and on each
//! node what keeps data goes last.

pub mod hours;

use plimsoll_sdk::Drain;
use plimsoll_sdk::drain::{
    Candidate, Cause, DrainPod, NodeOrder, NodesRequest, NodesVerdict, PodTurn, PodsRequest, PodsVerdict,
};

use hours::Settings;

/// The policy.
#[derive(Debug)]
pub struct OfficeHours;

plimsoll_sdk::export_drain!(OfficeHours);

impl Drain for OfficeHours {
    type Settings = Settings;

    fn validate(settings: &Settings) -> Result<(), String> {
        if settings.from >= settings.to {
            return Err("`from` is not before `to`: hours over midnight are not supported".to_owned());
        }
        if settings.days.is_empty() {
            return Err("`days` is empty: name at least one, such as mon".to_owned());
        }
        Ok(())
    }

    fn order_nodes(settings: &Settings, request: &NodesRequest) -> NodesVerdict {
        let (must, may): (Vec<&Candidate>, Vec<&Candidate>) =
            request.candidates.iter().partition(|node| !matches!(node.cause, Cause::Empty | Cause::Underutilized));
        let mut order = NodeOrder { drain: Vec::new(), keep: Vec::new() };
        order.drain.extend(must.iter().map(|node| node.because("has to go, at any hour")));
        if !settings.open(request.context.now_ms) {
            let closed = format!("outside of office hours, {settings}");
            order.keep.extend(may.iter().map(|node| node.because(&*closed)));
            return NodesVerdict::Order(order);
        }
        let zone = busiest_zone(&may);
        let mut may = may;
        // The fewest pods first; the name settles the rest, so that the same question has the same answer.
        may.sort_by(|a, b| (a.pods, &a.name).cmp(&(b.pods, &b.name)));
        for node in may {
            if node.zone.as_deref() == zone {
                order.drain.push(node.because(format!("{} pods to move", node.pods)));
            } else {
                order.keep.push(node.because(format!("one zone at a time: {} is first", zone.unwrap_or("none"))));
            }
        }
        NodesVerdict::Order(order)
    }

    fn order_pods(settings: &Settings, request: &PodsRequest) -> PodsVerdict {
        let mut pods: Vec<&DrainPod> = request.pods.iter().collect();
        pods.sort_by_key(|pod| (keeps_data(pod), pod.critical, pod.priority, &pod.namespace, &pod.name));
        // More time than the whole drain has would be taken away: no node is kept waiting for its data.
        let pause = settings.data_pause_seconds.saturating_mul(1_000);
        let data = pods.iter().filter(|pod| keeps_data(pod)).count() as u64;
        let stateless = (pods.len() as u64).saturating_sub(data).saturating_mul(request.spacing_ms);
        let affordable = pause.saturating_mul(data).saturating_add(stateless) < request.timeout_ms;
        PodsVerdict::Order(pods.into_iter().map(|pod| turn(pod, pause, affordable)).collect())
    }
}

/// The zone with the most nodes that may go, by name if there are several.
fn busiest_zone<'a>(nodes: &[&'a Candidate]) -> Option<&'a str> {
    let count = |zone: Option<&str>| nodes.iter().filter(|node| node.zone.as_deref() == zone).count();
    let mut zones: Vec<Option<&str>> = nodes.iter().map(|node| node.zone.as_deref()).collect();
    zones.sort_by(|a, b| count(*b).cmp(&count(*a)).then(a.cmp(b)));
    zones.first().copied().flatten()
}

fn keeps_data(pod: &DrainPod) -> bool {
    pod.volume_claims || pod.local_storage
}

fn turn(pod: &DrainPod, pause: u64, affordable: bool) -> PodTurn {
    if !keeps_data(pod) {
        return pod.turn("keeps no data");
    }
    let wait_ms = (affordable && pause > 0).then_some(pause);
    PodTurn { wait_ms, ..pod.turn("keeps data: last, and with a pause before it") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_sdk::Context;

    /// Wednesday, 2026-11-18, 10:00 UTC.
    const OPEN: u64 = 1_794_996_000_000;

    fn node(name: &str, zone: &str, pods: u32, cause: Cause) -> Candidate {
        let node = name.bytes().last().unwrap_or(0).into();
        Candidate { node, name: name.into(), zone: Some(zone.into()), pods, cause, ..Candidate::default() }
    }

    fn order(now_ms: u64, candidates: Vec<Candidate>) -> (Vec<u32>, Vec<u32>) {
        let context = Context { now_ms, ..Context::default() };
        let request = NodesRequest { context, candidates, ..NodesRequest::default() };
        match OfficeHours::order_nodes(&Settings::default(), &request) {
            NodesVerdict::Order(order) => {
                let ids = |choices: &[plimsoll_sdk::drain::NodeChoice]| choices.iter().map(|c| c.node).collect();
                (ids(&order.drain), ids(&order.keep))
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn one_zone_goes_in_office_hours_and_none_outside() {
        let nodes = || {
            vec![
                node("a", "east", 3, Cause::Underutilized),
                node("b", "west", 1, Cause::Underutilized),
                node("c", "east", 0, Cause::Empty),
                node("d", "west", 9, Cause::Interruption),
            ]
        };
        let ids = |text: &str| text.bytes().map(u32::from).collect::<Vec<_>>();
        assert_eq!(order(OPEN, nodes()), (ids("dca"), ids("b")));
        let night = OPEN + 10 * 3_600_000;
        assert_eq!(order(night, nodes()), (ids("d"), ids("abc")));
        assert_eq!(order(OPEN, Vec::new()), (Vec::new(), Vec::new()));
    }

    #[test]
    fn data_goes_last_and_the_timeout_is_kept() {
        let data = DrainPod { pod: 1, volume_claims: true, ..DrainPod::default() };
        let web = DrainPod { pod: 2, priority: 100, ..DrainPod::default() };
        let turns = |timeout_ms| {
            let pods = vec![data.clone(), web.clone()];
            let request = PodsRequest { pods, spacing_ms: 60_000, timeout_ms, ..PodsRequest::default() };
            match OfficeHours::order_pods(&Settings::default(), &request) {
                PodsVerdict::Order(turns) => turns.iter().map(|turn| (turn.pod, turn.wait_ms)).collect::<Vec<_>>(),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(turns(300_000), [(2, None), (1, Some(90_000))]);
        assert_eq!(turns(120_000), [(2, None), (1, None)], "no time for a pause");
    }
}
