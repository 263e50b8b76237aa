//! Lines for the people who run the policy; the host keeps them with the decision. Use `format_args!` for
//! a line with values in it. Outside the sandbox, in a unit test, lines go to standard error.

use core::fmt::Display;

pub use crate::bindings::imports::plimsoll::policy::log::Level;

/// Only of interest while writing the policy.
pub fn debug(line: impl Display) {
    write(Level::Debug, &line);
}

/// Worth reading when somebody asks why.
pub fn info(line: impl Display) {
    write(Level::Info, &line);
}

/// Somebody should look at this.
pub fn warn(line: impl Display) {
    write(Level::Warn, &line);
}

/// The policy could not do what it was asked.
pub fn error(line: impl Display) {
    write(Level::Error, &line);
}

#[cfg(target_arch = "wasm32")]
fn write(level: Level, line: &dyn Display) {
    crate::bindings::imports::plimsoll::policy::log::log(level, &line.to_string());
}

#[cfg(not(target_arch = "wasm32"))]
fn write(level: Level, line: &dyn Display) {
    eprintln!("{level:?}: {line}");
}
