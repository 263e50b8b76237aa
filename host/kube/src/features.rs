//! What this controller can do with the permissions that it has.
//!
//! ```text
//!   rules of each feature ──┬─ SelfSubjectAccessReview: allowed?
//!                           └─ /apis/GROUP/VERSION: served? ──> FeatureTable ──> log, status, metrics, Event
//! ```
//!
//! A feature whose rule is missing is off, and the rule is named; everything else runs. Where the questions cannot be
//! asked, the permissions are taken for granted, and a call that is refused says otherwise.

mod check;
mod denied;
mod rule;
mod rules;
mod table;

pub use check::{FeatureOptions, Features, check_features, watch_features};
pub use denied::denied_rule;
pub use rule::{Need, Rule};
pub use rules::{FEATURE_RULES, Feature, FeatureRule, Only, Place};
pub use table::{FeatureState, FeatureTable};
