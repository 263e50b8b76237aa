//! What to ask the API server next. No I/O and no clock: how requests ended goes in, what to request comes out.

use std::time::Duration;

use super::status::WatchProblem;
use crate::{Answer, ApiError};

/// A request that lasted as long as this was good, whatever ended it.
const LONG: Duration = Duration::from_secs(5);
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The pause where somebody has to do something first: give a permission, install a resource.
const STANDING_PAUSE: Duration = Duration::from_secs(60);
/// A watch that comes to nothing this often in a row is given up for a new list.
const MOST_STUCK: u32 = 5;
/// A streaming list that comes to no end this often in a row is given up for pages.
const MOST_UNFINISHED: u32 = 2;

/// A request to the API server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// All objects, an end mark, then changes.
    Stream,
    /// A page of all objects.
    Page {
        /// Where it begins; empty for the first page.
        token: String,
        /// An older list will do, which costs the API server little.
        cached: bool,
        /// All on one page.
        whole: bool,
    },
    /// Changes since a version.
    Watch { since: String },
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The API server was done, as it is with every watch after some minutes.
    Closed { lasted: Duration },
    /// It broke off, or nothing came for too long.
    Lost { lasted: Duration, why: String },
    /// It never began.
    Refused(ApiError),
    /// The watch said itself that it cannot go on.
    Error(Answer),
    /// What came makes no sense.
    Garbled(String),
}

/// Where the watching of one resource has got to.
#[derive(Debug)]
pub(super) struct Course {
    stage: Stage,
    /// Streaming lists have not been refused.
    streaming: bool,
    /// Nothing newer is known than what an old list would say.
    cached: bool,
    /// Pages have expired before the last one was read.
    whole: bool,
    /// Everything up to this version is known.
    since: String,
    /// Ends that were none of the good ones, in a row.
    failures: u32,
    /// Watches that came to nothing, in a row.
    stuck: u32,
    /// Streaming lists without an end, in a row.
    unfinished: u32,
    /// Which of the versions of the resource is asked for.
    version: usize,
    versions: usize,
    relists: u64,
    problem: Option<WatchProblem>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    Stream,
    Page(String),
    Watch,
}

// === impl Course ===

impl Course {
    /// The course of a resource that may be served in so many versions.
    pub(super) fn new(versions: usize) -> Self {
        Self {
            stage: Stage::Stream,
            streaming: true,
            cached: true,
            whole: false,
            since: String::new(),
            failures: 0,
            stuck: 0,
            unfinished: 0,
            version: 0,
            versions,
            relists: 0,
            problem: None,
        }
    }

    /// What to ask for now.
    pub(super) fn request(&self) -> Request {
        match &self.stage {
            Stage::Stream => Request::Stream,
            Stage::Page(token) => Request::Page {
                token: token.clone(),
                cached: self.cached && token.is_empty(),
                whole: self.whole && token.is_empty(),
            },
            Stage::Watch => Request::Watch { since: self.since.clone() },
        }
    }

    /// Objects are being listed.
    pub(super) fn lists(&self) -> bool {
        self.stage != Stage::Watch
    }

    /// Every object is known, and changes are not kept from us.
    pub(super) fn synced(&self) -> bool {
        let kept = matches!(self.problem, Some(WatchProblem::Forbidden { .. } | WatchProblem::NotServed));
        !self.lists() && !kept
    }

    /// A list is only begun when this is true; other requests go on with one.
    pub(super) fn begins_list(&self) -> bool {
        matches!(&self.stage, Stage::Stream) || matches!(&self.stage, Stage::Page(token) if token.is_empty())
    }

    /// Which of the versions of the resource is asked for.
    pub(super) fn version(&self) -> usize {
        self.version
    }

    /// How often everything was listed anew.
    pub(super) fn relists(&self) -> u64 {
        self.relists
    }

    /// What is in the way.
    pub(super) fn problem(&self) -> Option<&WatchProblem> {
        self.problem.as_ref()
    }

    /// Nothing will come soon: somebody must do something, or it has failed often.
    pub(super) fn hopeless(&self) -> bool {
        match &self.problem {
            Some(WatchProblem::Failing { times, .. }) => *times >= 3,
            problem => problem.is_some(),
        }
    }

    /// An answer has begun.
    pub(super) fn opened(&mut self) {
        if self.stage == Stage::Watch {
            self.problem = None;
        }
    }

    /// An object was sent that has this version. In a list that means nothing: there, objects come in no order.
    pub(super) fn moved(&mut self, version: &str) {
        if self.stage != Stage::Watch {
            return;
        }
        if !version.is_empty() {
            self.since.clear();
            self.since.push_str(version);
        }
        (self.failures, self.stuck, self.problem) = (0, 0, None);
    }

    /// A page was read, and it is not the last one.
    pub(super) fn paged(&mut self, token: String) {
        self.stage = Stage::Page(token);
    }

    /// The last object was listed; changes are those since this version.
    pub(super) fn listed(&mut self, version: String) {
        self.stage = Stage::Watch;
        self.since = version;
        (self.cached, self.whole, self.problem) = (false, false, None);
        (self.stuck, self.unfinished) = (0, 0);
    }

    /// A request has ended, other than with the last object of a page. Gives how long to wait for the next one;
    /// `chance` is any number.
    pub(super) fn ended(&mut self, end: End, rule: &str, chance: u64) -> Duration {
        match end {
            End::Closed { lasted } if lasted >= LONG && self.stage == Stage::Watch => {
                (self.failures, self.stuck, self.problem) = (0, 0, None);
                Duration::ZERO
            }
            End::Closed { .. } => {
                self.list_broke_off();
                self.stuck();
                self.pause("the API server ended it early".to_owned(), None, chance)
            }
            End::Lost { lasted, why } => {
                if lasted >= LONG {
                    self.failures = 0;
                }
                self.list_broke_off();
                self.pause(why, None, chance)
            }
            End::Error(answer) => {
                self.list_broke_off();
                if answer.code == 410 || matches!(answer.reason.as_str(), "Expired" | "Gone") {
                    self.relist();
                } else {
                    self.stuck();
                }
                self.pause(answer.to_string(), answer.retry_after, chance)
            }
            End::Garbled(why) => {
                self.list_broke_off();
                self.stuck();
                self.pause(why, None, chance)
            }
            End::Refused(error) => self.refused(&error, rule, chance),
        }
    }

    fn refused(&mut self, error: &ApiError, rule: &str, chance: u64) -> Duration {
        match (error, &self.stage) {
            (ApiError::Forbidden(answer), _) => {
                self.problem = Some(WatchProblem::Forbidden { rule: rule.to_owned(), answer: answer.to_string() });
                return jitter(STANDING_PAUSE, chance);
            }
            (ApiError::NotServed { .. } | ApiError::NotFound(_), _) => {
                if self.stage == Stage::Watch {
                    self.relist();
                }
                self.version = (self.version + 1) % self.versions.max(1);
                if self.version > 0 {
                    return Duration::ZERO;
                }
                self.problem = Some(WatchProblem::NotServed);
                return jitter(STANDING_PAUSE, chance);
            }
            // Kubernetes 1.33 does so unless the feature gate WatchList is on.
            (ApiError::Invalid(_), Stage::Stream) => {
                self.streaming = false;
                self.stage = Stage::Page(String::new());
                return Duration::ZERO;
            }
            (ApiError::Gone(_) | ApiError::Invalid(_), Stage::Watch) => self.relist(),
            (ApiError::Gone(_), Stage::Page(token)) => {
                self.whole |= !token.is_empty();
                self.first_page();
            }
            (ApiError::Invalid(_), Stage::Page(_)) => {
                self.cached = false;
                self.first_page();
            }
            (ApiError::Unreachable(_) | ApiError::NoAnswer(_), _) => self.first_page(),
            _ => {
                self.first_page();
                self.stuck();
            }
        }
        let after = match error {
            ApiError::TooMany(answer) | ApiError::Server(answer) => answer.retry_after,
            _ => None,
        };
        self.pause(error.to_string(), after, chance)
    }

    /// Everything has to be listed anew. Whether lists stream may have changed meanwhile.
    fn relist(&mut self) {
        if self.stage == Stage::Watch {
            self.relists += 1;
            (self.streaming, self.unfinished) = (true, 0);
        }
        self.stage = if self.streaming { Stage::Stream } else { Stage::Page(String::new()) };
    }

    /// A list ended before its end, and begins again. A watch goes on where it was.
    fn list_broke_off(&mut self) {
        self.first_page();
        if self.stage == Stage::Stream {
            self.unfinished += 1;
            if self.unfinished >= MOST_UNFINISHED {
                (self.stage, self.streaming) = (Stage::Page(String::new()), false);
            }
        }
    }

    fn first_page(&mut self) {
        if let Stage::Page(token) = &mut self.stage {
            token.clear();
        }
    }

    fn stuck(&mut self) {
        self.stuck += 1;
        if self.stage == Stage::Watch && self.stuck >= MOST_STUCK {
            self.stuck = 0;
            self.relist();
        }
    }

    fn pause(&mut self, why: String, at_least: Option<Duration>, chance: u64) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.problem = Some(WatchProblem::Failing { why, times: self.failures });
        let doubled = FIRST_PAUSE.saturating_mul(1 << (self.failures - 1).min(16)).min(LONGEST_PAUSE);
        jitter(doubled, chance).max(at_least.unwrap_or_default().min(STANDING_PAUSE))
    }
}

/// Between a half and all of it, so that replicas do not ask all at once.
fn jitter(pause: Duration, chance: u64) -> Duration {
    let share = u32::try_from(chance % 1000).unwrap_or_default();
    pause / 2 + pause / 2 * share / 1000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(code: u16) -> Answer {
        Answer { code, ..Answer::default() }
    }

    fn refused(code: u16) -> End {
        End::Refused(ApiError::of_answer(answer(code)))
    }

    fn lost() -> End {
        End::Lost { lasted: Duration::ZERO, why: "reset".into() }
    }

    fn closed(seconds: u64) -> End {
        End::Closed { lasted: Duration::from_secs(seconds) }
    }

    fn page(cached: bool) -> Request {
        Request::Page { token: String::new(), cached, whole: false }
    }

    fn since(version: &str) -> Request {
        Request::Watch { since: version.into() }
    }

    fn watching() -> Course {
        let mut course = Course::new(1);
        course.listed("7".into());
        course
    }

    /// Ends a request; gives the next one and the pause before it in milliseconds.
    fn after(course: &mut Course, end: End) -> (Request, u128) {
        let pause = course.ended(end, "list and watch pods", 999).as_millis();
        (course.request(), pause)
    }

    #[test]
    fn a_watch_goes_on_unless_what_it_knows_is_too_old() {
        let gone = Answer { reason: "Expired".into(), ..answer(0) };
        for (end, next) in [
            (closed(300), since("9")),
            (closed(0), since("9")),
            (lost(), since("9")),
            (End::Error(answer(500)), since("9")),
            (End::Garbled("half".into()), since("9")),
            (refused(401), since("9")),
            (refused(403), since("9")),
            (refused(429), since("9")),
            (refused(500), since("9")),
            (refused(504), since("9")),
            (End::Refused(ApiError::Unreachable("refused".into())), since("9")),
            (End::Error(answer(410)), Request::Stream),
            (End::Error(gone), Request::Stream),
            (refused(410), Request::Stream),
            (refused(400), Request::Stream),
            (refused(404), Request::Stream),
        ] {
            let mut course = watching();
            course.moved("8");
            course.moved("9");
            let (found, pause) = after(&mut course, end.clone());
            assert_eq!((&found, course.lists()), (&next, next == Request::Stream), "{end:?}");
            assert_eq!(course.synced(), !course.lists() && end != refused(403), "{end:?}");
            assert_eq!(course.relists(), u64::from(next == Request::Stream), "{end:?}");
            assert_eq!(pause == 0, end == closed(300), "{end:?} after {pause} ms");
            assert_eq!(course.problem().is_none(), end == closed(300));
        }
    }

    #[test]
    fn pauses_grow_and_end_with_what_goes_well() {
        let mut course = watching();
        let pauses: Vec<u128> = (0..9).map(|_| after(&mut course, lost()).1).collect();
        assert_eq!(pauses, [499, 999, 1999, 3998, 7996, 15992, 29985, 29985, 29985]);
        assert_eq!(course.request(), since("7"), "a connection that breaks is no reason to list again");
        course.opened();
        assert_eq!(course.problem(), None);
        course.moved("8");
        assert_eq!(after(&mut course, lost()), (since("8"), 499));
        let long = End::Lost { lasted: LONG, why: "reset".into() };
        after(&mut course, lost());
        assert_eq!(after(&mut course, long), (since("8"), 499));
        let patience = Answer { retry_after: Some(Duration::from_secs(20)), ..answer(429) };
        assert_eq!(after(&mut course, End::Refused(ApiError::TooMany(patience))), (since("8"), 20_000));
        assert_eq!((jitter(LONG, 0), jitter(LONG, 1000)), (LONG / 2, LONG / 2));
    }

    #[test]
    fn a_watch_that_comes_to_nothing_becomes_a_list() {
        for end in [refused(500), refused(504), closed(0), End::Error(answer(500)), End::Garbled("half".into())] {
            let mut course = watching();
            let requests: Vec<Request> = (0..5).map(|_| after(&mut course, end.clone()).0).collect();
            let expected = [since("7"), since("7"), since("7"), since("7"), Request::Stream];
            assert_eq!(requests, expected, "{end:?}");
        }
        let mut course = watching();
        for version in ["8", "9", "10", "11", "12", "13"] {
            after(&mut course, refused(500));
            course.moved(version);
        }
        assert_eq!(course.request(), since("13"));
    }

    #[test]
    fn lists_stream_where_they_can() {
        for code in [400, 405, 422] {
            let mut course = Course::new(1);
            assert_eq!(after(&mut course, refused(code)), (page(true), 0));
            course.paged("t".into());
            assert_eq!(course.request(), Request::Page { token: "t".into(), cached: false, whole: false });
            assert!(!course.begins_list());
            assert_eq!(after(&mut course, lost()).0, page(true));
            course.listed("7".into());
            assert_eq!(course.request(), since("7"));
            // The server may know better by now, and an old list would bring back what has been deleted.
            assert_eq!(after(&mut course, refused(410)).0, Request::Stream);
            assert_eq!(after(&mut course, refused(code)), (page(false), 0));
        }
        for end in [closed(300), lost(), End::Error(answer(410))] {
            let mut course = Course::new(1);
            assert_eq!(after(&mut course, end.clone()).0, Request::Stream);
            course.moved("8");
            assert_eq!(after(&mut course, end).0, page(true), "whoever never ends a list does not know them");
        }
        for end in [refused(500), refused(429), End::Refused(ApiError::Garbled("x".into()))] {
            let mut course = Course::new(1);
            let requests: Vec<Request> = (0..9).map(|_| after(&mut course, end.clone()).0).collect();
            assert_eq!(requests, vec![Request::Stream; 9], "{end:?}");
        }
    }

    #[test]
    fn a_list_that_never_ends_is_asked_for_less_and_less_often() {
        let mut course = Course::new(1);
        let mut pauses = Vec::new();
        for _ in 0..4 {
            course.moved("8");
            pauses.push(after(&mut course, lost()).1);
        }
        assert_eq!(pauses, [499, 999, 1999, 3998]);
    }

    #[test]
    fn pages_that_expire_become_one() {
        let mut course = Course::new(1);
        after(&mut course, refused(422));
        course.paged("t".into());
        let whole = Request::Page { token: String::new(), cached: true, whole: true };
        assert_eq!(after(&mut course, refused(410)).0, whole);
        course.listed("7".into());
        after(&mut course, refused(410));
        assert_eq!(after(&mut course, refused(422)).0, page(false));
    }

    #[test]
    fn what_somebody_must_mend_is_tried_once_a_minute() {
        let mut course = Course::new(2);
        let (request, pause) = after(&mut course, refused(403));
        assert_eq!((request, pause), (Request::Stream, 59_970));
        let rule = "list and watch pods".to_owned();
        let answer = "the API server answered 403".to_owned();
        assert_eq!(course.problem(), Some(&WatchProblem::Forbidden { rule, answer }));
        assert!(course.hopeless());
        course.listed("7".into());
        assert_eq!(course.problem(), None);

        let mut course = Course::new(2);
        let not_served = || End::Refused(ApiError::NotServed { resource: "machines".into() });
        assert_eq!(after(&mut course, not_served()), (Request::Stream, 0));
        assert_eq!((course.version(), course.problem()), (1, None));
        assert_eq!(after(&mut course, not_served()), (Request::Stream, 59_970));
        assert_eq!((course.version(), course.problem()), (0, Some(&WatchProblem::NotServed)));
        assert!(course.hopeless());
    }
}
