//! How simulated machines behave, and misbehave.

use std::collections::BTreeMap;
use std::time::Duration;

use plimsoll_planner::scale_up::LaunchRequest;
use serde::Deserialize;

use crate::SettingError;
use crate::settings::duration;

/// `provider` with `kind: simulated`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct SimulatedSettings {
    /// From the launch until the Node object is there.
    #[serde(deserialize_with = "duration")]
    pub delay: Duration,
    /// Nodes ask for certificates as kubelets do, and join once the first one is approved.
    pub csr: bool,
    /// Annotations of nodes, for example `kwok.x-k8s.io/node: fake`.
    pub annotations: BTreeMap<String, String>,
    /// Where the record of machines is kept; where nothing is said, in the controller's namespace.
    pub namespace: Option<String>,
    /// What goes wrong. The first one that fits counts.
    pub faults: Vec<FaultSettings>,
    /// How machines go.
    pub removal: RemovalSettings,
}

/// `removal`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct RemovalSettings {
    /// From the call until the machine is gone, and its Node object with it.
    #[serde(deserialize_with = "duration")]
    pub delay: Duration,
    /// What goes wrong with the calls, if anything.
    pub fail: Option<RemovalFault>,
    /// So many calls fail only, counted by each process anew.
    pub first: Option<u32>,
}

/// What can go wrong when a machine is to go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RemovalFault {
    /// It is refused, and nothing is done.
    Refused,
    /// It is done, and no answer comes.
    NoAnswer,
}

/// One of `faults`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct FaultSettings {
    /// In this group only.
    #[serde(default)]
    pub group: Option<String>,
    /// Of this type only.
    #[serde(default)]
    pub instance_type: Option<String>,
    /// In this zone only.
    #[serde(default)]
    pub zone: Option<String>,
    /// So many launches only, counted by each process anew.
    #[serde(default)]
    pub first: Option<u32>,
    /// What.
    pub fault: Fault,
    /// `slowJoin`: how much longer it takes.
    #[serde(default, deserialize_with = "optional_duration")]
    pub delay: Option<Duration>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Fault {
    /// There are no such machines.
    NoCapacity,
    /// A quota is used up.
    Quota,
    /// The Node object takes longer.
    SlowJoin,
    /// The Node object lacks the labels that were asked for, and names another group.
    WrongLabels,
    /// There is a machine, but never a Node object.
    NeverJoins,
}

fn optional_duration<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    duration(deserializer).map(Some)
}

impl Default for SimulatedSettings {
    /// Nodes after five seconds, without certificates and faults.
    fn default() -> Self {
        Self {
            delay: Duration::from_secs(5),
            csr: false,
            annotations: BTreeMap::new(),
            namespace: None,
            faults: Vec::new(),
            removal: RemovalSettings::default(),
        }
    }
}

impl Default for RemovalSettings {
    /// Gone after two seconds, and nothing goes wrong.
    fn default() -> Self {
        Self { delay: Duration::from_secs(2), fail: None, first: None }
    }
}

impl SimulatedSettings {
    /// What is wrong with them, if anything.
    pub fn check(&self) -> Result<(), SettingError> {
        for (at, fault) in self.faults.iter().enumerate() {
            let slow = fault.fault == Fault::SlowJoin;
            if slow != fault.delay.is_some() {
                let problem = if slow { "slowJoin needs one, for example 5m" } else { "only slowJoin has one" };
                return Err(SettingError::new(format!("faults[{at}].delay"), problem));
            }
            if fault.first == Some(0) {
                return Err(SettingError::new(format!("faults[{at}].first"), "0 is no launch; leave the fault out"));
            }
        }
        match self.removal {
            RemovalSettings { fail: None, first: Some(_), .. } => {
                Err(SettingError::new("removal.first", "it is for removal.fail, which is not set"))
            }
            RemovalSettings { first: Some(0), .. } => {
                Err(SettingError::new("removal.first", "0 is no call; leave removal.fail out"))
            }
            _ => Ok(()),
        }
    }
}

impl FaultSettings {
    /// True if it is meant for this launch.
    pub(super) fn fits(&self, request: &LaunchRequest) -> bool {
        let same = |wanted: &Option<String>, is: &str| wanted.as_deref().is_none_or(|wanted| wanted == is);
        same(&self.group, &request.group)
            && same(&self.instance_type, &request.instance_type)
            && same(&self.zone, &request.zone)
    }
}
