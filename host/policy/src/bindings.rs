//! What `bindgen!` makes of the contract. Requests borrow from the host's own data, answers are owned.

#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    reason = "generated code, documented in the contract"
)]

wasmtime::component::bindgen!({
    path: "../../wit",
    // One world for all points, so that the shared types are generated once. What a policy exports of it is
    // looked up interface by interface.
    inline: "
        package plimsoll:host;
        world policy {
            include plimsoll:policy/scale-up-policy@0.1.0;
            include plimsoll:policy/drain-policy@0.1.0;
            include plimsoll:policy/csr-approval-policy@0.1.0;
            include plimsoll:policy/with-settings@0.1.0;
        }
    ",
    world: "plimsoll:host/policy",
    imports: { default: trappable },
    ownership: Borrowing { duplicate_if_necessary: true },
});
