//! What was launched, written down on the API server: a ConfigMap with one entry for each launch.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_kube::{Api, ApiError, ObjectName, Permit, Resource};
use plimsoll_model::{LabelSet, Taint, TaintEffect, Timestamp};
use plimsoll_planner::launch::LaunchIntent;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// The name of the ConfigMap.
pub(super) const NAME: &str = "plimsoll-simulated-machines";
/// The entry that is no launch: how many machines there have been.
const COUNTER: &str = "machines-so-far";
/// A ConfigMap takes 1 MiB; with less than this there is room for its metadata.
const MOST_BYTES: usize = 900 * 1024;

/// Launches by id.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    pub launches: BTreeMap<String, Launch>,
    /// The number of the next machine.
    pub next: u32,
    version: Option<String>,
}

/// Machines of one launch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Launch {
    pub group: String,
    pub instance_type: String,
    pub zone: String,
    labels: BTreeMap<String, String>,
    taints: Vec<(String, String, String)>,
    /// How many machines.
    pub count: u32,
    /// The number of the first one.
    pub first: u32,
    /// In milliseconds since 1970.
    pub launched: u64,
    /// When their nodes appear.
    pub due: u64,
    #[serde(default)]
    pub never: bool,
    #[serde(default)]
    pub wrong_labels: bool,
    /// Machines whose nodes have not appeared yet.
    pub pending: BTreeSet<u32>,
    /// Machines that were removed and are still going: when they are gone, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub leaving: BTreeMap<u32, u64>,
    /// Machines that were removed and are gone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub gone: BTreeSet<u32>,
}

/// How the record could not be read or changed.
#[derive(Debug)]
pub(super) enum RecordError {
    Api(ApiError),
    /// Somebody else wrote into it.
    Garbled(String),
    /// No more launches fit.
    Full,
}

impl From<ApiError> for RecordError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

// === impl Launch ===

impl Launch {
    pub fn of(intent: &LaunchIntent, first: u32, launched: Timestamp) -> Self {
        let request = &intent.request;
        let text = ToString::to_string;
        Self {
            group: text(&request.group),
            instance_type: text(&request.instance_type),
            zone: text(&request.zone),
            labels: request.labels.iter().map(|(key, value)| (text(key), text(value))).collect(),
            taints: request
                .taints
                .iter()
                .map(|taint| (text(&taint.key), text(&taint.value), taint.effect.name().to_owned()))
                .collect(),
            count: request.count,
            first,
            launched: launched.0,
            due: launched.0,
            never: false,
            wrong_labels: false,
            pending: (0..request.count).collect(),
            leaving: BTreeMap::new(),
            gone: BTreeSet::new(),
        }
    }

    /// Nothing more is to be done about its nodes.
    pub fn at_rest(&self) -> bool {
        (self.pending.is_empty() || self.never) && self.leaving.is_empty()
    }

    pub fn labels(&self) -> LabelSet {
        self.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
    }

    pub fn taints(&self) -> Vec<Taint> {
        let taint = |(key, value, effect): &(String, String, String)| {
            let effect = TaintEffect::parse(effect)?;
            Some(Taint { key: key.as_str().into(), value: value.as_str().into(), effect })
        };
        self.taints.iter().filter_map(taint).collect()
    }
}

/// A machine of the record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub launch: &'a str,
    pub index: u32,
}

/// The name of a machine, and of its node.
pub(super) fn machine_name(launch: &str, index: u32) -> String {
    format!("{launch}-{index}")
}

// === impl Record ===

impl Record {
    pub async fn read(api: &Api, namespace: &str) -> Result<Self, RecordError> {
        let object = match api.get(&Resource::CONFIG_MAPS, &name(namespace)).await {
            Ok(object) => object,
            Err(ApiError::NotFound(_)) => return Ok(Self::default()),
            Err(error) => return Err(error.into()),
        };
        Self::parse(&object).map_err(|problem| RecordError::Garbled(format!("ConfigMap {namespace}/{NAME}: {problem}")))
    }

    fn parse(object: &Value) -> Result<Self, String> {
        let version = object["metadata"]["resourceVersion"].as_str().ok_or("it has no resourceVersion")?;
        let mut record = Self { version: Some(version.to_owned()), ..Self::default() };
        for (key, value) in object["data"].as_object().into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            if key == COUNTER {
                record.next = text.parse().map_err(|_| format!("{COUNTER} is no number: {value}"))?;
            } else {
                let launch = serde_json::from_str(text).map_err(|error| format!("{key}: {error}"))?;
                record.launches.insert(key.clone(), launch);
            }
        }
        Ok(record)
    }

    /// The machine of this name.
    pub fn find<'a>(&self, machine: &'a str) -> Option<(Place<'a>, &Launch)> {
        let (launch, index) = machine.rsplit_once('-')?;
        let index = index.parse().ok()?;
        let found = self.launches.get(launch).filter(|found| index < found.count)?;
        // Numbers have one way to be written.
        (machine_name(launch, index) == machine).then_some((Place { launch, index }, found))
    }

    /// Writes it, unless somebody else has changed it meanwhile ([`ApiError::Conflict`], [`ApiError::AlreadyExists`]).
    pub async fn write(&self, api: &Api, permit: &Permit, namespace: &str) -> Result<(), RecordError> {
        let mut data = Map::new();
        data.insert(COUNTER.to_owned(), self.next.to_string().into());
        let mut bytes = 0;
        for (id, launch) in &self.launches {
            let text = serde_json::to_string(launch).map_err(|error| RecordError::Garbled(error.to_string()))?;
            bytes += id.len() + text.len();
            data.insert(id.clone(), text.into());
        }
        if bytes > MOST_BYTES {
            return Err(RecordError::Full);
        }
        let mut object = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": NAME,
                "namespace": namespace,
                "labels": {"app.kubernetes.io/managed-by": "plimsoll"},
                "annotations": {"plimsoll.dev/term": permit.term.to_string()},
            },
            "data": data,
        });
        match &self.version {
            None => api.create(permit, &Resource::CONFIG_MAPS, &object).await?,
            Some(version) => {
                object["metadata"]["resourceVersion"] = version.as_str().into();
                api.replace(permit, &Resource::CONFIG_MAPS, &name(namespace), None, &object).await?
            }
        };
        Ok(())
    }
}

fn name(namespace: &str) -> ObjectName {
    ObjectName::in_namespace(namespace, NAME)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_wrote_is_no_panic() {
        for (object, says) in [
            (json!({}), "no resourceVersion"),
            (json!({"metadata": {"resourceVersion": "1"}, "data": {"l": "{"}}), "l: EOF"),
            (json!({"metadata": {"resourceVersion": "1"}, "data": {"l": "{}"}}), "l: missing field"),
            (json!({"metadata": {"resourceVersion": "1"}, "data": {COUNTER: "-1"}}), "no number"),
        ] {
            let error = Record::parse(&object).map(|_| ()).expect_err(says);
            assert!(error.contains(says), "{error}");
        }
        let empty = Record::parse(&json!({"metadata": {"resourceVersion": "1"}, "data": null})).expect("a record");
        assert_eq!((empty.launches.len(), empty.next), (0, 0));
    }
}
