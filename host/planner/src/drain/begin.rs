//! How a drain begins: the policy orders the pods, and the timetable is made.

use plimsoll_model::{PodId, Text, Timestamp};

use super::candidate::{Replicas, candidate, drain_pod};
use super::plan::Given;
use super::planned::answered_by;
use super::timetable::{Pace, timetable};
use super::{Candidate, Forced, PlannedDrain, PodTurn, PodsQuestion, ScaleDownPlan};
use crate::clipped::note;

/// What a policy said of the pods of a node.
struct Ordered {
    question: PodsQuestion,
    pace: Pace,
    turns: Option<Vec<PodTurn>>,
    policy: Option<Text>,
}

impl Given<'_> {
    /// The drain of a node that has to go. It does not wait for a policy that has no answer.
    pub fn forced_drain(&self, forced: &Forced, pods: &[PodId], plan: &mut ScaleDownPlan) -> PlannedDrain {
        let group = self.group_of(forced.node);
        let found = candidate(self.snapshot, &mut Replicas::default(), group, forced.node, pods, self.now);
        let node = Candidate { cause: forced.cause, deadline: forced.deadline, ..found };
        let deadline = self.deadline(forced);
        let mut ordered = self.ask(&node, deadline, pods, plan);
        if ordered.turns.is_none() {
            note(&mut plan.clipped, || format!("{}: no policy ordered its pods; they leave by name", node.name));
            ordered.turns = Some(ordered.question.pods.iter().map(|pod| PodTurn::plain(pod.pod)).collect());
        }
        self.planned(&node, forced.reason.clone(), deadline, ordered, plan)
    }

    /// The drain of a node that goes to save; `None` if no policy orders its pods.
    pub fn drain(
        &self,
        node: &Candidate,
        reason: String,
        pods: &[PodId],
        plan: &mut ScaleDownPlan,
    ) -> Option<PlannedDrain> {
        let timeout = self.timeout(self.group_of(node.node));
        let deadline = Timestamp(self.now.0.saturating_add(timeout.0));
        let ordered = self.ask(node, deadline, pods, plan);
        ordered.turns.is_some().then(|| self.planned(node, reason, deadline, ordered, plan))
    }

    /// Asks for the order of the pods; without any there is nothing to ask. Where more time is announced than a drain
    /// is given, the evictions do not take longer than that.
    fn ask(&self, node: &Candidate, deadline: Timestamp, pods: &[PodId], plan: &mut ScaleDownPlan) -> Ordered {
        let timeout = deadline.since(self.now).min(self.timeout(self.group_of(node.node)));
        let pace = Pace::of(self.config, timeout);
        let question = PodsQuestion {
            now: self.now,
            seed: self.snapshot.seed(),
            node: node.clone(),
            pods: pods.iter().map(|&pod| drain_pod(self.snapshot, pod)).collect(),
            spacing: pace.spacing(pods.len()),
            timeout,
        };
        if pods.is_empty() {
            return Ordered { question, pace, turns: Some(Vec::new()), policy: None };
        }
        let asked = self.policy.order_pods(self.snapshot, &question);
        let policy = asked.verdict.is_some().then(|| answered_by(&asked.calls)).flatten();
        plan.calls.extend(asked.calls);
        Ordered { question, pace, turns: asked.verdict, policy }
    }

    fn planned(
        &self,
        node: &Candidate,
        reason: String,
        deadline: Timestamp,
        ordered: Ordered,
        plan: &mut ScaleDownPlan,
    ) -> PlannedDrain {
        let Ordered { question, pace, turns, policy } = ordered;
        let mut clipped = Vec::new();
        let evictions = timetable(pace, &question.pods, &turns.unwrap_or_default(), &mut clipped);
        for sentence in clipped {
            note(&mut plan.clipped, || format!("{}: {sentence}", node.name));
        }
        PlannedDrain {
            node: node.node,
            group: node.group.clone(),
            cause: node.cause,
            reason,
            savings: node.savings,
            deadline,
            spacing: question.spacing,
            policy,
            evictions,
        }
    }
}
