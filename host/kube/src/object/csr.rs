//! Certificate signing requests.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plimsoll_model::{CsrState, Pools, SigningRequest, Timestamp};
use serde::Deserialize;

use super::condition::{self, Condition};
use super::field::{Str, nullable};
use super::metadata::Metadata;
use super::{Object, Row, WholeProblem};

/// A `CertificateSigningRequest`.
#[derive(Debug, Deserialize)]
pub(crate) struct CsrObject<'a> {
    #[serde(borrow)]
    metadata: Metadata<'a>,
    #[serde(borrow)]
    spec: Spec<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    status: Status<'a>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec<'a> {
    #[serde(borrow)]
    request: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    signer_name: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    usages: Vec<Str<'a>>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    username: Str<'a>,
    #[serde(borrow, default, deserialize_with = "nullable")]
    groups: Vec<Str<'a>>,
    #[serde(default)]
    expiration_seconds: Option<u32>,
}

#[derive(Debug, Default, Deserialize)]
struct Status<'a> {
    #[serde(borrow, default, deserialize_with = "nullable")]
    conditions: Vec<Condition<'a>>,
}

impl<'a> Row<'a> for CsrObject<'a> {
    /// What is no base64 becomes an empty request: the requester wrote it, so it is shown and refused like any
    /// other bad request instead of being dropped from sight.
    fn row(self, pools: &mut Pools) -> Result<Object, WholeProblem> {
        let Self { metadata, spec, status } = self;
        let mut texts = |list: &[Str<'_>]| list.iter().map(|text| pools.text(text)).collect();
        let (usages, groups) = (texts(&spec.usages), texts(&spec.groups));
        let request = SigningRequest {
            name: pools.text(&metadata.name.0),
            signer: pools.text(&spec.signer_name),
            pem: STANDARD.decode(spec.request.as_bytes()).unwrap_or_default(),
            usages,
            username: pools.text(&spec.username),
            groups,
            expiration_seconds: spec.expiration_seconds,
            created: metadata.created(),
            state: status.state(),
        };
        Ok(Object::SigningRequest(request))
    }

    fn metadata(&self) -> &Metadata<'a> {
        &self.metadata
    }

    fn newest(&self) -> Option<Timestamp> {
        self.metadata.created().max(condition::newest(&self.status.conditions))
    }
}

impl Status<'_> {
    /// These conditions are only ever set to `True`, and a denial outweighs everything.
    fn state(&self) -> CsrState {
        let set = |kind: &str| self.conditions.iter().any(|condition| *condition.kind == *kind && !condition.fails());
        if set("Denied") {
            CsrState::Denied
        } else if set("Failed") {
            CsrState::Failed
        } else if set("Approved") {
            CsrState::Approved
        } else {
            CsrState::Pending
        }
    }
}
