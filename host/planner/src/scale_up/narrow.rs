//! Which instance types of a group are worth counting in full.
//!
//! A group may allow hundreds of types. Packing pods on each of them, in each zone, is what planning spends its time on, and
//! most differ in size only. Karpenter, too, launches from a part of its types (60 at most). Offered are the cheapest by
//! volume, some of every size, and the one that takes the most pods.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use plimsoll_model::{Lifecycle, Text};

use super::offer::{Market, View};

/// Types of one group, zone and lifecycle that are offered in one round.
const MOST_TYPES: usize = 36;
/// Of these, the cheapest by volume.
const CHEAPEST: usize = 12;

/// How cheap a type is for what it takes: lower is better.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
struct Rank(f64);

/// The templates among `open` that are offered.
pub(super) fn narrow(market: &Market<'_>, view: &View, open: Vec<usize>) -> Vec<usize> {
    let mut kinds: BTreeMap<(&Text, &Text, Lifecycle), Vec<usize>> = BTreeMap::new();
    for &at in &open {
        let template = &market.templates[at];
        kinds.entry((&template.group.name, template.zone, template.lifecycle)).or_default().push(at);
    }
    if kinds.values().all(|types| types.len() <= MOST_TYPES) {
        return open;
    }
    let mut kept = Vec::new();
    for types in kinds.into_values() {
        if types.len() <= MOST_TYPES {
            kept.extend(types);
            continue;
        }
        let mut ranked: Vec<(Rank, u64, usize)> = types.into_iter().filter_map(|at| rank(market, view, at)).collect();
        ranked.sort_by(|a, b| a.0.0.total_cmp(&b.0.0).then(a.2.cmp(&b.2)));
        let widest = ranked.iter().min_by_key(|(_, pods, at)| (Reverse(*pods), *at)).map(|(.., at)| *at);
        kept.extend(ranked.iter().take(CHEAPEST).map(|(.., at)| *at));
        kept.extend(widest);
        // What looks cheap by volume may pack badly: the rest are of all sizes.
        let mut rest: Vec<usize> = ranked.iter().skip(CHEAPEST).map(|(.., at)| *at).collect();
        rest.sort_by_key(|&at| (market.templates[at].node.free.cpu, at));
        kept.extend(sizes(&rest, |&at| market.templates[at].node.free.cpu.0, MOST_TYPES - CHEAPEST - 1));
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// About `most` of these, which are in the order of their sizes: each larger than the one before by the same factor.
fn sizes<T: Copy>(all: &[T], size: impl Fn(&T) -> u64, most: usize) -> Vec<T> {
    #[allow(clippy::cast_precision_loss, reason = "a step between sizes needs no last digit")]
    let number = |at: &T| size(at).max(1) as f64;
    let (Some(first), Some(last)) = (all.first().map(number), all.last().map(number)) else { return Vec::new() };
    #[allow(clippy::cast_precision_loss, reason = "it is small")]
    let factor = (last / first).powf(1.0 / most.max(1) as f64);
    let mut kept: Vec<T> = Vec::new();
    for at in all {
        if kept.last().is_none_or(|before| number(at) >= number(before) * factor) && kept.len() < most {
            kept.push(*at);
        }
    }
    kept
}

/// How cheap a template is, and how many pods it takes; `None` if none.
fn rank(market: &Market<'_>, view: &View, at: usize) -> Option<(Rank, u64, usize)> {
    let volume = market.volume(view, at);
    if volume.pods == 0 {
        return None;
    }
    let node = &market.templates[at].node.free;
    // Without prices, size stands for them: a core and 4 GiB are worth about as much as each other.
    let size = node.cpu.0.saturating_mul(1000).saturating_add(node.memory.0 >> 12);
    let price = market.templates[at].price.map_or(size, |price| price.0);
    #[allow(clippy::cast_precision_loss, reason = "a rank needs no last digit")]
    let number = |amount: u64| amount as f64;
    let taken = number(volume.cpu.0) / 1000.0 + number(volume.memory.0 >> 20) / 4096.0;
    Some((Rank(number(price) * number(volume.nodes) / taken.max(f64::MIN_POSITIVE)), volume.pods, at))
}
