//! From what the file says to what the planner and the sandbox take.

use std::path::{Path, PathBuf};

use plimsoll_model::{
    Arch, Bytes, InstanceType, Lifecycle, MilliCpu, Millis, NodeGroup, Quantity, Resources, Taint, TaintEffect, Text,
};
use plimsoll_planner::Point;
use plimsoll_planner::drain::ScaleDownConfig;
use plimsoll_planner::scale_up::{ClusterLimits, ScaleUpConfig};
use plimsoll_policy::{Limits, Mode, ModuleSource, OnError, PolicySpec};

use super::catalog::{self, Catalog};
use super::file::{Catalogs, ConfigFile, InstanceTypeFile, NodeGroupFile, PolicyFile, ReservedFile};
use super::values::InstanceTypeEntry;
use super::{Config, ConfigError};
use crate::policies;

/// A field and what is wrong with it.
type Wrong = (String, String);

/// Checks the file's values and fills in the defaults.
pub fn resolve(path: &Path, file: ConfigFile) -> Result<Config, ConfigError> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let warnings = later_keys(&file);
    let mut files = vec![path.to_owned()];
    let mut resolved = || -> Result<_, Wrong> {
        let mut catalog = Catalog::new();
        for entry in catalogs(&file.catalog) {
            let csv = folder.join(entry);
            catalog::read_into(&mut catalog, &csv)
                .map_err(|problem| ("catalog".to_owned(), format!("{}: {problem}", csv.display())))?;
            files.push(csv);
        }
        let reserved = reserved(&file.system_reserved)?;
        let groups = groups(&file.node_groups, &catalog, &reserved)?;
        let scale_up = ScaleUpConfig { limits: limits(&file), groups: groups.clone() };
        let scale_down = scale_down(&file, groups)?;
        Ok((scale_up, scale_down, specs(folder, &file)?))
    };
    let (scale_up, scale_down, policies) =
        resolved().map_err(|(field, problem)| ConfigError::Value { path: path.to_owned(), field, problem })?;
    Ok(Config { scale_up, scale_down, csr_enabled: file.csr.enabled, policies, files, warnings })
}

fn later_keys(file: &ConfigFile) -> Vec<String> {
    let sections = [("", file.later()), ("scaleDown.", file.scale_down.later()), ("drain.", file.drain.later())];
    let all = sections.into_iter().flat_map(|(section, keys)| keys.into_iter().map(move |key| (section, key)));
    all.map(|(section, key)| format!("{section}{} has no effect in this version", camel(key))).collect()
}

fn camel(snake: &str) -> String {
    let mut words = snake.split('_');
    let first = words.next().unwrap_or_default().to_owned();
    words.fold(first, |mut all, word| {
        let mut letters = word.chars();
        all.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        all.push_str(letters.as_str());
        all
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

fn groups(files: &[NodeGroupFile], catalog: &Catalog, reserved: &Resources) -> Result<Vec<NodeGroup>, Wrong> {
    let mut groups: Vec<NodeGroup> = Vec::with_capacity(files.len());
    for (at, file) in files.iter().enumerate() {
        let group = group(file, catalog, reserved)
            .map_err(|(field, problem)| (format!("nodeGroups[{at}].{field}"), problem))?;
        if groups.iter().any(|known| known.name == group.name) {
            return Err((format!("nodeGroups[{at}].name"), format!("there are two groups called {}", group.name)));
        }
        groups.push(group);
    }
    Ok(groups)
}

fn group(file: &NodeGroupFile, catalog: &Catalog, reserved_everywhere: &Resources) -> Result<NodeGroup, Wrong> {
    let wrong = |field: &str, problem: String| Err((field.to_owned(), problem));
    if file.name.trim().is_empty() {
        return wrong("name", "it is empty".to_owned());
    }
    if file.min > file.max {
        return wrong("min", format!("{} is above max, which is {}", file.min, file.max));
    }
    if file.zones.is_empty() {
        return wrong("zones", "name at least one zone".to_owned());
    }
    if file.instance_types.is_empty() {
        return wrong("instanceTypes", "name at least one instance type".to_owned());
    }
    let lifecycle = match file.lifecycle.as_deref() {
        None => Lifecycle::OnDemand,
        Some(text) => match Lifecycle::parse(text) {
            Some(lifecycle) => lifecycle,
            None => return wrong("lifecycle", format!("\"{text}\" is neither on-demand nor spot")),
        },
    };
    let mut taints = Vec::with_capacity(file.taints.len());
    for (at, taint) in file.taints.iter().enumerate() {
        let Some(effect) = TaintEffect::parse(&taint.effect) else {
            let problem = format!("\"{}\" is none of NoSchedule, PreferNoSchedule, NoExecute", taint.effect);
            return wrong(&format!("taints[{at}].effect"), problem);
        };
        taints.push(Taint { key: taint.key.as_str().into(), value: taint.value.as_str().into(), effect });
    }
    let mut instance_types = Vec::with_capacity(file.instance_types.len());
    for (at, entry) in file.instance_types.iter().enumerate() {
        let found = match entry {
            InstanceTypeEntry::Inline(inline) => instance_type(inline),
            InstanceTypeEntry::Named(name) => catalog.get(name).cloned().ok_or_else(|| {
                if catalog.is_empty() {
                    format!("{name} is a name, but no catalog is given; set catalog, or write the type out")
                } else {
                    format!("{name} is in no catalogue")
                }
            }),
        };
        instance_types.push(found.map_err(|problem| (format!("instanceTypes[{at}]"), problem))?);
    }
    Ok(NodeGroup {
        name: file.name.trim().into(),
        min: file.min,
        max: file.max,
        zones: file.zones.iter().map(|zone| Text::from(zone.as_str())).collect(),
        lifecycle,
        labels: file.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        taints,
        instance_types,
        system_reserved: file.system_reserved.as_ref().map_or_else(|| Ok(reserved_everywhere.clone()), reserved)?,
        restrict_scale_down: file.restrict_scale_down,
    })
}

fn instance_type(file: &InstanceTypeFile) -> Result<InstanceType, String> {
    let arch = match file.arch.as_deref() {
        None => Arch::default(),
        Some(text) => Arch::parse(text).ok_or_else(|| format!("arch \"{text}\" is neither amd64 nor arm64"))?,
    };
    if file.vcpu == 0 || file.memory_mib == 0 {
        return Err(format!("{} needs vcpu and memoryMib above 0", file.name));
    }
    Ok(InstanceType {
        name: file.name.as_str().into(),
        cpu: MilliCpu(file.vcpu.saturating_mul(1000)),
        memory: Bytes(file.memory_mib.saturating_mul(1 << 20)),
        gpus: file.gpus,
        gpu_resource: file.gpu_resource.as_deref().unwrap_or(catalog::GPU_RESOURCE).into(),
        max_pods: file.max_pods.unwrap_or(catalog::MAX_PODS),
        arch,
        price: file.price_usd_per_hour.map(|price| price.0),
    })
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

fn scale_down(file: &ConfigFile, mut groups: Vec<NodeGroup>) -> Result<ScaleDownConfig, Wrong> {
    let default = ScaleDownConfig::default();
    let (down, drain) = (&file.scale_down, &file.drain);
    let max_percentage = down.max_percentage.unwrap_or(default.max_percentage);
    if !(1..=100).contains(&max_percentage) {
        return Err(("scaleDown.maxPercentage".to_owned(), format!("{max_percentage} is not between 1 and 100")));
    }
    if down.restrict == Some(true) {
        groups.iter_mut().for_each(|group| group.restrict_scale_down = true);
    }
    let timeout = drain.timeout.map_or(default.timeout, |seconds| seconds.0);
    if timeout < Millis::from_secs(300) {
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
        spread,
        timeout,
        warmup_guard: drain.warmup_guard.map_or(default.warmup_guard, |seconds| seconds.0),
    })
}

fn specs(folder: &Path, file: &ConfigFile) -> Result<Vec<(Point, PolicySpec)>, Wrong> {
    let lists = [
        (Point::ScaleUp, "scaleUp", &file.policies.scale_up),
        (Point::Drain, "drain", &file.policies.drain),
        (Point::CsrApproval, "csrApproval", &file.policies.csr_approval),
    ];
    let mut specs: Vec<(Point, PolicySpec)> = Vec::new();
    for (point, key, list) in lists {
        for (at, policy) in list.iter().enumerate() {
            let spec = spec(folder, point, policy)
                .map_err(|(field, problem)| (format!("policies.{key}[{at}].{field}"), problem))?;
            if specs.iter().any(|(known, other)| *known == point && other.name == spec.name) {
                let problem = format!("there are two {key} policies called {}", spec.name);
                return Err((format!("policies.{key}[{at}].name"), problem));
            }
            specs.push((point, spec));
        }
    }
    Ok(specs)
}

fn spec(folder: &Path, point: Point, file: &PolicyFile) -> Result<PolicySpec, Wrong> {
    let wrong = |field: &str, problem: String| (field.to_owned(), problem);
    let module = match file.module.strip_prefix("builtin:") {
        Some(name) => policies::builtin(name).ok_or_else(|| {
            wrong("module", format!("no built-in is called {name}; known are {}", policies::builtin_names()))
        })?,
        None => {
            let path = file.module.strip_prefix("file:").unwrap_or(&file.module);
            ModuleSource::File(folder.join(PathBuf::from(path)))
        }
    };
    let mode = match file.mode.as_deref() {
        None | Some("active") => Mode::Active,
        Some("shadow") => Mode::Shadow,
        Some(other) => return Err(wrong("mode", format!("\"{other}\" is neither active nor shadow"))),
    };
    let on_error = match file.on_error.as_deref() {
        None => policies::default_on_error(point),
        Some("next" | "builtin") => OnError::Next,
        Some("hold") => OnError::Hold,
        Some(other) => return Err(wrong("onError", format!("\"{other}\" is neither next nor hold"))),
    };
    let (limits, default) = (&file.limits, Limits::default());
    let positive = |field: &str, value: Option<u64>| match value {
        Some(0) => Err(wrong(&format!("limits.{field}"), "it must be above 0".to_owned())),
        value => Ok(value),
    };
    let limits = Limits {
        timeout: positive("timeoutMs", limits.timeout_ms)?.map_or(default.timeout, Millis),
        memory: positive("memoryMib", limits.memory_mib)?
            .map_or(default.memory, |mib| Bytes(mib.saturating_mul(1 << 20))),
        answer: positive("answerKib", limits.answer_kib)?
            .map_or(default.answer, |kib| Bytes(kib.saturating_mul(1 << 10))),
        log_lines: limits.log_lines.unwrap_or(default.log_lines),
        log_bytes: limits.log_kib.map_or(default.log_bytes, |kib| Bytes(kib.saturating_mul(1 << 10))),
    };
    let settings = file.settings.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
    Ok(PolicySpec { name: file.name.as_str().into(), module, settings, mode, limits, on_error })
}
