use jiff::Timestamp;
use serde_json::json;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// One candidate and the clock that it goes by.
struct Table {
    election: Election,
    now: Instant,
}

impl Table {
    fn new(identity: &str) -> Self {
        let name = ObjectName::in_namespace("plimsoll", "plimsoll");
        Self { election: Election::new(name, identity.to_owned(), LeaseTimes::default()), now: Instant::now() }
    }

    fn after(&mut self, time: Duration) -> &mut Self {
        self.now += time;
        self
    }

    fn step(&mut self) -> Step {
        self.election.step(self.now, Timestamp::UNIX_EPOCH)
    }

    /// Does the next step, which is answered at once.
    fn answered(&mut self, outcome: Outcome) -> Step {
        let step = self.step();
        self.election.done(&step, outcome, self.now, self.now, 1.0);
        step
    }

    /// Does the next step, which must be a write, as the API server would: with a new resource version.
    fn written(&mut self, version: &str) -> Value {
        let step = self.step();
        let (Step::Create(object) | Step::Replace(object)) = &step else { panic!("no write: {step:?}") };
        let mut object = object.clone();
        object["metadata"]["resourceVersion"] = version.into();
        self.election.done(&step, Outcome::Is(object.clone()), self.now, self.now, 1.0);
        object
    }

    fn number(&self) -> Option<u64> {
        self.election.term(self.now).map(|term| term.number)
    }

    fn waits(&mut self) -> Duration {
        match self.step() {
            Step::Wait(until) => until - self.now,
            other => panic!("does not wait: {other:?}"),
        }
    }
}

fn lease(holder: &str, version: &str, transitions: u64) -> Value {
    json!({
        "metadata": {"name": "plimsoll", "namespace": "plimsoll", "resourceVersion": version},
        "spec": {"holderIdentity": holder, "leaseTransitions": transitions, "leaseDurationSeconds": 15,
                 "acquireTime": "2026-01-01T00:00:00.000000Z", "renewTime": "2026-01-01T00:00:00.000000Z"},
    })
}

/// A table whose candidate leads in a lease that was free.
fn leading() -> Table {
    let mut table = Table::new("a");
    table.answered(Outcome::Is(lease("", "1", 4)));
    let object = table.written("2");
    assert_eq!(object["spec"]["leaseTransitions"], 5);
    assert_eq!(table.number(), Some(5));
    table
}

#[test]
fn a_lease_that_is_not_there_is_created_and_counts_from_its_first_renewal() {
    let mut table = Table::new("a");
    assert_eq!(table.answered(Outcome::Absent), Step::Look);
    let object = table.written("1");
    assert_eq!(object["kind"], "Lease");
    assert_eq!(object["spec"]["holderIdentity"], "a");
    assert_eq!(object["spec"]["leaseTransitions"], 1);
    assert_eq!(object["spec"]["leaseDurationSeconds"], 15);
    assert_eq!(object["spec"]["renewTime"], "1970-01-01T00:00:00.000001Z");
    // It may be that somebody else's was deleted, who has not found out yet.
    assert_eq!(table.number(), None);
    assert_eq!(table.waits(), 4 * SECOND);
    table.after(4 * SECOND).written("2");
    assert_eq!(table.number(), Some(1));
}

#[test]
fn somebody_elses_lease_is_taken_when_it_has_not_changed_for_its_duration_here() {
    let mut table = Table::new("a");
    // Its times are years old; that says nothing.
    table.answered(Outcome::Is(lease("b", "7", 3)));
    for _ in 0..7 {
        assert_eq!(table.waits(), 2 * SECOND);
        assert_eq!(table.after(2 * SECOND).answered(Outcome::Is(lease("b", "7", 3))), Step::Look);
    }
    assert_eq!(table.waits(), SECOND, "not longer than until it is free");
    assert_eq!(table.number(), None);
    let object = table.after(SECOND).written("8");
    assert_eq!(object["spec"]["leaseTransitions"], 4);
    assert_eq!(object["metadata"]["resourceVersion"], "8");
    assert_eq!(table.number(), Some(4));
}

#[test]
fn a_lease_that_changes_is_not_taken() {
    let mut table = Table::new("a");
    for version in 0..30 {
        let step = table.answered(Outcome::Is(lease("b", &version.to_string(), 3)));
        assert_eq!(step, Step::Look);
        table.after(2 * SECOND);
    }
}

#[test]
fn how_long_others_wait_is_what_the_holder_asks_for() {
    for (asked, expected) in
        [(json!(60), 60), (json!(15), 15), (json!(null), 15), (json!(-1), 15), (json!(1_u64 << 40), 300)]
    {
        let mut table = Table::new("a");
        let mut theirs = lease("b", "7", 3);
        theirs["spec"]["leaseDurationSeconds"] = asked.clone();
        let mut waited = 0;
        while let Step::Look = table.answered(Outcome::Is(theirs.clone())) {
            table.after(SECOND);
            while matches!(table.step(), Step::Wait(_)) {
                table.after(SECOND);
                waited += 1;
            }
            waited += 1;
        }
        assert_eq!(waited, expected, "{asked}");
    }
}

#[test]
fn a_leader_renews_and_a_renewal_counts_from_its_beginning() {
    let mut table = leading();
    assert_eq!(table.waits(), 2 * SECOND);
    let began = table.after(2 * SECOND).now;
    let step = table.step();
    let Step::Replace(object) = &step else { panic!("{step:?}") };
    assert_eq!(object["spec"]["leaseTransitions"], 5, "the same term");
    table.after(4 * SECOND);
    let mut object = object.clone();
    object["metadata"]["resourceVersion"] = "3".into();
    table.election.done(&step, Outcome::Is(object), began, table.now, 1.0);
    assert_eq!(table.election.term(table.now).expect("leads").until, Some(began + 10 * SECOND));
    // The call took longer than the period: the next is due at once.
    assert!(matches!(table.step(), Step::Replace(_)));
}

#[test]
fn after_a_call_that_hung_there_is_no_wait() {
    let mut table = leading();
    let began = table.after(2 * SECOND).now;
    let step = table.step();
    table.after(5 * SECOND);
    table.election.done(&step, Outcome::Unknown, began, table.now, 1.0);
    assert_eq!(table.step(), Step::Look);
    // One that failed at once is tried again after the period.
    let mut table = leading();
    table.after(2 * SECOND).answered(Outcome::Unknown);
    assert_eq!(table.waits(), 2 * SECOND);
}

#[test]
fn without_answers_leading_ends_before_others_begin() {
    let mut table = leading();
    for _ in 0..4 {
        table.after(2 * SECOND).answered(Outcome::Unknown);
        assert_eq!(table.number(), Some(5));
    }
    table.after(2 * SECOND);
    assert_eq!(table.number(), None);
    // Nobody took it meanwhile: it leads again, as another.
    table.answered(Outcome::Is(json!(null)));
    let mut mine = lease("a", "2", 5);
    mine["spec"]["acquireTime"] = match table.election.release(Timestamp::UNIX_EPOCH) {
        Some(object) => object["spec"]["acquireTime"].clone(),
        None => panic!("holds nothing"),
    };
    table.after(2 * SECOND).answered(Outcome::Is(mine));
    table.written("3");
    assert_eq!(table.number(), Some(6));
}

#[test]
fn a_renewal_without_an_answer_may_have_been_made() {
    let mut table = leading();
    let step = table.after(2 * SECOND).answered(Outcome::Unknown);
    let Step::Replace(mut object) = step else { panic!("{step:?}") };
    object["metadata"]["resourceVersion"] = "3".into();
    assert_eq!(table.after(2 * SECOND).answered(Outcome::Is(object)), Step::Look);
    let object = table.written("4");
    assert_eq!((table.number(), object["spec"]["leaseTransitions"].as_u64()), (Some(5), Some(5)));
}

#[test]
fn a_take_over_without_an_answer_may_have_been_made() {
    let mut table = Table::new("a");
    table.answered(Outcome::Is(lease("", "1", 4)));
    let Step::Replace(mut object) = table.answered(Outcome::Unknown) else { panic!("no write") };
    assert!(table.number().is_none() && table.election.awaits_answer());
    object["metadata"]["resourceVersion"] = "2".into();
    table.after(2 * SECOND).answered(Outcome::Is(object));
    assert_eq!(table.number(), None, "not before a write is answered");
    table.written("3");
    assert_eq!(table.number(), Some(5));
}

#[test]
fn a_take_over_that_arrives_late_is_still_its_own() {
    let mut table = Table::new("a");
    table.answered(Outcome::Is(lease("", "1", 4)));
    let Step::Replace(mut late) = table.answered(Outcome::Unknown) else { panic!("no write") };
    // Not there yet, so it asks again, and is overtaken by its own first request.
    table.after(2 * SECOND).answered(Outcome::Is(lease("", "1", 4)));
    assert!(matches!(table.answered(Outcome::Overtaken), Step::Replace(_)));
    late["metadata"]["resourceVersion"] = "2".into();
    table.answered(Outcome::Is(late));
    table.written("3");
    assert_eq!(table.number(), Some(5));
}

#[test]
fn a_leader_that_sees_another_stops_at_once() {
    let mut table = leading();
    assert!(matches!(table.after(2 * SECOND).answered(Outcome::Overtaken), Step::Replace(_)));
    assert_eq!(table.number(), Some(5), "somebody may have put a label on it");
    assert_eq!(table.answered(Outcome::Is(lease("b", "9", 6))), Step::Look);
    assert_eq!(table.number(), None);
    assert!(table.election.release(Timestamp::UNIX_EPOCH).is_none(), "it is not ours to release");
}

#[test]
fn another_process_of_the_same_name_is_another() {
    let mut table = Table::new("a");
    table.answered(Outcome::Is(lease("a", "7", 3)));
    assert_eq!(table.waits(), 2 * SECOND);
    assert_eq!(table.number(), None);
    // Nor does the same number make it ours.
    let mut table = leading();
    table.after(2 * SECOND).answered(Outcome::Overtaken);
    table.answered(Outcome::Is(lease("a", "9", 5)));
    assert_eq!(table.number(), None);
}

#[test]
fn a_leader_whose_lease_is_deleted_creates_it_and_leads_as_another() {
    let mut table = leading();
    table.after(2 * SECOND).answered(Outcome::Absent);
    assert_eq!(table.number(), None);
    table.written("1");
    assert_eq!(table.number(), Some(6), "it can tell that nobody else leads");
    // A follower waits for as long as it would have without that.
    let mut table = Table::new("b");
    table.answered(Outcome::Is(lease("a", "7", 3)));
    let mut waited = 0;
    while !matches!(table.step(), Step::Create(_)) {
        match table.step() {
            Step::Look => drop(table.answered(Outcome::Absent)),
            _ => {
                table.after(SECOND);
                waited += 1;
            }
        }
    }
    assert_eq!(waited, 15);
}

#[test]
fn a_released_lease_names_nobody_and_keeps_its_number() {
    let table = &mut leading();
    let object = table.election.release(Timestamp::UNIX_EPOCH).expect("holds it");
    assert_eq!(object["spec"]["holderIdentity"], "");
    assert_eq!(object["spec"]["leaseDurationSeconds"], 1);
    assert_eq!(object["spec"]["leaseTransitions"], 5);
    assert_eq!(object["metadata"]["resourceVersion"], "2");
    let mut other = Table::new("b");
    other.answered(Outcome::Is(object));
    other.written("3");
    assert_eq!(other.number(), Some(6));
}

#[tokio::test(start_paused = true)]
async fn one_replica_leads_alone_until_the_shutdown() {
    let (setter, leadership) = crate::Leadership::new(false);
    let shutdown = CancellationToken::new();
    let candidacy = lead_alone(setter, shutdown.clone());
    assert_eq!(leadership.term(), Some(0));
    tokio::time::advance(Duration::from_secs(1_000_000)).await;
    assert!(leadership.leads());
    shutdown.cancel();
    candidacy.task.await.expect("ends");
    assert!(!leadership.leads());
}

#[tokio::test(start_paused = true)]
async fn whoever_held_the_election_is_gone_and_so_is_the_leadership() {
    let (setter, leadership) = crate::Leadership::new(false);
    let candidacy = lead_alone(setter, CancellationToken::new());
    assert!(leadership.leads());
    candidacy.task.abort();
    assert!(candidacy.task.await.is_err());
    assert!(!leadership.leads());
}
