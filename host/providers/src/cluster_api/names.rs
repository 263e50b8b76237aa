//! Which node group is which object.

use std::collections::BTreeMap;

use plimsoll_model::Text;

use super::object::Scaled;
use super::settings::ClusterApiSettings;

/// Objects by the names of their node groups. Where a name stands for several objects it stands for none, and the
/// problem names them.
pub(super) fn by_group(
    objects: Vec<Scaled>,
    settings: &ClusterApiSettings,
    configured: &[Text],
    problems: &mut Vec<String>,
) -> BTreeMap<Text, Scaled> {
    let mut all: BTreeMap<Text, Vec<Scaled>> = BTreeMap::new();
    for object in objects {
        all.entry(group_of(&object, settings, configured)).or_default().push(object);
    }
    let mut groups = BTreeMap::new();
    for (group, mut objects) in all {
        match (objects.pop(), objects.is_empty()) {
            (Some(only), true) => _ = groups.insert(group, only),
            (last, _) => {
                objects.extend(last);
                let names: Vec<String> = objects.iter().map(Scaled::exact).collect();
                problems.push(format!(
                    "node group {group} could be {}; say which under provider.groups.{group}",
                    names.join(" or ")
                ));
            }
        }
    }
    groups
}

/// What the settings say; else the configured name that fits; else `namespace/name`.
fn group_of(object: &Scaled, settings: &ClusterApiSettings, configured: &[Text]) -> Text {
    let (exact, full) = (object.exact(), object.object.to_string());
    let said = settings.groups.iter().find(|(_, target)| **target == exact || **target == full);
    if let Some((group, _)) = said {
        return group.as_str().into();
    }
    // A group with an object of its own is nobody else's.
    let is_free = |name: &str| configured.iter().any(|known| *known == name) && !settings.groups.contains_key(name);
    [&exact, &full, &object.object.name].into_iter().find(|name| is_free(name)).unwrap_or(&full).as_str().into()
}

#[cfg(test)]
mod tests {
    use plimsoll_kube::ObjectName;

    use super::*;
    use crate::cluster_api::object::Kind;

    fn object(kind: Kind, namespace: &str, name: &str) -> Scaled {
        let object = ObjectName::in_namespace(namespace, name);
        Scaled { kind, object, min: 0, max: 1, replicas: 0, template: None }
    }

    #[test]
    fn names_find_their_objects() {
        let objects = || {
            vec![
                object(Kind::Deployment, "prod", "web"),
                object(Kind::Deployment, "test", "web"),
                object(Kind::Set, "prod", "db"),
                object(Kind::Pool, "prod", "db"),
                object(Kind::Pool, "prod", "gpu"),
            ]
        };
        let found = |configured: &[&str], said: &[(&str, &str)]| {
            let configured: Vec<Text> = configured.iter().map(|name| Text::from(*name)).collect();
            let groups = said.iter().map(|(group, object)| ((*group).to_owned(), (*object).to_owned())).collect();
            let settings = ClusterApiSettings { groups, ..Default::default() };
            let mut problems = Vec::new();
            let groups = by_group(objects(), &settings, &configured, &mut problems);
            let groups: Vec<String> =
                groups.iter().map(|(name, object)| format!("{name}: {}", object.exact())).collect();
            (groups, problems)
        };
        let db = "node group prod/db could be MachineSet/prod/db or MachinePool/prod/db; say which under \
                  provider.groups.prod/db";
        let (groups, problems) = found(&[], &[]);
        assert_eq!(
            groups,
            [
                "prod/gpu: MachinePool/prod/gpu",
                "prod/web: MachineDeployment/prod/web",
                "test/web: MachineDeployment/test/web"
            ]
        );
        assert_eq!(problems, [db]);
        let (groups, problems) = found(&["gpu", "web"], &[]);
        assert_eq!(groups, ["gpu: MachinePool/prod/gpu"]);
        assert!(problems[1].contains("web could be MachineDeployment/prod/web or MachineDeployment/test/web"));
        let (groups, problems) =
            found(&["web", "db", "MachinePool/prod/db"], &[("web", "test/web"), ("db", "MachineSet/prod/db")]);
        assert_eq!(
            groups,
            [
                "MachinePool/prod/db: MachinePool/prod/db",
                "db: MachineSet/prod/db",
                "prod/gpu: MachinePool/prod/gpu",
                "prod/web: MachineDeployment/prod/web",
                "web: MachineDeployment/test/web",
            ]
        );
        assert_eq!(problems, [""; 0]);
    }
}
