//! The rows of the model: those that are watched, and those that the controller adds.

use std::collections::BTreeMap;

use plimsoll_model::{Cluster, Machine, Node, Text, WorkloadKind};

use super::watched::Watched;
use crate::object::Object;

/// The inventory of the provider, beside those that are watched.
const PROVIDER: &str = "provider";

/// The cluster with everything in it.
#[derive(Debug, Default)]
pub(super) struct Rows {
    pub cluster: Cluster,
    /// Nodes that were launched, whether or not they have joined.
    launching: BTreeMap<Text, Node>,
    /// Names of the machines that the provider knows.
    machines: Vec<Text>,
}

// === impl Rows ===

impl Rows {
    /// An object as it is now.
    pub(super) fn put(&mut self, watched: Watched, namespace: &str, object: Object) {
        match object {
            Object::Machine(_) => object.upsert(&inventory(watched, namespace), &mut self.cluster),
            // One that was launched has joined: its UID differs, so its row takes the place of the expected one.
            _ => object.upsert("", &mut self.cluster),
        }
    }

    /// An object is gone.
    pub(super) fn remove(&mut self, watched: Watched, namespace: &str, name: &str) {
        let cluster = &mut self.cluster;
        match watched {
            Watched::Nodes => {
                cluster.remove_node(name);
                if let Some(node) = self.launching.get(name) {
                    cluster.upsert_node(node.clone());
                }
            }
            Watched::Pods => cluster.remove_pod(namespace, name),
            Watched::Namespaces => cluster.remove_namespace(name),
            Watched::Budgets => cluster.remove_budget(namespace, name),
            Watched::Claims => cluster.remove_claim(namespace, name),
            Watched::Volumes => cluster.remove_volume(name),
            Watched::StorageClasses => cluster.remove_storage_class(name),
            Watched::CsiNodes => cluster.remove_csi_node(name),
            Watched::DaemonSets => cluster.remove_daemon_set(namespace, name),
            Watched::PriorityClasses => cluster.remove_priority_class(name),
            Watched::ReplicaSets => cluster.remove_workload(WorkloadKind::ReplicaSet, namespace, name),
            Watched::ReplicationControllers => {
                cluster.remove_workload(WorkloadKind::ReplicationController, namespace, name);
            }
            Watched::StatefulSets => cluster.remove_workload(WorkloadKind::StatefulSet, namespace, name),
            Watched::Jobs => cluster.remove_workload(WorkloadKind::Job, namespace, name),
            Watched::Deployments => cluster.remove_workload(WorkloadKind::Deployment, namespace, name),
            Watched::SigningRequests => cluster.remove_signing_request(name),
            Watched::ClusterApiMachines | Watched::OpenShiftMachines | Watched::NodeClaims => {
                cluster.remove_machine_of(&inventory(watched, namespace), name);
            }
        }
    }

    /// Every node that was launched and may not have joined. A node that is there counts before an expected one.
    pub(super) fn set_launching(&mut self, nodes: Vec<Node>) {
        let expected = |node: Node| (node.name.clone(), Node { launching: true, ..node });
        let nodes: BTreeMap<Text, Node> = nodes.into_iter().map(expected).collect();
        for name in std::mem::take(&mut self.launching).into_keys() {
            if !nodes.contains_key(&name) && self.cluster.node(&name).is_some_and(|node| node.launching) {
                self.cluster.remove_node(&name);
            }
        }
        for node in nodes.values() {
            if self.cluster.node(&node.name).is_none_or(|known| known.launching) {
                self.cluster.upsert_node(node.clone());
            }
        }
        self.launching = nodes;
    }

    /// Every machine that the provider knows. Those that are watched stay beside them, whatever they are called.
    pub(super) fn set_machines(&mut self, machines: Vec<Machine>) {
        let mut names: Vec<Text> = machines.iter().map(|machine| machine.name.clone()).collect();
        names.sort_unstable();
        for name in std::mem::take(&mut self.machines) {
            if names.binary_search(&name).is_err() {
                self.cluster.remove_machine_of(PROVIDER, &name);
            }
        }
        for machine in machines {
            self.cluster.upsert_machine_of(PROVIDER, machine);
        }
        self.machines = names;
    }
}

/// What keeps machines of one name apart: where they are served, and their namespace.
fn inventory(watched: Watched, namespace: &str) -> String {
    format!("{} {namespace}", watched.resource())
}

#[cfg(test)]
mod tests {
    use plimsoll_model::Pools;

    use super::*;
    use crate::object::decode;

    fn put(rows: &mut Rows, watched: Watched, namespace: &str, text: &str) {
        let object = decode(watched.kind(), text.as_bytes(), rows.cluster.pools()).expect("an object").object;
        rows.put(watched, namespace, object);
    }

    fn node(name: &str) -> Node {
        let text = format!(r#"{{"metadata":{{"name":"{name}"}},"status":{{"capacity":{{"cpu":"1"}}}}}}"#);
        match decode(Watched::Nodes.kind(), text.as_bytes(), &mut Pools::default()).expect("a node").object {
            Object::Node(node) => node,
            other => panic!("{other:?}"),
        }
    }

    fn nodes(rows: &mut Rows) -> Vec<String> {
        let snapshot = rows.cluster.snapshot();
        let shown = |node: &Node| format!("{}{}", node.name, if node.launching { " expected" } else { "" });
        snapshot.nodes().map(|(_, node)| shown(node)).collect()
    }

    #[test]
    fn a_node_that_is_there_counts_before_an_expected_one() {
        let mut rows = Rows::default();
        let real = r#"{"metadata":{"name":"a","uid":"u"},"status":{"capacity":{"cpu":"1"}}}"#;
        rows.set_launching(vec![node("a"), node("b")]);
        assert_eq!(nodes(&mut rows), ["a expected", "b expected"]);
        put(&mut rows, Watched::Nodes, "", real);
        assert_eq!(nodes(&mut rows), ["a", "b expected"]);
        let revision = rows.cluster.revision();
        rows.set_launching(vec![node("b"), node("a")]);
        assert_eq!((nodes(&mut rows), rows.cluster.revision()), (vec!["a".into(), "b expected".into()], revision));
        rows.set_launching(vec![node("c")]);
        assert_eq!(nodes(&mut rows), ["a", "c expected"]);
        rows.set_launching(vec![node("a")]);
        rows.remove(Watched::Nodes, "", "a");
        assert_eq!(nodes(&mut rows), ["a expected"]);
        rows.set_launching(vec![]);
        assert_eq!(nodes(&mut rows), [""; 0]);
    }

    #[test]
    fn machines_of_one_name_stay_apart() {
        let mut rows = Rows::default();
        let machine = |node: &str| Machine {
            name: "m".into(),
            node: Some(node.into()),
            group: None,
            addresses: vec![],
            created: None,
            deleting: false,
        };
        let known = |rows: &mut Rows| -> Vec<String> {
            let snapshot = rows.cluster.snapshot();
            let mut nodes: Vec<_> =
                snapshot.machines().iter().filter_map(|m| Some(m.node.as_ref()?.to_string())).collect();
            nodes.sort_unstable();
            nodes
        };
        let text = |node: &str| format!(r#"{{"metadata":{{"name":"m"}},"status":{{"nodeRef":{{"name":"{node}"}}}}}}"#);
        rows.set_machines(vec![machine("n1")]);
        put(&mut rows, Watched::ClusterApiMachines, "a", &text("n2"));
        put(&mut rows, Watched::ClusterApiMachines, "b", &text("n3"));
        put(&mut rows, Watched::OpenShiftMachines, "a", &text("n4"));
        assert_eq!(known(&mut rows), ["n1", "n2", "n3", "n4"]);
        rows.remove(Watched::ClusterApiMachines, "b", "m");
        rows.set_machines(vec![machine("n5")]);
        assert_eq!(known(&mut rows), ["n2", "n4", "n5"]);
        rows.set_machines(vec![]);
        assert_eq!(known(&mut rows), ["n2", "n4"]);
    }
}
