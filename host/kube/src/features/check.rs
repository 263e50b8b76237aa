//! Asking the API server what is allowed and what is served.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

use super::denied::{denied_rule, rule_in};
use super::rule::Rule;
use super::rules::{Feature, Only};
use super::table::{Answers, FeatureState, FeatureTable};
use crate::api::{Api, ApiError, Resource};
use crate::lease::about;

/// Questions at a time; the connections are shared with everything else.
const AT_ONCE: usize = 8;
/// The longest that all questions may take; what is not answered by then stays as it was.
const LONGEST: Duration = Duration::from_secs(30);

/// What is asked about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FeatureOptions {
    /// The controller's own namespace.
    pub namespace: String,
    /// The name of its lease.
    pub lease: String,
    /// The name of the ConfigMap of its status.
    pub status: String,
    /// The name of the ConfigMap of its launches.
    pub launches: String,
    /// What it is to do.
    pub configured: BTreeSet<Feature>,
}

/// The present table. Cheap to clone; every clone sees the same.
#[derive(Clone, Debug)]
pub struct Features(Arc<watch::Sender<Arc<FeatureTable>>>);

/// Asks about every feature that is configured. Never fails: what cannot be asked stays as in `before`, or is taken for
/// granted.
pub async fn check_features(api: &Api, options: &FeatureOptions, before: Option<&FeatureTable>) -> FeatureTable {
    let mut answers = Answers::default();
    if let Some(before) = before {
        answers.allowed.clone_from(&before.answers().allowed);
        answers.unserved.clone_from(&before.answers().unserved);
    }
    let end = Instant::now() + LONGEST;
    // By path: some features share one.
    let apis: BTreeMap<_, _> = options.configured.iter().filter_map(|feature| feature.api()).collect();
    let questions: Vec<_> =
        apis.into_iter().map(|(path, whose)| async move { (path, is_served(api, path, whose).await) }).collect();
    let mut served = futures::stream::iter(questions).buffer_unordered(AT_ONCE);
    while let Ok(Some((path, served))) = timeout_at(end, served.next()).await {
        match served {
            Ok(()) => drop(answers.unserved.remove(path)),
            Err(problem) => drop(answers.unserved.insert(path, problem)),
        }
    }
    let rules: BTreeSet<Rule> = options.rules().map(|(_, _, rule)| rule).collect();
    let count = rules.len();
    let ask = |rule: Rule| async move {
        let allowed = is_allowed(api, &rule).await;
        (rule, allowed)
    };
    let questions: Vec<_> = rules.into_iter().map(ask).collect();
    let mut asked = futures::stream::iter(questions).buffer_unordered(AT_ONCE);
    let mut heard = 0;
    while let Ok(Some((rule, allowed))) = timeout_at(end, asked.next()).await {
        heard += 1;
        match allowed {
            Ok(allowed) => drop(answers.allowed.insert(rule, allowed)),
            Err(error) => {
                let cannot = matches!(error, ApiError::Forbidden(_) | ApiError::NotServed { .. });
                answers.unasked = Some(error.to_string());
                if cannot {
                    // Nor can the others.
                    heard = count;
                    break;
                }
            }
        }
    }
    if heard < count && answers.unasked.is_none() {
        answers.unasked = Some(format!("{} of {count} questions had no answer in time", count - heard));
    }
    FeatureTable::of(options, answers)
}

/// Checks now, and then about every `every` until `shutdown`.
pub async fn watch_features(
    api: Api,
    options: FeatureOptions,
    every: Duration,
    shutdown: CancellationToken,
) -> Features {
    let first = check_features(&api, &options, None).await;
    first.rows().for_each(|(feature, state)| tell(feature, state));
    let features = Features(Arc::new(watch::channel(Arc::new(first)).0));
    let told = features.clone();
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = sleep(about(every)) => {}
                () = shutdown.cancelled() => return,
            }
            let before = told.table();
            let after = tokio::select! {
                after = check_features(&api, &options, Some(&before)) => after,
                () = shutdown.cancelled() => return,
            };
            told.set(after);
        }
    });
    features
}

/// `Ok` if the path is served or that cannot be told; why it cannot be used otherwise.
async fn is_served(api: &Api, path: &str, whose: &str) -> Result<(), String> {
    match api.read(path).await {
        Err(ApiError::NotFound(_) | ApiError::NotServed { .. }) => {
            Err(format!("the API server does not serve {path}: {whose} is not there"))
        }
        // An aggregated API whose server is down.
        Err(ApiError::Server(answer)) => Err(format!("{whose} does not answer ({path}): {answer}")),
        _ => Ok(()),
    }
}

async fn is_allowed(api: &Api, rule: &Rule) -> Result<bool, ApiError> {
    let answer = api.review(&review(rule)).await?;
    let status = &answer["status"];
    match (status["allowed"].as_bool(), status["evaluationError"].as_str()) {
        (Some(allowed), None | Some("")) => Ok(allowed),
        // An authorizer that failed has not said no.
        (Some(true), Some(_)) => Ok(true),
        (Some(false), Some(problem)) => Err(ApiError::Garbled(problem.to_owned())),
        (None, _) => Err(ApiError::Garbled("the review says neither yes nor no".to_owned())),
    }
}

/// One line of the log.
fn tell(feature: Feature, state: &FeatureState) {
    match state {
        FeatureState::Off { .. } => tracing::warn!("feature {feature}: {state}"),
        FeatureState::Enabled { .. } | FeatureState::NotConfigured => tracing::info!("feature {feature}: {state}"),
    }
}

fn review(rule: &Rule) -> Value {
    json!({
        "apiVersion": Resource::ACCESS_REVIEWS.api_version(),
        "kind": Resource::ACCESS_REVIEWS.kind,
        "spec": {"resourceAttributes": {
            "verb": rule.verb,
            "group": rule.group,
            "resource": rule.resource,
            "subresource": rule.subresource,
            "namespace": rule.namespace,
            "name": rule.name,
        }},
    })
}

// === impl FeatureOptions ===

impl FeatureOptions {
    /// The name that a rule is for; empty for every object.
    pub(super) fn object(&self, only: Only) -> String {
        match only {
            Only::All => String::new(),
            Only::Named(name) => name.to_owned(),
            Only::Lease => self.lease.clone(),
            Only::Status => self.status.clone(),
            Only::Launches => self.launches.clone(),
        }
    }
}

// === impl Features ===

impl Features {
    /// A table that nobody checks: for one that is known already.
    pub fn fixed(table: FeatureTable) -> Self {
        Self(Arc::new(watch::channel(Arc::new(table)).0))
    }

    /// The present table.
    pub fn table(&self) -> Arc<FeatureTable> {
        self.0.borrow().clone()
    }

    /// True if a feature is configured and works.
    pub fn is_on(&self, feature: Feature) -> bool {
        self.0.borrow().is_on(feature)
    }

    /// Hears of each change.
    pub fn subscribe(&self) -> watch::Receiver<Arc<FeatureTable>> {
        self.0.subscribe()
    }

    /// To be told of every call that fails: if a permission was missing, the features that need it are off until the
    /// next check. Gives that permission.
    pub fn failed(&self, error: &ApiError) -> Option<Rule> {
        let rule = denied_rule(error)?;
        self.turn_off(&rule);
        Some(rule)
    }

    /// The same where only the sentence of the API server is left of the failure.
    pub fn refused(&self, sentence: &str) -> Option<Rule> {
        let rule = rule_in(sentence)?;
        self.turn_off(&rule);
        Some(rule)
    }

    fn turn_off(&self, rule: &Rule) {
        if let Some(after) = self.table().forbidden(rule) {
            self.set(after);
        }
    }

    fn set(&self, after: FeatureTable) {
        let before = self.table();
        for (feature, state) in after.rows().filter(|(feature, state)| before.state(*feature) != *state) {
            tell(feature, state);
        }
        self.0.send_if_modified(|table| {
            let changed = **table != after;
            *table = Arc::new(after);
            changed
        });
    }
}
