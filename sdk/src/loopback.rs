//! A web server on the run's own loopback (capability `loopback-serve`), so that a download can be emulated without leaving the
//! machine.

use crate::{Result, seam};

/// Serves `body` (at most 1 MiB) at `path`, such as `/tool`, and returns the URL, such as `http://127.0.0.1:41233/tool`.
/// It answers children of this run only, and ends with the phase: publish in the phase that downloads.
///
/// # Errors
/// `other(shield)`: the run has no network namespace of its own.
pub fn publish(path: &str, body: impl AsRef<[u8]>) -> Result<String> {
    Ok(seam::publish(path, body.as_ref())?)
}
