//! A module as a reviewer sees it.

use foil_manifest::{Digest, Manifest};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of a module without running it: all that a grant can be pinned to, and all that a review shows.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    /// What it says of itself and asks for.
    pub manifest: &'a Manifest,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
    /// The hash of what a reviewer judged ([`Manifest::judged`]).
    pub judged: Digest,
    /// It came with this binary, which vouches for its bytes.
    pub builtin: bool,
    /// It is a script, run by an interpreter of this binary: `digest` is the script's, `judged` the interpreter's.
    pub script: bool,
    /// What it imports: functions by interface.
    pub imports: &'a BTreeMap<String, BTreeSet<String>>,
}
