//! The policies of each point.

use std::path::{Path, PathBuf};

use plimsoll_model::{Bytes, Millis};
use plimsoll_planner::Point;
use plimsoll_policy::{Limits, Mode, ModuleSource, OnError, PolicySpec};

use super::super::file::{ConfigFile, PolicyFile};
use super::Wrong;
use crate::policies;

/// The policies in the order in which they are asked.
pub(super) fn specs(folder: &Path, file: &ConfigFile) -> Result<Vec<(Point, PolicySpec)>, Wrong> {
    let lists = [
        (Point::ScaleUp, "scaleUp", &file.policies.scale_up),
        (Point::Drain, "drain", &file.policies.drain),
        (Point::CsrApproval, "csrApproval", &file.policies.csr_approval),
    ];
    let mut specs: Vec<(Point, PolicySpec)> = Vec::new();
    for (point, key, list) in lists {
        for (at, policy) in list.iter().enumerate() {
            let spec = spec(folder, point, policy)
                .map_err(|(field, problem)| (format!("policies.{key}[{at}].{field}"), problem))?;
            if specs.iter().any(|(known, other)| *known == point && other.name == spec.name) {
                let problem = format!("there are two {key} policies called {}", spec.name);
                return Err((format!("policies.{key}[{at}].name"), problem));
            }
            specs.push((point, spec));
        }
    }
    Ok(specs)
}

fn spec(folder: &Path, point: Point, file: &PolicyFile) -> Result<PolicySpec, Wrong> {
    let wrong = |field: &str, problem: String| (field.to_owned(), problem);
    let module = match file.module.strip_prefix("builtin:") {
        Some(name) => policies::builtin(name).ok_or_else(|| {
            wrong("module", format!("no built-in is called {name}; known are {}", policies::builtin_names()))
        })?,
        None => {
            let path = file.module.strip_prefix("file:").unwrap_or(&file.module);
            ModuleSource::File(folder.join(PathBuf::from(path)))
        }
    };
    let mode = match file.mode.as_deref() {
        None | Some("active") => Mode::Active,
        Some("shadow") => Mode::Shadow,
        Some(other) => return Err(wrong("mode", format!("\"{other}\" is neither active nor shadow"))),
    };
    let on_error = match file.on_error.as_deref() {
        None => policies::default_on_error(point),
        Some("next" | "builtin") => OnError::Next,
        Some("hold") => OnError::Hold,
        Some(other) => return Err(wrong("onError", format!("\"{other}\" is neither next nor hold"))),
    };
    let (limits, default) = (&file.limits, Limits::default());
    let positive = |field: &str, value: Option<u64>| match value {
        Some(0) => Err(wrong(&format!("limits.{field}"), "it must be above 0".to_owned())),
        value => Ok(value),
    };
    let limits = Limits {
        timeout: positive("timeoutMs", limits.timeout_ms)?.map_or(default.timeout, Millis),
        memory: positive("memoryMib", limits.memory_mib)?
            .map_or(default.memory, |mib| Bytes(mib.saturating_mul(1 << 20))),
        answer: positive("answerKib", limits.answer_kib)?
            .map_or(default.answer, |kib| Bytes(kib.saturating_mul(1 << 10))),
        log_lines: limits.log_lines.unwrap_or(default.log_lines),
        log_bytes: limits.log_kib.map_or(default.log_bytes, |kib| Bytes(kib.saturating_mul(1 << 10))),
    };
    let settings = file.settings.as_ref().map_or_else(|| "{}".to_owned(), ToString::to_string);
    Ok(PolicySpec { name: file.name.as_str().into(), module, settings, mode, limits, on_error })
}
