//! The server under test: our own, or the one that `PLIMSOLL_APISERVER` names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, Method, Request};
use http_body_util::BodyExt;
use kube::client::Body;
use plimsoll_apiserver::{ApiServer, Options};
use serde_json::{Value, json};

/// Nothing that is waited for takes longer.
pub const LIMIT: Duration = Duration::from_secs(10);

/// A server to ask.
pub struct Endpoint {
    client: kube::Client,
    fake: Option<ApiServer>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub code: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

/// The lines of a watch.
pub struct Lines {
    body: Body,
    read: Vec<u8>,
}

/// A namespace of the test's own.
#[derive(Clone, Debug)]
pub struct Namespace {
    pub name: String,
}

// === impl Endpoint ===

impl Endpoint {
    /// The server that is named, or one of our own.
    pub async fn get() -> Self {
        match std::env::var("PLIMSOLL_APISERVER") {
            Ok(url) => Self::named(&url),
            Err(_) => Self::fake(Options::default()).await,
        }
    }

    /// One of our own, for tests that need its hooks. None, and a word about it, where a server is named.
    pub async fn hooked(options: Options, test: &str) -> Option<Self> {
        if std::env::var_os("PLIMSOLL_APISERVER").is_some() {
            println!("skipped on a real server: {test} needs the hooks of our own");
            return None;
        }
        Some(Self::fake(options).await)
    }

    async fn fake(options: Options) -> Self {
        let server = ApiServer::start(options).await.expect("a free port");
        let client = client(&server.url(), None, server.ca_pem().map(str::to_owned));
        Self { client, fake: Some(server) }
    }

    fn named(url: &str) -> Self {
        let ca = std::env::var("PLIMSOLL_APISERVER_CA").ok();
        let ca = ca.map(|path| std::fs::read_to_string(path).expect("the certificate authority can be read"));
        let token = std::env::var("PLIMSOLL_APISERVER_TOKEN").ok();
        Self { client: client(url, token, ca), fake: None }
    }

    /// Our own server with its hooks.
    pub fn hooks(&self) -> &ApiServer {
        self.fake.as_ref().expect("this test starts its own server")
    }

    /// The same server, asked with another token.
    pub fn with_token(&self, token: &str) -> kube::Client {
        client(&self.hooks().url(), Some(token.to_owned()), self.hooks().ca_pem().map(str::to_owned))
    }

    /// A name that no other test uses.
    pub fn name(&self, prefix: &str) -> String {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_micros();
        format!("{prefix}-{:x}-{}", now % 0xff_ffff_ffff, COUNT.fetch_add(1, Ordering::Relaxed))
    }

    /// A namespace of the test's own.
    pub async fn namespace(&self) -> Namespace {
        let name = self.name("conf");
        let body = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name } });
        self.call(Method::POST, "/api/v1/namespaces", Some(body)).await.expect(201);
        Namespace { name }
    }

    /// One request with a JSON body, or without any.
    pub async fn call(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let body = body.map(|body| body.to_string());
        self.send(&self.client, method, path, "application/json", body).await.expect("an answer")
    }

    /// GET.
    pub async fn read(&self, path: &str) -> Answer {
        self.call(Method::GET, path, None).await
    }

    /// PATCH with a content type.
    pub async fn patch(&self, path: &str, content_type: &str, body: &Value) -> Answer {
        self.send(&self.client, Method::PATCH, path, content_type, Some(body.to_string())).await.expect("an answer")
    }

    /// A merge patch.
    pub async fn merge(&self, path: &str, body: &Value) -> Answer {
        self.patch(path, "application/merge-patch+json", body).await
    }

    /// One request that may fail without an answer.
    pub async fn try_call(&self, method: Method, path: &str, body: Option<Value>) -> Result<Answer, kube::Error> {
        self.send(&self.client, method, path, "application/json", body.map(|body| body.to_string())).await
    }

    /// One request of another client.
    pub async fn send(
        &self,
        client: &kube::Client,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<String>,
    ) -> Result<Answer, kube::Error> {
        let request = Request::builder().method(method).uri(path).header("content-type", content_type);
        let request = request.body(Body::from(body.unwrap_or_default().into_bytes())).expect("a request");
        let sending = async {
            let response = client.send(request).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            let text = String::from_utf8_lossy(&body).into_owned();
            let body = serde_json::from_slice(&body).unwrap_or(Value::String(text));
            Ok(Answer { code: parts.status.as_u16(), headers: parts.headers, body })
        };
        tokio::time::timeout(LIMIT, sending).await.expect("an answer in time")
    }

    /// A list of which only the metadata is wanted.
    pub async fn partial(&self, path: &str, kind: &str) -> Value {
        let accept = format!("application/json;as={kind};v=v1;g=meta.k8s.io");
        let request = Request::get(path).header("accept", accept).body(Body::empty()).expect("a request");
        let response = self.client.send(request).await.expect("an answer");
        let body = response.into_body().collect().await.expect("a body").to_bytes();
        serde_json::from_slice(&body).expect("JSON")
    }

    /// A watch. It must be accepted.
    pub async fn watch(&self, path: &str) -> Lines {
        let request = Request::get(path).body(Body::empty()).expect("a request");
        let response = tokio::time::timeout(LIMIT, self.client.send(request)).await.expect("an answer in time");
        let response = response.expect("an answer");
        assert_eq!(response.status().as_u16(), 200, "the watch {path} is accepted");
        Lines { body: response.into_body(), read: Vec::new() }
    }
}

// === impl Namespace ===

impl Namespace {
    /// The path of a collection in it, like `pods` or `apps/v1/deployments`.
    pub fn path(&self, resource: &str) -> String {
        match resource.rsplit_once('/') {
            None => format!("/api/v1/namespaces/{}/{resource}", self.name),
            Some((version, resource)) => format!("/apis/{version}/namespaces/{}/{resource}", self.name),
        }
    }

    /// Deletes it, with the pods in it at once.
    pub async fn clean(&self, endpoint: &Endpoint) {
        let pods = format!("{}?gracePeriodSeconds=0", self.path("pods"));
        endpoint.call(Method::DELETE, &pods, None).await;
        endpoint.call(Method::DELETE, &format!("/api/v1/namespaces/{}", self.name), None).await;
    }
}

// === impl Answer ===

impl Answer {
    /// The body of an answer with this code.
    #[track_caller]
    pub fn expect(self, code: u16) -> Value {
        assert_eq!(self.code, code, "{}", self.body);
        self.body
    }

    /// Checks that it is a Status with this code and reason, and gives it.
    #[track_caller]
    pub fn refused(self, code: u16, reason: &str) -> Value {
        assert_eq!(self.code, code, "{}", self.body);
        assert_eq!(self.body["kind"], "Status");
        assert_eq!(self.body["status"], "Failure");
        assert_eq!(self.body["code"], code);
        assert_eq!(self.body["reason"].as_str().unwrap_or_default(), reason, "{}", self.body);
        self.body
    }
}

// === impl Lines ===

impl Lines {
    /// The next line; none when the watch is over.
    pub async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(LIMIT, self.next_line()).await.expect("a line in time").ok().flatten()
    }

    /// The next line, or the error that the connection broke with.
    pub async fn try_next(&mut self) -> Result<Option<Value>, String> {
        tokio::time::timeout(LIMIT, self.next_line()).await.expect("a line in time")
    }

    /// The next line that is no bookmark.
    pub async fn event(&mut self) -> Value {
        loop {
            let line = self.next().await.expect("the watch goes on");
            if line["type"] != "BOOKMARK" {
                return line;
            }
        }
    }

    /// Checks the type and the name of the next event, and gives its object.
    pub async fn expect(&mut self, change: &str, name: &str) -> Value {
        let event = self.event().await;
        let found = (event["type"].as_str(), event["object"]["metadata"]["name"].as_str());
        assert_eq!(found, (Some(change), Some(name)), "{event}");
        event["object"].clone()
    }

    async fn next_line(&mut self) -> Result<Option<Value>, String> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(Some(serde_json::from_slice(&line).expect("a line of a watch is JSON")));
            }
            match self.body.frame().await {
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(error.to_string()),
                None => return Ok(None),
            }
        }
    }
}

/// A pod that asks for nothing.
pub fn pod(name: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
        "spec": { "containers": [{ "name": "c", "image": "registry.example/pause:1" }] },
    })
}

/// A config map with one entry.
pub fn config_map(name: &str, value: &str) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": { "value": value } })
}

/// A field of the metadata as text.
pub fn meta<'a>(object: &'a Value, field: &str) -> &'a str {
    object["metadata"][field].as_str().unwrap_or_default()
}

/// The resource version as a number. Only tests may read it as one.
pub fn version(object: &Value) -> u64 {
    meta(object, "resourceVersion").parse().expect("a resource version is a number")
}

fn client(url: &str, token: Option<String>, ca: Option<String>) -> kube::Client {
    let mut config = kube::Config::new(url.parse().expect("a URL"));
    config.default_retry = false;
    config.root_cert = ca.map(|pem| vec![first_certificate(&pem)]);
    if let Some(token) = token {
        config.auth_info = serde_json::from_value(json!({ "token": token })).expect("an identity");
    }
    kube::Client::try_from(config).expect("a client")
}

fn first_certificate(pem: &str) -> Vec<u8> {
    use base64::Engine as _;
    let lines = pem.lines().skip_while(|line| !line.starts_with("-----BEGIN")).skip(1);
    let text: String = lines.take_while(|line| !line.starts_with("-----END")).collect();
    base64::engine::general_purpose::STANDARD.decode(text.trim()).expect("a certificate in PEM")
}
