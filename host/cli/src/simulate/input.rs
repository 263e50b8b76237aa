//! The cluster that is simulated.

use anyhow::Result;
use plimsoll_kube::{Account, Progress, Source, read_dump};
use plimsoll_model::{Snapshot, Timestamp};
use std::sync::Arc;

use crate::config::Config;
use crate::progress;

/// Broken objects that are listed one by one.
const BROKEN_LISTED: usize = 20;

/// A cluster as its dump describes it.
pub struct Cluster {
    /// The cluster and the account of what was read.
    pub dump: SharedDump,
}

/// A dump whose snapshot policies can share.
pub struct SharedDump {
    /// The cluster.
    pub snapshot: Arc<Snapshot>,
    /// What was read.
    pub account: Account,
}

impl Cluster {
    /// Reads the dumps, shows how far it is, and says on standard error which objects are broken.
    pub fn read(paths: &[String]) -> Result<Self> {
        let sources: Vec<Source> = paths.iter().map(|path| Source::from(path.as_str())).collect();
        let bar = progress::spinner("reading the cluster");
        let show = |progress: Progress<'_>| {
            let part = progress.total.filter(|total| *total > 0).map(|total| progress.bytes * 100 / total);
            let part = part.map_or_else(String::new, |percent| format!(", {percent} %"));
            bar.set_message(format!("reading {}: {} objects{part}", progress.file, progress.objects));
        };
        let read = read_dump(&sources, &show);
        bar.finish_and_clear();
        let dump = read?;
        for broken in dump.account.broken.iter().take(BROKEN_LISTED) {
            eprintln!("error: {broken}");
        }
        let more = dump.account.broken.len().saturating_sub(BROKEN_LISTED);
        if more > 0 {
            eprintln!("error: {more} more objects are broken");
        }
        Ok(Self { dump: SharedDump { snapshot: Arc::new(dump.snapshot), account: dump.account } })
    }

    /// True if an object of the dump could not be used.
    pub fn broken(&self) -> bool {
        !self.dump.account.broken.is_empty()
    }

    /// What is not known of the pods and budgets because objects are broken; `None` if everything is.
    pub fn unknown(&self) -> Option<String> {
        // What has no readable kind may be either.
        let matters = |kind: &Option<String>| !matches!(kind.as_deref(), Some(kind) if !["Pod", "PodDisruptionBudget"].contains(&kind));
        let first = self.dump.account.broken.iter().find(|broken| matters(&broken.kind))?;
        Some(format!("{}:{}: an object that may be a pod or a budget could not be read", first.file, first.line))
    }

    /// The latest moment that the dump mentions.
    pub fn newest(&self) -> Option<Timestamp> {
        self.dump.account.newest
    }

    /// What is missing for a plan that can be trusted, each a sentence.
    pub fn warnings(&self, config: &Config) -> Vec<String> {
        let (snapshot, account) = (&self.dump.snapshot, &self.dump.account);
        let mut all = Vec::new();
        if self.broken() {
            all.push(format!("{} objects could not be used: the plan does not know them", account.broken.len()));
        }
        if snapshot.node_count() == 0 {
            all.push("the dump holds no nodes; add them with `kubectl get nodes -o yaml`".to_owned());
        }
        if snapshot.pod_count() == 0 {
            all.push("the dump holds no pods; add them with `kubectl get pods -A -o yaml`".to_owned());
        } else {
            let bare = snapshot.nodes().filter(|(id, node)| node.ready && snapshot.pods_on(*id).is_empty()).count();
            if bare > 0 {
                all.push(format!("{bare} ready nodes run no pods at all, not even of a DaemonSet; if the dump is partial, they are not as empty as they look"));
            }
        }
        if snapshot.pod_count() > 0 && snapshot.budgets().is_empty() {
            all.push("the dump holds no PodDisruptionBudgets; if the cluster has any, add them with `kubectl get pdb -A -o yaml`".to_owned());
        }
        if !snapshot.signing_requests().is_empty() && snapshot.machines().is_empty() {
            all.push(
                "the dump holds no Machines or NodeClaims; without an inventory no certificate is approved".to_owned(),
            );
        }
        if config.scale_up.groups.is_empty() {
            all.push("no node groups are configured; nothing can be launched (--config)".to_owned());
        }
        if !config.csr_enabled && !snapshot.signing_requests().is_empty() {
            all.push("certificate approval is off (csr.enabled); the verdicts are what would be decided".to_owned());
        }
        all
    }
}
