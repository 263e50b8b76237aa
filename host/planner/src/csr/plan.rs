//! Every signing request with its verdict.

use std::collections::HashMap;
use std::sync::Arc;

use plimsoll_model::{CsrState, Millis, SigningRequest, Snapshot, Text, Timestamp};

use super::decode::{Decoded, decode};
use super::forged::forged;
use super::inventory::Inventory;
use super::pem;
use super::verify::Case;
use super::{Check, CsrQuestion, CsrRules, CsrVerdict, Finding, KubeletSigner, MachineFacts, Outcome};
use crate::{CsrPolicy, PolicyCall};

/// Bytes of `spec.request`: kubelets need 1 to 2 KiB.
const LARGEST: usize = 64 << 10;
/// Requests may pile up to one for each machine or node and this many more (cluster-machine-approver).
const FLOOD_MARGIN: usize = 100;
/// Those made in this time count.
const FLOOD_TIME: Millis = Millis(3_600_000);

/// What becomes of the signing requests.
#[derive(Clone, Debug, Default)]
pub struct CsrPlan {
    /// One for each request, in the order of names.
    pub decisions: Vec<CsrDecision>,
    /// What the host changed in the answers, each a sentence.
    pub clipped: Vec<String>,
    /// Every policy call.
    pub calls: Vec<PolicyCall>,
}

/// What becomes of one signing request.
#[derive(Clone, Debug)]
pub struct CsrDecision {
    /// The request's name.
    pub name: Text,
    /// What is done with it, and why.
    pub verdict: CsrVerdict,
    /// The host's checks in their order, up to the one that made the rest pointless.
    pub findings: Vec<Finding>,
}

/// Plans again and again: what a request says is read and verified once, not once for each snapshot.
#[derive(Debug, Default)]
pub struct CsrPlanner {
    read: HashMap<Text, Known>,
}

/// The bytes of a request and what they say.
type Known = (Vec<u8>, Arc<Reading>);

/// What a request says, or which check it failed and why.
type Reading = Result<Decoded, (Check, String)>;

/// Decides about every signing request of a snapshot. None holds up another.
pub fn plan_csrs(snapshot: &Arc<Snapshot>, now: Timestamp, rules: &CsrRules, policy: &dyn CsrPolicy) -> CsrPlan {
    CsrPlanner::default().plan(snapshot, now, rules, policy)
}

/// What the decisions of one snapshot share.
struct Round<'a> {
    snapshot: &'a Arc<Snapshot>,
    inventory: Inventory<'a>,
    now: Timestamp,
    rules: &'a CsrRules,
    policy: &'a dyn CsrPolicy,
    /// How many requests are pending, if those are too many.
    flood: Option<String>,
}

// === impl CsrDecision ===

impl CsrDecision {
    /// The checks that rule approval out, each a sentence.
    pub fn problems(&self) -> Vec<String> {
        problems(&self.findings)
    }
}

// === impl CsrPlanner ===

impl CsrPlanner {
    /// The same as [`plan_csrs`], at the cost of what has changed.
    pub fn plan(
        &mut self,
        snapshot: &Arc<Snapshot>,
        now: Timestamp,
        rules: &CsrRules,
        policy: &dyn CsrPolicy,
    ) -> CsrPlan {
        let mut plan = CsrPlan::default();
        let round =
            Round { snapshot, inventory: Inventory::of(snapshot), now, rules, policy, flood: flood(snapshot, now) };
        let mut read = HashMap::new();
        for request in snapshot.signing_requests() {
            let mut findings = Vec::new();
            let verdict = match round.worth_reading(request, &mut findings) {
                Err(reason) => CsrVerdict::Leave(reason),
                Ok(signer) => {
                    let (bytes, reading) = self.reading(request);
                    let verdict = round.decide(request, signer, &reading, &mut findings, &mut plan);
                    if bytes.len() <= LARGEST {
                        read.insert(request.name.clone(), (bytes, reading));
                    }
                    verdict
                }
            };
            plan.decisions.push(CsrDecision { name: request.name.clone(), verdict, findings });
        }
        self.read = read;
        plan
    }

    fn reading(&mut self, request: &SigningRequest) -> Known {
        match self.read.remove(&request.name) {
            Some(known) if known.0 == request.pem => known,
            _ => (request.pem.clone(), Arc::new(read(&request.pem))),
        }
    }
}

fn read(bytes: &[u8]) -> Reading {
    if bytes.len() > LARGEST {
        return Err((Check::Size, format!("it has {} bytes, more than {LARGEST}", bytes.len())));
    }
    let contents = pem::contents(bytes).map_err(|flaw| (Check::Pem, flaw))?;
    decode(&contents).map_err(|flaw| (Check::Der, flaw))
}

/// Why nothing is approved now, as a sentence.
fn flood(snapshot: &Snapshot, now: Timestamp) -> Option<String> {
    let recent = |request: &SigningRequest| request.created.is_none_or(|created| now.since(created) <= FLOOD_TIME);
    let counts = |request: &&SigningRequest| {
        request.state == CsrState::Pending && KubeletSigner::of(&request.signer).is_some() && recent(request)
    };
    let pending = snapshot.signing_requests().iter().filter(counts).count();
    let limit = snapshot.machines().len().max(snapshot.node_count()) + FLOOD_MARGIN;
    (pending > limit)
        .then(|| format!("{pending} requests of the last hour are pending, more than {limit}; all are left"))
}

fn problems(findings: &[Finding]) -> Vec<String> {
    let failed = findings.iter().filter(|finding| finding.outcome != Outcome::Passed);
    failed.map(|finding| finding.detail.clone()).collect()
}

// === impl Round ===

impl<'a> Round<'a> {
    /// What costs nothing to find out. The error is a sentence.
    fn worth_reading(&self, request: &SigningRequest, findings: &mut Vec<Finding>) -> Result<KubeletSigner, String> {
        let mut check = |check: Check, detail: Result<String, String>| {
            let outcome = if detail.is_ok() { Outcome::Passed } else { Outcome::Failed };
            let text = detail.clone().unwrap_or_else(|flaw| flaw);
            findings.push(Finding { check, outcome, detail: text });
            detail.map(drop)
        };
        let state = match request.state {
            CsrState::Pending => Ok("it is pending".to_owned()),
            CsrState::Approved => Err("it is approved already".to_owned()),
            CsrState::Denied => Err("it is denied already".to_owned()),
            CsrState::Failed => Err("it was approved, but the signer could not sign it".to_owned()),
        };
        check(Check::State, state)?;
        let signer = KubeletSigner::of(&request.signer);
        let known = signer.ok_or_else(|| format!("signer {} is not for kubelets", request.signer));
        check(Check::Signer, known.as_ref().map(|_| request.signer.to_string()).map_err(Clone::clone))?;
        check(Check::Flood, self.flood.clone().map_or_else(|| Ok("there are not too many".to_owned()), Err))?;
        known
    }

    fn decide(
        &self,
        request: &'a SigningRequest,
        signer: KubeletSigner,
        reading: &Reading,
        findings: &mut Vec<Finding>,
        plan: &mut CsrPlan,
    ) -> CsrVerdict {
        let flawed = reading.as_ref().err().map(|(check, _)| *check);
        for check in [Check::Size, Check::Pem, Check::Der] {
            if flawed == Some(check) {
                break;
            }
            findings.push(Finding { check, outcome: Outcome::Passed, detail: check.sentence().to_owned() });
        }
        let decoded = match reading {
            Ok(decoded) => decoded,
            Err((check, flaw)) => {
                findings.push(Finding { check: *check, outcome: Outcome::Failed, detail: flaw.clone() });
                return CsrVerdict::Leave(flaw.clone());
            }
        };
        let (snapshot, inventory, rules, now) = (self.snapshot, &self.inventory, self.rules, self.now);
        let case = Case { request, signer, decoded, snapshot, inventory, rules, now };
        findings.extend(case.findings());
        if let Some(reason) = forged(request, decoded).filter(|_| rules.deny_forged) {
            return CsrVerdict::Deny(format!("forged: {reason}"));
        }
        let problems = problems(findings);
        let question = self.question(&case, problems.clone());
        let asked = self.policy.review(snapshot, &question);
        plan.calls.extend(asked.calls);
        match asked.verdict {
            Some(CsrVerdict::Deny(reason)) => CsrVerdict::Deny(reason),
            answer if !problems.is_empty() => {
                let all = problems.join("; ");
                if matches!(answer, Some(CsrVerdict::Approve(_))) {
                    plan.clipped.push(format!("{}: approved by the policy, but {all}", request.name));
                }
                if findings.iter().any(|finding| finding.outcome == Outcome::Failed) {
                    CsrVerdict::Leave(format!("it fails the identity checks: {all}"))
                } else {
                    CsrVerdict::Retry(format!("too little is known yet: {all}"))
                }
            }
            None => CsrVerdict::Leave("no policy answered; see decisions".to_owned()),
            Some(answer) => answer,
        }
    }

    fn question(&self, case: &Case<'a>, problems: Vec<String>) -> CsrQuestion {
        let Case { request, decoded, .. } = case;
        let name = case.node_name();
        let node = self.snapshot.find_node(name).filter(|(_, node)| !node.launching).map(|(id, _)| id);
        CsrQuestion {
            now: self.now,
            seed: self.snapshot.seed(),
            name: request.name.clone(),
            signer: case.signer,
            node_name: name.to_owned(),
            requester: case.requester(),
            username: request.username.clone(),
            groups: request.groups.clone(),
            dns_names: decoded.dns_names.clone(),
            ip_addresses: decoded.ip_addresses.iter().map(ToString::to_string).collect(),
            expiration_seconds: request.expiration_seconds,
            age: request.created.map(|created| self.now.since(created)),
            machine: case.machine().map(|machine| MachineFacts {
                name: machine.name.clone(),
                group: machine.group.clone(),
                launched: machine.created,
                joined: node.is_some(),
                terminating: machine.deleting,
            }),
            node,
            problems,
        }
    }
}
