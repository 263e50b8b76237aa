//! Launches the cheapest nodes that place the most pods.
//!
//! Among options that cost the same, spot comes first, then the one that wastes less, then the one in the
//! zone where the group has fewer nodes. Other strategies put waste, pods, nodes or the priority of the group
//! before the price. One choice of several nodes is divided over zones where that costs nothing.

pub mod cover;
pub mod offer;
pub mod settings;
pub mod spread;

use core::fmt::Write as _;

use plimsoll_sdk::scale_up::{Launch, LaunchOption, Request, Verdict};
use plimsoll_sdk::{ScaleUp, Usd};

use cover::{Cover, Pick};
use offer::Measure;
use settings::{Priorities, Settings, Strategy};
use spread::Part;

/// The policy.
#[derive(Debug)]
pub struct LeastCost;

plimsoll_sdk::export_scale_up!(LeastCost);

impl ScaleUp for LeastCost {
    type Settings = Settings;

    fn validate(settings: &Settings) -> Result<(), String> {
        settings.validate()
    }

    fn choose(settings: &Settings, request: &Request) -> Verdict {
        let cover = best_cover(settings, request);
        if cover.picks.is_empty() {
            return Verdict::Hold(nothing_fits(request));
        }
        let mut launches = Vec::with_capacity(cover.picks.len());
        for pick in &cover.picks {
            let parts = spread::over_zones(pick, &request.options, &cover.picks);
            launches.extend(parts.iter().map(|part| launch(pick, part, parts.len())));
        }
        Verdict::Launch(launches)
    }
}

fn best_cover<'a>(settings: &Settings, request: &'a Request) -> Cover<'a> {
    let cover = |measure, priorities: &[_]| Cover::new(request, priorities, measure, settings.prefer_spot);
    match settings.strategy {
        Strategy::LeastWaste => cover(Measure::Waste, &[]),
        Strategy::MostPods => cover(Measure::Pods, &[]),
        Strategy::LeastNodes => cover(Measure::Nodes, &[]),
        Strategy::Priority => {
            let compiled = Priorities::new(settings);
            // Options come group by group.
            let mut last: Option<(&str, Option<i32>)> = None;
            let of = |option: &'a LaunchOption| {
                let known = last.filter(|(group, _)| *group == option.group);
                let (_, priority) = *last.insert(known.unwrap_or_else(|| (&option.group, compiled.of(&option.group))));
                priority
            };
            let priorities: Vec<_> = request.options.iter().map(of).collect();
            cover(Measure::Priority, &priorities)
        }
        Strategy::LeastCost => {
            let by_cost = cover(Measure::Cost, &[]);
            if let [only] = by_cost.picks.as_slice()
                && !only.offer.is_limited()
            {
                return by_cost;
            }
            // Small pods are cheap by the piece, but may fit beside the large ones for nothing; and where nodes
            // are scarce, cheap small ones use up what is allowed.
            let by_pods = cover(Measure::Pods, &[]);
            let rank = |cover: &Cover<'_>| (core::cmp::Reverse(cover.pods()), cover.cost());
            if rank(&by_pods) < rank(&by_cost) { by_pods } else { by_cost }
        }
    }
}

fn launch(pick: &Pick<'_>, part: &Part<'_>, zones: usize) -> Launch {
    let option = part.option;
    let mut reason = String::with_capacity(160);
    let pods = if part.pods == 1 { "pod" } else { "pods" };
    // Writing into a string cannot fail.
    let _ = write!(
        reason,
        "places {} {pods} on {} × {} {} in {}",
        part.pods, part.nodes, option.instance_type, option.lifecycle, option.zone
    );
    let _ = match option.price {
        Some(price) => write!(reason, " at {}/h each", Usd(price)),
        None => write!(reason, " at an unknown price"),
    };
    let offers = pick.offers;
    let _ = match (pick.measure, pick.offer.priority) {
        _ if offers == 1 => write!(reason, ", the only option"),
        (Measure::Cost, _) => write!(reason, ", cheapest of {offers} options"),
        (Measure::Waste, _) => write!(reason, ", least waste of {offers} options"),
        (Measure::Pods, _) => write!(reason, ", most pods of {offers} options"),
        (Measure::Nodes, _) => write!(reason, ", fewest nodes of {offers} options"),
        (Measure::Priority, Some(priority)) => {
            write!(reason, ", priority {priority} is the highest of {offers} options")
        }
        (Measure::Priority, None) => write!(reason, ", no group of the {offers} options has a priority"),
    };
    if zones > 1 {
        let _ = write!(reason, ", spread over {zones} zones");
    }
    if pick.offer.is_limited() {
        reason.push_str(", limited to the nodes that are allowed");
    }
    option.launch_nodes(part.nodes, reason)
}

fn nothing_fits(request: &Request) -> String {
    if request.options.is_empty() {
        return "no node group would place a pending pod".into();
    }
    let left = &request.remaining;
    format!(
        "none of the {} options fits what the limits leave: {} nodes, {} cores, {} GiB",
        request.options.len(),
        left.nodes,
        left.milli_cpu / 1000,
        left.memory_bytes >> 30
    )
}
