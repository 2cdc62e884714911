//! Programs in containers.

use super::Target;
use crate::__bindings::host::kube_exec as bindings;
use crate::{Error, Result, seam};
use std::time::Duration;

/// A program to start in a container of a pod of this run's. There is no shell between.
#[derive(Debug, Clone)]
#[must_use = "nothing is started before `run`"]
pub struct Command {
    inner: bindings::Command,
}

impl Command {
    /// A program by its absolute path in the container.
    pub fn new(pod: &Target, program: impl Into<String>) -> Self {
        Self {
            inner: bindings::Command {
                namespace: pod.namespace.clone().unwrap_or_default(),
                pod: pod.name.clone(),
                container: None,
                program: program.into(),
                args: Vec::new(),
                tty: false,
                timeout_ms: None,
                discard_output: false,
            },
        }
    }

    /// More arguments.
    pub fn args<I: IntoIterator>(mut self, arguments: I) -> Self
    where
        I::Item: AsRef<str>,
    {
        self.inner.args.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// The container; the pod's first by default.
    pub fn container(mut self, name: impl Into<String>) -> Self {
        self.inner.container = Some(name.into());
        self
    }

    /// With a terminal, as a person's shell has: what it prints to standard error then comes with the rest.
    pub fn tty(mut self) -> Self {
        self.inner.tty = true;
        self
    }

    /// Waits no longer than this, in whole milliseconds; by default what the phase has left.
    pub fn timeout(mut self, after: Duration) -> Self {
        self.inner.timeout_ms = Some(u32::try_from(after.as_millis()).unwrap_or(u32::MAX));
        self
    }

    /// What it prints is a secret: the host counts it and throws it away.
    pub fn discard_output(mut self) -> Self {
        self.inner.discard_output = true;
        self
    }

    /// Starts it and waits for it.
    ///
    /// # Errors
    /// `not-found`: no such pod or container. `other(not-executable)`: the container has no such program. `other(not-ours)`: a pod
    /// that is neither this run's nor named by the environment. `timeout`: what was started dies with the pod.
    pub fn run(self) -> Result<Output> {
        let program = self.inner.program.clone();
        let output = seam::kube_exec(&self.inner)?;
        Ok(Output {
            program,
            status: output.status,
            stdout: output.stdout,
            stderr: output.stderr,
            stdout_dropped: output.stdout_dropped,
            stderr_dropped: output.stderr_dropped,
        })
    }
}

/// What a program in a container said and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The program.
    pub program: String,
    /// Its exit status.
    pub status: i32,
    /// What it wrote to standard output, cut at the output limit (1 MiB by default).
    pub stdout: Vec<u8>,
    /// What it wrote to standard error, cut likewise.
    pub stderr: Vec<u8>,
    /// How many bytes of standard output were cut or thrown away.
    pub stdout_dropped: u64,
    /// How many bytes of standard error were cut or thrown away.
    pub stderr_dropped: u64,
}

impl Output {
    /// Standard output as text; bytes that are no UTF-8 are replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Itself where it ended with status 0.
    ///
    /// # Errors
    /// `other(exit-status)`, with the first line of standard error.
    pub fn ok(self) -> Result<Self> {
        if self.status == 0 {
            return Ok(self);
        }
        let stderr = String::from_utf8_lossy(&self.stderr);
        let line = stderr.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let message = [&self.program, " ended with status ", &self.status.to_string(), ": ", line.trim()].concat();
        Err(Error::other("exit-status", message))
    }
}

/// The last `lines` (1 to 10,000) lines that a container of a pod of this run's wrote.
pub fn logs(pod: &Target, container: Option<&str>, lines: u32) -> Result<Vec<u8>> {
    Ok(seam::kube_logs(pod.namespace.as_deref().unwrap_or_default(), &pod.name, container, lines)?)
}
