//! Every signing request with its verdict.

use std::sync::Arc;

use plimsoll_model::{CsrState, SigningRequest, Snapshot, Text, Timestamp};

use super::decode::decode;
use super::verify::{machine_of, node_name, problems, requester};
use super::{CsrQuestion, CsrVerdict, KubeletSigner, MachineFacts};
use crate::{CsrPolicy, PolicyCall};

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
    /// The identity checks that failed.
    pub problems: Vec<String>,
}

/// Decides about every signing request of a snapshot. None holds up another.
pub fn plan_csrs(snapshot: &Arc<Snapshot>, now: Timestamp, policy: &dyn CsrPolicy) -> CsrPlan {
    let mut plan = CsrPlan::default();
    for request in snapshot.signing_requests() {
        let (verdict, problems) = match question(snapshot, request, now) {
            Err(reason) => (CsrVerdict::Leave(reason), Vec::new()),
            Ok(question) => {
                let asked = policy.review(snapshot, &question);
                plan.calls.extend(asked.calls);
                let verdict = match asked.verdict {
                    None => CsrVerdict::Leave("no policy answered; see decisions".to_owned()),
                    Some(CsrVerdict::Approve(_)) if !question.problems.is_empty() => {
                        let first = question.problems.join("; ");
                        plan.clipped.push(format!("{}: approved by the policy, but {first}", request.name));
                        CsrVerdict::Leave(format!("it fails the identity checks: {first}"))
                    }
                    Some(verdict) => verdict,
                };
                (verdict, question.problems)
            }
        };
        plan.decisions.push(CsrDecision { name: request.name.clone(), verdict, problems });
    }
    plan
}

/// The question about one request, or why there is none to ask.
fn question(snapshot: &Snapshot, request: &SigningRequest, now: Timestamp) -> Result<CsrQuestion, String> {
    match request.state {
        CsrState::Pending => {}
        CsrState::Approved => return Err("it is approved already".to_owned()),
        CsrState::Denied => return Err("it is denied already".to_owned()),
        CsrState::Failed => return Err("it was approved, but the signer could not sign it".to_owned()),
    }
    let signer =
        KubeletSigner::of(&request.signer).ok_or_else(|| format!("signer {} is not for kubelets", request.signer))?;
    let decoded = decode(&request.pem)?;
    let problems = problems(request, signer, &decoded, snapshot);
    let name = node_name(&decoded).unwrap_or_default();
    let node = snapshot.find_node(name).map(|(id, _)| id);
    Ok(CsrQuestion {
        now,
        seed: snapshot.seed(),
        name: request.name.clone(),
        signer,
        node_name: name.to_owned(),
        requester: requester(request, name),
        username: request.username.clone(),
        groups: request.groups.clone(),
        dns_names: decoded.dns_names.clone(),
        ip_addresses: decoded.ip_addresses.iter().map(ToString::to_string).collect(),
        expiration_seconds: request.expiration_seconds,
        age: request.created.map(|created| now.since(created)),
        machine: machine_of(snapshot, name).map(|machine| MachineFacts {
            name: machine.name.clone(),
            group: machine.group.clone(),
            launched: machine.created,
            joined: node.is_some(),
            terminating: machine.deleting,
        }),
        node,
        problems,
    })
}
