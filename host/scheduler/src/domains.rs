//! Topology domains: the values of a node label, counted per class of things.
//!
//! A counter is updated when something is added or removed, never recounted.

use std::collections::HashMap;

use plimsoll_model::{LabelSet, Text};

/// One value of a topology key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DomainId(u32);

/// The domains of one topology key, numbered in the order in which they were met.
#[derive(Clone, Debug)]
pub struct DomainIndex {
    key: Text,
    ids: HashMap<Text, DomainId>,
}

/// How many things of one class are in each domain.
#[derive(Clone, Debug, Default)]
pub struct DomainCounter {
    counts: Vec<u32>,
}

impl DomainIndex {
    /// No domains yet of this key.
    pub fn new(key: impl Into<Text>) -> Self {
        Self { key: key.into(), ids: HashMap::new() }
    }

    /// The domain of a node with these labels; `None` if it lacks the key.
    pub fn domain_of(&mut self, labels: &LabelSet) -> Option<DomainId> {
        let value = labels.get(&self.key)?.clone();
        Some(self.domain(value))
    }

    /// The domain of this value, new if it was not met before.
    pub fn domain(&mut self, value: Text) -> DomainId {
        let next = DomainId(u32::try_from(self.ids.len()).unwrap_or(u32::MAX));
        *self.ids.entry(value).or_insert(next)
    }
}

impl DomainCounter {
    /// Counts more things in a domain.
    pub fn add(&mut self, domain: DomainId, more: u32) {
        let at = domain.0 as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        self.counts[at] = self.counts[at].saturating_add(more);
    }

    /// How many there are in a domain.
    pub fn get(&self, domain: DomainId) -> u32 {
        self.counts.get(domain.0 as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_by_value() {
        let mut zones = DomainIndex::new("zone");
        let mut counter = DomainCounter::default();
        for zone in ["a", "b", "a"] {
            let labels: LabelSet = [("zone", zone)].into_iter().collect();
            counter.add(zones.domain_of(&labels).unwrap(), 1);
        }
        assert_eq!(zones.domain_of(&LabelSet::default()), None);
        let counts = ["a", "b", "c"].map(|zone| counter.get(zones.domain(zone.into())));
        assert_eq!(counts, [2, 1, 0]);
    }
}
