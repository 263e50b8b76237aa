//! One policy, compiled and linked, and the calls into it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Instant;

use plimsoll_model::{Bytes, Snapshot, Text};
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict};
use plimsoll_planner::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use plimsoll_planner::scale_up::{ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_planner::{LogLine, Point};
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::bindings::exports::plimsoll::policy::{csr_approval, drain, scale_up, settings};
use crate::blame::{Phase, blame};
use crate::contract::SPOKEN;
use crate::module::chain;
use crate::slots::Slots;
use crate::state::{Moment, State};
use crate::{Failure, Limits, ticker, v0_1};

/// A policy that is ready to answer: compiled, linked, with its settings and limits. Shared by all callers;
/// each call has an instance of its own, which is thrown away.
///
/// Calls are synchronous and run on the caller's thread. They need 1 MiB of its stack: the 512 KiB that a
/// guest may use, and the host's own. Main threads, threads of `std` and those of tokio have 2 MiB or more.
/// A call never waits for anything but a free slot, and ends shortly after its time limit at the latest;
/// in asynchronous code it belongs into `spawn_blocking`.
pub struct Program {
    pre: InstancePre<State>,
    slots: Arc<Slots>,
    exports: Exports,
    points: Vec<Point>,
    digest: Text,
    settings: Box<str>,
    limits: Limits,
}

/// What became of one call.
#[derive(Clone, Debug)]
pub struct Run<V> {
    /// The answer; `None` if the policy has no opinion.
    pub result: Result<Option<V>, Failure>,
    /// Wall time, in microseconds, a fresh instance included.
    pub micros: u64,
    /// The most linear memory that it had.
    pub peak_memory: Bytes,
    /// Lines that it logged, oldest first.
    pub log: Vec<LogLine>,
    /// Lines that found no room.
    pub log_dropped: u64,
}

/// Where in the component the interfaces are.
#[derive(Clone, Default)]
struct Exports {
    scale_up: Option<scale_up::GuestIndices>,
    drain: Option<drain::GuestIndices>,
    csr_approval: Option<csr_approval::GuestIndices>,
    settings: Option<settings::GuestIndices>,
}

// === impl Program ===

impl Program {
    /// Links and tries a compiled policy.
    pub(crate) fn link(
        pre: InstancePre<State>,
        slots: Arc<Slots>,
        points: Vec<Point>,
        digest: Text,
        settings: &str,
        limits: Limits,
    ) -> Result<Self, Failure> {
        let exports = Exports::find(&pre, &points)?;
        let program = Self { pre, slots, exports, points, digest, settings: settings.into(), limits };
        program.smoke()?;
        Ok(program)
    }

    /// SHA-256 over the module as it was given, in hexadecimal.
    pub fn digest(&self) -> &Text {
        &self.digest
    }

    /// Where it has a say; never empty.
    pub fn points(&self) -> &[Point] {
        &self.points
    }

    /// Chooses among the options of one round.
    pub fn choose(&self, snapshot: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Run<ScaleUpVerdict> {
        let moment = Moment { now: question.now, seed: question.seed };
        let Some(indices) = &self.exports.scale_up else { return Run::without(Point::ScaleUp) };
        self.run(snapshot.clone(), moment, |store, instance| {
            let guest = indices.load(&mut *store, instance)?;
            v0_1::choose(store, &guest, question, &self.settings)
        })
    }

    /// Orders the nodes that may go.
    pub fn order_nodes(&self, snapshot: &Arc<Snapshot>, question: &NodesQuestion) -> Run<NodesVerdict> {
        let moment = Moment { now: question.now, seed: question.seed };
        let Some(indices) = &self.exports.drain else { return Run::without(Point::Drain) };
        self.run(snapshot.clone(), moment, |store, instance| {
            let guest = indices.load(&mut *store, instance)?;
            v0_1::order_nodes(store, &guest, question, &self.settings)
        })
    }

    /// Orders the pods of one node.
    pub fn order_pods(&self, snapshot: &Arc<Snapshot>, question: &PodsQuestion) -> Run<Vec<PodTurn>> {
        let moment = Moment { now: question.now, seed: question.seed };
        let Some(indices) = &self.exports.drain else { return Run::without(Point::Drain) };
        self.run(snapshot.clone(), moment, |store, instance| {
            let guest = indices.load(&mut *store, instance)?;
            v0_1::order_pods(store, &guest, question, &self.settings)
        })
    }

    /// Decides about one request.
    pub fn review(&self, snapshot: &Arc<Snapshot>, question: &CsrQuestion) -> Run<CsrVerdict> {
        let moment = Moment { now: question.now, seed: question.seed };
        let Some(indices) = &self.exports.csr_approval else { return Run::without(Point::CsrApproval) };
        self.run(snapshot.clone(), moment, |store, instance| {
            let guest = indices.load(&mut *store, instance)?;
            v0_1::review(store, &guest, question, &self.settings)
        })
    }

    /// Tries an instance before it matters: it comes into being, its functions have the types of the
    /// contract, and it likes its settings.
    fn smoke(&self) -> Result<(), Failure> {
        let moment = Moment { now: plimsoll_model::Timestamp(0), seed: 0 };
        let exports = &self.exports;
        let typed = self.run(Arc::default(), moment, |store, instance| Ok(Some(exports.check(store, instance))));
        if let Some(Err(wrong)) = typed.result? {
            return Err(wrong);
        }
        let Some(indices) = &exports.settings else { return Ok(()) };
        let validated = self.run(Arc::default(), moment, |store, instance| {
            let guest = indices.load(&mut *store, instance)?;
            guest.call_validate(store, &self.settings).map(Some)
        });
        match validated.result? {
            Some(Err(sentence)) => Err(Failure::Settings(v0_1::reason(sentence))),
            _ => Ok(()),
        }
    }

    /// Makes an instance, asks it, and throws it away.
    fn run<V>(
        &self,
        snapshot: Arc<Snapshot>,
        moment: Moment,
        ask: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<Option<V>>,
    ) -> Run<V> {
        let _slot = self.slots.take();
        let begin = Instant::now();
        let mut store = Store::new(self.pre.engine(), State::new(snapshot, moment, &self.limits));
        store.limiter(|state| &mut state.budget);
        store.set_epoch_deadline(ticker::ticks(self.limits.timeout));
        store.set_hostcall_fuel(usize::try_from(self.limits.answer.0).unwrap_or(usize::MAX));
        store.set_max_component_handles(MOST_HANDLES);

        let result = contained(|| self.ask(&mut store, ask));
        let (log, log_dropped) = store.data().journal.take();
        let peak_memory = store.data().budget.peak();
        drop(store);
        let micros = u64::try_from(begin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Run { result, micros, peak_memory, log, log_dropped }
    }

    fn ask<V>(
        &self,
        store: &mut Store<State>,
        ask: impl FnOnce(&mut Store<State>, &Instance) -> wasmtime::Result<Option<V>>,
    ) -> Result<Option<V>, Failure> {
        let blame = |error, phase, store: &Store<State>| blame(&error, phase, store.data(), &self.limits);
        let instance = match self.pre.instantiate(&mut *store) {
            Ok(instance) => instance,
            Err(error) => return Err(blame(error, Phase::Start, store)),
        };
        ask(store, &instance).map_err(|error| blame(error, Phase::Call, store))
    }
}

/// Resources that an instance may hold: a policy needs a stream or two.
const MOST_HANDLES: usize = 10_000;

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("digest", &self.digest).field("points", &self.points).finish_non_exhaustive()
    }
}

// === impl Exports ===

impl Exports {
    fn find(pre: &InstancePre<State>, points: &[Point]) -> Result<Self, Failure> {
        let mut exports = Self::default();
        for point in points {
            let found = match point {
                Point::ScaleUp => scale_up::GuestIndices::new(pre).map(|found| exports.scale_up = Some(found)),
                Point::Drain => drain::GuestIndices::new(pre).map(|found| exports.drain = Some(found)),
                Point::CsrApproval => {
                    csr_approval::GuestIndices::new(pre).map(|found| exports.csr_approval = Some(found))
                }
            };
            found.map_err(|error| another_shape(point.interface(), &error))?;
        }
        exports.settings = settings::GuestIndices::new(pre).ok();
        Ok(exports)
    }

    /// Compares the types of all functions with those of the contract.
    fn check(&self, store: &mut Store<State>, instance: &Instance) -> Result<(), Failure> {
        if let Some(indices) = &self.scale_up {
            indices.load(&mut *store, instance).map_err(|error| another_shape("scale-up", &error))?;
        }
        if let Some(indices) = &self.drain {
            indices.load(&mut *store, instance).map_err(|error| another_shape("drain", &error))?;
        }
        if let Some(indices) = &self.csr_approval {
            indices.load(&mut *store, instance).map_err(|error| another_shape("csr-approval", &error))?;
        }
        if let Some(indices) = &self.settings {
            indices.load(&mut *store, instance).map_err(|error| another_shape("settings", &error))?;
        }
        Ok(())
    }
}

/// A bug of the host costs the policy its answer, not the controller its life. The store is not used again,
/// so that it does not matter what state it is left in.
fn contained<V>(call: impl FnOnce() -> Result<V, Failure>) -> Result<V, Failure> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| {
        Err(Failure::Trap("the host failed while it ran the policy, which is a bug of Plimsoll".into()))
    })
}

fn another_shape(interface: &str, error: &wasmtime::Error) -> Failure {
    let cause = chain(error.chain());
    Failure::Contract(format!(
        "exports `plimsoll:policy/{interface}` in another shape than wit {SPOKEN} has ({cause}); rebuild against it"
    ))
}

// === impl Run ===

impl<V> Run<V> {
    fn without(point: Point) -> Self {
        let sentence = format!("it does not export `plimsoll:policy/{}`", point.interface());
        let result = Err(Failure::Contract(sentence));
        Self { result, micros: 0, peak_memory: Bytes(0), log: Vec::new(), log_dropped: 0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_of_the_host_is_a_failed_policy() {
        assert_eq!(contained::<()>(|| panic!("on purpose")).unwrap_err().label(), "trap");
        assert_eq!(contained(|| Ok(7)), Ok(7));
    }
}
