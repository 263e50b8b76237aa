//! Which of many nodes a shape may use, before anything runs on them.
//!
//! ```text
//!   labels ── key ── value ──> nodes ─┐
//!   names, taints, cordons  ──> nodes ─┴─ a shape: a few set operations instead of a check of each node
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use fixedbitset::FixedBitSet;
use plimsoll_model::{LabelSet, NodeSelectorTerm, Operator, PodShape, Requirement, Taint, Text};
use rustc_hash::FxHashMap;

use crate::NodeState;
use crate::filters::schedulable;

/// With so few members a set of nodes is a list: a label like the host name has as many values as there are nodes.
const FEW: usize = 32;

/// An index over nodes, or templates of nodes, by position. It answers for any shape where nothing but what runs
/// there could be in the way: cordons, taints, node selector and node affinity.
#[derive(Clone, Debug, Default)]
pub struct Suitability {
    /// What is indexed at each position.
    nodes: Vec<Option<Indexed>>,
    cordoned: FixedBitSet,
    /// Kept from all pods by the affinity that the scheduler adds.
    barred: FixedBitSet,
    taints: FxHashMap<Vec<Taint>, Members>,
    /// Names as values of one more key; every node has one.
    names: Values,
    labels: FxHashMap<Text, Values>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Indexed {
    name: Text,
    labels: Arc<LabelSet>,
    taints: Vec<Taint>,
    cordoned: bool,
    barred: bool,
}

/// The nodes that have a key, by value.
#[derive(Clone, Debug, Default)]
struct Values {
    present: FixedBitSet,
    by_value: FxHashMap<Text, Members>,
    /// The same by number, of values that are integers.
    by_number: BTreeMap<i64, Members>,
}

/// A set of positions.
#[derive(Clone, Debug)]
enum Members {
    Few(Vec<usize>),
    Many(FixedBitSet),
}

// === impl Suitability ===

impl Suitability {
    /// The index of these nodes; the first has position 0.
    pub fn of<'a>(nodes: impl IntoIterator<Item = &'a NodeState>) -> Self {
        let mut index = Self::default();
        for (at, node) in nodes.into_iter().enumerate() {
            index.set(at, Some(node));
        }
        index
    }

    /// Puts a node at a position, or takes away what is there. What is free on a node does not matter here.
    pub fn set(&mut self, at: usize, node: Option<&NodeState>) {
        let new = node.map(|node| Indexed {
            name: node.name.clone(),
            labels: node.labels.clone(),
            taints: node.taints.clone(),
            cordoned: node.unschedulable,
            barred: node.barred,
        });
        if self.nodes.len() <= at {
            self.nodes.resize(at + 1, None);
        }
        let Some(place) = self.nodes.get_mut(at).filter(|place| **place != new) else { return };
        let old = std::mem::replace(place, new.clone());
        if let Some(old) = old {
            self.remove(at, &old);
        }
        if let Some(new) = new {
            self.add(at, &new);
        }
    }

    fn add(&mut self, at: usize, node: &Indexed) {
        self.names.add(at, &node.name);
        for (key, value) in node.labels.iter() {
            self.labels.entry(key.clone()).or_default().add(at, value);
        }
        if !node.taints.is_empty() {
            self.taints.entry(node.taints.clone()).or_default().add(at);
        }
        put(&mut self.cordoned, at, node.cordoned);
        put(&mut self.barred, at, node.barred);
    }

    fn remove(&mut self, at: usize, node: &Indexed) {
        self.names.remove(at, &node.name);
        for (key, value) in node.labels.iter() {
            if let Some(values) = self.labels.get_mut(key) {
                values.remove(at, value);
                if values.by_value.is_empty() {
                    self.labels.remove(key);
                }
            }
        }
        take(&mut self.taints, &node.taints, at);
    }

    /// The positions of nodes that nothing but what runs there could keep a pod of this shape off.
    pub fn suits(&self, shape: &PodShape) -> FixedBitSet {
        let mut fit = self.names.present.clone();
        fit.grow(self.nodes.len());
        fit.difference_with(&self.barred);
        if !schedulable(shape, &NodeState { unschedulable: true, ..NodeState::default() }) {
            fit.difference_with(&self.cordoned);
        }
        let tolerated = |taint| shape.tolerations.iter().any(|toleration| toleration.tolerates(taint));
        for (taints, members) in &self.taints {
            if taints.iter().any(|taint| taint.repels() && !tolerated(taint)) {
                members.take_from(&mut fit);
            }
        }
        for (key, value) in shape.node_selector.iter() {
            match self.labels.get(key).and_then(|values| values.by_value.get(value)) {
                Some(members) => members.keep_in(&mut fit),
                None => fit.clear(),
            }
        }
        if let Some(affinity) = &shape.node_affinity {
            // What no term has let in yet.
            let mut left = fit.clone();
            for term in &affinity.terms {
                if left.is_clear() {
                    break;
                }
                let let_in = self.term(term, &left);
                left.difference_with(&let_in);
            }
            fit.difference_with(&left);
        }
        fit
    }

    /// Those of some positions that meet a term.
    fn term(&self, term: &NodeSelectorTerm, among: &FixedBitSet) -> FixedBitSet {
        let mut met = among.clone();
        let absent = Values::default();
        for requirement in &term.match_expressions {
            self.labels.get(&requirement.key).unwrap_or(&absent).keep(requirement, &mut met);
        }
        for requirement in &term.match_fields {
            if requirement.key == "metadata.name" {
                self.names.keep(requirement, &mut met);
            } else {
                met.clear();
            }
        }
        if term.match_expressions.is_empty() && term.match_fields.is_empty() {
            met.clear();
        }
        met
    }
}

fn put(set: &mut FixedBitSet, at: usize, member: bool) {
    if member {
        set.grow(at + 1);
        set.insert(at);
    } else if set.contains(at) {
        set.set(at, false);
    }
}

/// Takes a position out of the set under a key, which goes when it is empty.
fn take<K: Eq + std::hash::Hash>(sets: &mut FxHashMap<K, Members>, key: &K, at: usize) {
    if let Some(members) = sets.get_mut(key) {
        members.remove(at);
        if members.is_empty() {
            sets.remove(key);
        }
    }
}

// === impl Values ===

impl Values {
    fn add(&mut self, at: usize, value: &Text) {
        put(&mut self.present, at, true);
        self.by_value.entry(value.clone()).or_default().add(at);
        if let Ok(number) = value.parse() {
            self.by_number.entry(number).or_default().add(at);
        }
    }

    fn remove(&mut self, at: usize, value: &Text) {
        put(&mut self.present, at, false);
        take(&mut self.by_value, value, at);
        if let Ok(number) = value.parse()
            && let Some(members) = self.by_number.get_mut(&number)
        {
            members.remove(at);
            if members.is_empty() {
                self.by_number.remove(&number);
            }
        }
    }

    /// Keeps those of a set whose value meets a requirement ([`Requirement::accepts`]).
    fn keep(&self, requirement: &Requirement, set: &mut FixedBitSet) {
        // A selector may list ten thousand values; what is empty already stays so.
        if set.is_clear() {
            return;
        }
        let named = requirement.values.iter().filter_map(|value| self.by_value.get(value));
        match requirement.operator {
            Operator::In => keep_any(named, set),
            Operator::NotIn => named.for_each(|members| members.take_from(set)),
            Operator::Exists => set.intersect_with(&self.present),
            Operator::DoesNotExist => set.difference_with(&self.present),
            Operator::Gt | Operator::Lt => match requirement.values.as_slice() {
                [bound] => match bound.parse::<i64>() {
                    Ok(bound) if requirement.operator == Operator::Lt => {
                        keep_any(self.by_number.range(..bound).map(|(_, members)| members), set);
                    }
                    Ok(bound) => {
                        let above = self.by_number.range(bound..).filter(|(number, _)| **number > bound);
                        keep_any(above.map(|(_, members)| members), set);
                    }
                    Err(_) => set.clear(),
                },
                _ => set.clear(),
            },
        }
    }
}

/// Keeps those of a set that are in one of these.
fn keep_any<'a>(mut all: impl Iterator<Item = &'a Members>, set: &mut FixedBitSet) {
    match (all.next(), all.next()) {
        (None, _) => set.clear(),
        (Some(only), None) => only.keep_in(set),
        (Some(first), Some(second)) => {
            let mut union = FixedBitSet::with_capacity(set.len());
            [first, second].into_iter().chain(all).for_each(|members| members.add_to(&mut union));
            set.intersect_with(&union);
        }
    }
}

// === impl Members ===

impl Default for Members {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Members {
    fn add(&mut self, at: usize) {
        match self {
            Self::Few(list) if list.len() < FEW => list.push(at),
            Self::Few(list) => *self = Self::Many(list.iter().copied().chain([at]).collect()),
            Self::Many(set) => put(set, at, true),
        }
    }

    fn remove(&mut self, at: usize) {
        match self {
            Self::Few(list) => list.retain(|known| *known != at),
            Self::Many(set) => put(set, at, false),
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            Self::Few(list) => list.is_empty(),
            Self::Many(set) => set.is_clear(),
        }
    }

    fn add_to(&self, set: &mut FixedBitSet) {
        match self {
            Self::Few(list) => list.iter().for_each(|&at| put(set, at, true)),
            Self::Many(members) => set.union_with(members),
        }
    }

    fn take_from(&self, set: &mut FixedBitSet) {
        match self {
            Self::Few(list) => list.iter().for_each(|&at| put(set, at, false)),
            Self::Many(members) => set.difference_with(members),
        }
    }

    fn keep_in(&self, set: &mut FixedBitSet) {
        match self {
            Self::Few(list) => {
                let kept: Vec<usize> = list.iter().copied().filter(|&at| set.contains(at)).collect();
                set.clear();
                set.extend(kept);
            }
            Self::Many(members) => set.intersect_with(members),
        }
    }
}
