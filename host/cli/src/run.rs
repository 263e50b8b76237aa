//! `plimsoll run`: the controller.

mod answers;
mod connection;
mod logging;
mod settings;
mod signals;
#[cfg(feature = "otel")]
mod traces;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use plimsoll_controller::{
    Effects, Exchange, Health, Heard, Identity, Metrics, Pages, Parts, SharedSimulation, Status, StatusBoard,
    ask_inventory, serve,
};
use plimsoll_kube::{
    Api, DebounceTimes, EventLimits, EventsOptions, Feature, FeatureOptions, Leadership, LeaseOptions, LeaseTimes,
    Mirror, MirrorOptions, lead, lead_alone, process_identity, watch_features, write_events,
};
use plimsoll_planner::launch::LedgerRules;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::Config;
use crate::input::wall_clock;
use crate::{policies, providers};
pub use connection::ConnectionArguments;

/// How often permissions are checked again.
const PERMISSIONS_EVERY: Duration = Duration::from_secs(300);
/// How often the provider is asked for its inventory.
const INVENTORY_EVERY: Duration = Duration::from_secs(10);

/// How to run.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The configuration: node groups, limits, rules, policies. Changes take effect without a restart.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A folder of policies (`*.wasm`) to ask before the configured ones, in the order of their names.
    #[arg(long, value_name = "DIR")]
    policies: Option<PathBuf>,
    #[command(flatten)]
    connection: ConnectionArguments,
    /// The namespace of the controller's own objects: its lease, its status, its record of launches.
    #[arg(long, env = "POD_NAMESPACE", default_value = "plimsoll-system", value_name = "NAMESPACE")]
    namespace: String,
    /// The name of this replica, in the lease and in Events.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    replica: Option<String>,
    /// Where `/livez` and `/readyz` are served.
    #[arg(long, default_value = "0.0.0.0:9081", value_name = "ADDRESS")]
    health_address: SocketAddr,
    /// Where `/metrics` and `/status` are served.
    #[arg(long, default_value = "0.0.0.0:9080", value_name = "ADDRESS")]
    metrics_address: SocketAddr,
}

/// Runs the controller until it is told to end.
pub fn run(arguments: &Arguments) -> Result<ExitCode> {
    let config = match &arguments.config {
        None => Config::without_file(),
        Some(path) => Config::read(path)?,
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().context("the runtime does not start")?;
    let logging = {
        let _inside = runtime.enter();
        logging::start(&config.controller)?
    };
    let done = runtime.block_on(control(arguments, config));
    logging.finish();
    // What still waits for a provider must not keep the process.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done.map(|()| ExitCode::SUCCESS)
}

async fn control(arguments: &Arguments, config: Config) -> Result<()> {
    let cluster = config.controller.identifier.clone().context(
        "cluster.identifier is missing in the configuration: lease, status and labels are named after it; give each \
         controller of a cluster another one",
    )?;
    let (stop, hurry) = signals::listen()?;
    config.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    let connection = arguments.connection.with(&config.controller.api);
    let api = Api::connect(&connection).await?;
    let replica = arguments.replica.clone().unwrap_or_else(connection::host_name);
    let identity = Arc::new(Identity {
        cluster: cluster.clone(),
        // After a restart in the same pod it is another one: the lease of the process before is not its own.
        replica: process_identity(&replica),
        // A name that no pod has keeps no node.
        pod: Some((arguments.namespace.as_str().into(), replica.as_str().into())),
        namespace: arguments.namespace.clone(),
        observe: config.controller.observe,
        inventory_every: INVENTORY_EVERY,
    });
    let (health, metrics) = (Health::default(), Metrics::default());
    health.not_ready("watch", "not begun");
    let status = StatusBoard::new(Status {
        cluster,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        mode: if identity.observe { "observe" } else { "act" }.to_owned(),
        replica: identity.replica.clone(),
        warnings: config.warnings.clone(),
        ..Status::default()
    });
    let ended = CancellationToken::new();
    let pages = Pages { health: health.clone(), metrics: metrics.clone(), status: status.clone() };
    let addresses = serve(pages, arguments.health_address, arguments.metrics_address, ended.clone())
        .await
        .context("the addresses of probes and metrics cannot be used; see --health-address and --metrics-address")?;
    tracing::info!(version = env!("CARGO_PKG_VERSION"), replica = %identity.replica, mode = %status.get().mode, ?addresses, "plimsoll runs");

    let (registry, changes) = policies::open(arguments.policies.clone(), config.policies.clone())?;
    changes.iter().for_each(|change| tracing::info!("{change}"));
    let policies = Arc::new(answers::SandboxedPolicies::new(registry));

    let options = feature_options(&identity, &config);
    let features = watch_features(api.clone(), options, PERMISSIONS_EVERY, ended.clone()).await;
    let (setter, leadership) = Leadership::new(identity.observe);
    let released = CancellationToken::new();
    let candidacy = match &config.controller.election {
        None => lead_alone(setter, released.clone()),
        Some(times) => {
            let options = LeaseOptions {
                namespace: identity.namespace.clone(),
                name: identity.lease(),
                identity: identity.replica.clone(),
                times: LeaseTimes {
                    lease: Duration::from_millis(times.lease.0),
                    renew_deadline: Duration::from_millis(times.renew.0),
                    retry: Duration::from_millis(times.retry.0),
                },
            };
            lead(api.clone(), options, setter, released.clone())?
        }
    };
    let writing = EventsOptions { identity: identity.replica.clone(), limits: EventLimits::default() };
    let (events, _writer) = write_events(api.clone(), leadership.clone(), features.clone(), writing, ended.clone());
    let times = DebounceTimes {
        quiet: Duration::from_millis(config.controller.quiet.0),
        at_most: Duration::from_millis(config.controller.at_most.0),
        ..DebounceTimes::default()
    };
    let mirror = Mirror::start(&api, &MirrorOptions { times, ..MirrorOptions::default() })
        .context("the watch does not start")?;
    let around = providers::Around {
        api: &api,
        connection: &connection,
        leadership: &leadership,
        namespace: &identity.namespace,
        groups: &config.scale_up.groups,
    };
    let provider = providers::start(config.controller.provider.as_ref(), around, &ended).await?;
    status.update(|status| {
        status.provider.kind = provider.as_ref().map_or("none", |provider| provider.name()).to_owned();
    });
    let ask_again = Arc::new(Notify::new());
    let heard = match &provider {
        Some(provider) => {
            let (provider, metrics) = (provider.clone(), metrics.clone());
            let (leadership, every) = (leadership.clone(), identity.inventory_every);
            ask_inventory(provider, leadership, every, ask_again.clone(), metrics, ended.clone())
        }
        None => watch::channel(Heard::default()).1,
    };
    let (setting, settings) = watch::channel(Arc::new(settings::of(&config, 0)));
    status.update(|status| {
        status.config.file = arguments.config.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        status.config.digest = settings::digest(arguments.config.as_ref());
    });
    metrics.config_good(true);
    let rules = LedgerRules { max_provision: config.controller.max_provision_time, ..LedgerRules::default() };
    let follower = settings::Follower {
        file: arguments.config.clone(),
        directory: arguments.policies.clone(),
        policies: policies.clone(),
        settings: setting,
        status: status.clone(),
        metrics: metrics.clone(),
        events: events.clone(),
        identity: identity.clone(),
    };
    let (following, stopped) = (config, stop.clone());
    let followed = std::thread::Builder::new()
        .name("files".to_owned())
        .spawn(move || follower.follow(following, &stopped))
        .context("the thread that follows files does not start")?;
    let parts = Parts {
        api,
        mirror,
        leadership,
        provider: provider.clone(),
        heard,
        ask_again,
        policies,
        settings,
        identity,
        events,
        simulation: SharedSimulation::default(),
        exchange: Exchange::default(),
        features,
        effects: Effects::start(),
        metrics,
        status,
        health,
        clock: Arc::new(wall_clock),
    };
    let done = plimsoll_controller::run(parts, rules, stop, hurry.clone()).await;
    released.cancel();
    tokio::select! {
        _ = candidacy.task => {},
        () = hurry.cancelled() => {},
    }
    if let Some(provider) = provider {
        provider.finish().await;
    }
    ended.cancel();
    let _ = followed.join();
    tracing::info!(complete = done, "plimsoll has ended");
    Ok(())
}

fn feature_options(identity: &Identity, config: &Config) -> FeatureOptions {
    let mut configured = BTreeSet::from([Feature::Watch, Feature::Status, Feature::Rivals]);
    if config.controller.election.is_some() {
        configured.insert(Feature::Lease);
    }
    if !identity.observe {
        configured.extend([Feature::Events, Feature::Launches, Feature::Drain, Feature::WarmUp]);
    }
    if config.controller.cleanup.is_some() && config.controller.provider.is_some() && !identity.observe {
        configured.insert(Feature::Cleanup);
    }
    if config.controller.usage {
        configured.insert(Feature::NodeMetrics);
    }
    if config.csr_enabled {
        configured.insert(Feature::CsrApproval);
    }
    configured.extend(providers::feature(config.controller.provider.as_ref()));
    FeatureOptions {
        namespace: identity.namespace.clone(),
        lease: identity.lease(),
        status: identity.status_record(),
        launches: identity.ledger_record(),
        configured,
    }
}
