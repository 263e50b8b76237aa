//! Whether a policy speaks the contract of this host, by the names of what it exports and imports.

use plimsoll_planner::Point;

use crate::Failure;

/// The versions of the contract that this host speaks. Of a version 0 every minor is a contract of its own.
pub const SPOKEN: &str = "0.1";

const PACKAGE: &str = "plimsoll:policy/";
const IMPORTS: [&str; 3] = ["types", "cluster", "log"];
const SETTINGS: &str = "settings";

/// What a policy exports and imports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Everything exported, for example `plimsoll:policy/scale-up@0.1.0`.
    pub exports: Vec<String>,
    /// Everything imported.
    pub imports: Vec<String>,
}

/// What a policy that speaks the contract is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Role {
    /// Where it has a say; never empty.
    pub points: Vec<Point>,
    /// It checks its settings.
    pub settings: bool,
    /// It needs WASI.
    pub wasi: bool,
}

/// A name such as `plimsoll:policy/scale-up@0.1.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name<'a> {
    interface: &'a str,
    version: Option<&'a str>,
}

// === impl Names ===

impl Names {
    /// What the policy is, or why it is none that this host can run.
    pub fn role(&self) -> Result<Role, Failure> {
        let exports = || self.exports.iter().filter_map(|name| Name::ours(name).map(|ours| (name, ours)));
        for (name, ours) in exports() {
            let known = ours.interface == SETTINGS || Point::ALL.iter().any(|p| p.interface() == ours.interface);
            if known && !ours.spoken() {
                return Err(another_version("exports", name));
            }
        }
        for name in &self.imports {
            check_import(name)?;
        }
        let exported = |interface| exports().any(|(_, ours)| ours.interface == interface);
        let points: Vec<Point> = Point::ALL.into_iter().filter(|point| exported(point.interface())).collect();
        if points.is_empty() {
            return Err(Failure::Contract(self.no_points()));
        }
        let wasi = self.imports.iter().any(|name| name.starts_with("wasi:"));
        Ok(Role { points, settings: exported(SETTINGS), wasi })
    }

    /// Versions of the contract that are named, each once.
    pub fn versions(&self) -> Vec<String> {
        let names = self.exports.iter().chain(&self.imports).filter_map(|name| Name::ours(name));
        let mut versions: Vec<String> = names.filter_map(|name| name.version).map(str::to_owned).collect();
        versions.sort();
        versions.dedup();
        versions
    }

    fn no_points(&self) -> String {
        let expected = Point::ALL.map(|point| format!("`{PACKAGE}{}@{SPOKEN}.x`", point.interface())).join(", ");
        let found = match self.exports.as_slice() {
            [] => "nothing".to_owned(),
            names => names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        };
        format!("exports {found}; a policy exports at least one of {expected}")
    }
}

fn check_import(name: &str) -> Result<(), Failure> {
    if let Some(ours) = Name::ours(name) {
        if !ours.spoken() {
            return Err(another_version("imports", name));
        }
        if IMPORTS.contains(&ours.interface) {
            return Ok(());
        }
        let has = IMPORTS.map(|interface| format!("`{interface}`")).join(", ");
        return Err(Failure::Contract(format!("imports `{name}`, which this host does not have; it has {has}")));
    }
    if name.starts_with("wasi:") {
        let version = name.rsplit_once('@').map_or("", |(_, version)| version);
        return match within(version, "0.2") {
            true => Ok(()),
            false => Err(Failure::Contract(format!("imports `{name}`; of WASI this host has 0.2.x only"))),
        };
    }
    let what = "a policy imports nothing but `plimsoll:policy` and WASI 0.2";
    Err(Failure::Contract(format!("imports `{name}`; {what}")))
}

fn another_version(verb: &str, name: &str) -> Failure {
    let advice = format!("this host speaks {SPOKEN}.x; rebuild against wit {SPOKEN}");
    Failure::Contract(format!("{verb} `{name}`; {advice}"))
}

/// True of `0.1.0` and `0.1.12` within `0.1`, but not of `0.10.0` or `0.1.0-rc.1`.
fn within(version: &str, track: &str) -> bool {
    let patch = version.strip_prefix(track).and_then(|rest| rest.strip_prefix('.'));
    patch.is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|byte| byte.is_ascii_digit()))
}

// === impl Name ===

impl<'a> Name<'a> {
    fn ours(name: &'a str) -> Option<Self> {
        let rest = name.strip_prefix(PACKAGE)?;
        let (interface, version) = rest.split_once('@').map_or((rest, None), |(name, version)| (name, Some(version)));
        Some(Self { interface, version })
    }

    fn spoken(self) -> bool {
        self.version.is_some_and(|version| within(version, SPOKEN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(exports: &[&str], imports: &[&str]) -> Result<Role, String> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Names { exports: own(exports), imports: own(imports) }.role().map_err(|failure| failure.to_string())
    }

    #[test]
    fn a_policy_may_have_several_points() {
        let exports =
            ["plimsoll:policy/drain@0.1.3", "plimsoll:policy/scale-up@0.1.0", "plimsoll:policy/settings@0.1.0"];
        let imports = ["plimsoll:policy/types@0.1.0", "wasi:cli/exit@0.2.6"];
        let role = role(&exports, &imports).unwrap();
        assert_eq!(role, Role { points: vec![Point::ScaleUp, Point::Drain], settings: true, wasi: true });
    }

    #[test]
    fn another_version_is_named() {
        for name in ["plimsoll:policy/scale-up@0.2.0", "plimsoll:policy/scale-up@0.10.0", "plimsoll:policy/scale-up"] {
            let expected = format!("contract: exports `{name}`; this host speaks 0.1.x; rebuild against wit 0.1");
            assert_eq!(role(&[name], &[]).unwrap_err(), expected);
        }
        let error = role(&["plimsoll:policy/drain@0.1.0"], &["plimsoll:policy/cluster@0.2.0"]).unwrap_err();
        assert!(
            error.starts_with("contract: imports `plimsoll:policy/cluster@0.2.0`; this host speaks 0.1.x"),
            "{error}"
        );
        assert!(!within("0.1.0-rc.1", "0.1") && !within("0.1.", "0.1") && within("0.1.12", "0.1"));
    }

    #[test]
    fn what_a_policy_may_not_have_is_named() {
        let drain = ["plimsoll:policy/drain@0.1.0"];
        for (import, words) in [
            ("wasi:cli/exit@0.3.0", "0.2.x only"),
            ("wasi:cli/exit", "0.2.x only"),
            ("evil:host/shell", "nothing but"),
            ("plimsoll:policy/secrets@0.1.0", "does not have"),
        ] {
            let error = role(&drain, &[import]).unwrap_err();
            assert!(error.contains(&format!("imports `{import}`")) && error.contains(words), "{error}");
        }
    }

    #[test]
    fn a_policy_without_points_is_told_which_there_are() {
        let error = role(&["wasi:cli/run@0.2.0"], &[]).unwrap_err();
        for words in
            ["`wasi:cli/run@0.2.0`", "`plimsoll:policy/scale-up@0.1.x`", "`plimsoll:policy/csr-approval@0.1.x`"]
        {
            assert!(error.contains(words), "{error}");
        }
    }
}
