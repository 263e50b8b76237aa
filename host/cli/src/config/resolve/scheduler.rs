//! `scheduler`.

use plimsoll_model::{NodeSelector, NodeSelectorTerm, Operator, Requirement, Text};
use plimsoll_scheduler::SchedulerProfile;

use super::Wrong;
use crate::config::file::{RequirementFile, SchedulerFile};

pub(super) fn profile(file: &SchedulerFile) -> Result<SchedulerProfile, Wrong> {
    let texts = |all: &[String]| all.iter().map(|text| Text::from(text.as_str())).collect();
    let added_affinity = match &file.added_affinity {
        None => None,
        Some(affinity) => {
            let mut terms = Vec::new();
            for (at, term) in affinity.required.node_selector_terms.iter().enumerate() {
                let field = |list: &str| {
                    format!(
                        "scheduler.addedAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms[{at}].{list}"
                    )
                };
                terms.push(NodeSelectorTerm {
                    match_expressions: requirements(&term.match_expressions, &field("matchExpressions"))?,
                    match_fields: requirements(&term.match_fields, &field("matchFields"))?,
                });
            }
            Some(NodeSelector { terms })
        }
    };
    Ok(SchedulerProfile {
        ignored_resources: texts(&file.ignored_resources),
        ignored_resource_groups: texts(&file.ignored_resource_groups),
        added_affinity,
    })
}

fn requirements(files: &[RequirementFile], field: &str) -> Result<Vec<Requirement>, Wrong> {
    let requirement = |(at, file): (usize, &RequirementFile)| {
        let operator = Operator::parse(&file.operator).ok_or_else(|| {
            let problem = format!("\"{}\" is none of In, NotIn, Exists, DoesNotExist, Gt, Lt", file.operator);
            (format!("{field}[{at}].operator"), problem)
        })?;
        let values = file.values.iter().map(|value| Text::from(value.as_str())).collect();
        Ok(Requirement { key: file.key.as_str().into(), operator, values })
    };
    files.iter().enumerate().map(requirement).collect()
}
