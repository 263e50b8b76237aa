//! `csr`.

use plimsoll_model::{Millis, Text};
use plimsoll_planner::csr::{Cidr, CsrRules, NamePattern};

use super::Wrong;
use crate::config::file::CsrFile;

/// The least that the API server accepts for `spec.expirationSeconds`.
const LEAST_EXPIRATION: Millis = Millis(600_000);

/// The rules of certificate approval.
pub(super) fn rules(file: &CsrFile) -> Result<CsrRules, Wrong> {
    let default = CsrRules::default();
    let max_expiration = file.max_expiration.map_or(default.max_expiration, |seconds| seconds.0);
    if max_expiration < LEAST_EXPIRATION {
        let problem = format!("{max_expiration} is below the least of {LEAST_EXPIRATION}, so that nothing is approved");
        return Err(("csr.maxExpiration".to_owned(), problem));
    }
    let mut bootstrap_users = default.bootstrap_users;
    for (at, user) in file.bootstrap_users.iter().enumerate() {
        bootstrap_users.push(bootstrap_user(user).map_err(|problem| (format!("csr.bootstrapUsers[{at}]"), problem))?);
    }
    Ok(CsrRules {
        deny_forged: file.deny_forged.unwrap_or(default.deny_forged),
        max_expiration,
        join_window: file.join_window.map_or(default.join_window, |seconds| seconds.0),
        clock_skew: file.clock_skew.map_or(default.clock_skew, |seconds| seconds.0),
        max_age: file.max_age.map_or(default.max_age, |seconds| seconds.0),
        bootstrap_users,
        forbidden_names: list("forbiddenNames", &file.forbidden_names, "a name, or *. and a name", NamePattern::parse)?,
        forbidden_cidrs: list(
            "forbiddenCidrs",
            &file.forbidden_cidrs,
            "an address range like 10.96.0.0/12",
            Cidr::parse,
        )?,
        ..default
    })
}

/// Whoever is one may ask for the first certificate of any machine that was just launched.
fn bootstrap_user(user: &str) -> Result<Text, String> {
    if user.is_empty() || user == "system:anonymous" {
        return Err(format!("\"{user}\" is everybody; name the account that new machines start with"));
    }
    if user.starts_with("system:node:") {
        return Err(format!("{user} is a node, and a node never starts another"));
    }
    Ok(user.into())
}

fn list<T>(key: &str, texts: &[String], shape: &str, parse: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Wrong> {
    let wrong = |at: usize, text: &String| (format!("csr.{key}[{at}]"), format!("\"{text}\" is not {shape}"));
    texts.iter().enumerate().map(|(at, text)| parse(text).ok_or_else(|| wrong(at, text))).collect()
}
