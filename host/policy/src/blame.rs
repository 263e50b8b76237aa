//! Why a call ended without an answer, as one of the few things that a policy can do wrong.

use std::fmt::Write;

use plimsoll_model::one_line;
use wasmtime::{Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

use crate::module::chain;
use crate::spec::Limits;
use crate::state::State;
use crate::{Failure, v0_1};

/// Guest functions named in a failure.
const NAMED: usize = 4;

/// Characters of such a name: it is the guest's own.
const LONGEST_NAME: usize = 120;

/// What wasmtime says when a guest hands over more than it may. The type of this error is private.
const TOO_MUCH_DATA: &str = "fuel allocated for hostcalls has been exhausted";

/// What the instance was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Coming into being.
    Start,
    /// Answering.
    Call,
}

/// What a policy did wrong, given the error that wasmtime made of it.
pub fn blame(error: &wasmtime::Error, phase: Phase, state: &State, limits: &Limits) -> Failure {
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) {
        return Failure::Deadline { limit: limits.timeout };
    }
    // Whoever is denied memory mostly gives up by a trap of its own.
    if state.budget.denied() {
        return Failure::Memory { limit: limits.memory };
    }
    let frames = frames(error);
    if error.root_cause().to_string().contains(TOO_MUCH_DATA) {
        let how = if frames.is_empty() { "it is" } else { "a text or list that it hands to the host is" };
        let limit = limits.answer;
        return Failure::Output(format!("{how} larger than {limit}; say less, or raise limits.answerKib"));
    }
    if let Some(I32Exit(code)) = error.downcast_ref::<I32Exit>() {
        return Failure::Trap(with_frames(format!("it ended itself with exit code {code}"), &frames));
    }
    if frames.is_empty() && phase == Phase::Call {
        // Not in the guest, but with what it returned: a pointer out of bounds, bad UTF-8, an unknown case.
        return Failure::Output(format!("it makes no sense: {}", chain(error.chain())));
    }
    if trap.is_none() && phase == Phase::Start && frames.is_empty() {
        return Failure::Load(chain(error.chain()));
    }
    let cause = match trap {
        Some(Trap::UnreachableCodeReached) => "it panicked or aborted".to_owned(),
        Some(Trap::StackOverflow) => "it used up its stack; recursion without end?".to_owned(),
        Some(trap) => trap.to_string().trim_start_matches("wasm trap: ").to_owned(),
        None => error.root_cause().to_string(),
    };
    let mut sentence = with_frames(cause, &frames);
    if let Some(words) = state.journal.last_words() {
        let _ = write!(sentence, "; its last words: {}", v0_1::reason(words));
    }
    Failure::Trap(sentence)
}

fn with_frames(mut sentence: String, frames: &[String]) -> String {
    if !frames.is_empty() {
        let _ = write!(sentence, ", in {}", frames.join(" < "));
    }
    sentence
}

/// The innermost guest functions, those of the panic machinery left out where others are known.
fn frames(error: &wasmtime::Error) -> Vec<String> {
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return Vec::new() };
    let all = backtrace.frames();
    let names: Vec<String> = all.iter().filter_map(|frame| frame.func_name().map(readable)).collect();
    if names.is_empty() {
        return all.iter().take(NAMED).map(|frame| format!("function {}", frame.func_index())).collect();
    }
    let telling: Vec<String> = names.iter().filter(|name| !machinery(name)).take(NAMED).cloned().collect();
    if telling.is_empty() { names.into_iter().take(NAMED).collect() } else { telling }
}

fn readable(name: &str) -> String {
    // Without the hash that makes Rust's symbols unique.
    one_line(&format!("{:#}", rustc_demangle::demangle(name)), LONGEST_NAME).into_owned()
}

fn machinery(name: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        "core::panicking",
        "core::option::",
        "core::result::",
        "std::panicking",
        "std::sys",
        "std::process",
        "rust_panic",
        "__rust",
        "abort",
    ];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn function_names_read_as_in_the_source() {
        let mangled = "_ZN5least5cover5Cover3new17h0123456789abcdefE";
        assert_eq!(readable(mangled), "least::cover::Cover::new");
        assert_eq!(readable("price_of"), "price_of");
        assert!(machinery(&readable("_ZN4core9panicking9panic_fmt17h0123456789abcdefE")));
        assert!(!machinery("least::cover::Cover::new"));
    }
}
