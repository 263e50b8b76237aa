//! The clock that ends policies which run too long.

use std::thread::{self, JoinHandle};
use std::time::Duration;

use plimsoll_model::Millis;
use wasmtime::{Engine, EngineWeak};

/// How often running policies look at the clock: a deadline is late by two of these at most.
const TICK: Duration = Duration::from_millis(5);

/// More ticks than any deadline needs, and few enough to be added to any epoch.
const MOST_TICKS: u64 = 1 << 40;

/// Starts the thread that advances the engine's epoch. It ends by itself when the engine is gone.
pub fn start(engine: &Engine) -> std::io::Result<JoinHandle<()>> {
    let engine = engine.weak();
    thread::Builder::new().name("policy-ticker".into()).spawn(move || run(&engine))
}

/// How many ticks from now the time is surely over. The first one may come at once, hence one more.
pub fn ticks(time: Millis) -> u64 {
    let tick = u64::try_from(TICK.as_millis()).unwrap_or(u64::MAX);
    time.0.div_ceil(tick).saturating_add(1).min(MOST_TICKS)
}

fn run(engine: &EngineWeak) {
    while let Some(engine) = engine.upgrade() {
        engine.increment_epoch();
        // Held for no longer than this: the last handle ends the thread.
        drop(engine);
        thread::sleep(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_with_its_engine() {
        let engine = Engine::default();
        let ticker = start(&engine).unwrap();
        let program = engine.clone();
        drop(engine);
        assert!(program.weak().upgrade().is_some());
        drop(program);
        // Hangs if the thread keeps the engine.
        ticker.join().unwrap();
    }

    #[test]
    fn deadlines_round_up() {
        assert_eq!(ticks(Millis(0)), 1);
        assert_eq!(ticks(Millis(1)), 2);
        assert_eq!(ticks(Millis(250)), 51);
        assert_eq!(ticks(Millis(251)), 52);
        assert_eq!(ticks(Millis(u64::MAX)), MOST_TICKS);
    }
}
