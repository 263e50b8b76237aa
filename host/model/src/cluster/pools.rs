//! One copy of what many objects share, for as long as one of them is there.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::Arc;

use crate::{LabelSet, Owner, PodShape, Text};

/// With fewer entries than this nobody looks for those that are not used.
const SMALL: usize = 4096;

/// Makes equal texts, sets of labels, shapes and owners one. What nobody else holds is dropped whenever the number
/// of entries has doubled, so that a cluster that lives for months keeps no more than twice what it uses.
#[derive(Debug)]
pub struct Pools {
    texts: HashSet<Arc<str>>,
    label_sets: HashSet<Arc<LabelSet>>,
    shapes: HashSet<Arc<PodShape>>,
    owners: HashSet<Arc<Owner>>,
    /// The number of entries at which to look.
    sweep_at: usize,
}

// === impl Pools ===

impl Default for Pools {
    fn default() -> Self {
        let (texts, label_sets, shapes, owners) = Default::default();
        Self { texts, label_sets, shapes, owners, sweep_at: SMALL }
    }
}

impl Pools {
    /// The shared copy of a text.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.texts.get(text) {
            return known.clone().into();
        }
        self.make_room();
        let new: Arc<str> = text.into();
        self.texts.insert(new.clone());
        new.into()
    }

    /// The shared copy of a set of labels.
    pub fn labels(&mut self, labels: LabelSet) -> Arc<LabelSet> {
        self.make_room();
        share(&mut self.label_sets, labels)
    }

    /// The shared copy of a shape.
    pub fn shape(&mut self, shape: PodShape) -> Arc<PodShape> {
        self.make_room();
        share(&mut self.shapes, shape)
    }

    /// The shared copy of an owner.
    pub fn owner(&mut self, owner: Owner) -> Arc<Owner> {
        self.make_room();
        share(&mut self.owners, owner)
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.texts.len() + self.label_sets.len() + self.shapes.len() + self.owners.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn distinct_shapes(&self) -> usize {
        self.shapes.len()
    }

    fn make_room(&mut self) {
        if self.len() < self.sweep_at {
            return;
        }
        // Texts last: the others hold some.
        drop_unused(&mut self.shapes);
        drop_unused(&mut self.label_sets);
        drop_unused(&mut self.owners);
        drop_unused(&mut self.texts);
        self.sweep_at = SMALL.max(2 * self.len());
    }
}

fn share<T: Eq + Hash>(pool: &mut HashSet<Arc<T>>, value: T) -> Arc<T> {
    if let Some(known) = pool.get(&value) {
        return known.clone();
    }
    let new = Arc::new(value);
    pool.insert(new.clone());
    new
}

fn drop_unused<T: ?Sized + Eq + Hash>(pool: &mut HashSet<Arc<T>>) {
    pool.retain(|entry| Arc::strong_count(entry) > 1);
    pool.shrink_to(2 * pool.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_goes_and_the_rest_stays_one() {
        let mut pools = Pools::default();
        let labels = |pools: &mut Pools, index: usize| {
            let entry = (pools.text("app"), pools.text(&format!("web-{index}")));
            pools.labels([entry].into_iter().collect())
        };
        let kept: Vec<_> = (0..SMALL).map(|index| labels(&mut pools, index)).collect();
        for index in 0..20 * SMALL {
            labels(&mut pools, SMALL + index);
        }
        assert!(pools.len() <= 4 * SMALL + 2, "{} entries", pools.len());
        for (index, old) in kept.iter().enumerate() {
            assert!(Arc::ptr_eq(old, &labels(&mut pools, index)));
        }
        drop(kept);
        for index in 0..4 * SMALL {
            labels(&mut pools, index);
        }
        assert!(pools.len() <= 2 * SMALL, "{} entries", pools.len());
    }
}
