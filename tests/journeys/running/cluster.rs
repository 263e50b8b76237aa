//! A cluster for the controller: the API server of the project, a world that lives in it, and replicas.

use std::fs::File;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use plimsoll_apiserver::world::{World, WorldConfig, live};
use plimsoll_apiserver::{ApiServer, Logged, Options, User, WallClock};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::plimsoll;

/// How long anything may take before it counts as hanging: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);
/// The namespace of the controller.
pub const NAMESPACE: &str = "plimsoll-system";

/// The cluster.
pub struct Cluster {
    pub server: ApiServer,
    pub folder: TempDir,
    pub config: PathBuf,
}

/// A process of `plimsoll run`.
pub struct Replica {
    process: Child,
    log: PathBuf,
}

impl Cluster {
    /// Starts one with this configuration.
    pub async fn start(config: &str) -> Self {
        Self::with(config, Options::default()).await
    }

    /// Starts one that behaves like this.
    pub async fn with(config: &str, options: Options) -> Self {
        let mut tokens: Vec<(String, User)> =
            ["a", "b"].map(|name| (name.to_owned(), user(&format!("plimsoll-{name}"), &[]))).into();
        tokens.push(("bootstrap".to_owned(), user("system:bootstrap:t", &["system:bootstrappers"])));
        let server = ApiServer::start(Options { tokens, ..options }).await.unwrap();
        server
            .store()
            .apply(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}))
            .unwrap();
        let times = WorldConfig { pod_start: Duration::from_millis(50), ..WorldConfig::default() };
        let (world, store) = (Arc::new(World::new(times).unwrap()), server.store().clone());
        tokio::spawn(async move { live(&world, &store, &WallClock).await });
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("plimsoll.yaml");
        std::fs::write(&path, config).unwrap();
        Self { server, folder, config: path }
    }

    /// Starts a replica as the user of this name.
    pub fn replica(&self, name: &str) -> Replica {
        self.replica_with(name, |_| ())
    }

    /// Starts a replica with more arguments.
    pub fn replica_with(&self, name: &str, more: impl FnOnce(&mut Command)) -> Replica {
        self.start_replica(name, Command::new(plimsoll()), more)
    }

    /// Starts a replica by a command that takes its arguments.
    pub fn replica_by(&self, name: &str, command: Command) -> Replica {
        self.start_replica(name, command, |_| ())
    }

    fn start_replica(&self, name: &str, mut command: Command, more: impl FnOnce(&mut Command)) -> Replica {
        let log = self.folder.path().join(format!("{name}.log"));
        command
            .arg("run")
            .envs([("PLIMSOLL_APISERVER", self.server.url().as_str()), ("PLIMSOLL_APISERVER_TOKEN", name)])
            .env_remove("PLIMSOLL_APISERVER_CA")
            .env("POD_NAMESPACE", NAMESPACE)
            .args(["--replica", name, "--health-address", "127.0.0.1:0", "--metrics-address", "127.0.0.1:0"])
            .arg("--config")
            .arg(&self.config)
            .env("PLIMSOLL_BOOTSTRAP_TOKEN", "bootstrap")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap());
        more(&mut command);
        Replica { process: command.spawn().unwrap(), log }
    }

    /// Creates pods of a deployment that each want so much.
    pub fn pods(&self, count: u32, cpu: &str) {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
            "spec": {
                "replicas": count,
                "selector": {"matchLabels": {"app": "web"}},
                "template": {
                    "metadata": {"labels": {"app": "web"}},
                    "spec": {"containers": [{"name": "web", "image": "example.com/web:1", "resources": {"requests": {"cpu": cpu, "memory": "64Mi"}}}]},
                },
            },
        });
        self.server.store().apply(deployment).unwrap();
    }

    /// Waits until something holds of the cluster.
    pub async fn until(&self, what: &str, replicas: &[&Replica], holds: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            if Instant::now() > end {
                let logs: Vec<String> = replicas.iter().map(|replica| replica.log()).collect();
                panic!("not in {PATIENCE:?}: {what}\n{}", logs.join("\n---\n"));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Pods that run, and all of them.
    pub fn running(&self) -> (usize, usize) {
        let pods = self.server.store().list("pods", "default");
        (pods.iter().filter(|pod| pod["status"]["phase"] == "Running").count(), pods.len())
    }

    /// Nodes by name.
    pub fn nodes(&self) -> Vec<Value> {
        self.server.store().list("nodes", "")
    }

    /// Reasons of Events.
    pub fn event_reasons(&self) -> Vec<String> {
        let events = self.server.store().list("events", "");
        events.iter().map(|event| event["reason"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Changes by this user that do something: not its lease, its Events, its status, or questions about permissions.
    pub fn effects(&self, user: &str) -> Vec<Logged> {
        let quiet = ["leases", "events", "selfsubjectaccessreviews"];
        let change = |logged: &Logged| ["create", "update", "patch", "delete"].contains(&logged.verb.as_str());
        let mut all = self.server.requests();
        all.retain(|logged| {
            logged.user == user
                && change(logged)
                && !quiet.contains(&logged.resource.as_str())
                && !logged.name.ends_with("-status")
        });
        all
    }

    /// The status that the leader has written.
    pub fn status(&self, identifier: &str) -> Value {
        let map = self.server.store().get("configmaps", NAMESPACE, &format!("plimsoll-{identifier}-status"));
        let text = map.as_ref().and_then(|map| map["data"]["status"].as_str()).unwrap_or("null");
        serde_json::from_str(text).unwrap()
    }

    /// Who holds the lease.
    pub fn leader(&self) -> String {
        let leases = self.server.store().list("leases.coordination.k8s.io", NAMESPACE);
        leases.first().and_then(|lease| lease["spec"]["holderIdentity"].as_str()).unwrap_or_default().to_owned()
    }
}

fn user(name: &str, groups: &[&str]) -> User {
    let groups = groups.iter().copied().chain(["system:authenticated"]).map(str::to_owned).collect();
    User { name: name.to_owned(), groups, ..User::default() }
}

impl Replica {
    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Ends it at once, as a power cut would.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Asks it to end, and gives its exit code.
    pub fn end(&mut self) -> Option<i32> {
        signal(&self.process);
        self.process.wait().unwrap().code()
    }

    /// The address that a line of its log names.
    pub fn address(&self) -> Option<String> {
        let log = self.log();
        let at = log.find("127.0.0.1:")?;
        let rest: String =
            log[at..].chars().take_while(|letter| letter.is_ascii_digit() || ".:".contains(*letter)).collect();
        Some(rest)
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn signal(process: &Child) {
    let id = rustix::process::Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
}

/// A page of a replica.
pub fn page(address: &str, path: &str) -> (u16, String) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: local\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let code = text.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    (code, text)
}

/// A configuration with one group of nodes for two pods each.
pub fn config(more: &str) -> String {
    format!(
        "cluster: {{identifier: t}}
autoscaler: {{quiet: 100ms, atMost: 1s}}
leaderElection: {{leaseDuration: 2s, renewDeadline: 1500ms, retryPeriod: 200ms}}
log: {{format: text, level: debug}}
nodeGroups:
  - {{name: general, max: 10, zones: [a], instanceTypes: [{{name: small, vcpu: 2, memoryMib: 8192, priceUsdPerHour: 0.1}}]}}
{more}"
    )
}

/// Its provider: nodes after a moment.
pub const SIMULATED: &str = "provider: {kind: simulated, delay: 300ms}\n";
