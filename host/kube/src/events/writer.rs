//! The task that writes Events.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::aggregator::{Aggregator, EventLimits, Quiet, Verdict};
use super::{EventNote, Regarding};
use crate::api::{Api, ApiError, Leadership, ObjectName, Patch, Permit, Purpose, Resource};
use crate::features::{Feature, Features};
use crate::lease::micro_time;

/// Notes that wait to be written; more are dropped. A decision about a large cluster makes some hundreds.
const QUEUE: usize = 1_024;
/// The longest note that the API server takes, in bytes.
const NOTE: usize = 1_024;
/// The longest identity that it takes.
const INSTANCE: usize = 128;
/// The longest name of an object.
const NAME: usize = 253;
const CONTROLLER: &str = "plimsoll.dev/controller";

/// How Events are written.
#[derive(Clone, Debug, PartialEq)]
pub struct EventsOptions {
    /// Who writes them: this replica.
    pub identity: String,
    /// How many.
    pub limits: EventLimits,
}

/// Where things that happened are reported. Cheap to clone; never blocks.
#[derive(Clone, Debug)]
pub struct Events {
    queue: mpsc::Sender<EventNote>,
    counters: Arc<Counters>,
}

/// How many notes came to what, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Events written.
    pub created: u64,
    /// Series written.
    pub series: u64,
    /// Said a short while before.
    pub repeated: u64,
    /// More than the rate allows.
    pub rate_limited: u64,
    /// More than the queue holds.
    pub overflowed: u64,
    /// Not the leader, `mode: observe`, or the feature is off.
    pub not_allowed: u64,
    /// The write failed.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    created: AtomicU64,
    series: AtomicU64,
    repeated: AtomicU64,
    rate_limited: AtomicU64,
    overflowed: AtomicU64,
    not_allowed: AtomicU64,
    failed: AtomicU64,
}

struct Writer {
    api: Api,
    leadership: Leadership,
    features: Features,
    identity: String,
    aggregator: Aggregator,
    counters: Arc<Counters>,
    /// Makes the names of this process its own.
    start: u64,
}

/// Writes what is reported until every [`Events`] is dropped, or `shutdown`; what waits then is dropped.
pub fn write_events(
    api: Api,
    leadership: Leadership,
    features: Features,
    options: EventsOptions,
    shutdown: CancellationToken,
) -> (Events, JoinHandle<()>) {
    let (queue, mut notes) = mpsc::channel(QUEUE);
    let counters = Arc::new(Counters::default());
    let mut writer = Writer {
        api,
        leadership,
        features,
        identity: cut(&options.identity, INSTANCE),
        aggregator: Aggregator::new(options.limits, Instant::now()),
        counters: counters.clone(),
        start: u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default(),
    };
    let task = tokio::spawn(async move {
        let run = async {
            while let Some(note) = notes.recv().await {
                writer.write(&note).await;
            }
        };
        tokio::select! {
            () = run => {}
            () = shutdown.cancelled() => {}
        }
    });
    (Events { queue, counters }, task)
}

// === impl Events ===

impl Events {
    /// Something happened. Returns at once; where too much waits already it is only counted.
    pub fn report(&self, note: EventNote) {
        if self.queue.try_send(note).is_err() {
            count(&self.counters.overflowed);
        }
    }

    /// What has become of the reports.
    pub fn counts(&self) -> EventCounts {
        let Counters { created, series, repeated, rate_limited, overflowed, not_allowed, failed } = &*self.counters;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EventCounts {
            created: get(created),
            series: get(series),
            repeated: get(repeated),
            rate_limited: get(rate_limited),
            overflowed: get(overflowed),
            not_allowed: get(not_allowed),
            failed: get(failed),
        }
    }
}

// === impl Writer ===

impl Writer {
    async fn write(&mut self, note: &EventNote) {
        // Asked before anything is remembered: a leader says what it found when it did not lead.
        let permit = match self.leadership.permit(Purpose::Effect) {
            Ok(permit) if self.features.is_on(Feature::Events) => permit,
            _ => return count(&self.counters.not_allowed),
        };
        let counter = match self.aggregator.take(note, Instant::now()) {
            Verdict::Nothing(Quiet::Repeated) => return count(&self.counters.repeated),
            Verdict::Nothing(Quiet::RateLimited) => return count(&self.counters.rate_limited),
            Verdict::Create(number) => self.create(&permit, note, number).await.map(|()| &self.counters.created),
            Verdict::Series { number, count } => match self.repeat(&permit, note, number, count).await {
                // Events are deleted after an hour.
                Err(ApiError::NotFound(_)) => self.create(&permit, note, number).await.map(|()| &self.counters.created),
                done => done.map(|()| &self.counters.series),
            },
        };
        match counter {
            Ok(counter) => count(counter),
            Err(ApiError::Refused(_)) => {
                self.aggregator.forget(note);
                count(&self.counters.not_allowed);
            }
            Err(error) => {
                self.aggregator.forget(note);
                count(&self.counters.failed);
                self.features.failed(&error);
                let Regarding { kind, object, .. } = &note.regarding;
                tracing::debug!(kind, %object, reason = note.reason.as_str(), %error, "an Event could not be written");
            }
        }
    }

    async fn create(&self, permit: &Permit, note: &EventNote, number: u64) -> Result<(), ApiError> {
        let event = event(note, &self.name(note, number), &self.identity, Timestamp::now());
        let mut written = self.api.create(permit, &Resource::EVENTS, &event).await;
        if written.as_ref().is_err_and(ApiError::is_outcome_unknown) {
            // Of the same name: not a second one.
            written = self.api.create(permit, &Resource::EVENTS, &event).await;
        }
        match written {
            Ok(_) | Err(ApiError::AlreadyExists(_)) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn repeat(&self, permit: &Permit, note: &EventNote, number: u64, count: u64) -> Result<(), ApiError> {
        let series = json!({"series": {
            "count": i32::try_from(count).unwrap_or(i32::MAX),
            "lastObservedTime": micro_time(Timestamp::now()),
        }});
        let name = ObjectName::in_namespace(namespace(&note.regarding), &self.name(note, number));
        self.api.patch(permit, &Resource::EVENTS, &name, None, Patch::Merge, &series).await.map(drop)
    }

    fn name(&self, note: &EventNote, number: u64) -> String {
        event_name(&note.regarding.object.name, self.start.wrapping_add(number))
    }
}

/// The API server wants Events about objects without a namespace in this one.
fn namespace(regarding: &Regarding) -> &str {
    if regarding.object.namespace.is_empty() { "default" } else { &regarding.object.namespace }
}

fn event(note: &EventNote, name: &str, identity: &str, now: Timestamp) -> Value {
    let EventNote { regarding, reason, message, decision } = note;
    let mut event = json!({
        "apiVersion": Resource::EVENTS.api_version(),
        "kind": Resource::EVENTS.kind,
        "metadata": {"namespace": namespace(regarding), "name": name},
        "eventTime": micro_time(now),
        "reportingController": CONTROLLER,
        "reportingInstance": identity,
        "action": reason.action(),
        "reason": reason.as_str(),
        "type": reason.severity().as_str(),
        "note": cut(message, NOTE),
        "regarding": {
            "apiVersion": regarding.api_version,
            "kind": regarding.kind,
            "name": regarding.object.name,
        },
    });
    let mut regards = |field: &str, value: &str| {
        if !value.is_empty() {
            event["regarding"][field] = value.into();
        }
    };
    regards("namespace", &regarding.object.namespace);
    regards("uid", &regarding.uid);
    if !decision.is_empty() {
        event["metadata"]["annotations"]["plimsoll.dev/decision"] = decision.as_str().into();
    }
    event
}

/// The name of the object and a number. Some objects have names that an Event must not have.
fn event_name(object: &str, number: u64) -> String {
    let number = format!("{number:x}");
    let allowed = |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || "-.".contains(letter);
    let name: String = object
        .chars()
        .map(|letter| if allowed(letter.to_ascii_lowercase()) { letter.to_ascii_lowercase() } else { '-' })
        .take(NAME - 1 - number.len())
        .collect();
    let name = name.trim_matches(['-', '.']);
    if name.is_empty() { format!("event.{number}") } else { format!("{name}.{number}") }
}

/// At most so many bytes.
fn cut(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(bytes.saturating_sub('…'.len_utf8()));
    format!("{}…", &text[..end])
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::EventReason;

    #[test]
    fn an_event_is_what_the_api_server_accepts() {
        let mut note = EventNote {
            regarding: Regarding::new(&Resource::NODES, ObjectName::of_cluster("n1"), ""),
            reason: EventReason::NodeJoined,
            message: "ü".repeat(1_000),
            decision: "d-1".to_owned(),
        };
        let made = event(&note, "n1.1", "replica-0", Timestamp::UNIX_EPOCH);
        assert_eq!(made["metadata"]["namespace"], "default");
        assert!(made["note"].as_str().is_some_and(|note| note.len() <= NOTE && note.ends_with("ü…")));
        assert_eq!(made["eventTime"], "1970-01-01T00:00:00.000000Z");
        assert_eq!(
            (&made["type"], &made["reason"], &made["action"]),
            (&json!("Normal"), &json!("NodeJoined"), &json!("Join"))
        );
        assert_eq!(made["regarding"], json!({"apiVersion": "v1", "kind": "Node", "name": "n1"}));
        assert_eq!(made["metadata"]["annotations"]["plimsoll.dev/decision"], "d-1");
        note.regarding = Regarding::new(&Resource::PODS, ObjectName::in_namespace("shop", "web"), "u");
        note.reason = EventReason::Pending("NoInstanceFits");
        let made = event(&note, "web.1", "replica-0", Timestamp::UNIX_EPOCH);
        assert_eq!(made["metadata"]["namespace"], "shop");
        assert_eq!(made["regarding"]["uid"], "u");
        assert_eq!((&made["type"], &made["reason"]), (&json!("Warning"), &json!("NoInstanceFits")));
    }

    #[test]
    fn names_of_events_are_names() {
        for (object, expected) in [
            ("web-0", "web-0.ff"),
            ("system:node:n1", "system-node-n1.ff"),
            ("UPPER", "upper.ff"),
            ("...", "event.ff"),
            ("", "event.ff"),
            ("ünïcode", "n-code.ff"),
        ] {
            assert_eq!(event_name(object, 255), expected);
        }
        let long = event_name(&format!("{}-b", "a".repeat(250)), u64::MAX);
        assert!(long.len() <= NAME && !long.contains("-."), "{long}");
        let edge = event_name(&format!("{}-{}", "a".repeat(235), "b".repeat(20)), u64::MAX);
        assert!(edge.len() <= NAME && !edge.contains("-."), "{edge}");
    }
}
