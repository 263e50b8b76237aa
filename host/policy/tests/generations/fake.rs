//! A policy without a sandbox: its module is a line of text, and the test decides how it behaves.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use plimsoll_model::{Bytes, Snapshot};
use plimsoll_planner::csr::{CsrQuestion, CsrVerdict};
use plimsoll_planner::drain::{NodesQuestion, NodesVerdict, PodTurn, PodsQuestion};
use plimsoll_planner::scale_up::{ScaleUpQuestion, ScaleUpVerdict};
use plimsoll_planner::{Asked, CsrPolicy, DrainPolicy, LogLevel, LogLine, Point, ScaleUpPolicy};
use plimsoll_policy::{Answers, Failure, Limits, Mode, ModuleSource, OnError, PolicySpec, Registry, Run};

use crate::guest;

/// What the test decides and sees.
pub struct World {
    now: Mutex<Instant>,
    failing: Mutex<HashSet<String>>,
    passing: Mutex<HashSet<String>>,
    during_next_call: Mutex<Option<Box<dyn FnOnce() + Send>>>,
    was_slow: AtomicBool,
    /// How often a module was compiled.
    pub loads: AtomicUsize,
    /// How many programs are alive.
    pub alive: AtomicUsize,
}

/// A loaded module. `good LABEL POINT,POINT` loads; anything else does not.
pub struct Fake {
    label: String,
    settings: String,
    points: Vec<Point>,
    world: Arc<World>,
}

impl World {
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(Instant::now()),
            failing: Mutex::default(),
            passing: Mutex::default(),
            during_next_call: Mutex::default(),
            was_slow: AtomicBool::new(false),
            loads: AtomicUsize::new(0),
            alive: AtomicUsize::new(0),
        })
    }

    pub fn wait(&self, seconds: u64) {
        *self.now.lock().unwrap() += Duration::from_secs(seconds);
    }

    pub fn fail(&self, label: &str, fails: bool) {
        let mut failing = self.failing.lock().unwrap();
        if fails {
            failing.insert(label.into())
        } else {
            failing.remove(label)
        };
    }

    pub fn pass(&self, label: &str) {
        self.passing.lock().unwrap().insert(label.into());
    }

    pub fn during_next_call(&self, act: impl FnOnce() + Send + 'static) {
        *self.during_next_call.lock().unwrap() = Some(Box::new(act));
    }

    pub fn open(
        self: &Arc<Self>,
        directory: Option<PathBuf>,
        specs: Vec<(Point, PolicySpec)>,
    ) -> (Registry<Fake>, Vec<plimsoll_policy::Change>) {
        let (loading, clock) = (self.clone(), self.clone());
        let defaults = Point::ALL.map(|point| (point, built_in(point))).to_vec();
        Registry::open(
            Box::new(move |wasm, settings, _: Limits| loading.load(wasm, settings)),
            Box::new(move || *clock.now.lock().unwrap()),
            directory,
            defaults,
            specs,
        )
    }

    fn load(self: &Arc<Self>, wasm: &[u8], settings: &str) -> Result<Fake, Failure> {
        self.loads.fetch_add(1, Ordering::Relaxed);
        let text = std::str::from_utf8(wasm).map_err(|_| Failure::Load("no WebAssembly".into()))?;
        if text == "slow this once" && !self.was_slow.swap(true, Ordering::Relaxed) {
            return Err(Failure::Deadline { limit: Limits::default().timeout });
        }
        let text = text.replace("slow this once", "good slow scale-up");
        let [_, label, points] = text.split(' ').collect::<Vec<_>>()[..] else {
            return Err(Failure::Load("no WebAssembly".into()));
        };
        if settings.contains("wrong") {
            return Err(Failure::Settings("wrong".into()));
        }
        let points = Point::ALL.into_iter().filter(|point| points.split(',').any(|name| name == point.interface()));
        self.alive.fetch_add(1, Ordering::Relaxed);
        Ok(Fake { label: label.into(), settings: settings.into(), points: points.collect(), world: self.clone() })
    }
}

impl Fake {
    fn run<V>(&self, verdict: impl FnOnce(String) -> V) -> Run<V> {
        let act = self.world.during_next_call.lock().unwrap().take();
        if let Some(act) = act {
            act();
        }
        let result = if self.world.failing.lock().unwrap().contains(&self.label) {
            Err(Failure::Trap("unreachable".into()))
        } else if self.world.passing.lock().unwrap().contains(&self.label) {
            Ok(None)
        } else {
            Ok(Some(verdict(format!("{} {}", self.label, self.settings))))
        };
        let log = vec![LogLine { level: LogLevel::Info, message: self.label.clone() }];
        Run { result, micros: 7, peak_memory: Bytes(9), log, log_dropped: 3 }
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.world.alive.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Answers for Fake {
    fn points(&self) -> &[Point] {
        &self.points
    }
    fn choose(&self, _: &Arc<Snapshot>, _: &ScaleUpQuestion) -> Run<ScaleUpVerdict> {
        self.run(ScaleUpVerdict::Hold)
    }
    fn order_nodes(&self, _: &Arc<Snapshot>, _: &NodesQuestion) -> Run<NodesVerdict> {
        self.run(NodesVerdict::Hold)
    }
    fn order_pods(&self, _: &Arc<Snapshot>, _: &PodsQuestion) -> Run<Vec<PodTurn>> {
        self.run(|reason| vec![PodTurn { pod: 0, wait: None, reason }])
    }
    fn review(&self, _: &Arc<Snapshot>, _: &CsrQuestion) -> Run<CsrVerdict> {
        self.run(CsrVerdict::Leave)
    }
}

/// A policy that everything can be said of.
pub fn spec(name: &str, file: &Path) -> PolicySpec {
    PolicySpec {
        name: name.into(),
        module: ModuleSource::File(file.into()),
        settings: "{}".into(),
        mode: Mode::Active,
        limits: Limits::default(),
        on_error: OnError::Next,
    }
}

fn built_in(point: Point) -> PolicySpec {
    let wasm: &[u8] = match point {
        Point::ScaleUp => b"good default scale-up",
        Point::Drain => b"good default drain",
        Point::CsrApproval => b"good default csr-approval",
    };
    PolicySpec { module: ModuleSource::Builtin { name: "default", wasm }, ..spec("default", Path::new("")) }
}

/// Asks for nodes to launch. The label and settings of whoever answered.
pub fn ask_scale_up(registry: &Registry<Fake>) -> (Option<String>, Asked<ScaleUpVerdict>) {
    let asked = registry.choose(&Arc::default(), &guest::question(1));
    let answer = asked.verdict.clone().map(|verdict| match verdict {
        ScaleUpVerdict::Hold(by) => by,
        ScaleUpVerdict::Launch(_) => unreachable!(),
    });
    (answer, asked)
}

/// Asks for nodes to drain.
pub fn ask_nodes(registry: &Registry<Fake>) -> Asked<NodesVerdict> {
    registry.order_nodes(&Arc::default(), &guest::nodes_question(1))
}

/// Asks for the order of the pods of a node.
pub fn ask_pods(registry: &Registry<Fake>) -> Asked<Vec<PodTurn>> {
    registry.order_pods(&Arc::default(), &guest::pods_question())
}

/// Asks about a certificate.
pub fn ask_csr(registry: &Registry<Fake>) -> Asked<CsrVerdict> {
    registry.review(&Arc::default(), &guest::csr_question())
}
