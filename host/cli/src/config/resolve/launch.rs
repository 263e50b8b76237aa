//! What nodes get when they are launched.

use std::collections::BTreeMap;

use plimsoll_model::{
    BlockDevice, DynamicAmount, NodeGroup, Quantity, SizedBy, StartupTaints, Taint, TaintEffect, Text,
};

use super::super::file::{BlockDevicesFile, DynamicFile, ExtendedResourceFile, TaintFile};
use super::super::values::Seconds;
use super::Wrong;

/// Resources that every node reports by itself.
const NATIVE: [&str; 4] = ["cpu", "memory", "ephemeral-storage", "pods"];
/// Stands for every instance type that is not named.
const OTHERS: &str = "*";
/// What root volumes may grow with.
const CPU: (&str, SizedBy) = ("cpu", SizedBy::Cpu);
/// The same.
const MEMORY: (&str, SizedBy) = ("memory", SizedBy::Memory);

/// How much of a resource the nodes of each instance type offer.
pub(super) struct ExtendedResource {
    pub name: Text,
    mapping: BTreeMap<String, u64>,
}

/// Taints; `field` is where they stand.
pub(super) fn taints(field: &str, files: &[TaintFile]) -> Result<Vec<Taint>, Wrong> {
    let mut taints = Vec::with_capacity(files.len());
    for (at, file) in files.iter().enumerate() {
        let Some(effect) = TaintEffect::parse(&file.effect) else {
            let problem = format!("\"{}\" is none of NoSchedule, PreferNoSchedule, NoExecute", file.effect);
            return Err((format!("{field}[{at}].effect"), problem));
        };
        taints.push(Taint { key: file.key.as_str().into(), value: file.value.as_str().into(), effect });
    }
    Ok(taints)
}

/// Startup taints of the whole cluster.
pub(super) fn startup(files: &[TaintFile], grace: Option<Seconds>) -> Result<StartupTaints, Wrong> {
    let grace = grace.map_or(StartupTaints::default().grace, |seconds| seconds.0);
    Ok(StartupTaints { taints: taints("startupTaints", files)?, grace })
}

/// How root volumes grow.
pub(super) fn block_device(file: &BlockDevicesFile) -> Result<BlockDevice, Wrong> {
    Ok(BlockDevice {
        iops: amount("dynamicIops", &file.dynamic_iops, &[CPU, MEMORY])?,
        volume_gib: amount("dynamicVolumeSize", &file.dynamic_volume_size, &[CPU])?,
    })
}

fn amount(key: &str, file: &Option<DynamicFile>, allowed: &[(&str, SizedBy)]) -> Result<Option<DynamicAmount>, Wrong> {
    let Some(file) = file else { return Ok(None) };
    let unit = allowed.iter().find(|(name, _)| name.eq_ignore_ascii_case(&file.resource));
    let (_, unit) = unit.ok_or_else(|| {
        let names: Vec<&str> = allowed.iter().map(|(name, _)| *name).collect();
        let problem = format!("\"{}\" is not {}", file.resource, names.join(" or "));
        (format!("blockDevices.{key}.resource"), problem)
    })?;
    Ok(Some(DynamicAmount { base: file.base_size, per_unit: file.size_per_resource_unit, unit: *unit }))
}

/// Resources by instance type.
pub(super) fn extended_resources(files: &[ExtendedResourceFile]) -> Result<Vec<ExtendedResource>, Wrong> {
    let mut all: Vec<ExtendedResource> = Vec::with_capacity(files.len());
    for (at, file) in files.iter().enumerate() {
        let wrong = |field: &str, problem: String| (format!("extendedResources[{at}].{field}"), problem);
        let name = file.name.trim();
        if name.is_empty() {
            return Err(wrong("name", "it is empty".to_owned()));
        }
        if NATIVE.contains(&name) {
            return Err(wrong("name", format!("{name} is no extended resource: every node reports it")));
        }
        if all.iter().any(|known| known.name == *name) {
            return Err(wrong("name", format!("there are two resources called {name}")));
        }
        let mut mapping = BTreeMap::new();
        for (instance_type, text) in &file.mapping {
            let amount = Quantity::parse_amount(text)
                .map_err(|error| wrong(&format!("mapping[\"{instance_type}\"]"), error.to_string()))?;
            mapping.insert(instance_type.clone(), amount.units());
        }
        if mapping.is_empty() {
            return Err(wrong("mapping", "name at least one instance type, or \"*\" for all".to_owned()));
        }
        all.push(ExtendedResource { name: name.into(), mapping });
    }
    Ok(all)
}

/// Instance types that a mapping names and no group has.
pub(super) fn unused_mappings(resources: &[ExtendedResource], groups: &[NodeGroup]) -> Vec<String> {
    let known = |name: &str| name == OTHERS || groups.iter().any(|group| group.instance_type(name).is_some());
    let unused = |(at, resource): (usize, &ExtendedResource)| {
        let names: Vec<&str> = resource.mapping.keys().map(String::as_str).filter(|name| !known(name)).collect();
        (!names.is_empty()).then(|| format!("extendedResources[{at}].mapping: no group has {}", names.join(", ")))
    };
    resources.iter().enumerate().filter_map(unused).collect()
}

// === impl ExtendedResource ===

impl ExtendedResource {
    /// How much of it a node of this type offers; `None` if nothing is said of the type.
    pub(super) fn amount_on(&self, instance_type: &str) -> Option<u64> {
        self.mapping.get(instance_type).or_else(|| self.mapping.get(OTHERS)).copied()
    }
}
