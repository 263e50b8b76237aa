//! Classes that differ in nothing that any rule looks at.

use std::sync::Arc;

use crate::rules::Rules;
use crate::tracker::TrackerId;
use crate::volumes::VolumeNeeds;
use crate::{ClassId, Simulation};

/// What a class is to the rules between pods and to volumes. Two classes of one namespace and shape with equal
/// values are the same to the scheduler, whatever else their labels say.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Alike {
    feeds: Vec<TrackerId>,
    rules: Option<Arc<Rules>>,
    volumes: Option<Arc<VolumeNeeds>>,
}

impl Simulation {
    /// What a prepared class is to the rules.
    pub fn alike(&self, class: ClassId) -> Alike {
        Alike {
            feeds: self.feeds(class).to_vec(),
            rules: self.rules(class).cloned(),
            volumes: self.class(class).volumes.clone(),
        }
    }
}
