//! Launches that failed and are not tried again for a while.

use plimsoll_model::{Lifecycle, Text, Timestamp};

use super::ScaleUpConfig;

/// A kind of node that is not launched for a while. What is `None` stands for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchBlock {
    /// The node group.
    pub group: Text,
    /// The instance type.
    pub instance_type: Option<Text>,
    /// The zone.
    pub zone: Option<Text>,
    /// How it is bought.
    pub lifecycle: Option<Lifecycle>,
    /// When it may be tried again.
    pub until: Timestamp,
    /// What went wrong.
    pub why: String,
}

impl LaunchBlock {
    /// True if it concerns this kind of node.
    pub fn covers(&self, group: &str, instance_type: &str, zone: &str, lifecycle: Lifecycle) -> bool {
        self.group == *group
            && self.instance_type.as_ref().is_none_or(|blocked| *blocked == *instance_type)
            && self.zone.as_ref().is_none_or(|blocked| *blocked == *zone)
            && self.lifecycle.is_none_or(|blocked| blocked == lifecycle)
    }
}

impl ScaleUpConfig {
    /// What keeps this kind of node from being launched now; of several, the one that lasts longest.
    pub fn is_blocked(
        &self,
        group: &str,
        instance_type: &str,
        zone: &str,
        lifecycle: Lifecycle,
        now: Timestamp,
    ) -> Option<&LaunchBlock> {
        let concern = |block: &&LaunchBlock| block.until > now && block.covers(group, instance_type, zone, lifecycle);
        self.blocked.iter().filter(concern).max_by_key(|block| block.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_covers_what_it_names_until_its_time() {
        let block = |instance_type: Option<&str>, zone: Option<&str>, lifecycle, until| LaunchBlock {
            group: "g".into(),
            instance_type: instance_type.map(Text::from),
            zone: zone.map(Text::from),
            lifecycle,
            until: Timestamp(until),
            why: format!("until {until}"),
        };
        use Lifecycle::*;
        let config = ScaleUpConfig {
            blocked: vec![
                block(Some("m5"), Some("a"), Some(Spot), 100),
                block(Some("m5"), None, None, 50),
                block(None, Some("c"), None, 200),
            ],
            ..Default::default()
        };
        for (group, instance_type, zone, lifecycle, now, why) in [
            ("g", "m5", "a", Spot, 10, Some("until 100")),
            ("g", "m5", "a", OnDemand, 10, Some("until 50")),
            ("g", "m5", "b", Spot, 49, Some("until 50")),
            ("g", "m5", "b", Spot, 50, None),
            ("g", "r5", "a", Spot, 10, None),
            ("g", "r5", "c", OnDemand, 199, Some("until 200")),
            ("h", "m5", "a", Spot, 10, None),
        ] {
            let found = config.is_blocked(group, instance_type, zone, lifecycle, Timestamp(now));
            assert_eq!(
                found.map(|block| block.why.as_str()),
                why,
                "{group} {instance_type} {zone} {lifecycle:?} {now}"
            );
        }
    }
}
