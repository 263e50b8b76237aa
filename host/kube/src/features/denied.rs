//! Which permission a refusal asks for.

use super::rule::Rule;
use crate::api::ApiError;

/// The permission that was missing, read from what the API server's authorizer says; `None` if the call failed for
/// another reason. Quotas, webhooks and namespaces on their way out also answer 403, and no role would change that.
pub fn denied_rule(error: &ApiError) -> Option<Rule> {
    let ApiError::Forbidden(answer) = error else { return None };
    rule_in(&answer.message)
}

/// The same of the sentence alone.
pub(super) fn rule_in(message: &str) -> Option<Rule> {
    // From the certificate approval plug-in of the API server.
    if let Some((_, signer)) = message.split_once("not permitted to approve requests with signerName ") {
        let name = quoted(signer)?.to_owned();
        let (group, resource) = ("certificates.k8s.io".into(), "signers".into());
        let (verb, subresource) = ("approve".into(), "".into());
        return Some(Rule { verb, group, resource, subresource, namespace: String::new(), name });
    }
    // `User "…" cannot VERB resource "RESOURCE[/PART]" in API group "GROUP" in the namespace "NAMESPACE"`, or `at the
    // cluster scope`. What stands before it has names that others chose, so it is read from its end.
    let (before, after) = message.rsplit_once(" resource \"")?;
    let verb = before.rsplit_once(" cannot ")?.1;
    let (resource, after) = after.split_once('"')?;
    let group = after.split_once("in API group ").and_then(|(_, group)| quoted(group))?;
    let namespace = after.split_once("in the namespace ").and_then(|(_, namespace)| quoted(namespace));
    if verb.is_empty() || verb.contains(char::is_whitespace) {
        return None;
    }
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Some(Rule {
        verb: verb.to_owned().into(),
        group: group.to_owned().into(),
        resource: resource.to_owned().into(),
        subresource: subresource.to_owned().into(),
        namespace: namespace.unwrap_or_default().to_owned(),
        name: String::new(),
    })
}

fn quoted(text: &str) -> Option<&str> {
    text.strip_prefix('"')?.split_once('"').map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Answer;

    #[test]
    fn the_authorizer_names_the_rule_and_others_do_not() {
        let rule = |message: &str| {
            let answer = Answer { code: 403, message: message.to_owned(), ..Answer::default() };
            denied_rule(&ApiError::Forbidden(answer)).map(|rule| rule.to_string())
        };
        for (message, expected) in [
            (
                "pods \"web-0\" is forbidden: User \"system:serviceaccount:plimsoll:plimsoll\" cannot create resource \
                 \"pods/eviction\" in API group \"\" in the namespace \"shop\"",
                Some("create pods/eviction in namespace shop"),
            ),
            (
                "nodes \"n1\" is forbidden: User \"nobody\" cannot patch resource \"nodes\" in API group \"\" at the \
                 cluster scope",
                Some("patch nodes"),
            ),
            (
                "nodes \"n1\" is forbidden: User \"a\" cannot delete resource \"nodes\" in API group \"\" at the \
                 cluster scope: RBAC: clusterrole.rbac.authorization.k8s.io \"x\" not found",
                Some("delete nodes"),
            ),
            (
                "certificatesigningrequests.certificates.k8s.io \"csr-1\" is forbidden: user not permitted to approve \
                 requests with signerName \"kubernetes.io/kubelet-serving\"",
                Some("approve signers (certificates.k8s.io) \"kubernetes.io/kubelet-serving\""),
            ),
            (
                "events \"x\" is forbidden: unable to create new content in namespace a because it is being terminated",
                None,
            ),
            ("pods \"x\" is forbidden: exceeded quota: pods, requested: pods=1, used: pods=9, limited: pods=9", None),
            ("admission webhook \"guard.example.com\" denied the request: you cannot change this resource", None),
            ("User \"a\" cannot  resource \"nodes\" in API group \"\"", None),
            ("User \"a\" cannot get resource \"nodes", None),
            ("", None),
        ] {
            assert_eq!(rule(message).as_deref(), expected, "{message}");
        }
        assert_eq!(denied_rule(&ApiError::NoAnswer("x".to_owned())), None);
    }
}
