//! One run: a cluster, two replicas of which one leads, and everything that goes wrong.

use std::collections::HashMap;

use plimsoll_model::{Millis, Text, Timestamp, well_known};
use plimsoll_planner::drain::{DrainAnswer, DrainChange, DrainNews};
use plimsoll_planner::launch::{LaunchFailure, LaunchOutcome};

use crate::act::{Deed, Fault, execute, unknown};
use crate::chance::{Chance, Seed};
use crate::invariant::{Invariant, Scene, Step};
use crate::queue::{Queue, later};
use crate::replica::{Replica, Settings};
use crate::report::{Report, Sample};
use crate::world::{Event, Occurrence, Pace, PodSpec, World};

/// What people, clouds and bad luck do.
#[derive(Clone, Debug)]
pub enum Life {
    /// A Deployment is made.
    Deploy(Text, Text, usize, PodSpec),
    /// A budget is made for the pods of an `app`.
    Guard(Text, Text, Text, &'static str, serde_json::Value),
    /// A Deployment gets another size.
    Scale(Text, Text, usize),
    /// A Deployment gets another template.
    RollOut(Text, Text, PodSpec),
    /// A pod of nobody is made.
    BarePod(Text, Text, PodSpec),
    /// Something of a trace arrives, and ends so long after.
    Arrive(Text, PodSpec, Millis),
    /// It ends.
    Depart(Text),
    /// The cloud takes a node back, whichever has this number.
    Interrupt(u64, Millis),
    /// A person wants a node gone, whichever has this number.
    Request(u64),
    /// Nobody wants any node gone any more.
    TakeBack,
    /// The leader's process dies.
    Kill,
    /// The leader cannot reach the API for so long.
    Cut(Millis),
    /// What is configured changes.
    Configure(Box<Settings>),
}

/// How often calls go wrong, in thousandths.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    /// 5xx, and nothing was done.
    pub failed: u64,
    /// It was done, and no answer comes.
    pub lost: u64,
    /// 429 without a budget.
    pub too_many: u64,
    /// The longest an answer takes.
    pub latency: Millis,
    /// The longest a change takes to be seen.
    pub lag: Millis,
    /// A launch fails for lack of machines.
    pub no_capacity: u64,
}

/// What a run is made of.
#[derive(Debug)]
pub struct Plan {
    /// Where chance comes from.
    pub seed: Seed,
    /// How fast the cluster is.
    pub pace: Pace,
    /// What the controller does.
    pub settings: Settings,
    /// Machines that are there from the beginning: group, type, zone, how many.
    pub found: Vec<(Text, Text, Text, u32)>,
    /// What happens, and when.
    pub life: Vec<(Timestamp, Life)>,
    /// What goes wrong.
    pub faults: Faults,
    /// When it ends.
    pub end: Timestamp,
    /// Between two samples of the report.
    pub sample: Millis,
}

/// A promise that was broken. The text is all that is needed to see it again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{seed}: {invariant}, {after} after the beginning: {what}")]
pub struct Broken {
    /// The run.
    pub seed: Seed,
    /// Which promise.
    pub invariant: &'static str,
    /// When.
    pub after: Millis,
    /// What happened.
    pub what: String,
}

/// Something on the queue.
#[derive(Debug)]
enum Happening {
    World(Event),
    Life(Box<Life>),
    Turn(u64),
    Answer { term: u64, node: Text, answer: DrainAnswer },
    Elect,
    Back(usize),
    Healed(usize),
    Tick,
}

/// Until another replica takes the lead.
const LEASE: Millis = Millis(15_000);
/// A leader that cannot reach the API for so long gives up.
const RENEW: Millis = Millis(10_000);
/// Changes that come together are looked at together.
const DEBOUNCE: Millis = Millis(250);
/// A leader looks at least this often while something is under way.
const TICK: Millis = Millis(5_000);
/// The world is looked at this often.
const WATCH: Millis = Millis(30_000);

/// A run that goes on.
#[derive(Debug)]
pub struct Run {
    seed: Seed,
    world: World,
    settings: Settings,
    queue: Queue<Happening>,
    replicas: Vec<Replica>,
    alive: Vec<bool>,
    cut: Vec<Option<Timestamp>>,
    leader: Option<(usize, u64)>,
    term: u64,
    ledger: String,
    lag: Millis,
    faults: Faults,
    chance: Chance,
    next_turn: Option<(Timestamp, u64)>,
    turns: u64,
    disturbed: Timestamp,
    invariants: Vec<Box<dyn Invariant>>,
    broken: Option<Broken>,
    arrived: HashMap<Text, crate::world::SetId>,
    log_length: usize,
    end: Timestamp,
    sample: Millis,
    next_sample: Timestamp,
    report: Report,
}

// === impl Run ===

impl Run {
    /// A run that is about to begin.
    pub fn new(plan: Plan, invariants: Vec<Box<dyn Invariant>>) -> Self {
        let groups = plan.settings.scale_up.groups.clone();
        let mut world = World::new(plan.seed, plan.pace, groups);
        for (group, kind, zone, count) in &plan.found {
            world.found(group, kind, zone, plimsoll_model::Lifecycle::OnDemand, *count);
        }
        let mut queue = Queue::default();
        for (at, life) in plan.life {
            queue.push(at, Happening::Life(Box::new(life)));
        }
        queue.push(world.now, Happening::Elect);
        queue.push(later(world.now, WATCH), Happening::Tick);
        let start = world.now;
        Self {
            seed: plan.seed,
            world,
            settings: plan.settings,
            queue,
            replicas: vec![Replica::default(), Replica::default()],
            alive: vec![true, true],
            cut: vec![None, None],
            leader: None,
            term: 0,
            ledger: String::new(),
            lag: Millis(200),
            faults: plan.faults,
            chance: Chance::of(plan.seed, "run"),
            next_turn: None,
            turns: 0,
            disturbed: Timestamp(0),
            invariants,
            broken: None,
            arrived: HashMap::new(),
            log_length: 0,
            end: plan.end,
            sample: plan.sample,
            next_sample: start,
            report: Report::new(start),
        }
    }

    /// Runs to the end, or to the first promise that is broken. `progress` is told the time now and then.
    pub fn finish(mut self, progress: &mut dyn FnMut(Timestamp)) -> Result<Report, Broken> {
        self.settle();
        while let Some((at, happening)) = self.queue.pop(self.end) {
            self.world.advance(at);
            self.happen(happening);
            self.settle();
            if let Some(broken) = self.broken.take() {
                return Err(broken);
            }
            if self.world.now >= self.next_sample {
                self.take_sample();
                progress(self.world.now);
            }
        }
        self.world.advance(self.end);
        self.take_sample();
        self.report.finish(&self.world);
        Ok(self.report)
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::World(event) => self.world.happen(event),
            Happening::Life(life) => self.live(*life),
            Happening::Turn(number) => {
                if self.next_turn.is_some_and(|(_, expected)| expected == number) {
                    self.next_turn = None;
                    self.turn();
                }
            }
            Happening::Answer { term, node, answer } => self.hear(term, &node, answer),
            Happening::Elect => self.elect(),
            Happening::Back(replica) => {
                if let Some(alive) = self.alive.get_mut(replica) {
                    *alive = true;
                }
            }
            Happening::Healed(replica) => {
                if let Some(cut) = self.cut.get_mut(replica) {
                    *cut = None;
                }
                self.disturbed = self.world.now;
            }
            Happening::Tick => {
                self.see(&Step::Tick);
                self.queue.push(later(self.world.now, WATCH), Happening::Tick);
            }
        }
    }

    /// Takes in whatever an event has led to.
    fn settle(&mut self) {
        self.world.follow();
        for (at, event) in std::mem::take(&mut self.world.due) {
            self.queue.push(at, Happening::World(event));
        }
        for occurred in std::mem::take(&mut self.world.occurred) {
            self.report.occurred(&occurred);
            self.see(&Step::Happened(&occurred));
            if let Occurrence::MachineGone(node, pods) = &occurred
                && !pods.is_empty()
            {
                self.report.tell(self.world.now, format!("machine {node} is gone with {} pods", pods.len()));
            }
        }
        if let Some(problem) = self.world.broken.first().cloned() {
            self.fail("readable objects", problem);
        }
        if self.world.log.len() != self.log_length {
            self.log_length = self.world.log.len();
            self.wake(later(later(self.world.now, self.lag), DEBOUNCE));
        }
    }

    /// The leader looks at this time, or sooner.
    fn wake(&mut self, at: Timestamp) {
        if self.leader.is_none() || self.next_turn.is_some_and(|(known, _)| known <= at) {
            return;
        }
        self.turns += 1;
        self.next_turn = Some((at, self.turns));
        self.queue.push(at, Happening::Turn(self.turns));
    }

    fn see(&mut self, step: &Step<'_>) {
        if self.broken.is_some() {
            return;
        }
        let scene = Scene {
            now: self.world.now,
            world: &self.world,
            settings: &self.settings,
            leader: self.leader,
            disturbed: self.disturbed,
        };
        let found = self
            .invariants
            .iter_mut()
            .find_map(|invariant| Some((invariant.name(), invariant.see(&scene, step).err()?)));
        if let Some((invariant, what)) = found {
            self.fail(invariant, what);
        }
    }

    fn fail(&mut self, invariant: &'static str, what: String) {
        let after = self.world.now.since(self.report.start);
        self.broken.get_or_insert(Broken { seed: self.seed, invariant, after, what });
    }

    /// Somebody takes the lead.
    fn elect(&mut self) {
        let able = |at: &usize| self.alive[*at] && self.cut[*at].is_none();
        let last = self.leader.map(|(replica, _)| replica);
        let found = (0..self.replicas.len()).filter(able).find(|at| Some(*at) != last).or_else(|| last.filter(able));
        let Some(replica) = found else {
            self.queue.push(later(self.world.now, Millis(2_000)), Happening::Elect);
            return;
        };
        self.term += 1;
        self.leader = Some((replica, self.term));
        self.disturbed = self.world.now;
        self.lag = self.chance.millis(20, self.faults.lag.0.max(21));
        // Whoever takes the lead has listed everything first.
        self.replicas[replica].read(&self.world.log, self.world.now);
        let news = self.replicas[replica].lead(&self.settings, self.term, &self.ledger, self.world.now);
        self.report.tell(self.world.now, format!("replica {replica} leads, term {}", self.term));
        self.hear_news(news);
        self.wake(self.world.now);
    }

    /// The leader forgets everything, and another one is looked for once its lease is over.
    fn depose(&mut self, after: Millis) {
        if let Some((replica, _)) = self.leader.take() {
            self.replicas[replica].mind = None;
            self.report.tell(self.world.now, format!("replica {replica} no longer leads"));
            self.next_turn = None;
            self.queue.push(later(self.world.now, after), Happening::Elect);
        }
    }

    fn turn(&mut self) {
        let Some((replica, term)) = self.leader else { return };
        let now = self.world.now;
        let cut = self.cut[replica];
        if cut.is_some_and(|since| now.since(since) >= RENEW) {
            self.depose(Millis(LEASE.0 - RENEW.0));
            return;
        }
        let seen = Timestamp(cut.unwrap_or(now).0.saturating_sub(self.lag.0));
        self.replicas[replica].read(&self.world.log, seen);
        let turn = self.replicas[replica].turn(&self.settings, &self.world.cloud, now);
        if let Some((snapshot, plan)) = &turn.plan {
            self.see(&Step::Planned(snapshot, plan));
        }
        self.hear_news(turn.news);
        if cut.is_none() {
            if let Some(mind) = &self.replicas[replica].mind {
                self.ledger = mind.ledger.write();
            }
            for intent in turn.launches {
                self.see(&Step::Launched(term, intent.decided));
                let outcome = if self.chance.permille(self.faults.no_capacity) {
                    LaunchOutcome::Failed(LaunchFailure::NoCapacity("none left".to_owned()))
                } else if self.chance.permille(self.faults.failed) {
                    LaunchOutcome::Unknown("no answer".to_owned())
                } else {
                    self.report.launches += intent.request.count;
                    self.world.launch(&intent)
                };
                self.replicas[replica].launched(&intent, outcome, &self.settings, now);
            }
            if let Some(mind) = &self.replicas[replica].mind {
                self.ledger = mind.ledger.write();
            }
        }
        for (node, action) in turn.actions {
            let fault = self.fault(replica);
            let mut deed = Deed { replica, term, answer: unknown(&action, None), action, fault };
            self.see(&Step::Before(&deed));
            deed.answer = execute(&mut self.world, &deed.action, fault);
            self.report.did(&deed);
            if self.report.verbose {
                self.report.tell(now, format!("{node}: {:?} -> {:?} ({fault:?})", deed.action, deed.answer));
            }
            self.see(&Step::Did(&deed));
            let (wait, answer) = match fault {
                Fault::AnswerLost | Fault::Cut => (Millis(10_000), unknown(&deed.action, None)),
                _ => (self.chance.millis(5, self.faults.latency.0.max(6)), deed.answer),
            };
            self.queue.push(later(now, wait), Happening::Answer { term, node, answer });
        }
        let busy = self.replicas[replica].mind.as_ref().is_some_and(|mind| !mind.drains.running(now).is_empty());
        let pause = if busy { TICK } else { Millis(self.settings.scale_down.interval.0.min(60_000)) };
        let again = turn.again.unwrap_or(Timestamp(u64::MAX)).max(later(now, Millis(50))).min(later(now, pause));
        self.wake(again);
    }

    fn fault(&mut self, replica: usize) -> Fault {
        let Faults { failed, lost, too_many, .. } = self.faults;
        if self.cut[replica].is_some() {
            return Fault::Cut;
        }
        let drawn = self.chance.between(0, 999);
        if drawn < failed {
            Fault::Failed
        } else if drawn < failed + lost {
            Fault::AnswerLost
        } else if drawn < failed + lost + too_many {
            Fault::TooMany
        } else {
            Fault::None
        }
    }

    fn hear(&mut self, term: u64, node: &Text, answer: DrainAnswer) {
        let Some((replica, leads)) = self.leader.filter(|(_, leads)| *leads == term) else { return };
        self.see(&Step::Heard(leads, &answer));
        let news = self.replicas[replica].answered(term, node, answer, self.world.now);
        self.hear_news(news);
        self.wake(later(self.world.now, Millis(1)));
    }

    fn hear_news(&mut self, news: Vec<DrainNews>) {
        for one in news {
            match one.change {
                DrainChange::ForceDeleted { .. } => self.report.forced += 1,
                DrainChange::Completed { .. } => self.report.completed += 1,
                DrainChange::TimedOut { .. } => self.report.timed_out += 1,
                DrainChange::Cancelled { .. } => self.report.cancelled += 1,
                _ => {}
            }
            self.report.tell(self.world.now, one.to_string());
        }
    }

    fn live(&mut self, life: Life) {
        self.report.changes += 1;
        match life {
            Life::Deploy(namespace, name, replicas, spec) => self.world.deploy(&namespace, &name, replicas, spec),
            Life::Guard(namespace, name, app, field, rule) => self.world.guard(&namespace, &name, &app, (field, rule)),
            Life::Scale(namespace, name, replicas) => self.world.scale(&namespace, &name, replicas),
            Life::RollOut(namespace, name, spec) => self.world.roll_out(&namespace, &name, spec),
            Life::BarePod(namespace, name, spec) => self.world.bare_pod(&namespace, &name, &spec),
            Life::Arrive(name, spec, span) => {
                if let Some(set) = self.world.keep("Job", "trace", &name, &spec) {
                    self.arrived.insert(name.clone(), set);
                    self.queue.push(later(self.world.now, span), Happening::Life(Box::new(Life::Depart(name))));
                }
            }
            Life::Depart(name) => {
                if let Some(set) = self.arrived.remove(&name) {
                    self.world.end(set);
                }
            }
            Life::Interrupt(number, notice) => {
                if let Some(node) = self.some_node(number) {
                    self.report.tell(self.world.now, format!("the cloud takes {node} back in {notice}"));
                    self.world.interrupt(&node, notice);
                }
            }
            Life::Request(number) => {
                if let Some(node) = self.some_node(number) {
                    self.request(&node, true);
                }
            }
            Life::TakeBack => {
                let nodes: Vec<Text> = self.world.snapshot.nodes().map(|(_, node)| node.name.clone()).collect();
                nodes.iter().for_each(|node| self.request(node, false));
            }
            Life::Kill => {
                if let Some((replica, _)) = self.leader {
                    self.depose(LEASE);
                    self.replicas[replica].restart();
                    self.alive[replica] = false;
                    let back = self.chance.millis(5_000, 60_000);
                    self.queue.push(later(self.world.now, back), Happening::Back(replica));
                }
            }
            Life::Cut(span) => {
                if let Some((replica, _)) = self.leader {
                    self.report.tell(self.world.now, format!("replica {replica} is cut off for {span}"));
                    self.cut[replica] = Some(self.world.now);
                    self.queue.push(later(self.world.now, span), Happening::Healed(replica));
                    self.wake(later(self.world.now, RENEW));
                }
            }
            Life::Configure(settings) => self.settings = *settings,
        }
    }

    /// A node that is there, by any number.
    fn some_node(&self, number: u64) -> Option<Text> {
        let names: Vec<&Text> = self.world.snapshot.nodes().map(|(_, node)| &node.name).collect();
        let at = usize::try_from(number % u64::try_from(names.len().max(1)).unwrap_or(1)).unwrap_or_default();
        names.get(at).copied().cloned()
    }

    fn request(&mut self, node: &str, wanted: bool) {
        let _ = self.world.store.update("nodes", "", node, |object| {
            let Some(annotations) = object["metadata"]["annotations"].as_object_mut() else { return };
            if wanted {
                annotations.insert(well_known::DRAIN_REQUESTED.to_owned(), "somebody wants it gone".into());
            } else {
                annotations.remove(well_known::DRAIN_REQUESTED);
            }
        });
    }

    fn take_sample(&mut self) {
        let now = self.world.now;
        let sample = Sample::of(&self.world, &self.report);
        self.report.samples.push(sample);
        while self.next_sample <= now {
            self.next_sample = later(self.next_sample, self.sample);
        }
    }

    /// Writes down what happens, for a person.
    pub fn verbose(mut self) -> Self {
        self.report.verbose = true;
        self
    }

    /// What has been written down so far, also when a promise is broken.
    pub fn follow(mut self) -> (Result<Report, Broken>, Vec<String>) {
        self.report.verbose = true;
        self.report.shared = Some(std::rc::Rc::default());
        let story = self.report.shared.clone();
        let done = self.finish(&mut |_| {});
        (done, story.map(|story| story.borrow().clone()).unwrap_or_default())
    }
}
