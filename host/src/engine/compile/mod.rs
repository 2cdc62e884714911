//! Compiles modules from outside in a process of its own.
//!
//! Whoever writes a module chooses how much memory and time the compiler takes for it: 480 KB are enough for gigabytes. A
//! thread cannot be stopped and shares the host's memory; a process can be killed, and the kernel holds it to its limit.
//! Built-in modules come with the binary and are compiled in place.

mod helper;

pub use helper::maybe_serve;

use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// The argument that makes `foil` the helper.
const ARGUMENT: &str = "__compile";

/// Memory of the helper in bytes (1 GiB). A component of 12 MB that brings a JavaScript interpreter along stays well below it.
const MEMORY: u64 = 1 << 30;

/// The most native code that is taken, in bytes: some ten times the largest module.
const MAX_CODE: u64 = 256 << 20;

/// The most that is read of what the helper says about a module that does not compile, in bytes.
const MAX_REASON: u64 = 4 << 10;

/// Exit code of the helper for a module that does not compile; the reason is on standard error.
const DOES_NOT_COMPILE: u8 = 3;

/// How modules from outside are compiled.
#[derive(Debug, Clone)]
pub enum Compiler {
    /// In this process: for benchmarks and tests, whose program is not `foil`.
    Here,
    /// By starting this program, which is `foil`, as the helper.
    Helper(PathBuf),
}

impl Compiler {
    /// The running program as its own helper, whatever lies at its path by now.
    pub fn this_program() -> Self {
        Self::Helper(PathBuf::from("/proc/self/exe"))
    }
}

/// Compiles a module in the helper and returns its native code, which is trusted as this program's own.
///
/// # Errors
/// A sentence where the module does not compile, or takes more than `within` or more than 1 GiB of memory.
pub(super) async fn by_helper(program: &Path, module: &[u8], within: Duration) -> anyhow::Result<Vec<u8>> {
    let mut command = tokio::process::Command::new(program);
    command.arg(ARGUMENT).env_clear().kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().context("the process that compiles modules cannot be started")?;
    let (Some(mut stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        bail!("the process that compiles modules has no pipes");
    };
    let (mut code, mut reason) = (Vec::new(), Vec::new());
    let all = async {
        let feed = async {
            // A helper that has given up reads no further; its status says why.
            let _ = stdin.write_all(module).await;
            drop(stdin);
        };
        let (mut stdout, mut stderr) = (stdout.take(MAX_CODE), stderr.take(MAX_REASON));
        let ((), code, reason) = tokio::join!(feed, stdout.read_to_end(&mut code), stderr.read_to_end(&mut reason));
        code.and(reason).context("the process that compiles modules cannot be read")?;
        child.wait().await.context("the process that compiles modules cannot be waited for")
    };
    let Ok(ended) = tokio::time::timeout(within, all).await else {
        bail!("stopped: the module was not compiled within {within:?}; it is made to be costly");
    };
    let ended = ended?;
    if ended.success() {
        return Ok(code);
    }
    if ended.code() == Some(i32::from(DOES_NOT_COMPILE)) {
        bail!("the module does not compile: {}", foil_text::cut(&String::from_utf8_lossy(&reason), 1024));
    }
    let memory = MEMORY >> 20;
    bail!("stopped: compiling the module took more than {memory} MiB or broke off ({ended}); it is made to be costly")
}
