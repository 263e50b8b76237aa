//! Priority classes.

use crate::Text;

/// A `PriorityClass`: what pods and pod templates that name it get.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriorityClass {
    /// Its name.
    pub name: Text,
    /// The priority of its pods.
    pub value: i32,
    /// Pods that name no class get this one.
    pub global_default: bool,
    /// Its pods may take the place of others (`preemptionPolicy` is not `Never`).
    pub preempts: bool,
}
