//! Why a launched node is not there.

use std::collections::HashMap;
use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plimsoll_model::{CsrState, Node, SigningRequest, Snapshot, StartupTaints, Text, Timestamp};

/// The signer of a kubelet's first certificate (Kubernetes, "Certificates and Certificate Signing Requests").
const CLIENT_SIGNER: &str = "kubernetes.io/kube-apiserver-client-kubelet";
/// Requests that are looked into, the newest first.
const MOST_REQUESTS: usize = 500;
/// The longest request that is looked into.
const LONGEST_PEM: usize = 64 << 10;

/// What is known of why a launched node is not there, or not usable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotJoinedCause {
    /// The call was never made.
    NotCalled,
    /// The provider has not answered the call. What it ended with.
    NoAnswer(String),
    /// The kubelet's certificate request waits.
    CsrPending(Text),
    /// The kubelet's certificate request was denied.
    CsrDenied(Text),
    /// The kubelet's certificate request could not be signed.
    CsrFailed(Text),
    /// The kubelet has got its certificate.
    CsrApproved(Text),
    /// No kubelet has asked for a certificate.
    NoCsr,
    /// The node is there, and its kubelet does not report it ready.
    NotReady {
        /// The node.
        node: Text,
        /// Its taints.
        taints: Vec<String>,
    },
    /// The node is there and ready, and still has startup taints.
    TaintsPresent {
        /// The node.
        node: Text,
        /// Those taints.
        taints: Vec<String>,
    },
    /// The node was there and is gone again.
    Left(Text),
}

/// Certificate requests of kubelets that start, looked at once.
pub(super) struct KubeletRequests<'a> {
    /// The newest first.
    all: Vec<(&'a SigningRequest, Option<String>)>,
    by_node: HashMap<String, usize>,
}

// === impl KubeletRequests ===

impl<'a> KubeletRequests<'a> {
    pub fn of(snapshot: &'a Snapshot) -> Self {
        let ours = snapshot.signing_requests().iter().filter(|request| request.signer == CLIENT_SIGNER);
        let mut newest: Vec<&SigningRequest> = ours.collect();
        newest.sort_by(|a, b| b.created.cmp(&a.created).then_with(|| a.name.cmp(&b.name)));
        newest.truncate(MOST_REQUESTS);
        let all: Vec<_> = newest.into_iter().map(|request| (request, asking_node(&request.pem))).collect();
        let mut by_node = HashMap::new();
        for (at, (_, node)) in all.iter().enumerate() {
            if let Some(node) = node {
                by_node.entry(node.clone()).or_insert(at);
            }
        }
        Self { all, by_node }
    }

    /// What has become of the request of the node of this name.
    pub fn of_node(&self, name: &str) -> NotJoinedCause {
        self.by_node.get(name).map_or(NotJoinedCause::NoCsr, |&at| state(self.all[at].0))
    }

    /// What has become of requests since `since` that may be those of a node of unknown name: of nodes that are not in
    /// the cluster. Those that wait come first, since somebody can do something about them.
    pub fn of_somebody(&self, snapshot: &Snapshot, since: Timestamp) -> NotJoinedCause {
        let rank = |request: &SigningRequest| match request.state {
            CsrState::Pending => 0,
            CsrState::Denied => 1,
            CsrState::Failed => 2,
            CsrState::Approved => 3,
        };
        let joined = |name: &String| snapshot.find_node(name).is_some();
        let could = self.all.iter().filter(|(request, node)| {
            request.created.is_none_or(|created| created >= since) && !node.as_ref().is_some_and(joined)
        });
        could.min_by_key(|(request, _)| rank(request)).map_or(NotJoinedCause::NoCsr, |(request, _)| state(request))
    }
}

fn state(request: &SigningRequest) -> NotJoinedCause {
    let name = request.name.clone();
    match request.state {
        CsrState::Pending => NotJoinedCause::CsrPending(name),
        CsrState::Denied => NotJoinedCause::CsrDenied(name),
        CsrState::Failed => NotJoinedCause::CsrFailed(name),
        CsrState::Approved => NotJoinedCause::CsrApproved(name),
    }
}

/// The node that a request says it is of: the common name that it seems to ask for. Nothing is granted for it, so that
/// it needs no strict reading: it only finds the request to name.
fn asking_node(pem: &[u8]) -> Option<String> {
    const USER: &[u8] = b"system:node:";
    if pem.len() > LONGEST_PEM {
        return None;
    }
    let text = std::str::from_utf8(pem).ok()?;
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).flat_map(str::split_whitespace).collect();
    let der = STANDARD.decode(body).ok()?;
    let at = der.windows(USER.len()).position(|window| window == USER)?;
    // DER writes the length of a string before it; no name of a node takes more than two bytes for that.
    let length = usize::from(*der.get(at.checked_sub(1)?)?);
    let name = der.get(at + USER.len()..at.checked_add(length)?)?;
    std::str::from_utf8(name).ok().map(str::to_owned)
}

// === impl NotJoinedCause ===

impl NotJoinedCause {
    /// What keeps a node that is there from being used; `None` if nothing does. Startup taints count whatever their
    /// grace.
    pub(super) fn of_node(node: &Node, startup: &StartupTaints) -> Option<Self> {
        let name = node.name.clone();
        if !node.ready {
            return Some(Self::NotReady { node: name, taints: node.taints.iter().map(ToString::to_string).collect() });
        }
        // A node created at the moment of the question is within its grace.
        let now = node.created.unwrap_or_default();
        let young = Node { created: Some(now), ..node.clone() };
        let patient = StartupTaints { grace: plimsoll_model::Millis(u64::MAX), ..startup.clone() };
        let lasting = patient.counting(&young, now);
        let starting = node.taints.iter().filter(|taint| !lasting.contains(taint));
        let taints: Vec<String> = starting.map(ToString::to_string).collect();
        (!taints.is_empty()).then_some(Self::TaintsPresent { node: name, taints })
    }

    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotCalled => "NotCalled",
            Self::NoAnswer(_) => "NoAnswer",
            Self::CsrPending(_) => "CsrPending",
            Self::CsrDenied(_) => "CsrDenied",
            Self::CsrFailed(_) => "CsrFailed",
            Self::CsrApproved(_) => "CsrApproved",
            Self::NoCsr => "NoCsr",
            Self::NotReady { .. } => "NotReady",
            Self::TaintsPresent { .. } => "TaintsPresent",
            Self::Left(_) => "Left",
        }
    }
}

impl fmt::Display for NotJoinedCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let listed = |taints: &[String]| match taints {
            [one] => format!("taint {one}"),
            all => format!("taints {}", all.join(", ")),
        };
        match self {
            Self::NotCalled => f.write_str("the provider was never called"),
            Self::NoAnswer(said) if said.is_empty() => f.write_str("the provider has not answered"),
            Self::NoAnswer(said) => write!(f, "the provider has not answered: {said}"),
            Self::CsrPending(csr) => write!(f, "CSR {csr} pending"),
            Self::CsrDenied(csr) => write!(f, "CSR {csr} was denied"),
            Self::CsrFailed(csr) => write!(f, "CSR {csr} could not be signed"),
            Self::CsrApproved(csr) => write!(f, "CSR {csr} was approved, and no node has registered since"),
            Self::NoCsr => f.write_str("no CSR seen"),
            Self::NotReady { node, taints } if taints.is_empty() => write!(f, "node {node} is not ready"),
            Self::NotReady { node, taints } => write!(f, "node {node} is not ready: {}", listed(taints)),
            Self::TaintsPresent { node, taints } => {
                write!(f, "node {node} joined, {} still present", listed(taints))
            }
            Self::Left(node) => write!(f, "node {node} joined and left again before it was ready"),
        }
    }
}
