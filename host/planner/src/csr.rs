//! Which kubelet certificates are approved.
//!
//! ```text
//!   SigningRequest ──> decode ──> identity checks against the inventory ──> policy ──> verdict
//!                        │             (a failed one rules approval out)                 │
//!                        └── cannot be read: left, no policy asked        approval kept only without problems
//! ```

mod decode;
mod plan;
mod question;
mod verify;

pub use plan::{CsrDecision, CsrPlan, plan_csrs};
pub use question::{CsrQuestion, CsrVerdict, KubeletSigner, MachineFacts, Requester};
