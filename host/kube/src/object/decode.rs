//! From the text of an object to a row.

use plimsoll_model::{Pools, Timestamp};
use serde::Deserialize;

use super::budget::{BetaBudgetObject, BudgetObject};
use super::claim::ClaimObject;
use super::csi_node::CsiNodeObject;
use super::csr::CsrObject;
use super::daemon_set::DaemonSetObject;
use super::field::Str;
use super::machine::{MachineObject, NodeClaimObject};
use super::namespace::NamespaceObject;
use super::node::NodeObject;
use super::pod::PodObject;
use super::priority_class::PriorityClassObject;
use super::storage_class::StorageClassObject;
use super::volume::VolumeObject;
use super::workload::WorkloadObject;
use super::{Object, Row, WholeProblem};
use crate::kind::Kind;
use crate::stream;

/// An object that could be read.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    /// Empty where it has none.
    pub namespace: Str<'a>,
    pub name: Str<'a>,
    /// Empty in dumps that leave it out.
    pub version: Str<'a>,
    pub object: Object,
    /// The latest moment it mentions of what has happened.
    pub newest: Option<Timestamp>,
}

/// What is wrong with an object, and where in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    /// From 1 for the line the object starts on.
    pub line: u64,
    pub field: String,
    pub problem: String,
}

/// Decodes the text of an object of this kind.
pub(crate) fn decode<'a>(kind: Kind, text: &'a [u8], pools: &mut Pools) -> Result<Decoded<'a>, Problem> {
    match kind {
        Kind::Node => decoded(parse::<NodeObject<'a>>(text)?, pools),
        Kind::Pod => decoded(parse::<PodObject<'a>>(text)?, pools),
        Kind::DisruptionBudget { beta: false } => decoded(parse::<BudgetObject<'a>>(text)?, pools),
        Kind::DisruptionBudget { beta: true } => decoded(parse::<BetaBudgetObject<'a>>(text)?, pools),
        Kind::SigningRequest => decoded(parse::<CsrObject<'a>>(text)?, pools),
        Kind::Namespace => decoded(parse::<NamespaceObject<'a>>(text)?, pools),
        Kind::Machine => decoded(parse::<MachineObject<'a>>(text)?, pools),
        Kind::NodeClaim => decoded(parse::<NodeClaimObject<'a>>(text)?, pools),
        Kind::VolumeClaim => decoded(parse::<ClaimObject<'a>>(text)?, pools),
        Kind::Volume => decoded(parse::<VolumeObject<'a>>(text)?, pools),
        Kind::StorageClass => decoded(parse::<StorageClassObject<'a>>(text)?, pools),
        Kind::CsiNode => decoded(parse::<CsiNodeObject<'a>>(text)?, pools),
        Kind::DaemonSet => decoded(parse::<DaemonSetObject<'a>>(text)?, pools),
        Kind::PriorityClass => decoded(parse::<PriorityClassObject<'a>>(text)?, pools),
        Kind::Workload(kind) => decoded((kind, parse::<WorkloadObject<'a>>(text)?), pools),
    }
}

fn decoded<'a, T: Row<'a>>(read: T, pools: &mut Pools) -> Result<Decoded<'a>, Problem> {
    let metadata = read.metadata();
    let (namespace, name) = (metadata.namespace.clone(), metadata.name.0.clone());
    let (version, newest) = (metadata.resource_version.clone(), read.newest());
    Ok(Decoded { namespace, name, version, newest, object: read.row(pools)? })
}

/// Only where decoding fails is it done again with a record of the path, which costs time.
fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Problem> {
    serde_json::from_slice(text).or_else(|_| {
        let mut json = serde_json::Deserializer::from_slice(text);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let mut field = if path == "." { String::new() } else { path };
            let error = error.into_inner();
            let problem = stream::message(&error);
            // For a field that is not there the path ends at its parent.
            if let Some(name) = problem.strip_prefix("missing field `").and_then(|rest| rest.split('`').next()) {
                field = if field.is_empty() { name.to_owned() } else { format!("{field}.{name}") };
            }
            let line = u64::try_from(error.line()).unwrap_or(u64::MAX).max(1);
            Problem { line, field, problem: plain(&problem) }
        })
    })
}

/// Serde speaks of Rust; people write YAML.
fn plain(problem: &str) -> String {
    if problem.starts_with("missing field") {
        return "it is missing; every such object has it, so write the dump again".to_owned();
    }
    problem
        .replace("invalid type: ", "this is ")
        .replace("invalid value: ", "this is ")
        .replace("expected struct ", "expected ")
}

impl From<WholeProblem> for Problem {
    fn from(whole: WholeProblem) -> Self {
        Self { line: 1, field: whole.field.to_owned(), problem: whole.problem }
    }
}
