//! Writing: everything that happens between a request and the next revision.
//!
//! All of it happens while the store is taken, so that nobody comes in between.

mod create;
mod defaults;
mod delete;
mod namespaces;
mod subresource;
mod update;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::resource::Served;
use crate::semantics::refusal::{Refusal, Target, User};
use crate::store::{Key, State, Stored, metadata};

pub(crate) use delete::DeleteOptions;
pub(crate) use update::{Update, trees};

/// One write.
pub(crate) struct Write<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) served: &'a Served,
    pub(crate) namespace: &'a str,
    /// Empty, or like `status`.
    pub(crate) subresource: &'a str,
    pub(crate) user: &'a User,
    /// Who `managedFields` names.
    pub(crate) manager: &'a str,
    pub(crate) dry_run: bool,
    pub(crate) now: Timestamp,
    /// Whether the content of deleted namespaces is deleted with them.
    pub(crate) namespace_controller: bool,
}

/// What was written.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) code: u16,
    /// The object in its stored form, or a Status.
    pub(crate) tree: Value,
    /// Whether the tree is a Status or such rather than the object.
    pub(crate) is_status: bool,
}

// === impl Written ===

impl Written {
    fn object(code: u16, tree: Value) -> Self {
        Self { code, tree, is_status: false }
    }
}

// === impl Write ===

impl Write<'_> {
    fn key(&self, name: &str) -> Key {
        Key::new(self.namespace, name)
    }

    fn target<'b>(&'b self, name: &'b str) -> Target<'b> {
        self.served.kind.target(name)
    }

    fn find(&self, name: &str) -> Result<std::sync::Arc<Stored>, Refusal> {
        self.state.find(self.served.collection, &self.key(name)).cloned().ok_or_else(|| self.not_found(name))
    }

    fn not_found(&self, name: &str) -> Refusal {
        Refusal::not_found(&self.served.kind.group, &self.served.kind.plural, name)
    }

    /// Keeps an object, or for a dry run does not.
    fn put(&mut self, name: &str, tree: &mut Value) {
        if !self.dry_run {
            self.state.put(self.served.collection, self.key(name), tree);
        }
    }

    /// The same write about another kind, by the server itself.
    fn about<'b>(&'b mut self, served: &'b Served, namespace: &'b str, subresource: &'b str) -> Write<'b> {
        Write {
            state: self.state,
            served,
            namespace,
            subresource,
            user: self.user,
            manager: self.manager,
            dry_run: self.dry_run,
            now: self.now,
            namespace_controller: self.namespace_controller,
        }
    }
}

/// `Status: Success` about an object.
fn success(target: &Target<'_>, uid: &str) -> Value {
    let mut details = Map::new();
    for (field, value) in [("name", target.name), ("group", target.group), ("kind", target.resource), ("uid", uid)] {
        if !value.is_empty() {
            details.insert(field.to_owned(), value.into());
        }
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}

/// The finalizers of an object.
fn finalizers(tree: &Value) -> Vec<&str> {
    let list = tree.get("metadata").and_then(|metadata| metadata.get("finalizers")).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Sets a field of the metadata, or takes it out.
fn set_meta(tree: &mut Value, field: &str, value: Option<Value>) {
    match value {
        Some(value) => metadata(tree).insert(field.to_owned(), value),
        None => metadata(tree).remove(field),
    };
}
