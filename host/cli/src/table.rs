//! Tables for people.

use std::collections::BTreeMap;
use std::io::{BufWriter, ErrorKind, Write};

use anyhow::{Context, Result};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, Table, presets};

use plimsoll_model::one_line;

use crate::report::{DecisionReport, KeptReport, PendingReport, Report};

/// Characters of one cell.
pub const LONGEST: usize = 1000;

/// What shares a reason is listed up to this number.
const NAMES_LISTED: usize = 3;

/// Writes text to standard output.
pub fn write_out(text: &str) -> Result<()> {
    stream_out(|out| writeln!(out, "{text}"))
}

/// Writes to standard output bit by bit. A reader that has gone away is no error.
pub fn stream_out(write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>) -> Result<()> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match write(&mut out).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done.context("standard output cannot be written"),
    }
}

/// A simulation.
pub fn simulation(report: &Report) -> String {
    let mut out = Vec::new();
    out.push(format!(
        "{}, {} at {}",
        count(report.cluster.nodes, "node"),
        count(report.cluster.pods, "pod"),
        report.now
    ));
    if !report.cluster.unused_kinds.is_empty() {
        let kinds: Vec<String> = report.cluster.unused_kinds.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        out.push(format!("not used: {}", kinds.join(", ")));
    }
    out.extend(report.warnings.iter().map(|warning| format!("! {warning}")));
    out.extend(launches(report));
    out.extend(pending(&report.scale_up.pending));
    out.extend(drains(report));
    out.extend(kept(&report.scale_down.kept));
    out.extend(csrs(report));
    if !report.clipped.is_empty() {
        out.push(heading("What the host changed in the answers"));
        out.extend(report.clipped.iter().map(|what| format!("  {what}")));
    }
    out.extend(policies(report));
    out.extend(decisions(&report.decisions));
    out.join("\n")
}

/// A line above a table.
pub fn heading(text: &str) -> String {
    format!("\n{text}")
}

/// A table without a frame.
pub fn plain(columns: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(columns.iter().map(|column| Cell::new(column).add_attribute(Attribute::Bold)));
    table
}

/// A cell. Names and reasons come from outside: see [`one_line`].
pub fn cell(text: impl ToString) -> Cell {
    Cell::new(one_line(&text.to_string(), LONGEST))
}

/// A cell that reads well.
pub fn good(text: impl ToString) -> Cell {
    cell(text).fg(Color::Green)
}

/// A cell that reads badly.
pub fn bad(text: impl ToString) -> Cell {
    cell(text).fg(Color::Red)
}

/// A cell that few people look at.
pub fn muted(text: impl ToString) -> Cell {
    cell(text).fg(Color::DarkGrey)
}

/// A number.
pub fn right(text: impl ToString) -> Cell {
    cell(text).set_alignment(CellAlignment::Right)
}

/// A number with its noun.
pub fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A price, where it is known.
pub fn dollars(price: Option<f64>) -> String {
    price.map_or_else(|| "?".to_owned(), |price| format!("${price:.4}"))
}

fn launches(report: &Report) -> Vec<String> {
    let launches = &report.scale_up.launches;
    if launches.is_empty() {
        return vec![heading("Launch: nothing")];
    }
    let nodes: u32 = launches.iter().map(|launch| launch.count).sum();
    let nodes = count(nodes as usize, "node");
    let pods: usize = launches.iter().map(|launch| launch.pods.len()).sum();
    let hourly: Option<f64> =
        launches.iter().map(|launch| launch.price_per_hour.map(|price| price * f64::from(launch.count))).sum();
    let mut table = plain(&["GROUP", "TYPE", "ZONE", "LIFECYCLE", "NODES", "PODS", "HEADROOM", "EACH/H", "WHY"]);
    for launch in launches {
        table.add_row([
            good(&launch.node_group),
            cell(&launch.instance_type),
            cell(&launch.zone),
            cell(launch.lifecycle),
            right(launch.count),
            right(launch.pods.len()),
            right(launch.headroom),
            right(dollars(launch.price_per_hour)),
            cell(&launch.reason),
        ]);
    }
    let title = format!("Launch: {nodes} for {}, {} per hour", count(pods, "pod"), dollars(hourly));
    vec![heading(&title), table.to_string()]
}

/// Rows with one reason and detail become one row.
fn grouped<'a>(rows: impl Iterator<Item = (&'a str, &'a str, &'a str)>) -> Vec<(String, usize, &'a str, &'a str)> {
    let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for (name, reason, detail) in rows {
        groups.entry((reason, detail)).or_default().push(name);
    }
    groups.into_iter().map(|((reason, detail), names)| (few(&names), names.len(), reason, detail)).collect()
}

/// The first names, and how many more there are.
pub fn few(names: &[&str]) -> String {
    let more = names.len().saturating_sub(NAMES_LISTED);
    let list = names.iter().take(NAMES_LISTED).copied().collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}

fn pending(pending: &[PendingReport]) -> Vec<String> {
    if pending.is_empty() {
        return vec![];
    }
    let mut table = plain(&["PODS", "", "REASON", "DETAIL"]);
    let rows = pending.iter().map(|pending| (pending.pod.as_str(), pending.reason, pending.detail.as_str()));
    for (names, count, reason, detail) in grouped(rows) {
        table.add_row([right(count), cell(names), cell(reason).fg(Color::Yellow), cell(detail)]);
    }
    vec![heading(&format!("Pending without a new node: {}", count(pending.len(), "pod"))), table.to_string()]
}

fn drains(report: &Report) -> Vec<String> {
    let drains = &report.scale_down.drains;
    if drains.is_empty() {
        return vec![heading("Drain: nothing")];
    }
    let mut table = plain(&["#", "NODE", "PODS", "SAVES/H", "WHY"]);
    let mut times = plain(&["NODE", "AFTER", "EVICT", "WHY"]);
    for drain in drains {
        table.add_row([
            right(drain.order),
            good(&drain.node),
            right(drain.evictions.len()),
            right(dollars(drain.savings_per_hour)),
            cell(&drain.reason),
        ]);
        for eviction in &drain.evictions {
            let after = format!("{:.1}s", eviction.after_seconds);
            times.add_row([muted(&drain.node), right(after), cell(&eviction.pod), cell(&eviction.reason)]);
        }
    }
    let mut out = vec![heading(&format!("Drain: {}, in this order", count(drains.len(), "node"))), table.to_string()];
    if times.row_iter().next().is_some() {
        out.extend([heading("Evictions, after the drain of the node begins"), times.to_string()]);
    }
    out
}

fn kept(kept: &[KeptReport]) -> Vec<String> {
    if kept.is_empty() {
        return vec![];
    }
    let mut table = plain(&["NODES", "", "REASON", "DETAIL"]);
    let rows = kept.iter().map(|kept| (kept.node.as_str(), kept.reason, kept.detail.as_str()));
    for (names, count, reason, detail) in grouped(rows) {
        table.add_row([right(count), cell(names), cell(reason).fg(Color::Yellow), cell(detail)]);
    }
    vec![heading(&format!("Nodes that stay: {}", kept.len())), table.to_string()]
}

fn csrs(report: &Report) -> Vec<String> {
    if report.csr.is_empty() {
        return vec![];
    }
    let mut table = plain(&["REQUEST", "VERDICT", "WHY"]);
    for csr in &report.csr {
        let verdict = match csr.verdict {
            "approve" => good("approve"),
            "deny" => bad("deny"),
            other => cell(other).fg(Color::Yellow),
        };
        table.add_row([cell(&csr.name), verdict, cell(&csr.reason)]);
    }
    vec![heading("Certificates"), table.to_string()]
}

fn policies(report: &Report) -> Vec<String> {
    let mut table = plain(&["POLICY", "POINTS", "GENERATION", "DIGEST", "MODULE", ""]);
    for policy in &report.policies {
        let generation = policy.generation.map_or_else(|| "-".to_owned(), |generation| generation.to_string());
        let digest = policy.digest.as_deref().unwrap_or("-");
        table.add_row([
            cell(&policy.name),
            cell(policy.points.join(", ")),
            right(generation),
            muted(short(digest)),
            muted(&policy.module),
            policy.error.as_ref().map_or_else(|| cell(if policy.mode == "shadow" { "shadow" } else { "" }), bad),
        ]);
    }
    vec![heading("Policies, in the order in which they are asked"), table.to_string()]
}

fn decisions(decisions: &[DecisionReport]) -> Vec<String> {
    if decisions.is_empty() {
        return vec![];
    }
    let mut table = plain(&["POINT", "ABOUT", "POLICY", "GEN", "DIGEST", "OUTCOME", "TIME", "MEMORY"]);
    let mut notes = Vec::new();
    for decision in decisions {
        let outcome = match (&decision.error, decision.mode) {
            (Some(_), _) => bad(decision.outcome),
            (None, "shadow") => muted(format!("{} (shadow)", decision.outcome)),
            (None, _) => good(decision.outcome),
        };
        table.add_row([
            cell(decision.point),
            cell(&decision.subject),
            cell(&decision.policy),
            right(decision.generation),
            muted(short(&decision.digest)),
            outcome,
            right(format!("{} µs", decision.micros)),
            right(format!("{} KiB", decision.peak_memory_bytes / 1024)),
        ]);
        let about = format!("{} on {}", decision.policy, decision.subject);
        notes.extend(decision.error.iter().map(|error| format!("  {about}: {error}")));
        notes.extend(decision.log.iter().map(|line| format!("  {about} logged: {}", one_line(line, LONGEST))));
        if decision.log_dropped > 0 {
            notes.push(format!("  {about}: {} more lines found no room", decision.log_dropped));
        }
    }
    let mut out = vec![heading("Decisions"), table.to_string()];
    out.extend(notes);
    out
}

fn short(digest: &str) -> &str {
    digest.get(..12).unwrap_or(digest)
}
