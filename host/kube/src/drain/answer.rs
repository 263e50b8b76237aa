//! What a failed call means for a drain.

use plimsoll_model::Millis;
use plimsoll_planner::drain::{EvictionAnswer, WriteAnswer};

use crate::api::{Answer, ApiError};

/// Part of the sentence for a pod with several budgets, which has neither a reason nor a cause
/// (`pkg/registry/core/pod/storage/eviction.go`).
const SEVERAL_BUDGETS: &str = "more than one PodDisruptionBudget";
/// The cause of an eviction that a budget does not allow now.
const BUDGET: &str = "DisruptionBudget";
/// The cause of every write that creates something, evictions among them, in a namespace that is being deleted.
const NAMESPACE_TERMINATING: &str = "NamespaceTerminating";

/// What the failure of a write means. A conflict here is one that a caller did not try again.
pub(super) fn of_write(error: ApiError) -> WriteAnswer {
    match error {
        ApiError::NotFound(_) => WriteAnswer::Gone,
        ApiError::Forbidden(answer) => WriteAnswer::Forbidden(answer.to_string()),
        // Asked again, it is refused again.
        ApiError::Invalid(_) | ApiError::NotServed { .. } => WriteAnswer::Otherwise(error.to_string()),
        ApiError::Conflict(_)
        | ApiError::AlreadyExists(_)
        | ApiError::Unauthorized(_)
        | ApiError::TooMany(_)
        | ApiError::Gone(_)
        | ApiError::Server(_)
        | ApiError::NoAnswer(_)
        | ApiError::Unreachable(_)
        | ApiError::Garbled(_)
        | ApiError::Refused(_) => WriteAnswer::Unknown(error.to_string()),
    }
}

/// What the failure of an eviction or a deletion means. A conflict is one of the pod of that UID.
pub(super) fn of_eviction(error: ApiError) -> EvictionAnswer {
    match error {
        ApiError::NotFound(_) => EvictionAnswer::Gone,
        ApiError::Conflict(_) => EvictionAnswer::Conflict,
        ApiError::TooMany(answer) => too_many(&answer),
        ApiError::Server(answer) if answer.code == 500 && answer.message.contains(SEVERAL_BUDGETS) => {
            EvictionAnswer::SeveralBudgets(answer.message)
        }
        ApiError::Forbidden(answer) => match answer.causes.iter().any(|(reason, _)| reason == NAMESPACE_TERMINATING) {
            true => EvictionAnswer::NamespaceTerminating,
            false => EvictionAnswer::Forbidden(answer.to_string()),
        },
        ApiError::Invalid(_) | ApiError::NotServed { .. } => EvictionAnswer::Invalid(error.to_string()),
        ApiError::AlreadyExists(_)
        | ApiError::Unauthorized(_)
        | ApiError::Gone(_)
        | ApiError::Server(_)
        | ApiError::NoAnswer(_)
        | ApiError::Unreachable(_)
        | ApiError::Garbled(_)
        | ApiError::Refused(_) => EvictionAnswer::Unknown(error.to_string()),
    }
}

fn too_many(answer: &Answer) -> EvictionAnswer {
    let wait = answer.retry_after.filter(|wait| !wait.is_zero());
    let retry_after = wait.map(|wait| Millis(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)));
    match answer.causes.iter().find(|(reason, _)| reason == BUDGET) {
        // Of the two sentences, the cause's names the budget.
        Some((_, said)) if !said.is_empty() => EvictionAnswer::Budget { message: said.clone(), retry_after },
        Some(_) => EvictionAnswer::Budget { message: answer.to_string(), retry_after },
        None => EvictionAnswer::TooMany { retry_after },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::api::Refused;

    fn answer(code: u16, causes: &[(&str, &str)], wait: Option<u64>) -> ApiError {
        let causes = causes.iter().map(|(reason, message)| ((*reason).to_owned(), (*message).to_owned())).collect();
        let retry_after = wait.map(Duration::from_secs);
        ApiError::of_answer(Answer { code, causes, retry_after, message: "said".to_owned(), ..Answer::default() })
    }

    #[test]
    fn each_refusal_of_an_eviction_has_its_own_path() {
        use EvictionAnswer::*;
        let (said, sentence) = (|| "said".to_owned(), "The disruption budget b needs 2");
        let budget = |message: &str, wait| Budget { message: message.to_owned(), retry_after: wait };
        let several = Answer { code: 500, message: format!("This pod has {SEVERAL_BUDGETS}"), ..Answer::default() };
        let elsewhere = Answer { code: 503, ..several.clone() };
        for (error, expected) in [
            (answer(404, &[], None), Gone),
            (answer(409, &[], None), Conflict),
            (answer(429, &[(BUDGET, sentence)], None), budget(sentence, None)),
            (answer(429, &[("Other", ""), (BUDGET, "")], Some(10)), budget("said", Some(Millis(10_000)))),
            (answer(429, &[], Some(3)), TooMany { retry_after: Some(Millis(3_000)) }),
            (answer(429, &[("Other", sentence)], Some(0)), TooMany { retry_after: None }),
            (ApiError::of_answer(several.clone()), SeveralBudgets(several.message.clone())),
            (ApiError::of_answer(elsewhere.clone()), Unknown(elsewhere.message)),
            (answer(403, &[("FieldValueInvalid", ""), (NAMESPACE_TERMINATING, "")], None), NamespaceTerminating),
            (answer(403, &[], None), Forbidden(said())),
            (answer(400, &[], None), Invalid(said())),
            (answer(422, &[], None), Invalid(said())),
            (answer(500, &[], None), Unknown(said())),
            (answer(504, &[], Some(10)), Unknown(said())),
            (ApiError::NoAnswer("cut".to_owned()), Unknown("no answer from the API server: cut".to_owned())),
            (Refused::NotLeading.into(), Unknown(Refused::NotLeading.to_string())),
            (Refused::TimeIsUp.into(), Unknown(Refused::TimeIsUp.to_string())),
        ] {
            assert_eq!(of_eviction(error.clone()), expected, "{error:?}");
        }
    }

    #[test]
    fn each_refusal_of_a_write_says_whether_to_try_again() {
        use WriteAnswer::*;
        let said = || "said".to_owned();
        for (error, expected) in [
            (answer(404, &[], None), Gone),
            (answer(403, &[], None), Forbidden(said())),
            (answer(422, &[], None), Otherwise(said())),
            (answer(409, &[], None), Unknown(said())),
            (answer(429, &[], Some(1)), Unknown(said())),
            (answer(500, &[], None), Unknown(said())),
            (Refused::NotLeading.into(), Unknown(Refused::NotLeading.to_string())),
        ] {
            assert_eq!(of_write(error.clone()), expected, "{error:?}");
        }
        let unserved = ApiError::NotServed { resource: "/api".to_owned() };
        assert!(matches!(of_write(unserved.clone()), Otherwise(_)));
        assert!(matches!(of_eviction(unserved), EvictionAnswer::Invalid(_)));
    }
}
