//! The host: loads modules, decides what they may do, does it for them, writes down how to undo it, and undoes it.
//!
//! Data flows one way: `cli -> campaign -> engine -> capability -> the world`, and back by `collector -> campaign`.
//! `policy` is asked by `capability` and knows nobody. `journal` is written by `capability` and read by recovery.

// What guests and servers say is hostile: nothing they send may end the host.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::todo,
        clippy::unimplemented
    )
)]

pub mod campaign;
pub mod capability;
pub mod cli;
pub mod console;
pub mod engine;
pub mod module;
