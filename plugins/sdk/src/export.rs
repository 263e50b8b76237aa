//! The macros that make a crate a policy. They expand to nothing outside WebAssembly: there a policy is an
//! ordinary library, for `cargo test`.

/// Exports a [`ScaleUp`](crate::ScaleUp) as the policy of this crate. A crate exports one policy.
#[macro_export]
macro_rules! export_scale_up {
    ($policy:ty) => {
        $crate::__export_policy!($policy, scale_up, __export_scale_up);
    };
}

/// Exports a [`Drain`](crate::Drain) as the policy of this crate. A crate exports one policy.
#[macro_export]
macro_rules! export_drain {
    ($policy:ty) => {
        $crate::__export_policy!($policy, drain, __export_drain);
    };
}

/// Exports a [`CsrApproval`](crate::CsrApproval) as the policy of this crate. A crate exports one policy.
#[macro_export]
macro_rules! export_csr_approval {
    ($policy:ty) => {
        $crate::__export_policy!($policy, csr_approval, __export_csr_approval);
    };
}

/// The allocator and the exports of one policy. The names of the exports hold characters that an ELF
/// linker refuses, hence the condition.
#[doc(hidden)]
#[macro_export]
macro_rules! __export_policy {
    ($policy:ty, $point:ident, $export:ident) => {
        #[cfg(target_arch = "wasm32")]
        const _: () = {
            #[global_allocator]
            static ALLOCATOR: $crate::allocator::Bump = $crate::allocator::Bump::after_linked_data();

            type Exported = $crate::$point::Exported<$policy>;
    $crate::bindings::$point::$export!(Exported with_types_in $crate::bindings::$point);
    $crate::bindings::settings::__export_settings!(Exported with_types_in $crate::bindings::settings);
        };
    };
}
