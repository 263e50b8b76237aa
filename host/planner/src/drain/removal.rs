//! The end of a node: what a provider is told, and what came of it.

use plimsoll_model::Text;

use crate::launch::LaunchFailure;

/// A machine that is to go. It is written down, on its node, before the provider is called, so that whoever leads after
/// a crash can finish the call without removing another machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// The name of its node.
    pub node: Text,
    /// The provider's id of it: `spec.providerID` of the node, where it has one.
    pub provider_id: Option<Text>,
    /// Its node group, where one is known.
    pub group: Option<Text>,
    /// The drain that it ends.
    pub drain: Text,
    /// The size of the group before, where a provider is told sizes and not machines; after the removal it is to be
    /// one less.
    pub baseline: Option<u32>,
}

/// What came of a call to remove a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RemovalOutcome {
    /// The provider has taken it: the machine goes away by itself.
    Accepted,
    /// There is no such machine any more.
    Gone,
    /// The provider has refused it: nothing was removed, and the same call would be refused again until somebody
    /// changes something.
    Failed(LaunchFailure),
    /// No answer came: it may have been done. The same removal is tried again.
    Unknown(String),
}
