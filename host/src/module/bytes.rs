//! A module's bytes, shared.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// Bytes that are part of this binary, or were read from a file. Cloning copies none.
#[derive(Clone)]
pub enum Bytes {
    /// In this binary.
    Static(&'static [u8]),
    /// Read from a file.
    Shared(Arc<[u8]>),
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Static(bytes) => bytes,
            Self::Shared(bytes) => bytes,
        }
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bytes({})", self.len())
    }
}
