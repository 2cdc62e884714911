//! Bindings generated from `wit/`. Imports are generated once, for a world that has them all, so that every interface
//! is linked by itself (`capability`); the two worlds add only their exports.

/// All imports.
pub mod imports {
    #![allow(missing_docs, reason = "generated; the WIT text documents each item")]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package foil:engine;
            world imports {
                import foil:host/types@0.1.0;
                import foil:host/log@0.1.0;
                import foil:host/clock@0.1.0;
                import foil:host/events-read@0.1.0;
                import foil:host/exec@0.1.0;
                import foil:host/files-read@0.1.0;
                import foil:host/files-write@0.1.0;
                import foil:host/loopback-serve@0.1.0;
                import foil:host/kube-types@0.1.0;
                import foil:host/kube-read@0.1.0;
                import foil:host/kube-write@0.1.0;
                import foil:host/kube-exec@0.1.0;
            }
        ",
        world: "foil:engine/imports",
        imports: { default: async | trappable },
    });
    pub use foil::host::*;
}

/// A technique's exports.
pub mod technique {
    #![allow(missing_docs, reason = "generated; the WIT text documents each item")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "foil:host/technique",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "foil:host": super::imports::foil::host },
    });
    pub use exports::foil::host::detonation::Evidence;
}

/// A check's exports.
pub mod check {
    #![allow(missing_docs, reason = "generated; the WIT text documents each item")]
    wasmtime::component::bindgen!({
        path: "../wit",
        world: "foil:host/check",
        imports: { default: async | trappable },
        exports: { default: async },
        with: { "foil:host": super::imports::foil::host },
    });
    pub use exports::foil::host::probing::{Basis, EventReference, Observation, Sighting};
}

pub use imports::types;
