//! A policy of a team's own: spot whenever there is some, on-demand only while an hour's bill stays within a
//! budget, and only for pods that matter or have waited.

use plimsoll_sdk::scale_up::{LaunchOption, Request, ScaleUp, Verdict};
use plimsoll_sdk::{Lifecycle, Usd, log};
use serde::Deserialize;

/// What the configuration may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Settings {
    /// What one round may add to the hourly on-demand bill, in US cents.
    pub on_demand_cents_per_hour: u64,
    /// Pods of at least this `spec.priority` need not wait for spot.
    pub important_priority: i32,
    /// Other pods wait this long for spot, in seconds, before on-demand is considered.
    pub patience_seconds: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { on_demand_cents_per_hour: 100, important_priority: 1_000, patience_seconds: 120 }
    }
}

/// The policy.
#[derive(Debug)]
pub struct SpotBudget;

plimsoll_sdk::export_scale_up!(SpotBudget);

impl ScaleUp for SpotBudget {
    type Settings = Settings;

    fn choose(settings: &Settings, request: &Request) -> Verdict {
        if let Some(spot) = cheapest(request, Lifecycle::Spot, |_| true) {
            return spot.launch("spot is on offer").into();
        }
        let pressing = |option: &LaunchOption| option.places.iter().any(|p| is_pressing(settings, request, p.shape));
        let Some(option) = cheapest(request, Lifecycle::OnDemand, pressing) else {
            return Verdict::Hold(format!(
                "no spot on offer, and nobody waits longer than {} s",
                settings.patience_seconds
            ));
        };
        // An unknown price may be any price: that is for the next policy to decide.
        let Some(price) = option.price else { return Verdict::Pass };
        let budget = settings.on_demand_cents_per_hour.saturating_mul(10_000);
        let affordable = budget.checked_div(price).unwrap_or(u64::MAX);
        match u32::try_from(affordable).unwrap_or(u32::MAX).min(option.nodes) {
            0 => Verdict::Hold(format!(
                "{} on-demand is {}/h, above the budget of {}/h",
                option.instance_type,
                Usd(price),
                Usd(budget)
            )),
            nodes => {
                if nodes < option.nodes {
                    log::info(format_args!("the budget buys {nodes} of {} nodes", option.nodes));
                }
                option.launch_nodes(nodes, format!("no spot on offer; within the budget of {}/h", Usd(budget))).into()
            }
        }
    }
}

/// The option of this lifecycle that costs least for a pod.
fn cheapest(request: &Request, lifecycle: Lifecycle, wanted: impl Fn(&LaunchOption) -> bool) -> Option<&LaunchOption> {
    let options = request.options.iter().filter(|option| option.lifecycle == lifecycle && wanted(option));
    options.min_by_key(|option| {
        let total = option.total_price().map(|total| total / u64::from(option.pods().max(1)));
        // Absent is not zero: what has no price comes last.
        (total.is_none(), total)
    })
}

fn is_pressing(settings: &Settings, request: &Request, shape: u32) -> bool {
    let patience = settings.patience_seconds.saturating_mul(1_000);
    request.shapes.iter().filter(|candidate| candidate.id == shape).any(|shape| {
        shape.priority >= settings.important_priority || shape.waiting_ms.is_some_and(|waiting| waiting > patience)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use plimsoll_sdk::scale_up::{Launch, Placement, PodShape};

    fn option(id: u32, lifecycle: Lifecycle, price: Option<u64>) -> LaunchOption {
        let places = vec![Placement { shape: 0, pods: 6 }];
        LaunchOption {
            id,
            lifecycle,
            price,
            nodes: 3,
            places,
            instance_type: "m5.large".into(),
            ..LaunchOption::default()
        }
    }

    fn request(waiting_ms: u64, options: Vec<LaunchOption>) -> Request {
        let shapes = vec![PodShape { pods: 6, waiting_ms: Some(waiting_ms), ..PodShape::default() }];
        Request { shapes, options, ..Request::default() }
    }

    fn choose(request: &Request) -> Verdict {
        SpotBudget::choose(&Settings::default(), request)
    }

    #[test]
    fn the_cheapest_spot_wins() {
        let (spot, on_demand) = (Lifecycle::Spot, Lifecycle::OnDemand);
        let options = vec![option(0, on_demand, Some(1)), option(1, spot, None), option(2, spot, Some(40_000))];
        let expected = Launch { option_id: 2, count: 3, reason: "spot is on offer".into() };
        assert_eq!(choose(&request(0, options)), expected.into());
    }

    #[test]
    fn on_demand_is_for_those_who_waited_or_matter() {
        let options = || vec![option(4, Lifecycle::OnDemand, Some(96_000))];
        assert!(matches!(choose(&request(60_000, options())), Verdict::Hold(_)));
        let expected =
            Launch { option_id: 4, count: 3, reason: "no spot on offer; within the budget of $1.00/h".into() };
        assert_eq!(choose(&request(121_000, options())), expected.clone().into());
        let mut important = request(0, options());
        important.shapes[0].priority = 1_000;
        assert_eq!(choose(&important), expected.into());
    }

    #[test]
    fn the_budget_is_kept() {
        let priced = |price| choose(&request(121_000, vec![option(4, Lifecycle::OnDemand, price)]));
        assert!(matches!(priced(Some(400_000)), Verdict::Launch(launches) if launches[0].count == 2));
        assert!(matches!(priced(Some(1_000_001)), Verdict::Hold(reason) if reason.contains("$1.000001/h")));
        assert_eq!(priced(None), Verdict::Pass);
    }
}
