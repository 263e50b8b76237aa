//! Maps of resource names to quantities.

use std::fmt;

use plimsoll_model::{Bytes, Pools, Quantity, Resources};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::field::Str;

/// Volumes are attached, not requested.
const ATTACHABLE: &str = "attachable-volumes-";

/// Amounts by the name of the resource, as in `requests` or `allocatable`.
#[derive(Debug, Default)]
pub(super) struct Quantities<'a>(Vec<(Str<'a>, Amount)>);

/// A quantity that is not negative.
#[derive(Clone, Copy, Debug)]
struct Amount(Quantity);

// === impl Quantities ===

impl Quantities<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The amounts in the model's units.
    pub(super) fn to_resources(&self, pools: &mut Pools) -> Resources {
        let mut resources = Resources::default();
        self.write_to(&mut resources, pools);
        resources
    }

    /// True if an amount is given for this resource.
    pub(super) fn names(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| **known == *name)
    }

    /// The size of a volume; zero if it is not given.
    pub(super) fn storage(&self) -> Bytes {
        let size = self.0.iter().find(|(name, _)| **name == *"storage");
        size.map(|(_, Amount(amount))| amount.bytes()).unwrap_or_default()
    }

    /// Sets the resources that are named here; others stay.
    pub(super) fn write_to(&self, resources: &mut Resources, pools: &mut Pools) {
        self.write_some(resources, |_| true, pools);
    }

    /// Sets those of the resources named here that `counts` accepts; others stay.
    pub(super) fn write_some(&self, resources: &mut Resources, counts: impl Fn(&str) -> bool, pools: &mut Pools) {
        for (name, Amount(amount)) in self.0.iter().filter(|(name, _)| counts(name)) {
            match &**name {
                "cpu" => resources.cpu = amount.cpu(),
                "memory" => resources.memory = amount.bytes(),
                "ephemeral-storage" => resources.ephemeral_storage = amount.bytes(),
                "pods" => resources.pods = amount.units(),
                volumes if volumes.starts_with(ATTACHABLE) => {}
                extended => resources.set_extended(pools.text(extended), amount.units()),
            }
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Quantities<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct QuantitiesVisitor;
        impl<'de> Visitor<'de> for QuantitiesVisitor {
            type Value = Quantities<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of resource names to quantities")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Quantities<'de>, A::Error> {
                let mut amounts = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    amounts.push(entry);
                }
                Ok(Quantities(amounts))
            }
        }
        deserializer.deserialize_map(QuantitiesVisitor)
    }
}

// === impl Amount ===

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct AmountVisitor;
        impl Visitor<'_> for AmountVisitor {
            type Value = Amount;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a quantity like 500m, 2, 1.5Gi or 1e3")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Amount, E> {
                Quantity::parse_amount(text).map(Amount).map_err(E::custom)
            }
            fn visit_u64<E: Error>(self, number: u64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_i64<E: Error>(self, number: i64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }
            fn visit_f64<E: Error>(self, number: f64) -> Result<Amount, E> {
                self.visit_str(&number.to_string())
            }
        }
        deserializer.deserialize_any(AmountVisitor)
    }
}
