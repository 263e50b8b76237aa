//! The right to write, which ends before the lease does.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::ApiError;

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// It changes what others use: nodes, pods, certificates, launches, Events.
    Effect,
    /// It says what this controller is and does: the status, which is also written in `mode: observe`.
    Status,
}

/// Why this replica may not write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Another replica leads, or nobody does.
    #[error("this replica does not lead")]
    NotLeading,
    /// It led when the call began.
    #[error("the lease ran out before the answer came")]
    TimeIsUp,
    /// `mode: observe`.
    #[error("the mode is observe: nothing is changed")]
    Observing,
}

/// A time for which this replica leads. What is written down with a change is `term`, so that a later leader sees
/// who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// `leaseTransitions` of the lease: grows with each new leader. 0 without a lease.
    pub number: u64,
    /// Writes end here unless the lease is renewed before; `None` without a lease.
    pub until: Option<Instant>,
}

/// Whether this replica leads. Cheap to clone; every clone sees the same.
#[derive(Clone, Debug)]
pub struct Leadership {
    term: watch::Receiver<Option<Term>>,
    observe: bool,
}

/// Says whether this replica leads; whoever runs the election has it. Dropped, it ends the leadership.
#[derive(Debug)]
pub struct LeadershipSetter(watch::Sender<Option<Term>>);

/// The right to make one change, checked when the call begins and while it runs.
#[derive(Clone, Debug)]
pub struct Permit {
    /// The term that it was given in.
    pub term: u64,
    leadership: Arc<watch::Receiver<Option<Term>>>,
}

// === impl Leadership ===

impl Leadership {
    /// A leadership that somebody sets; at first this replica does not lead. With `observe` no permits for effects
    /// are given.
    pub fn new(observe: bool) -> (LeadershipSetter, Self) {
        let (setter, term) = watch::channel(None);
        (LeadershipSetter(setter), Self { term, observe })
    }

    /// True if this replica leads now.
    pub fn leads(&self) -> bool {
        is_good(&self.term.borrow())
    }

    /// The number of the present term.
    pub fn term(&self) -> Option<u64> {
        let term = self.term.borrow();
        is_good(&term).then(|| term.as_ref().map(|term| term.number)).flatten()
    }

    /// The right to make changes, or why there is none.
    pub fn permit(&self, purpose: Purpose) -> Result<Permit, Refused> {
        if self.observe && purpose == Purpose::Effect {
            return Err(Refused::Observing);
        }
        let term = self.term().ok_or(Refused::NotLeading)?;
        Ok(Permit { term, leadership: Arc::new(self.term.clone()) })
    }

    /// Waits until this replica begins or ends to lead, or leads in another term.
    pub async fn changed(&mut self) {
        let before = self.term();
        loop {
            let until = self.term.borrow_and_update().as_ref().and_then(|term| term.until);
            tokio::select! {
                changed = self.term.changed() => if changed.is_err() && before.is_none() {
                    // Nobody will ever set it again.
                    std::future::pending::<()>().await;
                },
                () = at(until) => {}
            }
            if self.term() != before {
                return;
            }
        }
    }
}

async fn at(moment: Option<Instant>) {
    match moment {
        Some(moment) if moment > Instant::now() => sleep_until(moment).await,
        _ => std::future::pending().await,
    }
}

fn is_good(term: &Option<Term>) -> bool {
    term.as_ref().is_some_and(|term| term.until.is_none_or(|until| Instant::now() < until))
}

// === impl LeadershipSetter ===

impl LeadershipSetter {
    /// This replica leads, or leads on, until that moment.
    pub fn lead(&self, term: Term) {
        self.0.send_replace(Some(term));
    }

    /// This replica does not lead any more: running calls are given up.
    pub fn resign(&self) {
        self.0.send_replace(None);
    }
}

impl Drop for LeadershipSetter {
    fn drop(&mut self) {
        self.resign();
    }
}

// === impl Permit ===

impl Permit {
    /// Runs a call that changes something, for `limit` at most: given up as soon as the leadership that allowed it
    /// ends. What has been sent may still be done, so every such call must be safe to repeat.
    pub async fn run<T>(
        &self,
        limit: Duration,
        call: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        self.check()?;
        let end = Instant::now() + limit;
        let mut leadership = (*self.leadership).clone();
        tokio::select! {
            biased;
            done = timeout_at(end, call) => match done {
                Ok(done) => done,
                Err(_) => Err(ApiError::NoAnswer(format!("none within {} s", limit.as_secs_f32()))),
            },
            () = ended(&mut leadership, self.term) => Err(Refused::TimeIsUp.into()),
        }
    }

    /// An error if the leadership that allowed it has ended.
    pub fn check(&self) -> Result<(), Refused> {
        if holds(&self.leadership, self.term) { Ok(()) } else { Err(Refused::NotLeading) }
    }
}

fn holds(leadership: &watch::Receiver<Option<Term>>, number: u64) -> bool {
    let term = leadership.borrow();
    is_good(&term) && term.as_ref().is_some_and(|term| term.number == number)
}

/// Waits for the end of a term, however often it is renewed.
async fn ended(leadership: &mut watch::Receiver<Option<Term>>, number: u64) {
    while holds(leadership, number) {
        let until = leadership.borrow_and_update().as_ref().and_then(|term| term.until);
        tokio::select! {
            changed = leadership.changed() => if changed.is_err() { return },
            () = at(until) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn term(number: u64, seconds: u64) -> Term {
        Term { number, until: Some(Instant::now() + Duration::from_secs(seconds)) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_permit_ends_with_its_term() {
        let (setter, leadership) = Leadership::new(false);
        assert_eq!(leadership.permit(Purpose::Effect).err(), Some(Refused::NotLeading));
        setter.lead(term(7, 10));
        let permit = leadership.permit(Purpose::Effect).expect("leads");
        assert_eq!(permit.run(LONG, async { Ok(1) }).await, Ok(1));
        // Renewed: the call may take longer than the first term.
        let slow = permit.run(LONG, async {
            tokio::time::sleep(Duration::from_secs(12)).await;
            Ok(2)
        });
        let renew = async {
            tokio::time::sleep(Duration::from_secs(8)).await;
            setter.lead(term(7, 10));
        };
        assert_eq!(tokio::join!(slow, renew).0, Ok(2));
        // Not renewed: it is given up, and no other begins.
        let endless = permit.run(LONG, std::future::pending::<Result<(), _>>());
        assert_eq!(endless.await, Err(Refused::TimeIsUp.into()));
        assert!(!leadership.leads());
        assert_eq!(permit.run(LONG, async { Ok(3) }).await, Err(Refused::NotLeading.into()));
        // Another term is not the one that allowed it.
        setter.lead(term(8, 10));
        assert!(leadership.leads() && permit.check().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_when_its_time_or_the_leadership_does() {
        let (setter, leadership) = Leadership::new(false);
        setter.lead(Term { number: 0, until: None });
        let permit = leadership.permit(Purpose::Effect).expect("leads");
        let late = permit.run(Duration::from_secs(5), std::future::pending::<Result<(), _>>()).await;
        assert!(matches!(late, Err(ApiError::NoAnswer(_))), "{late:?}");
        let resign = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            setter.resign();
        };
        let (given_up, ()) = tokio::join!(permit.run(LONG, std::future::pending::<Result<(), _>>()), resign);
        assert_eq!(given_up, Err(Refused::TimeIsUp.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_hears_of_the_beginning_and_the_end() {
        let (setter, mut leadership) = Leadership::new(true);
        let begin = async { setter.lead(term(1, 10)) };
        tokio::join!(leadership.changed(), begin);
        assert!(leadership.leads());
        assert_eq!(leadership.permit(Purpose::Effect).err(), Some(Refused::Observing));
        assert!(leadership.permit(Purpose::Status).is_ok());
        // It runs out with nobody saying so.
        leadership.changed().await;
        assert!(!leadership.leads());
    }
}
