//! Catalogues of instance types: CSV files with a header.

use std::collections::HashMap;
use std::path::Path;

use plimsoll_model::{Arch, Bytes, InstanceType, Interfaces, MilliCpu};

use super::values::dollars_to_price;

/// The resource that pods request for a GPU, unless stated otherwise.
pub const GPU_RESOURCE: &str = "nvidia.com/gpu";
/// What a kubelet allows unless told otherwise (Kubernetes, "Considerations for large clusters").
const MAX_PODS: u64 = 110;

/// Instance types by name.
pub type Catalog = HashMap<String, InstanceType>;

/// Columns that a catalogue must or may have, each with the headers that it goes by, the better first.
const COLUMNS: [(&str, &[&str]); 11] = [
    ("name", &["instance_type", "name"]),
    ("vcpu", &["vcpu"]),
    ("memory_mib", &["memory_mib"]),
    ("memory_kib", &["memory_kib"]),
    ("gpus", &["gpus", "gpu_count"]),
    ("max_pods", &["max_pods"]),
    ("arch", &["arch"]),
    ("enis", &["enis", "default_card_enis", "max_enis"]),
    ("ips_per_eni", &["ips_per_eni", "ipv4_per_eni"]),
    ("price", &["price_on_demand_usd_per_h", "price_usd_per_hour", "price"]),
    ("spot_price", &["price_spot_usd_per_h", "spot_price_usd_per_hour", "spot_price"]),
];

/// Pods on a type that states no number itself.
pub fn most_pods(interfaces: Option<Interfaces>) -> u64 {
    interfaces.and_then(|interfaces| interfaces.max_pods(0)).unwrap_or(MAX_PODS)
}

/// Reads a catalogue into `catalog`. The error says which line and column.
pub fn read_into(catalog: &mut Catalog, path: &Path) -> Result<(), String> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).map_err(|e| e.to_string())?;
    let headers = reader.headers().map_err(|e| e.to_string())?.clone();
    let place: HashMap<&str, usize> = COLUMNS
        .iter()
        .filter_map(|(column, names)| {
            Some((*column, names.iter().find_map(|name| headers.iter().position(|header| header == *name))?))
        })
        .collect();
    if !place.contains_key("name")
        || !place.contains_key("vcpu")
        || !(place.contains_key("memory_mib") || place.contains_key("memory_kib"))
    {
        return Err("its header lacks instance_type, vcpu or memory_mib".to_owned());
    }
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let cell = |column| place.get(column).and_then(|at| record.get(*at)).filter(|text| !text.is_empty());
        let number = |column| match cell(column) {
            None => Ok(None),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|number| (0.0..1e15).contains(number))
                .map(Some)
                .ok_or_else(|| format!("line {line}: {column} is \"{text}\", not a number")),
        };
        #[expect(clippy::cast_sign_loss, reason = "number() lets nothing negative through")]
        let whole = |column| number(column).map(|number| number.map(|number| number as u64));
        let Some(name) = cell("name") else { return Err(format!("line {line}: the name is missing")) };
        let cpu = number("vcpu")?.ok_or_else(|| format!("line {line}: {name} has no vcpu"))?;
        let memory = match (whole("memory_mib")?, whole("memory_kib")?) {
            (Some(mib), _) => Bytes(mib << 20),
            (None, Some(kib)) => Bytes(kib << 10),
            (None, None) => return Err(format!("line {line}: {name} has no memory")),
        };
        let arch = match cell("arch") {
            None => Arch::default(),
            Some(text) => {
                Arch::parse(text).ok_or_else(|| format!("line {line}: arch is \"{text}\", not amd64 or arm64"))?
            }
        };
        #[expect(clippy::cast_sign_loss, reason = "number() lets nothing negative through")]
        let cpu = MilliCpu((cpu * 1000.0).round() as u64);
        let interfaces = whole("enis")?.zip(whole("ips_per_eni")?);
        let interfaces = interfaces.map(|(enis, ips_per_eni)| Interfaces { enis, ips_per_eni });
        let instance_type = InstanceType {
            name: name.into(),
            cpu,
            memory,
            gpus: whole("gpus")?.unwrap_or(0),
            gpu_resource: GPU_RESOURCE.into(),
            max_pods: whole("max_pods")?.unwrap_or_else(|| most_pods(interfaces)),
            interfaces,
            extended: Vec::new(),
            arch,
            price: number("price")?.and_then(dollars_to_price),
            spot_price: number("spot_price")?.and_then(dollars_to_price),
        };
        catalog.insert(name.to_owned(), instance_type);
    }
    Ok(())
}
