//! Whether this replica is alive, and whether it could take over.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// A loop that has not come round for this long hangs.
const PATIENCE: Duration = Duration::from_secs(180);

/// Collects what keeps this replica from being ready, and when each of its loops last came round. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Health(Arc<Mutex<Facts>>);

#[derive(Debug, Default)]
struct Facts {
    causes: BTreeMap<&'static str, String>,
    beats: BTreeMap<&'static str, Instant>,
}

impl Health {
    /// Something keeps this replica from being ready.
    pub fn not_ready(&self, what: &'static str, why: impl Into<String>) {
        self.lock().causes.insert(what, why.into());
    }

    /// It does not any more.
    pub fn ready(&self, what: &'static str) {
        self.lock().causes.remove(what);
    }

    /// A loop has come round.
    pub fn beat(&self, part: &'static str) {
        self.lock().beats.insert(part, Instant::now());
    }

    /// A loop has ended and will not come round again, which is as it should be.
    pub fn retire(&self, part: &'static str) {
        self.lock().beats.remove(part);
    }

    /// What keeps this replica from being ready, each a line; empty if it is.
    pub fn causes(&self) -> Vec<String> {
        self.lock().causes.iter().map(|(what, why)| format!("{what}: {why}")).collect()
    }

    /// Loops that hang, each a line; empty if all is well.
    pub fn hanging(&self) -> Vec<String> {
        let facts = self.lock();
        let silent = facts.beats.iter().map(|(part, beat)| (part, beat.elapsed())).filter(|(_, age)| *age > PATIENCE);
        silent.map(|(part, age)| format!("{part}: silent for {} s", age.as_secs())).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Facts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn causes_come_and_go_and_silence_is_noticed() {
        let health = Health::default();
        health.not_ready("watch", "pods are not listed yet");
        health.not_ready("policies", "none");
        health.ready("policies");
        assert_eq!(health.causes(), ["watch: pods are not listed yet"]);
        health.beat("scale-up");
        tokio::time::advance(PATIENCE).await;
        assert_eq!(health.hanging(), Vec::<String>::new());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(health.hanging(), ["scale-up: silent for 181 s"]);
        health.beat("scale-up");
        assert!(health.hanging().is_empty());
    }
}
