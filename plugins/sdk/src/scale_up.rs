//! Which nodes to launch for pods that have no room.

use core::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::bindings::scale_up::exports::plimsoll::policy::scale_up;
use crate::bindings::settings::exports::plimsoll::policy::settings as settings_export;
use crate::{Context, Lifecycle, settings};

pub use scale_up::{Launch, LaunchOption, Limits, Placement, PodShape, Request, Verdict};

/// A policy that chooses among launch options. Export it with [`export_scale_up!`](crate::export_scale_up).
pub trait ScaleUp {
    /// What the configuration may set; [`NoSettings`](crate::NoSettings) if nothing.
    type Settings: DeserializeOwned + Default;

    /// Checks beyond what serde checks, when the configuration is loaded.
    ///
    /// # Errors
    /// A sentence that names the key, what is wrong, and what to write.
    fn validate(_settings: &Self::Settings) -> Result<(), String> {
        Ok(())
    }

    /// Chooses among the options of one round.
    fn choose(settings: &Self::Settings, request: &Request) -> Verdict;
}

impl LaunchOption {
    /// How many pods it would place, all shapes together.
    #[must_use]
    pub fn pods(&self) -> u32 {
        self.places.iter().fold(0, |pods, place| pods.saturating_add(place.pods))
    }

    /// What its `nodes` cost together, in millionths of a US dollar per hour; `None` when the price is unknown.
    #[must_use]
    pub fn total_price(&self) -> Option<u64> {
        self.price.map(|price| price.saturating_mul(u64::from(self.nodes)))
    }

    /// Chooses this option with all its `nodes`.
    #[must_use]
    pub fn launch(&self, reason: impl Into<String>) -> Launch {
        self.launch_nodes(self.nodes, reason)
    }

    /// Chooses `count` nodes of this option.
    #[must_use]
    pub fn launch_nodes(&self, count: u32, reason: impl Into<String>) -> Launch {
        Launch { option_id: self.id, count, reason: reason.into() }
    }
}

impl From<Launch> for Verdict {
    fn from(launch: Launch) -> Self {
        Verdict::Launch(vec![launch])
    }
}

/// One node that costs an unknown amount and places nothing: a start for unit tests.
impl Default for LaunchOption {
    fn default() -> Self {
        LaunchOption {
            id: 0,
            group: String::new(),
            instance_type: String::new(),
            zone: String::new(),
            lifecycle: Lifecycle::OnDemand,
            price: None,
            nodes: 1,
            max_nodes: u32::MAX,
            places: Vec::new(),
            wasted_milli_cpu: 0,
            wasted_memory_bytes: 0,
            node_milli_cpu: 0,
            node_memory_bytes: 0,
            node_gpus: 0,
            zone_nodes: 0,
            free_ips: None,
            preference: None,
        }
    }
}

/// One pod that requests nothing: a start for unit tests.
impl Default for PodShape {
    fn default() -> Self {
        PodShape {
            id: 0,
            pods: 1,
            example: 0,
            namespace: String::new(),
            milli_cpu: 0,
            memory_bytes: 0,
            gpus: 0,
            priority: 0,
            lifecycle: None,
            waiting_ms: None,
            deadline_ms: None,
            headroom: false,
        }
    }
}

/// No limits: a start for unit tests.
impl Default for Limits {
    fn default() -> Self {
        Limits { nodes: u32::MAX, milli_cpu: u64::MAX, memory_bytes: u64::MAX }
    }
}

/// Nothing pending, nothing on offer, no limits: a start for unit tests.
impl Default for Request {
    fn default() -> Self {
        Request {
            context: Context::default(),
            round: 0,
            shapes: Vec::new(),
            options: Vec::new(),
            remaining: Limits::default(),
        }
    }
}

/// What the export macro hands to the bindings.
#[doc(hidden)]
#[derive(Debug)]
pub struct Exported<P>(PhantomData<P>);

impl<P: ScaleUp> scale_up::Guest for Exported<P> {
    fn choose(request: Request) -> Verdict {
        // The host validates settings at load; one that did not must not be answered with defaults.
        match settings::parse(&request.context.settings) {
            Ok(settings) => P::choose(&settings, &request),
            Err(error) => Verdict::Hold(error),
        }
    }
}

impl<P: ScaleUp> settings_export::Guest for Exported<P> {
    fn validate(text: String) -> Result<(), String> {
        P::validate(&settings::parse(&text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use scale_up::Guest as _;
    use serde::Deserialize;
    use settings_export::Guest as _;

    #[derive(Debug, Default, Deserialize)]
    struct Zone {
        zone: String,
    }

    struct OneZone;
    impl ScaleUp for OneZone {
        type Settings = Zone;
        fn validate(settings: &Zone) -> Result<(), String> {
            if settings.zone.is_empty() { Err("`zone` is empty: name a zone".into()) } else { Ok(()) }
        }
        fn choose(settings: &Zone, request: &Request) -> Verdict {
            let found = request.options.iter().find(|option| option.zone == settings.zone);
            found.map_or(Verdict::Pass, |option| option.launch("in the zone").into())
        }
    }

    fn request(settings: &str) -> Request {
        let option = |id, zone: &str| LaunchOption { id, zone: zone.into(), nodes: 2, ..LaunchOption::default() };
        Request {
            context: Context { settings: settings.into(), ..Context::default() },
            options: vec![option(0, "zone-a"), option(7, "zone-b")],
            ..Request::default()
        }
    }

    #[test]
    fn settings_reach_the_policy() {
        let launch = Launch { option_id: 7, count: 2, reason: "in the zone".into() };
        assert_eq!(Exported::<OneZone>::choose(request(r#"{"zone": "zone-b"}"#)), Verdict::Launch(vec![launch]));
        assert_eq!(Exported::<OneZone>::choose(request("{}")), Verdict::Pass);
    }

    #[test]
    fn bad_settings_launch_nothing() {
        let Verdict::Hold(reason) = Exported::<OneZone>::choose(request(r#"{"zone": 1}"#)) else {
            panic!("launched with settings that do not parse");
        };
        assert!(reason.contains("`zone`"), "{reason}");
    }

    #[test]
    fn both_checks_are_made_at_load() {
        assert_eq!(Exported::<OneZone>::validate(r#"{"zone": "zone-b"}"#.into()), Ok(()));
        assert!(Exported::<OneZone>::validate(r#"{"zone": 1}"#.into()).unwrap_err().contains("invalid type"));
        assert!(Exported::<OneZone>::validate("{}".into()).unwrap_err().contains("name a zone"));
    }

    #[test]
    fn totals_do_not_wrap() {
        let places = vec![Placement { shape: 0, pods: u32::MAX }, Placement { shape: 1, pods: 2 }];
        let option = LaunchOption { price: Some(u64::MAX), nodes: 2, places, ..LaunchOption::default() };
        assert_eq!(option.total_price(), Some(u64::MAX));
        assert_eq!(option.pods(), u32::MAX);
        assert_eq!(LaunchOption::default().total_price(), None);
    }
}
