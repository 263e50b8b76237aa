//! The server on the wire.

mod answer;
mod discovery;
mod list;
mod mutate;
mod route;
mod view;
mod watch;

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use crate::access::Access;
use crate::faults::{Asked, Fault, Faults, Partition};
use crate::journal::{Journal, Logged};
use crate::resource::Served;
use crate::semantics::rbac::{self, Attributes};
use crate::semantics::refusal::{Refusal, User};
use crate::store::{Fields, Key, Store};

use answer::{Answer, Body};
use route::{Discovery, Place, Query, Route};
use view::{Filter, View};
pub(crate) use watch::Signals;

/// A request is not read further than this; real servers stop at 3 MiB.
const LONGEST_BODY: usize = 3 * 1024 * 1024;

/// Everything that answers requests.
pub(crate) struct Service {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) access: Access,
    pub(crate) journal: Journal,
    pub(crate) signals: Signals,
    pub(crate) streaming_lists: bool,
    pub(crate) namespace_controller: bool,
    pub(crate) version: String,
}

/// A request without its body.
struct Question {
    method: Method,
    path: String,
    query: Query,
    headers: HeaderMap,
    user: User,
    agent: String,
    verb: &'static str,
    route: Route,
}

/// Why no answer is sent.
fn dropped() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, "the connection is dropped on purpose")
}

// === impl Service ===

impl Service {
    /// Answers a request, or closes its connection.
    pub(crate) async fn handle(self: Arc<Self>, request: Request<Incoming>) -> io::Result<Response<Body>> {
        let (parts, body) = request.into_parts();
        let header = |name: header::HeaderName| parts.headers.get(name).and_then(|value| value.to_str().ok());
        let agent = header(header::USER_AGENT).unwrap_or_default().to_owned();
        let authenticated = self.access.authenticate(header(header::AUTHORIZATION));
        let query = Query::parse(parts.uri.query().unwrap_or_default());
        let route = Route::parse(parts.uri.path());
        let mut question = Question {
            verb: verb(&parts.method, &route, &query),
            path: parts.uri.path().to_owned(),
            method: parts.method,
            query,
            headers: parts.headers,
            user: User::default(),
            agent,
            route,
        };
        match authenticated {
            Ok(user) => question.user = user,
            Err(refusal) => {
                self.log(&question, refusal.code);
                return Ok(Answer::from(refusal).into_response());
            }
        }
        let asked = question.asked();
        if !self.passes(&asked).await {
            self.log(&question, 0);
            return Err(dropped());
        }
        let strike = self.faults.strike(&asked);
        if !strike.latency.is_zero() {
            self.store.clock().sleep(strike.latency).await;
        }
        match strike.fault {
            Some(Fault::DropBeforeWrite) => {
                self.log(&question, 0);
                return Err(dropped());
            }
            Some(Fault::Status { code, retry_after }) => {
                self.log(&question, code);
                return Ok(unhappy(code, retry_after).into_response());
            }
            _ => {}
        }
        let cut_next = strike.fault == Some(Fault::CutWatchMidLine);
        let answer = match Limited::new(body, LONGEST_BODY).collect().await {
            Ok(body) => self.answer(&question, asked, body.to_bytes(), cut_next),
            Err(_) => {
                Err(Refusal::new(413, "RequestEntityTooLarge", "the request is too large: the limit is 3145728 bytes"))
            }
        };
        let answer = answer.unwrap_or_else(Answer::from);
        if strike.fault == Some(Fault::DropAfterWrite) {
            self.log(&question, 0);
            return Err(dropped());
        }
        self.log(&question, answer.code);
        Ok(answer.into_response())
    }

    /// Waits out a silent partition. False if the connection is to be closed.
    async fn passes(&self, asked: &Asked) -> bool {
        let mut changes = self.faults.changes();
        match self.faults.partitioned(asked) {
            None => true,
            Some(Partition::Refuse) => false,
            Some(Partition::Silent) => {
                while self.faults.partitioned(asked).is_some() {
                    if changes.changed().await.is_err() {
                        break;
                    }
                }
                false
            }
        }
    }

    fn answer(&self, question: &Question, asked: Asked, body: Bytes, cut_next: bool) -> Result<Answer, Refusal> {
        match &question.route {
            Route::Resource(place) => self.resource(question, place, asked, &body, cut_next),
            Route::Discovery(asked) => {
                if let Discovery::Version { group, version } = asked
                    && !discovery::knows(&self.store.lock().registry, group, version)
                {
                    return Ok(discovery::not_found());
                }
                discovery::answer(&self.store.lock().registry, asked)
            }
            Route::Other => Ok(self.other(&question.path)),
        }
    }

    /// What is neither a resource nor about resources.
    fn other(&self, path: &str) -> Answer {
        match path.trim_end_matches('/') {
            "/version" => {
                let mut numbers = self.version.trim_start_matches('v').split('.');
                let mut number = || numbers.next().unwrap_or_default().to_owned();
                Answer::tree(
                    200,
                    &json!({
                        "major": number(), "minor": number(), "gitVersion": self.version, "gitCommit": "",
                        "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z", "goVersion": "", "compiler": "",
                        "platform": "linux/amd64",
                    }),
                )
            }
            "/healthz" | "/livez" | "/readyz" => Answer::text(200, "ok"),
            path => {
                let answer = discovery::open_api(&self.store.lock().registry, path);
                answer.unwrap_or_else(discovery::not_found)
            }
        }
    }

    /// Objects, collections and subresources.
    fn resource(
        &self,
        question: &Question,
        place: &Place,
        asked: Asked,
        body: &Bytes,
        cut_next: bool,
    ) -> Result<Answer, Refusal> {
        if let Some((_, kind, ..)) = discovery::ASKED
            .iter()
            .find(|(group, _, plural, _)| *group == place.group && *plural == place.plural && place.version == "v1")
        {
            self.authorize(&question.user, question.attributes(place))?;
            return self.review(question, place, kind, body);
        }
        let (served, facets) = {
            let state = self.store.lock();
            let served = state.registry.serve(&place.group, &place.version, &place.plural);
            let Some(served) = served else {
                return match discovery::knows(&state.registry, &place.group, &place.version) {
                    true => Err(Refusal::no_such_path()),
                    false => Ok(discovery::not_found()),
                };
            };
            let facets = state.collections.get(served.collection).map(|collection| collection.fields.clone());
            (served, facets.unwrap_or_default())
        };
        check_place(question, place, &served)?;
        self.authorize(&question.user, question.attributes(place))?;
        match question.verb {
            "get" | "list" | "watch" => self.read(question, place, served, facets, asked, cut_next),
            _ => self.mutate(question, place, &served, facets, body),
        }
    }

    fn read(
        &self,
        question: &Question,
        place: &Place,
        served: Served,
        facets: Arc<Fields>,
        asked: Asked,
        cut_next: bool,
    ) -> Result<Answer, Refusal> {
        let Question { query, headers, .. } = question;
        let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let Some(view) = View::new(served, accept) else {
            let message = "only the following media types are accepted: application/json";
            return Err(Refusal::new(406, "NotAcceptable", message));
        };
        let namespace = place.namespace.clone().unwrap_or_default();
        let served = &view.served;
        match question.verb {
            "get" => {
                let name = place.name.as_deref().unwrap_or_default();
                let key = Key::new(&namespace, name);
                match &served.kind.scale {
                    Some(paths) if place.subresource.as_deref() == Some("scale") => {
                        let kind = &served.kind;
                        let object = self.store.lock().find(served.collection, &key).cloned();
                        let object = object.ok_or_else(|| Refusal::not_found(&kind.group, &kind.plural, name))?;
                        let scale = crate::semantics::scale::read(&kind.target(name), paths, &object.tree())?;
                        Ok(Answer::tree(200, &scale))
                    }
                    _ => list::get(&self.store, self.faults.stale(), &view, &key, query),
                }
            }
            "list" => {
                let filter = Filter::new(served, facets, &namespace, None, query)?;
                list::list(&self.store, self.faults.stale(), view, &filter, query)
            }
            _ => {
                let filter = Filter::new(served, facets, &namespace, place.name.as_deref(), query)?;
                let watch = watch::Watch::start(
                    &self.store,
                    &self.faults,
                    &self.signals,
                    asked,
                    view,
                    filter,
                    query,
                    self.streaming_lists,
                    cut_next,
                )?;
                Ok(Answer::stream(watch.into_stream()))
            }
        }
    }

    fn authorize(&self, user: &User, attributes: Attributes) -> Result<(), Refusal> {
        let decision = self.access.decide(&self.store, user, &attributes);
        if decision.allowed { Ok(()) } else { Err(rbac::forbidden(user, &attributes)) }
    }

    fn log(&self, question: &Question, code: u16) {
        let place = match &question.route {
            Route::Resource(place) => place.clone(),
            _ => Place { plural: question.path.clone(), ..Place::default() },
        };
        self.journal.write(Logged {
            user: question.user.name.clone(),
            verb: question.verb.to_owned(),
            group: place.group,
            resource: place.plural,
            subresource: place.subresource.unwrap_or_default(),
            namespace: place.namespace.unwrap_or_default(),
            name: place.name.unwrap_or_default(),
            code,
            user_agent: question.agent.clone(),
            dry_run: question.query.get("dryRun").is_some(),
            at: self.store.clock().now(),
        });
    }
}

// === impl Question ===

impl Question {
    fn asked(&self) -> Asked {
        let (resource, name) = match &self.route {
            Route::Resource(place) => (place.full_resource(), place.name.clone().unwrap_or_default()),
            _ => (self.path.clone(), String::new()),
        };
        Asked { verb: self.verb.to_owned(), resource, name, user: self.user.name.clone(), agent: self.agent.clone() }
    }

    fn attributes(&self, place: &Place) -> Attributes {
        Attributes {
            verb: self.verb.to_owned(),
            group: place.group.clone(),
            resource: place.plural.clone(),
            subresource: place.subresource.clone().unwrap_or_default(),
            namespace: match (&place.namespace, place.plural.as_str()) {
                (None, "namespaces") if place.group.is_empty() => place.name.clone().unwrap_or_default(),
                (namespace, _) => namespace.clone().unwrap_or_default(),
            },
            name: place.name.clone().unwrap_or_default(),
            path: None,
        }
    }

    fn content_type(&self) -> &str {
        let value = self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        value.unwrap_or_default().split(';').next().unwrap_or_default().trim()
    }
}

/// What a request does, in the words of roles.
fn verb(method: &Method, route: &Route, query: &Query) -> &'static str {
    let named = matches!(route, Route::Resource(place) if place.name.is_some());
    match *method {
        Method::GET | Method::HEAD if !matches!(route, Route::Resource(_)) => "get",
        Method::GET | Method::HEAD if query.is_on("watch") => "watch",
        Method::GET | Method::HEAD if named => "get",
        Method::GET | Method::HEAD => "list",
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if named => "delete",
        Method::DELETE => "deletecollection",
        _ => "options",
    }
}

/// Whether the path fits the kind, and the method the path.
fn check_place(question: &Question, place: &Place, served: &Served) -> Result<(), Refusal> {
    let unsupported =
        || Refusal::method_not_supported("the server does not allow this method on the requested resource");
    let kind = &served.kind;
    if place.namespace.is_some() && !kind.namespaced {
        return Err(Refusal::no_such_path());
    }
    if kind.namespaced && place.namespace.is_none() {
        if place.name.is_some() {
            return Err(Refusal::no_such_path());
        }
        if !matches!(question.verb, "list" | "watch") {
            return Err(unsupported());
        }
    }
    if let Some(subresource) = &place.subresource {
        if !kind.has_subresource(subresource) {
            return Err(Refusal::no_such_path());
        }
        let allowed: &[&str] = match subresource.as_str() {
            "binding" | "eviction" => &["create"],
            "finalize" => &["update"],
            _ => &["get", "update", "patch"],
        };
        return if allowed.contains(&question.verb) { Ok(()) } else { Err(unsupported()) };
    }
    let allowed: &[&str] = match place.name {
        Some(_) => &["get", "watch", "update", "patch", "delete"],
        None => &["list", "watch", "create", "deletecollection"],
    };
    if allowed.contains(&question.verb) { Ok(()) } else { Err(unsupported()) }
}

/// The answer of a server that is not well.
fn unhappy(code: u16, retry_after: Option<u64>) -> Answer {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "",
    };
    let details: Value = match retry_after {
        Some(seconds) if seconds > 0 => json!({ "retryAfterSeconds": seconds }),
        _ => json!({}),
    };
    Answer::from(Refusal::new(code, reason, "this answer was injected as a fault").with_details(details))
}
