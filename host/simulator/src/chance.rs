//! Chance that is the same at every run.

use std::fmt;

use plimsoll_model::Millis;

/// What a run is made from: the same number gives the same run, byte for byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Seed(pub u64);

/// A source of chance (SplitMix64).
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({})", self.0)
    }
}

// === impl Chance ===

impl Chance {
    /// A source of its own for one purpose: drawing more from one moves no other.
    pub fn of(seed: Seed, purpose: &str) -> Self {
        let mixed = purpose.bytes().fold(seed.0 ^ 0x5851_f42d_4c95_7f2d, |mixed, byte| {
            (mixed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let mut chance = Self(mixed);
        chance.number();
        chance
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.number() % (high.saturating_sub(low).saturating_add(1)).max(1)
    }

    /// A time from `low` to `high` milliseconds.
    pub fn millis(&mut self, low: u64, high: u64) -> Millis {
        Millis(self.between(low, high))
    }

    /// True in so many of a thousand cases.
    pub fn permille(&mut self, permille: u64) -> bool {
        self.number() % 1000 < permille
    }

    /// One of these.
    pub fn one<'a, T>(&mut self, of: &'a [T]) -> Option<&'a T> {
        let length = u64::try_from(of.len()).unwrap_or(u64::MAX);
        of.get(usize::try_from(self.number() % length.max(1)).unwrap_or_default())
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            let other = self.between(0, u64::try_from(at).unwrap_or_default());
            list.swap(at, usize::try_from(other).unwrap_or_default());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_draws_the_same_and_another_purpose_something_else() {
        let draw = |seed, purpose| {
            let mut chance = Chance::of(Seed(seed), purpose);
            (0..5).map(|_| chance.between(0, 1_000_000)).collect::<Vec<_>>()
        };
        assert_eq!(draw(7, "world"), draw(7, "world"));
        assert_ne!(draw(7, "world"), draw(8, "world"));
        assert_ne!(draw(7, "world"), draw(7, "faults"));
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let mut chance = Chance::of(Seed(1), "bounds");
        let drawn: std::collections::BTreeSet<u64> = (0..200).map(|_| chance.between(3, 5)).collect();
        assert_eq!(drawn.into_iter().collect::<Vec<_>>(), [3, 4, 5]);
        assert!(!chance.permille(0) && chance.permille(1000));
    }
}
