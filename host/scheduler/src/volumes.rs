//! What the volumes of a pod need of a node.
//!
//! Source of the rules: the plugins `volumebinding`, `volumezone`, `volumerestrictions` and `nodevolumelimits` under
//! `pkg/scheduler/framework/plugins` of kubernetes, 1.31 to 1.36. Not simulated: storage capacity that a CSI driver
//! publishes, selectors and access modes of claims that wait for a free volume, and that a claim shared by several
//! pods is bound where the first of them goes.

use std::sync::Arc;

use plimsoll_model::{
    Bytes, NodeSelector, NodeSelectorTerm, Pod, Snapshot, StorageClass, Text, VolumeClaim, well_known,
};

use crate::supply::{Supplies, Supply, reaches};
use crate::volume_problem::VolumeProblem;
use crate::{NodeState, Rejection};

/// Labels by which volumes are bound to nodes, of both kinds of objects.
const ZONE_KEYS: [&str; 4] = [well_known::ZONE_BETA, well_known::REGION_BETA, well_known::ZONE, well_known::REGION];

/// With so many other pods that want a claim for one pod, nobody looks which of them has it: one of them will.
const CROWD: u32 = 1000;

/// What the volumes of a pod need of a node. Pods that mount different claims are equal here if all of their volumes
/// need the same; only a claim that keeps its pod off every node is known by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct VolumeNeeds {
    /// What keeps the pod off every node.
    everywhere: Vec<VolumeProblem>,
    /// Node affinity of volumes, each different one once.
    reach: Vec<NodeSelector>,
    /// Zone and region labels of volumes with the values that a node may have.
    zones: Vec<(Text, Vec<Text>)>,
    /// Claims for which a volume must be found or made, by class and size.
    waiting: Vec<Waiting>,
    /// Volumes that no other pod mounts, by driver.
    private: Vec<(Text, u32)>,
    /// Volumes that other pods mount too: driver and handle.
    shared: Vec<(Text, Text)>,
    /// The snapshot lacks what would be needed to say more.
    unknown: bool,
}

/// A claim that gets its volume when the pod gets its node, and cannot get it just anywhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    class: Text,
    request: Bytes,
    /// Where a volume can be made; `None` if nobody makes any.
    made_in: Option<Vec<NodeSelectorTerm>>,
    supply: Arc<Supply>,
}

/// Volumes of the pods on a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attached {
    /// Volumes that one pod mounts, by driver.
    private: Vec<(Text, u32)>,
    /// Volumes that several pods mount, each once.
    shared: Vec<(Text, Text)>,
    /// Free volumes that were promised to claims of classes whose volumes nobody makes: class and request, in the
    /// order of promises.
    promised: Vec<(Text, Bytes)>,
}

// === impl VolumeNeeds: of a pod ===

impl VolumeNeeds {
    /// What the volumes of a pod need; `None` if it has no claims.
    pub fn of(snapshot: &Snapshot, pod: &Pod) -> Option<Self> {
        Self::with(snapshot, pod, &mut Supplies::default())
    }

    /// The same, with what was put together for other pods of the snapshot.
    pub(crate) fn with(snapshot: &Snapshot, pod: &Pod, supplies: &mut Supplies) -> Option<Self> {
        (!pod.claims.is_empty()).then(|| Self::of_claims(snapshot, pod, &pod.claims, supplies))
    }

    /// The claims of a pod that keep it off a node, each by itself, with what is wrong; for whoever explains. What
    /// is in the way of all of them together, a limit for example, is not here but in [`Self::problems`].
    pub fn blame<'a>(snapshot: &Snapshot, pod: &'a Pod, node: &NodeState) -> Vec<(&'a Text, VolumeProblem)> {
        let mut supplies = Supplies::default();
        let mut all = Vec::new();
        for claim in &*pod.claims {
            let needs = Self::of_claims(snapshot, pod, std::slice::from_ref(claim), &mut supplies);
            all.extend(needs.problems(node).into_iter().map(|problem| (claim, problem)));
        }
        all
    }

    fn of_claims(snapshot: &Snapshot, pod: &Pod, claims: &[Text], supplies: &mut Supplies) -> Self {
        // Without a single claim the snapshot is of a dump that left them out.
        let mut needs = Self { unknown: snapshot.claims().next().is_none(), ..Self::default() };
        if !needs.unknown {
            for name in claims {
                needs.require(snapshot, pod, name, supplies);
            }
        }
        needs.waiting.sort_by(|a, b| (&a.class, a.request).cmp(&(&b.class, b.request)));
        needs.zones.sort_unstable();
        needs.private.sort_unstable();
        needs.shared.sort_unstable();
        needs.shared.dedup();
        needs
    }

    fn require(&mut self, snapshot: &Snapshot, pod: &Pod, name: &Text, supplies: &mut Supplies) {
        let Some(claim) = snapshot.claim(&pod.namespace, name) else {
            self.everywhere.push(VolumeProblem::NoClaim(name.clone()));
            return;
        };
        if claim.deleting {
            self.everywhere.push(VolumeProblem::Deleting(name.clone()));
        }
        let users = || snapshot.claim_users(&pod.namespace, name).map(|id| snapshot.pod(id));
        let mut others = users().filter(|other| other.name != pod.name).peekable();
        let shared = others.peek().is_some();
        if claim.one_pod && others.zip(1..).any(|(other, met)| other.node.is_some() || met == CROWD) {
            self.everywhere.push(VolumeProblem::InUse(name.clone()));
        }
        match &claim.volume {
            Some(volume) => self.require_volume(snapshot, claim, volume, shared),
            None => self.require_new(snapshot, claim, shared, supplies),
        }
    }

    /// A claim that is bound.
    fn require_volume(&mut self, snapshot: &Snapshot, claim: &VolumeClaim, name: &Text, shared: bool) {
        let Some(volume) = snapshot.volume(name) else {
            if snapshot.volumes().next().is_none() {
                self.unknown = true;
            } else {
                self.everywhere.push(VolumeProblem::Lost(claim.name.clone(), name.clone()));
            }
            return;
        };
        if let Some(affinity) = volume.node_affinity.as_ref().filter(|affinity| !self.reach.contains(affinity)) {
            self.reach.push(affinity.clone());
        }
        for key in ZONE_KEYS {
            if let Some(zone) = volume.labels.get(key).and_then(|value| zone_values(key, value))
                && !self.zones.contains(&zone)
            {
                self.zones.push(zone);
            }
        }
        if let Some(driver) = &volume.driver {
            self.attach(driver, shared, || volume.handle.clone());
        }
    }

    /// A claim that waits for a volume.
    fn require_new(&mut self, snapshot: &Snapshot, claim: &VolumeClaim, shared: bool, supplies: &mut Supplies) {
        let name = claim.class.as_ref().or_else(|| supplies.default_class(snapshot)).cloned();
        let Some(class) = name.as_ref().and_then(|name| snapshot.storage_class(name)) else {
            let unlisted = name.is_some_and(|name| !name.is_empty()) && snapshot.storage_classes().next().is_none();
            if unlisted {
                self.unknown = true;
            } else {
                self.everywhere.push(VolumeProblem::Unbound(claim.name.clone()));
            }
            return;
        };
        if !class.waits_for_consumer {
            self.everywhere.push(VolumeProblem::Unbound(claim.name.clone()));
            return;
        }
        let driver = driver_of(class);
        if let Some(driver) = &driver {
            // The name that kube-scheduler makes up for a volume that has none (`getCSIDriverInfoFromSC`).
            self.attach(driver, shared, || format!("{}/{}", claim.namespace, claim.name).into());
        }
        if driver.is_none() || !class.allowed_topologies.is_empty() {
            self.waiting.push(Waiting {
                class: class.name.clone(),
                request: claim.request,
                made_in: driver.map(|_| class.allowed_topologies.clone()),
                supply: supplies.of(snapshot, &class.name),
            });
        }
    }

    fn attach(&mut self, driver: &Text, shared: bool, handle: impl Fn() -> Text) {
        if shared {
            self.shared.push((driver.clone(), handle()));
        } else {
            count(&mut self.private, driver, 1);
        }
    }
}

/// The values that a node may have, from the label of a volume: several are joined by two underscores. A label that
/// cannot be read is passed over (`LabelZonesToSet` of k8s.io/cloud-provider).
fn zone_values(key: &str, value: &str) -> Option<(Text, Vec<Text>)> {
    let mut values: Vec<Text> = value.split("__").map(|value| value.trim().into()).collect();
    values.sort_unstable();
    values.dedup();
    (!values.iter().any(|value| value.is_empty())).then(|| (key.into(), values))
}

/// The CSI driver that makes volumes of a class; `None` if nobody does. Old in-tree names stand for the drivers that
/// replaced them (k8s.io/csi-translation-lib).
fn driver_of(class: &StorageClass) -> Option<Text> {
    match class.provisioner.as_str() {
        "" | "kubernetes.io/no-provisioner" => None,
        "kubernetes.io/aws-ebs" => Some("ebs.csi.aws.com".into()),
        "kubernetes.io/gce-pd" => Some("pd.csi.storage.gke.io".into()),
        "kubernetes.io/azure-disk" => Some("disk.csi.azure.com".into()),
        _ => Some(class.provisioner.clone()),
    }
}

// === impl VolumeNeeds: on a node ===

impl VolumeNeeds {
    /// False if the snapshot lacks what would be needed to judge: it has no claims at all, no volumes though claims
    /// are bound, or no storage classes though claims name some. Such needs reject nothing.
    pub fn known(&self) -> bool {
        !self.unknown
    }

    /// Everything about volumes that keeps the pod off a node.
    pub fn why_not(&self, node: &NodeState) -> Vec<Rejection> {
        self.problems(node).into_iter().map(Rejection::from).collect()
    }

    /// The same, for whoever sorts by what is wrong.
    pub fn problems(&self, node: &NodeState) -> Vec<VolumeProblem> {
        let mut all = self.everywhere.clone();
        let out_of_reach = self.reach.iter().filter(|affinity| !reaches(affinity, &node.labels));
        all.extend(out_of_reach.map(VolumeProblem::out_of_reach));
        for (key, values) in self.zones_missed(node) {
            all.push(VolumeProblem::OtherZone { key: key.clone(), values: values.clone() });
        }
        for waiting in self.waiting.chunk_by(|a, b| a.class == b.class) {
            if self.waiting_room(waiting, node, 1) == 0
                && let Some(Waiting { class, made_in, .. }) = waiting.first()
            {
                all.push(VolumeProblem::NoVolume { class: class.clone(), made: made_in.is_some() });
            }
        }
        for (driver, most) in &node.volume_limits {
            let (attached, more) = (node.attached.volumes(driver), self.new_volumes(driver, node));
            if more > 0 && attached.saturating_add(more) > *most {
                all.push(VolumeProblem::TooMany { driver: driver.clone(), attached, more, most: *most });
            }
        }
        all
    }

    /// How many pods with such needs the node takes, at most `want`.
    pub fn room(&self, node: &NodeState, want: u32) -> u32 {
        let out = !self.everywhere.is_empty()
            || self.reach.iter().any(|affinity| !reaches(affinity, &node.labels))
            || self.zones_missed(node).next().is_some();
        if out {
            return 0;
        }
        let mut room = want;
        for (driver, most) in &node.volume_limits {
            let each = self.private.iter().find(|(known, _)| known == driver).map_or(0, |(_, volumes)| *volumes);
            let once = self.new_volumes(driver, node) - each;
            let free = most.saturating_sub(node.attached.volumes(driver)).checked_sub(once);
            // What attaches nothing may come to a node that is over its limit.
            room = room.min(free.map_or(0, |free| free.checked_div(each).unwrap_or(u32::MAX)));
        }
        for waiting in self.waiting.chunk_by(|a, b| a.class == b.class) {
            room = self.waiting_room(waiting, node, room);
        }
        room
    }

    /// Zone and region labels of volumes that a node has not, or with another value. A node without any of them is
    /// taken to be of a cluster of one zone.
    fn zones_missed<'a>(&'a self, node: &'a NodeState) -> impl Iterator<Item = &'a (Text, Vec<Text>)> {
        let zoned = ZONE_KEYS.iter().any(|key| node.labels.get(key).is_some());
        self.zones.iter().filter(move |(key, values)| {
            let value = node.labels.get(key).or_else(|| node.labels.get(present_name(key)));
            zoned && !value.is_some_and(|value| values.contains(value))
        })
    }

    /// Volumes that one more pod would attach to a node.
    fn new_volumes(&self, driver: &Text, node: &NodeState) -> u32 {
        let private = self.private.iter().find(|(known, _)| known == driver).map_or(0, |(_, volumes)| *volumes);
        let shared = self.shared.iter().filter(|known| known.0 == *driver && !node.attached.shared.contains(known));
        private.saturating_add(u32::try_from(shared.count()).unwrap_or(u32::MAX))
    }

    /// How many pods find volumes for claims of one class, each taking the smallest that is large enough
    /// (`findMatchingVolumes` of kube-scheduler). `claims` are sorted by size.
    fn waiting_room(&self, claims: &[Waiting], node: &NodeState, want: u32) -> u32 {
        let Some(first) = claims.first() else { return want };
        let made = |terms: &Vec<NodeSelectorTerm>| terms.iter().any(|term| term.matches(&node.name, &node.labels));
        if first.made_in.as_ref().is_some_and(made) {
            return want;
        }
        let mut sizes = first.supply.sizes_at(&node.labels);
        let mut take = |request: Bytes| {
            let at = sizes.partition_point(|size| *size < request);
            (at < sizes.len()).then(|| sizes.remove(at)).is_some()
        };
        for (_, request) in node.attached.promised.iter().filter(|(class, _)| *class == first.class) {
            take(*request);
        }
        let mut room = 0;
        while room < want && claims.iter().all(|claim| take(claim.request)) {
            room += 1;
        }
        room
    }
}

/// The name that replaced a beta label.
fn present_name(key: &str) -> &str {
    match key {
        well_known::ZONE_BETA => well_known::ZONE,
        well_known::REGION_BETA => well_known::REGION,
        _ => key,
    }
}

// === impl Attached ===

impl Attached {
    /// Attaches the volumes of `pods` pods.
    pub fn add(&mut self, needs: &VolumeNeeds, pods: u32) {
        if pods == 0 {
            return;
        }
        for (driver, volumes) in &needs.private {
            count(&mut self.private, driver, volumes.saturating_mul(pods));
        }
        for volume in &needs.shared {
            if !self.shared.contains(volume) {
                self.shared.push(volume.clone());
            }
        }
        for _ in 0..pods {
            let found = needs.waiting.iter().filter(|waiting| waiting.made_in.is_none());
            self.promised.extend(found.map(|waiting| (waiting.class.clone(), waiting.request)));
        }
    }

    /// How many volumes of a driver are attached.
    fn volumes(&self, driver: &Text) -> u32 {
        let private = self.private.iter().find(|(known, _)| known == driver).map_or(0, |(_, volumes)| *volumes);
        let shared = self.shared.iter().filter(|(known, _)| known == driver).count();
        private.saturating_add(u32::try_from(shared).unwrap_or(u32::MAX))
    }
}

fn count(all: &mut Vec<(Text, u32)>, driver: &Text, volumes: u32) {
    match all.iter_mut().find(|(known, _)| known == driver) {
        Some((_, known)) => *known = known.saturating_add(volumes),
        None => all.push((driver.clone(), volumes)),
    }
}
