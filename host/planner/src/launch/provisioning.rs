//! How far each group's nodes have come, for status.

use std::collections::{BTreeMap, HashMap};

use plimsoll_model::{GroupIndex, Snapshot, Text, Timestamp};

use super::entry::Stage;
use super::{GroupFacts, Ledger};
use crate::scale_up::ScaleUpConfig;

/// How far the nodes of a group have come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GroupProvisioning {
    /// The group.
    pub group: Text,
    /// The size that the provider is to make it, where it says so.
    pub target: Option<u32>,
    /// Nodes that are there.
    pub joined: u32,
    /// Those of them that are ready.
    pub ready: u32,
    /// Nodes on their way.
    pub launching: u32,
    /// Nodes that were given up lately, or are there and were never usable.
    pub not_joined: u32,
    /// Until when some of it, or all, is not launched; the longest of several.
    pub blocked_until: Option<Timestamp>,
    /// Why not.
    pub blocked_why: Option<String>,
}

impl Ledger {
    /// How far the nodes of every configured group have come, and those of groups that only the ledger knows, in the
    /// order of the configuration. `config` with the blocks that hold now.
    pub fn provisioning(
        &self,
        config: &ScaleUpConfig,
        facts: &[GroupFacts],
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Vec<GroupProvisioning> {
        let index = GroupIndex::of(&config.groups);
        let row = |group: &Text| GroupProvisioning { group: group.clone(), ..GroupProvisioning::default() };
        let mut all: Vec<GroupProvisioning> = config.groups.iter().map(|group| row(&group.name)).collect();
        for (_, node) in snapshot.nodes().filter(|(_, node)| !node.launching) {
            if let Some((at, _)) = index.group_of(node) {
                all[at].joined += 1;
                all[at].ready += u32::from(node.ready);
            }
        }
        let mut places: HashMap<Text, usize> =
            all.iter().enumerate().rev().map(|(at, group)| (group.group.clone(), at)).collect();
        let mut others: BTreeMap<Text, GroupProvisioning> = BTreeMap::new();
        for entry in &self.entries {
            let group = match places.get_mut(entry.group()) {
                Some(at) => &mut all[*at],
                None => others.entry(entry.group().clone()).or_insert_with(|| row(entry.group())),
            };
            let coming = entry.coming(&self.rules, now);
            group.launching = group.launching.saturating_add(coming);
            let stuck = entry.nodes.iter().filter(|node| matches!(node.stage, Stage::Late | Stage::Stuck)).count();
            let lost = if coming == 0 { entry.missing() } else { 0 };
            let late = u32::try_from(stuck).unwrap_or(u32::MAX).saturating_add(lost);
            group.not_joined = group.not_joined.saturating_add(late);
        }
        all.extend(others.into_values());
        let targets: HashMap<&Text, u32> = facts.iter().rev().map(|group| (&group.id, group.target)).collect();
        for group in &mut all {
            group.target = targets.get(&group.group).copied();
            let own = self.backoffs.blocks(now).chain(config.blocked.iter().filter(|block| block.until > now));
            if let Some(block) = own.filter(|block| block.group == group.group).max_by_key(|block| block.until) {
                group.blocked_until = Some(block.until);
                group.blocked_why = Some(block.why.clone());
            }
        }
        all
    }
}
