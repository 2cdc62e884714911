//! Text that somebody else wrote (a guest, a server, a stranger's file), made fit to be shown: no control characters, no bidirectional
//! tricks, no megabytes. Also how names that a person typed are compared with those that are known, and the id of a run, which is safe wherever
//! it stands.
//!
//! ```
//! assert_eq!(foil_text::cut("a\u{1b}[2Jb", 80), "a\\u{1b}[2Jb");
//! assert_eq!(foil_text::quote("x\n"), "`x\\n`");
//! assert_eq!(foil_text::suggest::nearest("opnat", ["openat", "execve"]), Some("openat"));
//! ```
//!
//! Everything here but [`hint`], which knows the state folder of the command line, is pure. Whoever keeps a text for rules or programs to read keeps it as it is, and escapes it where it is shown.

// What is shown is hostile: nothing that it contains may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod bytes;
mod cut;
pub mod glob;
pub mod hint;
mod run_id;
pub mod suggest;
mod visible;

pub use bytes::{printable, quote};
pub use cut::{clip, cut};
pub use run_id::RunId;
pub use visible::{
    QUOTE, Shown, code_point, deceives, deceives_a_reviewer, first_deceiving, is_hidden, is_odd_space, one_line, place,
    push_visible, visible, visible_lines,
};
