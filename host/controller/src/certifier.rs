//! Verdicts about kubelet certificates, and what comes of them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_kube::{
    Approval, ApprovalOutcome, EventReason, Feature, JudgedRequest, MirrorHandle, Permit, Purpose, Regarding, Unknown,
    Watched, decide_request,
};
use plimsoll_model::{CsrState, SigningRequest, Snapshot, Text, Timestamp};
use plimsoll_planner::csr::{CsrDecision, CsrPlan, CsrPlanner, CsrRules, CsrVerdict, KubeletSigner};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use crate::telling;
use crate::{DecisionId, DecisionStatus, Parts, Subject, rfc3339};

/// Requests that wait are looked at this often even if nothing has changed: windows of time end.
const TICK: Duration = Duration::from_secs(10);
/// The name of the loop for the probes.
const LOOP: &str = "csr-approval";
/// Waiting requests that the status names.
const LISTED: usize = 20;

/// Decides about signing requests while this replica leads.
pub struct Certifier {
    parts: Parts,
    mirror: MirrorHandle,
    planner: CsrPlanner,
    /// What was said of each waiting request last, so that it is said once.
    said: HashMap<Text, CsrVerdict>,
    /// Requests whose verdict is on its way.
    sent: HashMap<Text, u64>,
    judged: Option<Seen>,
    tell: mpsc::UnboundedSender<(Text, u64)>,
    told: mpsc::UnboundedReceiver<(Text, u64)>,
}

/// What the last verdicts were made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    snapshot: (u64, u64),
    settings: u64,
    policies: u64,
    term: u64,
    /// Windows of time end: looked at again in the next one.
    tick: u64,
}

impl Certifier {
    /// A loop that has not begun.
    pub fn new(parts: Parts) -> Self {
        let (tell, told) = mpsc::unbounded_channel();
        Self {
            mirror: parts.mirror.clone(),
            parts,
            planner: CsrPlanner::default(),
            said: HashMap::new(),
            sent: HashMap::new(),
            judged: None,
            tell,
            told,
        }
    }

    /// Comes round whenever something has changed, until told to stop.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut mirror = self.mirror.clone();
        let mut leadership = self.parts.leadership.clone();
        let mut settings = self.parts.settings.clone();
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !stop.is_cancelled() {
            self.parts.health.beat(LOOP);
            self.turn().await;
            tokio::select! {
                () = stop.cancelled() => {},
                Ok(()) = mirror.changed() => {},
                () = leadership.changed() => {},
                Ok(()) = settings.changed() => {},
                Some((name, term)) = self.told.recv() => {
                    if self.sent.get(&name) == Some(&term) {
                        self.sent.remove(&name);
                    }
                },
                _ = ticks.tick() => {},
            }
        }
        self.parts.health.retire(LOOP);
    }

    async fn turn(&mut self) {
        let Some(view) = self.mirror.latest() else { return };
        let snapshot = view.snapshot.clone();
        let now = self.parts.now();
        let waiting: Vec<&SigningRequest> =
            snapshot.signing_requests().iter().filter(|request| waits(request)).collect();
        let oldest = waiting.iter().filter_map(|request| request.created).min();
        let oldest = oldest.map_or(0.0, |oldest| Duration::from_millis(now.since(oldest).0).as_secs_f64());
        self.parts.metrics.certificates_waiting(waiting.len(), oldest);
        let settings = self.parts.settings.borrow().clone();
        let (Some(rules), Some(term)) = (&settings.certificates, self.parts.leadership.term()) else {
            self.said.clear();
            return;
        };
        if waiting.is_empty() || !self.parts.features.is_on(Feature::CsrApproval) {
            self.said.clear();
            self.parts.status.update(|status| status.certificates.clear());
            return;
        }
        let seen = Seen {
            snapshot: (snapshot.lineage(), snapshot.version()),
            settings: settings.revision,
            policies: self.parts.policies.revision(),
            term,
            tick: now.0 / u64::try_from(TICK.as_millis()).unwrap_or(1),
        };
        if self.judged == Some(seen) {
            return;
        }
        self.judged = Some(seen);
        let rules = CsrRules { unknown: self.unknown(&view.unknown), ..rules.clone() };
        let id = DecisionId::new(Subject::Certificates, &snapshot, now);
        let span = tracing::info_span!("decision", decision = %id, subject = Subject::Certificates.label());
        self.judge(&snapshot, rules, now, &id).instrument(span).await;
    }

    /// Why machines or nodes may be missing, as a sentence.
    fn unknown(&self, unknown: &Unknown) -> Option<String> {
        if !unknown.knows(Watched::Nodes) {
            return Some("not every node could be read".to_owned());
        }
        let heard = self.parts.heard.borrow();
        if self.parts.provider.is_some() && heard.inventory.is_none() {
            return Some("the provider has not yet said which machines it launched".to_owned());
        }
        None
    }

    async fn judge(&mut self, snapshot: &Arc<Snapshot>, rules: CsrRules, now: Timestamp, id: &DecisionId) {
        let begin = Instant::now();
        let mut planner = std::mem::take(&mut self.planner);
        let (shared, policies) = (snapshot.clone(), self.parts.policies.clone());
        let span = tracing::Span::current();
        let work = tokio::task::spawn_blocking(move || {
            let _inside = span.enter();
            let plan = planner.plan(&shared, now, &rules, policies.as_ref());
            (planner, plan)
        });
        let Ok((planner, plan)) = work.await else {
            tracing::error!("judging has panicked; nothing is approved");
            return;
        };
        self.planner = planner;
        let mut acted = 0;
        let mut open = HashMap::new();
        for (request, decision) in snapshot.signing_requests().iter().zip(&plan.decisions) {
            if waits(request) && request.name == decision.name {
                self.say(request, decision);
                acted += usize::from(self.act(request, decision, id));
                open.insert(request.name.clone(), decision.verdict.clone());
            }
        }
        self.said = open;
        self.report(&plan, now, begin.elapsed(), acted, id);
    }

    /// Says a verdict that is new.
    fn say(&self, request: &SigningRequest, decision: &CsrDecision) {
        if self.said.get(&request.name) == Some(&decision.verdict) {
            return;
        }
        let (verdict, why) = words(&decision.verdict);
        let signer = KubeletSigner::of(&request.signer).map_or("other", KubeletSigner::label);
        self.parts.metrics.certificate(signer, verdict);
        tracing::info!(csr = %request.name, signer, user = %request.username, verdict, "{why}");
        let reason = match &decision.verdict {
            // Said when it is done.
            CsrVerdict::Approve(_) | CsrVerdict::Deny(_) => return,
            CsrVerdict::Leave(_) | CsrVerdict::Retry(_) => EventReason::CsrLeft,
        };
        self.parts.tell(telling::signing_request(request), reason, why, None);
    }

    /// Sends a verdict to the API server. True if it is on its way.
    fn act(&mut self, request: &SigningRequest, decision: &CsrDecision, id: &DecisionId) -> bool {
        let (verdict, why) = match &decision.verdict {
            CsrVerdict::Approve(why) => (Approval::Approve, why),
            CsrVerdict::Deny(why) => (Approval::Deny, why),
            CsrVerdict::Leave(_) | CsrVerdict::Retry(_) => return false,
        };
        let Ok(permit) = self.parts.leadership.permit(Purpose::Effect) else { return false };
        if self.sent.get(&request.name) == Some(&permit.term) {
            return true;
        }
        let judged = JudgedRequest::from(request);
        let about = telling::signing_request(request);
        let (message, id) = (format!("{why} (decision {id})"), id.clone());
        let (parts, tell, name, term) = (self.parts.clone(), self.tell.clone(), request.name.clone(), permit.term);
        let change = async move {
            send(&parts, &permit, verdict, &judged, about, &message, &id).await;
            // Whoever listened has ended with the process.
            let _ = tell.send((name, term));
        };
        if self.parts.effects.submit(change).is_err() {
            return false;
        }
        self.sent.insert(request.name.clone(), term);
        true
    }

    fn report(&self, plan: &CsrPlan, now: Timestamp, took: Duration, acted: usize, id: &DecisionId) {
        for clipped in &plan.clipped {
            tracing::warn!("an answer was changed: {clipped}");
        }
        let seconds = Duration::from_millis(now.0).as_secs_f64();
        self.parts.metrics.decided(Subject::Certificates, seconds, took, acted > 0, plan.clipped.len());
        self.parts.metrics.asked(&plan.calls);
        let mut listed: Vec<(&Text, &CsrVerdict)> = self.said.iter().collect();
        listed.sort_by_key(|(name, _)| *name);
        let certificates = listed.into_iter().take(LISTED).map(|(name, verdict)| {
            let (verdict, why) = words(verdict);
            (name.to_string(), format!("{verdict}: {why}"))
        });
        let certificates = certificates.collect();
        let outcome = format!("{} requests wait, {acted} are decided", self.said.len());
        self.parts.status.update(|status| {
            status.certificates = certificates;
            let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            let decision = DecisionStatus { id: id.to_string(), at: rfc3339(now), took_ms, outcome };
            status.decisions.insert(Subject::Certificates.label().to_owned(), decision);
        });
    }
}

/// A kubelet's request that nobody has decided.
fn waits(request: &SigningRequest) -> bool {
    request.state == CsrState::Pending && KubeletSigner::of(&request.signer).is_some()
}

fn words(verdict: &CsrVerdict) -> (&'static str, &str) {
    match verdict {
        CsrVerdict::Approve(why) => ("approve", why),
        CsrVerdict::Deny(why) => ("deny", why),
        CsrVerdict::Leave(why) => ("leave", why),
        CsrVerdict::Retry(why) => ("retry", why),
    }
}

/// Sends a verdict and says what came of it.
async fn send(
    parts: &Parts,
    permit: &Permit,
    verdict: Approval,
    judged: &JudgedRequest,
    about: Regarding,
    message: &str,
    id: &DecisionId,
) {
    let outcome = decide_request(&parts.api, permit, judged, verdict, message).await;
    let (label, reason) = match verdict {
        Approval::Approve => ("approved", EventReason::CsrApproved),
        Approval::Deny => ("denied", EventReason::CsrDenied),
    };
    match outcome {
        Ok(ApprovalOutcome::Done) => {
            tracing::info!(csr = %judged.name, "{label}: {message}");
            parts.metrics.wrote("csr", "ok");
            parts.tell(about, reason, message, Some(id));
        }
        Ok(other) => {
            tracing::info!(csr = %judged.name, outcome = ?other, "not {label} by this call");
            parts.metrics.wrote("csr", "retry");
        }
        Err(error) => {
            tracing::warn!(csr = %judged.name, %error, "not {label}");
            parts.metrics.wrote("csr", "failed");
            parts.features.failed(&error);
        }
    }
}
