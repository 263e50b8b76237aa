//! The identity checks that no policy can lift.
//!
//! Sources: what the signers themselves enforce (kubernetes `pkg/apis/certificates/helpers.go`), what they
//! leave to the approver (cluster-machine-approver `csr_check.go`, the former GKE approver), and the holes
//! found in other approvers: names bound to nothing but the node's own word, service names, wildcards.

use plimsoll_model::{AddressKind, Machine, SigningRequest, Snapshot};

use super::decode::Decoded;
use super::{KubeletSigner, Requester};

const NODE_USER: &str = "system:node:";
const NODE_GROUP: &str = "system:nodes";
const BOOTSTRAP_GROUP: &str = "system:bootstrappers";
/// OpenShift's machines start with this account.
const OPENSHIFT_BOOTSTRAP: &str = "system:serviceaccount:openshift-machine-config-operator:node-bootstrapper";

impl KubeletSigner {
    /// The signer of this name, if it is one of the two for kubelets.
    pub(super) fn of(name: &str) -> Option<Self> {
        match name {
            "kubernetes.io/kube-apiserver-client-kubelet" => Some(Self::Client),
            "kubernetes.io/kubelet-serving" => Some(Self::Serving),
            _ => None,
        }
    }
}

/// The node that a request is about: its one common name without `system:node:`.
pub(super) fn node_name(decoded: &Decoded) -> Option<&str> {
    let [name] = decoded.common_names.as_slice() else { return None };
    name.strip_prefix(NODE_USER).filter(|name| !name.is_empty())
}

/// Who asks for this node's certificate.
pub(super) fn requester(request: &SigningRequest, node: &str) -> Requester {
    let in_group = |group: &str| request.groups.iter().any(|known| *known == *group);
    let bootstrap = |group: &plimsoll_model::Text| {
        *group == BOOTSTRAP_GROUP || group.strip_prefix(BOOTSTRAP_GROUP).is_some_and(|rest| rest.starts_with(':'))
    };
    if request.username.strip_prefix(NODE_USER) == Some(node) && in_group(NODE_GROUP) {
        Requester::SameNode
    } else if request.groups.iter().any(bootstrap) || request.username == OPENSHIFT_BOOTSTRAP {
        Requester::Bootstrap
    } else {
        Requester::Other
    }
}

/// The machine of the inventory that this node is.
pub(super) fn machine_of<'a>(snapshot: &'a Snapshot, node: &str) -> Option<&'a Machine> {
    let named = |machine: &&Machine| machine.node.as_ref().is_some_and(|name| *name == *node);
    // A machine that has become another node is that node's, whatever it is called.
    let by_address = |machine: &&Machine| {
        machine.node.is_none()
            && (machine.name == *node
                || machine.addresses.iter().any(|address| address.kind == AddressKind::Dns && address.value == *node))
    };
    let machines = snapshot.machines();
    machines.iter().find(named).or_else(|| machines.iter().find(by_address))
}

/// Everything that rules approval out, each a sentence; empty if all is well.
pub(super) fn problems(
    request: &SigningRequest,
    signer: KubeletSigner,
    decoded: &Decoded,
    snapshot: &Snapshot,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut check = |holds: bool, sentence: &dyn Fn() -> String| {
        if !holds {
            problems.push(sentence());
        }
    };
    check(decoded.signature_valid, &|| "its signature is not by the key it contains".to_owned());
    check(decoded.organizations == [NODE_GROUP], &|| {
        format!("its organization is {:?}, not exactly {NODE_GROUP}", decoded.organizations)
    });
    let node = node_name(decoded);
    check(node.is_some(), &|| format!("its common name is {:?}, not one {NODE_USER}NAME", decoded.common_names));
    check(usages_fit(request, signer), &|| format!("its usages are {}", request.usages.join(", ")));
    check(decoded.other_names.is_empty(), &|| format!("it asks for {}", decoded.other_names.join(", ")));
    let node = node.unwrap_or_default();
    let requester = requester(request, node);
    match signer {
        KubeletSigner::Client => {
            let names = decoded.dns_names.len() + decoded.ip_addresses.len();
            check(names == 0, &|| "a client certificate has no alternative names".to_owned());
            check(requester != Requester::Other, &|| {
                format!("{} is neither a bootstrap identity nor that node", request.username)
            });
            let joined = snapshot.find_node(node).is_some();
            check(requester != Requester::Bootstrap || !joined, &|| {
                format!("a bootstrap identity asks for {node}, which has joined already")
            });
        }
        KubeletSigner::Serving => {
            check(requester == Requester::SameNode, &|| format!("{} is not that node", request.username));
            let names = decoded.dns_names.len() + decoded.ip_addresses.len();
            check(names > 0, &|| "a serving certificate needs a name or an address".to_owned());
            foreign_names(decoded, machine_of(snapshot, node), node).into_iter().for_each(|name| {
                check(false, &|| format!("{name} does not belong to that machine"));
            });
        }
    }
    problems
}

/// Exactly the usages that the signer demands, each once; key encipherment may be left out.
fn usages_fit(request: &SigningRequest, signer: KubeletSigner) -> bool {
    let auth = match signer {
        KubeletSigner::Client => "client auth",
        KubeletSigner::Serving => "server auth",
    };
    let mut usages: Vec<&str> = request.usages.iter().map(|usage| usage.as_str()).collect();
    usages.sort_unstable();
    usages.retain(|usage| *usage != "key encipherment");
    let encipherment = request.usages.len() - usages.len();
    let mut wanted = ["digital signature", auth];
    wanted.sort_unstable();
    usages == wanted && encipherment <= 1
}

/// Names and addresses that the inventory does not give this machine.
fn foreign_names(decoded: &Decoded, machine: Option<&Machine>, node: &str) -> Vec<String> {
    let canonical = |name: &str| name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
    let addresses = machine.map_or(&[][..], |machine| &machine.addresses);
    let known = |kind: AddressKind| addresses.iter().filter(move |address| address.kind == kind);
    let own_name = |name: &String| {
        let name = canonical(name);
        machine.is_some()
            && (name == canonical(node) || known(AddressKind::Dns).any(|known| canonical(&known.value) == name))
    };
    let own_address = |address: &std::net::IpAddr| {
        known(AddressKind::Ip)
            .filter_map(|known| known.value.parse::<std::net::IpAddr>().ok())
            .any(|known| known.to_canonical() == *address)
    };
    let names = decoded.dns_names.iter().filter(|name| !own_name(name)).cloned();
    names.chain(decoded.ip_addresses.iter().filter(|ip| !own_address(ip)).map(ToString::to_string)).collect()
}
