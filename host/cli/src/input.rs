//! What is read before anything is planned: a cluster, a configuration, policies.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Result, bail};
use clap::Args;
use plimsoll_kube::{Account, Progress, Source, read_dump};
use plimsoll_model::{Snapshot, Timestamp};
use plimsoll_planner::csr::CsrRules;
use plimsoll_planner::scale_up::max_pods_mismatches;
use plimsoll_policy::{Change, PolicyRegistry};

use crate::config::Config;
use crate::run::ConnectionArguments;
use crate::{live, policies, progress};

/// Where everything is.
#[derive(Debug, Args)]
pub struct Inputs {
    /// Dumps of one cluster: files or folders, YAML or JSON, as `kubectl get` writes
    /// them; `-` for standard input; `live` for the cluster itself.
    #[arg(long, num_args = 1.., value_name = "PATH")]
    pub cluster: Vec<String>,
    /// The configuration: node groups, limits, rules, policies.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// A folder of policies (`*.wasm`) to ask before the configured ones, in the order of their names.
    #[arg(long, value_name = "DIR")]
    pub policies: Option<PathBuf>,
    /// The time of the decisions, RFC 3339; by default the latest moment that the dump mentions.
    #[arg(long, value_name = "TIME")]
    now: Option<jiff::Timestamp>,
}

/// All of it, read and loaded.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The cluster.
    pub cluster: Cluster,
    /// The policies.
    pub registry: PolicyRegistry,
    /// A policy is not what is configured.
    refused: bool,
}

/// In the place of a dump: the cluster itself.
const LIVE: &str = "live";
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

// === impl Inputs ===

impl Inputs {
    /// Reads the configuration and the cluster, loads the policies, and says on standard error what is wrong with
    /// parts of them.
    pub fn load(&self) -> Result<Loaded> {
        if self.cluster.is_empty() {
            bail!("--cluster PATH is missing: a dump of the cluster, or `live`");
        }
        let config = match &self.config {
            None => Config::without_file(),
            Some(path) => Config::read(path)?,
        };
        let cluster = if self.cluster == [LIVE] {
            live::read(&self.connection.with(&config.controller.api))?
        } else {
            Cluster::read(&self.cluster)?
        };
        let spinner = progress::spinner("compiling policies");
        let (registry, changes) = policies::open(self.policies.clone(), config.policies.clone())?;
        spinner.finish_and_clear();
        let refused = say_rejections(&changes);
        Ok(Loaded { config, cluster, registry, refused })
    }

    /// The time of the decisions.
    pub fn moment(&self, cluster: &Cluster) -> Timestamp {
        self.now.map_or_else(|| cluster.newest().unwrap_or_else(wall_clock), from_jiff)
    }
}

/// Says on standard error which policies are not what is configured, and whether there are any.
pub fn say_rejections(changes: &[Change]) -> bool {
    let refused = |change: &&Change| matches!(change, Change::Rejected { .. } | Change::DirectoryUnreadable { .. });
    changes.iter().filter(refused).inspect(|change| eprintln!("error: {change}")).count() > 0
}

/// The time of day.
pub fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

fn from_jiff(moment: jiff::Timestamp) -> Timestamp {
    Timestamp(u64::try_from(moment.as_millisecond()).unwrap_or(0))
}

// === impl Loaded ===

impl Loaded {
    /// True if something could not be used: the exit code says so.
    pub fn incomplete(&self) -> bool {
        self.refused || self.cluster.broken()
    }
}

// === impl Cluster ===

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

    /// The rules of certificate approval, with what is not known of nodes and machines because objects are broken.
    pub fn csr_rules(&self, config: &Config) -> CsrRules {
        let mut rules = config.csr.clone();
        for broken in &self.dump.account.broken {
            match (broken.kind.as_deref(), &broken.name) {
                (Some("Node"), Some(name)) => rules.unread_nodes.push(name.as_str().into()),
                (None | Some("Node" | "Machine" | "NodeClaim"), _) => {
                    let place = format!("{}:{}", broken.file, broken.line);
                    rules.unknown =
                        Some(format!("{place}: an object that may be a node or a machine could not be read"));
                }
                _ => {}
            }
        }
        rules
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
        let mismatches = max_pods_mismatches(snapshot, &config.scale_up.groups);
        all.extend(mismatches.iter().map(ToString::to_string));
        if !config.csr_enabled && !snapshot.signing_requests().is_empty() {
            all.push("certificate approval is off (csr.enabled); the verdicts are what would be decided".to_owned());
        }
        all
    }
}
