//! How patient a drain is.

use std::borrow::Cow;
use std::collections::HashMap;

use plimsoll_model::{Millis, Text};

/// Times that drains go by. The timetable, the deadline and the spacing of late pods come with each drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrainRules {
    /// When a refused eviction is asked for again.
    pub retry_interval: Millis,
    /// How long after its own first refusal a pod is deleted, whatever its budget says; `None`: never.
    pub force_delete_after: Option<Millis>,
    /// The same for node groups that have their own.
    pub group_force_delete_after: HashMap<Text, Option<Millis>>,
    /// How long before the deadline the last warm-up ends.
    pub warmup_guard: Millis,
    /// A pod goes as soon as its replacement is ready, and not only when its warm-up is over.
    pub evict_when_ready: bool,
    /// How long volumes may take to detach once the last pod is gone; never past the deadline.
    pub detach_wait: Millis,
    /// How long after its machine is gone a Node is left to the cloud before it is deleted.
    pub node_delete_after: Millis,
    /// How long a workload may be short of ready pods after an eviction before no further drain begins.
    pub breaker_after: Millis,
}

impl Default for DrainRules {
    /// Spot Ocean's where it has them (`ocean-features.md` C6, C7, C19).
    fn default() -> Self {
        Self {
            retry_interval: Millis::from_secs(5),
            force_delete_after: Some(Millis::from_secs(60)),
            group_force_delete_after: HashMap::new(),
            warmup_guard: Millis::from_secs(5),
            evict_when_ready: false,
            detach_wait: Millis::from_secs(60),
            node_delete_after: Millis::from_secs(30),
            breaker_after: Millis::from_secs(600),
        }
    }
}

impl DrainRules {
    /// Those of a node of this group.
    pub(super) fn of_group(&self, group: Option<&Text>) -> Cow<'_, Self> {
        match group.and_then(|group| self.group_force_delete_after.get(group)) {
            Some(own) => {
                Cow::Owned(Self { force_delete_after: *own, group_force_delete_after: HashMap::new(), ..self.clone() })
            }
            None => Cow::Borrowed(self),
        }
    }
}
