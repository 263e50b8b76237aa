//! Node groups.

use plimsoll_model::{BlockDevice, Lifecycle, NodeGroup, Os, Resources, StartupTaints, Subnet, Text};

use super::super::catalog::Catalog;
use super::super::file::{NetworkFile, NodeGroupFile};
use super::group_scale_down::group_scale_down;
use super::launch::{self, ExtendedResource};
use super::{Wrong, instance_types, reserved};

/// What holds for every group that says nothing else.
pub(super) struct Everywhere<'a> {
    pub catalog: Catalog,
    pub reserved: Resources,
    pub startup: StartupTaints,
    pub block_device: BlockDevice,
    pub extended: Vec<ExtendedResource>,
    pub network: &'a NetworkFile,
}

/// The groups of the file.
pub(super) fn groups(
    files: &[NodeGroupFile],
    everywhere: &Everywhere<'_>,
    warnings: &mut Vec<String>,
) -> Result<Vec<NodeGroup>, Wrong> {
    let mut groups: Vec<NodeGroup> = Vec::with_capacity(files.len());
    for (at, file) in files.iter().enumerate() {
        let mut own = Vec::new();
        let group = group(file, everywhere, &mut own)
            .map_err(|(field, problem)| (format!("nodeGroups[{at}].{field}"), problem))?;
        warnings.extend(own.into_iter().map(|(field, warning)| format!("nodeGroups[{at}].{field}: {warning}")));
        if groups.iter().any(|known| known.name == group.name) {
            return Err((format!("nodeGroups[{at}].name"), format!("there are two groups called {}", group.name)));
        }
        shared_subnets(&groups, &group).map_err(|(field, problem)| (format!("nodeGroups[{at}].{field}"), problem))?;
        groups.push(group);
    }
    Ok(groups)
}

fn group(file: &NodeGroupFile, everywhere: &Everywhere<'_>, warnings: &mut Vec<Wrong>) -> Result<NodeGroup, Wrong> {
    let wrong = |field: &str, problem: String| Err((field.to_owned(), problem));
    if file.name.trim().is_empty() {
        return wrong("name", "it is empty".to_owned());
    }
    if file.min > file.max {
        return wrong("min", format!("{} is above max, which is {}", file.min, file.max));
    }
    let (zones, subnets) = places(file)?;
    let lifecycles = lifecycles(file)?;
    if let Some(percent) = file.spot_price_percent {
        if !(1..=100).contains(&percent) {
            return wrong("spotPricePercent", format!("{percent} is not between 1 and 100"));
        }
        if !lifecycles.contains(&Lifecycle::Spot) {
            return wrong("spotPricePercent", "the group has no spot nodes".to_owned());
        }
    }
    let os = match file.os.as_deref() {
        None => Os::default(),
        Some(text) => match Os::parse(text) {
            Some(os) => os,
            None => return wrong("os", format!("\"{text}\" is neither linux nor windows")),
        },
    };
    let own = launch::block_device(&file.block_devices)?;
    Ok(NodeGroup {
        name: file.name.trim().into(),
        min: file.min,
        max: file.max,
        zones,
        region: file.region.as_deref().map(Text::from),
        lifecycles,
        spot_price_percent: file.spot_price_percent,
        os,
        labels: file.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        taints: launch::taints("taints", &file.taints)?,
        startup: StartupTaints {
            taints: match &file.startup_taints {
                Some(taints) => launch::taints("startupTaints", taints)?,
                None => everywhere.startup.taints.clone(),
            },
            grace: file.grace_period.map_or(everywhere.startup.grace, |seconds| seconds.0),
        },
        instance_types: instance_types::instance_types(file, everywhere, warnings)?,
        pods_limited: instance_types::pods_limited(file, everywhere),
        system_reserved: file.system_reserved.as_ref().map_or_else(|| Ok(everywhere.reserved.clone()), reserved)?,
        subnets,
        block_device: BlockDevice {
            iops: own.iops.or(everywhere.block_device.iops),
            volume_gib: own.volume_gib.or(everywhere.block_device.volume_gib),
        },
        restrict_scale_down: file.restrict_scale_down,
        scale_down: group_scale_down(file)?,
    })
}

/// Zones and subnets; the zones are those of the subnets if none are named.
fn places(file: &NodeGroupFile) -> Result<(Vec<Text>, Vec<Subnet>), Wrong> {
    let mut zones: Vec<Text> = file.zones.iter().map(|zone| Text::from(zone.as_str())).collect();
    let mut subnets: Vec<Subnet> = Vec::with_capacity(file.subnets.len());
    for (at, subnet) in file.subnets.iter().enumerate() {
        let wrong = |field: &str, problem: String| Err((format!("subnets[{at}].{field}"), problem));
        if subnets.iter().any(|known| known.id == *subnet.id) {
            return wrong("id", format!("{} is there twice", subnet.id));
        }
        if !zones.iter().any(|zone| *zone == *subnet.zone) {
            if !file.zones.is_empty() {
                return wrong("zone", format!("{} is not among the zones of the group", subnet.zone));
            }
            zones.push(subnet.zone.as_str().into());
        }
        subnets.push(Subnet {
            id: subnet.id.as_str().into(),
            zone: subnet.zone.as_str().into(),
            free_ips: subnet.free_ips,
        });
    }
    if zones.is_empty() {
        return Err(("zones".to_owned(), "name at least one zone, or subnets with their zones".to_owned()));
    }
    let bare = zones.iter().find(|zone| !subnets.iter().any(|subnet| subnet.zone == **zone));
    match bare.filter(|_| !subnets.is_empty()) {
        Some(zone) => Err(("subnets".to_owned(), format!("none is in zone {zone}; add one, or take the zone out"))),
        None => Ok((zones, subnets)),
    }
}

/// A subnet that two groups name is the same one.
fn shared_subnets(groups: &[NodeGroup], group: &NodeGroup) -> Result<(), Wrong> {
    for (at, subnet) in group.subnets.iter().enumerate() {
        let elsewhere = groups.iter().find_map(|other| {
            let same = other.subnets.iter().find(|known| known.id == subnet.id)?;
            (same != subnet).then_some(&other.name)
        });
        if let Some(other) = elsewhere {
            let problem = format!("group {other} says otherwise about subnet {}", subnet.id);
            return Err((format!("subnets[{at}]"), problem));
        }
    }
    Ok(())
}

fn lifecycles(file: &NodeGroupFile) -> Result<Vec<Lifecycle>, Wrong> {
    let read = |field: String, text: &str| {
        Lifecycle::parse(text).ok_or_else(|| (field, format!("\"{text}\" is neither on-demand nor spot")))
    };
    let problem = |text: &str| Err(("lifecycles".to_owned(), text.to_owned()));
    match (&file.lifecycle, &file.lifecycles) {
        (None, None) => Ok(vec![Lifecycle::OnDemand]),
        (Some(text), None) => Ok(vec![read("lifecycle".to_owned(), text)?]),
        (Some(_), Some(_)) => problem("lifecycle is there too; keep one of them"),
        (None, Some(texts)) if texts.is_empty() => problem("name on-demand, spot, or both"),
        (None, Some(texts)) => {
            let mut all = Vec::with_capacity(texts.len());
            for (at, text) in texts.iter().enumerate() {
                let lifecycle = read(format!("lifecycles[{at}]"), text)?;
                if all.contains(&lifecycle) {
                    return problem(&format!("{} is there twice", lifecycle.name()));
                }
                all.push(lifecycle);
            }
            Ok(all)
        }
    }
}
