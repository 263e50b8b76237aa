//! One journey on any API server: that of the project or, with `PLIMSOLL_APISERVER`, `PLIMSOLL_APISERVER_TOKEN` and
//! `PLIMSOLL_APISERVER_CA`, a real one that has a scheduler and a controller-manager.

use std::time::{Duration, Instant};

use plimsoll_kube::{Api, Connection, Leadership, ObjectName, Patch, Precondition, Purpose, Resource, lead_alone};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;

/// A real scheduler takes its time on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

const DEPLOYMENTS: Resource = Resource {
    group: std::borrow::Cow::Borrowed("apps"),
    version: std::borrow::Cow::Borrowed("v1"),
    plural: std::borrow::Cow::Borrowed("deployments"),
    kind: std::borrow::Cow::Borrowed("Deployment"),
    namespaced: true,
};

#[tokio::test(flavor = "multi_thread")]
async fn pods_get_nodes_and_give_them_back_on_any_api_server() {
    let own = format!("j{:x}", std::process::id());
    let config = format!(
        "cluster: {{identifier: {own}}}
autoscaler: {{quiet: 100ms, atMost: 1s}}
leaderElection: {{leaseDuration: 4s, renewDeadline: 3s, retryPeriod: 500ms}}
log: {{format: text}}
provider: {{kind: simulated, delay: 300ms, removal: {{delay: 100ms}}}}
gracePeriod: 1s
scaleDown: {{interval: 1s, evaluationPeriods: 2, maxPercentage: 50}}
drain: {{spread: 2s}}
nodeGroups:
  - {{name: {own}, max: 5, zones: [a], instanceTypes: [{{name: small, vcpu: 2, memoryMib: 8192}}]}}
"
    );
    let cluster = Cluster::start(&config).await;
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let real = variable("PLIMSOLL_APISERVER");
    let connection = Connection {
        server: Some(real.clone().unwrap_or_else(|| cluster.server.url())),
        token: variable("PLIMSOLL_APISERVER_TOKEN").filter(|_| real.is_some()),
        ca_file: variable("PLIMSOLL_APISERVER_CA").filter(|_| real.is_some()).map(Into::into),
        ..Connection::default()
    };
    let api = Api::connect(&connection).await.unwrap();
    let (setter, leadership) = Leadership::new(false);
    let _leading = lead_alone(setter, CancellationToken::new());
    let permit = leadership.permit(Purpose::Effect).unwrap();
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own}});
    api.create(&permit, &Resource::NAMESPACES, &namespace).await.unwrap();
    let deployment = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": own},
        "spec": {
            "replicas": 4,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {
                    "nodeSelector": {"plimsoll.dev/node-group": own},
                    // On a real server no kubelet says that a pod has stopped.
                    "terminationGracePeriodSeconds": 0,
                    "containers": [{"name": "web", "image": "example.com/web:1", "resources": {"requests": {"cpu": "900m", "memory": "64Mi"}}}],
                },
            },
        },
    });
    api.create(&permit, &DEPLOYMENTS, &deployment).await.unwrap();
    let replica = cluster.replica_with("a", |command| {
        // Options outweigh variables.
        command.args(["--namespace", &own]);
        if let Some(server) = &connection.server {
            command.args(["--server", server]);
        }
        if let Some(token) = &connection.token {
            command.args(["--token", token]);
        }
        if let Some(ca) = &connection.ca_file {
            command.arg("--ca-file").arg(ca);
        }
    });
    let end = Instant::now() + PATIENCE;
    loop {
        let pods = api.list(&Resource::PODS, &own, "app=web").await.unwrap();
        if pods.len() == 4 && pods.iter().all(|pod| pod["spec"]["nodeName"].is_string()) {
            break;
        }
        assert!(Instant::now() < end, "pods wait still: {pods:#?}\n{}", replica.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let nodes = api.list(&Resource::NODES, "", &format!("plimsoll.dev/node-group={own}")).await.unwrap();
    assert_eq!(nodes.len(), 2, "two pods to a node:\n{}", replica.log());
    let status = ObjectName::in_namespace(&own, &format!("plimsoll-{own}-status"));
    let said = loop {
        let map = api.get(&Resource::CONFIG_MAPS, &status).await.unwrap_or_default();
        let said: Value = serde_json::from_str(map["data"]["status"].as_str().unwrap_or("null")).unwrap();
        if said["groups"][own.as_str()]["joined"] == 2 {
            break said;
        }
        assert!(Instant::now() < end, "{said:#}\n{}", replica.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(said["features"]["watch"].as_str().map(|state| state.starts_with("on")), Some(true), "{said:#}");
    let events = api.list(&Resource::EVENTS, &own, "").await.unwrap();
    for reason in ["LaunchPlanned", "NodeLaunched"] {
        assert!(events.iter().any(|event| event["reason"] == reason), "{reason}: {events:#?}");
    }
    let web = ObjectName::in_namespace(&own, "web");
    let fewer = json!({"spec": {"replicas": 2}});
    api.patch(&permit, &DEPLOYMENTS, &web, None, Patch::Merge, &fewer).await.unwrap();
    let nodes = loop {
        let left = api.list(&Resource::NODES, "", &format!("plimsoll.dev/node-group={own}")).await.unwrap();
        let pods = api.list(&Resource::PODS, &own, "app=web").await.unwrap();
        let placed = pods.iter().filter(|pod| pod["spec"]["nodeName"].is_string()).count();
        if left.len() == 1 && placed == 2 && pods.len() == 2 {
            break left;
        }
        assert!(Instant::now() < end, "{} nodes are left:\n{}", left.len(), replica.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    drop(replica);
    for node in nodes {
        let name = ObjectName::of_cluster(node["metadata"]["name"].as_str().unwrap());
        api.delete(&permit, &Resource::NODES, &name, &Precondition::default()).await.unwrap();
    }
    api.delete(&permit, &Resource::NAMESPACES, &ObjectName::of_cluster(&own), &Precondition::default()).await.unwrap();
}
