//! Which operating system's nodes a pod may use.

use plimsoll_model::{Os, PodShape, Requirement, well_known};

/// True if pods of this shape run on nodes of this operating system (Spot Ocean, "Scaling", Windows beside Linux).
///
/// `spec.os.name` decides where it is set: a kubelet rejects the pod elsewhere (Kubernetes, "Pod OS"). Without it
/// a pod is for Linux unless its node selector or required node affinity names Windows.
pub fn runs_on(shape: &PodShape, os: Os) -> bool {
    let accepted = accepts(shape, os);
    match (shape.os, os) {
        (Some(wanted), os) => wanted == os && accepted,
        (None, Os::Linux) => accepted,
        (None, Os::Windows) => accepted && names_windows(shape),
    }
}

fn about_os(key: &str) -> bool {
    key == well_known::OS || key == well_known::OS_BETA
}

/// Its selectors allow it, as far as they speak of operating systems.
fn accepts(shape: &PodShape, os: Os) -> bool {
    let value = os.label().into();
    let selected = shape.node_selector.iter().all(|(key, wanted)| !about_os(key) || *wanted == value);
    selected
        && shape.node_affinity.as_ref().is_none_or(|affinity| {
            affinity.terms.iter().any(|term| {
                let mut about = term.match_expressions.iter().filter(|requirement| about_os(&requirement.key));
                about.all(|requirement| requirement.accepts(Some(&value)))
            })
        })
}

fn names_windows(shape: &PodShape) -> bool {
    let windows = Os::Windows.label();
    let names = |requirement: &Requirement| {
        about_os(&requirement.key)
            && requirement.values.iter().any(|value| *value == *windows)
            && requirement.accepts(Some(&windows.into()))
    };
    shape.node_selector.iter().any(|(key, value)| about_os(key) && *value == *windows)
        || shape
            .node_affinity
            .as_ref()
            .is_some_and(|affinity| affinity.terms.iter().flat_map(|term| &term.match_expressions).any(names))
}

#[cfg(test)]
mod tests {
    use plimsoll_model::{NodeSelector, NodeSelectorTerm, Operator};

    use super::*;

    fn affinity(terms: &[(&str, Operator, &[&str])]) -> Option<NodeSelector> {
        let term = |(key, operator, values): &(&str, Operator, &[&str])| NodeSelectorTerm {
            match_expressions: vec![Requirement {
                key: (*key).into(),
                operator: *operator,
                values: values.iter().map(|value| (*value).into()).collect(),
            }],
            match_fields: vec![],
        };
        Some(NodeSelector { terms: terms.iter().map(term).collect() })
    }

    #[test]
    fn windows_pods_and_others_keep_to_their_nodes() {
        use Operator::*;
        use well_known::{OS, OS_BETA};
        let selector =
            |key, value| PodShape { node_selector: [(key, value)].into_iter().collect(), ..Default::default() };
        let term = |key, operator, values| PodShape {
            node_affinity: affinity(&[(key, operator, values)]),
            ..Default::default()
        };
        let of = |os| PodShape { os: Some(os), ..Default::default() };
        let either = affinity(&[(OS, In, &["windows"]), ("disk", In, &["ssd"])]);
        for (name, shape, linux, windows) in [
            ("says nothing", PodShape::default(), true, false),
            ("spec.os linux", of(Os::Linux), true, false),
            ("spec.os windows", of(Os::Windows), false, true),
            ("selects windows", selector(OS, "windows"), false, true),
            ("selects windows by the old key", selector(OS_BETA, "windows"), false, true),
            ("selects linux", selector(OS, "linux"), true, false),
            ("selects another thing", selector("disk", "ssd"), true, false),
            ("affinity to windows", term(OS, In, &["windows"]), false, true),
            ("affinity to both", term(OS, In, &["linux", "windows"]), true, true),
            ("affinity away from linux", term(OS, NotIn, &["linux"]), false, false),
            ("affinity away from windows", term(OS, NotIn, &["windows"]), true, false),
            ("affinity to any", term(OS, Exists, &[]), true, false),
            ("one of two terms", PodShape { node_affinity: either, ..Default::default() }, true, true),
            ("no term", PodShape { node_affinity: Some(NodeSelector::default()), ..Default::default() }, false, false),
            ("contradiction", PodShape { os: Some(Os::Windows), ..selector(OS, "linux") }, false, false),
        ] {
            assert_eq!((runs_on(&shape, Os::Linux), runs_on(&shape, Os::Windows)), (linux, windows), "{name}");
        }
    }
}
