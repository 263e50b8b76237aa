//! Watching an API server on the wire: what it sends, cuts, refuses and forgets.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests say what they expect")]

use std::sync::Arc;
use std::time::Duration;

use plimsoll_apiserver::{ApiServer, Fault, Options, Rule, StreamingLists};
use plimsoll_kube::{
    Api, Connection, DebounceTimes, Mirror, MirrorHandle, MirrorOptions, PartStatus, View, WatchProblem, Watched,
};
use plimsoll_model::{Machine, Node, Snapshot};
use serde_json::{Value, json};

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(20);

/// A mirror before a server.
struct Watching {
    server: ApiServer,
    handle: MirrorHandle,
}

async fn serve(streaming_lists: StreamingLists) -> ApiServer {
    ApiServer::start(Options { streaming_lists, ..Options::default() }).await.expect("a server")
}

fn options() -> MirrorOptions {
    let times = DebounceTimes {
        quiet: Duration::from_millis(20),
        at_most: Duration::from_millis(200),
        urgent: Duration::from_millis(5),
    };
    MirrorOptions { times, page: 2, ..MirrorOptions::default() }
}

// === impl Watching ===

impl Watching {
    async fn of(server: ApiServer, options: MirrorOptions) -> Self {
        let connection = Connection { server: Some(server.url()), ..Connection::default() };
        let api = Api::connect(&connection).await.expect("a connection");
        let handle = Mirror::start(&api, &options).expect("a mirror");
        Self { server, handle }
    }

    async fn new() -> Self {
        Self::of(serve(StreamingLists::Served).await, options()).await
    }

    /// The first view for which this holds.
    async fn until(&mut self, what: &str, holds: impl Fn(&View) -> bool) -> Arc<View> {
        let found = async {
            loop {
                if let Some(view) = self.handle.latest().filter(|view| holds(view)) {
                    return view;
                }
                self.handle.changed().await.expect("a mirror");
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{what} is not seen; {:#?}", self.handle.status()))
    }

    async fn until_pods(&mut self, names: &[&str]) -> Arc<View> {
        self.until(&format!("{names:?}"), |view| pods(&view.snapshot) == names).await
    }

    /// The first status of a part for which this holds.
    async fn until_part(&mut self, watched: Watched, holds: impl Fn(&PartStatus) -> bool) -> PartStatus {
        let found = async {
            loop {
                if let Some(part) = self.part(watched).filter(&holds) {
                    return part;
                }
                self.handle.status_changed().await.expect("a mirror");
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("{watched:?} does not become so; {:#?}", self.handle.status()))
    }

    fn part(&self, watched: Watched) -> Option<PartStatus> {
        self.handle.status().part(watched).cloned()
    }

    fn create(&self, object: Value) {
        self.server.store().create(object).expect("created");
    }

    /// How often this was asked for.
    fn asked(&self, verb: &str, resource: &str) -> usize {
        let requests = self.server.requests();
        requests.iter().filter(|request| request.verb == verb && request.resource == resource).count()
    }
}

fn pods(snapshot: &Snapshot) -> Vec<String> {
    snapshot.pods().map(|(_, pod)| pod.full_name()).collect()
}

fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"containers": [{"name": "c", "image": "i"}]}, "status": {"phase": "Pending"}})
}

fn node(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "pods": "110"}}})
}

fn budget(name: &str) -> Value {
    json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {}}, "status": {"disruptionsAllowed": 1}})
}

fn delete(watching: &Watching, pod: &str) {
    watching.server.store().force_delete("pods", "shop", pod).expect("it was there");
}

#[tokio::test]
async fn what_is_there_and_what_changes_is_seen() {
    let mut watching = Watching::new().await;
    watching.until_pods(&[]).await;
    watching.create(node("n1"));
    watching.create(pod("web"));
    watching.create(budget("keep"));
    watching.create(
        json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": 3, "selector": {}, "template": {}}, "status": {"replicas": 3, "readyReplicas": 2}}),
    );
    watching.create(json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": "high"}, "value": 1000}));
    let view = watching
        .until("everything", |view| {
            let all = &view.snapshot;
            all.node_count() == 1
                && all.pod_count() == 1
                && all.budgets().len() == 1
                && all.workloads().count() == 1
                && all.priority_class("high").is_some()
        })
        .await;
    let workload = view.snapshot.workloads().next().expect("the ReplicaSet");
    assert_eq!((workload.desired, workload.ready), (Some(3), 2));
    assert!(view.unknown.knows_disruption());

    let bind = |pod: &mut Value| pod["spec"]["nodeName"] = json!("n1");
    watching.server.store().update("pods", "shop", "web", bind).expect("bound");
    watching
        .until("the binding", |view| view.snapshot.find_pod("shop", "web").is_some_and(|(_, pod)| pod.node.is_some()))
        .await;
    // A pod that has finished is as good as gone.
    let finish = |pod: &mut Value| pod["status"]["phase"] = json!("Succeeded");
    watching.server.store().update("pods", "shop", "web", finish).expect("finished");
    watching.until_pods(&[]).await;
    assert_eq!(watching.asked("list", "pods"), 0, "lists stream");
    assert_eq!(watching.part(Watched::Pods).map(|part| (part.synced, part.relists)), Some((true, 0)));
}

#[tokio::test]
async fn a_server_without_streaming_lists_is_read_in_pages() {
    let server = serve(StreamingLists::Rejected422).await;
    for name in ["a", "b", "c", "d", "e"] {
        server.store().create(pod(name)).expect("created");
    }
    let mut watching = Watching::of(server, options()).await;
    let all = ["shop/a", "shop/b", "shop/c", "shop/d", "shop/e"];
    watching.until_pods(&all).await;
    assert!(watching.asked("list", "pods") >= 1);
    watching.create(pod("f"));
    delete(&watching, "a");
    watching.until_pods(&["shop/b", "shop/c", "shop/d", "shop/e", "shop/f"]).await;
}

#[tokio::test]
async fn pages_that_expire_are_read_anew() {
    let server = serve(StreamingLists::Rejected422).await;
    for name in ["a", "b", "c", "d", "e"] {
        server.store().create(pod(name)).expect("created");
    }
    let expired = Fault::Status { code: 410, retry_after: None };
    server.faults().add(Rule::on("list", "pods").times(3), expired);
    let mut watching = Watching::of(server, options()).await;
    watching.until_pods(&["shop/a", "shop/b", "shop/c", "shop/d", "shop/e"]).await;
}

#[tokio::test]
async fn deletions_that_were_missed_are_made_up_for() {
    for streaming in [StreamingLists::Served, StreamingLists::Rejected422] {
        let mut watching = Watching::of(serve(streaming).await, options()).await;
        for name in ["a", "b", "c"] {
            watching.create(pod(name));
        }
        watching.until_pods(&["shop/a", "shop/b", "shop/c"]).await;
        // While the server answers nothing about pods it forgets what has happened to them.
        let failing =
            watching.server.faults().add(Rule::on("watch", "pods"), Fault::Status { code: 503, retry_after: None });
        watching.server.faults().cut_watches("pods");
        delete(&watching, "b");
        watching.create(pod("d"));
        watching.server.compact();
        watching.server.faults().remove(failing);
        watching.until_pods(&["shop/a", "shop/c", "shop/d"]).await;
        let part = watching.until_part(Watched::Pods, |part| part.synced).await;
        assert_eq!((part.relists, part.objects), (1, 3));
        // What comes after is seen as before.
        watching.create(pod("e"));
        watching.until_pods(&["shop/a", "shop/c", "shop/d", "shop/e"]).await;
    }
}

#[tokio::test]
async fn a_watch_that_is_cut_goes_on_where_it_was() {
    let mut watching = Watching::new().await;
    watching.create(pod("a"));
    watching.until_pods(&["shop/a"]).await;
    for (round, name) in ["b", "c", "d"].into_iter().enumerate() {
        watching.server.faults().add(Rule::on("watch", "pods").times(1), Fault::CutWatchMidLine);
        watching.server.faults().cut_watches("*");
        watching.create(pod(name));
        watching.create(pod(&format!("{name}-too")));
        watching.until("both", |view| view.snapshot.pod_count() == 3 + 2 * round).await;
    }
    assert_eq!(watching.part(Watched::Pods).map(|part| part.relists), Some(0), "nothing had to be listed again");
}

#[tokio::test]
async fn bookmarks_keep_a_quiet_watch_from_growing_old() {
    let mut watching = Watching::new().await;
    watching.create(node("n1"));
    watching.until("the node", |view| view.snapshot.node_count() == 1).await;
    // Pods change and are forgotten; of nodes nothing comes but bookmarks.
    for name in ["a", "b", "c"] {
        watching.create(pod(name));
    }
    watching.until("the pods", |view| view.snapshot.pod_count() == 3).await;
    let before = watching.part(Watched::Nodes).and_then(|part| part.last_event);
    watching.server.send_bookmarks();
    watching.until_part(Watched::Nodes, |part| part.last_event > before).await;
    watching.server.compact();
    watching.server.faults().cut_watches("nodes");
    watching.create(node("n2"));
    watching.until("the second node", |view| view.snapshot.node_count() == 2).await;
    assert_eq!(watching.part(Watched::Nodes).map(|part| part.relists), Some(0));
}

#[tokio::test]
async fn what_nobody_may_read_is_said_and_the_rest_runs() {
    let server = serve(StreamingLists::Served).await;
    for verb in ["list", "watch"] {
        server.deny("*", verb, "policy", "poddisruptionbudgets");
    }
    server.store().create(pod("a")).expect("created");
    let mut watching = Watching::of(server, options()).await;
    let view = watching.until_pods(&["shop/a"]).await;
    assert!(!view.unknown.knows(Watched::Budgets) && !view.unknown.knows_disruption());
    let part = watching.until_part(Watched::Budgets, |part| part.problem.is_some()).await;
    let Some(WatchProblem::Forbidden { rule, .. }) = &part.problem else { panic!("{part:?}") };
    assert_eq!(rule, "list and watch poddisruptionbudgets.policy");
    assert_eq!(watching.asked("watch", "poddisruptionbudgets"), 1, "once a minute is enough");

    // Without pods nothing is shown.
    let server = serve(StreamingLists::Served).await;
    server.deny("*", "watch", "", "pods");
    let mut watching = Watching::of(server, options()).await;
    watching.until_part(Watched::Pods, |part| part.problem.is_some()).await;
    watching.until_part(Watched::Nodes, |part| part.synced).await;
    assert!(watching.handle.latest().is_none() && !watching.handle.status().ready);
}

#[tokio::test]
async fn inventories_count_where_they_are_served() {
    let server = serve(StreamingLists::Served).await;
    server.store().register_cluster_api();
    let machine = json!({"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": "Machine", "metadata": {"name": "m", "namespace": "shop"},
        "spec": {}, "status": {"nodeRef": {"name": "n1"}}});
    server.store().create(machine).expect("created");
    let mut watching = Watching::of(server, options()).await;
    let machines = |view: &View| {
        let machines = view.snapshot.machines().iter();
        machines.filter_map(|machine| Some(machine.node.as_ref()?.to_string())).collect::<Vec<_>>()
    };
    let view = watching.until("the machine", |view| machines(view) == ["n1"]).await;
    assert!(view.unknown.knows(Watched::ClusterApiMachines) && !view.unknown.knows(Watched::OpenShiftMachines));
    let part = watching.until_part(Watched::OpenShiftMachines, |part| part.problem.is_some()).await;
    assert_eq!(part.problem, Some(WatchProblem::NotServed));
    // What the provider knows stands beside it.
    watching.handle.set_machines(vec![Machine {
        name: "m".into(),
        node: Some("n2".into()),
        group: None,
        addresses: vec![],
        created: None,
        deleting: false,
    }]);
    let both = watching.until("both machines", |view| view.snapshot.machines().len() == 2).await;
    assert!(machines(&both).contains(&"n1".to_owned()) && machines(&both).contains(&"n2".to_owned()));
}

#[tokio::test]
async fn nodes_that_were_launched_are_expected_until_they_join() {
    let mut watching = Watching::new().await;
    watching.create(node("n1"));
    let view = watching.until("a node", |view| view.snapshot.node_count() == 1).await;
    let n1 = view.snapshot.find_node("n1").expect("n1").1;
    let expected = |name: &str| Node { name: name.into(), uid: plimsoll_model::Uid::Other("".into()), ..n1.clone() };
    watching.handle.set_launching(vec![expected("n1"), expected("n2")]);
    let launching = |view: &View, name: &str| view.snapshot.find_node(name).map(|(_, node)| node.launching);
    let view = watching.until("n2", |view| launching(view, "n2") == Some(true)).await;
    assert_eq!(launching(&view, "n1"), Some(false));
    watching.create(node("n2"));
    watching.until("n2 itself", |view| launching(view, "n2") == Some(false)).await;
    watching.handle.set_launching(vec![]);
    watching.create(node("n3"));
    let view = watching.until("n3", |view| view.snapshot.node_count() == 3).await;
    assert_eq!(launching(&view, "n2"), Some(false));
}

#[tokio::test]
async fn heartbeats_wake_nobody_and_requests_for_certificates_do_at_once() {
    let times = DebounceTimes {
        quiet: Duration::from_secs(3600),
        at_most: Duration::from_secs(3600),
        urgent: Duration::from_millis(20),
    };
    let server = serve(StreamingLists::Served).await;
    server.store().create(node("n1")).expect("created");
    let mut watching = Watching::of(server, MirrorOptions { times, ..options() }).await;
    let first = watching.until("the node", |view| view.snapshot.node_count() == 1).await;
    let beat = |node: &mut Value| {
        node["status"]["conditions"] =
            json!([{"type": "Ready", "status": "True", "lastHeartbeatTime": "2026-11-20T10:00:00Z"}]);
    };
    let before = watching.part(Watched::Nodes).and_then(|part| part.last_event);
    watching.server.store().update("nodes", "", "n1", beat).expect("beaten");
    watching.until_part(Watched::Nodes, |part| part.last_event > before).await;
    watching.create(json!({"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest", "metadata": {"name": "csr-1"},
        "spec": {"request": "YQ==", "signerName": "kubernetes.io/kubelet-serving", "usages": ["server auth"]}}));
    let view = watching.until("the request", |view| !view.snapshot.signing_requests().is_empty()).await;
    assert_eq!(view.snapshot.version(), first.snapshot.version() + 1, "the heartbeat was no change");
}

#[tokio::test]
async fn with_the_last_handle_watching_ends() {
    let mut watching = Watching::new().await;
    watching.until_pods(&[]).await;
    let Watching { server, handle } = watching;
    let mut second = handle.clone();
    drop(handle);
    server.store().create(pod("a")).expect("created");
    let seen = async {
        while second.latest().is_none_or(|view| view.snapshot.pod_count() == 0) {
            second.changed().await.expect("a mirror");
        }
    };
    tokio::time::timeout(PATIENCE, seen).await.expect("the other handle still sees");
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    drop(second);
    let ended = async {
        while tasks() + Watched::ALL.len() > before {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, ended).await.expect("every task that watched has ended");
}
