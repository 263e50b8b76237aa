//! Slots in the order of names.

use std::cmp::Ordering;
use std::sync::Arc;

use imbl::Vector;

/// The most slots that one chunk holds.
const MOST: usize = 128;

/// Slots sorted by the names of what is in them, in chunks of which none is empty. A change copies one chunk, and
/// an object that changes but keeps its name costs nothing here.
///
/// A set of `imbl` would hold a key for each slot (about 50 bytes instead of 5), and its vector moves half of
/// itself when something is put into the middle; of chunks there are few, and they seldom come and go.
#[derive(Clone, Debug, Default)]
pub(super) struct Order {
    chunks: Vector<Arc<Vec<u32>>>,
    len: usize,
}

// === impl Order ===

/// `compare` says how the name in a slot compares with the one that is meant.
impl Order {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = &[u32]> {
        self.chunks.iter().map(|chunk| chunk.as_slice())
    }

    pub(super) fn find(&self, compare: impl Fn(u32) -> Ordering) -> Option<u32> {
        if self.chunks.last().is_none_or(|chunk| goes_last(chunk, &compare)) {
            return None;
        }
        let chunk = self.chunks.get(self.chunk_of(&compare))?;
        chunk.binary_search_by(|&slot| compare(slot)).ok().map(|at| chunk[at])
    }

    /// Puts a slot at its place. No other may have its name.
    pub(super) fn insert(&mut self, slot: u32, compare: impl Fn(u32) -> Ordering) {
        self.len += 1;
        let (at, full) = match self.chunks.last() {
            // What comes in the order of names fills every chunk, and needs no search.
            Some(last) if goes_last(last, &compare) => (self.chunks.len() - 1, last.len() >= MOST),
            Some(_) => (self.chunk_of(&compare), false),
            None => (0, true),
        };
        let Some(chunk) = self.chunks.get_mut(at).filter(|_| !full) else {
            self.chunks.push_back(Arc::new(vec![slot]));
            return;
        };
        let chunk = Arc::make_mut(chunk);
        chunk.insert(chunk.partition_point(|&known| compare(known).is_lt()), slot);
        if chunk.len() > MOST {
            let upper = chunk.split_off(MOST / 2);
            chunk.shrink_to_fit();
            self.chunks.insert(at + 1, Arc::new(upper));
        }
    }

    /// Takes out the slot that compares as equal, if there is one.
    pub(super) fn remove(&mut self, compare: impl Fn(u32) -> Ordering) {
        let at = self.chunk_of(&compare);
        let Some(chunk) = self.chunks.get_mut(at) else { return };
        let Ok(place) = chunk.binary_search_by(|&slot| compare(slot)) else { return };
        let chunk = Arc::make_mut(chunk);
        chunk.remove(place);
        self.len -= 1;
        if chunk.is_empty() {
            self.chunks.remove(at);
        } else {
            self.join(at.saturating_sub(1));
        }
    }

    /// Makes one chunk of this and the next if it is well short of full, so that few hold little.
    fn join(&mut self, left: usize) {
        let (Some(one), Some(next)) = (self.chunks.get(left), self.chunks.get(left + 1)) else { return };
        if one.len() + next.len() <= MOST / 2 {
            let next = self.chunks.remove(left + 1);
            if let Some(one) = self.chunks.get_mut(left) {
                Arc::make_mut(one).extend_from_slice(&next);
            }
        }
    }

    /// The chunk in which a name is, or would have to be.
    fn chunk_of(&self, compare: &impl Fn(u32) -> Ordering) -> usize {
        let first = |chunk: &Arc<Vec<u32>>| chunk.first().map_or(Ordering::Less, |&slot| compare(slot));
        self.chunks.binary_search_by(first).unwrap_or_else(|after| after.saturating_sub(1))
    }
}

/// True for a name after the last of a chunk.
fn goes_last(chunk: &[u32], compare: &impl Fn(u32) -> Ordering) -> bool {
    chunk.last().is_none_or(|&last| compare(last).is_lt())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn slots_stay_sorted_and_chunks_well_filled(
            first in 0u32..2000,
            changes in prop::collection::vec((any::<bool>(), 0u32..2000, 1u32..300), 0..60),
        ) {
            let (mut order, mut plain) = (Order::default(), BTreeSet::new());
            for slot in 0..first {
                order.insert(slot, |known| known.cmp(&slot));
                plain.insert(slot);
            }
            prop_assert_eq!(order.chunks.len(), plain.len().div_ceil(MOST), "in order, every chunk is filled");
            let (before, then) = (order.clone(), plain.clone());
            for (add, start, count) in changes {
                for slot in (start..start + count).rev() {
                    if !add {
                        order.remove(|known| known.cmp(&slot));
                        plain.remove(&slot);
                    } else if plain.insert(slot) {
                        order.insert(slot, |known| known.cmp(&slot));
                    }
                }
            }
            prop_assert!(order.chunks().flatten().eq(&plain));
            prop_assert_eq!(order.len(), plain.len());
            prop_assert!((0..2400).all(|slot| order.find(|known| known.cmp(&slot)).is_some() == plain.contains(&slot)));
            prop_assert!(order.chunks.iter().all(|chunk| (1..=MOST).contains(&chunk.len())));
            prop_assert!(before.chunks().flatten().eq(&then), "the copy is as it was");
        }

        #[test]
        fn few_slots_take_few_chunks(kept in 1u32..50) {
            let mut order = Order::default();
            (0..5000u32).for_each(|slot| order.insert(slot, |known| known.cmp(&slot)));
            (0..5000u32).filter(|slot| slot % 100 >= kept.min(3)).for_each(|slot| order.remove(|known| known.cmp(&slot)));
            prop_assert!(order.chunks.len() <= 2 * order.len().div_ceil(MOST / 2), "{} chunks", order.chunks.len());
        }
    }
}
