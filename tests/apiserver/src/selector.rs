//! Label and field selectors: read from a query or an object, and matched against objects.

mod field;
mod label;

pub use field::{FieldSelector, field_paths};
pub use label::LabelSelector;
