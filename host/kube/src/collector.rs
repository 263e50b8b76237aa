//! Turns objects into rows and keeps account.

use plimsoll_model::{ClusterBuilder, Timestamp};
use serde::Deserialize;

use crate::account::{Account, BrokenObject};
use crate::kind::{self, Kind};
use crate::object::{
    BudgetObject, ClaimObject, CsiNodeObject, CsrObject, DaemonSetObject, MachineObject, Names, NamespaceObject,
    NodeClaimObject, NodeObject, PodObject, Row, StorageClassObject, VolumeObject, WholeProblem,
};
use crate::stream::{self, RawObject};

/// Takes objects one at a time.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub cluster: ClusterBuilder,
    pub account: Account,
}

/// What is wrong with an object, and where in it.
#[derive(Debug, PartialEq, Eq)]
struct Problem {
    /// From 1 for the line the object starts on.
    line: u64,
    field: String,
    problem: String,
}

// === impl Collector ===

impl Collector {
    /// Adds an object of this file to the model, or to the account of what was not used.
    pub(crate) fn take(&mut self, file: &str, object: RawObject<'_>) {
        let Some(name) = object.kind else {
            let problem = "it does not say what it is; it needs kind and apiVersion".to_owned();
            return self.report(file, object, Problem { line: 1, field: "kind".into(), problem });
        };
        let Some(kind) = Kind::of(name, object.api_version) else {
            let name = kind::unknown_name(name, object.api_version);
            *self.account.unknown.entry(name).or_default() += 1;
            return;
        };
        match self.add(kind, object.text) {
            Ok(newest) => {
                self.account.newest = self.account.newest.max(newest);
                match self.account.read.get_mut(kind.name()) {
                    Some(count) => *count += 1,
                    None => drop(self.account.read.insert(kind.name().to_owned(), 1)),
                }
            }
            Err(problem) => self.report(file, object, problem),
        }
    }

    fn add(&mut self, kind: Kind, text: &[u8]) -> Result<Option<Timestamp>, Problem> {
        match kind {
            Kind::Node => self.add_row::<NodeObject<'_>>(text),
            Kind::Pod => self.add_row::<PodObject<'_>>(text),
            Kind::DisruptionBudget { beta } => {
                let object: BudgetObject<'_> = decode(text)?;
                let newest = object.newest();
                object.add_to(beta, &mut self.cluster)?;
                Ok(newest)
            }
            Kind::SigningRequest => self.add_row::<CsrObject<'_>>(text),
            Kind::Namespace => self.add_row::<NamespaceObject<'_>>(text),
            Kind::Machine => self.add_row::<MachineObject<'_>>(text),
            Kind::NodeClaim => self.add_row::<NodeClaimObject<'_>>(text),
            Kind::VolumeClaim => self.add_row::<ClaimObject<'_>>(text),
            Kind::Volume => self.add_row::<VolumeObject<'_>>(text),
            Kind::StorageClass => self.add_row::<StorageClassObject<'_>>(text),
            Kind::CsiNode => self.add_row::<CsiNodeObject<'_>>(text),
            Kind::DaemonSet => self.add_row::<DaemonSetObject<'_>>(text),
        }
    }

    fn add_row<'a, T: Row + Deserialize<'a>>(&mut self, text: &'a [u8]) -> Result<Option<Timestamp>, Problem> {
        let object: T = decode(text)?;
        let newest = object.newest();
        object.add_to(&mut self.cluster)?;
        Ok(newest)
    }

    fn report(&mut self, file: &str, object: RawObject<'_>, problem: Problem) {
        self.account.broken.push(BrokenObject {
            file: file.to_owned(),
            line: object.line.saturating_add(problem.line).saturating_sub(1),
            kind: object.kind.map(str::to_owned),
            name: Names::find(object.text),
            field: problem.field,
            problem: problem.problem,
        });
    }
}

/// Decodes an object. Only where that fails is it done again with a record of the path, which costs time.
fn decode<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, Problem> {
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
