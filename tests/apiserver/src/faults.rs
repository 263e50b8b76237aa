//! What goes wrong on purpose.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use crate::store::{Objects, Store};

/// The faults of a server. Copies are the same faults.
#[derive(Clone, Debug)]
pub struct Faults {
    store: Store,
    plan: Arc<Mutex<Plan>>,
    changed: Arc<watch::Sender<()>>,
}

/// Which requests a fault is for.
#[derive(Clone, Debug)]
pub struct Rule {
    verb: String,
    resource: String,
    name: Option<String>,
    user: Option<String>,
    agent: Option<String>,
    times: Option<u32>,
}

/// What goes wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The request waits before anything is done.
    Latency(Duration),
    /// The connection is closed and nothing was done.
    DropBeforeWrite,
    /// What was asked for is done, and the connection is closed without an answer.
    DropAfterWrite,
    /// This code is answered and nothing was done.
    Status {
        /// The HTTP code.
        code: u16,
        /// Seconds for the header `Retry-After`.
        retry_after: Option<u64>,
    },
    /// A watch is cut in the middle of its next line.
    CutWatchMidLine,
}

/// Names a rule, to take it back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct RuleId(u64);

/// Who is cut off by a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// The user of this name.
    User(String),
    /// Clients whose user agent contains this.
    Agent(String),
    /// Everybody.
    All,
}

/// How a partition shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Partition {
    /// Connections are closed at once, running watches too.
    Refuse,
    /// Nothing comes back, neither answers nor events, until it heals.
    Silent,
}

/// What is known of a request when faults are chosen.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    pub(crate) verb: String,
    /// `pods`, `pods/eviction`.
    pub(crate) resource: String,
    pub(crate) name: String,
    pub(crate) user: String,
    pub(crate) agent: String,
}

/// The state of the cluster that lists are answered from while they are stale.
#[derive(Clone, Debug)]
pub(crate) struct Stale {
    pub(crate) revision: u64,
    pub(crate) collections: Vec<Objects>,
}

/// What happens to a request.
#[derive(Clone, Debug, Default)]
pub(crate) struct Strike {
    pub(crate) latency: Duration,
    pub(crate) fault: Option<Fault>,
}

#[derive(Debug, Default)]
struct Plan {
    rules: Vec<(RuleId, Rule, Fault)>,
    next: u64,
    partitions: Vec<(Who, Partition)>,
    cuts: Vec<(u64, String)>,
    stale: Option<Arc<Stale>>,
}

// === impl Faults ===

impl Faults {
    pub(crate) fn new(store: Store) -> Self {
        Self { store, plan: Arc::default(), changed: Arc::new(watch::Sender::new(())) }
    }

    /// From now on `fault` happens to the requests of `rule`. Of several rules the first one counts; latencies add up.
    pub fn add(&self, rule: Rule, fault: Fault) -> RuleId {
        let mut plan = self.plan();
        plan.next += 1;
        let id = RuleId(plan.next);
        plan.rules.push((id, rule, fault));
        id
    }

    /// Takes a rule back.
    pub fn remove(&self, id: RuleId) {
        self.plan().rules.retain(|(known, ..)| *known != id);
    }

    /// Takes everything back: rules, partitions, stale lists.
    pub fn clear(&self) {
        {
            let mut plan = self.plan();
            plan.rules.clear();
            plan.partitions.clear();
            plan.stale = None;
        }
        self.changed.send_replace(());
    }

    /// Cuts the running watches of a resource (`*` for all) in the middle of a line.
    pub fn cut_watches(&self, resource: &str) {
        {
            let mut plan = self.plan();
            plan.next += 1;
            let moment = plan.next;
            plan.cuts.push((moment, resource.to_owned()));
        }
        self.changed.send_replace(());
    }

    /// While on, reads that allow any version (`resourceVersion=0`) see the cluster as it is now.
    pub fn stale_lists(&self, on: bool) {
        let stale = on.then(|| {
            let state = self.store.lock();
            let collections = state.collections.iter().map(|collection| collection.objects.clone()).collect();
            Arc::new(Stale { revision: state.revision(), collections })
        });
        self.plan().stale = stale;
    }

    /// Cuts somebody off.
    pub fn partition(&self, who: Who, how: Partition) {
        self.plan().partitions.push((who, how));
        self.changed.send_replace(());
    }

    /// Ends all partitions.
    pub fn heal(&self) {
        self.plan().partitions.clear();
        self.changed.send_replace(());
    }

    /// What happens to this request. Rules that count down do so.
    pub(crate) fn strike(&self, asked: &Asked) -> Strike {
        let mut strike = Strike::default();
        let mut plan = self.plan();
        for (_, rule, fault) in &mut plan.rules {
            if rule.times == Some(0) || !rule.is_for(asked) {
                continue;
            }
            match fault {
                Fault::Latency(span) => strike.latency += *span,
                Fault::CutWatchMidLine if asked.verb != "watch" => continue,
                _ if strike.fault.is_some() => continue,
                fault => strike.fault = Some(fault.clone()),
            }
            if let Some(times) = &mut rule.times {
                *times -= 1;
            }
        }
        plan.rules.retain(|(_, rule, _)| rule.times != Some(0));
        strike
    }

    /// How this client is cut off, if it is.
    pub(crate) fn partitioned(&self, asked: &Asked) -> Option<Partition> {
        let plan = self.plan();
        let hit = |who: &Who| match who {
            Who::User(name) => *name == asked.user,
            Who::Agent(part) => asked.agent.contains(part.as_str()),
            Who::All => true,
        };
        plan.partitions.iter().find(|(who, _)| hit(who)).map(|(_, how)| *how)
    }

    /// Whether the watches of a resource were cut since `moment`.
    pub(crate) fn was_cut(&self, since: u64, resource: &str) -> bool {
        self.plan().cuts.iter().any(|(moment, cut)| *moment > since && (cut == "*" || cut == resource))
    }

    /// Now, in the order of cuts.
    pub(crate) fn moment(&self) -> u64 {
        self.plan().next
    }

    /// What stale reads see.
    pub(crate) fn stale(&self) -> Option<Arc<Stale>> {
        self.plan().stale.clone()
    }

    /// Told when partitions or cuts change.
    pub(crate) fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Rule ===

impl Rule {
    /// For requests with a verb (`get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`) on a
    /// resource (`pods`, `pods/eviction`); `*` stands for any.
    pub fn on(verb: &str, resource: &str) -> Self {
        Self { verb: verb.to_owned(), resource: resource.to_owned(), name: None, user: None, agent: None, times: None }
    }

    /// Only about the object of this name.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self }
    }

    /// Only from this user.
    #[must_use]
    pub fn by(self, user: &str) -> Self {
        Self { user: Some(user.to_owned()), ..self }
    }

    /// Only from clients whose user agent contains `part`.
    #[must_use]
    pub fn agent(self, part: &str) -> Self {
        Self { agent: Some(part.to_owned()), ..self }
    }

    /// Only for the next `times` requests.
    #[must_use]
    pub fn times(self, times: u32) -> Self {
        Self { times: Some(times), ..self }
    }

    fn is_for(&self, asked: &Asked) -> bool {
        let any = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        any(&self.verb, &asked.verb)
            && any(&self.resource, &asked.resource)
            && self.name.as_ref().is_none_or(|name| *name == asked.name)
            && self.user.as_ref().is_none_or(|user| *user == asked.user)
            && self.agent.as_ref().is_none_or(|agent| asked.agent.contains(agent.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::WallClock;

    fn asked(verb: &str, resource: &str) -> Asked {
        Asked { verb: verb.to_owned(), resource: resource.to_owned(), ..Asked::default() }
    }

    #[test]
    fn a_rule_strikes_as_often_as_it_says_and_only_its_requests() {
        let faults = Faults::new(Store::new(10, Arc::new(WallClock)));
        faults.add(Rule::on("update", "leases").times(2), Fault::DropAfterWrite);
        faults.add(Rule::on("*", "*"), Fault::Latency(Duration::from_secs(1)));
        assert_eq!(faults.strike(&asked("get", "leases")).fault, None);
        for expected in [Some(Fault::DropAfterWrite), Some(Fault::DropAfterWrite), None] {
            let strike = faults.strike(&asked("update", "leases"));
            assert_eq!((strike.fault, strike.latency), (expected, Duration::from_secs(1)));
        }
    }

    #[test]
    fn a_cut_is_for_the_watches_that_run_at_the_time() {
        let faults = Faults::new(Store::new(10, Arc::new(WallClock)));
        let before = faults.moment();
        faults.cut_watches("pods");
        assert!(faults.was_cut(before, "pods"));
        assert!(!faults.was_cut(before, "nodes"));
        assert!(!faults.was_cut(faults.moment(), "pods"));
    }
}
