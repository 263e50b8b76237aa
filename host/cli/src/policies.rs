//! The policies of this process: those of the user, and the built-in ones behind them.

use std::path::PathBuf;

use anyhow::{Context, Result};
use plimsoll_planner::Point;
use plimsoll_policy::{Change, Limits, Mode, ModuleSource, OnError, PolicyRegistry, PolicySpec, Sandbox};

/// Which built-in policy answers last at each point.
const DEFAULTS: [(Point, &str); 3] = [
    (Point::ScaleUp, "scale-up-least-cost"),
    (Point::Drain, "drain-least-disruption"),
    (Point::CsrApproval, "csr-launched-nodes"),
];

/// The built-in module of this name.
pub fn builtin(name: &str) -> Option<ModuleSource> {
    let found = plimsoll_builtin::find(name)?;
    Some(ModuleSource::Builtin { name: found.name, wasm: found.wasm })
}

/// The names of the built-in modules, for people.
pub fn builtin_names() -> String {
    plimsoll_builtin::POLICIES.iter().map(|policy| policy.name).collect::<Vec<_>>().join(", ")
}

/// What happens at a point when a policy fails and nothing is configured: a missing node is launched by the
/// built-in policy's choice, but nothing is evicted or approved that a failing policy may have wanted kept.
pub fn default_on_error(point: Point) -> OnError {
    match point {
        Point::ScaleUp => OnError::Next,
        Point::Drain | Point::CsrApproval => OnError::Hold,
    }
}

/// Loads everything for the first time.
pub fn open(directory: Option<PathBuf>, specs: Vec<(Point, PolicySpec)>) -> Result<(PolicyRegistry, Vec<Change>)> {
    let sandbox = Sandbox::new().context("the sandbox does not start")?;
    let mut defaults = Vec::with_capacity(DEFAULTS.len());
    for (point, name) in DEFAULTS {
        let module =
            builtin(name).with_context(|| format!("the built-in policy {name} is missing from this binary"))?;
        let spec = PolicySpec {
            name: name.into(),
            module,
            settings: "{}".to_owned(),
            mode: Mode::Active,
            limits: Limits::default(),
            on_error: OnError::Hold,
        };
        defaults.push((point, spec));
    }
    Ok(PolicyRegistry::sandboxed(sandbox, directory, defaults, specs))
}
