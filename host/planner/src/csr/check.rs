//! The checks that no policy can lift, by name.

/// A check of the host. In the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Check {
    /// Nobody has decided.
    State,
    /// One of the two signers of kubelets.
    Signer,
    /// Not too many requests at once.
    Flood,
    /// Not too large.
    Size,
    /// One PEM block and nothing else.
    Pem,
    /// A PKCS#10 request in strict DER.
    Der,
    /// Signed by the key that it contains.
    Signature,
    /// A key that is strong enough.
    Key,
    /// A subject of one organization and one common name.
    Subject,
    /// A common name with a valid node name.
    NodeName,
    /// The organization of nodes.
    Organization,
    /// Exactly the usages of the signer.
    Usages,
    /// No extensions but harmless ones.
    Extensions,
    /// Alternative names of the types that the signer wants.
    NameTypes,
    /// A bootstrap identity, or the node itself.
    Requester,
    /// One launched machine is that node.
    Machine,
    /// Neither machine nor node is being deleted.
    Alive,
    /// A first certificate is for a node that has not joined, every other for one that has.
    Node,
    /// The machine was launched shortly before.
    JoinWindow,
    /// No names of the API server, of services or of everybody.
    ForbiddenNames,
    /// The inventory gives this machine every name and address.
    OwnNames,
    /// The inventory gives no name and no address to another machine.
    ForeignNames,
    /// Neither too long nor too short a life.
    Expiration,
    /// A request of today.
    Age,
}

/// How a check came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All is well.
    Passed,
    /// It rules approval out.
    Failed,
    /// It rules approval out for now: too little is known yet.
    Unknown,
}

/// A check and how it came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The check.
    pub check: Check,
    /// How it came out.
    pub outcome: Outcome,
    /// A sentence that says so.
    pub detail: String,
}

// === impl Check ===

impl Check {
    /// Every check, in order.
    pub const ALL: [Self; 24] = [
        Self::State,
        Self::Signer,
        Self::Flood,
        Self::Size,
        Self::Pem,
        Self::Der,
        Self::Signature,
        Self::Key,
        Self::Subject,
        Self::NodeName,
        Self::Organization,
        Self::Usages,
        Self::Extensions,
        Self::NameTypes,
        Self::Requester,
        Self::Machine,
        Self::Alive,
        Self::Node,
        Self::JoinWindow,
        Self::ForbiddenNames,
        Self::OwnNames,
        Self::ForeignNames,
        Self::Expiration,
        Self::Age,
    ];

    /// Its name, which stays as it is from version to version.
    pub fn label(self) -> &'static str {
        match self {
            Self::State => "State",
            Self::Signer => "Signer",
            Self::Flood => "Flood",
            Self::Size => "Size",
            Self::Pem => "Pem",
            Self::Der => "Der",
            Self::Signature => "Signature",
            Self::Key => "Key",
            Self::Subject => "Subject",
            Self::NodeName => "NodeName",
            Self::Organization => "Organization",
            Self::Usages => "Usages",
            Self::Extensions => "Extensions",
            Self::NameTypes => "NameTypes",
            Self::Requester => "Requester",
            Self::Machine => "Machine",
            Self::Alive => "Alive",
            Self::Node => "Node",
            Self::JoinWindow => "JoinWindow",
            Self::ForbiddenNames => "ForbiddenNames",
            Self::OwnNames => "OwnNames",
            Self::ForeignNames => "ForeignNames",
            Self::Expiration => "Expiration",
            Self::Age => "Age",
        }
    }

    /// What it demands, as a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::State => "nobody has decided about the request",
            Self::Signer => "it is for one of the two signers of kubelet certificates",
            Self::Flood => "no more requests are pending than there can be new nodes",
            Self::Size => "it is no larger than a request can be",
            Self::Pem => "it is exactly one PEM block of type CERTIFICATE REQUEST",
            Self::Der => "it is a PKCS#10 request in strict DER and nothing else",
            Self::Signature => "it is signed by the key that it contains",
            Self::Key => "its key is strong enough and of a kind that can be verified",
            Self::Subject => "its subject is one organization and one common name",
            Self::NodeName => "its common name is system:node: with a valid node name",
            Self::Organization => "its organization is exactly system:nodes",
            Self::Usages => "its usages are exactly those that the signer demands",
            Self::Extensions => "it asks for no extensions beyond alternative names and its own usages",
            Self::NameTypes => "it has the types of alternative names that the signer demands",
            Self::Requester => "a bootstrap identity or the node itself asks",
            Self::Machine => "exactly one launched machine is that node",
            Self::Alive => "neither the machine nor the node is being deleted",
            Self::Node => "a first certificate is for a node that has not joined, every other for one that has",
            Self::JoinWindow => "a first certificate is for a machine that was launched shortly before",
            Self::ForbiddenNames => "it has no name or address that belongs to no node",
            Self::OwnNames => "the inventory gives that machine every name and address asked for",
            Self::ForeignNames => "no name or address belongs to another machine or node",
            Self::Expiration => "the certificate would last neither too long nor too short",
            Self::Age => "the request is not too old",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_listed_once() {
        assert!(Check::ALL.is_sorted() && Check::ALL.iter().all(|check| !check.sentence().is_empty()));
        let mut labels: Vec<&str> = Check::ALL.iter().map(|check| check.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Check::ALL.len());
        assert_eq!(Check::ALL.last(), Some(&Check::Age));
    }
}
