//! A drain as its node carries it, and a warm-up as its pod does: JSON in an annotation.

use std::collections::HashSet;

use plimsoll_model::{Millis, Text, Timestamp, Uid, one_line};
use serde::{Deserialize, Serialize};

use super::{Drain, DrainId, RemovalMark, Slot, Warmup};
use crate::drain::Cause;

/// The format that is written.
const VERSION: u32 = 1;
/// The longest drain that is written or read; an object has 256 KiB for all its annotations.
const LONGEST: usize = 64 << 10;
/// The longest warm-up that is read: annotations of pods are kept up to this length.
const LONGEST_WARMUP: usize = 1024;
/// Characters of the reason that are written.
const LONGEST_REASON: usize = 1000;
/// The longest identity.
const LONGEST_ID: usize = 63;

/// Why a drain or a warm-up cannot be read. The text is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DrainRecordError {
    /// It is no JSON of this form.
    #[error(
        "what is written of the drain cannot be read: {said}; it was not written by Plimsoll, or somebody changed it"
    )]
    Garbled {
        /// What is wrong.
        said: String,
        /// It seems that the machine was being removed.
        removing: bool,
    },
    /// It was written by a later release.
    #[error(
        "the drain has format {found}, and this release reads up to {known}: run the release that wrote it, or a later one"
    )]
    TooNew {
        /// Its format.
        found: u64,
        /// The latest that can be read.
        known: u32,
        /// The cluster it names, if it does.
        cluster: Option<Text>,
        /// It seems that the machine was being removed.
        removing: bool,
    },
    /// It is longer than anything Plimsoll writes.
    #[error("what is written of the drain has {0} bytes, more than Plimsoll writes")]
    TooLong(usize),
}

/// What every format has.
#[derive(Deserialize)]
struct Head {
    version: u64,
    #[serde(default)]
    cluster: Option<String>,
    #[serde(default)]
    removal: Option<serde_json::Value>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Written {
    version: u32,
    id: String,
    cluster: String,
    cause: String,
    reason: String,
    started: String,
    deadline: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<String>,
    decision: String,
    /// In milliseconds, as all lengths of time here.
    spacing: u64,
    #[serde(default)]
    slots: Vec<WrittenSlot>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    removal: Option<WrittenRemoval>,
}

/// UID, offset, warm-up.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum WrittenSlot {
    Plain(String, u64),
    Warm(String, u64, u64),
}

#[derive(Serialize, Deserialize)]
struct WrittenRemoval {
    since: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baseline: Option<u32>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WrittenWarmup {
    version: u32,
    drain: String,
    replica_set: String,
    replica_set_uid: String,
    hash: String,
    since: String,
    warmup: u64,
}

// === impl DrainId ===

impl DrainId {
    /// The identity of a node's drain: the same for the same cluster, node and decision.
    pub fn of(cluster: &str, node: &str, decision: &str) -> Self {
        // FNV-1a, 64 bits, as of launches.
        let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
        for byte in cluster.bytes().chain([0]).chain(node.bytes()).chain([0]).chain(decision.bytes()) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Self(format!("d{hash:016x}").into())
    }

    fn read(text: String) -> Result<Self, String> {
        let fit = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if text.is_empty() || text.len() > LONGEST_ID || !text.bytes().all(fit) {
            return Err(format!("{:?} is no identity of a drain", one_line(&text, LONGEST_ID)));
        }
        Ok(Self(text.into()))
    }
}

// === impl Drain ===

impl Drain {
    /// The annotation. Never longer than can be read: turns that do not fit are left out, the last ones first, and
    /// their pods come late.
    pub fn write(&self) -> String {
        let mut slots = self.slots.len();
        loop {
            let text = self.written(slots);
            if text.len() <= LONGEST || slots == 0 {
                return text;
            }
            slots = slots.saturating_sub((text.len() - LONGEST) / 64 + 1);
        }
    }

    fn written(&self, slots: usize) -> String {
        let slot = |slot: &Slot| match slot.warmup {
            None => WrittenSlot::Plain(slot.pod.to_string(), slot.after.0),
            Some(warmup) => WrittenSlot::Warm(slot.pod.to_string(), slot.after.0, warmup.0),
        };
        let removal =
            |mark: &RemovalMark| WrittenRemoval { since: written_moment(mark.since), baseline: mark.baseline };
        let written = Written {
            version: VERSION,
            id: self.id.to_string(),
            cluster: self.cluster.to_string(),
            cause: self.cause.label().to_owned(),
            reason: one_line(&self.reason, LONGEST_REASON).into_owned(),
            started: written_moment(self.started),
            deadline: written_moment(self.deadline),
            policy: self.policy.as_ref().map(ToString::to_string),
            decision: self.decision.to_string(),
            spacing: self.spacing.0,
            slots: self.slots.iter().take(slots).map(slot).collect(),
            removal: self.removal.as_ref().map(removal),
        };
        // A struct of texts and numbers always has a JSON form.
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads the annotation.
    pub fn read(text: &str) -> Result<Self, DrainRecordError> {
        if text.len() > LONGEST {
            return Err(DrainRecordError::TooLong(text.len()));
        }
        let head: Head = serde_json::from_str(text).map_err(|error| garbled(error.to_string(), false))?;
        let removing = head.removal.is_some_and(|removal| !removal.is_null());
        if head.version != u64::from(VERSION) {
            let cluster = head.cluster.map(Text::from);
            return Err(DrainRecordError::TooNew { found: head.version, known: VERSION, cluster, removing });
        }
        let written: Written = serde_json::from_str(text).map_err(|error| garbled(error.to_string(), removing))?;
        written.read().map_err(|said| garbled(said, removing))
    }
}

impl Written {
    fn read(self) -> Result<Drain, String> {
        let cause = Cause::ALL.into_iter().find(|cause| cause.label() == self.cause);
        let cause = cause.ok_or_else(|| format!("{:?} is no cause of a drain", one_line(&self.cause, LONGEST_ID)))?;
        let slots: Vec<Slot> = self.slots.into_iter().map(WrittenSlot::read).collect();
        let mut known = HashSet::new();
        if let Some(twice) = slots.iter().find(|slot| !known.insert(&slot.pod)) {
            return Err(format!("pod {} has two turns", one_line(&twice.pod.to_string(), LONGEST_ID)));
        }
        let (started, deadline) = (moment(&self.started)?, moment(&self.deadline)?);
        let removal = match self.removal {
            None => None,
            Some(mark) => Some(RemovalMark { since: moment(&mark.since)?, baseline: mark.baseline }),
        };
        Ok(Drain {
            id: DrainId::read(self.id)?,
            cluster: self.cluster.into(),
            cause,
            reason: self.reason,
            started,
            deadline,
            policy: self.policy.map(Text::from),
            decision: self.decision.into(),
            slots,
            spacing: Millis(self.spacing),
            removal,
        })
    }
}

impl WrittenSlot {
    fn read(self) -> Slot {
        let (pod, after, warmup) = match self {
            Self::Plain(pod, after) => (pod, after, None),
            Self::Warm(pod, after, warmup) => (pod, after, Some(Millis(warmup))),
        };
        Slot { pod: Uid::parse(&pod), after: Millis(after), warmup }
    }
}

// === impl Warmup ===

impl Warmup {
    /// The annotation.
    pub fn write(&self) -> String {
        let written = WrittenWarmup {
            version: VERSION,
            drain: self.drain.to_string(),
            replica_set: self.replica_set.to_string(),
            replica_set_uid: self.replica_set_uid.clone(),
            hash: self.hash.to_string(),
            since: written_moment(self.since),
            warmup: self.warmup.0,
        };
        serde_json::to_string(&written).unwrap_or_default()
    }

    /// Reads the annotation.
    pub fn read(text: &str) -> Result<Self, DrainRecordError> {
        if text.len() > LONGEST_WARMUP {
            return Err(DrainRecordError::TooLong(text.len()));
        }
        let head: Head = serde_json::from_str(text).map_err(|error| garbled(error.to_string(), false))?;
        if head.version != u64::from(VERSION) {
            let (found, cluster) = (head.version, None);
            return Err(DrainRecordError::TooNew { found, known: VERSION, cluster, removing: false });
        }
        let written: WrittenWarmup = serde_json::from_str(text).map_err(|error| garbled(error.to_string(), false))?;
        let read = || {
            Ok(Self {
                drain: DrainId::read(written.drain)?,
                replica_set: written.replica_set.into(),
                replica_set_uid: written.replica_set_uid,
                hash: written.hash.into(),
                since: moment(&written.since)?,
                warmup: Millis(written.warmup),
            })
        };
        read().map_err(|said| garbled(said, false))
    }
}

fn garbled(said: String, removing: bool) -> DrainRecordError {
    DrainRecordError::Garbled { said: one_line(&said, 200).into_owned(), removing }
}

/// RFC 3339 in UTC; what is beyond the year 9999 is its end.
fn written_moment(moment: Timestamp) -> String {
    let millis = i64::try_from(moment.0).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis).unwrap_or(jiff::Timestamp::MAX).to_string()
}

fn moment(text: &str) -> Result<Timestamp, String> {
    let wrong = || format!("{:?} is no time", one_line(text, LONGEST_ID));
    let moment: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    u64::try_from(moment.as_millisecond()).map(Timestamp).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drain() -> Drain {
        Drain {
            id: DrainId::of("prod", "node-1", "c41"),
            cluster: "prod".into(),
            cause: Cause::Underutilized,
            reason: "8 % of its CPU is used".into(),
            started: Timestamp(1_700_000_000_000),
            deadline: Timestamp(1_700_000_300_000),
            policy: Some("drain-least-disruption@sha256:ab12".into()),
            decision: "c41".into(),
            slots: vec![
                Slot { pod: Uid::parse("0f8fad5b-d9cb-469f-a165-70867728950e"), after: Millis(0), warmup: None },
                Slot { pod: Uid::parse("web-2"), after: Millis(12_000), warmup: Some(Millis(300_000)) },
            ],
            spacing: Millis(12_000),
            removal: None,
        }
    }

    #[test]
    fn a_drain_reads_like_this() {
        let marked = RemovalMark { since: Timestamp(1_700_000_120_500), baseline: Some(4) };
        let expected = r#"{"version":1,"id":"df60f6bb8dbabfd73","cluster":"prod","cause":"underutilized","reason":"8 % of its CPU is used","started":"2023-11-14T22:13:20Z","deadline":"2023-11-14T22:18:20Z","policy":"drain-least-disruption@sha256:ab12","decision":"c41","spacing":12000,"slots":[["0f8fad5b-d9cb-469f-a165-70867728950e",0],["web-2",12000,300000]],"removal":{"since":"2023-11-14T22:15:20.5Z","baseline":4}}"#;
        let text = Drain { removal: Some(marked), ..drain() }.write();
        let id = DrainId::of("prod", "node-1", "c41");
        assert_eq!(text.replace(&*id.0, "df60f6bb8dbabfd73"), expected);
    }

    #[test]
    fn identities_differ_by_cluster_node_and_decision() {
        let ids = [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("a", "b", "d"), ("x", "b", "c")];
        let distinct: HashSet<DrainId> = ids.iter().map(|(a, b, c)| DrainId::of(a, b, c)).collect();
        assert_eq!(distinct.len(), ids.len());
        assert!(DrainId::read(DrainId::of("a", "b", "c").to_string()).is_ok());
    }

    #[test]
    fn what_cannot_be_read_is_a_sentence() {
        let good = drain().write();
        let garbled = |text: &str| matches!(Drain::read(text), Err(DrainRecordError::Garbled { removing: false, .. }));
        for text in [
            "",
            "{}",
            "[]",
            "null",
            "{\"version\":\"1\"}",
            "{\"version\":-1}",
            &good[..good.len() / 2],
            &good.replace("underutilized", "boredom"),
            &good.replace("2023-11-14T22:13:20Z", "soon"),
            &good.replace("2023-11-14T22:13:20Z", "1960-01-01T00:00:00Z"),
            &good.replace("[\"web-2\",12000,300000]", "[\"web-2\"]"),
            &good.replace("[\"web-2\",12000,300000]", "[\"web-2\",-1]"),
            &good.replace("web-2", "0f8fad5b-d9cb-469f-a165-70867728950e"),
            &good.replace(&*drain().id.0, "Not An Id"),
        ] {
            assert!(garbled(text), "{text}");
        }
        let newer = good.replace("\"version\":1", "\"version\":2");
        let cluster = Some(Text::from("prod"));
        let error = DrainRecordError::TooNew { found: 2, known: 1, cluster, removing: false };
        assert_eq!(Drain::read(&newer), Err(error));
        let removing = good.replace("\"slots\"", "\"removal\":{},\"slots\"");
        assert!(matches!(Drain::read(&removing), Err(DrainRecordError::Garbled { removing: true, .. })));
        assert_eq!(Drain::read(&" ".repeat(70_000)), Err(DrainRecordError::TooLong(70_000)));
    }

    #[test]
    fn a_drain_of_very_many_pods_still_fits() {
        let slot = |at: u64| Slot {
            pod: Uid::Uuid(u128::from(at) << 64 | 7),
            after: Millis(at * 100),
            warmup: at.is_multiple_of(2).then_some(Millis(5)),
        };
        let long = Drain { slots: (0..5000).map(slot).collect(), reason: "é\"".repeat(5000), ..drain() };
        let text = long.write();
        let read = Drain::read(&text).unwrap();
        assert!(text.len() > LONGEST - 200 && read.slots.len() > 1000);
        assert_eq!(read.slots[..], long.slots[..read.slots.len()]);
        assert!(long.reason.starts_with(read.reason.trim_end_matches('…')));
    }

    #[test]
    fn a_warm_up_reads_back() {
        let warmup = Warmup {
            drain: DrainId::of("prod", "node-1", "c41"),
            replica_set: "web-5d8f".into(),
            replica_set_uid: "0f8fad5b-d9cb-469f-a165-70867728950e".into(),
            hash: "5d8f".into(),
            since: Timestamp(1_700_000_000_123),
            warmup: Millis(300_000),
        };
        let text = warmup.write();
        assert_eq!(Warmup::read(&text), Ok(warmup));
        for wrong in ["", "{}", "7", &text[..30], &text.replace("\"version\":1", "\"version\":9"), &"x".repeat(2000)] {
            assert!(Warmup::read(wrong).is_err(), "{wrong}");
        }
    }

    prop_compose! {
        fn any_drain()(
            texts in prop::collection::vec("[^\\p{C}]{0,40}", 4),
            cause in 0usize..5,
            times in (0u64..4_000_000_000_000, 0u64..4_000_000_000_000, 0u64..4_000_000_000_000, any::<u64>()),
            policy in prop::option::of("[a-z@:]{1,30}"),
            slots in prop::collection::btree_map(any::<u128>(), (any::<u64>(), prop::option::of(any::<u64>())), 0..30),
            removal in prop::option::of(prop::option::of(any::<u32>())),
        ) -> Drain {
            let slot = |(pod, (after, warmup)): (u128, (u64, Option<u64>))| {
                Slot { pod: Uid::Uuid(pod), after: Millis(after), warmup: warmup.map(Millis) }
            };
            Drain {
                id: DrainId::of(&texts[0], &texts[1], &texts[2]),
                cluster: texts[0].as_str().into(),
                cause: Cause::ALL[cause],
                reason: texts[3].clone(),
                started: Timestamp(times.0),
                deadline: Timestamp(times.1),
                policy: policy.map(Text::from),
                decision: texts[2].as_str().into(),
                slots: slots.into_iter().map(slot).collect(),
                spacing: Millis(times.3),
                removal: removal.map(|baseline| RemovalMark { since: Timestamp(times.2), baseline }),
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(drain in any_drain()) {
            prop_assert_eq!(Drain::read(&drain.write()), Ok(drain));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".{0,300}", cut in 0usize..600, byte in any::<char>()) {
            let _ = (Drain::read(&text), Warmup::read(&text));
            let mut good: Vec<char> = drain().write().chars().collect();
            let at = cut % good.len();
            good[at] = byte;
            let _ = Drain::read(&good.iter().collect::<String>());
            let _ = Drain::read(&good[..at].iter().collect::<String>());
        }
    }
}
