//! The configuration file: one YAML or JSON file, in the words of Kubernetes.

mod catalog;
mod file;
mod resolve;
#[cfg(test)]
mod tests;
mod values;

use std::path::{Path, PathBuf};

use plimsoll_planner::Point;
use plimsoll_planner::csr::CsrRules;
use plimsoll_planner::drain::{DrainRules, ScaleDownConfig};
use plimsoll_planner::scale_up::ScaleUpConfig;
use plimsoll_policy::PolicySpec;
use plimsoll_scheduler::SchedulerProfile;

pub use resolve::{ApiServerConfig, ControllerConfig};

/// The configuration, checked and complete.
#[derive(Debug)]
pub struct Config {
    /// What may be launched.
    pub scale_up: ScaleUpConfig,
    /// What may be drained.
    pub scale_down: ScaleDownConfig,
    /// How patient drains are.
    pub drain: DrainRules,
    /// Nodes are removed although another autoscaler is at work.
    pub beside_rivals: bool,
    /// How the cluster's scheduler is configured.
    pub scheduler: SchedulerProfile,
    /// Certificates are approved.
    pub csr_enabled: bool,
    /// The rules of their approval.
    pub csr: CsrRules,
    /// The policies of each point, in the order in which they are asked.
    pub policies: Vec<(Point, PolicySpec)>,
    /// What the controller needs beside that.
    pub controller: ControllerConfig,
    /// Files that it is made of: itself, and its catalogues.
    pub files: Vec<PathBuf>,
    /// What the file says to no effect or at a risk, each a sentence.
    pub warnings: Vec<String>,
}

/// What is wrong with a configuration. As text: file, line or field, what is wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It is no YAML, or has a key or value that makes no sense.
    #[error("{}:{line}:{column}: {problem}", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where.
        line: u64,
        /// Where.
        column: u64,
        /// What is wrong.
        problem: String,
    },
    /// A value that cannot be used.
    #[error("{}: {field}: {problem}", path.display())]
    Value {
        /// The file.
        path: PathBuf,
        /// The key, with its place in lists.
        field: String,
        /// What is wrong.
        problem: String,
    },
}

impl Config {
    /// What holds without a configuration file: limits and rules at their defaults, no node groups, and every
    /// node outside the control plane as a candidate for removal.
    pub fn without_file() -> Self {
        Self {
            scale_up: ScaleUpConfig::default(),
            scale_down: ScaleDownConfig::default(),
            drain: DrainRules::default(),
            beside_rivals: false,
            scheduler: SchedulerProfile::default(),
            csr_enabled: false,
            csr: CsrRules::default(),
            policies: Vec::new(),
            controller: ControllerConfig::default(),
            files: Vec::new(),
            warnings: Vec::new(),
        }
    }

    /// Reads and checks a file.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
        let parsed = file::parse(&text).map_err(|(line, column, problem)| ConfigError::Syntax {
            path: path.to_owned(),
            line,
            column,
            problem,
        })?;
        resolve::resolve(path, parsed)
    }
}
