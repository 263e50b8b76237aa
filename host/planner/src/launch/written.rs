//! The ledger as it is written down: JSON that fits into one ConfigMap.
//!
//! What many launches share is written once: labels, taints and kinds of nodes are lists, and named by their places.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use plimsoll_model::{Bytes, LabelSet, Lifecycle, Taint, TaintEffect, Text, Timestamp};
use serde::{Deserialize, Serialize};

use super::backoff::{Backoff, Backoffs};
use super::entry::{Arrival, Call, Entry, Stage};
use super::ledger::{Bystanders, MOST_NODES};
use super::{LaunchId, LaunchIntent, Ledger, LedgerRules};
use crate::scale_up::{LaunchBlock, LaunchRequest};

/// The format that is written.
const VERSION: u32 = 1;
/// The longest text that is read: an object of the API server has no more.
const LONGEST: usize = 4 << 20;

/// Why a ledger cannot be read. The text is a sentence. Nothing may be launched before somebody has looked: what is on
/// its way is not known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// It is no JSON of this form.
    #[error("the ledger of launches cannot be read: {0}; restore it, or delete it once no launch is under way")]
    Garbled(String),
    /// It was written by a later release.
    #[error(
        "the ledger of launches has format {found}, and this release reads up to {known}: run the release that wrote it, or a later one"
    )]
    TooNew {
        /// Its format.
        found: u64,
        /// The latest that can be read.
        known: u32,
    },
    /// It is another cluster's.
    #[error("the ledger of launches is of cluster {found}, not of {expected}: two controllers share a name")]
    OtherCluster {
        /// The identifier in it.
        found: Text,
        /// The one that was expected.
        expected: Text,
    },
}

#[derive(Deserialize)]
struct Head {
    version: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    version: u32,
    cluster: String,
    #[serde(default)]
    labels: Vec<(String, String)>,
    #[serde(default)]
    taints: Vec<WrittenTaint>,
    #[serde(default)]
    kinds: Vec<WrittenKind>,
    #[serde(default)]
    launches: Vec<WrittenLaunch>,
    #[serde(default)]
    backoffs: Vec<WrittenBackoff>,
    #[serde(default)]
    strays: Vec<String>,
    #[serde(default)]
    settled: u64,
}

#[derive(Serialize, Deserialize)]
struct WrittenTaint {
    key: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    value: String,
    effect: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenKind {
    group: String,
    instance_type: String,
    zone: String,
    lifecycle: String,
    #[serde(default)]
    labels: Vec<usize>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    taints: Vec<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iops: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    volume: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenLaunch {
    id: String,
    kind: usize,
    count: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<u32>,
    decided: u64,
    decision: String,
    term: u64,
    call: WrittenCall,
    #[serde(default, skip_serializing_if = "is_zero")]
    tries: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_try: Option<u64>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    last_error: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    /// Name, creation, stage.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    nodes: Vec<(String, u64, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    failed: Vec<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    reported: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    given_up: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    closed: Option<u64>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum WrittenCall {
    Decided,
    Ready,
    Accepted(u64),
    Failed,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenBackoff {
    group: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instance_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    zone: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lifecycle: Option<String>,
    until: u64,
    why: String,
    failures: u32,
    last: u64,
    #[serde(default, skip_serializing_if = "is_false")]
    calls: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// Values by their places in a list, each once.
struct Places<T> {
    all: Vec<T>,
    known: HashMap<T, usize>,
}

// === impl Places ===

impl<T: Clone + Eq + Hash> Places<T> {
    fn new() -> Self {
        Self { all: Vec::new(), known: HashMap::new() }
    }

    fn of(&mut self, value: &T) -> usize {
        if let Some(&known) = self.known.get(value) {
            return known;
        }
        self.all.push(value.clone());
        self.known.insert(value.clone(), self.all.len() - 1);
        self.all.len() - 1
    }
}

fn texts(all: &[Text]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn shared(all: Vec<String>) -> Vec<Text> {
    all.into_iter().map(Text::from).collect()
}

// === impl Ledger ===

impl Ledger {
    /// The ledger as JSON: the same text for the same ledger. The rules are not in it.
    pub fn write(&self) -> String {
        let (mut labels, mut taints, mut kinds) = (Places::new(), Places::new(), Places::new());
        let mut written_kinds = Vec::new();
        let mut launches = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let request = LaunchRequest { count: 0, ..entry.intent.request.clone() };
            let kind = kinds.of(&request);
            if kind == written_kinds.len() {
                written_kinds.push(WrittenKind {
                    group: request.group.to_string(),
                    instance_type: request.instance_type.to_string(),
                    zone: request.zone.to_string(),
                    lifecycle: request.lifecycle.name().to_owned(),
                    labels: request
                        .labels
                        .iter()
                        .map(|(key, value)| labels.of(&(key.to_string(), value.to_string())))
                        .collect(),
                    taints: request.taints.iter().map(|taint| taints.of(taint)).collect(),
                    subnet: request.subnet.as_ref().map(ToString::to_string),
                    iops: request.iops,
                    volume: request.volume.map(|volume| volume.0),
                });
            }
            launches.push(WrittenLaunch::of(entry, kind));
        }
        let taints = taints.all.iter().map(|taint: &Taint| WrittenTaint {
            key: taint.key.to_string(),
            value: taint.value.to_string(),
            effect: taint.effect.name().to_owned(),
        });
        let written = Written {
            version: VERSION,
            cluster: self.cluster.to_string(),
            labels: labels.all,
            taints: taints.collect(),
            kinds: written_kinds,
            launches,
            backoffs: self.backoffs.0.iter().map(WrittenBackoff::of).collect(),
            strays: texts(&self.strays),
            settled: self.settled.0,
        };
        // Text, numbers and lists: nothing in it can fail to be written.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads what [`write`](Self::write) has written for the cluster of this identifier. What later releases of the
    /// same format add is passed over.
    pub fn read(text: &str, cluster: &Text, rules: LedgerRules) -> Result<Self, LedgerError> {
        let garbled = |error: serde_json::Error| LedgerError::Garbled(error.to_string());
        if text.len() > LONGEST {
            return Err(LedgerError::Garbled(format!("it has {} bytes", text.len())));
        }
        let Head { version } = serde_json::from_str(text).map_err(garbled)?;
        if version > VERSION.into() {
            return Err(LedgerError::TooNew { found: version, known: VERSION });
        }
        if version == 0 {
            return Err(LedgerError::Garbled("there is no format 0".to_owned()));
        }
        let written: Written = serde_json::from_str(text).map_err(garbled)?;
        if *written.cluster != **cluster {
            return Err(LedgerError::OtherCluster { found: written.cluster.into(), expected: cluster.clone() });
        }
        let labels: Vec<(Text, Text)> =
            written.labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
        let taints = written.taints.into_iter().map(WrittenTaint::read).collect::<Result<Vec<Taint>, _>>()?;
        let kinds = written.kinds.into_iter().map(|kind| kind.read(&labels, &taints));
        let kinds = kinds.collect::<Result<Vec<LaunchRequest>, _>>()?;
        let entries = written.launches.into_iter().map(|launch| launch.read(&kinds));
        let entries = entries.collect::<Result<Vec<Entry>, _>>()?;
        let mut known = HashSet::new();
        if let Some(twice) = entries.iter().find(|entry| !known.insert(&entry.intent.id)) {
            return Err(LedgerError::Garbled(format!("launch {} is in it twice", twice.intent.id)));
        }
        let backoffs = written.backoffs.into_iter().map(WrittenBackoff::read).collect::<Result<Vec<Backoff>, _>>()?;
        Ok(Self {
            cluster: cluster.clone(),
            rules,
            entries,
            backoffs: Backoffs(backoffs),
            strays: shared(written.strays),
            settled: Timestamp(written.settled),
            bystanders: Bystanders::default(),
        })
    }
}

fn lifecycle(name: &str) -> Result<Lifecycle, LedgerError> {
    Lifecycle::parse(name).ok_or_else(|| LedgerError::Garbled(format!("{name:?} is no lifecycle")))
}

// === impl WrittenTaint ===

impl WrittenTaint {
    fn read(self) -> Result<Taint, LedgerError> {
        let effect = TaintEffect::parse(&self.effect)
            .ok_or_else(|| LedgerError::Garbled(format!("{:?} is no effect of a taint", self.effect)))?;
        Ok(Taint { key: self.key.into(), value: self.value.into(), effect })
    }
}

// === impl WrittenKind ===

impl WrittenKind {
    fn read(self, labels: &[(Text, Text)], taints: &[Taint]) -> Result<LaunchRequest, LedgerError> {
        let missing = |what: &str, at: &usize| LedgerError::Garbled(format!("there is no {what} {at}"));
        let own = self.labels.iter().map(|at| labels.get(*at).cloned().ok_or_else(|| missing("label", at)));
        let own = own.collect::<Result<Vec<_>, _>>()?;
        let marks = self.taints.iter().map(|at| taints.get(*at).cloned().ok_or_else(|| missing("taint", at)));
        Ok(LaunchRequest {
            group: self.group.into(),
            instance_type: self.instance_type.into(),
            zone: self.zone.into(),
            lifecycle: lifecycle(&self.lifecycle)?,
            count: 0,
            labels: own.into_iter().collect::<LabelSet>(),
            taints: marks.collect::<Result<_, _>>()?,
            subnet: self.subnet.map(Text::from),
            iops: self.iops,
            volume: self.volume.map(Bytes),
        })
    }
}

// === impl WrittenLaunch ===

impl WrittenLaunch {
    fn of(entry: &Entry, kind: usize) -> Self {
        let intent = &entry.intent;
        let stage = |node: &Arrival| (node.name.to_string(), node.created.0, node.stage.name().to_owned());
        Self {
            id: intent.id.to_string(),
            kind,
            count: intent.request.count,
            baseline: intent.baseline,
            decided: intent.decided.0,
            decision: intent.decision.to_string(),
            term: intent.term,
            call: match entry.call {
                Call::Decided => WrittenCall::Decided,
                Call::Ready => WrittenCall::Ready,
                Call::Accepted(at) => WrittenCall::Accepted(at.0),
                Call::Failed => WrittenCall::Failed,
            },
            tries: entry.tries,
            last_try: entry.last_try.map(|at| at.0),
            last_error: entry.last_error.clone(),
            names: texts(&entry.names),
            nodes: entry.nodes.iter().map(stage).collect(),
            failed: texts(&entry.failed),
            reported: entry.reported,
            given_up: entry.given_up,
            closed: entry.closed.map(|at| at.0),
        }
    }

    fn read(self, kinds: &[LaunchRequest]) -> Result<Entry, LedgerError> {
        let wrong = |what: String| LedgerError::Garbled(format!("launch {}: {what}", self.id));
        let kind = kinds.get(self.kind).ok_or_else(|| wrong(format!("there is no kind {}", self.kind)))?;
        if self.count == 0 || self.count > MOST_NODES {
            return Err(wrong(format!("it is of {} nodes", self.count)));
        }
        let node = |(name, created, stage): &(String, u64, String)| {
            let known = Stage::ALL.into_iter().find(|known| known.name() == stage);
            let stage = known.ok_or_else(|| wrong(format!("a node cannot be {stage:?}")))?;
            Ok(Arrival { name: name.as_str().into(), created: Timestamp(*created), stage })
        };
        let nodes = self.nodes.iter().map(node).collect::<Result<Vec<_>, LedgerError>>()?;
        Ok(Entry {
            nodes,
            intent: LaunchIntent {
                id: LaunchId(self.id.into()),
                request: LaunchRequest { count: self.count, ..kind.clone() },
                baseline: self.baseline,
                decided: Timestamp(self.decided),
                decision: self.decision.into(),
                term: self.term,
            },
            call: match self.call {
                WrittenCall::Decided => Call::Decided,
                WrittenCall::Ready => Call::Ready,
                WrittenCall::Accepted(at) => Call::Accepted(Timestamp(at)),
                WrittenCall::Failed => Call::Failed,
            },
            tries: self.tries,
            last_try: self.last_try.map(Timestamp),
            last_error: self.last_error,
            names: shared(self.names),
            failed: shared(self.failed),
            reported: self.reported,
            given_up: self.given_up,
            closed: self.closed.map(Timestamp),
        })
    }
}

// === impl WrittenBackoff ===

impl WrittenBackoff {
    fn of(backoff: &Backoff) -> Self {
        let block = &backoff.block;
        Self {
            group: block.group.to_string(),
            instance_type: block.instance_type.as_ref().map(ToString::to_string),
            zone: block.zone.as_ref().map(ToString::to_string),
            lifecycle: block.lifecycle.map(|lifecycle| lifecycle.name().to_owned()),
            until: block.until.0,
            why: block.why.clone(),
            failures: backoff.failures,
            last: backoff.last.0,
            calls: backoff.calls,
        }
    }

    fn read(self) -> Result<Backoff, LedgerError> {
        Ok(Backoff {
            block: LaunchBlock {
                group: self.group.into(),
                instance_type: self.instance_type.map(Text::from),
                zone: self.zone.map(Text::from),
                lifecycle: self.lifecycle.as_deref().map(lifecycle).transpose()?,
                until: Timestamp(self.until),
                why: self.why,
            },
            failures: self.failures,
            last: Timestamp(self.last),
            calls: self.calls,
        })
    }
}
