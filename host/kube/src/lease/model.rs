//! Three candidates, a lease and a bad network, all made up: no time passes.

use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use serde_json::Value;
use tokio::time::Instant;

use super::election::{Election, Outcome, Step};
use super::times::LeaseTimes;
use crate::api::ObjectName;

const TICK: u64 = 50;
const CANDIDATES: usize = 3;

/// A small generator, so that a case is one number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % below
    }
}

/// What goes wrong.
#[derive(Clone, Copy, Default)]
struct Weather {
    /// Requests and answers are lost this often, in per cent.
    lost: u64,
    /// They take up to this long, in milliseconds.
    delay: u64,
    /// Candidates are cut off now and then.
    partitions: bool,
    /// Candidates die and start again now and then, some with the same identity.
    deaths: bool,
    /// Somebody deletes the lease now and then.
    deletions: bool,
}

struct Candidate {
    election: Option<Election>,
    /// Speed of its clock in per mille, and where that stands.
    rate: u64,
    offset: u64,
    call: Option<Call>,
    cut_off_until: u64,
    back_at: u64,
    lives: u64,
}

struct Call {
    id: u64,
    step: Step,
    began: Instant,
}

struct Flight {
    call: u64,
    from: usize,
    step: Step,
    arrives: u64,
    /// `None`: the answer is lost.
    answer_after: Option<u64>,
}

struct World {
    dice: Dice,
    weather: Weather,
    base: Instant,
    now: u64,
    lease: Option<Value>,
    version: u64,
    candidates: Vec<Candidate>,
    flights: Vec<Flight>,
    answers: Vec<(u64, usize, u64, Outcome)>,
    calls: u64,
    /// Candidate and number of the last leadership.
    last: Option<(usize, u64)>,
}

impl World {
    fn new(seed: u64, weather: Weather) -> Self {
        let mut dice = Dice(seed);
        let candidates = (0..CANDIDATES)
            .map(|index| Candidate {
                election: Some(election(index, 0)),
                rate: 960 + dice.roll(81),
                offset: dice.roll(10_000_000),
                call: None,
                cut_off_until: 0,
                back_at: 0,
                lives: 0,
            })
            .collect();
        Self {
            dice,
            weather,
            base: Instant::now(),
            now: 0,
            lease: None,
            version: 0,
            candidates,
            flights: Vec::new(),
            answers: Vec::new(),
            calls: 0,
            last: None,
        }
    }

    /// The monotonic clock of a candidate.
    fn clock(&self, index: usize) -> Instant {
        let candidate = &self.candidates[index];
        self.base + Duration::from_millis(candidate.offset) + Duration::from_micros(self.now * candidate.rate)
    }

    /// Its other clock, which may be years off.
    fn wall(&self, index: usize) -> Timestamp {
        Timestamp::UNIX_EPOCH + Duration::from_secs(90_000_000 * (20 - index as u64)) + Duration::from_millis(self.now)
    }

    fn tick(&mut self) {
        self.now += TICK;
        self.misfortune();
        self.deliver();
        for index in 0..CANDIDATES {
            self.act(index);
        }
    }

    fn misfortune(&mut self) {
        let Weather { partitions, deaths, deletions, .. } = self.weather;
        for index in 0..CANDIDATES {
            if partitions && self.dice.roll(400) == 0 {
                self.candidates[index].cut_off_until = self.now + self.dice.roll(40_000);
            }
            if deaths && self.dice.roll(800) == 0 {
                self.kill(index, 20_000);
            }
            if self.candidates[index].election.is_none() && self.now >= self.candidates[index].back_at {
                let candidate = &mut self.candidates[index];
                candidate.lives += 1;
                candidate.election = Some(election(index, candidate.lives / 2));
            }
        }
        if deletions && self.dice.roll(600) == 0 {
            self.lease = None;
        }
    }

    fn kill(&mut self, index: usize, away: u64) {
        self.candidates[index].election = None;
        self.candidates[index].call = None;
        self.candidates[index].back_at = self.now + self.dice.roll(away);
    }

    fn deliver(&mut self) {
        let now = self.now;
        let (arrived, still): (Vec<_>, Vec<_>) = self.flights.drain(..).partition(|flight| flight.arrives <= now);
        self.flights = still;
        for flight in arrived {
            let outcome = self.serve(flight.step);
            if let Some(after) = flight.answer_after {
                self.answers.push((now + after, flight.from, flight.call, outcome));
            }
        }
        let (due, still): (Vec<_>, Vec<_>) = self.answers.drain(..).partition(|answer| answer.0 <= now);
        self.answers = still;
        for (_, index, id, outcome) in due {
            if self.candidates[index].call.as_ref().is_some_and(|call| call.id == id) {
                self.answered(index, outcome);
            }
        }
    }

    /// What the API server does.
    fn serve(&mut self, step: Step) -> Outcome {
        let given = |object: &Value| object["metadata"]["resourceVersion"].as_str().map(str::to_owned);
        match (step, &self.lease) {
            (Step::Look | Step::Replace(_), None) => Outcome::Absent,
            (Step::Look, Some(lease)) => Outcome::Is(lease.clone()),
            (Step::Create(_), Some(_)) => Outcome::Overtaken,
            (Step::Replace(object), Some(lease)) if given(&object) != given(lease) => Outcome::Overtaken,
            (Step::Create(mut object) | Step::Replace(mut object), _) => {
                self.version += 1;
                object["metadata"]["resourceVersion"] = self.version.to_string().into();
                self.lease = Some(object.clone());
                Outcome::Is(object)
            }
            (Step::Wait(_), _) => Outcome::Unknown,
        }
    }

    fn answered(&mut self, index: usize, outcome: Outcome) {
        let now = self.clock(index);
        let jitter = self.dice.roll(1001) as f64 / 1000.0;
        let candidate = &mut self.candidates[index];
        if let (Some(call), Some(election)) = (candidate.call.take(), &mut candidate.election) {
            election.done(&call.step, outcome, call.began, now, jitter);
        }
    }

    fn act(&mut self, index: usize) {
        let (now, wall) = (self.clock(index), self.wall(index));
        let limit = LeaseTimes::default().call();
        if self.candidates[index].call.as_ref().is_some_and(|call| now >= call.began + limit) {
            self.answered(index, Outcome::Unknown);
        }
        let candidate = &mut self.candidates[index];
        let Some(election) = candidate.election.as_mut().filter(|_| candidate.call.is_none()) else { return };
        let step = election.step(now, wall);
        if let Step::Wait(_) = step {
            return;
        }
        self.calls += 1;
        candidate.call = Some(Call { id: self.calls, step: step.clone(), began: now });
        let Weather { lost, delay, .. } = self.weather;
        let cut_off = self.now < candidate.cut_off_until;
        if cut_off || self.dice.roll(100) < lost {
            return;
        }
        let arrives = self.now + self.dice.roll(delay + 1);
        let answer_after = (self.dice.roll(100) >= lost).then(|| self.dice.roll(delay + 1));
        self.flights.push(Flight { call: self.calls, from: index, step, arrives, answer_after });
    }

    fn leaders(&self) -> Vec<(usize, u64)> {
        let leads = |(index, candidate): (usize, &Candidate)| {
            let term = candidate.election.as_ref()?.term(self.clock(index))?;
            Some((index, term.number))
        };
        self.candidates.iter().enumerate().filter_map(leads).collect()
    }

    /// Runs on for `time` milliseconds; fails if ever two lead, or a leader has an old number.
    fn run(&mut self, time: u64) -> Result<(), TestCaseError> {
        let end = self.now + time;
        while self.now < end {
            self.tick();
            let leaders = self.leaders();
            prop_assert!(leaders.len() <= 1, "at {} ms there lead {leaders:?}", self.now);
            if let Some(leader) = leaders.first() {
                if let Some(last) = self.last.filter(|last| last != leader) {
                    prop_assert!(leader.1 > last.1, "at {} ms {leader:?} follows {last:?}", self.now);
                }
                self.last = Some(*leader);
            }
        }
        Ok(())
    }

    /// How long it takes until somebody leads, in milliseconds.
    fn until_led(&mut self, at_most: u64) -> Result<u64, TestCaseError> {
        let began = self.now;
        while self.leaders().is_empty() {
            prop_assert!(self.now - began < at_most, "nobody leads after {at_most} ms");
            self.run(TICK)?;
        }
        Ok(self.now - began)
    }
}

fn election(index: usize, life: u64) -> Election {
    let name = ObjectName::in_namespace("plimsoll", "plimsoll");
    Election::new(name, format!("replica-{index}-{life}"), LeaseTimes::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn never_do_two_lead_and_soon_after_the_storm_one_does(seed: u64, lost in 0_u64..40, delay in 0_u64..9_000) {
        let storm = Weather { lost, delay, partitions: true, deaths: true, deletions: false };
        let mut world = World::new(seed, storm);
        world.run(150_000)?;
        world.weather = Weather { delay: 100, ..Weather::default() };
        world.candidates.iter_mut().for_each(|candidate| candidate.cut_off_until = 0);
        // What the storm left on the way may still come once, and cost a wait of its own.
        world.run(20_000)?;
        world.until_led(18_500)?;
        let leader = world.leaders();
        world.run(60_000)?;
        prop_assert_eq!(world.leaders(), leader, "in calm weather the leader stays");
    }

    #[test]
    fn when_the_leader_dies_another_leads_within_lease_and_retry(seed: u64, delay in 0_u64..150) {
        let mut world = World::new(seed, Weather { delay, ..Weather::default() });
        world.until_led(10_000)?;
        let lives = world.dice.roll(30_000);
        world.run(lives)?;
        let leader = world.leaders()[0].0;
        world.kill(leader, 1);
        world.candidates[leader].back_at = u64::MAX;
        // 15 s and 2 s on a clock that is 4 % slow, and three calls.
        let took = world.until_led(60_000)?;
        prop_assert!(took <= 17_000 * 1000 / 960 + 6 * delay + 4 * TICK, "{took} ms");
    }

    #[test]
    fn a_deleted_lease_is_taken_again_by_one(seed: u64, delay in 0_u64..300) {
        let mut world = World::new(seed, Weather { delay, deletions: true, ..Weather::default() });
        // Numbers begin again only if nobody lives who knows them.
        world.run(150_000)?;
        world.weather.deletions = false;
        world.until_led(20_000)?;
    }
}
