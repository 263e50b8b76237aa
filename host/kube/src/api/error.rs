//! How a call to the API server fails.

use std::time::Duration;

use serde::Deserialize;

use super::permit::Refused;

/// How a call failed. The text is a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// There is no such object.
    #[error("{0}")]
    NotFound(Answer),
    /// The API server does not serve this resource.
    #[error("the API server does not serve {resource}")]
    NotServed {
        /// The resource.
        resource: String,
    },
    /// The object was changed by somebody else meanwhile, or its UID is another.
    #[error("{0}")]
    Conflict(Answer),
    /// There is an object of this name already.
    #[error("{0}")]
    AlreadyExists(Answer),
    /// The permission is missing.
    #[error("{0}")]
    Forbidden(Answer),
    /// The credentials are wrong or out of date.
    #[error("the API server does not accept the credentials: {0}")]
    Unauthorized(Answer),
    /// Too many requests, or an eviction that a disruption budget does not allow now.
    #[error("{0}")]
    TooMany(Answer),
    /// The resource version is too old: list again.
    #[error("{0}")]
    Gone(Answer),
    /// The request makes no sense to the API server.
    #[error("{0}")]
    Invalid(Answer),
    /// The API server failed.
    #[error("{0}")]
    Server(Answer),
    /// No answer came: whether a write was done is not known.
    #[error("no answer from the API server: {0}")]
    NoAnswer(String),
    /// The request never left: the connection could not be made.
    #[error("the API server cannot be reached: {0}")]
    Unreachable(String),
    /// The answer makes no sense.
    #[error("the answer of the API server cannot be read: {0}")]
    Garbled(String),
    /// Nothing was sent, or its answer was not awaited: this replica may not write now.
    #[error(transparent)]
    Refused(#[from] Refused),
}

/// What the API server answered (`metav1.Status`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP code.
    pub code: u16,
    /// The machine-readable reason, for example `Conflict`.
    pub reason: String,
    /// What it says.
    pub message: String,
    /// Causes by reason, for example `DisruptionBudget`.
    pub causes: Vec<(String, String)>,
    /// When it may be tried again.
    pub retry_after: Option<Duration>,
}

#[derive(Deserialize)]
struct StatusObject {
    kind: String,
    #[serde(default)]
    message: String,
    #[serde(default)]
    reason: String,
    #[serde(default)]
    code: u16,
    #[serde(default)]
    details: Details,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Details {
    causes: Vec<Cause>,
    retry_after_seconds: u64,
}

#[derive(Deserialize)]
#[serde(default)]
#[derive(Default)]
struct Cause {
    reason: String,
    message: String,
}

// === impl ApiError ===

impl ApiError {
    /// The error that an answer stands for.
    pub(crate) fn of_answer(answer: Answer) -> Self {
        match (answer.code, answer.reason.as_str()) {
            (409, "AlreadyExists") => Self::AlreadyExists(answer),
            (401, _) => Self::Unauthorized(answer),
            (403, _) => Self::Forbidden(answer),
            (404, _) => Self::NotFound(answer),
            (409, _) => Self::Conflict(answer),
            (410, _) => Self::Gone(answer),
            (429, _) => Self::TooMany(answer),
            (400..=499, _) => Self::Invalid(answer),
            _ => Self::Server(answer),
        }
    }

    /// A stable label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "NotFound",
            Self::NotServed { .. } => "NotServed",
            Self::Conflict(_) => "Conflict",
            Self::AlreadyExists(_) => "AlreadyExists",
            Self::Forbidden(_) => "Forbidden",
            Self::Unauthorized(_) => "Unauthorized",
            Self::TooMany(_) => "TooManyRequests",
            Self::Gone(_) => "Gone",
            Self::Invalid(_) => "Invalid",
            Self::Server(_) => "ServerError",
            Self::NoAnswer(_) => "NoAnswer",
            Self::Unreachable(_) => "Unreachable",
            Self::Garbled(_) => "Garbled",
            Self::Refused(_) => "Refused",
        }
    }

    /// True if a read may go better the next time.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::TooMany(_) | Self::Server(_) | Self::NoAnswer(_) | Self::Unreachable(_))
    }

    /// True if a write may have been done all the same.
    pub fn is_outcome_unknown(&self) -> bool {
        matches!(self, Self::NoAnswer(_) | Self::Garbled(_) | Self::Server(_) | Self::Refused(Refused::TimeIsUp))
    }
}

// === impl Answer ===

impl Answer {
    /// Reads the body of a failure.
    pub(crate) fn read(code: u16, retry_after: Option<Duration>, body: &[u8]) -> Self {
        match serde_json::from_slice::<StatusObject>(body) {
            Ok(status) if status.kind == "Status" => Self {
                code: if status.code == 0 { code } else { status.code },
                reason: status.reason,
                message: status.message,
                causes: status.details.causes.into_iter().map(|cause| (cause.reason, cause.message)).collect(),
                retry_after: retry_after.or_else(|| {
                    let seconds = status.details.retry_after_seconds;
                    (seconds > 0).then(|| Duration::from_secs(seconds))
                }),
            },
            _ => {
                let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
                Self { code, message: text.trim().to_owned(), retry_after, ..Self::default() }
            }
        }
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.message.is_empty(), self.reason.is_empty()) {
            (false, _) => f.write_str(&self.message),
            (true, false) => write!(f, "{} ({})", self.reason, self.code),
            (true, true) => write!(f, "the API server answered {}", self.code),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_become_the_error_that_callers_look_for() {
        let read = |code, body: &str| ApiError::of_answer(Answer::read(code, None, body.as_bytes()));
        let status = |reason: &str, code: u16| {
            format!(
                r#"{{"kind":"Status","reason":"{reason}","code":{code},"message":"m","details":{{"retryAfterSeconds":3,"causes":[{{"reason":"DisruptionBudget","message":"needs 2"}}]}}}}"#
            )
        };
        for (code, reason, label) in [
            (404, "NotFound", "NotFound"),
            (409, "Conflict", "Conflict"),
            (409, "AlreadyExists", "AlreadyExists"),
            (410, "Expired", "Gone"),
            (422, "Invalid", "Invalid"),
            (429, "TooManyRequests", "TooManyRequests"),
            (503, "ServiceUnavailable", "ServerError"),
        ] {
            assert_eq!(read(code, &status(reason, code)).label(), label, "{code} {reason}");
        }
        let ApiError::TooMany(answer) = read(429, &status("TooManyRequests", 429)) else { panic!("not 429") };
        assert_eq!(answer.retry_after, Some(Duration::from_secs(3)));
        assert_eq!(answer.causes, [("DisruptionBudget".to_owned(), "needs 2".to_owned())]);
        let plain = read(502, "<html>bad gateway</html>");
        assert_eq!(plain.to_string(), "<html>bad gateway</html>");
        assert!(plain.is_transient() && plain.is_outcome_unknown());
        assert_eq!(read(500, "").to_string(), "the API server answered 500");
    }
}
