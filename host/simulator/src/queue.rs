//! What will happen, in the order of virtual time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use plimsoll_model::{Millis, Timestamp};

/// Events by time; those of one time in the order in which they were put in.
#[derive(Debug)]
pub struct Queue<E> {
    heap: BinaryHeap<Waiting<E>>,
    count: u64,
}

#[derive(Debug)]
struct Waiting<E> {
    at: Timestamp,
    number: u64,
    event: E,
}

impl<E> Default for Queue<E> {
    fn default() -> Self {
        Self { heap: BinaryHeap::new(), count: 0 }
    }
}

/// So much later.
pub fn later(at: Timestamp, span: Millis) -> Timestamp {
    Timestamp(at.0.saturating_add(span.0))
}

// === impl Queue ===

impl<E> Queue<E> {
    /// Something that happens at this time.
    pub fn push(&mut self, at: Timestamp, event: E) {
        self.count += 1;
        self.heap.push(Waiting { at, number: self.count, event });
    }

    /// What comes next, if it comes by `end`.
    pub fn pop(&mut self, end: Timestamp) -> Option<(Timestamp, E)> {
        if self.heap.peek()?.at > end {
            return None;
        }
        self.heap.pop().map(|waiting| (waiting.at, waiting.event))
    }
}

// === impl Waiting ===

impl<E> PartialEq for Waiting<E> {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl<E> Eq for Waiting<E> {}

impl<E> PartialOrd for Waiting<E> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Waiting<E> {
    /// The heap gives the greatest first, which is to be the earliest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_equals_in_order() {
        let mut queue = Queue::default();
        for (at, name) in [(5, "c"), (1, "a"), (5, "d"), (2, "b"), (9, "late")] {
            queue.push(Timestamp(at), name);
        }
        let order: Vec<&str> = std::iter::from_fn(|| queue.pop(Timestamp(5)).map(|(_, name)| name)).collect();
        assert_eq!(order, ["a", "b", "c", "d"]);
    }
}
