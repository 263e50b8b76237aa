//! Room to keep free.

use plimsoll_model::{NodeGroup, Quantity, Resources, Text};
use plimsoll_planner::scale_up::{HeadroomConfig, ManualHeadroom};

use super::super::catalog::GPU_RESOURCE;
use super::super::file::{ConfigFile, ManualFile};
use super::Wrong;

/// Headroom of the whole cluster and of its groups.
pub(super) fn headroom(
    file: &ConfigFile,
    groups: &[NodeGroup],
    warnings: &mut Vec<String>,
) -> Result<HeadroomConfig, Wrong> {
    let automatic_percent = file.headroom.automatic.percent;
    if automatic_percent > 200 {
        let problem = format!("{automatic_percent} is not between 0 and 200");
        return Err(("headroom.automatic.percent".to_owned(), problem));
    }
    let mut manual = Vec::new();
    for (at, unit) in file.headroom.manual.iter().enumerate() {
        let field = format!("headroom.manual[{at}]");
        let group = match &unit.group {
            None => None,
            Some(name) => Some(
                groups
                    .iter()
                    .find(|group| group.name == *name.trim())
                    .ok_or_else(|| (format!("{field}.group"), format!("there is no node group called {name}")))?,
            ),
        };
        manual.push(units(unit, group).map_err(|(key, problem)| (format!("{field}{key}"), problem))?);
    }
    for ((at, group_file), group) in file.node_groups.iter().enumerate().zip(groups) {
        for (unit_at, unit) in group_file.headroom.manual.iter().enumerate() {
            let field = format!("nodeGroups[{at}].headroom.manual[{unit_at}]");
            if unit.group.is_some() {
                return Err((format!("{field}.group"), "the unit is of the group that it stands in".to_owned()));
            }
            manual.push(units(unit, Some(group)).map_err(|(key, problem)| (format!("{field}{key}"), problem))?);
        }
    }
    let combine = file.headroom.combine;
    if automatic_percent > 0 && !combine && !manual.is_empty() {
        warnings.push(
            "headroom.manual has no effect while headroom.automatic is on; set headroom.combine to have both"
                .to_owned(),
        );
    }
    Ok(HeadroomConfig { manual, automatic_percent, combine })
}

fn units(file: &ManualFile, group: Option<&NodeGroup>) -> Result<ManualHeadroom, Wrong> {
    let quantity = |field: &str, text: &Option<String>| match text {
        None => Ok(Quantity::default()),
        Some(text) => Quantity::parse_amount(text).map_err(|error| (format!(".{field}"), error.to_string())),
    };
    let mut requests = Resources {
        cpu: quantity("cpu", &file.cpu)?.cpu(),
        memory: quantity("memory", &file.memory)?.bytes(),
        ..Default::default()
    };
    let with_gpus = group.and_then(|group| group.instance_types.iter().find(|known| known.gpus > 0));
    let gpu_resource = with_gpus.map_or_else(|| Text::from(GPU_RESOURCE), |known| known.gpu_resource.clone());
    requests.set_extended(gpu_resource, file.gpus);
    if requests == Resources::default() {
        return Err((String::new(), "a unit needs cpu, memory or gpus".to_owned()));
    }
    Ok(ManualHeadroom { group: group.map(|group| group.name.clone()), count: file.count, requests })
}
