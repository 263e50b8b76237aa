//! Pods that move, and the rules of others that look at them.

use plimsoll_model::NodeId;
use rustc_hash::FxHashSet;

use crate::tracker::TrackerId;
use crate::{ClassId, Simulation};

impl Simulation {
    /// Which of these prepared classes have rules that count pods of the moved classes, sorted: where such pods come or
    /// go, the places of the classes have to be judged again.
    pub fn concerned_by(&self, moved: &[ClassId], classes: impl IntoIterator<Item = ClassId>) -> Vec<ClassId> {
        let counters: FxHashSet<TrackerId> = moved.iter().flat_map(|&class| self.feeds(class)).copied().collect();
        let looks = |class: &ClassId| {
            self.rules(*class).is_some_and(|rules| {
                let spread = rules.spread.iter().map(|rule| &rule.tracker);
                rules
                    .near
                    .iter()
                    .chain(&rules.away)
                    .chain(&rules.repelled)
                    .chain(spread)
                    .any(|id| counters.contains(id))
            })
        };
        if counters.is_empty() {
            return Vec::new();
        }
        let mut concerned: Vec<ClassId> = classes.into_iter().filter(looks).collect();
        concerned.sort_unstable();
        concerned.dedup();
        concerned
    }

    /// True if a pod of a prepared class that is on a node would be let in there today, were it not there yet.
    pub fn still_fits(&mut self, class: ClassId, node: NodeId) -> bool {
        let mark = self.mark();
        self.remove(class, node, 1);
        let fits = self.fits(class, node);
        self.rollback(mark);
        fits
    }
}
