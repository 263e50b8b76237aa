//! What a CSR policy is asked, and what it may answer.

use plimsoll_model::{Millis, NodeId, Text, Timestamp};

/// A signing request, decoded and checked.
#[derive(Clone, Debug)]
pub struct CsrQuestion {
    /// The time of the decision.
    pub now: Timestamp,
    /// Seed for whatever needs chance.
    pub seed: u64,
    /// The name of the request object.
    pub name: Text,
    /// Which certificate.
    pub signer: KubeletSigner,
    /// The node in the common name, without `system:node:`.
    pub node_name: String,
    /// Who asks.
    pub requester: Requester,
    /// The requester's user name.
    pub username: Text,
    /// The requester's groups.
    pub groups: Vec<Text>,
    /// DNS names asked for.
    pub dns_names: Vec<String>,
    /// Addresses asked for.
    pub ip_addresses: Vec<String>,
    /// How long the certificate should last, in seconds.
    pub expiration_seconds: Option<u32>,
    /// How long ago the request was made.
    pub age: Option<Millis>,
    /// The launched machine that this node is.
    pub machine: Option<MachineFacts>,
    /// The node, if it has joined.
    pub node: Option<NodeId>,
    /// Identity checks that failed.
    pub problems: Vec<String>,
}

/// Which certificate a kubelet asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KubeletSigner {
    /// `kubernetes.io/kube-apiserver-client-kubelet`.
    Client,
    /// `kubernetes.io/kubelet-serving`.
    Serving,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Requester {
    /// A bootstrap identity.
    Bootstrap,
    /// The node that the certificate is for.
    SameNode,
    /// Anybody else.
    Other,
}

/// What the inventory knows of the node.
#[derive(Clone, Debug)]
pub struct MachineFacts {
    /// The machine's name there.
    pub name: Text,
    /// Its node group.
    pub group: Option<Text>,
    /// When it was launched.
    pub launched: Option<Timestamp>,
    /// A node of this name has joined.
    pub joined: bool,
    /// It is being deleted.
    pub terminating: bool,
}

/// What becomes of a request. A policy answers one of the first three.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CsrVerdict {
    /// Sign it, and why.
    Approve(String),
    /// Refuse it for good, and why.
    Deny(String),
    /// Leave it, and why.
    Leave(String),
    /// Look at it again once more is known, and why.
    Retry(String),
}
