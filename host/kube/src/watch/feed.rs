//! One resource: what comes of it, and what to ask for next.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::course::{Course, End, Request};
use super::event::Event;
use super::lines::{Items, Lines};
use super::names::KnownNames;
use super::rows::Rows;
use super::status::{PartStatus, WatchProblem};
use super::watched::Watched;
use crate::Resource;
use crate::object::{Names, decode};

/// So many broken objects are shown with their problem.
const EXAMPLES: usize = 20;
/// The longest problem that is kept.
const LONGEST_PROBLEM: usize = 200;

/// What is to be requested, and when.
#[derive(Clone, Debug)]
pub(super) struct Order {
    pub wait: Duration,
    pub resource: Resource,
    pub request: Request,
    pub selector: Option<&'static str>,
    /// Once this is cancelled nothing more of the answer is of use.
    pub stop: CancellationToken,
}

/// One resource that is watched. No I/O: bytes go in, rows and orders come out.
#[derive(Debug)]
pub(super) struct Feed {
    pub watched: Watched,
    course: Course,
    names: KnownNames,
    /// Objects that cannot be read. Of a few it is kept why.
    broken: BTreeMap<(String, String), Option<String>>,
    lines: Lines,
    items: Items,
    /// What ended the present answer before its end came.
    over: Option<End>,
    stop: CancellationToken,
    last_event: Option<Instant>,
    /// Grows whenever something that is not known becomes known, or the other way round.
    doubts: u64,
}

// === impl Feed ===

impl Feed {
    pub(super) fn new(watched: Watched) -> Self {
        Self {
            watched,
            course: Course::new(watched.versions()),
            names: KnownNames::default(),
            broken: BTreeMap::new(),
            lines: Lines::default(),
            items: Items::default(),
            over: None,
            stop: CancellationToken::new(),
            last_event: None,
            doubts: 0,
        }
    }

    /// What to request now.
    pub(super) fn order(&mut self, wait: Duration) -> Order {
        self.lines = Lines::default();
        self.items = Items::default();
        self.over = None;
        self.stop = CancellationToken::new();
        if self.course.begins_list() {
            self.names.begin();
        }
        Order {
            wait,
            resource: self.watched.version(self.course.version()),
            request: self.course.request(),
            selector: self.watched.field_selector(),
            stop: self.stop.clone(),
        }
    }

    /// An answer has begun.
    pub(super) fn opened(&mut self) {
        self.changing_doubts(|feed| feed.course.opened());
    }

    /// The next bytes of the answer.
    pub(super) fn bytes(&mut self, bytes: &[u8], rows: &mut Rows, now: Instant) {
        if self.over.is_some() {
            return;
        }
        self.last_event = Some(now);
        let read = if matches!(self.course.request(), Request::Page { .. }) {
            let mut items = std::mem::take(&mut self.items);
            let read = items.push(bytes, |object| self.put(object, rows));
            self.items = items;
            read
        } else {
            let mut lines = std::mem::take(&mut self.lines);
            let read = lines.push(bytes, |line| self.line(line, rows));
            self.lines = lines;
            read
        };
        if let Err(nonsense) = read {
            self.end(End::Garbled(nonsense.to_string()));
        }
    }

    /// The answer has ended. Gives what to request next.
    pub(super) fn ended(&mut self, end: End, rows: &mut Rows, chance: u64) -> Order {
        let mut end = self.over.take().unwrap_or(end);
        if matches!((&end, self.course.request()), (End::Closed { .. }, Request::Page { .. })) {
            match self.items.finish() {
                Ok(list) if list.token.is_empty() => {
                    self.listed(list.resource_version, rows);
                    return self.order(Duration::ZERO);
                }
                Ok(list) => {
                    self.course.paged(list.token);
                    return self.order(Duration::ZERO);
                }
                Err(nonsense) => end = End::Garbled(nonsense.to_string()),
            }
        }
        let rule = self.watched.rule();
        let wait = self.changing_doubts(|feed| feed.course.ended(end, &rule, chance));
        self.order(wait)
    }

    /// Every object is known, up to what the API server has sent.
    pub(super) fn synced(&self) -> bool {
        self.course.synced()
    }

    /// Every object is known, or it will not be soon.
    pub(super) fn settled(&self) -> bool {
        self.synced() || self.course.hopeless()
    }

    /// How many objects cannot be read.
    pub(super) fn broken(&self) -> u64 {
        u64::try_from(self.broken.len()).unwrap_or(u64::MAX)
    }

    /// Differs whenever something else is not known than before.
    pub(super) fn doubts(&self) -> u64 {
        self.doubts
    }

    pub(super) fn problem(&self) -> Option<&WatchProblem> {
        self.course.problem()
    }

    pub(super) fn status(&self) -> PartStatus {
        let shown = |((namespace, name), problem): (&(String, String), &Option<String>)| {
            let name = Names { namespace: namespace.clone(), name: name.clone(), version: String::new() };
            Some((name.to_string(), problem.clone()?))
        };
        PartStatus {
            watched: self.watched,
            resource: self.watched.version(self.course.version()).to_string(),
            synced: self.synced(),
            objects: self.names.len(),
            broken: self.broken(),
            examples: self.broken.iter().filter_map(shown).collect(),
            last_event: self.last_event,
            relists: self.course.relists(),
            problem: self.course.problem().cloned(),
        }
    }

    fn line(&mut self, line: &[u8], rows: &mut Rows) {
        if self.over.is_some() {
            return;
        }
        match Event::read(line) {
            Ok(Event::Put(object)) => self.put(object, rows),
            Ok(Event::Gone(object)) => self.gone(object, rows),
            Ok(Event::Bookmark { version, listed: true }) if self.course.lists() => self.listed(version, rows),
            Ok(Event::Bookmark { version, .. }) => self.moved(&version),
            Ok(Event::Error(answer)) => self.end(End::Error(answer)),
            Err(problem) => self.end(End::Garbled(format!("a line of the watch cannot be read: {problem}"))),
        }
    }

    fn put(&mut self, text: &[u8], rows: &mut Rows) {
        match decode(self.watched.kind(), text, rows.cluster.pools()) {
            Ok(decoded) => {
                self.names.saw(&decoded.namespace, &decoded.name);
                if !self.broken.is_empty() {
                    self.mended(&decoded.namespace, &decoded.name);
                }
                rows.put(self.watched, &decoded.namespace, decoded.object);
                self.moved(&decoded.version);
            }
            Err(problem) => {
                // One that does not even say its name is there under none.
                let names = Names::find(text).unwrap_or_default();
                self.names.saw(&names.namespace, &names.name);
                let problem = if problem.field.is_empty() {
                    problem.problem
                } else {
                    format!("field {}: {}", problem.field, problem.problem)
                };
                let problem = plimsoll_model::one_line(&problem, LONGEST_PROBLEM).into_owned();
                self.found_broken(names.namespace, names.name, problem);
                self.moved(&names.version);
            }
        }
    }

    fn gone(&mut self, text: &[u8], rows: &mut Rows) {
        let Some(names) = Names::find(text) else {
            // Which one is not known, so everything has to be listed again.
            let answer =
                crate::Answer { code: 410, message: "something without a name is gone".into(), ..Default::default() };
            return self.end(End::Error(answer));
        };
        self.forget(&names.namespace, &names.name, rows);
        self.moved(&names.version);
    }

    fn forget(&mut self, namespace: &str, name: &str, rows: &mut Rows) {
        self.names.forget(namespace, name);
        self.mended(namespace, name);
        rows.remove(self.watched, namespace, name);
    }

    fn moved(&mut self, version: &str) {
        if self.course.problem().is_some() {
            self.changing_doubts(|feed| feed.course.moved(version));
        } else {
            self.course.moved(version);
        }
    }

    /// Everything has been listed: what was not is gone.
    fn listed(&mut self, version: String, rows: &mut Rows) {
        for (namespace, name) in self.names.end() {
            self.mended(&namespace, &name);
            rows.remove(self.watched, &namespace, &name);
        }
        self.changing_doubts(|feed| feed.course.listed(version));
    }

    fn found_broken(&mut self, namespace: String, name: String, problem: String) {
        let shown = self.broken.values().flatten().count() < EXAMPLES;
        let before = self.broken.len();
        self.broken.insert((namespace, name), shown.then_some(problem));
        if self.broken.len() != before {
            self.doubts += 1;
        }
    }

    fn mended(&mut self, namespace: &str, name: &str) {
        if self.broken.remove(&(namespace.to_owned(), name.to_owned())).is_some() {
            self.doubts += 1;
        }
    }

    /// Nothing more of this answer is of use.
    fn end(&mut self, end: End) {
        self.over = Some(end);
        self.stop.cancel();
    }

    fn changing_doubts<T>(&mut self, change: impl FnOnce(&mut Self) -> T) -> T {
        let before = (self.synced(), self.settled());
        let done = change(self);
        if before != (self.synced(), self.settled()) {
            self.doubts += 1;
        }
        done
    }

    #[cfg(test)]
    pub(super) fn request_for_test(&self) -> Request {
        self.course.request()
    }
}
