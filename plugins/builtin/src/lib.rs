//! The built-in policies as WebAssembly components, ready to embed.

/// A policy that Plimsoll carries inside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Builtin {
    /// What the configuration calls it.
    pub name: &'static str,
    /// The component.
    pub wasm: &'static [u8],
}

macro_rules! builtin {
    ($name:literal) => {
        Builtin { name: $name, wasm: include_bytes!(concat!(env!("OUT_DIR"), "/", $name, ".wasm")) }
    };
}

/// Launches the cheapest nodes that place the most pods. Exports `scale-up`.
pub const SCALE_UP_LEAST_COST: Builtin = builtin!("scale-up-least-cost");

/// Drains the nodes that save most and disturb least. Exports `drain`.
pub const DRAIN_LEAST_DISRUPTION: Builtin = builtin!("drain-least-disruption");

/// Approves certificates of machines that are known to be launched. Exports `csr-approval`.
pub const CSR_LAUNCHED_NODES: Builtin = builtin!("csr-launched-nodes");

/// All of them.
pub static POLICIES: &[Builtin] = &[SCALE_UP_LEAST_COST, DRAIN_LEAST_DISRUPTION, CSR_LAUNCHED_NODES];

/// The built-in policy of this name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Builtin> {
    POLICIES.iter().find(|policy| policy.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use wasmparser::{Validator, WasmFeatures};
    use wit_component::DecodedWasm;

    /// The names of what a component imports and exports.
    fn interfaces(wasm: &[u8]) -> (Vec<String>, Vec<String>) {
        let DecodedWasm::Component(resolve, world) = wit_component::decode(wasm).unwrap() else {
            panic!("a package of WIT text");
        };
        let world = &resolve.worlds[world];
        let name = |key| resolve.name_world_key(key);
        (world.imports.keys().map(name).collect(), world.exports.keys().map(name).collect())
    }

    #[test]
    fn each_is_a_valid_component_of_the_contract() {
        for (policy, point) in
            [(SCALE_UP_LEAST_COST, "scale-up"), (DRAIN_LEAST_DISRUPTION, "drain"), (CSR_LAUNCHED_NODES, "csr-approval")]
        {
            Validator::new_with_features(WasmFeatures::default()).validate_all(policy.wasm).unwrap();
            let (imports, mut exports) = interfaces(policy.wasm);
            assert!(imports.iter().all(|name| name.starts_with("plimsoll:policy/")), "{imports:?}");
            exports.sort();
            let mut expected = [format!("plimsoll:policy/{point}@0.1.0"), "plimsoll:policy/settings@0.1.0".into()];
            expected.sort();
            assert_eq!(exports, expected, "{}", policy.name);
        }
    }

    #[test]
    fn each_is_found_by_its_name() {
        for policy in POLICIES {
            assert_eq!(find(policy.name), Some(policy));
        }
        assert_eq!(find("scale-up"), None);
    }

    #[test]
    fn they_stay_small() {
        for policy in POLICIES {
            println!("{}: {} bytes", policy.name, policy.wasm.len());
            assert!(policy.wasm.len() < 256 * 1024, "{} has {} bytes", policy.name, policy.wasm.len());
        }
    }
}
