//! Machines of Karpenter: NodeClaims of their own, without a NodePool.
//!
//! A node goes with its claim, which Karpenter finishes by finalizers; whose node it is, the claim says.
//!
//! A claim's name comes of its launch, so that a repeated launch finds what is there: 409 AlreadyExists is an answer.
//! A NodePool lends a group of its name its node class and startup taints; its own nodes stay Karpenter's.

mod claim;
mod pool;
mod removal;
mod settings;

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;
use plimsoll_kube::{Api, ApiError, ObjectName, Permit, Resource};
use plimsoll_model::Text;
use plimsoll_planner::drain::{Removal, RemovalOutcome};
use plimsoll_planner::launch::{LaunchFailure, LaunchIntent, LaunchOutcome};
use plimsoll_planner::scale_up::LaunchRequest;

pub use settings::{KarpenterGroup, KarpenterSettings, NodeClassRef, TaintSetting};

use crate::object::label;
use crate::outcome::{outcome, provider_error, unread};
use crate::{Inventory, LAUNCH_LABEL, Listing, NodeGroupProvider, ProviderError, ProviderGroup};
use claim::claim;
use pool::Pool;

/// The provider.
#[derive(Debug)]
pub struct Karpenter {
    api: Api,
    settings: KarpenterSettings,
}

impl Karpenter {
    /// The provider of this cluster.
    pub fn new(api: Api, settings: KarpenterSettings) -> Self {
        Self { api, settings }
    }

    /// The node class of a group, and the NodePool of its name.
    async fn class_of(&self, group: &str) -> Result<(NodeClassRef, Option<Pool>), LaunchOutcome> {
        let own = self.settings.groups.get(group);
        let said = own.and_then(|own| own.node_class_ref.clone());
        let pool = match self.api.get(&pool::resource(), &ObjectName::of_cluster(group)).await {
            Ok(object) => Some(Pool::read(&object)),
            Err(ApiError::NotFound(_)) => None,
            // Without NodePools it goes by the settings alone.
            Err(ApiError::NotServed { .. } | ApiError::Forbidden(_))
                if said.is_some() || self.settings.node_class_ref.is_some() =>
            {
                None
            }
            Err(error) => return Err(unread(&error)),
        };
        let class = said.or_else(|| pool.as_ref()?.class.clone()).or_else(|| self.settings.node_class_ref.clone());
        match class {
            Some(class) => Ok((class, pool)),
            None => {
                let text = format!(
                    "node group {group} has no node class; make a NodePool of that name or set \
                     provider.groups.{group}.nodeClassRef"
                );
                Err(LaunchOutcome::Failed(LaunchFailure::Invalid(text)))
            }
        }
    }

    /// Makes sure of every claim.
    async fn make_all(&self, permit: &Permit, intent: &LaunchIntent) -> Result<(), LaunchOutcome> {
        let (class, pool) = self.class_of(&intent.request.group).await?;
        for index in 0..intent.request.count {
            let object = claim(intent, index, &class, pool.as_ref(), &self.settings);
            self.make(permit, intent, &object).await?;
        }
        Ok(())
    }

    /// A failure, unless some claims are there: then what is missing is tried again.
    async fn unless_begun(&self, intent: &LaunchIntent, failure: LaunchFailure) -> LaunchOutcome {
        let of_launch = format!("{LAUNCH_LABEL}={}", intent.id);
        match self.api.list(&claim::resource(), "", &of_launch).await {
            Ok(there) if there.is_empty() => LaunchOutcome::Failed(failure),
            Ok(there) => {
                let (some, all) = (there.len(), intent.request.count);
                LaunchOutcome::Unknown(format!("{some} of {all} NodeClaims are there; {failure}"))
            }
            Err(ApiError::NotServed { .. } | ApiError::NotFound(_)) => LaunchOutcome::Failed(failure),
            // Whoever may not list them made none that anybody could count on.
            Err(ApiError::Forbidden(_)) => LaunchOutcome::Failed(failure),
            Err(error) => LaunchOutcome::Unknown(format!("{failure}; {error}")),
        }
    }

    /// Makes sure of one claim.
    async fn make(
        &self,
        permit: &Permit,
        intent: &LaunchIntent,
        object: &serde_json::Value,
    ) -> Result<(), LaunchOutcome> {
        let name = crate::object::name(object);
        match self.api.create(permit, &claim::resource(), object).await {
            Ok(_) => return Ok(()),
            Err(ApiError::AlreadyExists(_)) => {}
            Err(error) => return Err(outcome(&error)),
        }
        match self.api.get(&claim::resource(), &ObjectName::of_cluster(name)).await {
            Ok(there) if label(&there, LAUNCH_LABEL) == Some(&*intent.id.0) => Ok(()),
            Ok(_) => {
                let text = format!("there is a NodeClaim {name} already, which is not of this launch");
                Err(LaunchOutcome::Failed(LaunchFailure::Invalid(text)))
            }
            Err(error) => Err(LaunchOutcome::Unknown(error.to_string())),
        }
    }
}

fn resource(plural: &'static str, kind: &'static str) -> Resource {
    Resource {
        group: Cow::Borrowed("karpenter.sh"),
        version: Cow::Borrowed("v1"),
        plural: Cow::Borrowed(plural),
        kind: Cow::Borrowed(kind),
        namespaced: false,
    }
}

#[async_trait]
impl NodeGroupProvider for Karpenter {
    fn name(&self) -> &'static str {
        "karpenter"
    }

    async fn inventory(&self) -> Result<Inventory, ProviderError> {
        let claims = self.api.list(&claim::resource(), "", "").await.map_err(|error| provider_error(&error))?;
        // Claims that are of no group are among its machines only, by the names of their nodes.
        let mut inventory = Inventory { listing: Listing::ByName, ..Inventory::default() };
        let mut groups: BTreeMap<Text, ProviderGroup> = BTreeMap::new();
        for name in self.settings.groups.keys() {
            let id = Text::from(name.as_str());
            groups.insert(id.clone(), ProviderGroup { id, max: u32::MAX, ..ProviderGroup::default() });
        }
        match self.api.list(&pool::resource(), "", "").await {
            Ok(pools) => {
                for pool in pools.iter().map(Pool::read) {
                    groups.insert(pool.name.clone(), pool.group());
                }
            }
            Err(error @ (ApiError::NotServed { .. } | ApiError::Forbidden(_))) => {
                inventory.problems.push(error.to_string());
            }
            Err(error) => return Err(provider_error(&error)),
        }
        for object in &claims {
            inventory.machines.push(claim::machine(object));
            if let Some(group) = claim::group(object).and_then(|name| groups.get_mut(name)) {
                if !crate::object::deleting(object) {
                    group.target = group.target.saturating_add(1);
                }
                group.instances.push(claim::instance(object));
            }
        }
        inventory.groups = groups.into_values().collect();
        Ok(inventory)
    }

    async fn baseline(&self, _request: &LaunchRequest) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    async fn launch(&self, permit: &Permit, intent: &LaunchIntent) -> LaunchOutcome {
        match self.make_all(permit, intent).await {
            // A node is named by its machine, not by its claim.
            Ok(()) => LaunchOutcome::Accepted { nodes: Vec::new() },
            Err(LaunchOutcome::Failed(failure)) => self.unless_begun(intent, failure).await,
            Err(outcome) => outcome,
        }
    }

    async fn removal_baseline(&self, _removal: &Removal) -> Result<Option<u32>, ProviderError> {
        Ok(None)
    }

    async fn remove(&self, permit: &Permit, removal: &Removal) -> RemovalOutcome {
        self.delete(permit, removal).await
    }
}
