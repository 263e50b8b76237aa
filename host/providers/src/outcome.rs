//! What errors of the API server mean to a launch, to a removal and to an inventory.

use plimsoll_kube::{ApiError, Refused};
use plimsoll_planner::drain::RemovalOutcome;
use plimsoll_planner::launch::{LaunchFailure, LaunchOutcome};

use crate::ProviderError;

/// What a write that failed means to its launch. Only a clear refusal is a failure; everything else is tried again.
pub(crate) fn outcome(error: &ApiError) -> LaunchOutcome {
    let text = error.to_string();
    match error {
        // Admission by quota is a 403 as well (Kubernetes, "Resource Quotas").
        ApiError::Forbidden(_) if text.contains("exceeded quota") => LaunchOutcome::Failed(LaunchFailure::Quota(text)),
        ApiError::Forbidden(_) | ApiError::Unauthorized(_) => LaunchOutcome::Failed(LaunchFailure::Unauthorized(text)),
        ApiError::NotFound(_) | ApiError::NotServed { .. } | ApiError::Invalid(_) => {
            LaunchOutcome::Failed(LaunchFailure::Invalid(text))
        }
        ApiError::TooMany(_) => LaunchOutcome::Failed(LaunchFailure::RateLimited(text)),
        ApiError::Unreachable(_) | ApiError::Refused(Refused::NotLeading | Refused::Observing) => {
            LaunchOutcome::Unknown(format!("nothing was sent: {text}"))
        }
        ApiError::Conflict(_)
        | ApiError::AlreadyExists(_)
        | ApiError::Gone(_)
        | ApiError::Server(_)
        | ApiError::NoAnswer(_)
        | ApiError::Garbled(_)
        | ApiError::Refused(Refused::TimeIsUp) => LaunchOutcome::Unknown(text),
    }
}

/// What a read that failed means to its launch. An earlier try may have launched already, so that only an answer
/// about the thing itself is a failure.
pub(crate) fn unread(error: &ApiError) -> LaunchOutcome {
    let text = error.to_string();
    match error {
        ApiError::NotFound(_) | ApiError::NotServed { .. } | ApiError::Invalid(_) => {
            LaunchOutcome::Failed(LaunchFailure::Invalid(text))
        }
        _ => LaunchOutcome::Unknown(format!("nothing was sent: {text}")),
    }
}

/// What a write that failed means to a removal: a clear refusal is a failure, as with launches.
pub(crate) fn unremoved(error: &ApiError) -> RemovalOutcome {
    match outcome(error) {
        LaunchOutcome::Failed(failure) => RemovalOutcome::Failed(failure),
        LaunchOutcome::Unknown(text) => RemovalOutcome::Unknown(text),
        // No error is taken for an acceptance.
        LaunchOutcome::Accepted { .. } => RemovalOutcome::Unknown(error.to_string()),
    }
}

/// What a read that failed means to a removal: an earlier try may have removed the machine already.
pub(crate) fn unseen(error: &ApiError) -> RemovalOutcome {
    match unread(error) {
        LaunchOutcome::Failed(failure) => RemovalOutcome::Failed(failure),
        LaunchOutcome::Unknown(text) => RemovalOutcome::Unknown(text),
        LaunchOutcome::Accepted { .. } => RemovalOutcome::Unknown(error.to_string()),
    }
}

/// What a read that failed means to an inventory.
pub(crate) fn provider_error(error: &ApiError) -> ProviderError {
    let text = error.to_string();
    match error {
        ApiError::Forbidden(_) | ApiError::Unauthorized(_) => ProviderError::Unauthorized(text),
        ApiError::NotServed { .. } => ProviderError::NotServed(text),
        ApiError::NoAnswer(_) | ApiError::Unreachable(_) => ProviderError::Unreachable(text),
        ApiError::Garbled(_) => ProviderError::Garbled(text),
        _ => ProviderError::Failed(text),
    }
}
