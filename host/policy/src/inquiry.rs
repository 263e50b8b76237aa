//! Asks the policies of a point in turn.

use std::sync::Arc;

use plimsoll_model::{Bytes, Snapshot};
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict};
use plimsoll_planner::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use plimsoll_planner::scale_up::{ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_planner::{Asked, CallOutcome, CsrPolicy, DrainPolicy, Point, PolicyCall, ScaleUpPolicy};

use crate::registry::{Answers, Member, Registry};
use crate::{Mode, OnError, Run};

/// What a policy had to say.
enum Reply<V> {
    Verdict(V),
    Pass,
    /// It failed, or could not be asked.
    Nothing,
}

impl<P: Answers> ScaleUpPolicy for Registry<P> {
    fn choose(&self, snapshot: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Asked<ScaleUpVerdict> {
        let subject = format!("round {}", question.round);
        self.inquire(Point::ScaleUp, &subject, |program| program.choose(snapshot, question))
    }
}

impl<P: Answers> DrainPolicy for Registry<P> {
    fn order_nodes(&self, snapshot: &Arc<Snapshot>, question: &NodesQuestion) -> Asked<NodesVerdict> {
        self.inquire(Point::Drain, "nodes", |program| program.order_nodes(snapshot, question))
    }

    fn order_pods(&self, snapshot: &Arc<Snapshot>, question: &PodsQuestion) -> Asked<Vec<PodTurn>> {
        self.inquire(Point::Drain, &question.node.name, |program| program.order_pods(snapshot, question))
    }
}

impl<P: Answers> CsrPolicy for Registry<P> {
    fn review(&self, snapshot: &Arc<Snapshot>, question: &CsrQuestion) -> Asked<CsrVerdict> {
        self.inquire(Point::CsrApproval, &question.name, |program| program.review(snapshot, question))
    }
}

impl<P: Answers> Registry<P> {
    /// Asks one policy after the other until one answers, or fails and nobody else may; then the shadows.
    fn inquire<V>(&self, point: Point, subject: &str, put: impl Fn(&P) -> Run<V>) -> Asked<V> {
        let mut calls = Vec::new();
        let mut verdict = None;
        let members = self.members(point);
        let (shadows, active): (Vec<_>, Vec<_>) = members.iter().partition(|member| member.mode == Mode::Shadow);
        for member in active {
            match (self.ask(point, subject, member, &put, &mut calls), member.on_error) {
                (Reply::Verdict(answer), _) => {
                    verdict = Some(answer);
                    break;
                }
                (Reply::Nothing, OnError::Hold) => break,
                (Reply::Pass, _) | (Reply::Nothing, OnError::Next) => {}
            }
        }
        for member in shadows {
            self.ask(point, subject, member, &put, &mut calls);
        }
        Asked { verdict, calls }
    }

    /// Asks one policy. One that cannot be asked is taken down too: why it had no say belongs to the decision.
    fn ask<V>(
        &self,
        point: Point,
        subject: &str,
        Member { lineage, mode, .. }: &Member<P>,
        put: impl Fn(&P) -> Run<V>,
        calls: &mut Vec<PolicyCall>,
    ) -> Reply<V> {
        let mut call = PolicyCall {
            point,
            subject: subject.into(),
            policy: lineage.name().clone(),
            digest: Default::default(),
            generation: 0,
            shadow: *mode == Mode::Shadow,
            micros: 0,
            peak_memory: Bytes(0),
            outcome: CallOutcome::Passed,
            log: Vec::new(),
            log_dropped: 0,
        };
        let reply = match lineage.answerer(point, self.now()) {
            Ok(generation) => {
                let Run { result, micros, peak_memory, log, log_dropped } = put(&generation.program);
                lineage.record(point, generation.number, result.as_ref().err(), self.now());
                (call.digest, call.generation) = (generation.digest.clone(), generation.number);
                (call.micros, call.peak_memory, call.log, call.log_dropped) = (micros, peak_memory, log, log_dropped);
                match result {
                    Ok(Some(answer)) => {
                        call.outcome = CallOutcome::Answered;
                        Reply::Verdict(answer)
                    }
                    Ok(None) => Reply::Pass,
                    Err(failure) => {
                        let (label, sentence) = (failure.label(), failure.to_string());
                        call.outcome = CallOutcome::Failed { label, sentence };
                        Reply::Nothing
                    }
                }
            }
            Err(absence) => {
                (call.digest, call.generation) = (absence.digest, absence.generation);
                call.outcome = CallOutcome::Failed { label: absence.label, sentence: absence.sentence };
                Reply::Nothing
            }
        };
        calls.push(call);
        reply
    }
}
