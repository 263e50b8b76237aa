//! Requests that change something, and the reviews that only look as if they did.

use std::sync::Arc;

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};

use crate::convert;
use crate::patch::PatchType;
use crate::resource::Served;
use crate::semantics::refusal::{Cause, Refusal};
use crate::semantics::{csr, protobuf, rbac};
use crate::store::{Fields, within};
use crate::write::{DeleteOptions, Update, Write, Written};

use super::answer::Answer;
use super::route::Place;
use super::view::{Filter, View};
use super::{Question, Service};

const JSON: &str = "application/json";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";

// === impl Service ===

impl Service {
    /// Creates, changes or deletes.
    pub(super) fn mutate(
        &self,
        question: &Question,
        place: &Place,
        served: &Served,
        facets: Arc<Fields>,
        body: &Bytes,
    ) -> Result<Answer, Refusal> {
        let dry_run = dry_run(question)?;
        let name = place.name.as_deref().unwrap_or_default();
        let subresource = place.subresource.as_deref().unwrap_or_default();
        let manager = manager(question);
        let update = match question.verb {
            "update" | "patch" => Some(read_update(question, served, subresource, body)?),
            _ => None,
        };
        let sent = match question.verb {
            "create" => decode(question, body)?,
            "delete" | "deletecollection" if !body.is_empty() => decode(question, body)?,
            _ => Value::Null,
        };
        if subresource == "approval" {
            self.may_approve(question, served, place)?;
        }
        let mut state = self.store.lock();
        let mut write = Write {
            state: &mut state,
            served,
            namespace: place.namespace.as_deref().unwrap_or_default(),
            subresource,
            user: &question.user,
            manager: &manager,
            dry_run,
            now: self.store.clock().now(),
            namespace_controller: self.namespace_controller,
        };
        let written = match (question.verb, subresource) {
            ("create", "binding") => write.bind(name, &sent)?,
            ("create", "eviction") => write.evict(name, &sent)?,
            ("create", _) => write.create(stored_form(served, sent)?)?,
            ("update" | "patch", "scale") => write.scale(name, update.ok_or_else(Refusal::no_such_path)?)?,
            ("update" | "patch", _) => write.update(name, update.ok_or_else(Refusal::no_such_path)?)?,
            ("delete", _) => {
                let options = delete_options(question, &sent)?;
                write.dry_run |= options.dry_run;
                write.delete(name, &options)?
            }
            _ => {
                let options = delete_options(question, &sent)?;
                write.dry_run |= options.dry_run;
                let filter = Filter::new(served, facets, write.namespace, None, &question.query)?;
                delete_collection(&mut write, &filter, &options)?
            }
        };
        drop(state);
        let shown = if written.is_status { written.tree } else { convert::from_stored(served, written.tree) };
        Ok(Answer::tree(written.code, &shown))
    }

    /// Answers what is asked and not kept.
    pub(super) fn review(
        &self,
        question: &Question,
        place: &Place,
        kind: &str,
        body: &Bytes,
    ) -> Result<Answer, Refusal> {
        if question.method != Method::POST || place.name.is_some() {
            let message = "the server does not allow this method on the requested resource";
            return Err(Refusal::method_not_supported(message));
        }
        let mut sent = decode(question, body)?;
        if kind == "Binding" {
            let name = crate::store::meta(&sent, "name").to_owned();
            let pod = Place {
                plural: "pods".to_owned(),
                name: Some(name),
                subresource: Some("binding".to_owned()),
                ..place.clone()
            };
            let served = self.store.lock().registry.serve("", "v1", "pods").ok_or_else(Refusal::no_such_path)?;
            return self.mutate(question, &pod, &served, Arc::default(), body);
        }
        if let Value::Object(fields) = &mut sent {
            fields.insert("kind".to_owned(), kind.into());
            fields.insert("apiVersion".to_owned(), format!("{}/v1", place.group).into());
        }
        let answer = match kind {
            "SelfSubjectReview" => {
                let user = json!({ "username": question.user.name, "groups": question.user.groups });
                sent["status"] = json!({ "userInfo": user });
                sent
            }
            _ => rbac::review(&sent, &question.user, &|user, attributes| {
                self.access.decide(&self.store, user, attributes)
            })?,
        };
        Ok(Answer::tree(201, &answer))
    }

    /// Approving needs a permission for the signer, too.
    fn may_approve(&self, question: &Question, served: &Served, place: &Place) -> Result<(), Refusal> {
        let name = place.name.as_deref().unwrap_or_default();
        let key = crate::store::Key::new("", name);
        let Some(request) = self.store.lock().find(served.collection, &key).map(|stored| stored.tree()) else {
            return Ok(());
        };
        let signer = request["spec"]["signerName"].as_str().unwrap_or_default();
        let allowed = csr::may_approve(signer)
            .iter()
            .any(|attributes| self.access.decide(&self.store, &question.user, attributes).allowed);
        if allowed { Ok(()) } else { Err(csr::not_permitted(name, signer)) }
    }
}

/// Deletes what a filter selects. The objects come back as they were.
fn delete_collection(write: &mut Write<'_>, filter: &Filter, options: &DeleteOptions) -> Result<Written, Refusal> {
    let served = write.served;
    let objects = write.state.collections.get(served.collection).map(|collection| collection.objects.clone());
    let view = View::new(served.clone(), "").ok_or_else(Refusal::no_such_path)?;
    let mut items = Vec::new();
    for stored in within(&objects.unwrap_or_default(), &filter.namespace, None) {
        if !filter.selects(stored) {
            continue;
        }
        write.delete(&stored.key.name, options)?;
        let mut tree = view.tree(stored.tree());
        if let (Value::Object(fields), false) = (&mut tree, served.kind.custom) {
            fields.remove("kind");
            fields.remove("apiVersion");
        }
        items.push(tree);
    }
    let (kind, api_version) = view.list_type();
    let metadata = json!({ "resourceVersion": write.state.revision().to_string() });
    let tree = json!({ "kind": kind, "apiVersion": api_version, "metadata": metadata, "items": items });
    Ok(Written { code: 200, tree, is_status: true })
}

/// What a PUT or PATCH brings.
fn read_update(question: &Question, served: &Served, subresource: &str, body: &Bytes) -> Result<Update, Refusal> {
    if question.verb == "update" {
        let sent = decode(question, body)?;
        let whole = subresource != "scale";
        return Ok(Update::Put(if whole { stored_form(served, sent)? } else { sent }));
    }
    let how = PatchType::of(question.content_type())
        .ok_or_else(|| Refusal::unsupported_media_type("415: Unsupported Media Type"))?;
    let body =
        serde_json::from_slice(body).map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
    if how != PatchType::Apply {
        if question.query.get("force").is_some() {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(Refusal::invalid("PatchOptions", "meta.k8s.io", "", &[cause]));
        }
        return Ok(Update::Patch(how, body));
    }
    if question.query.get("fieldManager").is_none() {
        let cause = Cause::required("fieldManager", "is required for apply patch");
        return Err(Refusal::invalid("PatchOptions", "meta.k8s.io", "", &[cause]));
    }
    Ok(Update::Apply { body, force: question.query.is_on("force") })
}

/// The body of a request as a tree.
fn decode(question: &Question, body: &Bytes) -> Result<Value, Refusal> {
    match question.content_type() {
        PROTOBUF => protobuf::decode(body),
        "" | JSON | "*/*" | "application/x-www-form-urlencoded" => parse(body),
        other => {
            let message = format!(
                "the body of the request was in an unknown format - accepted media types include: {JSON}, {PROTOBUF}; \
                 it was sent as {other}"
            );
            Err(Refusal::unsupported_media_type(message))
        }
    }
}

fn parse(body: &Bytes) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| {
        let what = "the object provided is unrecognized: couldn't get version/kind; json parse error";
        Refusal::bad_request(format!("{what}: {error}"))
    })
}

/// An object that came in, as it is kept. Its kind must be the one of the path.
fn stored_form(served: &Served, sent: Value) -> Result<Value, Refusal> {
    // No object at all is an empty one.
    let sent = if sent.is_null() { json!({}) } else { sent };
    if !sent.is_object() {
        let message = format!("the object provided is unrecognized (must be of type {})", served.kind.kind);
        return Err(Refusal::bad_request(message));
    }
    let text = |field: &str| sent.get(field).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (text("kind"), text("apiVersion"));
    let expected = served.api_version();
    let wrong_kind = !kind.is_empty() && kind != served.kind.kind;
    if wrong_kind || (!version.is_empty() && version != expected) {
        let wanted = &served.kind.kind;
        return Err(Refusal::bad_request(format!(
            "{kind} in version {version:?} cannot be handled as a {wanted}: expected {wanted} in version {expected:?}"
        )));
    }
    Ok(convert::to_stored(served, sent))
}

fn delete_options(question: &Question, body: &Value) -> Result<DeleteOptions, Refusal> {
    let mut options = DeleteOptions::parse(body)?;
    let query = &question.query;
    if let Some(grace) = query.get("gracePeriodSeconds") {
        options.grace = grace.parse().ok();
    }
    if let Some(policy) = query.get("propagationPolicy") {
        options.propagation = DeleteOptions::parse(&json!({ "propagationPolicy": policy }))?.propagation;
    }
    Ok(options)
}

fn dry_run(question: &Question) -> Result<bool, Refusal> {
    match question.query.get("dryRun") {
        None => Ok(false),
        Some("All") => Ok(true),
        Some(other) => {
            let kind = match question.verb {
                "create" => "CreateOptions",
                "update" => "UpdateOptions",
                "patch" => "PatchOptions",
                _ => "DeleteOptions",
            };
            let cause = Cause::unsupported("dryRun", &json!([other]), &["All"]);
            Err(Refusal::invalid(kind, "meta.k8s.io", "", &[cause]))
        }
    }
}

/// Who manages the fields of this write: who it says, or the program that sends it.
fn manager(question: &Question) -> String {
    let agent = question.agent.split('/').next().unwrap_or_default();
    question.query.get("fieldManager").unwrap_or(agent).to_owned()
}
