//! `explain csr`: what becomes of signing requests, and every check that was made.

use std::sync::Arc;

use anyhow::{Result, bail};
use comfy_table::Color;
use plimsoll_model::{Snapshot, Timestamp, one_line};
use plimsoll_planner::CsrPolicy;
use plimsoll_planner::csr::{CsrDecision, CsrRules, CsrVerdict, Outcome, plan_csrs};
use serde::Serialize;

use crate::table::{LONGEST, bad, cell, good, heading, plain};

/// Names that are suggested.
const SUGGESTED: usize = 3;
/// How much alike two names must be, of 1, for one to be suggested for the other.
const ALIKE: f64 = 0.8;

/// One request, as `-o json` prints it. Keys are part of the interface.
#[derive(Debug, Serialize)]
pub struct CsrReport {
    csr: String,
    verdict: &'static str,
    reason: String,
    checks: Vec<CheckReport>,
}

/// One check.
#[derive(Debug, Serialize)]
struct CheckReport {
    check: &'static str,
    ok: bool,
    detail: String,
}

/// Every request of a snapshot, or the one of this name, with the verdict of the whole chain: the host's checks and
/// the policies. `enabled` is whether anything would come of it.
pub fn reports(
    snapshot: &Arc<Snapshot>,
    name: Option<&str>,
    rules: &CsrRules,
    enabled: bool,
    now: Timestamp,
    policy: &dyn CsrPolicy,
) -> Result<Vec<CsrReport>> {
    // All of them are planned: too many at once are a reason of their own.
    let plan = plan_csrs(snapshot, now, rules, policy);
    let wanted = |decision: &&CsrDecision| name.is_none_or(|name| *decision.name == *name);
    let all: Vec<CsrReport> = plan.decisions.iter().filter(wanted).map(|one| CsrReport::new(one, enabled)).collect();
    match name {
        Some(name) if all.is_empty() => {
            bail!("there is no signing request {name} in the cluster as it was read{}", suggestions(snapshot, name))
        }
        _ => Ok(all),
    }
}

/// Requests for people: one with all of its checks, several with those that failed.
pub fn tables(reports: &[CsrReport], named: bool) -> String {
    match reports {
        [] => "There is no signing request.".to_owned(),
        [one] if named => one.table(),
        all => overview(all),
    }
}

fn suggestions(snapshot: &Snapshot, name: &str) -> String {
    let all = snapshot.signing_requests().iter();
    let mut alike: Vec<(f64, &str)> =
        all.map(|request| (strsim::jaro_winkler(name, &request.name), request.name.as_str())).collect();
    alike.retain(|(likeness, _)| *likeness >= ALIKE);
    alike.sort_by(|a, b| b.0.total_cmp(&a.0));
    let close: Vec<&str> = alike.into_iter().take(SUGGESTED).map(|(_, name)| name).collect();
    if close.is_empty() { String::new() } else { format!("; did you mean {}?", close.join(" or ")) }
}

fn overview(reports: &[CsrReport]) -> String {
    let mut table = plain(&["REQUEST", "VERDICT", "FAILED", "WHY"]);
    for report in reports {
        let failed: Vec<&str> = report.checks.iter().filter(|check| !check.ok).map(|check| check.check).collect();
        let failed = cell(failed.join(", ")).fg(Color::Yellow);
        table.add_row([cell(&report.csr), report.verdict_cell(), failed, cell(&report.reason)]);
    }
    table.to_string()
}

// === impl CsrReport ===

impl CsrReport {
    fn new(decision: &CsrDecision, enabled: bool) -> Self {
        let (verdict, reason) = match &decision.verdict {
            CsrVerdict::Approve(reason) => ("approve", reason),
            CsrVerdict::Deny(reason) => ("deny", reason),
            CsrVerdict::Leave(reason) => ("leave", reason),
            CsrVerdict::Retry(reason) => ("retry", reason),
        };
        let checks = decision.findings.iter().map(|finding| CheckReport {
            check: finding.check.label(),
            ok: finding.outcome == Outcome::Passed,
            detail: finding.detail.clone(),
        });
        let off = "; certificate approval is off (csr.enabled), so nothing comes of it";
        Self {
            csr: decision.name.to_string(),
            verdict,
            reason: format!("{reason}{}", if enabled { "" } else { off }),
            checks: checks.collect(),
        }
    }

    fn verdict_cell(&self) -> comfy_table::Cell {
        match self.verdict {
            "approve" => good(self.verdict),
            "deny" => bad(self.verdict),
            _ => cell(self.verdict).fg(Color::Yellow),
        }
    }

    fn table(&self) -> String {
        let title = one_line(&format!("{}: {}: {}", self.csr, self.verdict, self.reason), LONGEST).into_owned();
        let mut table = plain(&["CHECK", "", "DETAIL"]);
        for check in &self.checks {
            let mark = if check.ok { good("ok") } else { bad("not ok") };
            table.add_row([cell(check.check), mark, cell(&check.detail)]);
        }
        [title, heading("Checks"), table.to_string()].join("\n")
    }
}
