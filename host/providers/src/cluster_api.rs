//! Machines of Cluster API.
//!
//! ```text
//!   launch:  GET .../scale ─ enough? ─────────────> accepted
//!               ▲    └─ too few ─> PUT .../scale with the resource version that was read
//!               └────── changed by others meanwhile ──┘
//!   removal: Machine of the node ─> marked ─> scale is what was written down? ─> PUT .../scale with one less
//! ```
//!
//! The size is written, not raised, and only over what was read: the same launch can be repeated by anybody at any
//! time and ends at the same size. So no launch need be noted on the object, as long as the size before it was read
//! after the launch before it was answered ([`NodeGroupProvider::baseline`]).

mod machine;
mod names;
mod object;
mod removal;
mod settings;

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use plimsoll_kube::{Api, ApiError, Permit, Resource};
use plimsoll_model::Text;
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::{LaunchFailure, LaunchIntent, LaunchOutcome};
use plimsoll_planner::scale_up::LaunchRequest;
use serde_json::Value;

pub use settings::ClusterApiSettings;

use crate::outcome::{outcome, provider_error, unread};
use crate::{Inventory, Listing, NodeGroupProvider, ProviderError, ProviderGroup};
use object::{Kind, Scaled};

/// The API group.
const GROUP: &str = "cluster.x-k8s.io";
/// Versions that are understood, the newest first.
const VERSIONS: [&str; 2] = ["v1beta2", "v1beta1"];
/// A size is read and written again so often when others change the object meanwhile.
const TRIES: usize = 5;

/// The provider.
#[derive(Debug)]
pub struct ClusterApi {
    api: Api,
    settings: ClusterApiSettings,
    configured: Vec<Text>,
    known: Mutex<Known>,
}

/// What the last look found.
#[derive(Clone, Debug, Default)]
struct Known {
    version: String,
    groups: BTreeMap<Text, Scaled>,
    problems: Vec<String>,
}

impl ClusterApi {
    /// The provider of a management cluster, for the node groups of these names.
    pub fn new(api: Api, settings: ClusterApiSettings, configured: Vec<Text>) -> Self {
        Self { api, settings, configured, known: Mutex::default() }
    }

    async fn version(&self) -> Result<String, ApiError> {
        let group = self.api.read(&format!("/apis/{GROUP}")).await?;
        let served =
            |version: &&str| crate::object::list(&group, "/versions").iter().any(|v| v["version"] == **version);
        let found = VERSIONS.into_iter().find(served);
        let resource = || format!("{GROUP} in version {}", VERSIONS.join(" or "));
        found.map(str::to_owned).ok_or_else(|| ApiError::NotServed { resource: resource() })
    }

    async fn list(&self, resource: &Resource) -> Result<Vec<Value>, ApiError> {
        let namespace = self.settings.namespace.as_deref().unwrap_or_default();
        let labels = self.settings.cluster_name.as_ref().map(|name| format!("{GROUP}/cluster-name={name}"));
        self.api.list(resource, namespace, labels.as_deref().unwrap_or_default()).await
    }

    /// Which groups there are, without their machines.
    async fn look(&self) -> Result<Known, ApiError> {
        let version = self.version().await?;
        let mut objects = Vec::new();
        let mut problems = Vec::new();
        for kind in Kind::ALL {
            match self.list(&kind.resource(&version)).await {
                Ok(all) => objects.extend(all.iter().filter_map(|object| Scaled::read(kind, object, &mut problems))),
                // Machine pools are a feature that may be off.
                Err(ApiError::NotServed { .. }) if kind == Kind::Pool => {}
                Err(error @ ApiError::Forbidden(_)) if kind != Kind::Deployment => problems.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        let groups = names::by_group(objects, &self.settings, &self.configured, &mut problems);
        let known = Known { version, groups, problems };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known.clone();
        Ok(known)
    }

    /// The object of a group, and the version in which it is served.
    async fn find(&self, group: &Text) -> Result<(String, Scaled), NotFound> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(scaled) = known.groups.get(group) {
            return Ok((known.version, scaled.clone()));
        }
        let known = self.look().await.map_err(NotFound::Api)?;
        match known.groups.get(group) {
            Some(scaled) => Ok((known.version, scaled.clone())),
            None => Err(NotFound::Nowhere(known.problems)),
        }
    }

    /// The size that an object is to have now.
    async fn current_size(&self, version: &str, scaled: &Scaled) -> Result<u32, ProviderError> {
        let scale = self.api.get_part(&scaled.kind.resource(version), &scaled.object, "scale").await;
        let scale = scale.map_err(|error| provider_error(&error))?;
        match u32::try_from(size(&scale)) {
            Ok(size) => Ok(size),
            Err(_) => Err(ProviderError::Garbled(format!("{} has {} replicas", scaled.exact(), size(&scale)))),
        }
    }

    /// Writes the size until it is there.
    async fn raise(&self, permit: &Permit, version: &str, scaled: &Scaled, wanted: u32) -> Result<(), LaunchOutcome> {
        let resource = scaled.kind.resource(version);
        let garbled = |what: &str| LaunchOutcome::Unknown(format!("the scale of {} has no {what}", scaled.exact()));
        for _ in 0..TRIES {
            let read = self.api.get_part(&resource, &scaled.object, "scale").await;
            let mut scale = read.map_err(|error| {
                // It may have been replaced, or be served in another version.
                if matches!(error, ApiError::NotFound(_) | ApiError::NotServed { .. }) {
                    *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Known::default();
                }
                unread(&error)
            })?;
            if size(&scale) >= u64::from(wanted) {
                return Ok(());
            }
            if crate::object::text(&scale, "/metadata/resourceVersion").is_none() {
                return Err(garbled("resourceVersion"));
            }
            let spec = scale["spec"].as_object_mut().ok_or_else(|| garbled("spec"))?;
            spec.insert("replicas".to_owned(), wanted.into());
            match self.api.replace(permit, &resource, &scaled.object, Some("scale"), &scale).await {
                Ok(_) => return Ok(()),
                Err(ApiError::Conflict(_)) => {}
                Err(error) => return Err(outcome(&error)),
            }
        }
        Err(LaunchOutcome::Unknown(format!("others changed {} {TRIES} times", scaled.exact())))
    }
}

/// The size that a scale asks for; where none is set it is left out.
fn size(scale: &Value) -> u64 {
    scale["spec"]["replicas"].as_u64().unwrap_or(0)
}

/// Why there is no object for a group.
enum NotFound {
    Api(ApiError),
    Nowhere(Vec<String>),
}

impl NotFound {
    fn into_provider_error(self, group: &Text) -> ProviderError {
        match self {
            Self::Api(error) => provider_error(&error),
            Self::Nowhere(problems) if problems.is_empty() => ProviderError::NoGroup(group.clone()),
            Self::Nowhere(problems) => ProviderError::Failed(Self::sentence(group, &problems)),
        }
    }

    fn sentence(group: &str, problems: &[String]) -> String {
        let why = problems.iter().find(|problem| problem.contains(&format!("node group {group} ")));
        why.cloned()
            .unwrap_or_else(|| format!("no object of {GROUP} with annotations for its sizes is node group {group}"))
    }
}

#[async_trait]
impl NodeGroupProvider for ClusterApi {
    fn name(&self) -> &'static str {
        "clusterApi"
    }

    fn knows_all_groups(&self) -> bool {
        true
    }

    async fn inventory(&self) -> Result<Inventory, ProviderError> {
        let known = self.look().await.map_err(|error| provider_error(&error))?;
        let mut problems = known.problems;
        let mut listing = Listing::ByName;
        let machines = match self.list(&machine::resource(&known.version)).await {
            Ok(machines) => machines,
            Err(error @ ApiError::Forbidden(_)) => {
                problems.push(error.to_string());
                listing = Listing::Partial;
                Vec::new()
            }
            Err(error) => return Err(provider_error(&error)),
        };
        // The machines of some pools are nowhere to be seen.
        let unseen = |scaled: &Scaled| scaled.kind == Kind::Pool && !machines.iter().any(|m| scaled.has(m));
        if known.groups.values().any(|scaled| unseen(scaled) && scaled.replicas > 0) {
            listing = Listing::Partial;
        }
        let mut inventory = Inventory { problems, listing, ..Inventory::default() };
        for (id, scaled) in known.groups {
            inventory.groups.push(ProviderGroup {
                id: id.clone(),
                min: scaled.min,
                max: scaled.max,
                target: scaled.replicas,
                instances: machines.iter().filter(|machine| scaled.has(machine)).map(machine::instance).collect(),
                template: scaled.template.clone(),
            });
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        for object in &machines {
            let group = known.groups.iter().find(|(_, scaled)| scaled.has(object)).map(|(id, _)| id.clone());
            inventory.machines.push(machine::machine(object, group));
        }
        Ok(inventory)
    }

    async fn baseline(&self, request: &LaunchRequest) -> Result<Option<u32>, ProviderError> {
        let (version, scaled) =
            self.find(&request.group).await.map_err(|error| error.into_provider_error(&request.group))?;
        self.current_size(&version, &scaled).await.map(Some)
    }

    async fn launch(&self, permit: &Permit, intent: &LaunchIntent) -> LaunchOutcome {
        let failed = |text: String| LaunchOutcome::Failed(LaunchFailure::Invalid(text));
        let group = &intent.request.group;
        let Some(baseline) = intent.baseline else {
            return failed(format!("the size of {group} before the launch was not written down"));
        };
        let Some(wanted) = baseline.checked_add(intent.request.count).filter(|size| i32::try_from(*size).is_ok())
        else {
            return failed(format!("a size above {baseline} is out of range"));
        };
        let (version, scaled) = match self.find(group).await {
            Ok(found) => found,
            Err(NotFound::Api(error)) => return unread(&error),
            Err(NotFound::Nowhere(problems)) => return failed(NotFound::sentence(group, &problems)),
        };
        if wanted > scaled.max {
            let text = format!("{} is to have {wanted} nodes, but allows {}", scaled.exact(), scaled.max);
            return LaunchOutcome::Failed(LaunchFailure::GroupFull(text));
        }
        match self.raise(permit, &version, &scaled, wanted).await {
            Ok(()) => LaunchOutcome::Accepted { nodes: Vec::new() },
            Err(outcome) => outcome,
        }
    }

    async fn removal_baseline(&self, removal: &Removal) -> Result<Option<u32>, ProviderError> {
        self.size_before(removal).await.map(Some)
    }

    async fn remove(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        self.take_out(permit, removal).await
    }
}
