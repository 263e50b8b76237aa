//! Which kubelet certificates are approved.
//!
//! ```text
//!   SigningRequest ──> PEM ──> DER ──> checks against the inventory ──> policy ──> verdict
//!                       │       │        │                                 │
//!                       │       │        ├─ forged identity: denied        └─ approval kept only if
//!                       └───────┴─ cannot be read: left,                      every check passed
//!                                  no policy asked
//! ```

mod check;
mod decode;
mod der;
mod forged;
mod inventory;
mod name;
mod pem;
mod plan;
mod question;
mod rules;
mod signature;
mod verify;

pub use check::{Check, Finding, Outcome};
pub use plan::{CsrDecision, CsrPlan, CsrPlanner, plan_csrs};
pub use question::{CsrQuestion, CsrVerdict, KubeletSigner, MachineFacts, Requester};
pub use rules::{Cidr, CsrRules, NamePattern};
