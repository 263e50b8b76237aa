//! The engine: what WebAssembly it runs, and where instances live.

use std::num::NonZeroUsize;

use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

use crate::Failure;

/// Instances alive at one time. Decisions are few and short: a slot is address space, not memory.
pub const SLOTS: u32 = 16;
/// Core modules in one component: those of interpreted languages have a dozen or two.
pub const INSTANCES: u32 = 64;
/// Linear memories in one component.
pub const MEMORIES: u32 = 4;
/// Tables in one component.
pub const TABLES: u32 = 32;
/// Elements of all tables of one component together.
pub const TABLE_ELEMENTS: usize = 64 << 10;

/// Memory that a slot keeps between two decisions. Only what was written is cleared, see `pagemap_scan`.
const KEPT_MEMORY: usize = 1 << 20;
/// Frames in a backtrace: enough to find the panic, too few to be a burden.
const FRAMES: usize = 16;

/// Where instances live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// In a pool made in advance: a fresh instance takes microseconds.
    Pooled,
    /// Each in address space of its own, where the system has too little of it for a pool.
    OnDemand,
}

/// The engine, with a pool if the system has room for one.
pub fn engine() -> Result<(Engine, Allocation), Failure> {
    with_pool_or_without(pool())
}

fn with_pool_or_without(pool: PoolingAllocationConfig) -> Result<(Engine, Allocation), Failure> {
    // The pool is reserved here and now: if that works, it works.
    match Engine::new(&config(Some(pool))) {
        Ok(engine) => Ok((engine, Allocation::Pooled)),
        Err(error) => {
            tracing::warn!("no pool for policy instances, decisions take longer: {error:#}");
            let engine = Engine::new(&config(None))
                .map_err(|error| Failure::Load(format!("this machine cannot run WebAssembly: {error:#}")))?;
            Ok((engine, Allocation::OnDemand))
        }
    }
}

fn config(pool: Option<PoolingAllocationConfig>) -> Config {
    let mut config = Config::new();
    // The same answer on every machine.
    config.cranelift_nan_canonicalization(true).wasm_relaxed_simd(false).wasm_memory64(false);
    config.epoch_interruption(true);
    // Wasmtime's default, stated because callers must have this much stack left.
    config.max_wasm_stack(512 << 10);
    config.wasm_backtrace_details(WasmBacktraceDetails::Enable).wasm_backtrace_max_frames(NonZeroUsize::new(FRAMES));
    config.memory_init_cow(true);
    match pool {
        Some(pool) => config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool)),
        // Address space is short then: no 4 GiB for each memory, but explicit bounds checks.
        None => config
            .memory_reservation(64 << 20)
            .memory_reservation_for_growth(16 << 20)
            .memory_guard_size(64 << 10)
            .allocation_strategy(InstanceAllocationStrategy::OnDemand),
    };
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(SLOTS)
        .total_core_instances(SLOTS * INSTANCES)
        .total_memories(SLOTS * MEMORIES)
        .total_tables(SLOTS * TABLES)
        .max_core_instances_per_component(INSTANCES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_memories_per_module(MEMORIES)
        .max_tables_per_module(TABLES)
        .table_elements(TABLE_ELEMENTS)
        // The budget of a policy is smaller and gives a better message.
        .max_memory_size(4 << 30)
        .max_unused_warm_slots(SLOTS);
    // Keeping memory without knowing which pages were written costs more than it saves.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Auto).linear_memory_keep_resident(KEPT_MEMORY).table_keep_resident(64 << 10);
    }
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_that_finds_no_room_is_done_without() {
        let mut huge = pool();
        huge.total_memories(1 << 20);
        let (engine, allocation) = with_pool_or_without(huge).unwrap();
        assert_eq!(allocation, Allocation::OnDemand);
        assert!(engine.get_pooling_config().is_none());
        let (engine, allocation) = with_pool_or_without(pool()).unwrap();
        assert_eq!(engine.get_pooling_config().is_some(), allocation == Allocation::Pooled);
    }

    #[test]
    fn nothing_that_differs_between_machines_is_on() {
        use wasmparser::WasmFeatures;
        let (engine, _) = engine().unwrap();
        let features = engine.get_wasm_features();
        let off = WasmFeatures::THREADS
            | WasmFeatures::RELAXED_SIMD
            | WasmFeatures::MEMORY64
            | WasmFeatures::CM_ASYNC
            | WasmFeatures::GC_TYPES;
        assert!(!features.intersects(off), "{:?}", features.intersection(off));
        assert!(features.contains(WasmFeatures::COMPONENT_MODEL));
        assert_eq!(engine.get_cranelift_nan_canonicalization(), Some(true));
        assert!(engine.get_epoch_interruption());
        assert!(!engine.get_concurrency_support());
    }
}
