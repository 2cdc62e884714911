//! Opening host paths that somebody hostile may change while we look.
//!
//! A path is only ever walked from a folder's descriptor, one component after the other, and **no symbolic link is
//! followed anywhere in it**: neither in its folders nor at its end. (`/proc/PID/root` as a *start* is fine: it is opened
//! once and the walk begins below it.) What is opened is first held by an `O_PATH` descriptor, which reads nothing, waits
//! for nothing and has no effect on devices; only when it is seen to be a regular file is it opened for real, through
//! that same descriptor, so nobody can swap it in between.
//!
//! A path must be absolute and plain: no `.`, no `..`, no empty part. `/bin/sh` is refused where `/bin` is a link to
//! `/usr/bin`: name the real path.
//!
//! All calls here block (a few system calls; reading for [`fingerprint`] up to [`CONTENT_LIMIT`] bytes).

mod error;
pub mod flags;
mod look;
mod open;
mod walk;
pub mod xattr;

pub use error::PathError;
pub use look::{Look, fingerprint, fingerprint_in, fingerprint_of, identity, look, metadata_matches, read_bounded};
pub use open::{entry, fd_path, open_regular, open_regular_in, real_path, reopen};
pub use walk::{open_parent, open_parent_in, open_root, split};

/// Most bytes of a file that are read to know what it is: 64 MiB. It bounds the memory that a pre-image takes and the
/// time that a hash takes; a larger file is refused as a limit, never silently cut.
pub const CONTENT_LIMIT: u64 = crate::policy::UNDOABLE_FILE;
