//! Topology keys and their domains: the values that a node label has in the cluster.

use std::collections::HashMap;

use plimsoll_model::{LabelSet, Text, well_known};

/// A node label by which rules between pods divide the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct KeyId(pub(crate) u32);

/// One value of a topology key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct DomainId(pub(crate) u32);

/// Where a node is, by key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Place(Vec<Option<DomainId>>);

/// Every key that a rule names, with the domains met so far.
#[derive(Clone, Debug)]
pub(crate) struct Topology {
    keys: Vec<Text>,
    by_name: HashMap<Text, KeyId>,
    domains: Vec<HashMap<Text, DomainId>>,
}

/// The key whose domains are single nodes.
pub(crate) const HOSTNAME: KeyId = KeyId(0);

impl Default for Topology {
    fn default() -> Self {
        let mut topology = Self { keys: Vec::new(), by_name: HashMap::new(), domains: Vec::new() };
        topology.key(&well_known::HOSTNAME.into());
        topology
    }
}

impl Topology {
    /// The id of a key, and whether it is new.
    pub(crate) fn key(&mut self, name: &Text) -> (KeyId, bool) {
        if let Some(&known) = self.by_name.get(name) {
            return (known, false);
        }
        let id = KeyId(u32::try_from(self.keys.len()).unwrap_or(u32::MAX));
        self.keys.push(name.clone());
        self.by_name.insert(name.clone(), id);
        self.domains.push(HashMap::new());
        (id, true)
    }

    /// The name of a key.
    pub(crate) fn name(&self, key: KeyId) -> &Text {
        &self.keys[key.0 as usize]
    }

    /// How many values were met of the key that has most.
    pub(crate) fn most_values(&self) -> usize {
        self.domains.iter().map(HashMap::len).max().unwrap_or(0)
    }

    /// Where a node with these labels is, by every key known so far.
    pub(crate) fn place(&mut self, labels: &LabelSet) -> Place {
        let mut place = Place::default();
        self.complete(&mut place, labels);
        place
    }

    /// Adds the keys that became known since the place was made.
    pub(crate) fn complete(&mut self, place: &mut Place, labels: &LabelSet) {
        for at in place.0.len()..self.keys.len() {
            let domain = labels.get(&self.keys[at]).map(|value| {
                let known = &mut self.domains[at];
                let next = DomainId(u32::try_from(known.len()).unwrap_or(u32::MAX));
                *known.entry(value.clone()).or_insert(next)
            });
            place.0.push(domain);
        }
    }

    /// The value that a domain stands for.
    #[cfg(test)]
    pub(crate) fn value(&self, key: KeyId, domain: DomainId) -> Option<&Text> {
        self.domains[key.0 as usize].iter().find(|(_, known)| **known == domain).map(|(value, _)| value)
    }
}

impl Place {
    /// The same place on a host that does not exist yet, which is a domain of its own.
    pub(crate) fn on_a_new_host(mut self) -> Self {
        if let Some(host) = self.0.first_mut() {
            *host = host.map(|_| DomainId(u32::MAX));
        }
        self
    }

    /// The domain of a key; `None` if the node lacks the label.
    pub(crate) fn domain(&self, key: KeyId) -> Option<DomainId> {
        self.0.get(key.0 as usize).copied().flatten()
    }
}
