//! What can be wrong with the volumes of a pod.

use std::fmt;

use plimsoll_model::{NodeSelector, Text, one_line};

use crate::{Filter, Rejection};

/// The longest text of a node affinity that is shown, in characters.
const MOST: usize = 200;

/// Something about volumes that keeps a pod off a node. The first five do so on every node.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum VolumeProblem {
    /// There is no claim of this name.
    NoClaim(Text),
    /// The claim of this name is being deleted.
    Deleting(Text),
    /// The claim of this name should be bound before its pod has a node, and is not.
    Unbound(Text),
    /// The claim of this name is bound to a volume that does not exist: claim, volume.
    Lost(Text, Text),
    /// The claim of this name is for one pod, and another with a node has it.
    InUse(Text),
    /// A volume cannot be reached from the node: what it asks of one.
    OutOfReach(String),
    /// A volume has this label, and the node has none of its values.
    OtherZone {
        /// The label's key.
        key: Text,
        /// The values that would do.
        values: Vec<Text>,
    },
    /// A claim that waits for its pod's node would not get a volume there.
    NoVolume {
        /// The storage class.
        class: Text,
        /// Somebody makes volumes of the class, but elsewhere.
        made: bool,
    },
    /// The node would have more volumes than it can attach.
    TooMany {
        /// The CSI driver.
        driver: Text,
        /// Volumes that it has attached.
        attached: u32,
        /// Volumes that the pod adds.
        more: u32,
        /// Volumes that it can attach.
        most: u32,
    },
}

// === impl VolumeProblem ===

impl VolumeProblem {
    pub(crate) fn out_of_reach(affinity: &NodeSelector) -> Self {
        let terms = affinity.terms.iter().take(3).map(|term| {
            let all = term.match_expressions.iter().chain(&term.match_fields).take(3);
            all.map(ToString::to_string).collect::<Vec<_>>().join(" and ")
        });
        let terms = terms.collect::<Vec<_>>().join(", or ");
        Self::OutOfReach(one_line(&terms, MOST).into_owned())
    }

    /// The filter that keeps the pod off.
    pub fn filter(&self) -> Filter {
        match self {
            Self::InUse(_) => Filter::VolumeRestrictions,
            Self::OtherZone { .. } => Filter::VolumeZone,
            Self::TooMany { .. } => Filter::NodeVolumeLimits,
            Self::NoClaim(_)
            | Self::Deleting(_)
            | Self::Unbound(_)
            | Self::Lost(..)
            | Self::OutOfReach(_)
            | Self::NoVolume { .. } => Filter::VolumeBinding,
        }
    }

    /// True if no node, old or new, would change it.
    pub fn everywhere(&self) -> bool {
        matches!(self, Self::NoClaim(_) | Self::Deleting(_) | Self::Unbound(_) | Self::Lost(..) | Self::InUse(_))
    }
}

impl fmt::Display for VolumeProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoClaim(claim) => write!(f, "claim {claim} is not found"),
            Self::Deleting(claim) => write!(f, "claim {claim} is being deleted"),
            Self::Unbound(claim) => {
                write!(f, "claim {claim} is not bound: the pod has unbound immediate PersistentVolumeClaims")
            }
            Self::Lost(claim, volume) => write!(f, "claim {claim} is bound to volume {volume}, which does not exist"),
            Self::InUse(claim) => write!(f, "claim {claim} is ReadWriteOncePod, and another pod uses it"),
            Self::OutOfReach(affinity) => write!(f, "a volume can be used only where {affinity}"),
            Self::OtherZone { key, values } => write!(f, "a volume is in {key} {}", values.join(" or ")),
            Self::NoVolume { class, made: true } => {
                write!(f, "storage class {class} makes no volumes here, and no free one is within reach")
            }
            Self::NoVolume { class, made: false } => {
                write!(f, "no free volume of storage class {class} is large enough and within reach")
            }
            Self::TooMany { driver, attached, more, most } => {
                write!(f, "{driver}: {attached} volumes are attached, {more} more would exceed {most}")
            }
        }
    }
}

impl From<VolumeProblem> for Rejection {
    fn from(problem: VolumeProblem) -> Self {
        Self { filter: problem.filter(), reason: problem.to_string() }
    }
}
