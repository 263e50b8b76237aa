//! The time that objects are stamped with.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::watch;

/// Where the server takes the time from.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Timestamp;
    /// Done when `span` has gone by on this clock.
    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()>;
}

/// The clock on the wall.
#[derive(Clone, Copy, Debug, Default)]
pub struct WallClock;

/// A clock that only moves when it is told to.
#[derive(Debug)]
pub struct ManualClock {
    now: watch::Sender<Timestamp>,
    moving: Mutex<()>,
}

// === impl WallClock ===

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(span))
    }
}

// === impl ManualClock ===

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Self {
        Self { now: watch::Sender::new(start), moving: Mutex::new(()) }
    }

    /// Moves the clock on and wakes whoever slept until then.
    pub fn advance(&self, span: Duration) {
        let _moving = self.moving.lock().unwrap_or_else(PoisonError::into_inner);
        let next = after(*self.now.borrow(), span);
        self.now.send_replace(next);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.borrow()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'static, ()> {
        let mut now = self.now.subscribe();
        let end = after(*self.now.borrow(), span);
        Box::pin(async move {
            // An error says that the clock is gone: nobody will ever wake the sleeper.
            if now.wait_for(|now| *now >= end).await.is_err() {
                futures::future::pending::<()>().await;
            }
        })
    }
}

/// `span` later, or the last moment there is.
fn after(start: Timestamp, span: Duration) -> Timestamp {
    jiff::SignedDuration::try_from(span).ok().and_then(|span| start.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleeper_wakes_when_the_clock_has_moved_far_enough() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let mut sleeper = tokio::spawn(clock.sleep(Duration::from_secs(10)));
        clock.advance(Duration::from_secs(9));
        tokio::task::yield_now().await;
        assert!(futures::poll!(&mut sleeper).is_pending());
        clock.advance(Duration::from_secs(1));
        sleeper.await.unwrap();
        assert_eq!(clock.now().as_second(), 10);
    }
}
