//! The Helm chart grants exactly what the features need: each block what its feature needs, under the names that the
//! program uses. `cargo xtask test` renders the chart and says where; without that there is nothing to compare.

#![allow(clippy::unwrap_used, reason = "what cannot be read is a failing test")]

use std::collections::BTreeSet;
use std::path::PathBuf;

use plimsoll_kube::{FEATURE_RULES, Feature, FeatureRule, Only, Place};
use serde_json::Value;

/// The namespace and the identifier that the chart is rendered with.
const NAMESPACE: &str = "autoscaling";
const IDENTIFIER: &str = "shop";

/// One permission: namespace (empty: everywhere), group, resource, verb, name (empty: every object).
type Permission = [String; 5];

/// The roles of the chart with all blocks: the block's name, and what it grants.
fn granted() -> Option<Vec<(String, BTreeSet<Permission>)>> {
    let Some(dir) = std::env::var_os("PLIMSOLL_RENDERED_CHART") else {
        eprintln!("skipped: PLIMSOLL_RENDERED_CHART names no rendered chart; `cargo xtask test` renders it");
        return None;
    };
    let text = std::fs::read_to_string(PathBuf::from(dir).join("everything.rules.json")).unwrap();
    let roles: Vec<Value> = serde_json::from_str(&text).unwrap();
    let role = |role: &Value| (role["block"].as_str().unwrap().to_owned(), permissions(role));
    Some(roles.iter().map(role).collect())
}

fn permissions(role: &Value) -> BTreeSet<Permission> {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let namespace = role["namespace"].as_str().unwrap();
    let mut permissions = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        let names = match strings(&rule["resourceNames"]) {
            names if names.is_empty() => vec![String::new()],
            names => names,
        };
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                for verb in strings(&rule["verbs"]) {
                    permissions.extend(
                        names.iter().map(|name| [namespace, &group, &resource, &verb, name].map(str::to_owned)),
                    );
                }
            }
        }
    }
    permissions
}

fn needed(row: &FeatureRule) -> impl Iterator<Item = Permission> {
    let namespace = match row.place {
        Place::Everywhere => "",
        Place::Own => NAMESPACE,
        Place::In(namespace) => namespace,
    };
    // As `Identity` of host/controller names them.
    let name = match row.only {
        Only::All => String::new(),
        Only::Named(name) => name.to_owned(),
        Only::Lease => format!("plimsoll-{IDENTIFIER}"),
        Only::Status => format!("plimsoll-{IDENTIFIER}-status"),
        Only::Launches => format!("plimsoll-{IDENTIFIER}-launches"),
    };
    let (group, resource) = (row.group, row.resource);
    row.verbs.iter().map(move |verb| [namespace, group, resource, verb, &name].map(str::to_owned))
}

/// The block of a feature is named like it, but for the first one.
fn block(feature: Feature) -> &'static str {
    if feature == Feature::Watch { "read" } else { feature.label() }
}

#[test]
fn each_block_grants_what_its_feature_needs_and_nothing_else() {
    let Some(roles) = granted() else { return };
    for feature in Feature::ALL {
        let rows = FEATURE_RULES.iter().filter(|row| row.feature == feature);
        let needed: BTreeSet<Permission> = rows.flat_map(needed).collect();
        let of_block = roles.iter().filter(|(name, _)| name == block(feature));
        let granted: BTreeSet<Permission> = of_block.flat_map(|(_, permissions)| permissions.clone()).collect();
        let missing: Vec<_> = needed.difference(&granted).collect();
        assert!(missing.is_empty(), "the chart does not grant to {feature}: {missing:#?}");
        let unused: Vec<_> = granted.difference(&needed).collect();
        assert!(unused.is_empty(), "{feature} does not need: {unused:#?}");
    }
    let blocks: BTreeSet<&str> = Feature::ALL.into_iter().map(block).collect();
    let unknown: Vec<_> = roles.iter().filter(|(name, _)| !blocks.contains(name.as_str())).collect();
    assert!(unknown.is_empty(), "no feature has these roles: {unknown:#?}");
}
