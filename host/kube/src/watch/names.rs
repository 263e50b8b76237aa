//! Which objects of a resource there are.

use std::collections::HashMap;

use plimsoll_model::Text;

/// The names of all objects of a resource, each with the list in which it was seen last.
///
/// A list that begins makes the next round; names that are still of an older round at its end were deleted while
/// nobody looked.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    rounds: HashMap<Text, HashMap<Box<str>, u32>>,
    round: u32,
    count: usize,
}

impl KnownNames {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count
    }

    /// A list begins.
    pub(super) fn begin(&mut self) {
        self.round = self.round.wrapping_add(1);
    }

    /// The object is there.
    pub(super) fn saw(&mut self, namespace: &str, name: &str) {
        if !self.rounds.contains_key(namespace) {
            self.rounds.insert(namespace.into(), HashMap::new());
        }
        let Some(names) = self.rounds.get_mut(namespace) else { return };
        match names.get_mut(name) {
            Some(round) => *round = self.round,
            None => {
                names.insert(name.into(), self.round);
                self.count += 1;
            }
        }
    }

    /// The object is gone.
    pub(super) fn forget(&mut self, namespace: &str, name: &str) {
        let Some(names) = self.rounds.get_mut(namespace) else { return };
        if names.remove(name).is_some() {
            self.count -= 1;
        }
        if names.is_empty() {
            self.rounds.remove(namespace);
        }
    }

    /// A list has ended: gives, and forgets, what was not in it.
    pub(super) fn end(&mut self) -> Vec<(Text, Box<str>)> {
        let (round, mut missing) = (self.round, Vec::new());
        self.rounds.retain(|namespace, names| {
            let gone = names.extract_if(|_, seen| *seen != round);
            missing.extend(gone.map(|(name, _)| (namespace.clone(), name)));
            !names.is_empty()
        });
        self.count -= missing.len();
        missing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_list_does_not_name_is_missing() {
        let mut names = KnownNames::default();
        names.begin();
        for name in ["a", "b", "c"] {
            names.saw("shop", name);
        }
        names.saw("team", "a");
        assert_eq!((names.len(), names.end()), (4, vec![]));
        names.forget("shop", "nobody");
        names.forget("shop", "c");
        // A list that breaks off tells nothing; the next one does.
        names.begin();
        names.saw("shop", "b");
        names.begin();
        names.saw("shop", "a");
        names.saw("shop", "d");
        let mut missing = names.end();
        missing.sort_unstable();
        assert_eq!(missing, [("shop".into(), "b".into()), ("team".into(), "a".into())]);
        assert_eq!((names.len(), names.end()), (2, vec![]));
    }
}
