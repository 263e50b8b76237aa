//! Shared text and the pool that makes equal values one value.

use std::borrow::{Borrow, Cow};
use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;
use std::ops::Deref;
use std::sync::Arc;

/// Immutable text that is cheap to clone. Equal by content.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text(Arc<str>);

/// Makes equal values share one allocation: a cluster of 150,000 pods has a few hundred shapes.
#[derive(Debug)]
pub struct Pool<T: ?Sized> {
    seen: HashSet<Arc<T>>,
}

/// Text from outside as it may be shown: one line of at most `most` characters, without control characters, so
/// that nobody writes on somebody else's terminal.
pub fn one_line(text: &str, most: usize) -> Cow<'_, str> {
    if text.chars().take(most + 1).count() <= most && !text.contains(char::is_control) {
        return Cow::Borrowed(text);
    }
    let plain = |character: char| if character.is_control() { ' ' } else { character };
    let mut line: String = text.chars().take(most).map(plain).collect();
    if text.chars().nth(most).is_some() {
        line.push('…');
    }
    Cow::Owned(line)
}

// === impl Text ===

impl Text {
    /// The text as a slice.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Text {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for Text {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl From<String> for Text {
    fn from(text: String) -> Self {
        Self(text.into())
    }
}

impl From<Arc<str>> for Text {
    fn from(text: Arc<str>) -> Self {
        Self(text)
    }
}

impl PartialEq<str> for Text {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Text {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::from("")
    }
}

// === impl Pool ===

impl<T: ?Sized + Eq + Hash> Default for Pool<T> {
    fn default() -> Self {
        Self { seen: HashSet::new() }
    }
}

impl<T: Eq + Hash> Pool<T> {
    /// The one shared copy of `value`.
    pub fn share(&mut self, value: T) -> Arc<T> {
        if let Some(known) = self.seen.get(&value) {
            return known.clone();
        }
        let new = Arc::new(value);
        self.seen.insert(new.clone());
        new
    }
}

impl Pool<str> {
    /// The one shared copy of `text`.
    pub fn text(&mut self, text: &str) -> Text {
        if let Some(known) = self.seen.get(text) {
            return Text(known.clone());
        }
        let new: Arc<str> = text.into();
        self.seen.insert(new.clone());
        Text(new)
    }
}

impl<T: ?Sized> Pool<T> {
    /// How many distinct values the pool holds.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// True if it holds none.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_are_one_allocation() {
        let mut pool = Pool::<str>::default();
        let (a, b) = (pool.text("zone-a"), pool.text(&String::from("zone-a")));
        assert!(Arc::ptr_eq(&a.0, &b.0));
        assert_eq!(pool.len(), 1);
        assert_ne!(pool.text("zone-b"), a);
    }

    #[test]
    fn what_is_shown_is_one_plain_line() {
        assert!(matches!(one_line("cheapest of 14 × m5", 30), Cow::Borrowed(_)));
        assert_eq!(one_line("a\u{1b}[2Jb\nc\u{9b}d", 30), "a [2Jb c d");
        assert_eq!(one_line("ééééé", 3), "ééé…");
        assert_eq!(one_line("ééé", 3), "ééé");
    }
}
