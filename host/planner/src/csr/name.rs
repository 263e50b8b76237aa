//! Names of nodes and hosts, and those that belong to no node.

use super::rules::CsrRules;

/// RFC 1123.
const LONGEST_NAME: usize = 253;
const LONGEST_LABEL: usize = 63;

/// Why this is no name of a Node object, as a sentence.
pub(super) fn node_name_flaw(name: &str) -> Option<String> {
    if name.is_empty() {
        return Some("the name of the node is empty".to_owned());
    }
    (!is_subdomain(name)).then(|| format!("{name:?} is no valid name of a Node object"))
}

/// A DNS-1123 subdomain: small ASCII letters, digits, `-` and `.`.
fn is_subdomain(name: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let label = |label: &str| {
        (1..=LONGEST_LABEL).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    name.len() <= LONGEST_NAME && name.split('.').all(label)
}

/// How names are compared: without a dot at the end, in small letters.
pub(super) fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

/// Why no certificate may have this DNS name, whosever it is.
pub(super) fn host_name_flaw(name: &str, rules: &CsrRules) -> Option<String> {
    let canonical = canonical(name);
    let digits = |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_digit());
    if canonical.contains('*') {
        return Some(format!("{name} is a wildcard"));
    }
    if !is_subdomain(&canonical) {
        return Some(format!("{name:?} is no valid host name"));
    }
    // RFC 1123, 2.1: what ends in a number is an address, and some clients take it for one.
    if canonical.rsplit('.').next().is_some_and(digits) {
        return Some(format!("{name} reads as an address, not as a name"));
    }
    if is_api_server(&canonical) {
        return Some(format!("{name} is a name of the API server"));
    }
    if is_local_host(&canonical) {
        return Some(format!("{name} is a name that every machine has"));
    }
    // `NAME.NAMESPACE.svc`, with or without the cluster's domain, which may be any.
    if canonical.split('.').any(|label| label == "svc") || within(&canonical, "cluster.local") {
        return Some(format!("{name} is a name of a service in the cluster"));
    }
    let pattern = rules.forbidden_names.iter().find(|pattern| pattern.matches(&canonical))?;
    Some(format!("{name} is forbidden by csr.forbiddenNames: {pattern}"))
}

/// What serving certificates of API servers hold (kubeadm and OpenShift).
fn is_api_server(name: &str) -> bool {
    name == "kubernetes" || name == "openshift" || impersonates_api_server(name)
}

/// True for names of the API server that no machine can be called by accident.
pub(super) fn impersonates_api_server(name: &str) -> bool {
    let within = |top: &str| name.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
    within("kubernetes.default") || within("openshift.default")
}

fn is_local_host(name: &str) -> bool {
    name == "localhost.localdomain" || within(name, "localhost")
}

/// True for a domain and everything below it.
pub(super) fn within(name: &str, domain: &str) -> bool {
    name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn node_names() {
        for good in ["a", "n1", "ip-10-0-0-1.eu-west-1.compute.internal", "0", &"a".repeat(63)] {
            assert_eq!(node_name_flaw(good), None, "{good}");
        }
        let long = ["a".repeat(63).as_str(); 4].join(".");
        for bad in [
            "",
            ".",
            "a.",
            ".a",
            "a..b",
            "-a",
            "a-",
            "A",
            "a b",
            " a",
            "a\0",
            "a\n",
            "a_b",
            "é",
            "а",
            "a/b",
            "a:b",
            "*",
            &"a".repeat(64),
            &long,
        ] {
            assert!(node_name_flaw(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn host_names() {
        let rules = CsrRules::default();
        let flaw = |name: &str| host_name_flaw(name, &rules);
        for good in ["n1", "N1.Corp.", "svcx.corp", "kubernetes.corp", "mysvc", "node-svc.corp", "localhost1", "a.10x"]
        {
            assert_eq!(flaw(good), None, "{good}");
        }
        for bad in [
            "*",
            "*.corp",
            "n1.*",
            "",
            ".",
            "n1..",
            "a..b",
            "n1 ",
            "10.0.0.1",
            "10.1",
            "a.1",
            "kubernetes",
            "KUBERNETES",
            "Kubernetes.",
            "openshift",
            "kubernetes.default",
            "KUBERNETES.default.svc",
            "kubernetes.default.corp.",
            "kubernetes.default.svc.cluster.local",
            "db.shop.svc",
            "db.shop.SVC.corp.example",
            "svc",
            "svc.corp",
            "cluster.local",
            "n1.cluster.LOCAL.",
            "localhost",
            "LocalHost.",
            "a.localhost",
            "localhost.localdomain",
            "n1\0",
            "n1_",
            "xn--\u{e9}",
        ] {
            assert!(flaw(bad).is_some(), "{bad:?}");
        }
    }
}
