//! Write Plimsoll policies in Rust.
//!
//! A policy is a type with one of the traits [`ScaleUp`], [`Drain`] or [`CsrApproval`], and a line that
//! exports it. It is a pure function: no clock, no network, no files; the same request gives the same answer.
//!
//! ```
//! use plimsoll_sdk::scale_up::{Request, ScaleUp, Verdict};
//!
//! #[derive(Default, serde::Deserialize)]
//! #[serde(default, deny_unknown_fields, rename_all = "camelCase")]
//! pub struct Settings {
//!     /// The zone that everything goes to.
//!     zone: String,
//! }
//!
//! pub struct OneZone;
//!
//! impl ScaleUp for OneZone {
//!     type Settings = Settings;
//!
//!     fn choose(settings: &Settings, request: &Request) -> Verdict {
//!         let in_zone = request.options.iter().filter(|option| option.zone == settings.zone);
//!         match in_zone.min_by_key(|option| option.total_price().unwrap_or(u64::MAX)) {
//!             Some(option) => option.launch(format!("the cheapest in {}", option.zone)).into(),
//!             None => Verdict::Pass,
//!         }
//!     }
//! }
//!
//! plimsoll_sdk::export_scale_up!(OneZone);
//! # fn main() {}
//! ```
//!
//! The crate is a `cdylib`, for the policy, and an `rlib`, for its tests. `cargo build --release --target
//! wasm32-unknown-unknown` leaves a module that Plimsoll loads as it is.
//!
//! Prices, CPU and memory are integers in the unit that the field's documentation names; what may be
//! absent is an `Option`, and absent is never zero. What is too bulky for the request, such as labels, is in
//! [`cluster`].
//!
//! A decision runs in a fresh instance with an allocator that gives back nothing but its last block. That is
//! the fastest way to serve one decision; it also means that a policy should not build large things in a loop.

#[doc(hidden)]
pub mod allocator;
#[doc(hidden)]
pub mod bindings;
pub mod cluster;
pub mod csr_approval;
pub mod drain;
mod export;
pub mod log;
mod money;
pub mod scale_up;
pub mod settings;

pub use bindings::imports::plimsoll::policy::types::{Context, Lifecycle};
pub use csr_approval::CsrApproval;
pub use drain::Drain;
pub use money::Usd;
pub use scale_up::ScaleUp;
pub use settings::NoSettings;

/// The epoch, seed 0 and no settings: a start for unit tests.
impl Default for Context {
    fn default() -> Self {
        Context { now_ms: 0, seed: 0, settings: "{}".into() }
    }
}

impl core::fmt::Display for Lifecycle {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Lifecycle::OnDemand => "on-demand",
            Lifecycle::Spot => "spot",
        })
    }
}
