//! The kinds of objects that are served, and where.

mod builtin;
mod custom;

use std::collections::HashMap;
use std::sync::Arc;

pub(crate) use builtin::builtin;
pub(crate) use custom::{cluster_api, karpenter, metrics, of_crd};

use crate::semantics::refusal::Target;
use crate::semantics::scale;

/// One kind of object and how it behaves.
#[derive(Clone, Debug, PartialEq)]
pub struct ResourceKind {
    /// Its API group; empty for the core one.
    pub group: String,
    /// The versions it is served in. The first one is preferred, and objects are kept in it.
    pub versions: Vec<String>,
    /// Like `Pod`.
    pub kind: String,
    /// Like `pods`.
    pub plural: String,
    /// Short names for kubectl.
    pub short_names: Vec<String>,
    /// Groups of kinds for kubectl, like `all`.
    pub categories: Vec<String>,
    /// Whether its objects live in namespaces.
    pub namespaced: bool,
    /// Whether a custom resource definition brought it.
    pub custom: bool,
    /// What happens to the status of an object.
    pub status: StatusRule,
    /// The paths of its `/scale` subresource.
    pub scale: Option<scale::Paths>,
    /// Whether `metadata.generation` counts changes of the specification.
    pub generation: bool,
    /// Whether a PUT may come without a resource version.
    pub unconditional_update: bool,
    /// Whether a PUT creates what is not there.
    pub create_on_update: bool,
    /// Whether a DELETE answers with the object rather than with a Status.
    pub returns_deleted: bool,
    /// Fields that a custom resource can be selected by, as JSON paths.
    pub selectable: Vec<String>,
}

/// How the status of a kind is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusRule {
    /// There is no `/status`: status is a field as any other.
    Plain,
    /// `/status` is there; an object is created without a status.
    Separate,
    /// `/status` is there; an object is created with the status that it comes with.
    KeptOnCreate,
}

/// What a path of the server leads to.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    /// The kind as it is kept.
    pub(crate) kind: Arc<ResourceKind>,
    /// The collection it is kept in.
    pub(crate) collection: usize,
    /// The group it was asked for in.
    pub(crate) group: String,
    /// The version it was asked for in.
    pub(crate) version: String,
    /// How the stored form becomes the asked one.
    pub(crate) form: Form,
}

/// The difference between the stored form and the one that was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// None.
    Stored,
    /// Only the name of the version.
    Renamed,
    /// Core events, asked for as `events.k8s.io/v1`.
    NewEvents,
}

/// All kinds.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    kinds: Vec<Option<Arc<ResourceKind>>>,
    by_name: HashMap<(String, String), usize>,
}

// === impl ResourceKind ===

impl ResourceKind {
    /// A kind in one version, with the habits of most built-in kinds.
    pub fn new(group: &str, version: &str, kind: &str, plural: &str) -> Self {
        Self {
            group: group.to_owned(),
            versions: vec![version.to_owned()],
            kind: kind.to_owned(),
            plural: plural.to_owned(),
            short_names: Vec::new(),
            categories: Vec::new(),
            namespaced: true,
            custom: false,
            status: StatusRule::Plain,
            scale: None,
            generation: false,
            unconditional_update: true,
            create_on_update: false,
            returns_deleted: false,
            selectable: Vec::new(),
        }
    }

    /// A custom kind, with the habits of those.
    pub fn custom(group: &str, versions: &[&str], kind: &str, plural: &str) -> Self {
        Self {
            versions: versions.iter().map(|version| (*version).to_owned()).collect(),
            custom: true,
            status: StatusRule::Separate,
            generation: true,
            unconditional_update: false,
            ..Self::new(group, "", kind, plural)
        }
    }

    /// The version objects are kept in.
    pub fn stored_version(&self) -> &str {
        self.versions.first().map_or("v1", String::as_str)
    }

    /// `v1`, `apps/v1`: the `apiVersion` of stored objects.
    pub fn api_version(&self) -> String {
        api_version(&self.group, self.stored_version())
    }

    /// `pods`, `deployments.apps`.
    pub fn full_name(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Whether the kind has a `/status`.
    pub fn has_status(&self) -> bool {
        self.status != StatusRule::Plain
    }

    /// Whether its objects have this subresource.
    pub(crate) fn has_subresource(&self, name: &str) -> bool {
        match name {
            "status" => self.has_status(),
            "scale" => self.scale.is_some(),
            "approval" => self.full_name() == "certificatesigningrequests.certificates.k8s.io",
            "finalize" => self.full_name() == "namespaces",
            "binding" | "eviction" => self.full_name() == "pods",
            _ => false,
        }
    }

    /// Who is meant when something about the object `name` is refused.
    pub(crate) fn target<'a>(&'a self, name: &'a str) -> Target<'a> {
        Target {
            group: &self.group,
            version: self.stored_version(),
            kind: &self.kind,
            resource: &self.plural,
            name,
            custom: self.custom,
        }
    }
}

// === impl Served ===

impl Served {
    /// The `apiVersion` that was asked for.
    pub(crate) fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }
}

// === impl Registry ===

impl Registry {
    /// Adds a kind, or takes the place of the one of the same name. Gives its collection.
    pub(crate) fn add(&mut self, kind: ResourceKind) -> usize {
        let name = (kind.group.clone(), kind.plural.clone());
        let kind = Some(Arc::new(kind));
        match self.by_name.get(&name) {
            Some(&index) => {
                if let Some(slot) = self.kinds.get_mut(index) {
                    *slot = kind;
                }
                index
            }
            None => {
                self.kinds.push(kind);
                self.by_name.insert(name, self.kinds.len() - 1);
                self.kinds.len() - 1
            }
        }
    }

    /// Stops serving a kind. Its number is kept for when it comes back.
    pub(crate) fn remove(&mut self, group: &str, plural: &str) -> Option<usize> {
        let index = self.find(group, plural)?;
        *self.kinds.get_mut(index)? = None;
        Some(index)
    }

    /// The collection of a kind that is served.
    pub(crate) fn find(&self, group: &str, plural: &str) -> Option<usize> {
        let group = if group == "events.k8s.io" && plural == "events" { "" } else { group };
        let index = *self.by_name.get(&(group.to_owned(), plural.to_owned()))?;
        self.kinds.get(index)?.is_some().then_some(index)
    }

    /// The collection of `pods` or `deployments.apps`; a bare plural finds the first group that has it.
    pub(crate) fn find_by_name(&self, name: &str) -> Option<usize> {
        let (plural, group) = name.split_once('.').unwrap_or((name, ""));
        self.find(group, plural).or_else(|| {
            if !group.is_empty() {
                return None;
            }
            self.kinds.iter().position(|kind| kind.as_ref().is_some_and(|kind| kind.plural == plural))
        })
    }

    /// The collection of an object's kind.
    pub(crate) fn find_by_kind(&self, api_version: &str, kind: &str) -> Option<Served> {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let sought = if group == "events.k8s.io" { "" } else { group };
        let plural = self.all().find(|(_, known)| known.group == sought && known.kind == kind)?.1.plural.clone();
        self.serve(group, version, &plural)
    }

    /// What is served under a group, version and plural.
    pub(crate) fn serve(&self, group: &str, version: &str, plural: &str) -> Option<Served> {
        let collection = self.find(group, plural)?;
        let kind = self.kinds.get(collection)?.clone()?;
        let form = if group != kind.group {
            Form::NewEvents
        } else if version == kind.stored_version() {
            Form::Stored
        } else if kind.versions.iter().any(|known| known == version) {
            Form::Renamed
        } else {
            return None;
        };
        if form == Form::NewEvents && version != "v1" {
            return None;
        }
        Some(Served { kind, collection, group: group.to_owned(), version: version.to_owned(), form })
    }

    /// The kind of a collection.
    pub(crate) fn kind(&self, collection: usize) -> Option<&Arc<ResourceKind>> {
        self.kinds.get(collection)?.as_ref()
    }

    /// All kinds that are served, with their collections.
    pub(crate) fn all(&self) -> impl Iterator<Item = (usize, &Arc<ResourceKind>)> {
        self.kinds.iter().enumerate().filter_map(|(index, kind)| Some((index, kind.as_ref()?)))
    }
}

/// `v1` for the core group, `apps/v1` for the others.
pub(crate) fn api_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}
