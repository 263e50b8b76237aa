//! What drains take from disruption budgets.

use std::collections::HashMap;

use plimsoll_model::{PodId, Snapshot};

use super::KeptReason;

/// When the budgets of a node's pods are satisfied (`ocean-features` 4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BudgetArithmetic {
    /// A budget allows the evictions of all its pods on this node and on those that drain, at once.
    #[default]
    Batch,
    /// A budget allows one eviction: pods leave one after the other, and each waits until it may.
    Staged,
}

/// Evictions that the nodes chosen so far take from each budget.
#[derive(Debug, Default)]
pub(super) struct Budgets {
    arithmetic: BudgetArithmetic,
    used: HashMap<usize, u32>,
}

// === impl BudgetArithmetic ===

impl BudgetArithmetic {
    /// As people write it.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "batch" => Some(Self::Batch),
            "staged" => Some(Self::Staged),
            _ => None,
        }
    }
}

// === impl Budgets ===

impl Budgets {
    /// Nothing taken yet.
    pub fn new(arithmetic: BudgetArithmetic) -> Self {
        Self { arithmetic, used: HashMap::new() }
    }

    /// Which budget does not allow the eviction of these pods too, if one does not.
    pub fn check(&self, snapshot: &Snapshot, pods: &[PodId]) -> Result<(), (KeptReason, String)> {
        let mut needed: HashMap<usize, u32> = HashMap::new();
        for &pod in pods {
            let pod = snapshot.pod(pod);
            let budgets: Vec<_> = snapshot.budgets_of(pod).collect();
            if let [(_, first), (_, second), ..] = budgets.as_slice() {
                let detail = format!("pod {} is under budgets {} and {}", pod.full_name(), first.name, second.name);
                return Err((KeptReason::MultiplePdbs, detail));
            }
            for (at, budget) in budgets {
                let before = self.used.get(&at).copied().unwrap_or(0);
                let need = needed.entry(at).or_insert(before);
                *need = need.saturating_add(1);
                let wanted = match self.arithmetic {
                    BudgetArithmetic::Batch => *need,
                    BudgetArithmetic::Staged => 1,
                };
                if wanted > budget.disruptions_allowed {
                    let draining = match before {
                        0 => String::new(),
                        others => format!(", {others} of them on nodes that drain before it"),
                    };
                    let detail = format!(
                        "budget {}/{} allows {} evictions now, {wanted} are needed with pod {}{draining}",
                        budget.namespace,
                        budget.name,
                        budget.disruptions_allowed,
                        pod.full_name()
                    );
                    return Err((KeptReason::PdbBlocked, detail));
                }
            }
        }
        Ok(())
    }

    /// How many are taken from each budget, by its place in [`Snapshot::budgets`].
    pub fn used(&self) -> &HashMap<usize, u32> {
        &self.used
    }

    /// Takes the evictions of these pods, whether they are allowed or not. Where pods leave one after the other, nothing
    /// is taken before.
    pub fn take(&mut self, snapshot: &Snapshot, pods: &[PodId]) {
        if self.arithmetic == BudgetArithmetic::Staged {
            return;
        }
        for &pod in pods {
            for (at, _) in snapshot.budgets_of(snapshot.pod(pod)) {
                let used = self.used.entry(at).or_default();
                *used = used.saturating_add(1);
            }
        }
    }
}
