//! What every rendered chart must keep to, whatever its values: no permission that leads to others, no secrets, no
//! wildcard, and a pod of the restricted Pod Security Standard with everything it needs.

use serde_json::Value;

/// Verbs with which one could give oneself more (Kubernetes documentation, "RBAC good practices").
const FORBIDDEN_VERBS: [&str; 3] = ["escalate", "bind", "impersonate"];
/// Resources that are as good as such a verb.
const FORBIDDEN_RESOURCES: [&str; 8] = [
    "secrets",
    "serviceaccounts",
    "serviceaccounts/token",
    "pods/exec",
    "pods/attach",
    "pods/portforward",
    "pods/ephemeralcontainers",
    "nodes/proxy",
];
/// Groups whose objects decide who may do what.
const FORBIDDEN_GROUPS: [&str; 2] = ["rbac.authorization.k8s.io", "admissionregistration.k8s.io"];
/// Signers of kubelet certificates.
const SIGNERS: [&str; 2] = ["kubernetes.io/kubelet-serving", "kubernetes.io/kube-apiserver-client-kubelet"];
/// Verbs that change nothing.
const READING: [&str; 3] = ["get", "list", "watch"];

/// Every breach of the rules, as a sentence.
pub fn complaints(objects: &[Value]) -> Vec<String> {
    let mut found = Vec::new();
    for object in objects {
        let kind = object["kind"].as_str().unwrap_or("?");
        let name = format!("{kind} {}", object["metadata"]["name"].as_str().unwrap_or("?"));
        let breaches = match kind {
            "ClusterRole" | "Role" => role(object),
            "ClusterRoleBinding" | "RoleBinding" => binding(object),
            "Deployment" => deployment(object),
            "Pod" | "DaemonSet" | "StatefulSet" | "Job" | "CronJob" | "Secret" => {
                vec!["the chart is not to have this kind of object".to_owned()]
            }
            _ => Vec::new(),
        };
        found.extend(breaches.into_iter().map(|breach| format!("{name}: {breach}")));
    }
    if !objects.iter().any(|object| object["kind"] == "Deployment") {
        found.push("there is no Deployment".to_owned());
    }
    found
}

/// Every rule of a ClusterRole that lets something be changed.
pub fn cluster_writes(objects: &[Value]) -> Vec<String> {
    let roles = objects.iter().filter(|object| object["kind"] == "ClusterRole");
    let rules = roles.flat_map(|role| list(&role["rules"]));
    rules
        .filter(|rule| strings(&rule["verbs"]).iter().any(|verb| !READING.contains(verb)))
        .map(|rule| format!("under mode observe this is granted: {rule}"))
        .collect()
}

fn role(role: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for rule in list(&role["rules"]) {
        let mut breach = |what: &str| found.push(format!("{what}: {rule}"));
        let (verbs, resources, names) =
            (strings(&rule["verbs"]), strings(&rule["resources"]), strings(&rule["resourceNames"]));
        let groups = strings(&rule["apiGroups"]);
        if verbs.is_empty() || (resources.is_empty() && rule["nonResourceURLs"].is_null()) {
            breach("a rule that grants nothing");
        }
        let keys = ["verbs", "resources", "resourceNames", "apiGroups", "nonResourceURLs"];
        if keys.iter().flat_map(|key| strings(&rule[*key])).any(|word| word.contains('*')) {
            breach("a wildcard");
        }
        if verbs.iter().any(|verb| FORBIDDEN_VERBS.contains(verb)) {
            breach("a verb that gives more permissions");
        }
        if resources.iter().any(|resource| FORBIDDEN_RESOURCES.contains(resource)) {
            breach("a resource that gives more permissions");
        }
        if groups.iter().any(|group| FORBIDDEN_GROUPS.contains(group)) {
            breach("a group that decides who may do what");
        }
        let signs = resources.contains(&"signers");
        if signs && (names.is_empty() || names.iter().any(|name| !SIGNERS.contains(name))) {
            breach("a signer that is not that of kubelets");
        }
        if verbs.contains(&"approve") && !signs {
            breach("approve without signers");
        }
        // The permission is not one of a namespace's own objects if it is not bound to names.
        let changes = verbs.iter().any(|verb| !READING.contains(verb) && *verb != "create");
        if changes && names.is_empty() && role["kind"] == "Role" {
            breach("any object of the namespace may be changed");
        }
    }
    found
}

fn binding(binding: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let role = binding["roleRef"]["name"].as_str().unwrap_or_default();
    if role.is_empty() || ["cluster-admin", "admin", "edit"].contains(&role) || role.starts_with("system:") {
        found.push(format!("it binds \"{role}\""));
    }
    let subjects = list(&binding["subjects"]);
    if subjects.len() != 1 || subjects.iter().any(|subject| subject["kind"] != "ServiceAccount") {
        found.push("it binds to others than one service account".to_owned());
    }
    found
}

fn deployment(deployment: &Value) -> Vec<String> {
    let template = &deployment["spec"]["template"];
    let pod = &template["spec"];
    let mut found = Vec::new();
    let mut must = |holds: bool, rule: &str| {
        if !holds {
            found.push(format!("not {rule}"));
        }
    };
    let security = &pod["securityContext"];
    must(security["runAsNonRoot"] == true, "runAsNonRoot");
    must(security["runAsUser"] == 65532 && security["runAsGroup"] == 65532, "user and group 65532");
    must(security["seccompProfile"]["type"] == "RuntimeDefault", "seccomp RuntimeDefault");
    must(pod["automountServiceAccountToken"] == true, "with the token of its account");
    for shared in ["hostNetwork", "hostPID", "hostIPC", "shareProcessNamespace"] {
        must(pod[shared].is_null() || pod[shared] == false, &format!("without {shared}"));
    }
    must(list(&pod["volumes"]).iter().all(|volume| volume["hostPath"].is_null()), "without hostPath");
    must(pod["terminationGracePeriodSeconds"].as_u64() >= Some(30), "given time to release the lease");
    let annotations = template["metadata"]["annotations"].as_object();
    let checksum = annotations.into_iter().flatten().any(|(key, _)| key.contains("checksum"));
    must(!checksum, "left alone when the configuration changes");
    must(!list(&pod["containers"]).is_empty(), "with a container");
    for container in list(&pod["containers"]).iter().chain(list(&pod["initContainers"])) {
        let security = &container["securityContext"];
        must(security["readOnlyRootFilesystem"] == true, "readOnlyRootFilesystem");
        must(security["allowPrivilegeEscalation"] == false, "allowPrivilegeEscalation: false");
        must(security["privileged"].is_null(), "without privileged");
        must(strings(&security["capabilities"]["drop"]) == ["ALL"], "without all capabilities");
        must(security["capabilities"]["add"].is_null(), "without further capabilities");
        must(is_pinned(container["image"].as_str().unwrap_or_default()), "pinned to a tag or a digest");
        let resources = &container["resources"];
        must(!resources["requests"]["cpu"].is_null(), "with a request of cpu");
        must(!resources["requests"]["memory"].is_null(), "with a request of memory");
        must(!resources["limits"]["memory"].is_null(), "with a limit of memory");
        must(container["livenessProbe"]["httpGet"]["path"] == "/livez", "alive by /livez");
        must(container["readinessProbe"]["httpGet"]["path"] == "/readyz", "ready by /readyz");
    }
    found
}

/// An image with a tag other than latest, or a digest.
fn is_pinned(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    image.contains("@sha256:") || name.split_once(':').is_some_and(|(_, tag)| !tag.is_empty() && tag != "latest")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn strings(value: &Value) -> Vec<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn good() -> Vec<Value> {
        let container = json!({
            "image": "registry.example.com:5000/plimsoll:1.0.0",
            "securityContext": {
                "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
            },
            "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}, "limits": {"memory": "1Gi"}},
            "livenessProbe": {"httpGet": {"path": "/livez"}},
            "readinessProbe": {"httpGet": {"path": "/readyz"}},
        });
        let pod = json!({
            "automountServiceAccountToken": true,
            "terminationGracePeriodSeconds": 45,
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532, "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": [{"emptyDir": {}}],
        });
        vec![
            json!({"kind": "Deployment", "spec": {"template": {"metadata": {"annotations": {"a": "b"}}, "spec": pod}}}),
            json!({"kind": "ClusterRole", "rules": [
                {"apiGroups": ["certificates.k8s.io"], "resources": ["signers"], "verbs": ["approve"],
                 "resourceNames": ["kubernetes.io/kubelet-serving"]},
            ]}),
            json!({"kind": "Role", "rules": [
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create", "get"]},
                {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["update"], "resourceNames": ["status"]},
            ]}),
            json!({"kind": "ClusterRoleBinding", "roleRef": {"name": "plimsoll-read"},
                   "subjects": [{"kind": "ServiceAccount", "name": "plimsoll"}]}),
        ]
    }

    /// One change to the good chart, and what is then said.
    fn said(index: usize, pointer: &str, value: Value) -> String {
        let mut objects = good();
        match objects[index].pointer_mut(pointer) {
            Some(place) => *place = value,
            None => {
                let (parent, key) = pointer.rsplit_once('/').unwrap();
                let parent = objects[index].pointer_mut(parent).unwrap();
                parent[key] = value;
            }
        }
        complaints(&objects).join("\n")
    }

    #[test]
    fn a_chart_that_keeps_the_rules_is_not_complained_about() {
        assert_eq!(complaints(&good()), Vec::<String>::new());
        assert_eq!(complaints(&good()[1..]), ["there is no Deployment"]);
    }

    #[test]
    fn no_permission_leads_to_others() {
        for verb in ["escalate", "bind", "impersonate"] {
            assert!(said(1, "/rules/0/verbs", json!(["get", verb])).contains("a verb that gives more"), "{verb}");
        }
        for resource in FORBIDDEN_RESOURCES {
            let said = said(2, "/rules/0/resources", json!(["configmaps", resource]));
            assert!(said.contains("a resource that gives more"), "{resource}");
        }
        for (pointer, value) in [
            ("/rules/0/verbs", json!(["*"])),
            ("/rules/0/resources", json!(["*"])),
            ("/rules/0/resources", json!(["*/scale"])),
            ("/rules/0/apiGroups", json!(["*"])),
            ("/rules/0/nonResourceURLs", json!(["/healthz/*"])),
        ] {
            assert!(said(1, pointer, value.clone()).contains("a wildcard"), "{pointer} {value}");
        }
        let group = said(1, "/rules/0/apiGroups", json!(["rbac.authorization.k8s.io"]));
        assert!(group.contains("decides who may do what"));
        assert!(said(1, "/rules/0/resourceNames", json!([])).contains("a signer"));
        assert!(said(1, "/rules/0/resourceNames", json!(["example.com/signer"])).contains("a signer"));
        assert!(said(1, "/rules/0/resources", json!(["nodes"])).contains("approve without signers"));
        assert!(said(2, "/rules/1/resourceNames", json!([])).contains("any object of the namespace"));
        assert!(said(1, "/rules/0/verbs", json!([])).contains("grants nothing"));
    }

    #[test]
    fn only_our_roles_are_bound_and_only_to_our_account() {
        assert!(said(3, "/roleRef/name", json!("cluster-admin")).contains("it binds"));
        assert!(said(3, "/roleRef/name", json!("system:masters")).contains("it binds"));
        assert!(said(3, "/subjects/0/kind", json!("Group")).contains("others than one"));
        assert!(said(3, "/subjects", json!([])).contains("others than one"));
    }

    #[test]
    fn the_pod_is_hardened() {
        let pod = "/spec/template/spec";
        for (path, value, says) in [
            ("/securityContext/runAsNonRoot", json!(false), "not runAsNonRoot"),
            ("/securityContext/runAsUser", json!(0), "not user"),
            ("/securityContext/seccompProfile", Value::Null, "not seccomp"),
            ("/hostNetwork", json!(true), "without hostNetwork"),
            ("/volumes", json!([{"hostPath": {"path": "/"}}]), "without hostPath"),
            ("/terminationGracePeriodSeconds", json!(5), "time to release"),
            ("/automountServiceAccountToken", Value::Null, "with the token"),
            ("/containers", json!([]), "with a container"),
            ("/initContainers", json!([{}]), "readOnlyRootFilesystem"),
            ("/containers/0/image", json!("registry.example.com:5000/plimsoll"), "pinned"),
            ("/containers/0/image", json!("plimsoll:latest"), "pinned"),
            ("/containers/0/securityContext/readOnlyRootFilesystem", Value::Null, "readOnlyRootFilesystem"),
            ("/containers/0/securityContext/allowPrivilegeEscalation", Value::Null, "allowPrivilegeEscalation"),
            ("/containers/0/securityContext/capabilities/drop", json!(["NET_RAW"]), "without all capabilities"),
            ("/containers/0/securityContext/capabilities/add", json!(["SYS_ADMIN"]), "further capabilities"),
            ("/containers/0/securityContext/privileged", json!(true), "without privileged"),
            ("/containers/0/resources/requests/cpu", Value::Null, "request of cpu"),
            ("/containers/0/resources/requests/memory", Value::Null, "request of memory"),
            ("/containers/0/resources/limits", Value::Null, "limit of memory"),
            ("/containers/0/livenessProbe", Value::Null, "alive by"),
            ("/containers/0/readinessProbe/httpGet/path", json!("/livez"), "ready by"),
        ] {
            let said = said(0, &format!("{pod}{path}"), value);
            assert!(said.contains(says), "{path}: {said:?}");
        }
        let checksum = said(0, "/spec/template/metadata/annotations", json!({"checksum/config": "1"}));
        assert!(checksum.contains("left alone when"), "{checksum}");
    }

    #[test]
    fn digests_pin_an_image() {
        assert!(is_pinned("a/b@sha256:00"));
        assert!(is_pinned("a:5000/b:1"));
        assert!(!is_pinned("a:5000/b"));
        assert!(!is_pinned("b:"));
    }

    #[test]
    fn observing_grants_no_writes() {
        assert_eq!(cluster_writes(&good()).len(), 1);
        assert!(cluster_writes(&good()[2..]).is_empty());
    }
}
