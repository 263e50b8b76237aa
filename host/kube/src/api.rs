//! Calls to the API server: reads that are tried again, and writes that never are.
//!
//! Objects are JSON here; watches, whose objects are many, decode straight into rows of the model.

mod connect;
mod error;
mod permit;
mod resource;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use http::{Method, Request, header};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tokio::sync::Semaphore;

pub use connect::{ConnectError, Connection};
pub use error::{Answer, ApiError};
pub use permit::{Leadership, LeadershipSetter, Permit, Purpose, Refused, Term};
pub use resource::{ObjectName, Resource};

pub use connect::chain;

/// The longest that one call may take.
const CALL_TIME: Duration = Duration::from_secs(8);
/// The longest that one list may take, page by page.
const LIST_TIME: Duration = Duration::from_secs(60);
/// Calls at a time: each has a connection of its own.
const CALLS_AT_ONCE: usize = 16;
/// Reads are tried this often.
const TRIES: usize = 5;
/// Objects on a page of a list.
const PAGE: u32 = 500;

/// The API server. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    watching: Client,
    calling: Client,
    limiter: Arc<DefaultDirectRateLimiter>,
    slots: Arc<Semaphore>,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patch {
    /// RFC 7386.
    Merge,
    /// RFC 6902; with `test` operations it fails where the object is not as expected.
    Json,
}

/// What must hold of an object for it to be deleted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// Its UID.
    pub uid: Option<String>,
    /// Its resource version.
    pub resource_version: Option<String>,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Api")
    }
}

impl Api {
    /// Sets up the connection. Nothing is sent yet.
    pub async fn connect(connection: &Connection) -> Result<Self, ConnectError> {
        let clients = connection.open().await?;
        let rate = |value: u32| NonZeroU32::new(value).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(rate(connection.writes_per_second)).allow_burst(rate(connection.write_burst));
        Ok(Self {
            watching: clients.watching,
            calling: clients.calling,
            limiter: Arc::new(RateLimiter::direct(quota)),
            slots: Arc::new(Semaphore::new(CALLS_AT_ONCE)),
        })
    }

    /// One object.
    pub async fn get(&self, resource: &Resource, object: &ObjectName) -> Result<Value, ApiError> {
        self.read(&resource.object_path(object, None)).await
    }

    /// A part of one object, for example `scale`.
    pub async fn get_part(&self, resource: &Resource, object: &ObjectName, part: &str) -> Result<Value, ApiError> {
        self.read(&resource.object_path(object, Some(part))).await
    }

    /// Every object of a namespace, or of all of them where it is empty; with a label selector where one is given.
    pub async fn list(&self, resource: &Resource, namespace: &str, labels: &str) -> Result<Vec<Value>, ApiError> {
        let mut objects = Vec::new();
        let mut token = String::new();
        let whole = async {
            loop {
                let mut query = format!("?limit={PAGE}");
                if !labels.is_empty() {
                    query.push_str(&format!("&labelSelector={}", encode(labels)));
                }
                if !token.is_empty() {
                    query.push_str(&format!("&continue={}", encode(&token)));
                }
                let mut page = self.read(&format!("{}{query}", resource.path(namespace))).await?;
                token = page["metadata"]["continue"].as_str().unwrap_or_default().to_owned();
                match page.get_mut("items").map(Value::take) {
                    Some(Value::Array(items)) => objects.extend(items),
                    Some(Value::Null) | None => {}
                    Some(_) => return Err(ApiError::Garbled(format!("the list of {resource} has no items"))),
                }
                if token.is_empty() {
                    return Ok(());
                }
            }
        };
        match tokio::time::timeout(LIST_TIME, whole).await {
            Ok(done) => done.map(|()| objects),
            Err(_) => Err(ApiError::NoAnswer(format!("the list of {resource} took longer than {LIST_TIME:?}"))),
        }
    }

    /// Whatever is served at a path, for example `/version`.
    pub async fn read(&self, path: &str) -> Result<Value, ApiError> {
        let once = || async {
            let call = self.call(Method::GET, path, None, Vec::new());
            match tokio::time::timeout(CALL_TIME, call).await {
                Ok(done) => done,
                Err(_) => Err(ApiError::NoAnswer(format!("none within {} s", CALL_TIME.as_secs()))),
            }
        };
        once.retry(back_off()).when(ApiError::is_transient).await
    }

    /// Creates an object; gives it as the API server has it.
    pub async fn create(&self, permit: &Permit, resource: &Resource, object: &Value) -> Result<Value, ApiError> {
        let namespace = object["metadata"]["namespace"].as_str().unwrap_or_default();
        self.write(permit, Method::POST, &resource.path(namespace), Some(JSON), object).await
    }

    /// Creates a part of an object, for example an `eviction`.
    pub async fn create_part(
        &self,
        permit: &Permit,
        resource: &Resource,
        object: &ObjectName,
        part: &str,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.write(permit, Method::POST, &resource.object_path(object, Some(part)), Some(JSON), body).await
    }

    /// Replaces an object. It must have the resource version that it was read with: where somebody else changed it
    /// meanwhile, this fails with [`ApiError::Conflict`].
    pub async fn replace(
        &self,
        permit: &Permit,
        resource: &Resource,
        object: &ObjectName,
        part: Option<&str>,
        body: &Value,
    ) -> Result<Value, ApiError> {
        self.write(permit, Method::PUT, &resource.object_path(object, part), Some(JSON), body).await
    }

    /// Changes parts of an object.
    pub async fn patch(
        &self,
        permit: &Permit,
        resource: &Resource,
        object: &ObjectName,
        part: Option<&str>,
        kind: Patch,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let content = match kind {
            Patch::Merge => "application/merge-patch+json",
            Patch::Json => "application/json-patch+json",
        };
        self.write(permit, Method::PATCH, &resource.object_path(object, part), Some(content), body).await
    }

    /// Deletes an object.
    pub async fn delete(
        &self,
        permit: &Permit,
        resource: &Resource,
        object: &ObjectName,
        precondition: &Precondition,
    ) -> Result<Value, ApiError> {
        self.delete_with(permit, resource, object, precondition, None).await
    }

    /// Deletes an object that gets this time to stop, in whole seconds, in the place of its own.
    pub async fn delete_within(
        &self,
        permit: &Permit,
        resource: &Resource,
        object: &ObjectName,
        precondition: &Precondition,
        grace: Duration,
    ) -> Result<Value, ApiError> {
        self.delete_with(permit, resource, object, precondition, Some(grace)).await
    }

    async fn delete_with(
        &self,
        permit: &Permit,
        resource: &Resource,
        object: &ObjectName,
        precondition: &Precondition,
        grace: Option<Duration>,
    ) -> Result<Value, ApiError> {
        let mut options = serde_json::json!({"apiVersion": "v1", "kind": "DeleteOptions"});
        if let Some(uid) = &precondition.uid {
            options["preconditions"]["uid"] = uid.as_str().into();
        }
        if let Some(version) = &precondition.resource_version {
            options["preconditions"]["resourceVersion"] = version.as_str().into();
        }
        if let Some(grace) = grace {
            options["gracePeriodSeconds"] = grace.as_secs().into();
        }
        self.write(permit, Method::DELETE, &resource.object_path(object, None), Some(JSON), &options).await
    }

    /// Asks what the asking user may do; changes nothing and needs no permit.
    pub(crate) async fn review(&self, body: &Value) -> Result<Value, ApiError> {
        let bytes = serde_json::to_vec(body).map_err(|error| ApiError::Garbled(error.to_string()))?;
        let path = Resource::ACCESS_REVIEWS.path("");
        let once = || async {
            let call = self.call(Method::POST, &path, Some(JSON), bytes.clone());
            match tokio::time::timeout(CALL_TIME, call).await {
                Ok(done) => done,
                Err(_) => Err(ApiError::NoAnswer(format!("none within {} s", CALL_TIME.as_secs()))),
            }
        };
        once.retry(back_off()).when(ApiError::is_transient).await
    }

    /// The client for watches: it waits for as long as it takes.
    pub(crate) fn watching(&self) -> &Client {
        &self.watching
    }

    /// A write for which leadership is no condition: the lease itself. Sent once.
    pub(crate) async fn write_unconditionally(
        &self,
        method: Method,
        path: &str,
        body: &Value,
        limit: Duration,
    ) -> Result<Value, ApiError> {
        let bytes = serde_json::to_vec(body).map_err(|error| ApiError::Garbled(error.to_string()))?;
        match tokio::time::timeout(limit, self.call(method, path, Some(JSON), bytes)).await {
            Ok(done) => done,
            Err(_) => Err(ApiError::NoAnswer(format!("none within {} s", limit.as_secs_f32()))),
        }
    }

    /// Sent once, whatever comes of it.
    async fn write(
        &self,
        permit: &Permit,
        method: Method,
        path: &str,
        content: Option<&'static str>,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let bytes = serde_json::to_vec(body).map_err(|error| ApiError::Garbled(error.to_string()))?;
        let call = async {
            self.limiter.until_ready().await;
            let _slot = self.slots.acquire().await.map_err(|_| ApiError::NoAnswer("shutting down".to_owned()))?;
            // The wait may have been long.
            permit.check()?;
            tokio::time::timeout(CALL_TIME, self.call(method, path, content, bytes))
                .await
                .unwrap_or_else(|_| Err(ApiError::NoAnswer(format!("none within {} s", CALL_TIME.as_secs()))))
        };
        permit.run(CALL_TIME * 4, call).await
    }

    async fn call(
        &self,
        method: Method,
        path: &str,
        content: Option<&'static str>,
        body: Vec<u8>,
    ) -> Result<Value, ApiError> {
        let body = send(&self.calling, method, path, content, body).await?.collect().await?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_slice(&body).map_err(|error| ApiError::Garbled(error.to_string()))
    }
}

const JSON: &str = "application/json";

/// An answer with a good status, its body not read yet.
pub(crate) struct Response(http::Response<Body>);

/// Sends a request; a status that is no success is the error.
pub(crate) async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content: Option<&'static str>,
    body: Vec<u8>,
) -> Result<Response, ApiError> {
    let mut request = Request::builder().method(method).uri(path).header(header::ACCEPT, JSON);
    if let Some(content) = content {
        request = request.header(header::CONTENT_TYPE, content);
    }
    if path.contains("watch=true") {
        // Since Kubernetes 1.37 each event is compressed by itself, which the client cannot take apart.
        request = request.header(header::ACCEPT_ENCODING, "identity");
    }
    let request =
        request.body(Body::from(body)).map_err(|error| ApiError::Garbled(format!("the path {path}: {error}")))?;
    let response = client.send(request).await.map_err(|error| unanswered(&error))?;
    if response.status().is_success() {
        return Ok(Response(response));
    }
    let code = response.status().as_u16();
    let retry_after = response.headers().get(header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let body = Response(response).collect().await?;
    let answer = Answer::read(code, retry_after.map(Duration::from_secs), &body);
    // A path that is not served is answered in plain text; an object that is not there by a Status.
    if code == 404 && answer.reason.is_empty() {
        return Err(ApiError::NotServed { resource: path.split('?').next().unwrap_or(path).to_owned() });
    }
    Err(ApiError::of_answer(answer))
}

impl Response {
    /// The body as it comes.
    pub(crate) fn into_body(self) -> Body {
        self.0.into_body()
    }

    async fn collect(self) -> Result<bytes::Bytes, ApiError> {
        use http_body_util::BodyExt as _;
        let body = self.0.into_body().collect().await.map_err(|error| ApiError::NoAnswer(chain(&error)))?;
        Ok(body.to_bytes())
    }
}

/// Without a connection nothing was sent; everything else is not known.
fn unanswered(error: &kube::Error) -> ApiError {
    let text = chain(error);
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(cause) = source {
        if cause.downcast_ref::<std::io::Error>().is_some_and(|io| {
            matches!(io.kind(), std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::AddrNotAvailable)
        }) {
            return ApiError::Unreachable(text);
        }
        source = cause.source();
    }
    ApiError::NoAnswer(text)
}

/// Between the tries of a read.
fn back_off() -> ExponentialBuilder {
    ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_max_times(TRIES - 1)
        .with_jitter()
}

/// For a value in a query.
pub(crate) fn encode(text: &str) -> String {
    text.bytes().fold(String::new(), |mut encoded, byte| {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
        encoded
    })
}
