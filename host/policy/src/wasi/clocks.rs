//! Clocks that stand still.

use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

use crate::state::State;

/// The time of the decision.
pub struct Stopped<'a> {
    now_ms: u64,
    table: &'a mut ResourceTable,
}

/// A sleep: nothing would change while it lasts, so it is over.
struct Over;

// === impl Stopped ===

impl Stopped<'_> {
    /// The clocks of an instance.
    pub fn of(state: &mut State) -> Stopped<'_> {
        Stopped { now_ms: state.moment.now.0, table: &mut state.wasi().table }
    }
}

impl HasData for Stopped<'static> {
    type Data<'a> = Stopped<'a>;
}

impl wall_clock::Host for Stopped<'_> {
    fn now(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        let nanoseconds = u32::try_from(self.now_ms % 1000 * 1_000_000)?;
        Ok(wall_clock::Datetime { seconds: self.now_ms / 1000, nanoseconds })
    }

    fn resolution(&mut self) -> wasmtime::Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: 1_000_000 })
    }
}

impl monotonic_clock::Host for Stopped<'_> {
    fn now(&mut self) -> wasmtime::Result<u64> {
        Ok(0)
    }

    fn resolution(&mut self) -> wasmtime::Result<u64> {
        Ok(1_000_000)
    }

    fn subscribe_instant(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.table.push(Over)?;
        subscribe(self.table, over)
    }

    fn subscribe_duration(&mut self, _: u64) -> wasmtime::Result<Resource<DynPollable>> {
        let over = self.table.push(Over)?;
        subscribe(self.table, over)
    }
}

#[async_trait]
impl Pollable for Over {
    async fn ready(&mut self) {}
}
