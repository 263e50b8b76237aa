//! Role-based access: what the roles in a cluster allow, and reviews of it.
//!
//! Follows `plugin/pkg/auth/authorizer/rbac` in Kubernetes 1.36. There is no escalation check: whoever may write roles may write any.

use std::collections::HashMap;

use serde_json::{Value, json};

use super::refusal::{Cause, Refusal, User};

/// Who is allowed everything.
const MASTERS: &str = "system:masters";

/// Paths that everybody with a name may read (`system:discovery` and `system:public-info-viewer`).
const DISCOVERY: [&str; 11] = [
    "/api",
    "/api/*",
    "/apis",
    "/apis/*",
    "/healthz",
    "/livez",
    "/readyz",
    "/openapi",
    "/openapi/*",
    "/version",
    "/version/",
];

/// What somebody wants to do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection` and special ones.
    pub verb: String,
    /// API group, empty for the core.
    pub group: String,
    /// Resource in the plural.
    pub resource: String,
    /// Subresource, empty for none.
    pub subresource: String,
    /// Namespace, empty for objects of the cluster and for all namespaces.
    pub namespace: String,
    /// Name, empty for none.
    pub name: String,
    /// A path that is no resource; then the other fields but the verb do not count.
    pub path: Option<String>,
}

/// Whether it is allowed, and by what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is allowed.
    pub allowed: bool,
    /// Which binding allows it; empty when nothing need be said.
    pub reason: String,
}

/// The roles of a cluster and who has them.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    roles: HashMap<(String, String), Value>,
    cluster_roles: HashMap<String, Value>,
    bindings: Vec<Value>,
    cluster_bindings: Vec<Value>,
}

// === impl Decision ===

impl Decision {
    fn yes(reason: String) -> Self {
        Self { allowed: true, reason }
    }
}

// === impl Rules ===

impl Rules {
    /// The rules of these objects.
    pub fn new(roles: &[Value], bindings: &[Value], cluster_roles: &[Value], cluster_bindings: &[Value]) -> Self {
        let text = |object: &Value, field: &str| object["metadata"][field].as_str().unwrap_or_default().to_owned();
        let named = |role: &Value| ((text(role, "namespace"), text(role, "name")), role["rules"].clone());
        Self {
            roles: roles.iter().map(named).collect(),
            cluster_roles: cluster_roles.iter().map(|role| (text(role, "name"), role["rules"].clone())).collect(),
            bindings: bindings.to_vec(),
            cluster_bindings: cluster_bindings.to_vec(),
        }
    }

    /// Whether a user may do this.
    pub fn allows(&self, user: &User, attributes: &Attributes) -> Decision {
        if user.groups.iter().any(|group| group == MASTERS) {
            return Decision::yes(String::new());
        }
        if let Some(role) = everybody(user, attributes) {
            let group = "system:authenticated";
            return Decision::yes(format!(
                "RBAC: allowed by ClusterRoleBinding {role:?} of ClusterRole {role:?} to Group {group:?}"
            ));
        }
        for binding in &self.cluster_bindings {
            if let Some(reason) = self.by(binding, "", user, attributes) {
                return Decision::yes(reason);
            }
        }
        if attributes.namespace.is_empty() || attributes.path.is_some() {
            return Decision::default();
        }
        let here = |binding: &&Value| binding["metadata"]["namespace"] == attributes.namespace.as_str();
        let reason = self
            .bindings
            .iter()
            .filter(here)
            .find_map(|binding| self.by(binding, &attributes.namespace, user, attributes));
        reason.map(Decision::yes).unwrap_or_default()
    }

    /// Why a binding allows it, if it does.
    fn by(&self, binding: &Value, namespace: &str, user: &User, attributes: &Attributes) -> Option<String> {
        let subject = binding["subjects"].as_array()?.iter().find(|subject| is_subject(subject, namespace, user))?;
        let role = binding["roleRef"]["name"].as_str()?;
        let kind = binding["roleRef"]["kind"].as_str()?;
        let all = json!([{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"] }, { "verbs": ["*"], "nonResourceURLs": ["*"] }]);
        let rules = match kind {
            "ClusterRole" => self.cluster_roles.get(role).or((role == "cluster-admin").then_some(&all))?,
            "Role" => self.roles.get(&(namespace.to_owned(), role.to_owned()))?,
            _ => return None,
        };
        if !rules.as_array()?.iter().any(|rule| permits(rule, attributes)) {
            return None;
        }
        let name = binding["metadata"]["name"].as_str().unwrap_or_default();
        let (called, name) = match namespace {
            "" => ("ClusterRoleBinding", name.to_owned()),
            namespace => ("RoleBinding", format!("{name}/{namespace}")),
        };
        let who = subject["name"].as_str().unwrap_or_default();
        let who = match subject["kind"].as_str().unwrap_or_default() {
            "ServiceAccount" => {
                let own = subject["namespace"].as_str().filter(|own| !own.is_empty()).unwrap_or(namespace);
                format!("ServiceAccount \"{who}/{own}\"")
            }
            kind => format!("{kind} {who:?}"),
        };
        Some(format!("RBAC: allowed by {called} {name:?} of {kind} {role:?} to {who}"))
    }
}

/// 403 for what nothing allows.
pub fn forbidden(user: &User, attributes: &Attributes) -> Refusal {
    let Attributes { verb, group, resource, subresource, namespace, name, path } = attributes;
    let who = &user.name;
    if let Some(path) = path {
        let message = format!("forbidden: User {who:?} cannot {verb} path {path:?}");
        return Refusal::new(403, "Forbidden", message).with_details(json!({}));
    }
    let what = if subresource.is_empty() { resource.clone() } else { format!("{resource}/{subresource}") };
    let place = match namespace.as_str() {
        "" => "at the cluster scope".to_owned(),
        namespace => format!("in the namespace {namespace:?}"),
    };
    let why = format!("User {who:?} cannot {verb} resource {what:?} in API group {group:?} {place}");
    Refusal::forbidden(group, resource, name, &why)
}

/// The answer to a SelfSubjectAccessReview or a SubjectAccessReview; only the latter names a user.
pub fn review(
    body: &Value,
    asking: &User,
    authorize: &dyn Fn(&User, &Attributes) -> Decision,
) -> Result<Value, Refusal> {
    let spec = &body["spec"];
    let of_others = body["kind"] == "SubjectAccessReview" || body["kind"] == "LocalSubjectAccessReview";
    let user = if of_others { subject_of_review(spec)? } else { asking.clone() };
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let attributes = match (&spec["resourceAttributes"], &spec["nonResourceAttributes"]) {
        (Value::Object(_), Value::Null) => {
            let of = |field: &str| text(&spec["resourceAttributes"], field);
            Attributes {
                verb: of("verb"),
                group: of("group"),
                resource: of("resource"),
                subresource: of("subresource"),
                namespace: of("namespace"),
                name: of("name"),
                path: None,
            }
        }
        (Value::Null, asked @ Value::Object(_)) => {
            Attributes { verb: text(asked, "verb"), path: Some(text(asked, "path")), ..Attributes::default() }
        }
        (Value::Object(_), asked @ Value::Object(_)) => {
            let value = json!({ "Path": asked["path"], "Verb": asked["verb"] });
            let why = "cannot be specified in combination with resourceAttributes";
            let cause = Cause::invalid("spec.nonResourceAttributes", &value, why);
            return Err(Refusal::invalid("", "authorization.k8s.io", "", &[cause]));
        }
        _ => {
            let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let cause = Cause::invalid("spec.resourceAttributes", &spec["resourceAttributes"], why);
            return Err(Refusal::invalid("", "authorization.k8s.io", "", &[cause]));
        }
    };
    let decision = authorize(&user, &attributes);
    let mut answer = body.clone();
    if let Some(answer) = answer.as_object_mut() {
        let mut status = json!({ "allowed": decision.allowed });
        if !decision.reason.is_empty() {
            status["reason"] = decision.reason.into();
        }
        answer.insert("status".to_owned(), status);
        answer.entry("metadata").or_insert_with(|| json!({}));
    }
    Ok(answer)
}

fn subject_of_review(spec: &Value) -> Result<User, Refusal> {
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let text = |field: &str| spec[field].as_str().unwrap_or_default().to_owned();
    let extra = spec["extra"].as_object().into_iter().flatten();
    let user = User {
        name: text("user"),
        uid: text("uid"),
        groups: strings(&spec["groups"]),
        extra: extra.map(|(key, values)| (key.clone(), strings(values))).collect(),
    };
    if user.name.is_empty() && user.groups.is_empty() {
        let why = "at least one of user or group must be specified";
        let cause = Cause::invalid("spec.user", &json!(""), why);
        return Err(Refusal::invalid("", "authorization.k8s.io", "", &[cause]));
    }
    Ok(user)
}

/// The role by which everybody with a name may do this.
fn everybody(user: &User, attributes: &Attributes) -> Option<&'static str> {
    if !user.groups.iter().any(|group| group == "system:authenticated") {
        return None;
    }
    if let Some(path) = &attributes.path {
        let listed = DISCOVERY.iter().any(|pattern| is_path(pattern, path));
        return (listed && attributes.verb == "get").then_some("system:discovery");
    }
    let review = matches!(attributes.resource.as_str(), "selfsubjectaccessreviews" | "selfsubjectrulesreviews");
    (attributes.group == "authorization.k8s.io" && review && attributes.verb == "create").then_some("system:basic-user")
}

fn is_subject(subject: &Value, namespace: &str, user: &User) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str().unwrap_or_default() {
        "User" => user.name == name,
        "Group" => user.groups.iter().any(|group| group == name),
        "ServiceAccount" => {
            let own = subject["namespace"].as_str().filter(|own| !own.is_empty()).unwrap_or(namespace);
            !own.is_empty() && user.name == format!("system:serviceaccount:{own}:{name}")
        }
        _ => false,
    }
}

fn permits(rule: &Value, attributes: &Attributes) -> bool {
    let listed = |field: &str, wanted: &str| lists(rule, field).any(|one| one == "*" || one == wanted);
    if !listed("verbs", &attributes.verb) {
        return false;
    }
    if let Some(path) = &attributes.path {
        return lists(rule, "nonResourceURLs").any(|pattern| is_path(pattern, path));
    }
    let names: Vec<&str> = lists(rule, "resourceNames").collect();
    listed("apiGroups", &attributes.group)
        && lists(rule, "resources").any(|one| is_resource(one, attributes))
        && (names.is_empty() || names.contains(&attributes.name.as_str()))
}

fn is_resource(pattern: &str, attributes: &Attributes) -> bool {
    let Attributes { resource, subresource, .. } = attributes;
    if pattern == "*" {
        return true;
    }
    match pattern.split_once('/') {
        None => subresource.is_empty() && pattern == resource,
        Some(("*", sub)) => !subresource.is_empty() && sub == subresource,
        Some((of, sub)) => of == resource && sub == subresource,
    }
}

fn is_path(pattern: &str, path: &str) -> bool {
    pattern == path || pattern.strip_suffix('*').is_some_and(|start| path.starts_with(start))
}

fn lists<'a>(rule: &'a Value, field: &str) -> impl Iterator<Item = &'a str> {
    rule[field].as_array().into_iter().flatten().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, groups: &[&str]) -> User {
        let mut groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        groups.push("system:authenticated".to_owned());
        User { name: name.to_owned(), groups, ..User::default() }
    }

    fn ask(verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Attributes {
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        let [verb, group, resource, subresource, namespace, name] =
            [verb, group, resource, subresource, namespace, name].map(str::to_owned);
        Attributes { verb, group, resource, subresource, namespace, name, path: None }
    }

    fn rules() -> Rules {
        let role = |name: &str, namespace: &str, rules: Value| json!({ "metadata": { "name": name, "namespace": namespace }, "rules": rules });
        let binding = |name: &str, namespace: &str, kind: &str, role: &str, subjects: Value| json!({ "metadata": { "name": name, "namespace": namespace }, "roleRef": { "kind": kind, "name": role }, "subjects": subjects });
        Rules::new(
            &[role(
                "edit",
                "shop",
                json!([{ "apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"] }]),
            )],
            &[
                binding("b", "shop", "Role", "edit", json!([{ "kind": "ServiceAccount", "name": "plimsoll" }])),
                binding("v", "shop", "ClusterRole", "view", json!([{ "kind": "User", "name": "ann" }])),
                binding("dangling", "shop", "Role", "none", json!([{ "kind": "User", "name": "bob" }])),
            ],
            &[
                role("view", "", json!([{ "apiGroups": ["", "apps"], "resources": ["*"], "verbs": ["get", "list"] }])),
                role(
                    "names",
                    "",
                    json!([{ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["l"], "verbs": ["*"] }]),
                ),
                role("scales", "", json!([{ "apiGroups": ["*"], "resources": ["*/scale"], "verbs": ["update"] }])),
                role("paths", "", json!([{ "nonResourceURLs": ["/metrics", "/logs/*"], "verbs": ["get"] }])),
            ],
            &[
                binding("n", "", "ClusterRole", "names", json!([{ "kind": "Group", "name": "leaders" }])),
                binding("s", "", "ClusterRole", "scales", json!([{ "kind": "User", "name": "ann" }])),
                binding("p", "", "ClusterRole", "paths", json!([{ "kind": "User", "name": "ann" }])),
                binding("root", "", "ClusterRole", "cluster-admin", json!([{ "kind": "User", "name": "root" }])),
            ],
        )
    }

    #[test]
    fn rules_allow_what_they_list_and_no_more() {
        let account = "system:serviceaccount:shop:plimsoll";
        for (who, groups, attributes, expected) in [
            (account, &[][..], ask("create", "", "pods/eviction", "shop", "p"), true),
            (account, &[], ask("create", "", "pods/eviction", "other", "p"), false),
            (account, &[], ask("create", "", "pods/eviction", "", "p"), false),
            (account, &[], ask("create", "", "pods", "shop", ""), false),
            ("system:serviceaccount:other:plimsoll", &[], ask("create", "", "pods/eviction", "shop", "p"), false),
            ("ann", &[], ask("list", "apps", "deployments", "shop", ""), true),
            ("ann", &[], ask("get", "", "pods/log", "shop", "p"), true),
            ("ann", &[], ask("list", "apps", "deployments", "", ""), false),
            ("ann", &[], ask("list", "batch", "jobs", "shop", ""), false),
            ("ann", &[], ask("delete", "apps", "deployments", "shop", "d"), false),
            ("ann", &[], ask("update", "apps", "deployments/scale", "x", "d"), true),
            ("ann", &[], ask("update", "apps", "deployments", "x", "d"), false),
            ("bob", &["leaders"], ask("update", "coordination.k8s.io", "leases", "x", "l"), true),
            ("bob", &["leaders"], ask("update", "coordination.k8s.io", "leases", "x", "m"), false),
            ("bob", &["leaders"], ask("create", "coordination.k8s.io", "leases", "x", ""), false),
            ("bob", &[], ask("get", "", "pods", "shop", "p"), false),
            ("root", &[], ask("escalate", "x", "y", "", ""), true),
            ("eve", &["system:masters"], ask("delete", "", "nodes", "", "n"), true),
            ("eve", &[], ask("create", "authorization.k8s.io", "selfsubjectaccessreviews", "", ""), true),
            ("eve", &[], ask("create", "authorization.k8s.io", "subjectaccessreviews", "", ""), false),
        ] {
            assert_eq!(rules().allows(&user(who, groups), &attributes).allowed, expected, "{who} {attributes:?}");
        }
    }

    #[test]
    fn paths_are_allowed_by_pattern() {
        for (path, verb, expected) in [
            ("/metrics", "get", true),
            ("/metrics/x", "get", false),
            ("/logs/a/b", "get", true),
            ("/logs", "get", false),
            ("/healthz", "get", true),
            ("/apis/apps/v1", "get", true),
            ("/healthz", "post", false),
            ("/secret", "get", false),
        ] {
            let attributes = Attributes { verb: verb.to_owned(), path: Some(path.to_owned()), ..Attributes::default() };
            assert_eq!(rules().allows(&user("ann", &[]), &attributes).allowed, expected, "{path}");
        }
    }

    #[test]
    fn reasons_and_refusals_read_as_those_of_the_real_server() {
        let decision = rules().allows(&user("ann", &[]), &ask("update", "apps", "deployments/scale", "", "d"));
        assert_eq!(
            decision.reason,
            "RBAC: allowed by ClusterRoleBinding \"s\" of ClusterRole \"scales\" to User \"ann\""
        );
        let account = user("system:serviceaccount:shop:plimsoll", &[]);
        let decision = rules().allows(&account, &ask("create", "", "pods/eviction", "shop", "p"));
        assert_eq!(
            decision.reason,
            "RBAC: allowed by RoleBinding \"b/shop\" of Role \"edit\" to ServiceAccount \"plimsoll/shop\""
        );
        for (attributes, message) in [
            (
                ask("get", "", "pods", "default", "x"),
                "pods \"x\" is forbidden: User \"nobody\" cannot get resource \"pods\" in API group \"\" in the namespace \"default\"",
            ),
            (
                ask("list", "", "nodes", "", ""),
                "nodes is forbidden: User \"nobody\" cannot list resource \"nodes\" in API group \"\" at the cluster scope",
            ),
            (
                ask("patch", "certificates.k8s.io", "certificatesigningrequests/approval", "", "c1"),
                "certificatesigningrequests.certificates.k8s.io \"c1\" is forbidden: User \"nobody\" cannot patch resource \
                 \"certificatesigningrequests/approval\" in API group \"certificates.k8s.io\" at the cluster scope",
            ),
            (
                Attributes { verb: "get".to_owned(), path: Some("/foo".to_owned()), ..Attributes::default() },
                "forbidden: User \"nobody\" cannot get path \"/foo\"",
            ),
        ] {
            assert_eq!(forbidden(&user("nobody", &[]), &attributes).message, message);
        }
    }

    #[test]
    fn reviews_answer_for_who_asks_or_for_who_is_named() {
        let rules = rules();
        let authorize = |user: &User, attributes: &Attributes| rules.allows(user, attributes);
        let asked = json!({ "verb": "update", "group": "apps", "resource": "deployments", "subresource": "scale" });
        let own = json!({ "kind": "SelfSubjectAccessReview", "spec": { "resourceAttributes": asked } });
        assert_eq!(review(&own, &user("ann", &[]), &authorize).unwrap()["status"]["allowed"], true);
        let denied = review(&own, &user("eve", &[]), &authorize).unwrap();
        assert_eq!(denied["status"], json!({ "allowed": false }));
        let other = json!({ "kind": "SubjectAccessReview", "spec": { "user": "ann", "resourceAttributes": asked } });
        assert_eq!(review(&other, &user("eve", &[]), &authorize).unwrap()["status"]["allowed"], true);
        let path = json!({ "kind": "SelfSubjectAccessReview", "spec": { "nonResourceAttributes": { "verb": "get", "path": "/healthz" } } });
        assert_eq!(review(&path, &user("eve", &[]), &authorize).unwrap()["status"]["allowed"], true);
        for body in [
            json!({}),
            json!({ "spec": {} }),
            json!({ "kind": "SubjectAccessReview", "spec": { "resourceAttributes": {} } }),
            json!({ "spec": 5 }),
        ] {
            assert_eq!(review(&body, &user("eve", &[]), &authorize).unwrap_err().code, 422, "{body}");
        }
    }
}
