//! Who of several replicas leads.
//!
//! ```text
//!   lease object <── PUT with resource version ── Election (pure) ──> Term { number, until } ──> permits
//! ```
//!
//! A lease is no lock: a replica that has lost it may still have a request on the way. Therefore a term ends a third
//! before others may begin one, every write needs a permit of the present term, and every effect is safe to repeat.

mod election;
mod record;
mod times;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use http::Method;
use jiff::Timestamp;
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

pub use times::{LeaseTimes, LeaseTimesError};

pub(crate) use record::micro_time;

use crate::api::{Api, ApiError, LeadershipSetter, ObjectName, Resource, Term};
use election::{Election, Outcome, Step};

/// The lease that replicas compete for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseOptions {
    /// Its namespace.
    pub namespace: String,
    /// Its name: the same for all replicas of one controller, another for each other controller.
    pub name: String,
    /// Who this replica is: another for each process, also after a restart in the same pod ([`process_identity`]).
    pub identity: String,
    /// How long a leader leads.
    pub times: LeaseTimes,
}

/// A replica that wants to lead.
#[derive(Debug)]
pub struct Candidacy {
    /// Ends after the shutdown, when the lease is released.
    pub task: JoinHandle<()>,
    /// What it sees.
    pub view: watch::Receiver<LeaseView>,
}

/// The lease as a replica sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeaseView {
    /// Who holds it; empty if nobody does or it has not been seen yet.
    pub holder: String,
    /// Why the last call for it failed; `None` if it did not.
    pub problem: Option<String>,
}

/// Takes part in the election until `shutdown`, and says in `leadership` when this replica leads. On shutdown it
/// stops leading at once and then releases the lease, so let effects end before.
pub fn lead(
    api: Api,
    options: LeaseOptions,
    leadership: LeadershipSetter,
    shutdown: CancellationToken,
) -> Result<Candidacy, LeaseTimesError> {
    options.times.check()?;
    let (seen, view) = watch::channel(LeaseView::default());
    let candidate = Candidate {
        api,
        name: ObjectName::in_namespace(&options.namespace, &options.name),
        times: options.times,
        election: Election::new(
            ObjectName::in_namespace(&options.namespace, &options.name),
            options.identity,
            options.times,
        ),
        leadership,
        view: seen,
        told: None,
        problem: None,
    };
    Ok(Candidacy { task: tokio::spawn(candidate.run(shutdown)), view })
}

/// Leads until `shutdown` without asking anybody: for one replica without a lease.
pub fn lead_alone(leadership: LeadershipSetter, shutdown: CancellationToken) -> Candidacy {
    let (seen, view) = watch::channel(LeaseView::default());
    leadership.lead(Term { number: 0, until: None });
    let task = tokio::spawn(async move {
        shutdown.cancelled().await;
        leadership.resign();
        drop(seen);
    });
    Candidacy { task, view }
}

/// An identity that no other process has, nor this one after a restart.
pub fn process_identity(pod: &str) -> String {
    format!("{pod}_{:016x}", RandomState::new().build_hasher().finish())
}

struct Candidate {
    api: Api,
    name: ObjectName,
    times: LeaseTimes,
    election: Election,
    leadership: LeadershipSetter,
    view: watch::Sender<LeaseView>,
    /// The term that was last told.
    told: Option<Term>,
    problem: Option<String>,
}

// === impl Candidate ===

impl Candidate {
    async fn run(mut self, shutdown: CancellationToken) {
        while !shutdown.is_cancelled() {
            let began = Instant::now();
            let step = self.election.step(began, Timestamp::now());
            // A claim may have been given up by this step.
            self.tell();
            if let Step::Wait(until) = step {
                tokio::select! {
                    () = sleep_until(until) => {}
                    () = shutdown.cancelled() => {}
                }
                continue;
            }
            let called = tokio::select! {
                biased;
                called = self.call(&step) => called,
                () = shutdown.cancelled() => break,
            };
            let outcome = self.outcome(called);
            self.election.done(&step, outcome, began, Instant::now(), random());
            self.tell();
        }
        self.leadership.resign();
        self.release().await;
    }

    async fn call(&self, step: &Step) -> Result<Value, ApiError> {
        let limit = self.times.call();
        match step {
            Step::Create(object) => {
                let path = Resource::LEASES.path(&self.name.namespace);
                self.api.write_unconditionally(Method::POST, &path, object, limit).await
            }
            Step::Replace(object) => {
                let path = Resource::LEASES.object_path(&self.name, None);
                self.api.write_unconditionally(Method::PUT, &path, object, limit).await
            }
            Step::Look | Step::Wait(_) => timeout(limit, self.api.get(&Resource::LEASES, &self.name))
                .await
                .unwrap_or_else(|_| Err(ApiError::NoAnswer(format!("none within {} s", limit.as_secs_f32())))),
        }
    }

    fn outcome(&mut self, called: Result<Value, ApiError>) -> Outcome {
        let (outcome, problem) = match called {
            Ok(object) => (Outcome::Is(object), None),
            Err(ApiError::NotFound(_)) => (Outcome::Absent, None),
            Err(ApiError::Conflict(_) | ApiError::AlreadyExists(_)) => (Outcome::Overtaken, None),
            Err(error) => (Outcome::Unknown, Some(error.to_string())),
        };
        if let Some(problem) = problem.as_ref().filter(|_| self.problem.is_none()) {
            tracing::warn!(lease = %self.name, problem, "the lease cannot be read or written");
        } else if problem.is_none() && self.problem.is_some() {
            tracing::info!(lease = %self.name, "the lease can be read and written again");
        }
        self.problem = problem;
        outcome
    }

    /// Tells everybody what has changed.
    fn tell(&mut self) {
        let term = self.election.term(Instant::now());
        if term != self.told {
            match (&self.told, &term) {
                (None, Some(term)) => tracing::info!(lease = %self.name, term = term.number, "this replica leads"),
                (Some(told), None) => {
                    tracing::warn!(lease = %self.name, term = told.number, "this replica does not lead any more");
                }
                _ => {}
            }
            match &term {
                Some(term) => self.leadership.lead(term.clone()),
                None => self.leadership.resign(),
            }
            self.told = term;
        }
        let view = LeaseView { holder: self.election.holder().to_owned(), problem: self.problem.clone() };
        self.view.send_if_modified(|old| {
            let changed = *old != view;
            *old = view;
            changed
        });
    }

    /// Gives the lease back. Where that fails, others wait for it to run out.
    async fn release(&mut self) {
        for _ in 0..3 {
            if let Some(object) = self.election.release(Timestamp::now()) {
                match self.call(&Step::Replace(object)).await {
                    Ok(_) => return tracing::info!(lease = %self.name, "the lease is released"),
                    // By a renewal that was under way when the shutdown came.
                    Err(ApiError::Conflict(_)) => {}
                    Err(error) => {
                        return tracing::warn!(lease = %self.name, %error, "the lease could not be released");
                    }
                }
            } else if !self.election.awaits_answer() {
                return;
            }
            let began = Instant::now();
            let called = self.call(&Step::Look).await;
            let outcome = self.outcome(called);
            self.election.done(&Step::Look, outcome, began, Instant::now(), 0.0);
        }
    }
}

/// From 0 to 1. Replicas only have to differ.
fn random() -> f64 {
    let bits = u32::try_from(RandomState::new().build_hasher().finish() >> 32).unwrap_or_default();
    f64::from(bits) / f64::from(u32::MAX)
}

/// Waits this long between two tries of something that is done every `period`, so that replicas do not do it together.
pub(crate) fn about(period: Duration) -> Duration {
    period.mul_f64(0.9 + 0.2 * random())
}
