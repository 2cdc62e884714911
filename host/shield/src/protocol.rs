//! The messages between the host, the launcher and a run's init.

use super::api::{Bound, RunSpec};
use super::file_op::{FileFailure, FileOp};
use super::scene::Scene;
use foil_safe_path::Fingerprint;
use serde::{Deserialize, Serialize};

/// Host to launcher, with the init's two socket ends: its orders, and the births of its children.
#[derive(Debug, Serialize, Deserialize)]
pub struct OpenRun {
    /// The run.
    pub spec: RunSpec,
}

/// Launcher to init, once: begin.
#[derive(Debug, Serialize, Deserialize)]
pub struct Go {
    /// What the launcher could not set up.
    pub gaps: Vec<String>,
}

/// Launcher to init, once, when the namespaces stand. Apart from [`Go`], since moving a process into a cgroup takes the kernel
/// ten milliseconds and more, in which init sets the rest up.
#[derive(Debug, Serialize, Deserialize)]
pub struct Admitted {
    /// A cgroup holds the run to its number of processes; init need not count.
    pub processes_held: bool,
}

/// Init to launcher, once: whether the namespaces could be set up.
pub type NamespacesReady = Result<(), String>;

/// Host to init.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// Start a program. Beside it: the write ends of standard output and error, then standard input where `stdin`.
    Exec(ExecOrder),
    /// A file effect; the content (emptied in `op`) is in a memory file beside it.
    File {
        /// Which call this is.
        id: u64,
        /// The effect.
        op: FileOp,
    },
    /// Serve the bytes of the memory file beside it.
    Publish {
        /// Which call this is.
        id: u64,
        /// The path of the URL.
        path: String,
    },
    /// Look at what children have made of the overlay.
    Look {
        /// Which call this is.
        id: u64,
    },
    /// Kill everything now; nobody waits for an answer. A program that was waited for ends as killed.
    KillAll {
        /// Whoever dies of it counts at the end of the phase, which is about to be ordered.
        ending: bool,
    },
    /// Kill everything and say how many there were.
    EndPhase {
        /// Which call this is.
        id: u64,
    },
    /// Kill everything and end.
    Close,
}

/// A program to start.
#[derive(Debug, Serialize, Deserialize)]
pub struct ExecOrder {
    /// Which call this is.
    pub id: u64,
    /// Absolute path.
    pub program: String,
    /// After the program's name.
    pub args: Vec<String>,
    /// The whole environment, `NAME=value`.
    pub env: Vec<String>,
    /// Working directory.
    pub cwd: String,
    /// Milliseconds until everything is killed.
    pub timeout_ms: Option<u64>,
    /// Standard input comes with it; otherwise it is empty.
    pub stdin: bool,
}

/// Init to host.
#[derive(Debug, Serialize, Deserialize)]
pub enum Reply {
    /// The shield stands.
    Ready {
        /// What of it could not be had, in sentences.
        gaps: Vec<String>,
        /// What each write grant is bound to. Only `confined` binds them.
        writes: Vec<(String, Bound)>,
    },
    /// It does not.
    Unavailable(String),
    /// The program ended.
    Ended {
        /// Which call this answers.
        id: u64,
        /// How.
        how: Ended,
        /// Nanoseconds since 1970 at which it was started.
        started: u64,
        /// Nanoseconds that it ran.
        took: u64,
    },
    /// The program did not start.
    NotStarted {
        /// Which call this answers.
        id: u64,
        /// The system's word.
        reason: String,
        /// There is no such program.
        missing: bool,
        /// The shield refused what the system would have allowed.
        shield: bool,
    },
    /// The program did not start, because a granted path leads elsewhere now.
    GrantChanged {
        /// Which call this answers.
        id: u64,
        /// The path.
        path: String,
        /// What is wrong with it, as a clause.
        why: String,
    },
    /// The file effect.
    File {
        /// Which call this answers.
        id: u64,
        /// What is there now, or why nothing changed.
        result: Result<Option<Fingerprint>, FileFailure>,
    },
    /// The port on which it is served, or why not.
    Published {
        /// Which call this answers.
        id: u64,
        /// Port.
        result: Result<u16, String>,
    },
    /// What there is, or why it cannot be told.
    Looked {
        /// Which call this answers.
        id: u64,
        /// The scene.
        result: Result<Scene, String>,
    },
    /// Everything is dead.
    PhaseEnded {
        /// Which call this answers.
        id: u64,
        /// How many processes were alive.
        killed: u32,
        /// Who could not be killed (another user's; only where there is no pid namespace).
        left: Vec<i32>,
    },
}

impl Reply {
    /// Which call this answers; `None` for the greeting.
    pub fn id(&self) -> Option<u64> {
        match self {
            Self::Ready { .. } | Self::Unavailable(_) => None,
            Self::Ended { id, .. }
            | Self::NotStarted { id, .. }
            | Self::GrantChanged { id, .. }
            | Self::File { id, .. }
            | Self::Published { id, .. }
            | Self::Looked { id, .. }
            | Self::PhaseEnded { id, .. } => Some(*id),
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ended {
    /// Exit status.
    Exited(u8),
    /// Signal.
    Signalled(u8),
    /// Killed at its time-out.
    TimedOut,
    /// Killed because the run had more than this many processes.
    TooMany(u64),
}
