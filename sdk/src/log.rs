//! Lines for whoever debugs the module. Nothing in the report depends on them.
//!
//! A line is cut at 4 KiB. When the phase's lines are spent (1,000 by default) further ones are lost without an error: a
//! technique must not fail because it talked too much.

use crate::__bindings::host::log::Level;
use crate::seam;

/// What only the author wants to know.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message.as_ref());
}

/// What happened.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message.as_ref());
}

/// What is odd.
pub fn warning(message: impl AsRef<str>) {
    write(Level::Warning, message.as_ref());
}

/// What went wrong.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message.as_ref());
}

fn write(level: Level, message: &str) {
    // The limit is the only refusal there is; see above.
    let _ = seam::log(level, message);
}
