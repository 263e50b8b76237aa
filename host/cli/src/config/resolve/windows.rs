//! `suspensionHours` and `optimizationWindows`.

use std::collections::BTreeSet;

use plimsoll_planner::windows::{
    CronWindow, Effect, OptimizationWindows, Schedule, SuspensionHours, WeeklyWindow, WindowError, WindowLength, Zone,
};

use super::Wrong;
use crate::config::file::{OptimizationWindowFile, SuspensionFile};

/// The hours in which nothing is removed to save. Windows that are written are meant: only `enabled: false` turns them
/// off, and what is turned off is checked all the same.
pub(super) fn suspension(file: &SuspensionFile, warnings: &mut Vec<String>) -> Result<SuspensionHours, Wrong> {
    let zone = zone("suspensionHours", file.time_zone.as_deref())?;
    let mut windows = Vec::with_capacity(file.windows.len());
    for (at, text) in file.windows.iter().enumerate() {
        let window = WeeklyWindow::parse(text, zone.clone());
        windows.push(window.map_err(|error| wrong(format!("suspensionHours.windows[{at}]"), &error))?);
    }
    if file.enabled == Some(true) && windows.is_empty() {
        warnings.push("suspensionHours.enabled has no effect without windows".to_owned());
    }
    if file.enabled == Some(false) {
        return Ok(SuspensionHours::default());
    }
    let hours = SuspensionHours::new(windows);
    if hours.cover_the_week() {
        warnings.push(
            "suspensionHours.windows cover the whole week, so that no node is ever removed to save; \
             scaleDown.enabled: false says the same"
                .to_owned(),
        );
    }
    Ok(hours)
}

/// The windows in which protections yield.
pub(super) fn optimization(files: &[OptimizationWindowFile]) -> Result<OptimizationWindows, Wrong> {
    let windows = files.iter().enumerate().map(|(at, file)| window(&format!("optimizationWindows[{at}]"), file));
    windows.collect::<Result<_, _>>().map(OptimizationWindows::new)
}

fn window(field: &str, file: &OptimizationWindowFile) -> Result<CronWindow, Wrong> {
    let at = |key: &str| {
        let field = format!("{field}.{key}");
        move |error: WindowError| wrong(field, &error)
    };
    let zone = zone(field, file.time_zone.as_deref())?;
    let schedule = Schedule::parse(&file.schedule, zone).map_err(at("schedule"))?;
    let length = WindowLength::parse(&file.duration).map_err(at("duration"))?;
    let mut effects = BTreeSet::new();
    for (index, effect) in file.effects.iter().enumerate() {
        effects.insert(Effect::parse(effect).map_err(at(&format!("effects[{index}]")))?);
    }
    CronWindow::new(schedule, length, effects).map_err(at("effects"))
}

fn zone(section: &str, name: Option<&str>) -> Result<Zone, Wrong> {
    let zone = name.map_or_else(|| Ok(Zone::default()), Zone::parse);
    zone.map_err(|error| wrong(format!("{section}.timeZone"), &error))
}

fn wrong(field: String, error: &WindowError) -> Wrong {
    (field, error.to_string())
}
