//! Starts programs on the target, inside the run's shield (capability `exec`).

use crate::__bindings::host::exec::{self as bindings, Variable};
use crate::{Error, Result, seam};
use std::borrow::Cow;
use std::time::Duration;

pub use bindings::Ending;

/// A program to start. There is no shell between: a shell is a program like another, and its script an argument.
///
/// ```no_run
/// # use foil_sdk::prelude::*;
/// # fn f() -> Result<()> {
/// let kernel = Command::new("/bin/uname").arg("-r").run()?.ok()?.text();
/// # Ok(()) }
/// ```
///
/// Name programs by the path that every system has: what was in `/bin` before `/usr` was merged is found there everywhere.
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `run`"]
pub struct Command {
    inner: bindings::Command,
}

impl Command {
    /// A program by its absolute path.
    pub fn new(program: impl Into<String>) -> Self {
        Self {
            inner: bindings::Command {
                program: program.into(),
                args: Vec::new(),
                env: Vec::new(),
                stdin: Vec::new(),
                cwd: None,
                timeout_ms: None,
            },
        }
    }

    /// One more argument; at most 1,024 of them, 128 KiB together.
    pub fn arg(mut self, argument: impl Into<String>) -> Self {
        self.inner.args.push(argument.into());
        self
    }

    /// More arguments.
    pub fn args<I: IntoIterator>(mut self, arguments: I) -> Self
    where
        I::Item: AsRef<str>,
    {
        self.inner.args.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Adds a variable to the clean environment; its name must be in the manifest's `env`.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.inner.env.push(Variable { name: name.into(), value: value.into() });
        self
    }

    /// What is fed to standard input, at most 1 MiB; nothing by default.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.inner.stdin = bytes.into();
        self
    }

    /// The working directory; the run's scratch folder by default.
    pub fn cwd(mut self, directory: impl Into<String>) -> Self {
        self.inner.cwd = Some(directory.into());
        self
    }

    /// Kills it and all its descendants after this long, in whole milliseconds; by default what the phase has left.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.inner.timeout_ms = Some(u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// Starts it and waits for it.
    ///
    /// # Errors
    /// `denied`: no rule allows this program with these arguments. `not-found`: no such program. `timeout`: it was killed.
    /// `limit`: children or output of this phase are spent. `other(shield)`: the shield could not be set up. How the
    /// program itself ended is in the [`Output`].
    pub fn run(self) -> Result<Output> {
        let program = self.inner.program.clone();
        let output = seam::exec(&self.inner)?;
        Ok(Output {
            program,
            ending: output.ending,
            stdout: output.stdout,
            stderr: output.stderr,
            stdout_dropped: output.stdout_dropped,
            stderr_dropped: output.stderr_dropped,
            pid: output.pid,
            duration: Duration::from_micros(output.duration_us),
        })
    }

    /// Like [`run`](Self::run); `None` where there is no such program, so that another can be tried.
    ///
    /// # Errors
    /// Those of [`run`](Self::run) but `not-found`.
    pub fn run_if_present(self) -> Result<Option<Output>> {
        match self.run() {
            Ok(output) => Ok(Some(output)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// What a child said and did.
#[derive(Debug, Clone)]
pub struct Output {
    /// The program.
    pub program: String,
    /// How it ended.
    pub ending: Ending,
    /// What it wrote to standard output, cut at the output limit (1 MiB by default).
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, cut likewise.
    pub stderr: Vec<u8>,
    /// How many bytes of standard output were cut.
    pub stdout_dropped: u64,
    /// How many bytes of standard error were cut.
    pub stderr_dropped: u64,
    /// Its process id as the target's sensors see it.
    pub pid: u32,
    /// From start to end.
    pub duration: Duration,
}

impl Output {
    /// Whether it exited with status 0.
    pub fn success(&self) -> bool {
        matches!(self.ending, Ending::Exited(0))
    }

    /// Its exit status; `None` where a signal killed it.
    pub fn status(&self) -> Option<u8> {
        match self.ending {
            Ending::Exited(status) => Some(status),
            Ending::Signalled(_) => None,
        }
    }

    /// Standard output as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Itself where it exited with status 0.
    ///
    /// # Errors
    /// `other(exit-status)` or `other(signal)`, with the first line of standard error.
    pub fn ok(self) -> Result<Self> {
        let (code, how, number) = match self.ending {
            Ending::Exited(0) => return Ok(self),
            Ending::Exited(status) => ("exit-status", " ended with status ", status),
            Ending::Signalled(signal) => ("signal", " was killed by signal ", signal),
        };
        let mut message = [&self.program, how, &number.to_string()].concat();
        let stderr: Cow<'_, str> = String::from_utf8_lossy(&self.stderr);
        if let Some(line) = stderr.lines().find(|line| !line.trim().is_empty()) {
            message.push_str(": ");
            message.push_str(line.trim());
        }
        Err(Error::other(code, message))
    }
}
