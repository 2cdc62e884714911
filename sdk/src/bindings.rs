//! What `wit-bindgen` makes of `wit/`. Nobody but this crate and its macros names anything in here.
//!
//! Three calls, one set of types: `host` holds all imports and the types; `technique` and `check` hold one export each and
//! borrow everything else. Linking all imports into every guest costs nothing, since `wit-component` drops each function
//! that the guest does not call; the *exports* are described in the section that the export macro writes into the
//! author's crate, so a technique never claims to be a check.

/// All imports, and the types that they use.
pub mod host {
    wit_bindgen::generate!({
        path: "../wit",
        inline: "
            package foil:sdk;
            world host {
                import foil:host/types@0.1.0;
                import foil:host/log@0.1.0;
                import foil:host/clock@0.1.0;
                import foil:host/exec@0.1.0;
                import foil:host/files-read@0.1.0;
                import foil:host/files-write@0.1.0;
                import foil:host/events-read@0.1.0;
                import foil:host/loopback-serve@0.1.0;
                import foil:host/kube-types@0.1.0;
                import foil:host/kube-read@0.1.0;
                import foil:host/kube-write@0.1.0;
                import foil:host/kube-exec@0.1.0;
            }
        ",
        world: "foil:sdk/host",
        generate_all,
        // Tests compare.
        additional_derives: [PartialEq],
    });
    pub use foil::host::*;
}

/// The export of a technique.
pub mod technique {
    wit_bindgen::generate!({
        path: "../wit",
        world: "foil:host/technique",
        with: {
            "foil:host/types@0.1.0": super::host::types,
            "foil:host/log@0.1.0": super::host::log,
            "foil:host/clock@0.1.0": super::host::clock,
            "foil:host/exec@0.1.0": super::host::exec,
            "foil:host/files-read@0.1.0": super::host::files_read,
            "foil:host/files-write@0.1.0": super::host::files_write,
            "foil:host/loopback-serve@0.1.0": super::host::loopback_serve,
            "foil:host/kube-types@0.1.0": super::host::kube_types,
            "foil:host/kube-read@0.1.0": super::host::kube_read,
            "foil:host/kube-write@0.1.0": super::host::kube_write,
            "foil:host/kube-exec@0.1.0": super::host::kube_exec,
        },
        pub_export_macro: true,
        export_macro_name: "export_technique",
        default_bindings_module: "foil_sdk::__bindings::technique",
        // A module has no static constructors to run.
        disable_run_ctors_once_workaround: true,
    });
}

/// The export of a check.
pub mod check {
    wit_bindgen::generate!({
        path: "../wit",
        world: "foil:host/check",
        with: {
            "foil:host/types@0.1.0": super::host::types,
            "foil:host/log@0.1.0": super::host::log,
            "foil:host/clock@0.1.0": super::host::clock,
            "foil:host/events-read@0.1.0": super::host::events_read,
            "foil:host/files-read@0.1.0": super::host::files_read,
            "foil:host/kube-types@0.1.0": super::host::kube_types,
            "foil:host/kube-read@0.1.0": super::host::kube_read,
        },
        pub_export_macro: true,
        export_macro_name: "export_check",
        default_bindings_module: "foil_sdk::__bindings::check",
        // As above.
        disable_run_ctors_once_workaround: true,
    });
}
