//! How the objects of one kind are shown to a client: version, and whole or metadata alone.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::convert;
use crate::resource::{Form, Served};
use crate::selector::{FieldSelector, LabelSelector};
use crate::semantics::refusal::Refusal;
use crate::store::{Fields, Stored};

use super::route::Query;

/// How objects are shown.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub(crate) served: Served,
    metadata_only: bool,
}

/// Which objects of a collection are meant.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    pub(crate) namespace: String,
    labels: LabelSelector,
    fields: FieldSelector,
    pub(crate) everything: bool,
    facets: std::sync::Arc<Fields>,
}

// === impl View ===

impl View {
    /// What the header `Accept` asks for, best first. None if nothing that it names is served.
    pub(crate) fn new(served: Served, accept: &str) -> Option<Self> {
        let mut words = accept.split(',').map(str::trim).filter(|word| !word.is_empty()).peekable();
        if words.peek().is_none() {
            return Some(Self { served, metadata_only: false });
        }
        words.find_map(|word| {
            let mut parts = word.split(';').map(str::trim);
            let media = parts.next().unwrap_or_default();
            if !matches!(media, "*/*" | "application/*" | "application/json") {
                return None;
            }
            match parts.find_map(|part| part.strip_prefix("as=")) {
                None => Some(Self { served: served.clone(), metadata_only: false }),
                Some("PartialObjectMetadata" | "PartialObjectMetadataList") => {
                    Some(Self { served: served.clone(), metadata_only: true })
                }
                Some(_) => None,
            }
        })
    }

    /// An object on its own.
    pub(crate) fn object(&self, stored: &Stored) -> Bytes {
        if self.metadata_only { Bytes::from(partial(stored).to_string()) } else { convert::body(&self.served, stored) }
    }

    /// A tree on its own.
    pub(crate) fn tree(&self, tree: Value) -> Value {
        convert::from_stored(&self.served, tree)
    }

    /// Adds an object as the item of a list. Only custom resources say what they are there.
    pub(crate) fn item(&self, stored: &Stored, list: &mut Vec<u8>) {
        match self.served.form {
            _ if self.metadata_only => list.extend_from_slice(&self.object(stored)),
            Form::Stored if !self.served.kind.custom => {
                list.push(b'{');
                list.extend_from_slice(stored.rest());
            }
            _ if self.served.kind.custom => list.extend_from_slice(&self.object(stored)),
            _ => {
                let mut tree = convert::from_stored(&self.served, stored.tree());
                if let Value::Object(fields) = &mut tree {
                    fields.remove("kind");
                    fields.remove("apiVersion");
                }
                list.extend_from_slice(tree.to_string().as_bytes());
            }
        }
    }

    /// `kind` and `apiVersion` of a list.
    pub(crate) fn list_type(&self) -> (String, String) {
        if self.metadata_only {
            return ("PartialObjectMetadataList".to_owned(), "meta.k8s.io/v1".to_owned());
        }
        (format!("{}List", self.served.kind.kind), self.served.api_version())
    }

    /// The object of a bookmark.
    pub(crate) fn bookmark(&self, revision: u64, end_of_initial_events: bool) -> Value {
        let mut metadata = Map::new();
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        if end_of_initial_events {
            metadata.insert("annotations".to_owned(), json!({ "k8s.io/initial-events-end": "true" }));
        }
        let (kind, api_version) = match self.metadata_only {
            true => ("PartialObjectMetadata".to_owned(), "meta.k8s.io/v1".to_owned()),
            false => (self.served.kind.kind.clone(), self.served.api_version()),
        };
        json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata })
    }
}

// === impl Filter ===

impl Filter {
    /// What the query selects within a namespace (all if it is empty), or one object by its name.
    pub(crate) fn new(
        served: &Served,
        facets: std::sync::Arc<Fields>,
        namespace: &str,
        name: Option<&str>,
        query: &Query,
    ) -> Result<Self, Refusal> {
        let labels = LabelSelector::parse(query.get("labelSelector").unwrap_or_default())?;
        let mut fields = query.get("fieldSelector").unwrap_or_default().to_owned();
        if let Some(name) = name {
            let comma = if fields.is_empty() { "" } else { "," };
            fields = format!("{fields}{comma}metadata.name={name}");
        }
        let fields = FieldSelector::parse(&fields, &served.kind.group, &served.kind.plural, &served.kind.selectable)?;
        let everything = labels.is_everything() && fields.is_everything();
        Ok(Self { namespace: namespace.to_owned(), labels, fields, everything, facets })
    }

    /// Whether an object is meant.
    pub(crate) fn selects(&self, stored: &Stored) -> bool {
        if !self.namespace.is_empty() && *stored.key.namespace != *self.namespace {
            return false;
        }
        if self.everything {
            return true;
        }
        let facets = stored.facets(&self.facets);
        self.labels.matches(facets) && self.fields.matches(facets)
    }
}

/// An object without anything but its metadata.
fn partial(stored: &Stored) -> Value {
    let metadata = stored.tree().get_mut("metadata").map(Value::take);
    json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata })
}
