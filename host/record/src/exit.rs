//! How `foil` ends.

/// Exit codes: a published interface. Where several hold: 5, 4, 1, 3 in that order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// All as expected.
    Success = 0,
    /// A link of a detection chain is broken.
    Broken = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Something was inconclusive.
    Inconclusive = 3,
    /// Residue was left.
    Residue = 4,
    /// An internal error.
    Internal = 5,
}
