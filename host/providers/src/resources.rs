//! Amounts by the names of the API.

use plimsoll_model::{Quantity, Resources};

/// Resources from quantities by name.
pub(crate) fn resources<N: AsRef<str>>(all: impl IntoIterator<Item = (N, Quantity)>) -> Resources {
    let mut resources = Resources::default();
    for (name, quantity) in all {
        match name.as_ref() {
            "cpu" => resources.cpu = quantity.cpu(),
            "memory" => resources.memory = quantity.bytes(),
            "ephemeral-storage" => resources.ephemeral_storage = quantity.bytes(),
            "pods" => resources.pods = quantity.units(),
            other => resources.set_extended(other.into(), quantity.units()),
        }
    }
    resources
}
