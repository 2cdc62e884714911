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
//! [`trust`] tells whether anybody else controls what a path leads to; [`temporary`] finds the folder for scratch folders,
//! [`state`] the one for the journal.
//!
//! ```
//! let passwd = std::path::Path::new("/etc/passwd");
//! let folder = foil_safe_path::open_root(std::path::Path::new("/"))?;
//! let seen = foil_safe_path::fingerprint_in(std::os::fd::AsFd::as_fd(&folder), passwd)?;
//! assert!(seen.is_some_and(|seen| seen.kind == "file"));
//! # Ok::<(), foil_safe_path::PathError>(())
//! ```
//!
//! All calls here block (a few system calls; reading for [`fingerprint()`] up to [`CONTENT_LIMIT`] bytes).

// Whoever else uses these folders is hostile: nothing that is found in them may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

mod error;
mod fingerprint;
pub mod flags;
mod look;
mod open;
pub mod state;
pub mod temporary;
pub mod trust;
mod walk;
pub mod xattr;

pub use error::PathError;
pub use fingerprint::Fingerprint;
pub use look::{Look, fingerprint, fingerprint_in, fingerprint_of, identity, look, metadata_matches, read_bounded};
pub use open::{entry, fd_path, open_regular, open_regular_in, real_path, reopen};
pub use walk::{open_parent, open_parent_in, open_root, split};

/// Most bytes of a file that are read to know what it is: 64 MiB. It bounds the memory that a pre-image takes and the
/// time that a hash takes; a larger file is refused as a limit, never silently cut.
pub const CONTENT_LIMIT: u64 = 64 << 20;
