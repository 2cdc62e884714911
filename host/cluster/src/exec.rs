//! Programs in containers, and what containers wrote.

#[cfg(not(feature = "kubernetes"))]
pub use super::access::run;
#[cfg(feature = "kubernetes")]
pub use super::attach::run;

use super::session::url_query;
use super::{Address, KubeError, Session};
use std::time::Duration;

/// What to start.
#[derive(Debug)]
pub struct Exec {
    /// The pod.
    pub pod: Address,
    /// Its container.
    pub container: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// It has a terminal.
    pub tty: bool,
    /// How long is waited for it.
    pub timeout: Duration,
    /// Bytes of each stream that are kept.
    pub keep: usize,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status; `None`: it was not waited for to the end.
    pub status: Option<i32>,
    /// What the server said where it was not started.
    pub failure: Option<String>,
    /// Standard output.
    pub stdout: Kept,
    /// Standard error.
    pub stderr: Kept,
}

impl Ended {
    /// Nobody waited for its end.
    pub fn unseen() -> Self {
        Self { status: None, failure: None, stdout: Kept::default(), stderr: Kept::default() }
    }
}

/// The beginning of a stream.
#[derive(Debug, Default)]
pub struct Kept {
    /// What was kept.
    pub bytes: Vec<u8>,
    /// How many more there were.
    pub dropped: u64,
}

/// The last lines of a container's log.
///
/// # Errors
/// Those of a look.
pub async fn logs(session: &Session, pod: &Address, container: &str, lines: u32) -> Result<Vec<u8>, KubeError> {
    let query = url_query([("container", container), ("limitBytes", "1048576")]);
    session.raw(&format!("{}/log?{query}tailLines={lines}", pod.path())).await
}
