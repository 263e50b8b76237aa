//! Which kinds there are, for clients that do not know.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::resource::{Registry, ResourceKind, api_version};
use crate::semantics::refusal::Refusal;

use super::answer::Answer;
use super::route::Discovery;

/// Kinds that are asked, not kept: group, kind, plural, whether they are asked in a namespace.
pub(crate) const ASKED: &[(&str, &str, &str, bool)] = &[
    ("", "Binding", "bindings", true),
    ("authorization.k8s.io", "SelfSubjectAccessReview", "selfsubjectaccessreviews", false),
    ("authorization.k8s.io", "SubjectAccessReview", "subjectaccessreviews", false),
    ("authorization.k8s.io", "LocalSubjectAccessReview", "localsubjectaccessreviews", true),
    ("authentication.k8s.io", "SelfSubjectReview", "selfsubjectreviews", false),
];

const VERBS: [&str; 8] = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// A discovery document.
pub(crate) fn answer(registry: &Registry, asked: &Discovery) -> Result<Answer, Refusal> {
    let document = match asked {
        Discovery::CoreVersions => json!({
            "kind": "APIVersions",
            "versions": ["v1"],
            "serverAddressByClientCIDRs": [],
        }),
        Discovery::Groups => json!({
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": groups(registry).iter().map(|(name, versions)| group(name, versions)).collect::<Vec<_>>(),
        }),
        Discovery::Group(name) => {
            let groups = groups(registry);
            let Some(versions) = groups.get(name) else { return Ok(not_found()) };
            let mut group = group(name, versions);
            group["kind"] = "APIGroup".into();
            group["apiVersion"] = "v1".into();
            group
        }
        Discovery::Version { group, version } => {
            let resources = resources(registry, group, version);
            if resources.is_empty() {
                return Ok(not_found());
            }
            json!({
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": api_version(group, version),
                "resources": resources,
            })
        }
    };
    Ok(Answer::tree(200, &document))
}

/// What a real server says of a path that nobody serves.
pub(crate) fn not_found() -> Answer {
    Answer::text(404, "404 page not found\n")
}

/// Whether a group is served in a version at all.
pub(crate) fn knows(registry: &Registry, group: &str, version: &str) -> bool {
    (group.is_empty() && version == "v1")
        || groups(registry).get(group).is_some_and(|versions| versions.iter().any(|known| known == version))
}

/// What tells kubectl that the server itself checks fields: the little of OpenAPI that it looks for before an apply.
pub(crate) fn open_api(registry: &Registry, path: &str) -> Option<Answer> {
    let mut versions: Vec<(String, String)> = vec![(String::new(), "v1".to_owned())];
    for (group, names) in groups(registry) {
        versions.extend(names.into_iter().map(|version| (group.clone(), version)));
    }
    let place = |group: &str, version: &str| match group {
        "" => format!("api/{version}"),
        group => format!("apis/{group}/{version}"),
    };
    let Some(asked) = path.strip_prefix("/openapi/v3/") else {
        let paths: Map<String, Value> = versions
            .iter()
            .map(|(group, version)| {
                let place = place(group, version);
                (place.clone(), json!({ "serverRelativeURL": format!("/openapi/v3/{place}") }))
            })
            .collect();
        return (path == "/openapi/v3").then(|| Answer::tree(200, &json!({ "paths": paths })));
    };
    let (group, version) = versions.iter().find(|(group, version)| place(group, version) == asked)?;
    let mut paths = Map::new();
    for (_, kind) in registry.all().filter(|(_, kind)| kind.group == *group) {
        let namespace = if kind.namespaced { "namespaces/{namespace}/" } else { "" };
        let operation = json!({
            "parameters": [
                { "name": "fieldManager", "in": "query" },
                { "name": "fieldValidation", "in": "query" },
                { "name": "dryRun", "in": "query" },
            ],
            "responses": {},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": { "group": group, "version": version, "kind": kind.kind },
        });
        paths.insert(format!("/{asked}/{namespace}{}/{{name}}", kind.plural), json!({ "patch": operation }));
    }
    let info = json!({ "title": "Kubernetes", "version": "unversioned" });
    Some(Answer::tree(200, &json!({ "openapi": "3.0.0", "info": info, "paths": paths })))
}

/// All groups but the core one, with their versions, the preferred one first.
fn groups(registry: &Registry) -> BTreeMap<String, Vec<String>> {
    let mut groups: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let asked = ASKED.iter().map(|(group, ..)| ((*group).to_owned(), "v1".to_owned()));
    let kept = registry.all().flat_map(|(_, kind)| {
        kind.versions.iter().map(|version| (kind.group.clone(), version.clone())).collect::<Vec<_>>()
    });
    let events = ("events.k8s.io".to_owned(), "v1".to_owned());
    for (group, version) in kept.chain(asked).chain([events]).filter(|(group, _)| !group.is_empty()) {
        let versions = groups.entry(group).or_default();
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    groups
}

fn group(name: &str, versions: &[String]) -> Value {
    let version = |version: &String| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    json!({
        "name": name,
        "versions": versions.iter().map(version).collect::<Vec<_>>(),
        "preferredVersion": versions.first().map(version),
    })
}

fn resources(registry: &Registry, group: &str, version: &str) -> Vec<Value> {
    let mut resources = Vec::new();
    let here = |kind: &ResourceKind| kind.group == group && kind.versions.iter().any(|known| known == version);
    let events = |kind: &ResourceKind| {
        group == "events.k8s.io" && version == "v1" && kind.group.is_empty() && kind.plural == "events"
    };
    for (_, kind) in registry.all().filter(|(_, kind)| here(kind) || events(kind)) {
        resources.push(json!({
            "name": kind.plural,
            "singularName": kind.kind.to_lowercase(),
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": VERBS,
            "shortNames": kind.short_names,
            "categories": kind.categories,
        }));
        for subresource in ["status", "scale", "approval", "finalize", "binding", "eviction"] {
            if kind.has_subresource(subresource) {
                resources.push(self::subresource(kind, subresource));
            }
        }
    }
    for (_, kind, plural, namespaced) in ASKED.iter().filter(|(of, ..)| *of == group && version == "v1") {
        resources.push(json!({
            "name": plural,
            "singularName": kind.to_lowercase(),
            "namespaced": namespaced,
            "kind": kind,
            "verbs": ["create"],
        }));
    }
    resources
}

fn subresource(kind: &ResourceKind, name: &str) -> Value {
    let (group, version, shown, verbs): (&str, &str, &str, &[&str]) = match name {
        "scale" => ("autoscaling", "v1", "Scale", &["get", "patch", "update"]),
        "binding" => ("", "", "Binding", &["create"]),
        "eviction" => ("policy", "v1", "Eviction", &["create"]),
        "finalize" => ("", "", &kind.kind, &["update"]),
        _ => ("", "", &kind.kind, &["get", "patch", "update"]),
    };
    let mut subresource = json!({
        "name": format!("{}/{name}", kind.plural),
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": shown,
        "verbs": verbs,
    });
    if !group.is_empty() {
        subresource["group"] = group.into();
        subresource["version"] = version.into();
    }
    subresource
}
