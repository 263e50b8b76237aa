//! Who asks, and what they may do.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::semantics::rbac::{Attributes, Decision, Rules};
use crate::semantics::refusal::{Refusal, User};
use crate::store::Store;
use crate::write::trees;

/// How requests are authorized, before the denials of [`crate::ApiServer::deny`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Authorization {
    /// Everybody may do everything.
    #[default]
    AllowAll,
    /// What the roles and bindings in the store grant. The group `system:masters` may do everything.
    Rbac,
}

/// Authentication and authorization.
#[derive(Debug)]
pub(crate) struct Access {
    users: HashMap<String, User>,
    anonymous_is_admin: bool,
    authorization: Authorization,
    denials: Mutex<Vec<Denial>>,
    rules: Mutex<Option<(u64, Arc<Rules>)>>,
}

/// Something that is forbidden, whatever the roles say. `*` stands for any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Denial {
    pub(crate) user: String,
    pub(crate) verb: String,
    pub(crate) group: String,
    /// `pods`, `pods/eviction`.
    pub(crate) resource: String,
}

const RBAC: &str = "rbac.authorization.k8s.io";

// === impl Access ===

impl Access {
    pub(crate) fn new(tokens: Vec<(String, User)>, anonymous_is_admin: bool, authorization: Authorization) -> Self {
        let users = tokens.into_iter().map(|(token, user)| (token, authenticated(user))).collect();
        Self { users, anonymous_is_admin, authorization, denials: Mutex::default(), rules: Mutex::default() }
    }

    /// Who sends this `Authorization` header.
    pub(crate) fn authenticate(&self, header: Option<&str>) -> Result<User, Refusal> {
        let Some(header) = header else {
            let (name, groups) = match self.anonymous_is_admin {
                true => ("admin", vec!["system:masters".to_owned(), "system:authenticated".to_owned()]),
                false => ("system:anonymous", vec!["system:unauthenticated".to_owned()]),
            };
            return Ok(User { name: name.to_owned(), groups, ..User::default() });
        };
        let token = header.strip_prefix("Bearer ").or_else(|| header.strip_prefix("bearer "));
        token.and_then(|token| self.users.get(token.trim())).cloned().ok_or_else(Refusal::unauthorized)
    }

    /// Whether somebody may do something.
    pub(crate) fn decide(&self, store: &Store, user: &User, attributes: &Attributes) -> Decision {
        let denied = self.denials.lock().unwrap_or_else(PoisonError::into_inner);
        if attributes.path.is_none() && denied.iter().any(|denial| denial.is_for(user, attributes)) {
            return Decision { allowed: false, reason: String::new() };
        }
        drop(denied);
        let masters = user.groups.iter().any(|group| group == "system:masters");
        match self.authorization {
            _ if masters => Decision { allowed: true, reason: String::new() },
            Authorization::AllowAll if user.name != "system:anonymous" => {
                Decision { allowed: true, reason: String::new() }
            }
            Authorization::AllowAll | Authorization::Rbac => self.rules(store).allows(user, attributes),
        }
    }

    /// Forbids something from now on.
    pub(crate) fn deny(&self, denial: Denial) {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner).push(denial);
    }

    /// Takes a denial back.
    pub(crate) fn allow_again(&self, denial: &Denial) {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner).retain(|known| known != denial);
    }

    /// Takes all denials back.
    pub(crate) fn deny_nothing(&self) {
        self.denials.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The rules in the store, read again when one of them has changed.
    fn rules(&self, store: &Store) -> Arc<Rules> {
        const KINDS: [&str; 4] = ["roles", "rolebindings", "clusterroles", "clusterrolebindings"];
        let state = store.lock();
        let last_change = KINDS.iter().filter_map(|plural| {
            let collection = state.collections.get(state.registry.find(RBAC, plural)?)?;
            Some(collection.last_change())
        });
        let last_change = last_change.max().unwrap_or_default();
        let mut kept = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        match kept.as_ref() {
            Some((revision, rules)) if *revision == last_change => rules.clone(),
            _ => {
                let [roles, bindings, cluster_roles, cluster_bindings] =
                    KINDS.map(|plural| trees(&state, RBAC, plural, ""));
                let rules = Arc::new(Rules::new(&roles, &bindings, &cluster_roles, &cluster_bindings));
                *kept = Some((last_change, rules.clone()));
                rules
            }
        }
    }
}

// === impl Denial ===

impl Denial {
    fn is_for(&self, user: &User, asked: &Attributes) -> bool {
        let any = |pattern: &str, value: &str| pattern == "*" || pattern == value;
        let resource = match asked.subresource.is_empty() {
            true => asked.resource.clone(),
            false => format!("{}/{}", asked.resource, asked.subresource),
        };
        any(&self.user, &user.name)
            && any(&self.verb, &asked.verb)
            && any(&self.group, &asked.group)
            && any(&self.resource, &resource)
    }
}

/// Whoever has a token is in the group of those who have one.
fn authenticated(mut user: User) -> User {
    let group = "system:authenticated";
    if user.groups.iter().all(|known| known != group) {
        user.groups.push(group.to_owned());
    }
    user
}
