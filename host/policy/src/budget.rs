//! How much memory one instance may have.

use plimsoll_model::Bytes;
use wasmtime::ResourceLimiter;

use crate::engine::{INSTANCES, MEMORIES, TABLE_ELEMENTS, TABLES};

/// Counts linear memory and table elements of one store, all memories and tables together.
#[derive(Debug)]
pub struct Budget {
    memory: usize,
    used: usize,
    peak: usize,
    elements: usize,
    /// The growth that was allowed last is one that the memory's own maximum forbids.
    own_maximum: bool,
    denied: bool,
}

// === impl Budget ===

impl Budget {
    /// A budget of this much memory.
    pub fn new(memory: Bytes) -> Self {
        let memory = usize::try_from(memory.0).unwrap_or(usize::MAX);
        Self { memory, used: 0, peak: 0, elements: 0, own_maximum: false, denied: false }
    }

    /// The most memory that was in use.
    pub fn peak(&self) -> Bytes {
        Bytes(self.peak as u64)
    }

    /// True if the guest asked for more than it may have. It may have coped.
    pub fn denied(&self) -> bool {
        self.denied
    }
}

impl ResourceLimiter for Budget {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.own_maximum = maximum.is_some_and(|maximum| desired > maximum);
        if self.own_maximum {
            // Fails by itself, and must not be counted.
            return Ok(true);
        }
        let all = self.used.saturating_add(desired.saturating_sub(current));
        if all > self.memory {
            self.denied = true;
            return Ok(false);
        }
        // Stays counted should the growth fail: the failure does not say which growth it was.
        self.used = all;
        self.peak = self.peak.max(all);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, _: wasmtime::Error) -> wasmtime::Result<()> {
        // Growth that no memory can have, such as beyond 4 GiB, fails without having been asked for.
        self.denied |= !std::mem::take(&mut self.own_maximum);
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let all = self.elements.saturating_add(desired.saturating_sub(current));
        if all > TABLE_ELEMENTS {
            self.denied = true;
            return Ok(false);
        }
        if maximum.is_none_or(|maximum| desired <= maximum) {
            self.elements = all;
        }
        Ok(true)
    }

    fn instances(&self) -> usize {
        INSTANCES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: usize = 64 << 10;

    #[test]
    fn all_memories_share_one_budget() {
        let mut budget = Budget::new(Bytes(4 * PAGE as u64));
        assert!(budget.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(budget.memory_growing(0, 2 * PAGE, None).unwrap());
        assert!(!budget.denied());
        assert!(!budget.memory_growing(2 * PAGE, 3 * PAGE, None).unwrap());
        assert!(budget.denied());
        assert_eq!(budget.peak(), Bytes(4 * PAGE as u64));
    }

    #[test]
    fn failures_give_nothing_back() {
        let mut budget = Budget::new(Bytes(4 * PAGE as u64));
        assert!(budget.memory_growing(0, 4 * PAGE, None).unwrap());
        budget.memory_grow_failed(wasmtime::Error::msg("beyond 4 GiB")).unwrap();
        assert!(!budget.memory_growing(4 * PAGE, 5 * PAGE, None).unwrap());
    }

    #[test]
    fn a_memory_may_have_a_smaller_maximum_of_its_own() {
        let mut budget = Budget::new(Bytes(4 * PAGE as u64));
        for _ in 0..9 {
            assert!(budget.memory_growing(PAGE, 2 * PAGE, Some(PAGE)).unwrap());
            budget.memory_grow_failed(wasmtime::Error::msg("beyond its maximum")).unwrap();
        }
        assert!(!budget.denied());
        assert_eq!(budget.peak(), Bytes(0));
        budget.memory_grow_failed(wasmtime::Error::msg("beyond 4 GiB")).unwrap();
        assert!(budget.denied());
    }

    #[test]
    fn all_tables_share_one_budget() {
        let mut budget = Budget::new(Bytes(0));
        assert!(budget.table_growing(0, TABLE_ELEMENTS, None).unwrap());
        assert!(!budget.table_growing(0, 1, None).unwrap());
        assert!(budget.denied());
    }
}
