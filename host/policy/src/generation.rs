//! One policy and its generations: each fit change of its module, settings or limits makes a new one.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plimsoll_model::{Millis, Text};
use plimsoll_planner::Point;
use sha2::{Digest, Sha256};

use crate::directory;
use crate::quarantine::Quarantine;
use crate::status::{Change, GenerationStatus, PolicyStatus, Resting, Setback};
use crate::{Failure, Limits, Mode, ModuleSource};

/// What a generation is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipe {
    /// Where the module is.
    pub module: ModuleSource,
    /// Its settings, as JSON text.
    pub settings: String,
    /// What it may use.
    pub limits: Limits,
}

/// A program that passed every check, and where it has a say.
pub struct Loaded<P> {
    /// The program.
    pub program: P,
    /// The points that it exports.
    pub points: Vec<Point>,
}

/// One good version of a policy.
pub struct Generation<P> {
    /// Counted from 1.
    pub number: u64,
    /// SHA-256 of the module, in hexadecimal.
    pub digest: Text,
    /// The program.
    pub program: P,
    /// The points that it exports.
    pub points: Vec<Point>,
    loaded: Instant,
    key: Key,
}

/// One policy. Whoever asks it keeps the generation that it was handed until the answer is there.
pub struct Lineage<P> {
    name: Text,
    state: Mutex<State<P>>,
}

/// Why a policy cannot be asked now.
pub struct Absence {
    /// The generation that would have been asked; 0 if there is none.
    pub generation: u64,
    /// SHA-256 of its module, in hexadecimal; empty if there is none.
    pub digest: Text,
    /// A stable label for metrics.
    pub label: &'static str,
    /// What a person can do.
    pub sentence: String,
}

/// SHA-256 over module, settings and limits: what makes two generations the same.
type Key = [u8; 32];

struct State<P> {
    recipe: Recipe,
    active: Option<Held<P>>,
    previous: Option<Held<P>>,
    /// The number of the newest generation.
    newest: u64,
    /// What was read last and dealt with, good or bad. Reading it again changes nothing, a rollback least of all.
    seen: Option<Key>,
    refused: Option<Setback>,
    unreadable: Option<Setback>,
}

struct Held<P> {
    generation: Arc<Generation<P>>,
    /// By point: a policy may do well at one and badly at another.
    record: BTreeMap<Point, Record>,
}

#[derive(Default)]
struct Record {
    quarantine: Quarantine,
    failure: Option<Failure>,
}

// === impl Lineage ===

impl<P> Lineage<P> {
    /// A policy of which nothing is loaded yet.
    pub fn new(name: Text, recipe: Recipe) -> Self {
        let (active, previous, seen, refused, unreadable) = (None, None, None, None, None);
        Self { name, state: Mutex::new(State { recipe, active, previous, newest: 0, seen, refused, unreadable }) }
    }

    /// Its name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// Makes its next generation from something else.
    pub fn configure(&self, recipe: Recipe) {
        self.lock().recipe = recipe;
    }

    /// Reads its module again and loads what is new. Whatever goes wrong, the active generation goes on.
    pub fn refresh(
        &self,
        now: Instant,
        load: impl FnOnce(&[u8], &str, Limits) -> Result<Loaded<P>, Failure>,
    ) -> Option<Change> {
        let recipe = self.lock().recipe.clone();
        let wasm = match &recipe.module {
            ModuleSource::Builtin { wasm, .. } => Cow::Borrowed(*wasm),
            ModuleSource::File(path) => match directory::read(path) {
                Ok(wasm) => Cow::Owned(wasm),
                Err(failure) => return self.lock().set_unreadable(&self.name, failure),
            },
        };
        let key = key(&wasm, &recipe);
        if self.lock().knows(key) {
            return None;
        }
        let digest = Text::from(hexadecimal(&Sha256::digest(&wasm)));
        // Not under the lock: compiling takes long, and questions are answered meanwhile.
        let loaded = load(&wasm, &recipe.settings, recipe.limits);
        let mut state = self.lock();
        // A machine that is busy for a moment makes any module slow: that settles nothing.
        if !matches!(loaded, Err(Failure::Deadline { .. })) {
            state.seen = Some(key);
        }
        Some(match loaded {
            Ok(Loaded { program, points }) => {
                let number = state.newest + 1;
                state.activate(Generation { number, digest, program, points, loaded: now, key });
                state.activated(&self.name, number)
            }
            Err(failure) => state.refuse(&self.name, digest, failure),
        })
    }

    /// Makes the previous generation active and keeps the other at hand. `None` if there is none.
    pub fn rollback(&self) -> Option<Change> {
        let mut state = self.lock();
        let mut back = state.previous.take()?;
        // An operator's choice is a fresh start.
        back.record.clear();
        let number = back.generation.number;
        state.previous = state.active.replace(back);
        Some(state.activated(&self.name, number))
    }

    /// The active generation.
    pub fn active(&self) -> Option<Arc<Generation<P>>> {
        self.lock().active.as_ref().map(|held| held.generation.clone())
    }

    /// The generation to ask at a point: the active one, or while it rests the one before it.
    pub fn answerer(&self, point: Point, now: Instant) -> Result<Arc<Generation<P>>, Absence> {
        let mut state = self.lock();
        let State { active, previous, .. } = &mut *state;
        let Some(active) = active else { return Err(state.never_loaded()) };
        if active.record.entry(point).or_default().quarantine.admits(now) {
            return Ok(active.generation.clone());
        }
        let number = active.generation.number;
        // After a rollback the other one is newer: an operator put it aside.
        if let Some(previous) = previous.as_mut().filter(|held| held.generation.number < number)
            && previous.generation.points.contains(&point)
            && previous.record.entry(point).or_default().quarantine.admits(now)
        {
            return Ok(previous.generation.clone());
        }
        Err(active.absence(point, now))
    }

    /// Takes down how a call to a generation ended.
    pub fn record(&self, point: Point, generation: u64, failure: Option<&Failure>, now: Instant) {
        let mut state = self.lock();
        let State { active, previous, .. } = &mut *state;
        // A generation that is gone has nothing left to lose.
        let mut known = [active, previous].into_iter().flatten();
        let Some(held) = known.find(|held| held.generation.number == generation) else { return };
        let record = held.record.entry(point).or_default();
        let Some(failure) = failure else { return record.quarantine.succeeded() };
        record.failure = Some(failure.clone());
        if let Some(rest) = record.quarantine.failed(now) {
            let (point, seconds) = (point.interface(), rest.as_secs());
            tracing::warn!(policy = %self.name, generation, point, seconds, %failure, "policy rests after repeated failures");
        }
    }

    /// How it stands. A directory's policy is asked wherever its module has a say, a configured one at one point.
    pub fn status(&self, point: Option<Point>, mode: Mode, now: Instant) -> PolicyStatus {
        let state = self.lock();
        let active = state.active.as_ref();
        let exported = || active.map(|held| held.generation.points.clone()).unwrap_or_default();
        PolicyStatus {
            name: self.name.clone(),
            module: match &state.recipe.module {
                ModuleSource::Builtin { name, .. } => format!("built-in {name}"),
                ModuleSource::File(path) => path.display().to_string(),
            },
            points: point.map_or_else(exported, |point| vec![point]),
            mode,
            active: active.map(|held| held.generation.status(now)),
            previous: state.previous.as_ref().map(|held| held.generation.status(now)),
            setback: state.setback().cloned(),
            resting: active.map(|held| held.resting(now)).unwrap_or_default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<P>> {
        // Every change is one assignment after all that can fail: a panic elsewhere leaves nothing half done.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl<P> State<P> {
    /// Whether there is nothing to load: it was dealt with before, or it is what answers.
    fn knows(&mut self, key: Key) -> bool {
        self.unreadable = None;
        if self.active.as_ref().is_some_and(|held| held.generation.key == key) {
            self.seen = Some(key);
            self.refused = None;
        }
        self.seen == Some(key)
    }

    fn activate(&mut self, generation: Generation<P>) {
        self.newest = generation.number;
        self.refused = None;
        let new = Held { generation: Arc::new(generation), record: BTreeMap::new() };
        // One that rests is no good to go back to, if there is a better one.
        if let Some(old) = self.active.replace(new)
            && (self.previous.is_none() || !old.rests())
        {
            self.previous = Some(old);
        }
    }

    fn refuse(&mut self, policy: &Text, digest: Text, failure: Failure) -> Change {
        let kept = self.active.as_ref().map(|held| held.generation.number);
        self.refused = Some(Setback { digest: Some(digest.clone()), failure: failure.clone() });
        Change::Rejected { policy: policy.clone(), digest: Some(digest), failure, kept }
    }

    /// It may be readable next time, so nothing is settled; it is reported once.
    fn set_unreadable(&mut self, policy: &Text, failure: Failure) -> Option<Change> {
        let kept = self.active.as_ref().map(|held| held.generation.number);
        let setback = Setback { digest: None, failure: failure.clone() };
        let news = self.unreadable.replace(setback).is_none_or(|known| known.failure != failure);
        news.then(|| Change::Rejected { policy: policy.clone(), digest: None, failure, kept })
    }

    fn activated(&self, policy: &Text, generation: u64) -> Change {
        let digest = self.active.as_ref().map(|held| held.generation.digest.clone()).unwrap_or_default();
        Change::Activated { policy: policy.clone(), generation, digest }
    }

    fn setback(&self) -> Option<&Setback> {
        self.unreadable.as_ref().or(self.refused.as_ref())
    }

    fn never_loaded(&self) -> Absence {
        let sentence = match self.setback() {
            Some(setback) => setback.failure.to_string(),
            None => "it is still being loaded".into(),
        };
        Absence { generation: 0, digest: Text::default(), label: "not-loaded", sentence }
    }
}

// === impl Held ===

impl<P> Held<P> {
    fn rests(&self) -> bool {
        self.record.values().any(|record| record.quarantine.is_resting())
    }

    fn resting(&self, now: Instant) -> Vec<Resting> {
        let resting = |(&point, record): (&Point, &Record)| {
            let (remaining, failure) = record.quarantine.remaining(now).zip(record.failure.clone())?;
            Some(Resting { point, remaining: millis(remaining), failure })
        };
        self.record.iter().filter_map(resting).collect()
    }

    fn absence(&self, point: Point, now: Instant) -> Absence {
        let resting = self.resting(now).into_iter().find(|resting| resting.point == point);
        let sentence = match resting {
            Some(Resting { remaining, failure, .. }) => {
                format!("failed again and again, is tried again in {remaining}; the latest failure: {failure}")
            }
            None => "failed again and again".into(),
        };
        let Generation { number, digest, .. } = &*self.generation;
        Absence { generation: *number, digest: digest.clone(), label: "quarantined", sentence }
    }
}

// === impl Generation ===

impl<P> Generation<P> {
    fn status(&self, now: Instant) -> GenerationStatus {
        let age = millis(now.saturating_duration_since(self.loaded));
        GenerationStatus { number: self.number, digest: self.digest.clone(), age }
    }
}

// === impl Recipe ===

impl Recipe {
    /// A file with no settings and the usual limits.
    pub fn plain(file: &Path) -> Self {
        Self { module: ModuleSource::File(file.into()), settings: "{}".into(), limits: Limits::default() }
    }
}

fn key(wasm: &[u8], Recipe { settings, limits, .. }: &Recipe) -> Key {
    let Limits { timeout, memory, answer, log_lines, log_bytes } = limits;
    let mut hash = Sha256::new();
    for number in [timeout.0, memory.0, answer.0, u64::from(*log_lines), log_bytes.0, settings.len() as u64] {
        hash.update(number.to_le_bytes());
    }
    // The length of the settings stands before them, so that no byte can pass from them to the module.
    hash.update(settings);
    hash.update(wasm);
    hash.finalize().into()
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn millis(duration: Duration) -> Millis {
    Millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
