//! What happens in the local cluster, line by line.

use std::collections::{BTreeMap, BTreeSet};

use plimsoll_apiserver::Store;
use plimsoll_model::well_known;
use serde_json::Value;
use tokio::time::{Duration, Instant};

use super::NAMESPACE;

const REQUESTS: &str = "certificatesigningrequests.certificates.k8s.io";
/// Nothing has happened for this long: it is over, unless something is awaited.
const QUIET: Duration = Duration::from_secs(4);

/// Tells what is new in a store.
pub struct Story {
    store: Store,
    begin: Instant,
    last: Instant,
    revision: u64,
    nodes: BTreeSet<String>,
    requests: BTreeMap<String, String>,
    events: BTreeSet<String>,
    leader: Option<String>,
    waiting: Option<(usize, usize)>,
    launched: bool,
    removed: bool,
    /// Pods of which an Event says why they stay without a node.
    hopeless: BTreeSet<String>,
}

impl Story {
    /// Begins now.
    pub fn new(store: Store) -> Self {
        let now = Instant::now();
        Self {
            store,
            begin: now,
            last: now,
            revision: 0,
            nodes: BTreeSet::new(),
            requests: BTreeMap::new(),
            events: BTreeSet::new(),
            leader: None,
            waiting: None,
            launched: false,
            removed: false,
            hopeless: BTreeSet::new(),
        }
    }

    /// Says something.
    pub fn say(&self, text: &str) {
        println!("{:>7.1} s  {text}", self.begin.elapsed().as_secs_f32());
    }

    /// Tells what is new.
    pub fn tell(&mut self) {
        let revision = self.store.revision();
        if revision == self.revision {
            return;
        }
        self.revision = revision;
        let lines = [self.leaders(), self.events(), self.requests(), self.nodes(), self.pods()].concat();
        if !lines.is_empty() {
            self.last = Instant::now();
        }
        lines.iter().for_each(|line| self.say(line));
    }

    /// Something was launched.
    pub fn launched(&self) -> bool {
        self.launched
    }

    /// A node was drained and is gone, and no other is on its way.
    pub fn has_shrunk(&self) -> bool {
        let drains = |node: &Value| node["metadata"]["annotations"][well_known::DRAIN].is_string();
        self.removed && self.last.elapsed() > QUIET && !self.store.list("nodes", "").iter().any(drains)
    }

    /// Who holds the lease.
    pub fn leader(&self) -> Option<String> {
        self.leader.clone().filter(|leader| !leader.is_empty())
    }

    /// Everything that can run does, and nothing has happened for a while.
    pub fn is_over(&self) -> bool {
        let approved = self.requests.values().all(|verdict| verdict == "approved");
        let placed = |pod: &Value| {
            !text(&pod["spec"]["nodeName"]).is_empty() || self.hopeless.contains(&text(&pod["metadata"]["name"]))
        };
        let quiet = self.launched && self.last.elapsed() > QUIET;
        quiet && approved && self.store.list("pods", "").iter().all(placed)
    }

    /// The cluster in a few lines.
    pub fn sum_up(&self) {
        let mut on: BTreeMap<String, u32> = BTreeMap::new();
        for pod in self.store.list("pods", "") {
            let node = text(&pod["spec"]["nodeName"]);
            *on.entry(if node.is_empty() { "(no node)".to_owned() } else { node }).or_default() += 1;
        }
        println!("\n{:<34} {:<9} {:<8} {:<9} PODS", "NODE", "GROUP", "TYPE", "ZONE");
        for node in self.store.list("nodes", "") {
            let label = |key: &str| text(&node["metadata"]["labels"][key]);
            let name = text(&node["metadata"]["name"]);
            println!(
                "{:<34} {:<9} {:<8} {:<9} {}",
                name,
                label("plimsoll.dev/node-group"),
                label("node.kubernetes.io/instance-type"),
                label("topology.kubernetes.io/zone"),
                on.get(&name).unwrap_or(&0)
            );
        }
        if let Some(waiting) = on.get("(no node)") {
            println!("{:<34} {:<28} {waiting}", "(no node)", "");
        }
    }

    fn leaders(&mut self) -> Vec<String> {
        let leases = self.store.list("leases.coordination.k8s.io", NAMESPACE);
        let holder = leases.first().map(|lease| text(&lease["spec"]["holderIdentity"]));
        if holder == self.leader {
            return Vec::new();
        }
        self.leader.clone_from(&holder);
        holder.into_iter().filter(|holder| !holder.is_empty()).map(|holder| format!("{holder} leads")).collect()
    }

    fn nodes(&mut self) -> Vec<String> {
        let now: BTreeSet<String> =
            self.store.list("nodes", "").iter().map(|node| text(&node["metadata"]["name"])).collect();
        let came = now.difference(&self.nodes).map(|node| format!("node {node} is there"));
        let went = self.nodes.difference(&now).map(|node| format!("node {node} is gone"));
        let lines = came.chain(went).collect();
        self.removed |= self.nodes.difference(&now).next().is_some();
        self.nodes = now;
        lines
    }

    fn requests(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for request in self.store.list(REQUESTS, "") {
            let name = text(&request["metadata"]["name"]);
            let conditions = request["status"]["conditions"].as_array();
            let mut verdict = conditions.into_iter().flatten().map(|condition| text(&condition["type"]).to_lowercase());
            let verdict = verdict.next_back().unwrap_or_else(|| "waits".to_owned());
            if self.requests.get(&name) != Some(&verdict) {
                lines.push(format!("certificate {name}: {verdict}"));
                self.requests.insert(name, verdict);
            }
        }
        lines
    }

    fn events(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        for event in self.store.list("events", "") {
            if self.events.insert(text(&event["metadata"]["uid"])) {
                let (reason, kind) = (text(&event["reason"]), text(&event["involvedObject"]["kind"]));
                self.launched |= reason == "NodeLaunched";
                let name = text(&event["involvedObject"]["name"]);
                if kind == "Pod" && event["type"] == "Warning" {
                    self.hopeless.insert(name.clone());
                }
                lines.push(format!("{reason}  {kind} {name}: {}", text(&event["message"])));
            }
        }
        lines
    }

    fn pods(&mut self) -> Vec<String> {
        let pods = self.store.list("pods", "");
        let with = pods.iter().filter(|pod| !text(&pod["spec"]["nodeName"]).is_empty()).count();
        let now = (with, pods.len());
        if self.waiting == Some(now) {
            return Vec::new();
        }
        self.waiting = Some(now);
        vec![format!("{with} of {} pods have a node", pods.len())]
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
