//! The time. There is no way to sleep: the host owns waiting.

use crate::{Result, seam};
use std::time::Duration;

/// Nanoseconds since 1970-01-01T00:00:00Z, by the target's clock.
pub fn now() -> Result<u64> {
    Ok(seam::now()?)
}

/// How long this phase has run, monotonic.
pub fn elapsed() -> Result<Duration> {
    Ok(Duration::from_nanos(seam::elapsed()?))
}
