//! Modules that mean harm, and the stage on which they are fired: the real `foil`, a state folder of its own, and a look
//! afterwards at what is left.
//!
//! They are written in WebAssembly text, below anything that a language's bindings would let through: a length that is a
//! lie, a pointer to nowhere, an `enum` with a value that it does not have.

mod command;
mod guest;
mod stage;

pub use command::Command;
pub use guest::{Guest, RESULT};
pub use stage::{Ended, Stage, limited};
