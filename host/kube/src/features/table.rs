//! Which features are on, and why the others are not.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::check::FeatureOptions;
use super::rule::{Need, Rule};
use super::rules::{FEATURE_RULES, Feature};
use crate::api::Resource;

/// What is known about every feature.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureTable {
    rows: BTreeMap<Feature, FeatureState>,
    answers: Answers,
    options: FeatureOptions,
}

/// How a feature is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FeatureState {
    /// It works.
    Enabled {
        /// What it would do better with.
        without: Vec<Rule>,
        /// What is not certain about it; empty if nothing is.
        note: String,
    },
    /// It does not.
    Off {
        /// The permissions to add; empty if those are not the reason.
        missing: Vec<Rule>,
        /// Why.
        sentence: String,
    },
    /// Nobody asked for it.
    NotConfigured,
}

/// What the API server said.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Answers {
    /// By rule: true if it is there. What could not be asked is not in here.
    pub allowed: BTreeMap<Rule, bool>,
    /// Why some could not be asked.
    pub unasked: Option<String>,
    /// By path of an API: why it cannot be used.
    pub unserved: BTreeMap<&'static str, String>,
    /// Rules that calls have failed for since.
    pub met: BTreeSet<Rule>,
}

// === impl FeatureTable ===

impl FeatureTable {
    /// Everything that is configured is on: what holds until something else is known.
    pub fn assumed(options: &FeatureOptions) -> Self {
        Self::of(options, Answers::default())
    }

    pub(super) fn of(options: &FeatureOptions, answers: Answers) -> Self {
        let rows = Feature::ALL.map(|feature| (feature, state(feature, options, &answers)));
        Self { rows: rows.into(), answers, options: options.clone() }
    }

    /// How a feature is.
    pub fn state(&self, feature: Feature) -> &FeatureState {
        self.rows.get(&feature).unwrap_or(&FeatureState::NotConfigured)
    }

    /// True if a feature is configured and works.
    pub fn is_on(&self, feature: Feature) -> bool {
        matches!(self.state(feature), FeatureState::Enabled { .. })
    }

    /// Every feature, in a fixed order.
    pub fn rows(&self) -> impl Iterator<Item = (Feature, &FeatureState)> {
        Feature::ALL.into_iter().map(|feature| (feature, self.state(feature)))
    }

    /// False if a resource is known to be closed to lists or watches in all namespaces.
    pub fn may_read(&self, resource: &Resource) -> bool {
        let closed = |rule: &Rule| {
            rule.group == resource.group
                && rule.resource == resource.plural
                && rule.subresource.is_empty()
                && rule.name.is_empty()
                && matches!(&*rule.verb, "list" | "watch")
        };
        !self.denied().any(closed)
    }

    /// The table after a call has failed for want of that permission: whatever needs it is off. `None` if nothing
    /// changes, because no feature needs it or it is off already.
    pub fn forbidden(&self, rule: &Rule) -> Option<Self> {
        let met: Vec<Rule> =
            self.options.rules().map(|(_, _, needed)| needed).filter(|needed| covers(needed, rule)).collect();
        let mut answers = self.answers.clone();
        answers.met.extend(met);
        let after = Self::of(&self.options, answers);
        (after.rows != self.rows).then_some(after)
    }

    pub(super) fn answers(&self) -> &Answers {
        &self.answers
    }

    fn denied(&self) -> impl Iterator<Item = &Rule> {
        let reviewed = self.answers.allowed.iter().filter(|(_, allowed)| !**allowed).map(|(rule, _)| rule);
        reviewed.chain(&self.answers.met)
    }
}

impl fmt::Display for FeatureTable {
    /// One line for each feature.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (feature, state)) in self.rows().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{feature:<13} {state}")?;
        }
        Ok(())
    }
}

/// True if the refusal of `refused`, which may be in one namespace, shows that `needed` is missing.
fn covers(needed: &Rule, refused: &Rule) -> bool {
    let same = needed.verb == refused.verb
        && needed.group == refused.group
        && needed.resource == refused.resource
        && needed.subresource == refused.subresource;
    same && (needed.namespace.is_empty() || needed.namespace == refused.namespace)
        && (needed.name.is_empty() || refused.name.is_empty() || needed.name == refused.name)
}

fn state(feature: Feature, options: &FeatureOptions, answers: &Answers) -> FeatureState {
    if !options.configured.contains(&feature) {
        return FeatureState::NotConfigured;
    }
    if let Some(problem) = feature.api().and_then(|(path, _)| answers.unserved.get(path)) {
        return FeatureState::Off { missing: Vec::new(), sentence: problem.clone() };
    }
    let mut missing = Vec::new();
    let mut without = Vec::new();
    let mut choices = (0, Vec::new());
    let mut unknown = false;
    for (row, need, rule) in options.rules() {
        if row != feature {
            continue;
        }
        choices.0 += usize::from(need == Need::OneOf);
        let allowed = if answers.met.contains(&rule) { Some(&false) } else { answers.allowed.get(&rule) };
        unknown |= allowed.is_none();
        if allowed == Some(&false) {
            match need {
                Need::Must => missing.push(rule),
                Need::Better => without.push(rule),
                Need::OneOf => choices.1.push(rule),
            }
        }
    }
    let (choices, refused) = choices;
    if refused.len() == choices {
        missing.extend(refused)
    } else {
        without.extend(refused)
    }
    if missing.is_empty() {
        let note = answers.unasked.as_ref().filter(|_| unknown);
        let note = note.map(|why| format!("permissions taken for granted: {why}")).unwrap_or_default();
        return FeatureState::Enabled { without, note };
    }
    FeatureState::Off { sentence: format!("missing: {}", list(&missing)), missing }
}

fn list(rules: &[Rule]) -> String {
    rules.iter().map(Rule::to_string).collect::<Vec<_>>().join(", ")
}

// === impl FeatureState ===

impl FeatureState {
    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Enabled { .. } => "on",
            Self::Off { .. } => "off",
            Self::NotConfigured => "not-configured",
        }
    }
}

impl fmt::Display for FeatureState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enabled { without, note } => {
                f.write_str("on")?;
                if !without.is_empty() {
                    write!(f, "   without: {}", list(without))?;
                }
                if !note.is_empty() {
                    write!(f, "   {note}")?;
                }
                Ok(())
            }
            Self::Off { sentence, .. } => write!(f, "off  {sentence}"),
            Self::NotConfigured => f.write_str("-    not configured"),
        }
    }
}

// === impl FeatureOptions ===

impl FeatureOptions {
    /// Every permission of every feature that is configured, with the names of this installation.
    pub fn rules(&self) -> impl Iterator<Item = (Feature, Need, Rule)> {
        let rows = FEATURE_RULES.iter().filter(|row| self.configured.contains(&row.feature));
        rows.flat_map(|row| {
            let rules = row.rules(|only| self.object(only), &self.namespace);
            rules.into_iter().map(|rule| (row.feature, row.need, rule))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> FeatureOptions {
        FeatureOptions {
            namespace: "plimsoll".to_owned(),
            lease: "plimsoll-shop".to_owned(),
            status: "plimsoll-status".to_owned(),
            launches: "plimsoll-launches".to_owned(),
            configured: Feature::ALL.into_iter().filter(|feature| *feature != Feature::Simulated).collect(),
        }
    }

    /// Everything is allowed but what contains one of these texts.
    fn table(denied: &[&str]) -> FeatureTable {
        let mut answers = Answers::default();
        for (_, _, rule) in options().rules() {
            let text = rule.to_string();
            answers.allowed.insert(rule, !denied.iter().any(|part| text.contains(part)));
        }
        FeatureTable::of(&options(), answers)
    }

    #[test]
    fn each_rule_that_is_missing_turns_off_what_needs_it_and_nothing_else() {
        for (rule, off) in [
            ("nothing", ""),
            ("watch pods", "watch"),
            ("patch nodes", "drain"),
            ("create pods/eviction", "drain"),
            ("delete pods", ""),
            ("patch pods", "warm-up"),
            ("delete nodes", "cleanup"),
            ("update certificatesigningrequests/approval (certificates.k8s.io)", "csr-approval"),
            ("kubelet-serving", ""),
            ("approve signers", "csr-approval"),
            ("patch configmaps \"plimsoll-launches\" in namespace plimsoll", "launches"),
            ("create configmaps in namespace plimsoll", "launches status"),
            ("machinedeployments/scale", "cluster-api"),
            ("machinepools", ""),
            ("nodeclaims", "karpenter"),
            ("create events", "events"),
            ("patch events", ""),
            ("update leases (coordination.k8s.io) \"plimsoll-shop\" in namespace plimsoll", "lease"),
            ("list leases", ""),
            ("list nodes (metrics.k8s.io)", "node-metrics"),
            ("list deployments", ""),
        ] {
            let table = table(&[rule]);
            let is: Vec<&str> = table
                .rows()
                .filter(|(_, state)| matches!(state, FeatureState::Off { .. }))
                .map(|(feature, _)| feature.label())
                .collect();
            assert_eq!(is.join(" "), off, "without {rule}:\n{table}");
            let said = rule == "nothing" || table.to_string().contains(rule);
            assert!(said, "{rule} is not named:\n{table}");
        }
    }

    #[test]
    fn the_log_names_feature_state_and_rule() {
        let table = table(&["certificatesigningrequests/approval", "list jobs"]).to_string();
        for line in [
            "watch         on   without: list jobs (batch)",
            "csr-approval  off  missing: update certificatesigningrequests/approval (certificates.k8s.io)",
            "simulated     -    not configured",
            "drain         on",
        ] {
            assert!(table.lines().any(|is| is == line), "no line \"{line}\" in\n{table}");
        }
    }

    #[test]
    fn resources_that_cannot_be_read_are_known_one_by_one() {
        let table = table(&["watch jobs", "list nodes (metrics"]);
        assert!(!table.may_read(&Resource::JOBS) && !table.may_read(&Resource::NODE_METRICS));
        assert!(table.may_read(&Resource::PODS) && table.may_read(&Resource::NODES));
        assert!(table.is_on(Feature::Watch));
    }

    #[test]
    fn a_refusal_at_run_time_turns_the_feature_off_once() {
        let before = table(&[]);
        let rule = |verb: &'static str, resource: &'static str, subresource: &'static str, namespace: &str| Rule {
            verb: verb.into(),
            group: "".into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.to_owned(),
            name: String::new(),
        };
        let after = before.forbidden(&rule("create", "pods", "eviction", "shop")).expect("changes");
        assert!(!after.is_on(Feature::Drain) && after.is_on(Feature::Cleanup), "{after}");
        assert!(after.to_string().contains("drain         off  missing: create pods/eviction"), "{after}");
        assert_eq!(after.forbidden(&rule("create", "pods", "eviction", "other")), None);
        assert_eq!(before.forbidden(&rule("create", "secrets", "", "shop")), None);
        assert_eq!(before.forbidden(&rule("create", "configmaps", "", "shop")), None, "in another namespace");
    }

    #[test]
    fn what_cannot_be_asked_is_taken_for_granted_and_said() {
        let answers =
            Answers { unasked: Some("the API server does not serve reviews".to_owned()), ..Answers::default() };
        let table = FeatureTable::of(&options(), answers);
        assert!(table.is_on(Feature::Drain));
        let line = "drain         on   permissions taken for granted: the API server does not serve reviews";
        assert!(table.to_string().contains(line), "{table}");
    }

    #[test]
    fn what_is_not_served_is_off() {
        let mut answers = Answers::default();
        answers.unserved.insert("/apis/metrics.k8s.io/v1beta1", "not there".to_owned());
        let table = FeatureTable::of(&options(), answers);
        assert!(!table.is_on(Feature::NodeMetrics) && table.is_on(Feature::Watch));
        assert_eq!(table.state(Feature::NodeMetrics).to_string(), "off  not there");
    }
}
