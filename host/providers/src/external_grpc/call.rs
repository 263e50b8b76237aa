//! Calls to the server, each with a deadline.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use plimsoll_kube::chain;
use plimsoll_model::one_line;
use plimsoll_planner::launch::LaunchFailure;
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status};

use super::connect::Connector;
use super::protocol as wire;
use super::protocol::cloud_provider_client::CloudProviderClient;
use crate::ProviderError;

/// What is shown of a server's message.
pub(super) const SHOWN: usize = 300;

/// The calls that a server may answer with Unimplemented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Optional {
    Refresh,
    Nodes,
    Template,
}

/// How a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum CallError {
    /// Nothing was sent: the server cannot be reached.
    NotSent(String),
    /// Nothing was sent: the connection cannot be set up.
    NotSetUp(String),
    /// Whether it was done is not known.
    NoAnswer(String),
    /// The server said so.
    Said(Code, String),
}

/// The server, as a client sees it.
#[derive(Debug)]
pub(super) struct Calls {
    connector: Connector,
    deadline: Duration,
    absent: Mutex<BTreeSet<Optional>>,
}

type Client = CloudProviderClient<Channel>;

impl Calls {
    pub fn new(connector: Connector, deadline: Duration) -> Self {
        Self { connector, deadline, absent: Mutex::default() }
    }

    /// The longest that one of them takes.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    pub async fn refresh(&self) -> Result<(), CallError> {
        let call = async |mut client: Client, request| client.refresh(request).await;
        self.optional(Optional::Refresh, wire::RefreshRequest {}, call).await.map(|_| ())
    }

    pub async fn cleanup(&self) -> Result<(), CallError> {
        let call = async |mut client: Client, request| client.cleanup(request).await;
        self.call(wire::CleanupRequest {}, call).await.map(|_| ())
    }

    pub async fn groups(&self) -> Result<Vec<wire::NodeGroup>, CallError> {
        let call = async |mut client: Client, request| client.node_groups(request).await;
        self.call(wire::NodeGroupsRequest {}, call).await.map(|answer| answer.node_groups)
    }

    pub async fn target_size(&self, id: &str) -> Result<u32, CallError> {
        let call = async |mut client: Client, request| client.node_group_target_size(request).await;
        let size = self.call(wire::NodeGroupTargetSizeRequest { id: id.to_owned() }, call).await?.target_size;
        u32::try_from(size).map_err(|_| CallError::Said(Code::OutOfRange, format!("the size of {id} is {size}")))
    }

    pub async fn increase_size(&self, id: &str, delta: i32) -> Result<(), CallError> {
        let call = async |mut client: Client, request| client.node_group_increase_size(request).await;
        self.call(wire::NodeGroupIncreaseSizeRequest { delta, id: id.to_owned() }, call).await.map(|_| ())
    }

    /// The group of a machine; `None` where it is of none.
    pub async fn group_of(&self, node: wire::ExternalGrpcNode) -> Result<Option<String>, CallError> {
        let call = async |mut client: Client, request| client.node_group_for_node(request).await;
        let answer = self.call(wire::NodeGroupForNodeRequest { node: Some(node) }, call).await?;
        Ok(answer.node_group.map(|group| group.id).filter(|id| !id.is_empty()))
    }

    pub async fn delete_node(&self, id: &str, node: wire::ExternalGrpcNode) -> Result<(), CallError> {
        let call = async |mut client: Client, request| client.node_group_delete_nodes(request).await;
        let request = wire::NodeGroupDeleteNodesRequest { nodes: vec![node], id: id.to_owned() };
        self.call(request, call).await.map(|_| ())
    }

    /// `None` where the server has no such call.
    pub async fn nodes(&self, id: &str) -> Result<Option<Vec<wire::Instance>>, CallError> {
        let call = async |mut client: Client, request| client.node_group_nodes(request).await;
        let answer = self.optional(Optional::Nodes, wire::NodeGroupNodesRequest { id: id.to_owned() }, call).await?;
        Ok(answer.map(|answer| answer.instances))
    }

    /// `None` where the server has no such call.
    pub async fn template(&self, id: &str) -> Result<Option<Vec<u8>>, CallError> {
        let call = async |mut client: Client, request| client.node_group_template_node_info(request).await;
        let request = wire::NodeGroupTemplateNodeInfoRequest { id: id.to_owned() };
        Ok(self.optional(Optional::Template, request, call).await?.map(|answer| answer.node_bytes))
    }

    /// A call that is not made again once the server has said that it has none such.
    async fn optional<Q, A, F>(
        &self,
        which: Optional,
        request: Q,
        call: impl FnOnce(Client, Request<Q>) -> F,
    ) -> Result<Option<A>, CallError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        if self.absent.lock().unwrap_or_else(PoisonError::into_inner).contains(&which) {
            return Ok(None);
        }
        match self.call(request, call).await {
            Err(CallError::Said(Code::Unimplemented, _)) => {
                self.absent.lock().unwrap_or_else(PoisonError::into_inner).insert(which);
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    async fn call<Q, A, F>(&self, request: Q, call: impl FnOnce(Client, Request<Q>) -> F) -> Result<A, CallError>
    where
        F: Future<Output = Result<Response<A>, Status>>,
    {
        let channel = self.connector.channel().map_err(CallError::NotSetUp)?;
        let mut request = Request::new(request);
        // The server hears of it, so that it need not go on for nobody.
        request.set_timeout(self.deadline);
        match tokio::time::timeout(self.deadline, call(Client::new(channel), request)).await {
            Ok(Ok(answer)) => Ok(answer.into_inner()),
            Ok(Err(status)) => Err(CallError::of(&status)),
            Err(_) => Err(CallError::NoAnswer(format!("none within {} s", self.deadline.as_secs_f32()))),
        }
    }
}

// === impl CallError ===

impl CallError {
    fn of(status: &Status) -> Self {
        let mut source = std::error::Error::source(status);
        let local = source.is_some();
        while let Some(cause) = source {
            if cause.is::<tonic::ConnectError>() {
                return Self::NotSent(chain(status));
            }
            source = cause.source();
        }
        match status.code() {
            // The connection broke, or a deadline passed here or there.
            _ if local => Self::NoAnswer(chain(status)),
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => Self::NoAnswer(said(status)),
            code => Self::Said(code, said(status)),
        }
    }

    /// What it is of a launch, where the answer leaves no doubt that nothing was launched.
    pub fn refusal(&self) -> Option<LaunchFailure> {
        let Self::Said(code, said) = self else { return None };
        let said = said.clone();
        Some(match code {
            Code::Unauthenticated | Code::PermissionDenied => LaunchFailure::Unauthorized(said),
            Code::InvalidArgument | Code::NotFound | Code::Unimplemented => LaunchFailure::Invalid(said),
            Code::OutOfRange | Code::FailedPrecondition => LaunchFailure::GroupFull(said),
            _ => return None,
        })
    }

    /// What it is of a removal, if nothing was removed. Sizes below the smallest are refused as those above the
    /// largest are, and nothing is full.
    pub fn removal_failure(&self) -> LaunchFailure {
        match self.failure() {
            LaunchFailure::GroupFull(said) => LaunchFailure::Invalid(said),
            LaunchFailure::NoCapacity(said) | LaunchFailure::Quota(said) => LaunchFailure::RateLimited(said),
            failure => failure,
        }
    }

    /// What it is of a launch, if nothing was launched.
    pub fn failure(&self) -> LaunchFailure {
        if let Some(refusal) = self.refusal() {
            return refusal;
        }
        match self {
            Self::Said(Code::ResourceExhausted, said) => {
                let lower = said.to_lowercase();
                if lower.contains("quota") || lower.contains("limit") {
                    LaunchFailure::Quota(said.clone())
                } else {
                    LaunchFailure::NoCapacity(said.clone())
                }
            }
            Self::Said(_, said) | Self::NotSent(said) | Self::NotSetUp(said) | Self::NoAnswer(said) => {
                LaunchFailure::Other(said.clone())
            }
        }
    }
}

fn said(status: &Status) -> String {
    let message = one_line(status.message(), SHOWN);
    if message.trim().is_empty() { format!("{:?}", status.code()) } else { message.into_owned() }
}

impl std::fmt::Display for CallError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotSent(text) | Self::NotSetUp(text) | Self::NoAnswer(text) | Self::Said(_, text) => {
                f.write_str(text)
            }
        }
    }
}

impl From<CallError> for ProviderError {
    fn from(error: CallError) -> Self {
        let text = error.to_string();
        match error {
            CallError::NotSent(_) | CallError::NoAnswer(_) => Self::Unreachable(text),
            CallError::Said(Code::Unauthenticated | Code::PermissionDenied, _) => Self::Unauthorized(text),
            CallError::Said(Code::OutOfRange, _) => Self::Garbled(text),
            CallError::Said(..) | CallError::NotSetUp(_) => Self::Failed(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_becomes_a_failure_or_a_doubt() {
        for (code, label) in [
            (Code::Unauthenticated, "Unauthorized"),
            (Code::PermissionDenied, "Unauthorized"),
            (Code::InvalidArgument, "Invalid"),
            (Code::NotFound, "Invalid"),
            (Code::Unimplemented, "Invalid"),
            (Code::OutOfRange, "GroupFull"),
            (Code::FailedPrecondition, "GroupFull"),
            (Code::ResourceExhausted, "NoCapacity"),
            (Code::Internal, "Other"),
            (Code::Unknown, "Other"),
        ] {
            let error = CallError::of(&Status::new(code, "no more m5.large"));
            assert_eq!(error.failure().label(), label, "{code:?}");
            let clear = !matches!(code, Code::ResourceExhausted | Code::Internal | Code::Unknown);
            assert_eq!(error.refusal().is_some(), clear, "{code:?}");
        }
        let quota = CallError::of(&Status::new(Code::ResourceExhausted, "vCPU Quota of 64 is used up"));
        assert_eq!(quota.failure().label(), "Quota");
        for code in [Code::Unavailable, Code::DeadlineExceeded, Code::Cancelled] {
            let error = CallError::of(&Status::new(code, "gone\u{1b}[2J"));
            assert_eq!(error, CallError::NoAnswer("gone [2J".to_owned()));
        }
    }
}
