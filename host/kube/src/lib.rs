//! Kubernetes in and out: dump files, and calls to the API server.
//!
//! ```text
//!   file, folder, stdin ─> stream ── one object's text at a time, YAML turned into JSON on the way
//!                            └─> object ── the few fields that decisions use, decoded and checked
//!                                  └─> model::ClusterBuilder ── compact rows; the text is dropped
//! ```
//!
//! Nothing larger than one object is ever held as a tree. What cannot be read is either an error of the whole
//! file (it is cut off, it is no text) or one [`BrokenObject`] with file, line and field, and reading goes on.
#![forbid(unsafe_code)]

mod account;
mod api;
mod approval;
mod collector;
mod drain;
mod dump;
mod error;
mod events;
mod features;
mod kind;
mod lease;
mod object;
mod records;
mod rivals;
mod source;
mod stream;
mod watch;

pub use account::{Account, BrokenObject};
pub use api::{
    Answer, Api, ApiError, ConnectError, Connection, Leadership, LeadershipSetter, ObjectName, Patch, Permit,
    Precondition, Purpose, Refused, Resource, Term, chain,
};
pub use approval::{Approval, ApprovalOutcome, JudgedRequest, decide_request};
pub use drain::{
    delete_node, delete_pod, evict, mark_node, release_node, request_drain, start_replacement, withdraw_request,
};
pub use dump::{Dump, Progress, read_dump, read_stream};
pub use error::DumpError;
pub use events::{
    EventCounts, EventLimits, EventNote, EventReason, Events, EventsOptions, Regarding, Severity, write_events,
};
pub use features::{
    FEATURE_RULES, Feature, FeatureOptions, FeatureRule, FeatureState, FeatureTable, Features, Need, Only, Place, Rule,
    check_features, denied_rule, watch_features,
};
pub use lease::{Candidacy, LeaseOptions, LeaseTimes, LeaseTimesError, LeaseView, lead, lead_alone, process_identity};
pub use records::{LONGEST_RECORD, Record, RecordError, RecordVersion, Stored};
pub use rivals::{DeploymentFact, LeaseFact, OwnName, Rival, RivalFacts, RivalKind, gather_rival_facts, rivals};
pub use source::Source;
pub use watch::{
    DebounceTimes, Mirror, MirrorEnded, MirrorHandle, MirrorOptions, MirrorStatus, PartStatus, Unknown, View,
    WatchProblem, Watched,
};
