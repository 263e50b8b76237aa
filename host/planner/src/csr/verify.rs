//! The identity checks that no policy can lift.
//!
//! Sources: what the signers themselves enforce (kubernetes `pkg/apis/certificates/helpers.go`), what they
//! leave to the approver (cluster-machine-approver `csr_check.go`, the former GKE approver), and the holes
//! found in other approvers: names bound to nothing but the node's own word, service names, wildcards.

use std::net::IpAddr;

use plimsoll_model::{Machine, Millis, Node, SigningRequest, Snapshot, Timestamp, one_line};

use super::decode::Decoded;
use super::inventory::{Found, Inventory, Launched};
use super::name::{canonical, host_name_flaw, node_name_flaw};
use super::{Check, CsrRules, Finding, KubeletSigner, Outcome, Requester};

pub(super) const NODE_USER: &str = "system:node:";
pub(super) const NODE_GROUP: &str = "system:nodes";
const AUTHENTICATED: &str = "system:authenticated";
const BOOTSTRAP_GROUP: &str = "system:bootstrappers";
/// The API server accepts no less either.
const LEAST_EXPIRATION: Millis = Millis(600_000);
/// Alternative names of one node.
const MOST_NAMES: usize = 100;
/// Names that a sentence lists, and characters of each.
const NAMES_LISTED: usize = 3;
const NAME_SHOWN: usize = 80;

/// A request that could be read, and what it is held against.
pub(super) struct Case<'a> {
    pub request: &'a SigningRequest,
    pub signer: KubeletSigner,
    pub decoded: &'a Decoded,
    pub snapshot: &'a Snapshot,
    pub inventory: &'a Inventory<'a>,
    pub rules: &'a CsrRules,
    pub now: Timestamp,
}

/// How a check came out, with its sentence.
type Answer = (Outcome, String);

impl KubeletSigner {
    /// The signer of this name, if it is one of the two for kubelets.
    pub fn of(name: &str) -> Option<Self> {
        match name {
            "kubernetes.io/kube-apiserver-client-kubelet" => Some(Self::Client),
            "kubernetes.io/kubelet-serving" => Some(Self::Serving),
            _ => None,
        }
    }

    /// A stable label for metrics.
    pub fn label(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Serving => "serving",
        }
    }

    fn auth(self) -> &'static str {
        match self {
            Self::Client => "client auth",
            Self::Serving => "server auth",
        }
    }
}

/// The name of the node whose own credentials ask, as the API server authenticated them.
pub(super) fn asking_node(request: &SigningRequest) -> Option<&str> {
    let name = request.username.strip_prefix(NODE_USER)?;
    (node_name_flaw(name).is_none() && in_group(request, NODE_GROUP)).then_some(name)
}

fn in_group(request: &SigningRequest, group: &str) -> bool {
    request.groups.iter().any(|known| *known == *group)
}

/// One of `system:bootstrappers` and `system:bootstrappers:…`, or configured.
fn bootstraps(request: &SigningRequest, rules: &CsrRules) -> bool {
    let group = |group: &str| match group.strip_prefix(BOOTSTRAP_GROUP) {
        Some(rest) => rest.is_empty() || rest.strip_prefix(':').is_some_and(|name| !name.is_empty()),
        None => false,
    };
    request.groups.iter().any(|name| group(name)) || rules.bootstrap_users.contains(&request.username)
}

fn passed(detail: impl Into<String>) -> Answer {
    (Outcome::Passed, detail.into())
}

fn failed(detail: impl Into<String>) -> Answer {
    (Outcome::Failed, detail.into())
}

fn unknown(detail: impl Into<String>) -> Answer {
    (Outcome::Unknown, detail.into())
}

fn when(holds: bool, well: impl Into<String>, else_: impl FnOnce() -> String) -> Answer {
    if holds { passed(well) } else { failed(else_()) }
}

/// The first few of a list that may be long.
fn some<T: ToString>(all: &[T]) -> String {
    let shown = |item: &T| one_line(&item.to_string(), NAME_SHOWN).into_owned();
    let mut text = all.iter().take(NAMES_LISTED).map(shown).collect::<Vec<_>>().join(", ");
    if all.len() > NAMES_LISTED {
        text.push_str(&format!(" and {} more", all.len() - NAMES_LISTED));
    }
    text
}

// === impl Case ===

impl<'a> Case<'a> {
    /// The node that the request is about: its one common name without `system:node:`.
    pub(super) fn node_name(&self) -> &'a str {
        match self.decoded.common_names.as_slice() {
            [name] => name.strip_prefix(NODE_USER).unwrap_or_default(),
            _ => "",
        }
    }

    /// Who asks.
    pub(super) fn requester(&self) -> Requester {
        let node = self.node_name();
        match asking_node(self.request) {
            Some(name) if name == node => Requester::SameNode,
            Some(_) => Requester::Other,
            None if bootstraps(self.request, self.rules) => Requester::Bootstrap,
            None => Requester::Other,
        }
    }

    /// The one machine that is the node.
    pub(super) fn machine(&self) -> Option<&'a Machine> {
        self.launched().map(|launched| launched.machine)
    }

    fn launched(&self) -> Option<Launched<'a>> {
        match self.inventory.find(self.node_name()) {
            Found::One(launched) => Some(launched),
            Found::Several(..) | Found::None => None,
        }
    }

    fn node(&self) -> Option<&'a Node> {
        self.snapshot.find_node(self.node_name()).map(|(_, node)| node).filter(|node| !node.launching)
    }

    /// True if there is a Node object of this name, even one that could not be read.
    fn exists(&self, name: &str) -> bool {
        let read = self.snapshot.find_node(name).is_some_and(|(_, node)| !node.launching);
        read || self.rules.unread_nodes.iter().any(|node| *node == *name)
    }

    /// True if this is how a node gets its first certificate.
    fn first(&self) -> bool {
        self.signer == KubeletSigner::Client && self.requester() != Requester::SameNode
    }

    /// Every check of what was read, in order.
    pub(super) fn findings(&self) -> Vec<Finding> {
        let answers = [
            (Check::Signature, self.proof()),
            (Check::Key, self.key()),
            (Check::Subject, self.subject()),
            (Check::NodeName, self.common_name()),
            (Check::Organization, self.organization()),
            (Check::Usages, self.usages()),
            (Check::Extensions, self.extensions()),
            (Check::NameTypes, self.name_types()),
            (Check::Requester, self.asks()),
            (Check::Machine, self.is_launched()),
            (Check::Alive, self.alive()),
            (Check::Node, self.joined()),
            (Check::JoinWindow, self.join_window()),
            (Check::ForbiddenNames, self.forbidden_names()),
            (Check::OwnNames, self.own_names()),
            (Check::ForeignNames, self.foreign_names()),
            (Check::Expiration, self.expiration()),
            (Check::Age, self.age()),
        ];
        answers.into_iter().map(|(check, (outcome, detail))| Finding { check, outcome, detail }).collect()
    }

    fn proof(&self) -> Answer {
        match &self.decoded.signature {
            Ok(()) => passed("it is signed by the key that it contains"),
            Err(problem) => failed(problem),
        }
    }

    fn key(&self) -> Answer {
        match &self.decoded.key {
            Ok(kind) => passed(kind),
            Err(problem) => failed(problem),
        }
    }

    fn subject(&self) -> Answer {
        let Decoded { common_names, organizations, other_attributes, .. } = self.decoded;
        if !other_attributes.is_empty() {
            return failed(format!("its subject has {}", some(other_attributes)));
        }
        when(common_names.len() == 1 && organizations.len() == 1, "one organization and one common name", || {
            format!("it has {} organizations and {} common names", organizations.len(), common_names.len())
        })
    }

    fn common_name(&self) -> Answer {
        let names = &self.decoded.common_names;
        let [name] = names.as_slice() else { return failed(format!("its common names are {}", some(names))) };
        match name.strip_prefix(NODE_USER) {
            None => failed(format!("its common name is {}, not {NODE_USER} with a name", some(names))),
            Some(node) => match node_name_flaw(node) {
                Some(_) if node.len() > NAME_SHOWN => failed("the name of the node is far too long, or no name"),
                Some(flaw) => failed(flaw),
                None => passed(format!("it is for node {node}")),
            },
        }
    }

    fn organization(&self) -> Answer {
        let organizations = &self.decoded.organizations;
        when(*organizations == [NODE_GROUP], NODE_GROUP, || {
            if organizations.is_empty() {
                format!("it has no organization, where {NODE_GROUP} belongs")
            } else {
                format!("its organization is {}, not exactly {NODE_GROUP}", some(organizations))
            }
        })
    }

    /// Exactly the usages that the signer demands, each once; key encipherment may be left out.
    fn usages(&self) -> Answer {
        let usages = &self.request.usages;
        let mut left: Vec<&str> = usages.iter().map(|usage| usage.as_str()).collect();
        let mut wanted = ["digital signature", self.signer.auth()];
        left.sort_unstable();
        wanted.sort_unstable();
        if let Some(place) = left.iter().position(|usage| *usage == "key encipherment") {
            left.remove(place);
        }
        when(left == wanted, some(usages), || {
            let got = if usages.is_empty() { "none".to_owned() } else { some(usages) };
            format!("its usages are {got}, not exactly {} and, if need be, key encipherment", wanted.join(", "))
        })
    }

    fn extensions(&self) -> Answer {
        let Decoded { key_usages, extended_usages, other_extensions, .. } = self.decoded;
        if !other_extensions.is_empty() {
            return failed(format!("it asks for {}", some(other_extensions)));
        }
        let asked = |usage: &&str| self.request.usages.iter().any(|known| **known == **usage);
        if let Some(usages) = key_usages {
            let same = usages.contains(&"digital signature")
                && usages.contains(&"key encipherment") == asked(&"key encipherment")
                && usages.iter().all(|usage| ["digital signature", "key encipherment"].contains(usage));
            if !same {
                return failed(format!("its key usage extension says {}, unlike spec.usages", some(usages)));
            }
        }
        match extended_usages {
            Some(usages) if *usages != [self.signer.auth()] => {
                failed(format!("its extended key usage says {}, not exactly {}", some(usages), self.signer.auth()))
            }
            _ => passed("nothing beyond alternative names and its own usages"),
        }
    }

    fn name_types(&self) -> Answer {
        let Decoded { dns_names, ip_addresses, other_names, .. } = self.decoded;
        let count = dns_names.len() + ip_addresses.len();
        if !other_names.is_empty() {
            return failed(format!("it asks for {}", some(other_names)));
        }
        match self.signer {
            KubeletSigner::Client => when(count == 0, "none, as a client certificate has none", || {
                "a client certificate has no alternative names".to_owned()
            }),
            KubeletSigner::Serving if count == 0 => failed("a serving certificate needs a name or an address"),
            KubeletSigner::Serving => when(
                count <= MOST_NAMES,
                format!("DNS names: {}, addresses: {}", dns_names.len(), ip_addresses.len()),
                || format!("it asks for {count} names and addresses, more than the {MOST_NAMES} of a node"),
            ),
        }
    }

    fn asks(&self) -> Answer {
        let user = one_line(&self.request.username, NAME_SHOWN);
        match (self.signer, self.requester()) {
            (_, Requester::SameNode) => {
                when(in_group(self.request, AUTHENTICATED), format!("{user} asks for itself"), || {
                    format!("{user} is not in group {AUTHENTICATED}")
                })
            }
            (KubeletSigner::Client, Requester::Bootstrap) => passed(format!("{user} is a bootstrap identity")),
            (KubeletSigner::Client, Requester::Other) => {
                failed(format!("{user} is neither a bootstrap identity nor that node"))
            }
            (KubeletSigner::Serving, _) => failed(format!("{user} is not that node in group {NODE_GROUP}")),
        }
    }

    fn is_launched(&self) -> Answer {
        let node = one_line(self.node_name(), NAME_SHOWN);
        if let Some(why) = &self.rules.unknown {
            return unknown(format!("who {node} is cannot be told: {why}"));
        }
        if node.is_empty() {
            return failed("it names no node");
        }
        match self.inventory.find(self.node_name()) {
            Found::One(launched) => passed(format!("{node} is machine {}", launched.machine.name)),
            Found::Several(one, other) => failed(format!("machines {one} and {other} both would be {node}")),
            Found::None if self.inventory.is_empty() => {
                unknown("the inventory is empty: no Machine and no NodeClaim is known")
            }
            Found::None => {
                let window = self.rules.join_window.0;
                match self.inventory.nameless(Timestamp(self.now.0.saturating_sub(window))) {
                    Some(machine) => unknown(format!(
                        "no machine is {node}, but nothing says yet what node machine {} will be",
                        machine.name
                    )),
                    None => failed(format!("no launched machine is {node}")),
                }
            }
        }
    }

    fn alive(&self) -> Answer {
        match (self.machine(), self.node()) {
            (Some(machine), _) if machine.deleting => failed(format!("machine {} is being deleted", machine.name)),
            (_, Some(node)) if node.deleting => failed(format!("node {} is being deleted", node.name)),
            (Some(_), _) => passed("nothing is being deleted"),
            (None, _) => passed("there is no machine that could be deleted"),
        }
    }

    fn joined(&self) -> Answer {
        let name = one_line(self.node_name(), NAME_SHOWN);
        let (node, machine, exists) = (self.node(), self.machine(), self.exists(self.node_name()));
        if self.first() {
            return match (exists, machine.and_then(|machine| machine.node.as_ref())) {
                (true, _) => failed(format!("{name} has joined already, so this is not its first certificate")),
                (false, Some(became)) => failed(format!("the machine is known to be node {became} already")),
                (false, None) => passed(format!("{name} has not joined yet")),
            };
        }
        match (node, machine) {
            _ if !exists && self.signer == KubeletSigner::Client => {
                failed(format!("there is no node {name} that could renew its certificate"))
            }
            // What the inventory calls its node it has matched by more than a name.
            (Some(node), Some(machine)) if machine.node.is_none() && self.older(node, machine) => {
                failed(format!("node {name} is older than machine {}, so it was another's", machine.name))
            }
            _ if exists => passed(format!("node {name} has joined")),
            _ => passed(format!("node {name} is about to join")),
        }
    }

    fn older(&self, node: &Node, machine: &Machine) -> bool {
        let (Some(node), Some(machine)) = (node.created, machine.created) else { return false };
        machine.since(node) > self.rules.clock_skew
    }

    fn join_window(&self) -> Answer {
        if !self.first() {
            return passed("this is not a first certificate");
        }
        let Some(machine) = self.machine() else { return passed("there is no machine whose launch could count") };
        let (window, skew) = (self.rules.join_window, self.rules.clock_skew);
        let (launched, asked) = match (machine.created, self.request.created) {
            (Some(launched), asked) => (launched, asked.unwrap_or(self.now)),
            (None, None) => return passed("neither the machine nor the request says when it was made"),
            (None, Some(_)) => return failed(format!("nothing says when machine {} was launched", machine.name)),
        };
        let late = asked.since(launched).max(self.now.since(launched));
        if launched.since(asked) > skew {
            failed(format!("the request was made {} before the machine was launched", launched.since(asked)))
        } else if late > window {
            failed(format!("the machine was launched {late} before, longer than {window}"))
        } else {
            passed(format!("the machine was launched {late} before"))
        }
    }

    fn forbidden_names(&self) -> Answer {
        let names = self.decoded.dns_names.iter().filter_map(|name| host_name_flaw(name, self.rules));
        let range = |address: &IpAddr| self.rules.forbidden_cidrs.iter().find(|range| range.contains(*address));
        let addresses = self.decoded.ip_addresses.iter().filter_map(|address| {
            range(address).map(|range| format!("{address} is forbidden by csr.forbiddenCidrs: {range}"))
        });
        let flaws: Vec<String> = names.chain(addresses).take(NAMES_LISTED + 1).collect();
        when(flaws.is_empty(), "none", || some(&flaws))
    }

    /// What a Node object says of itself counts for nothing here: its node writes it.
    fn own_names(&self) -> Answer {
        let Decoded { dns_names, ip_addresses, .. } = self.decoded;
        if dns_names.is_empty() && ip_addresses.is_empty() {
            return passed("it asks for none");
        }
        let Some(machine) = self.launched() else {
            return (self.is_launched().0, "without a machine no name and no address is its own".to_owned());
        };
        let own_name = |name: &&String| self.inventory.has_name(machine, &canonical(name));
        let own_address = |address: &&IpAddr| self.inventory.has_address(machine, **address);
        let names = dns_names.iter().filter(|name| !own_name(name)).cloned();
        let addresses = ip_addresses.iter().filter(|address| !own_address(address)).map(|address| {
            let kind = special(*address).map_or_else(String::new, |kind| format!(" ({kind})"));
            format!("{address}{kind}")
        });
        let foreign: Vec<String> = names.chain(addresses).collect();
        let name = &machine.machine.name;
        if foreign.is_empty() {
            passed(format!("the inventory gives machine {name} all of them"))
        } else if !self.inventory.describes(machine) {
            unknown(format!("the inventory has no names and addresses of machine {name} yet"))
        } else {
            failed(format!("the inventory does not give machine {name} {}", some(&foreign)))
        }
    }

    fn foreign_names(&self) -> Answer {
        let own = self.launched();
        let node = self.node_name();
        let names = self.decoded.dns_names.iter().filter_map(|name| {
            let canonical = canonical(name);
            if let Some(other) = self.inventory.other_with_name(own, &canonical) {
                return Some(format!("{name} is a name of machine {}", other.name));
            }
            let other = canonical != *node && self.exists(&canonical);
            other.then(|| format!("{name} is the name of another node"))
        });
        let addresses = self.decoded.ip_addresses.iter().filter_map(|address| {
            let other = self.inventory.other_with_address(own, *address)?;
            Some(format!("{address} is an address of machine {}", other.name))
        });
        let flaws: Vec<String> = names.chain(addresses).collect();
        when(flaws.is_empty(), "none", || some(&flaws))
    }

    fn expiration(&self) -> Answer {
        let Some(seconds) = self.request.expiration_seconds else { return passed("the signer decides") };
        let (asked, most) = (Millis::from_secs(seconds.into()), self.rules.max_expiration);
        if asked < LEAST_EXPIRATION {
            failed(format!("it asks for {asked}, less than {LEAST_EXPIRATION}"))
        } else {
            when(asked <= most, format!("it asks for {asked}"), || format!("it asks for {asked}, more than {most}"))
        }
    }

    fn age(&self) -> Answer {
        let Some(created) = self.request.created else { return passed("it does not say when it was made") };
        let (age, most) = (self.now.since(created), self.rules.max_age);
        when(age <= most, format!("it is {age} old"), || format!("it is {age} old, more than {most}"))
    }
}

/// What an address is that no network routes to one machine.
fn special(address: IpAddr) -> Option<&'static str> {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    match address {
        _ if address.is_loopback() => Some("a loopback address"),
        _ if address.is_unspecified() => Some("the unspecified address"),
        _ if address.is_multicast() => Some("a multicast address"),
        _ if link_local => Some("an address of one link"),
        _ => None,
    }
}
