//! Other autoscalers that are in charge of the same nodes.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::api::{Api, ApiError, ObjectName, Resource};

/// Labels by which the usual installations of autoscalers are found, without listing every Deployment.
const LABELS: [&str; 3] = [
    "app.kubernetes.io/name in (cluster-autoscaler,aws-cluster-autoscaler,azure-cluster-autoscaler,\
     gce-cluster-autoscaler,karpenter,ocean-kubernetes-controller,spotinst-kubernetes-cluster-controller)",
    "app in (cluster-autoscaler,karpenter)",
    "k8s-app in (cluster-autoscaler,karpenter,spotinst-kubernetes-cluster-controller)",
];
/// Where cluster-autoscaler says how it is.
const CLUSTER_AUTOSCALER_STATUS: (&str, &str) = ("kube-system", "cluster-autoscaler-status");
/// Longer lists are of no use here.
const MANY: usize = 1_000;

/// What was found in the cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RivalFacts {
    /// Deployments that look like autoscalers.
    pub deployments: Vec<DeploymentFact>,
    /// Leases.
    pub leases: Vec<LeaseFact>,
    /// The resource version of the status of cluster-autoscaler, if there is one.
    pub cluster_autoscaler_status: Option<String>,
    /// Karpenter's NodePools that may launch nodes.
    pub node_pools: Vec<String>,
    /// What could not be read, each a sentence.
    pub unread: Vec<String>,
}

/// A Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeploymentFact {
    /// Which.
    pub object: ObjectName,
    /// Images of its containers.
    pub images: Vec<String>,
    /// `spec.replicas`.
    pub replicas: u64,
}

/// A Lease.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeaseFact {
    /// Which.
    pub object: ObjectName,
    /// Who holds it.
    pub holder: String,
    /// Its resource version.
    pub version: String,
}

/// What is ours.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnName {
    /// Our namespace.
    pub namespace: String,
    /// Our lease.
    pub lease: String,
    /// We launch through Karpenter, so that it has to run.
    pub through_karpenter: bool,
}

/// Which other autoscaler.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RivalKind {
    /// The cluster-autoscaler of Kubernetes.
    ClusterAutoscaler,
    /// Karpenter.
    Karpenter,
    /// Spot Ocean.
    Ocean,
    /// Plimsoll, with another identifier.
    Plimsoll,
}

/// Another autoscaler.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rival {
    /// Which.
    pub kind: RivalKind,
    /// By what it was found, and what to do, in a sentence.
    pub sentence: String,
}

/// Who else is in charge. A lease or a status counts only if it has changed since `before`: they stay when their
/// writer is gone.
pub fn rivals(facts: &RivalFacts, before: Option<&RivalFacts>, own: &OwnName) -> Vec<Rival> {
    let mut found = BTreeSet::new();
    for deployment in facts.deployments.iter().filter(|deployment| deployment.replicas > 0) {
        let Some(kind) = kind_of(deployment) else { continue };
        // Karpenter without NodePools launches nothing.
        if kind != RivalKind::Karpenter || (!own.through_karpenter && !facts.node_pools.is_empty()) {
            found.insert(rival(kind, &format!("Deployment {}", deployment.object)));
        }
    }
    for lease in &facts.leases {
        let ObjectName { namespace, name } = &lease.object;
        let same = |other: &&LeaseFact| other.object == lease.object;
        let alive = before
            .and_then(|before| before.leases.iter().find(same))
            .is_some_and(|other| !lease.holder.is_empty() && other.version != lease.version);
        let kind = match name.as_str() {
            _ if !alive => continue,
            "cluster-autoscaler" => RivalKind::ClusterAutoscaler,
            "karpenter-leader-election" if !own.through_karpenter && !facts.node_pools.is_empty() => {
                RivalKind::Karpenter
            }
            name if is_ocean(name) => RivalKind::Ocean,
            name if is_plimsoll(name) && (namespace, name) != (&own.namespace, own.lease.as_str()) => {
                RivalKind::Plimsoll
            }
            _ => continue,
        };
        found.insert(rival(kind, &format!("Lease {}, held by {}", lease.object, lease.holder)));
    }
    let status = &facts.cluster_autoscaler_status;
    if let Some(before) = before
        && before.cluster_autoscaler_status.is_some()
        && status.is_some()
        && before.cluster_autoscaler_status != *status
    {
        let (namespace, name) = CLUSTER_AUTOSCALER_STATUS;
        found.insert(rival(RivalKind::ClusterAutoscaler, &format!("ConfigMap {namespace}/{name}, just written")));
    }
    if own.through_karpenter && !facts.node_pools.is_empty() {
        let pools = facts.node_pools.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        found.insert(rival(RivalKind::Karpenter, &format!("NodePools with room: {pools}")));
    }
    found.into_iter().collect()
}

/// Reads what [`rivals`] looks at: a few small lists.
pub async fn gather_rival_facts(api: &Api) -> RivalFacts {
    let mut facts = RivalFacts::default();
    for labels in LABELS {
        match api.list(&Resource::DEPLOYMENTS, "", labels).await {
            Ok(list) => facts.deployments.extend(list.iter().take(MANY).map(deployment)),
            Err(error) => {
                facts.unread.push(format!("Deployments: {error}"));
                break;
            }
        }
    }
    facts.deployments.sort_by(|a, b| a.object.cmp(&b.object));
    facts.deployments.dedup_by(|a, b| a.object == b.object);
    // Every node has one as well: those stay on the API server.
    let path =
        format!("{}?limit={MANY}&fieldSelector=metadata.namespace%21%3Dkube-node-lease", Resource::LEASES.path(""));
    match api.read(&path).await {
        Ok(list) => facts.leases.extend(list["items"].as_array().into_iter().flatten().map(lease)),
        Err(error) => facts.unread.push(format!("Leases: {error}")),
    }
    let (namespace, name) = CLUSTER_AUTOSCALER_STATUS;
    match api.get(&Resource::CONFIG_MAPS, &ObjectName::in_namespace(namespace, name)).await {
        Ok(object) => facts.cluster_autoscaler_status = Some(text(&object["metadata"]["resourceVersion"])),
        Err(ApiError::NotFound(_)) => {}
        Err(error) => facts.unread.push(format!("ConfigMap {namespace}/{name}: {error}")),
    }
    match api.list(&Resource::NODE_POOLS, "", "").await {
        Ok(list) => {
            let pools = list.iter().filter(|pool| may_launch(pool)).map(|pool| text(&pool["metadata"]["name"]));
            facts.node_pools.extend(pools);
        }
        Err(ApiError::NotFound(_) | ApiError::NotServed { .. }) => {}
        Err(error) => facts.unread.push(format!("NodePools: {error}")),
    }
    facts
}

fn rival(kind: RivalKind, by: &str) -> Rival {
    let (name, advice) = match kind {
        RivalKind::ClusterAutoscaler => {
            ("cluster-autoscaler", "scale it down to zero, or give each its own node groups")
        }
        RivalKind::Karpenter => ("Karpenter", "set the limits of its NodePools to zero, or give each its own pods"),
        RivalKind::Ocean => ("the controller of Spot Ocean", "scale it down to zero"),
        RivalKind::Plimsoll => ("another Plimsoll", "give both the same cluster.identifier, or remove one"),
    };
    Rival { kind, sentence: format!("{name} is in charge of nodes here as well ({by}): {advice}") }
}

fn kind_of(deployment: &DeploymentFact) -> Option<RivalKind> {
    deployment
        .images
        .iter()
        .find_map(|image| {
            // `registry:5000/path/name:tag@digest` without the tag.
            let path = image.split('@').next().unwrap_or(image);
            let (folder, last) = path.rsplit_once('/').unwrap_or(("", path));
            let last = last.split(':').next().unwrap_or(last);
            match last {
                // With the architecture for some releases.
                _ if last == "cluster-autoscaler" || last.starts_with("cluster-autoscaler-") => {
                    Some(RivalKind::ClusterAutoscaler)
                }
                "karpenter" => Some(RivalKind::Karpenter),
                "controller" if folder.ends_with("/karpenter") || folder == "karpenter" => Some(RivalKind::Karpenter),
                "kubernetes-cluster-controller" if folder.contains("spotinst") => Some(RivalKind::Ocean),
                _ if is_ocean(last) => Some(RivalKind::Ocean),
                _ => None,
            }
        })
        .or_else(|| match deployment.object.name.as_str() {
            // From a mirror under another name.
            "cluster-autoscaler" => Some(RivalKind::ClusterAutoscaler),
            "karpenter" => Some(RivalKind::Karpenter),
            name if is_ocean(name) => Some(RivalKind::Ocean),
            _ => None,
        })
}

fn is_ocean(name: &str) -> bool {
    name.starts_with("spotinst-kubernetes-") || name.starts_with("ocean-kubernetes-controller")
}

fn is_plimsoll(name: &str) -> bool {
    name == "plimsoll" || name.starts_with("plimsoll-")
}

/// A NodePool whose limits are zero launches nothing.
fn may_launch(pool: &Value) -> bool {
    let zero = |limit: &Value| limit.as_u64() == Some(0) || limit.as_str().is_some_and(|text| text.trim() == "0");
    !pool["spec"]["limits"].as_object().is_some_and(|limits| limits.values().any(zero))
}

fn object_name(object: &Value) -> ObjectName {
    let metadata = &object["metadata"];
    ObjectName { namespace: text(&metadata["namespace"]), name: text(&metadata["name"]) }
}

fn deployment(object: &Value) -> DeploymentFact {
    let containers = object["spec"]["template"]["spec"]["containers"].as_array().into_iter().flatten();
    DeploymentFact {
        object: object_name(object),
        images: containers.map(|container| text(&container["image"])).collect(),
        replicas: object["spec"]["replicas"].as_u64().unwrap_or(1),
    }
}

fn lease(object: &Value) -> LeaseFact {
    LeaseFact {
        object: object_name(object),
        holder: text(&object["spec"]["holderIdentity"]),
        version: text(&object["metadata"]["resourceVersion"]),
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn deployment_of(name: &str, image: &str) -> DeploymentFact {
        deployment(&json!({
            "metadata": {"namespace": "kube-system", "name": name},
            "spec": {"replicas": 1, "template": {"spec": {"containers": [{"image": "sidecar:1"}, {"image": image}]}}},
        }))
    }

    fn lease_of(namespace: &str, name: &str, version: &str) -> LeaseFact {
        LeaseFact {
            object: ObjectName::in_namespace(namespace, name),
            holder: "x".to_owned(),
            version: version.to_owned(),
        }
    }

    fn own() -> OwnName {
        OwnName { namespace: "plimsoll".to_owned(), lease: "plimsoll-shop".to_owned(), through_karpenter: false }
    }

    fn kinds(found: &[Rival]) -> Vec<RivalKind> {
        found.iter().map(|rival| rival.kind).collect()
    }

    #[test]
    fn autoscalers_are_known_by_their_images() {
        for (name, image, expected) in [
            (
                "aws-cluster-autoscaler",
                "registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0",
                Some(RivalKind::ClusterAutoscaler),
            ),
            ("x", "localhost:5000/cluster-autoscaler-arm64@sha256:00", Some(RivalKind::ClusterAutoscaler)),
            ("karpenter", "public.ecr.aws/karpenter/controller:1.8.0@sha256:00", Some(RivalKind::Karpenter)),
            ("spot", "gcr.io/spotinst-artifacts/kubernetes-cluster-controller:2", Some(RivalKind::Ocean)),
            ("spot", "us-docker.pkg.dev/a/b/spotinst-kubernetes-controller:v2", Some(RivalKind::Ocean)),
            ("cluster-autoscaler", "mirror/ca:1", Some(RivalKind::ClusterAutoscaler)),
            ("web", "nginx:1", None),
            ("argo", "example.com/argo/controller:1", None),
            ("", "", None),
        ] {
            assert_eq!(kind_of(&deployment_of(name, image)), expected, "{name} {image}");
        }
    }

    #[test]
    fn a_deployment_of_another_autoscaler_is_said_unless_it_is_scaled_down() {
        let ca = deployment_of("cluster-autoscaler", "registry.k8s.io/autoscaling/cluster-autoscaler:v1.33.0");
        let mut facts = RivalFacts { deployments: vec![ca], ..RivalFacts::default() };
        let found = rivals(&facts, None, &own());
        assert_eq!(
            found[0].sentence,
            "cluster-autoscaler is in charge of nodes here as well (Deployment kube-system/cluster-autoscaler): scale \
             it down to zero, or give each its own node groups"
        );
        facts.deployments[0].replicas = 0;
        assert_eq!(rivals(&facts, None, &own()), []);
    }

    #[test]
    fn leases_count_while_they_are_renewed() {
        let facts = |version: &str| RivalFacts {
            leases: vec![
                lease_of("kube-system", "cluster-autoscaler", version),
                lease_of("kube-system", "kube-scheduler", version),
                lease_of("plimsoll", "plimsoll-shop", version),
                lease_of("plimsoll", "plimsoll-other", version),
                lease_of("second", "plimsoll-shop", version),
            ],
            cluster_autoscaler_status: Some(version.to_owned()),
            ..RivalFacts::default()
        };
        assert_eq!(rivals(&facts("1"), None, &own()), [], "they may be left over");
        assert_eq!(rivals(&facts("1"), Some(&facts("1")), &own()), []);
        use RivalKind::{ClusterAutoscaler, Plimsoll};
        let found = rivals(&facts("2"), Some(&facts("1")), &own());
        assert_eq!(kinds(&found), [ClusterAutoscaler, ClusterAutoscaler, Plimsoll, Plimsoll], "{found:?}");
        assert!(
            found.iter().all(|rival| !rival.sentence.contains("plimsoll/plimsoll-shop")),
            "not ourselves: {found:?}"
        );
        let mut released = facts("2");
        released.leases.iter_mut().for_each(|lease| lease.holder.clear());
        assert_eq!(kinds(&rivals(&released, Some(&facts("1")), &own())), [ClusterAutoscaler], "only its status");
    }

    #[test]
    fn karpenter_is_a_rival_where_it_may_launch() {
        let karpenter = deployment_of("karpenter", "public.ecr.aws/karpenter/controller:1");
        let facts = RivalFacts { deployments: vec![karpenter], ..RivalFacts::default() };
        assert_eq!(rivals(&facts, None, &own()), []);
        let facts = RivalFacts { node_pools: vec!["default".to_owned()], ..facts };
        assert_eq!(kinds(&rivals(&facts, None, &own())), [RivalKind::Karpenter]);
        let through = OwnName { through_karpenter: true, ..own() };
        let found = rivals(&facts, None, &through);
        assert!(found.len() == 1 && found[0].sentence.contains("NodePools with room: default"), "{found:?}");
        for (pool, expected) in [
            (json!({}), true),
            (json!({"spec": {"limits": {"cpu": "100"}}}), true),
            (json!({"spec": {"limits": {"cpu": "0"}}}), false),
            (json!({"spec": {"limits": {"cpu": 0, "memory": "1Gi"}}}), false),
            (json!([]), true),
        ] {
            assert_eq!(may_launch(&pool), expected, "{pool}");
        }
    }
}
