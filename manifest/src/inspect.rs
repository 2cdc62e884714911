//! All that is known of a module without running or compiling it.

use crate::digest::Digest;
use crate::imports::Imports;
use crate::manifest::Manifest;
use crate::refusal::Refusal;

/// What a module says and imports, checked by every rule that needs no grant.
#[derive(Debug, Clone, PartialEq)]
pub struct Inspection {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its imports and exports.
    pub imports: Imports,
    /// The SHA-256 of its bytes.
    pub digest: Digest,
}

/// Inspects a module's bytes.
pub fn inspect(bytes: &[u8]) -> Result<Inspection, Refusal> {
    let manifest = crate::section::read(bytes)?;
    let imports = Imports::read(bytes)?;
    imports.judge(&manifest)?;
    Ok(Inspection { manifest, imports, digest: Digest::of(bytes) })
}
