//! Turns objects into rows and keeps account.

use plimsoll_model::{ClusterBuilder, Timestamp};

use crate::account::{Account, BrokenObject};
use crate::kind::{self, Kind};
use crate::object::{Names, Problem, decode};
use crate::stream::RawObject;

/// Takes objects one at a time.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub cluster: ClusterBuilder,
    pub account: Account,
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
        let decoded = decode(kind, text, self.cluster.pools())?;
        decoded.object.add(&mut self.cluster)?;
        Ok(decoded.newest)
    }

    fn report(&mut self, file: &str, object: RawObject<'_>, problem: Problem) {
        self.account.broken.push(BrokenObject {
            file: file.to_owned(),
            line: object.line.saturating_add(problem.line).saturating_sub(1),
            kind: object.kind.map(str::to_owned),
            name: Names::find(object.text).map(|names| names.to_string()),
            field: problem.field,
            problem: problem.problem,
        });
    }
}
