//! Objects of one kind, each in a slot of its own.

use std::cmp::Ordering;
use std::sync::Arc;

use imbl::Vector;

use super::order::Order;
use crate::{Node, Pod};

/// What a table holds.
pub(super) trait Object: Clone {
    /// Namespace (empty if it has none) and name.
    fn key(&self) -> (&str, &str);

    /// True if nothing at all differs.
    fn same(&self, other: &Self) -> bool;
}

/// Objects by slot and by name. A clone shares all with its original, and a change copies what it touches.
#[derive(Clone, Debug)]
pub(super) struct Table<T> {
    slots: Vector<Option<Arc<T>>>,
    order: Order,
    /// The sum of a hash of every name.
    seed: u64,
}

// === impl Table ===

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { slots: Vector::new(), order: Order::default(), seed: 0 }
    }
}

impl<T: Object> Table<T> {
    /// How many objects there are.
    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    /// One more than the largest slot.
    pub(super) fn slots(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn seed(&self) -> u64 {
        self.seed
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Arc<T>> {
        self.slots.get(slot as usize)?.as_ref()
    }

    #[expect(
        clippy::expect_used,
        reason = "a broken promise of the caller; what comes from outside goes through `get`"
    )]
    pub(super) fn at(&self, slot: u32) -> &T {
        self.get(slot).expect("an id of this snapshot")
    }

    pub(super) fn find(&self, key: (&str, &str)) -> Option<(u32, &Arc<T>)> {
        let slot = self.order.find(self.against(key))?;
        Some((slot, self.get(slot)?))
    }

    /// All objects, in the order of names.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        self.in_order(&self.order)
    }

    /// The objects in these slots.
    pub(super) fn in_order(&self, order: &Order) -> impl Iterator<Item = (u32, &T)> {
        let row = |&slot: &u32| Some((slot, &**self.get(slot)?));
        // A chunk is looked up as a whole, so that the memory of one object is not waited for to find the next: for
        // 150,000 pods a third of the time.
        order.chunks().flat_map(move |chunk| chunk.iter().filter_map(row).collect::<Vec<_>>())
    }

    /// How the name in a slot compares with this one.
    pub(super) fn against(&self, key: (&str, &str)) -> impl Fn(u32) -> Ordering {
        against(&self.slots, key)
    }

    /// Puts a new object into a slot, which is free or the next one.
    pub(super) fn add(&mut self, slot: u32, object: T) {
        self.order.insert(slot, against(&self.slots, object.key()));
        self.seed = self.seed.wrapping_add(hash(object.key()));
        if slot as usize == self.slots.len() {
            self.slots.push_back(Some(Arc::new(object)));
        } else {
            self.replace(slot, object);
        }
    }

    /// Puts an object where one of its name was.
    pub(super) fn replace(&mut self, slot: u32, object: T) {
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(Arc::new(object));
        }
    }

    /// Leaves a slot empty.
    pub(super) fn remove(&mut self, slot: u32) {
        let Some(object) = self.get(slot).cloned() else { return };
        self.seed = self.seed.wrapping_sub(hash(object.key()));
        self.order.remove(against(&self.slots, object.key()));
        self.slots.set(slot as usize, None);
    }

    /// Drops empty slots at the end.
    pub(super) fn trim(&mut self) {
        while let Some(None) = self.slots.last() {
            self.slots.pop_back();
        }
    }

    /// True if a slot holds something else here than there.
    pub(super) fn differs(&self, other: &Self, slot: u32) -> bool {
        match (self.get(slot), other.get(slot)) {
            (Some(here), Some(there)) => !Arc::ptr_eq(here, there) && !here.same(there),
            (here, there) => here.is_some() != there.is_some(),
        }
    }
}

fn against<T: Object>(slots: &Vector<Option<Arc<T>>>, key: (&str, &str)) -> impl Fn(u32) -> Ordering {
    move |slot| match slots.get(slot as usize) {
        Some(Some(object)) => object.key().cmp(&key),
        _ => Ordering::Less,
    }
}

/// FNV-1a of a name.
fn hash((namespace, name): (&str, &str)) -> u64 {
    // No name has such a byte, so no two pairs read the same.
    let bytes = namespace.bytes().chain([0xff]).chain(name.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

// === impl Object ===

impl Object for Node {
    fn key(&self) -> (&str, &str) {
        ("", &self.name)
    }

    fn same(&self, other: &Self) -> bool {
        // Taken apart, so that a new field cannot be forgotten here.
        let Self {
            name,
            uid,
            labels,
            annotations,
            taints,
            allocatable,
            unschedulable,
            ready,
            created,
            deleting,
            launching,
            addresses,
            provider_id,
            ready_changed,
            conditions,
            attached_volumes,
        } = self;
        *name == other.name
            && *uid == other.uid
            && *labels == other.labels
            && *annotations == other.annotations
            && *taints == other.taints
            && *allocatable == other.allocatable
            && *unschedulable == other.unschedulable
            && *ready == other.ready
            && *created == other.created
            && *deleting == other.deleting
            && *launching == other.launching
            && *addresses == other.addresses
            && *provider_id == other.provider_id
            && *ready_changed == other.ready_changed
            && *conditions == other.conditions
            && *attached_volumes == other.attached_volumes
    }
}

impl Object for Pod {
    fn key(&self) -> (&str, &str) {
        (&self.namespace, &self.name)
    }

    fn same(&self, other: &Self) -> bool {
        let Self {
            namespace,
            name,
            uid,
            labels,
            annotations,
            owner,
            shape,
            node,
            phase,
            scheduling,
            priority_class,
            ready,
            created,
            deletion,
            grace,
            volumes,
            claims,
        } = self;
        *name == other.name
            && *namespace == other.namespace
            && *uid == other.uid
            && *labels == other.labels
            && *annotations == other.annotations
            && *owner == other.owner
            && *shape == other.shape
            && *node == other.node
            && *phase == other.phase
            && *scheduling == other.scheduling
            && *priority_class == other.priority_class
            && *ready == other.ready
            && *created == other.created
            && *deletion == other.deletion
            && *grace == other.grace
            && *volumes == other.volumes
            && *claims == other.claims
    }
}
