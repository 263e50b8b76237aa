//! Instance types of a group: from the catalogue or written out, with what the cluster's rules make of them.

use plimsoll_model::{Arch, Bytes, InstanceType, Interfaces, MilliCpu};

use super::super::catalog;
use super::super::file::{InstanceTypeFile, NodeGroupFile};
use super::super::values::InstanceTypeEntry;
use super::Wrong;
use super::groups::Everywhere;

/// The types that a group can launch. What network interfaces leave no room for is left out with a warning.
pub(super) fn instance_types(
    file: &NodeGroupFile,
    everywhere: &Everywhere<'_>,
    warnings: &mut Vec<Wrong>,
) -> Result<Vec<InstanceType>, Wrong> {
    if file.instance_types.is_empty() {
        return Err(("instanceTypes".to_owned(), "name at least one instance type".to_owned()));
    }
    if max_pods(file, everywhere) == Some(0) {
        return Err(("maxPods".to_owned(), "it must be above 0".to_owned()));
    }
    let mut all = Vec::with_capacity(file.instance_types.len());
    for (at, entry) in file.instance_types.iter().enumerate() {
        let field = || format!("instanceTypes[{at}]");
        let found = match entry {
            InstanceTypeEntry::Inline(inline) => written_out(inline),
            InstanceTypeEntry::Named(name) => everywhere.catalog.get(name).cloned().ok_or_else(|| {
                if everywhere.catalog.is_empty() {
                    format!("{name} is a name, but no catalog is given; set catalog, or write the type out")
                } else {
                    format!("{name} is in no catalogue")
                }
            }),
        };
        let mut instance_type = found.map_err(|problem| (field(), problem))?;
        match pods(&instance_type, file, everywhere) {
            Pods::Known(pods) => instance_type.max_pods = pods,
            Pods::Doubtful(pods, warning) => {
                instance_type.max_pods = pods;
                warnings.push((field(), warning));
            }
            Pods::None(warning) => {
                warnings.push((field(), warning));
                continue;
            }
        }
        for resource in &everywhere.extended {
            let amount = resource.amount_on(&instance_type.name);
            instance_type.extended.extend(amount.map(|amount| (resource.name.clone(), amount)));
        }
        all.push(instance_type);
    }
    if all.is_empty() {
        let reserved = reserved(file, everywhere);
        let problem = format!("{reserved} reserved interfaces leave none for pods on any instance type of the group");
        return Err(("reservedENIs".to_owned(), problem));
    }
    Ok(all)
}

/// True if the configuration limits the pods of each node on purpose.
pub(super) fn pods_limited(file: &NodeGroupFile, everywhere: &Everywhere<'_>) -> bool {
    reserved(file, everywhere) > 0 || max_pods(file, everywhere).is_some()
}

fn reserved(file: &NodeGroupFile, everywhere: &Everywhere<'_>) -> u64 {
    file.reserved_enis.or(everywhere.network.reserved_enis).unwrap_or(0)
}

fn max_pods(file: &NodeGroupFile, everywhere: &Everywhere<'_>) -> Option<u64> {
    file.max_pods.or(everywhere.network.max_pods)
}

/// How many pods a type takes.
enum Pods {
    Known(u64),
    Doubtful(u64, String),
    None(String),
}

/// The least of what the addresses allow, what the group sets and what the type itself allows.
fn pods(instance_type: &InstanceType, file: &NodeGroupFile, everywhere: &Everywhere<'_>) -> Pods {
    let (name, reserved) = (&instance_type.name, reserved(file, everywhere));
    let set = max_pods(file, everywhere);
    let own = instance_type.max_pods.min(set.unwrap_or(u64::MAX));
    let Some(interfaces) = instance_type.interfaces else {
        return match reserved {
            0 => Pods::Known(own),
            _ => Pods::Doubtful(
                own,
                format!("how many network interfaces {name} has is not known; reservedENIs has no effect on it"),
            ),
        };
    };
    match (interfaces.max_pods(reserved), set) {
        (None, _) => {
            let enis = interfaces.enis;
            Pods::None(format!("{name} has {enis} network interfaces and {reserved} are reserved; it is left out"))
        }
        (Some(most), Some(set)) if set > most => Pods::Doubtful(
            own.min(most),
            format!("maxPods is {set}, and {name} has addresses for {most} pods; that is what counts"),
        ),
        (Some(most), _) => Pods::Known(own.min(most)),
    }
}

fn written_out(file: &InstanceTypeFile) -> Result<InstanceType, String> {
    let arch = match file.arch.as_deref() {
        None => Arch::default(),
        Some(text) => Arch::parse(text).ok_or_else(|| format!("arch \"{text}\" is neither amd64 nor arm64"))?,
    };
    if file.vcpu == 0 || file.memory_mib == 0 {
        return Err(format!("{} needs vcpu and memoryMib above 0", file.name));
    }
    let interfaces = match (file.enis, file.ips_per_eni) {
        (Some(enis), Some(ips_per_eni)) => Some(Interfaces { enis, ips_per_eni }),
        (None, None) => None,
        _ => return Err(format!("{} needs enis and ipsPerEni, or neither", file.name)),
    };
    Ok(InstanceType {
        name: file.name.as_str().into(),
        cpu: MilliCpu(file.vcpu.saturating_mul(1000)),
        memory: Bytes(file.memory_mib.saturating_mul(1 << 20)),
        gpus: file.gpus,
        gpu_resource: file.gpu_resource.as_deref().unwrap_or(catalog::GPU_RESOURCE).into(),
        max_pods: file.max_pods.unwrap_or_else(|| catalog::most_pods(interfaces)),
        interfaces,
        extended: Vec::new(),
        arch,
        price: file.price_usd_per_hour.map(|price| price.0),
        spot_price: file.spot_price_usd_per_hour.map(|price| price.0),
    })
}
