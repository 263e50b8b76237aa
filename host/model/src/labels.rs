//! Labels and annotations.

use crate::Text;

/// Keys with values, in the order of keys. Of a repeated key the last value counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LabelSet(Box<[(Text, Text)]>);

impl LabelSet {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Text> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(key)).ok().map(|at| &self.0[at].1)
    }

    /// All entries, in the order of keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Text, &Text)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if every entry of `other` is here with the same value.
    pub fn contains_all(&self, other: &LabelSet) -> bool {
        other.iter().all(|(key, value)| self.get(key) == Some(value))
    }
}

impl<K: Into<Text>, V: Into<Text>> FromIterator<(K, V)> for LabelSet {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut all: Vec<(Text, Text)> = entries.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        all.sort_by(|a, b| a.0.cmp(&b.0));
        all.reverse();
        all.dedup_by(|a, b| a.0 == b.0);
        all.reverse();
        Self(all.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_repeated_key_counts() {
        let set: LabelSet = [("b", "1"), ("a", "x"), ("b", "2")].into_iter().collect();
        assert_eq!(set.len(), 2);
        assert_eq!(set.get("b").unwrap(), "2");
        assert_eq!(set.get("c"), None);
    }
}
