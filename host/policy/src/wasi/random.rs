//! Numbers that follow from the seed of the question.

use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

/// The most bytes at one time: they are made on the host's side, out of the guest's budget.
const MOST_BYTES: u64 = 64 << 10;

/// SplitMix64 (Steele, Lea, Flood 2014). No secret depends on it: a policy has nobody to keep one from.
#[derive(Debug)]
pub struct Chance(u64);

// === impl Chance ===

impl Chance {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        if count > MOST_BYTES {
            return Err(wasmtime::format_err!(
                "it asks for {count} random bytes; {MOST_BYTES} is the most at one time"
            ));
        }
        let count = usize::try_from(count)?;
        let mut bytes = Vec::with_capacity(count.next_multiple_of(8));
        while bytes.len() < count {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        bytes.truncate(count);
        Ok(bytes)
    }
}

impl random::Host for Chance {
    fn get_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(count)
    }

    fn get_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure::Host for Chance {
    fn get_insecure_random_bytes(&mut self, count: u64) -> wasmtime::Result<Vec<u8>> {
        self.bytes(count)
    }

    fn get_insecure_random_u64(&mut self) -> wasmtime::Result<u64> {
        Ok(self.next())
    }
}

impl insecure_seed::Host for Chance {
    fn insecure_seed(&mut self) -> wasmtime::Result<(u64, u64)> {
        Ok((self.next(), self.next()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_from_the_seed() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            [chance.next(), chance.next()]
        };
        // The reference values of SplitMix64 for seed 1234567.
        assert_eq!(numbers(1_234_567), [6_457_827_717_110_365_317, 3_203_168_211_198_807_973]);
        assert_ne!(numbers(1), numbers(2));
    }

    #[test]
    fn bytes_are_bounded() {
        let mut chance = Chance::new(7);
        assert_eq!(chance.bytes(13).unwrap().len(), 13);
        assert!(chance.bytes(0).unwrap().is_empty());
        assert!(chance.bytes(u64::MAX).is_err());
    }
}
