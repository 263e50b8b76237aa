//! An API server to talk to: the fake one, started for the test, or the one that `PLIMSOLL_APISERVER` names (with
//! `PLIMSOLL_APISERVER_TOKEN` and `PLIMSOLL_APISERVER_CA`), where tests that need its hooks say that they are skipped.
#![allow(clippy::expect_used, clippy::panic, reason = "whatever is not as expected fails the test")]
#![allow(dead_code, reason = "each test file uses some of it")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plimsoll_apiserver::{ApiServer, Options, User};
use plimsoll_kube::{Api, Connection, Leadership, LeadershipSetter, ObjectName, Permit, Purpose, Resource, Term};
use serde_json::{Value, json};

/// No wait of a test is longer.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Wire {
    connection: Connection,
    server: Option<ApiServer>,
    pub namespace: String,
}

/// Leads for ever.
pub struct Alone {
    _setter: LeadershipSetter,
    pub leadership: Leadership,
}

impl Wire {
    pub async fn start() -> Self {
        let mut wire = match std::env::var("PLIMSOLL_APISERVER") {
            Ok(url) => Self {
                connection: Connection {
                    server: Some(url),
                    token: std::env::var("PLIMSOLL_APISERVER_TOKEN").ok(),
                    ca_file: std::env::var_os("PLIMSOLL_APISERVER_CA").map(Into::into),
                    ..Connection::default()
                },
                server: None,
                namespace: String::new(),
            },
            Err(_) => {
                let users = ["admin", "a", "b", "nobody"];
                let tokens = users.map(|name| (format!("{name}-token"), user(name)));
                let options = Options { tokens: tokens.into(), ..Options::default() };
                let server = ApiServer::start(options).await.expect("the fake API server starts");
                let connection = Connection {
                    server: Some(server.url()),
                    token: Some("admin-token".to_owned()),
                    ..Connection::default()
                };
                Self { connection, server: Some(server), namespace: String::new() }
            }
        };
        wire.namespace = unique("plimsoll-test");
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": wire.namespace}});
        wire.create(&Resource::NAMESPACES, namespace).await;
        wire
    }

    /// The fake server; `None`, with a word, where the server is a real one.
    pub fn hooks(&self) -> Option<&ApiServer> {
        if self.server.is_none() {
            println!("skipped: a real API server has no hooks");
        }
        self.server.as_ref()
    }

    /// The fake server, without a word where there is none.
    pub fn server(&self) -> Option<&ApiServer> {
        self.server.as_ref()
    }

    pub async fn api(&self) -> Api {
        Api::connect(&self.connection).await.expect("a client")
    }

    /// As another user: one of `admin`, `nobody`, and with hooks `a` and `b`.
    pub async fn api_as(&self, user: &str) -> Api {
        let connection = Connection { token: Some(format!("{user}-token")), ..self.connection.clone() };
        Api::connect(&connection).await.expect("a client")
    }

    pub async fn create(&self, resource: &Resource, object: Value) -> Value {
        let alone = Alone::new();
        self.api().await.create(&alone.permit(), resource, &object).await.expect("can be created")
    }

    pub fn name(&self, name: &str) -> ObjectName {
        ObjectName::in_namespace(&self.namespace, name)
    }
}

impl Alone {
    pub fn new() -> Self {
        let (setter, leadership) = Leadership::new(false);
        setter.lead(Term { number: 0, until: None });
        Self { _setter: setter, leadership }
    }

    pub fn permit(&self) -> Permit {
        self.leadership.permit(Purpose::Effect).expect("leads")
    }
}

/// A name that no other test uses.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_nanos();
    format!("{name}-{now:x}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

fn user(name: &str) -> User {
    let groups = if name == "nobody" { vec![] } else { vec!["system:masters".to_owned()] };
    User { name: name.to_owned(), groups, ..User::default() }
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"));
}
