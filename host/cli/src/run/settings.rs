//! What of the configuration the controller goes by, and what it is when the file changes.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use plimsoll_controller::{Identity, Metrics, Settings, StatusBoard, about_controller};
use plimsoll_kube::{EventNote, EventReason, Events};
use plimsoll_policy::{Change, ChangeWatch, ModuleSource, Patience, Watched};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::answers::SandboxedPolicies;
use crate::config::Config;

/// Whoever waits for files looks this often whether the process ends.
const GLANCE: Duration = Duration::from_millis(500);

/// What follows the files.
pub struct Follower {
    /// The configuration file.
    pub file: Option<PathBuf>,
    /// The folder of policies.
    pub directory: Option<PathBuf>,
    /// The policies.
    pub policies: Arc<SandboxedPolicies>,
    /// What the controller goes by.
    pub settings: watch::Sender<Arc<Settings>>,
    /// Where it is said.
    pub status: StatusBoard,
    /// Where it is counted.
    pub metrics: Metrics,
    /// Where it is told.
    pub events: Events,
    /// Who tells it.
    pub identity: Arc<Identity>,
}

/// What the controller goes by.
pub fn of(config: &Config, revision: u64) -> Settings {
    Settings {
        scale_up: config.scale_up.clone(),
        scale_down: config.scale_down.clone(),
        drain: config.drain.clone(),
        beside_rivals: config.beside_rivals,
        scheduler: config.scheduler.clone(),
        launching: config.controller.enabled,
        cooldown: config.controller.cooldown,
        cleanup: config.controller.cleanup.map(|after| Duration::from_millis(after.0)),
        usage: config.controller.usage,
        certificates: config.csr_enabled.then(|| config.csr.clone()),
        revision,
    }
}

/// SHA-256 of a file, in hexadecimal; empty if it cannot be read.
pub fn digest(file: Option<&PathBuf>) -> String {
    let Some(bytes) = file.and_then(|file| std::fs::read(file).ok()) else { return String::new() };
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Follower {
    /// Follows the files until told to stop. A configuration that is wrong changes nothing, and is named with its line.
    pub fn follow(self, mut config: Config, stop: &CancellationToken) {
        let mut revision = 0;
        while !stop.is_cancelled() {
            let watch = match ChangeWatch::start(&self.watched(&config), Patience::default()) {
                Ok(watch) => watch,
                Err(error) => {
                    tracing::error!(%error, "files are not watched: changes of them take a restart");
                    return;
                }
            };
            // What changed before the watch began.
            revision += 1;
            self.read(&mut config, revision);
            loop {
                use std::sync::mpsc::RecvTimeoutError;
                match watch.recv_timeout(GLANCE) {
                    Ok(()) => break,
                    Err(RecvTimeoutError::Timeout) if !stop.is_cancelled() => {}
                    Err(_) => return,
                }
            }
        }
    }

    fn read(&self, config: &mut Config, revision: u64) {
        let digest = digest(self.file.as_ref());
        if let Some(file) = &self.file {
            let known = self.status.get().config;
            if known.digest != digest || known.problem.is_some() {
                match Config::read(file) {
                    Ok(new) => {
                        if new.controller.differs_in_fixed(&config.controller) {
                            tracing::warn!(
                                "cluster, mode, leaderElection, apiServer, provider, log and the times of autoscaler \
                                 take effect after a restart"
                            );
                        }
                        new.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                        self.settings.send_replace(Arc::new(of(&new, revision)));
                        *config = new;
                        tracing::info!(%digest, "the configuration in the file is in use");
                        self.metrics.config_good(true);
                        self.status.update(|status| {
                            status.config.digest = digest;
                            status.config.problem = None;
                        });
                    }
                    Err(error) => {
                        tracing::error!("{error}; the configuration of before goes on");
                        self.metrics.config_good(false);
                        self.status.update(|status| status.config.problem = Some(error.to_string()));
                        self.tell(EventReason::ConfigRejected, error.to_string());
                    }
                }
            }
        }
        for change in self.policies.replace(config.policies.clone()) {
            let reason = match &change {
                Change::Activated { .. } | Change::Removed { .. } => {
                    tracing::info!("{change}");
                    EventReason::PluginLoaded
                }
                Change::Rejected { .. } | Change::DirectoryUnreadable { .. } => {
                    tracing::error!("{change}");
                    EventReason::PluginRejected
                }
            };
            self.tell(reason, change.to_string());
        }
    }

    fn tell(&self, reason: EventReason, message: String) {
        let regarding = about_controller(&self.identity);
        self.events.report(EventNote { regarding, reason, message, decision: String::new() });
    }

    fn watched(&self, config: &Config) -> Vec<Watched> {
        let modules = config.policies.iter().filter_map(|(_, spec)| match &spec.module {
            ModuleSource::File(path) => Some(path.clone()),
            ModuleSource::Builtin { .. } => None,
        });
        let files = config.files.iter().cloned().chain(self.file.clone());
        files.chain(modules).chain(self.directory.clone()).map(Watched::Path).collect()
    }
}
