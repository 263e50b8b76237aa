//! What `wit-bindgen` makes of the contract: one world for each extension point. What they share is generated
//! once, so that a `Context` is one type everywhere. Authors use the modules that re-export this.

#![allow(
    missing_docs,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::unwrap_used,
    reason = "generated code, documented in the contract"
)]

/// What every policy may import.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "plimsoll:policy/imports@0.1.0",
        additional_derives: [PartialEq],
        generate_unused_types: true,
    });
}

/// The check of settings at load.
pub mod settings {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "plimsoll:policy/with-settings@0.1.0",
        pub_export_macro: true,
        export_macro_name: "__export_settings",
        default_bindings_module: "plimsoll_sdk::bindings::settings",
    });
}

/// The world of a scale-up policy.
pub mod scale_up {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "plimsoll:policy/scale-up-policy@0.1.0",
        with: {
            "plimsoll:policy/types@0.1.0": crate::bindings::imports::plimsoll::policy::types,
            "plimsoll:policy/cluster@0.1.0": crate::bindings::imports::plimsoll::policy::cluster,
            "plimsoll:policy/log@0.1.0": crate::bindings::imports::plimsoll::policy::log,
        },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "__export_scale_up",
        default_bindings_module: "plimsoll_sdk::bindings::scale_up",
    });
}

/// The world of a drain policy.
pub mod drain {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "plimsoll:policy/drain-policy@0.1.0",
        with: {
            "plimsoll:policy/types@0.1.0": crate::bindings::imports::plimsoll::policy::types,
            "plimsoll:policy/cluster@0.1.0": crate::bindings::imports::plimsoll::policy::cluster,
            "plimsoll:policy/log@0.1.0": crate::bindings::imports::plimsoll::policy::log,
        },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "__export_drain",
        default_bindings_module: "plimsoll_sdk::bindings::drain",
    });
}

/// The world of a CSR approval policy.
pub mod csr_approval {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "plimsoll:policy/csr-approval-policy@0.1.0",
        with: {
            "plimsoll:policy/types@0.1.0": crate::bindings::imports::plimsoll::policy::types,
            "plimsoll:policy/cluster@0.1.0": crate::bindings::imports::plimsoll::policy::cluster,
            "plimsoll:policy/log@0.1.0": crate::bindings::imports::plimsoll::policy::log,
        },
        additional_derives: [PartialEq],
        pub_export_macro: true,
        export_macro_name: "__export_csr_approval",
        default_bindings_module: "plimsoll_sdk::bindings::csr_approval",
    });
}
