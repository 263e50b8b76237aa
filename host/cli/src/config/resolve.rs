//! From what the file says to what the planner and the sandbox take.

mod controller;
mod csr;
mod drain;
mod drainability;
mod forced;
mod group_scale_down;
mod groups;
mod headroom;
mod instance_types;
mod launch;
mod policies;
mod scheduler;
mod windows;

use std::path::Path;

use plimsoll_model::{Bytes, MilliCpu, Millis, NodeGroup, Quantity, Resources, Text};
use plimsoll_planner::drain::ScaleDownConfig;
use plimsoll_planner::scale_up::{ClusterLimits, NetworkRules, ScaleUpConfig};

use super::catalog::{self, Catalog};
use super::file::{Catalogs, ConfigFile, ReservedFile};
use super::{Config, ConfigError};
pub use controller::{ApiServerConfig, ControllerConfig};
use groups::Everywhere;

/// The least time between two evaluations: each looks at the whole cluster.
const LEAST_INTERVAL: Millis = Millis(1000);

/// A field and what is wrong with it.
type Wrong = (String, String);

/// Checks the file's values and fills in the defaults.
pub fn resolve(path: &Path, file: ConfigFile) -> Result<Config, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut warnings = Vec::new();
    let mut files = vec![path.to_owned()];
    let mut resolved = || -> Result<_, Wrong> {
        let mut catalog = Catalog::new();
        for entry in catalogs(&file.catalog) {
            let csv = folder.join(entry);
            catalog::read_into(&mut catalog, &csv)
                .map_err(|problem| ("catalog".to_owned(), format!("{}: {problem}", csv.display())))?;
            files.push(csv);
        }
        let everywhere = Everywhere {
            reserved: reserved(&file.system_reserved)?,
            startup: launch::startup(&file.startup_taints, file.grace_period)?,
            block_device: launch::block_device(&file.block_devices)?,
            extended: launch::extended_resources(&file.extended_resources)?,
            network: &file.network,
            catalog,
        };
        let groups = groups::groups(&file.node_groups, &everywhere, &mut warnings)?;
        warnings.extend(launch::unused_mappings(&everywhere.extended, &groups));
        let scale_up = ScaleUpConfig {
            limits: limits(&file),
            headroom: headroom::headroom(&file, &groups, &mut warnings)?,
            groups: groups.clone(),
            startup: everywhere.startup,
            network: NetworkRules {
                pods_use_subnet_ips: file.network.pods_use_subnet_ips,
                min_free_ips: file.network.min_free_ips,
            },
            blocked: Vec::new(),
            displaced: Vec::new(),
        };
        let scale_down = scale_down(&file, groups, &mut warnings)?;
        let drain = drain::rules(&file.drain, &scale_down)?;
        let controller = controller::controller(folder, &file)?;
        let (profile, csr) = (scheduler::profile(&file.scheduler)?, csr::rules(&file.csr)?);
        Ok((scale_up, scale_down, drain, profile, csr, policies::specs(folder, &file)?, controller))
    };
    let (scale_up, scale_down, drain, scheduler, csr, policies, controller) =
        resolved().map_err(|(field, problem)| ConfigError::Value { path: path.to_owned(), field, problem })?;
    Ok(Config {
        scale_up,
        scale_down,
        drain,
        beside_rivals: file.scale_down.beside_rivals.unwrap_or(false),
        scheduler,
        csr_enabled: file.csr.enabled,
        csr,
        policies,
        controller,
        files,
        warnings,
    })
}

fn catalogs(catalogs: &Catalogs) -> &[String] {
    match catalogs {
        Catalogs::None => &[],
        Catalogs::One(path) => std::slice::from_ref(path),
        Catalogs::Many(paths) => paths,
    }
}

fn limits(file: &ConfigFile) -> ClusterLimits {
    let (limits, default) = (&file.limits, ClusterLimits::default());
    ClusterLimits {
        max_cpu: limits.max_vcpu.map_or(default.max_cpu, |cores| MilliCpu(cores.saturating_mul(1000))),
        max_memory: limits.max_memory_gib.map_or(default.max_memory, |gib| Bytes(gib.saturating_mul(1 << 30))),
        max_nodes: limits.max_nodes.unwrap_or(default.max_nodes),
    }
}

fn reserved(file: &ReservedFile) -> Result<Resources, Wrong> {
    let quantity = |field: &str, text: &Option<String>| match text {
        None => Ok(Quantity::default()),
        Some(text) => {
            Quantity::parse_amount(text).map_err(|error| (format!("systemReserved.{field}"), error.to_string()))
        }
    };
    Ok(Resources {
        cpu: quantity("cpu", &file.cpu)?.cpu(),
        memory: quantity("memory", &file.memory)?.bytes(),
        ephemeral_storage: quantity("ephemeralStorage", &file.ephemeral_storage)?.bytes(),
        pods: file.pods.unwrap_or(0),
        ..Default::default()
    })
}

fn scale_down(
    file: &ConfigFile,
    mut groups: Vec<NodeGroup>,
    warnings: &mut Vec<String>,
) -> Result<ScaleDownConfig, Wrong> {
    let default = ScaleDownConfig::default();
    let (down, drain) = (&file.scale_down, &file.drain);
    let max_percentage = down.max_percentage.unwrap_or(default.max_percentage);
    group_scale_down::percentage_in_range("scaleDown.maxPercentage", max_percentage)?;
    let evaluation_periods = down.evaluation_periods.unwrap_or(default.evaluation_periods);
    group_scale_down::some_periods("scaleDown.evaluationPeriods", evaluation_periods)?;
    let interval = down.interval.map_or(default.interval, |seconds| seconds.0);
    if interval < LEAST_INTERVAL {
        return Err(("scaleDown.interval".to_owned(), format!("{interval} is below the least of {LEAST_INTERVAL}")));
    }
    if down.restrict == Some(true) {
        groups.iter_mut().for_each(|group| group.restrict_scale_down = true);
    }
    let timeout = drain.timeout.map_or(default.timeout, |seconds| seconds.0);
    if timeout < group_scale_down::LEAST_TIMEOUT {
        return Err(("drain.timeout".to_owned(), format!("{timeout} is below the least of 300s")));
    }
    let spread = drain.spread.map_or(default.spread, |seconds| seconds.0);
    if spread >= timeout {
        return Err(("drain.spread".to_owned(), format!("{spread} is not below drain.timeout, which is {timeout}")));
    }
    let labels = file.labels.restrict_scale_down.as_ref();
    Ok(ScaleDownConfig {
        groups: (!groups.is_empty()).then_some(groups),
        enabled: down.enabled.unwrap_or(default.enabled),
        unknown: None,
        max_percentage,
        respect_budgets: down.respect_pdb.unwrap_or(default.respect_budgets),
        restrict_labels: labels
            .map_or(default.restrict_labels, |labels| labels.iter().map(|label| Text::from(label.as_str())).collect()),
        evict_bare_pods: down.evict_bare_pods.unwrap_or(default.evict_bare_pods),
        caps_total: down.max_percentage.is_some(),
        evaluation_periods,
        interval,
        accelerated: down.accelerated.unwrap_or(default.accelerated),
        cooldown: file.autoscaler.cooldown.map_or(default.cooldown, |seconds| seconds.0),
        min_node_age: down.min_node_age.map(|seconds| seconds.0),
        forced: forced::forced(file)?,
        rules: drainability::rules(&down.rules)?,
        spread,
        timeout,
        warmup_guard: drain.warmup_guard.map_or(default.warmup_guard, |seconds| seconds.0),
        suspension: windows::suspension(&file.suspension_hours, warnings)?,
        optimization: windows::optimization(&file.optimization_windows)?,
    })
}
