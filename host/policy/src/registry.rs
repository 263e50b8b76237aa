//! The policies of every point, in the order in which they are asked.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use arc_swap::ArcSwap;
use plimsoll_model::{Snapshot, Text};
use plimsoll_planner::Point;
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict};
use plimsoll_planner::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use plimsoll_planner::scale_up::{ScaleUpQuestion, ScaleUpVerdict};

use crate::generation::{Lineage, Loaded, Recipe};
use crate::status::{Change, PolicyStatus};
use crate::{Failure, Limits, Mode, OnError, PolicySpec, Run, directory};

/// What the registry needs of a loaded program. Tests have one without a sandbox.
pub trait Answers {
    /// The points that it exports.
    fn points(&self) -> &[Point];
    /// Which nodes to launch.
    fn choose(&self, snapshot: &Arc<Snapshot>, question: &ScaleUpQuestion) -> Run<ScaleUpVerdict>;
    /// Which nodes to drain.
    fn order_nodes(&self, snapshot: &Arc<Snapshot>, question: &NodesQuestion) -> Run<NodesVerdict>;
    /// In what order the pods of a node leave.
    fn order_pods(&self, snapshot: &Arc<Snapshot>, question: &PodsQuestion) -> Run<Vec<PodTurn>>;
    /// Whether a certificate is approved.
    fn review(&self, snapshot: &Arc<Snapshot>, question: &CsrQuestion) -> Run<CsrVerdict>;
}

/// Compiles a module with its settings and limits, and checks that it is fit to answer.
pub type Loader<P> = Box<dyn Fn(&[u8], &str, Limits) -> Result<P, Failure> + Send + Sync>;

/// Tells the time; `Instant::now` outside tests.
pub type Clock = Box<dyn Fn() -> Instant + Send + Sync>;

/// The policies of every point: first those of the policies directory in the order of their names, then the
/// configured ones, then the defaults. Questions never wait for a reload.
pub struct Registry<P> {
    load: Loader<P>,
    clock: Clock,
    directory: Option<PathBuf>,
    defaults: Vec<(Point, PolicySpec)>,
    table: ArcSwap<Table<P>>,
    /// Held while the table is being replaced.
    changing: Mutex<()>,
}

/// Everybody who may be asked. Replaced as a whole.
struct Table<P> {
    found: Found<P>,
    listed: Vec<Listed<P>>,
    directory_problem: Option<String>,
}

/// The policies of the directory, by file.
type Found<P> = Vec<(PathBuf, Arc<Lineage<P>>)>;

/// A configured policy, or a default.
struct Listed<P> {
    member: Member<P>,
    point: Point,
    is_default: bool,
}

/// A policy in the list of one point.
pub(crate) struct Member<P> {
    pub(crate) lineage: Arc<Lineage<P>>,
    pub(crate) mode: Mode,
    pub(crate) on_error: OnError,
}

// === impl Registry ===

impl<P: Answers> Registry<P> {
    /// Loads everything for the first time. What fails is among the changes; the rest answers.
    pub fn open(
        load: Loader<P>,
        clock: Clock,
        directory: Option<PathBuf>,
        defaults: Vec<(Point, PolicySpec)>,
        specs: Vec<(Point, PolicySpec)>,
    ) -> (Self, Vec<Change>) {
        let table = ArcSwap::from_pointee(Table { found: Vec::new(), listed: Vec::new(), directory_problem: None });
        let registry = Self { load, clock, directory, defaults, table, changing: Mutex::new(()) };
        let changes = registry.replace_specs(specs);
        (registry, changes)
    }

    /// Takes over another list of configured policies, point by point in the order in which they are asked, and reads
    /// everything again. A policy of the same point and name keeps its generations.
    pub fn replace_specs(&self, specs: Vec<(Point, PolicySpec)>) -> Vec<Change> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let mut before: VecDeque<Listed<P>> = self.table.load().listed.iter().map(Listed::share).collect();
        let configured = specs.into_iter().map(|spec| (spec, false));
        let defaults = self.defaults.iter().cloned().map(|spec| (spec, true));
        let mut listed = Vec::new();
        for ((point, spec), is_default) in configured.chain(defaults) {
            let PolicySpec { name, module, settings, mode, limits, on_error } = spec;
            let recipe = Recipe { module, settings, limits };
            let same =
                |old: &Listed<P>| (old.point, old.is_default, old.member.lineage.name()) == (point, is_default, &name);
            let lineage = match before.iter().position(same).and_then(|place| before.remove(place)) {
                Some(old) => {
                    old.member.lineage.configure(recipe);
                    old.member.lineage
                }
                None => Arc::new(Lineage::new(name, recipe)),
            };
            listed.push(Listed { member: Member { lineage, mode, on_error }, point, is_default });
        }
        let mut changes: Vec<_> = before.iter().map(|gone| removed(&gone.member.lineage)).collect();
        changes.extend(self.read_everything(listed));
        changes
    }

    /// Reads all files and the directory again. Blocks while it compiles; questions are answered meanwhile.
    pub fn reload(&self) -> Vec<Change> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        self.read_everything(self.table.load().listed.iter().map(Listed::share).collect())
    }

    /// Goes back to the previous generation of every policy of this name that has one, until its bytes change again.
    pub fn rollback(&self, policy: &str) -> Vec<Change> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let table = self.table.load();
        table.lineages().filter(|lineage| lineage.name() == policy).filter_map(|lineage| lineage.rollback()).collect()
    }

    /// How every policy stands, in the order in which they are asked.
    pub fn status(&self) -> Vec<PolicyStatus> {
        let (table, now) = (self.table.load(), self.now());
        let found = table.found.iter().map(|(_, lineage)| lineage.status(None, Mode::Active, now));
        let listed = |Listed { member, point, .. }: &Listed<P>| member.lineage.status(Some(*point), member.mode, now);
        found.chain(table.listed.iter().map(listed)).collect()
    }

    /// Why the policies directory could not be read the last time, if so.
    pub fn directory_problem(&self) -> Option<String> {
        self.table.load().directory_problem.clone()
    }

    /// Who is asked at a point, in order.
    pub(crate) fn members(&self, point: Point) -> Vec<Member<P>> {
        let table = self.table.load();
        let found = table.found.iter().filter_map(|(_, lineage)| {
            // One that was never good has no say anywhere yet.
            lineage.active().filter(|generation| generation.points.contains(&point))?;
            Some(Member { lineage: lineage.clone(), mode: Mode::Active, on_error: cautious(point) })
        });
        let listed = table.listed.iter().filter(|listed| listed.point == point).map(|listed| listed.member.share());
        found.chain(listed).collect()
    }

    pub(crate) fn now(&self) -> Instant {
        (self.clock)()
    }

    /// Publishes the new table last: nobody is asked who was not loaded before.
    fn read_everything(&self, listed: Vec<Listed<P>>) -> Vec<Change> {
        let load = |listed: &Listed<P>| self.refresh(&listed.member.lineage, Some(listed.point));
        let mut changes: Vec<_> = listed.iter().filter_map(load).collect();
        let (found, directory_problem) = self.read_directory(&mut changes);
        for change in &changes {
            match change {
                Change::Rejected { .. } | Change::DirectoryUnreadable { .. } => tracing::warn!("{change}"),
                Change::Activated { .. } | Change::Removed { .. } => tracing::info!("{change}"),
            }
        }
        self.table.store(Arc::new(Table { found, listed, directory_problem }));
        changes
    }

    /// The policies of the directory. If it cannot be listed, those of before and why.
    fn read_directory(&self, changes: &mut Vec<Change>) -> (Found<P>, Option<String>) {
        let before = self.table.load();
        let Some(directory) = &self.directory else { return (Vec::new(), None) };
        let modules = match directory::modules(directory) {
            Ok(modules) => modules,
            Err(problem) => {
                let problem = problem.to_string();
                if before.directory_problem.as_ref() != Some(&problem) {
                    let (directory, problem) = (directory.clone(), problem.clone());
                    changes.push(Change::DirectoryUnreadable { directory, problem });
                }
                return (before.found.clone(), Some(problem));
            }
        };
        let gone = before.found.iter().filter(|(path, _)| modules.iter().all(|module| module.path != *path));
        changes.extend(gone.map(|(_, lineage)| removed(lineage)));
        let mut found = Vec::new();
        for directory::Found { name, path } in modules {
            let lineage =
                before.lineage_at(&path).unwrap_or_else(|| Arc::new(Lineage::new(name, Recipe::plain(&path))));
            changes.extend(self.refresh(&lineage, None));
            found.push((path, lineage));
        }
        (found, None)
    }

    /// Loads what is new of a policy, which must have a say at `point` if there is one.
    fn refresh(&self, lineage: &Lineage<P>, point: Option<Point>) -> Option<Change> {
        lineage.refresh(self.now(), |wasm, settings, limits| {
            let program = (self.load)(wasm, settings, limits)?;
            let points = program.points().to_vec();
            match point {
                Some(point) if !points.contains(&point) => Err(Failure::Contract(format!(
                    "configured for {}, but its module exports {}",
                    point.interface(),
                    names(&points),
                ))),
                _ => Ok(Loaded { program, points }),
            }
        })
    }
}

// === impl Table ===

impl<P> Table<P> {
    fn lineages(&self) -> impl Iterator<Item = &Arc<Lineage<P>>> {
        self.found.iter().map(|(_, lineage)| lineage).chain(self.listed.iter().map(|listed| &listed.member.lineage))
    }

    fn lineage_at(&self, path: &Path) -> Option<Arc<Lineage<P>>> {
        self.found.iter().find(|(known, _)| known == path).map(|(_, lineage)| lineage.clone())
    }
}

// === impl Listed ===

impl<P> Listed<P> {
    fn share(&self) -> Self {
        Self { member: self.member.share(), point: self.point, is_default: self.is_default }
    }
}

// === impl Member ===

impl<P> Member<P> {
    fn share(&self) -> Self {
        Self { lineage: self.lineage.clone(), mode: self.mode, on_error: self.on_error }
    }
}

/// What happens when a policy of the directory fails, since nobody said: launching goes on with the next one, but
/// nothing is drained and no certificate approved by one that was not meant to decide.
fn cautious(point: Point) -> OnError {
    match point {
        Point::ScaleUp => OnError::Next,
        Point::Drain | Point::CsrApproval => OnError::Hold,
    }
}

fn removed<P>(lineage: &Lineage<P>) -> Change {
    Change::Removed { policy: Text::clone(lineage.name()) }
}

fn names(points: &[Point]) -> String {
    match points {
        [] => "nothing".into(),
        points => points.iter().map(|point| point.interface()).collect::<Vec<_>>().join(" and "),
    }
}
