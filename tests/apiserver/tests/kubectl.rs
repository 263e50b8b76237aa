//! Real kubectl against our own server: an independent client, with its own ideas of discovery and bodies.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::io::Write;
use std::process::{Command, Stdio};

use plimsoll_apiserver::{ApiServer, Options};
use serde_json::{Value, json};

struct Kubectl {
    server: ApiServer,
    folder: tempfile::TempDir,
    program: String,
}

// === impl Kubectl ===

impl Kubectl {
    /// None, and a word about it, where there is no kubectl. `PLIMSOLL_KUBECTL` names one that must be there.
    async fn new() -> Option<Self> {
        let program = std::env::var("PLIMSOLL_KUBECTL").unwrap_or_else(|_| "kubectl".to_owned());
        if let Err(error) = Command::new(&program).args(["version", "--client"]).output() {
            assert!(std::env::var_os("PLIMSOLL_KUBECTL").is_none(), "{program}: {error}");
            println!("skipped: {program} is not there");
            return None;
        }
        let server = ApiServer::start(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), server.kubeconfig(None)).unwrap();
        Some(Self { server, folder, program })
    }

    /// What kubectl prints. It must succeed.
    async fn run(&self, arguments: &[&str], input: Option<Value>) -> String {
        let (code, out, err) = self.try_run(arguments, input).await;
        assert_eq!(code, Some(0), "kubectl {arguments:?}: {out}{err}");
        out
    }

    async fn try_run(&self, arguments: &[&str], input: Option<Value>) -> (Option<i32>, String, String) {
        let mut command = Command::new(&self.program);
        command.arg("--kubeconfig").arg(self.folder.path().join("config")).args(["--request-timeout", "20s"]);
        command.args(arguments).env("HOME", self.folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let running = tokio::task::spawn_blocking(move || {
            if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
                stdin.write_all(input.to_string().as_bytes()).unwrap();
            }
            child.wait_with_output().unwrap()
        });
        let output = running.await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn node(&self, name: &str) {
        let ready = json!([{ "type": "Ready", "status": "True" }]);
        let node = json!({
            "apiVersion": "v1", "kind": "Node", "metadata": { "name": name }, "status": { "conditions": ready },
        });
        self.server.store().create(node).unwrap();
    }

    fn pod(&self, name: &str, node: &str) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {
                "name": name, "namespace": "default",
                "ownerReferences": [{ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "uid": "u", "controller": true }],
            },
            "spec": { "nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [{ "name": "c", "image": "x" }] },
            "status": { "phase": "Running" },
        });
        self.server.store().create(pod).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_shown_applied_scaled_and_deleted() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.node("n1");
    assert!(kubectl.run(&["get", "nodes"], None).await.contains("n1"));
    assert!(kubectl.run(&["describe", "node", "n1"], None).await.contains("n1"));
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "replicas": 2, "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "c", "image": "registry.example/web:1" }] },
            },
        },
    });
    let created = kubectl.run(&["apply", "-f", "-"], Some(deployment.clone())).await;
    assert_eq!(created.trim(), "deployment.apps/web created");
    let mut changed = deployment.clone();
    changed["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/web:2".into();
    assert!(kubectl.run(&["apply", "-f", "-"], Some(changed.clone())).await.contains("configured"));
    assert!(kubectl.run(&["apply", "-f", "-"], Some(changed.clone())).await.contains("unchanged"));
    kubectl.run(&["scale", "deployment/web", "--replicas", "5"], None).await;
    let stored = kubectl.server.store().get("deployments.apps", "default", "web").unwrap();
    assert_eq!(stored["spec"]["replicas"], 5);
    assert_eq!(stored["spec"]["template"]["spec"]["containers"][0]["image"], "registry.example/web:2");
    let force = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
    assert!(kubectl.run(&force, Some(deployment)).await.contains("serverside-applied"));
    kubectl.run(&["delete", "deployment", "web"], None).await;
    assert_eq!(kubectl.server.store().count("deployments.apps"), 0);
    let (code, _, err) = kubectl.try_run(&["get", "deployment", "web"], None).await;
    assert_eq!((code, err.contains("NotFound")), (Some(1), true), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_cordoned_and_drained() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.node("n1");
    kubectl.pod("a", "n1");
    kubectl.pod("b", "n2");
    kubectl.run(&["cordon", "n1"], None).await;
    assert_eq!(kubectl.server.store().get("nodes", "", "n1").unwrap()["spec"]["unschedulable"], true);
    kubectl.run(&["uncordon", "n1"], None).await;
    let drained = kubectl.run(&["drain", "n1", "--timeout", "20s"], None).await;
    assert!(drained.contains("drained"), "{drained}");
    let left: Vec<Value> = kubectl.server.store().list("pods", "default");
    assert_eq!(left.len(), 1);
    let evicted = kubectl.server.requests().iter().filter(|logged| logged.subresource == "eviction").count();
    assert_eq!(evicted, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_condition_is_waited_for() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.node("n1");
    kubectl.run(&["wait", "node/n1", "--for=condition=Ready", "--timeout=15s"], None).await;
    kubectl.pod("a", "n1");
    let store = kubectl.server.store().clone();
    let later = tokio::spawn(async move {
        // kubectl lists and then watches: the pod goes away while it looks.
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        store.delete("pods", "default", "a")
    });
    kubectl.run(&["wait", "pod/a", "--for=delete", "--timeout=15s"], None).await;
    assert!(later.await.unwrap().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn custom_kinds_are_found_by_discovery() {
    let Some(kubectl) = Kubectl::new().await else { return };
    kubectl.server.store().register_cluster_api();
    let machines = json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "MachineDeployment",
        "metadata": { "name": "workers", "namespace": "default" }, "spec": { "replicas": 1 },
    });
    kubectl.server.store().create(machines).unwrap();
    assert!(kubectl.run(&["get", "machinedeployments"], None).await.contains("workers"));
    kubectl.run(&["scale", "machinedeployment/workers", "--replicas", "3"], None).await;
    let stored = kubectl.server.store().get("machinedeployments.cluster.x-k8s.io", "default", "workers").unwrap();
    assert_eq!(stored["spec"]["replicas"], 3);
}
