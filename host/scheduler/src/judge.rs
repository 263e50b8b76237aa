//! Would a pod fit on a node of the simulation, how many, and why not?

use plimsoll_model::{NodeId, Text};

use crate::filters::{schedulable, static_fit, why_not_here};
use crate::rules::{Breach, Counters};
use crate::tracker::{Counted, TrackerId};
use crate::{ClassId, Filter, NodeState, Rejection, Simulation};

impl Simulation {
    /// How many pods of a prepared class a node takes at once, at most `want`. This is kube-scheduler's verdict
    /// for one pod after the other; a node that is not open takes none.
    pub fn room_for(&self, class: ClassId, id: NodeId, want: u32) -> u32 {
        match self.node(id).filter(|_| self.is_open(id)) {
            Some(node) => self.room_on(class, id, node, want),
            None => 0,
        }
    }

    fn room_on(&self, class: ClassId, id: NodeId, node: &NodeState, want: u32) -> u32 {
        let known = self.class(class);
        let shape = &known.shape;
        // Most nodes of a busy cluster are out by a comparison of two numbers.
        let mut room = node.room_for(shape, want);
        if room == 0 || shape.resource_claims || !static_fit(shape, node) {
            return 0;
        }
        if let Some(volumes) = &known.volumes {
            room = volumes.room(node, room);
        }
        let (Some(rules), Some(place)) = (self.rules(class), self.place(id)) else { return room };
        let eligible = |tracker: TrackerId| self.tracker(tracker).eligible(id.0 as usize);
        room = room.min(self.rule_room(rules, place, &eligible));
        // A node without the key has no domain in which the first of two would be in the way of the second.
        let feeds = self.feeds(class);
        let apart = |id: &TrackerId| feeds.contains(id) && place.domain(self.key(*id)).is_some();
        if rules.away.iter().chain(&rules.repelled).any(apart) { room.min(1) } else { room }
    }

    /// True if kube-scheduler would let a pod of a prepared class run on the node.
    pub fn fits(&self, class: ClassId, node: NodeId) -> bool {
        self.room_for(class, node, 1) == 1
    }

    /// Everything that keeps a pod of a prepared class off a node; empty if it fits. `node_name` is the pod's
    /// `spec.nodeName`.
    pub fn why_not(&self, class: ClassId, node_name: Option<&Text>, id: NodeId) -> Vec<Rejection> {
        let Some(node) = self.node(id) else { return Vec::new() };
        let known = self.class(class);
        let mut all = why_not_here(&known.shape, node_name, node);
        if let Some(volumes) = &known.volumes {
            all.extend(volumes.why_not(node));
        }
        if let (Some(rules), Some(place)) = (self.rules(class), self.place(id)) {
            let eligible = |tracker: TrackerId| self.tracker(tracker).eligible(id.0 as usize);
            all.extend(self.rejections(class, self.breaches(rules, place, &eligible)));
        }
        if !self.is_open(id) && schedulable(&known.shape, node) {
            // Kubernetes taints such a node; a dump may have been taken before that.
            all.push(Rejection { filter: Filter::NodeUnschedulable, reason: "the node is not ready".to_owned() });
        }
        all.sort_by_key(|rejection| rejection.filter);
        all
    }

    /// Broken rules between pods, each once and in an order that does not depend on which was met first.
    pub(crate) fn rejections(&self, class: ClassId, breaches: Vec<Breach>) -> Vec<Rejection> {
        let mut all: Vec<Rejection> = breaches.into_iter().map(|breach| self.rejection(class, breach)).collect();
        all.sort_by(|a, b| (a.filter, &a.reason).cmp(&(b.filter, &b.reason)));
        all.dedup();
        all
    }

    /// A broken rule between pods, for a person.
    pub(crate) fn rejection(&self, class: ClassId, breach: Breach) -> Rejection {
        let key = |id: TrackerId| self.topology.name(self.key(id));
        let (filter, reason) = match breach {
            Breach::Near(id) => {
                (Filter::InterPodAffinity, format!("no pod that its required affinity names is in this {}", key(id)))
            }
            Breach::Away(id) => {
                (Filter::InterPodAffinity, format!("a pod that its anti-affinity names is in this {}", key(id)))
            }
            Breach::Repelled(id) => {
                (Filter::InterPodAffinity, format!("the anti-affinity of a pod in this {} names it", key(id)))
            }
            Breach::NoDomain(id) => {
                (Filter::PodTopologySpread, format!("the node lacks label {} of a spread constraint", key(id)))
            }
            Breach::Skew(id, count, floor) => {
                let rules = self.rules(class);
                let rule = rules.and_then(|rules| rules.spread.iter().find(|rule| rule.tracker == id));
                let most = rule.map_or(0, |rule| rule.max_skew);
                let reason =
                    format!("this {} has {count} such pods, the least any has is {floor}; maxSkew is {most}", key(id));
                (Filter::PodTopologySpread, reason)
            }
        };
        Rejection { filter, reason }
    }

    /// True if a class's rules between pods look at anything at all.
    pub fn is_topological(&self, class: ClassId) -> bool {
        self.rules(class).is_some_and(|rules| {
            !(rules.near.is_empty() && rules.away.is_empty() && rules.repelled.is_empty() && rules.spread.is_empty())
        })
    }

    /// True if a counter counts pods for spread.
    pub(crate) fn counts_spread(&self, id: TrackerId) -> bool {
        matches!(self.tracker(id).counted, Counted::Spread(_))
    }
}
