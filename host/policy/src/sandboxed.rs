//! The registry as the binary uses it: over programs in the sandbox.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use plimsoll_model::Snapshot;
use plimsoll_planner::Point;
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict};
use plimsoll_planner::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use plimsoll_planner::scale_up::{ScaleUpQuestion, ScaleUpVerdict};

use crate::{Answers, Change, PolicySpec, Program, Registry, Run, Sandbox};

/// The policies of every point, in the sandbox.
pub type PolicyRegistry = Registry<Program>;

impl PolicyRegistry {
    /// Loads everything for the first time into a sandbox. What fails is among the changes; the rest answers.
    pub fn sandboxed(
        sandbox: Sandbox,
        directory: Option<PathBuf>,
        defaults: Vec<(Point, PolicySpec)>,
        specs: Vec<(Point, PolicySpec)>,
    ) -> (Self, Vec<Change>) {
        let load = Box::new(move |wasm: &[u8], settings: &str, limits| sandbox.load(wasm, settings, limits));
        Self::open(load, Box::new(Instant::now), directory, defaults, specs)
    }
}

impl Answers for Program {
    fn points(&self) -> &[Point] {
        self.points()
    }

    fn choose(&self, snapshot: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Run<ScaleUpVerdict> {
        self.choose(snapshot, question)
    }

    fn order_nodes(&self, snapshot: &Arc<Snapshot>, question: &NodesQuestion) -> Run<NodesVerdict> {
        self.order_nodes(snapshot, question)
    }

    fn order_pods(&self, snapshot: &Arc<Snapshot>, question: &PodsQuestion) -> Run<Vec<PodTurn>> {
        self.order_pods(snapshot, question)
    }

    fn review(&self, snapshot: &Arc<Snapshot>, question: &CsrQuestion) -> Run<CsrVerdict> {
        self.review(snapshot, question)
    }
}
