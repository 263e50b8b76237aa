//! Volumes that no claim has yet, by storage class.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use plimsoll_model::{Bytes, LabelSet, NodeSelector, NodeSelectorTerm, Operator, Requirement, Snapshot, Text, Volume};
use rustc_hash::FxHashMap;

/// The volumes of one storage class that a claim could still be bound to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supply {
    offers: Vec<Offer>,
    /// Places among the offers by a label that a node needs for them: a cluster of local disks has one for each.
    pinned: FxHashMap<(Text, Text), Vec<usize>>,
    /// The keys of those labels.
    keys: Vec<Text>,
    /// Places of all others.
    loose: Vec<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Offer {
    capacity: Bytes,
    reach: Option<NodeSelector>,
}

/// What was asked for of one snapshot, each put together once.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supplies {
    by_class: Option<FxHashMap<Text, Arc<Supply>>>,
    default_class: Option<Option<Text>>,
}

// === impl Supplies ===

impl Supplies {
    /// Volumes of this class that are free.
    pub(crate) fn of(&mut self, snapshot: &Snapshot, class: &Text) -> Arc<Supply> {
        let known = self.by_class.get_or_insert_with(|| {
            let mut free: FxHashMap<Text, Supply> = FxHashMap::default();
            for volume in snapshot.volumes().filter(|volume| volume.available) {
                free.entry(volume.class.clone()).or_default().put(volume);
            }
            free.into_iter().map(|(class, supply)| (class, Arc::new(supply))).collect()
        });
        known.entry(class.clone()).or_default().clone()
    }

    /// The class of claims that name none. Of several the first by name: Kubernetes takes the newest, whose age is
    /// not known here.
    pub(crate) fn default_class(&mut self, snapshot: &Snapshot) -> Option<&Text> {
        let find = || snapshot.storage_classes().find(|class| class.default).map(|class| class.name.clone());
        self.default_class.get_or_insert_with(find).as_ref()
    }
}

// === impl Supply ===

impl Supply {
    fn put(&mut self, volume: &Volume) {
        let at = self.offers.len();
        self.offers.push(Offer { capacity: volume.capacity, reach: volume.node_affinity.clone() });
        let terms = volume.node_affinity.as_ref().map(|affinity| affinity.terms.iter().map(pin).collect());
        // One term without such a label is enough to reach the volume from anywhere.
        let Some(Some(pins)): Option<Option<Vec<&Requirement>>> = terms else {
            self.loose.push(at);
            return;
        };
        for pin in pins {
            if !self.keys.contains(&pin.key) {
                self.keys.push(pin.key.clone());
            }
            for value in &pin.values {
                self.pinned.entry((pin.key.clone(), value.clone())).or_default().push(at);
            }
        }
    }

    /// The sizes of the volumes that a node can reach, ascending.
    pub(crate) fn sizes_at(&self, labels: &LabelSet) -> Vec<Bytes> {
        let by_label = |key: &Text| self.pinned.get(&(key.clone(), labels.get(key)?.clone()));
        let mut places = self.loose.clone();
        places.extend(self.keys.iter().filter_map(by_label).flatten());
        places.sort_unstable();
        places.dedup();
        let offers = places.into_iter().filter_map(|at| self.offers.get(at));
        let mut sizes: Vec<Bytes> =
            offers.filter(|offer| offer.reached_by(labels)).map(|offer| offer.capacity).collect();
        sizes.sort_unstable();
        sizes
    }
}

/// A label that a term demands.
fn pin(term: &NodeSelectorTerm) -> Option<&Requirement> {
    term.match_expressions.iter().find(|requirement| requirement.operator == Operator::In)
}

impl PartialEq for Supply {
    fn eq(&self, other: &Self) -> bool {
        self.offers == other.offers
    }
}

impl Eq for Supply {}

impl Hash for Supply {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The offers themselves would be hashed again for every pod.
        self.offers.len().hash(state);
    }
}

// === impl Offer ===

impl Offer {
    fn reached_by(&self, labels: &LabelSet) -> bool {
        self.reach.as_ref().is_none_or(|reach| reaches(reach, labels))
    }
}

/// True if a volume with this affinity can be used on a node with these labels. Fields are not looked at: the
/// scheduler asks with labels only (`CheckNodeAffinity` of k8s.io/component-helpers/storage/volume).
pub(crate) fn reaches(affinity: &NodeSelector, labels: &LabelSet) -> bool {
    affinity.terms.iter().any(|term| {
        let fields = |requirement: &Requirement| requirement.operator == Operator::NotIn;
        let empty = term.match_expressions.is_empty() && term.match_fields.is_empty();
        !empty
            && term.match_expressions.iter().all(|requirement| requirement.accepts(labels.get(&requirement.key)))
            && term.match_fields.iter().all(fields)
    })
}
