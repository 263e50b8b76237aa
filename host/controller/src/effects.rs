//! The one queue of changes that are on their way to the cluster.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::Instrument as _;

/// Changes that may wait. Whoever wants more in flight plans faster than the cluster can follow.
const ROOM: usize = 256;
/// Changes that run at a time.
const AT_ONCE: usize = 8;

type Change = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where changes are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Effects {
    queue: mpsc::Sender<Change>,
    waiting: Arc<AtomicUsize>,
    tracker: TaskTracker,
    stop: CancellationToken,
}

/// The queue has no room, or takes nothing more because the process ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueFull;

impl Effects {
    /// Begins to take changes.
    pub fn start() -> Self {
        let (queue, mut changes) = mpsc::channel::<Change>(ROOM);
        let (waiting, tracker, stop) = (Arc::default(), TaskTracker::new(), CancellationToken::new());
        let effects = Self { queue, waiting, tracker, stop };
        let (tracker, stop) = (effects.tracker.clone(), effects.stop.clone());
        let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        tokio::spawn(async move {
            while let Some(change) = changes.recv().await {
                let Ok(slot) = slots.clone().acquire_owned().await else { return };
                let stop = stop.clone();
                tracker.spawn(async move {
                    let _slot = slot;
                    stop.run_until_cancelled(change).await;
                });
            }
        });
        effects
    }

    /// Hands in a change. It runs later, with the span that is current now, and must be safe to be given up at any
    /// point.
    pub fn submit(&self, change: impl Future<Output = ()> + Send + 'static) -> Result<(), QueueFull> {
        let counted = Counted::new(self.waiting.clone());
        let change = async move {
            let _counted = counted;
            change.await;
        };
        self.queue.try_send(Box::pin(change.in_current_span())).map_err(|_| QueueFull)
    }

    /// How many changes have not ended.
    pub fn pending(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Waits until every change has ended, for `limit` at most, or until `hurry` is cancelled; what has not ended
    /// then is given up. True if all have ended.
    pub async fn finish(&self, limit: Duration, hurry: &CancellationToken) -> bool {
        let drained = async {
            while self.pending() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let done = tokio::select! {
            done = tokio::time::timeout(limit, drained) => done.is_ok(),
            () = hurry.cancelled() => false,
        };
        self.stop.cancel();
        self.tracker.close();
        done
    }
}

/// Counts one as long as it lives.
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_end_waits_for_what_is_on_its_way() {
        let effects = Effects::start();
        let (done, mut all) = mpsc::unbounded_channel();
        for number in 0..20u64 {
            let done = done.clone();
            let change = async move {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let _ = done.send(number);
            };
            assert_eq!(effects.submit(change), Ok(()));
        }
        assert_eq!(effects.pending(), 20);
        assert!(effects.finish(Duration::from_secs(60), &CancellationToken::new()).await);
        drop(done);
        let mut ended = Vec::new();
        while let Some(number) = all.recv().await {
            ended.push(number);
        }
        assert_eq!(ended, (0..20).collect::<Vec<_>>());
    }

    #[tokio::test(start_paused = true)]
    async fn a_hurry_or_the_limit_gives_up_the_rest() {
        for hurried in [true, false] {
            let effects = Effects::start();
            effects.submit(std::future::pending()).expect("room");
            let hurry = CancellationToken::new();
            if hurried {
                hurry.cancel();
            }
            assert!(!effects.finish(Duration::from_secs(5), &hurry).await);
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(effects.pending(), 0, "given up, hurried: {hurried}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_queue_says_so() {
        let effects = Effects::start();
        let taken = (0..ROOM * 2).filter(|_| effects.submit(std::future::pending()).is_ok()).count();
        assert_eq!(taken, ROOM);
        assert_eq!(effects.pending(), ROOM, "what was refused does not count");
    }
}
