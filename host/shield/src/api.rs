//! What the rest of the host sees of the shield. Calls are asynchronous and cheap; the work happens in the launcher and
//! in each run's init.

use foil_manifest::{Network, ShieldLevel};
use foil_text::RunId;
use std::path::PathBuf;
use std::time::Duration;

/// Who children run as.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Login name, for `USER` and `LOGNAME`.
    pub name: String,
    /// Home folder, for `HOME`.
    pub home: PathBuf,
}

/// Limits on children. In `open` only `output` holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct ChildLimits {
    /// Processes alive at once, init's own helpers (a file effect, the web server) included. Beyond it a fork fails, or,
    /// where only init counts, everything is killed and the call ends with [`ShieldError::Limit`].
    pub processes: u64,
    /// Address space of each, in bytes.
    pub memory: u64,
    /// Size of a file that a child may write, in bytes.
    pub file_size: u64,
    /// Bytes kept of each output stream.
    pub output: u64,
    /// Size of the overlay's upper layer, in bytes.
    pub overlay: u64,
}

/// What a granted path was bound to when the run began. In `confined` children reach that and nothing else by the grant,
/// wherever the path leads later.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Bound {
    /// This object, which the run's init holds.
    Object {
        /// Device.
        dev: u64,
        /// Inode.
        ino: u64,
    },
    /// Nothing was there.
    Absent,
    /// The user may not go there.
    Forbidden,
    /// Something was there that cannot be granted: a symbolic link, a file with other hard links. The clause says why.
    Refused(String),
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Object { .. } => write!(f, "it is bound"),
            Self::Absent => write!(f, "nothing is there (the shield grants what exists; grant its folder)"),
            Self::Forbidden => write!(f, "this user may not go there"),
            Self::Refused(why) => write!(f, "{why}"),
        }
    }
}

/// What a run's shield is to be.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
pub struct RunSpec {
    /// The run.
    pub run: RunId,
    /// The level. Never silently another one.
    pub level: ShieldLevel,
    /// The network that children see. In `open` always the machine's.
    pub network: Network,
    /// Who children run as; `None`: whoever runs Foil.
    pub identity: Option<Identity>,
    /// Paths (with all below) that children may read and execute besides the base system.
    pub reads: Vec<String>,
    /// Paths (with all below) that children may change, besides the scratch folder.
    pub writes: Vec<String>,
    /// Set-id programs work (`no_new_privs` is off).
    pub privileges: bool,
    /// The run's scratch folder: exists, belongs to the identity.
    pub scratch: PathBuf,
    /// Limits.
    pub limits: ChildLimits,
}

/// Something to start.
#[derive(Debug, Clone, Default)]
pub struct ExecRequest {
    /// Absolute path.
    pub program: String,
    /// Arguments after the program's name.
    pub args: Vec<String>,
    /// Added to the clean environment.
    pub env: Vec<(String, String)>,
    /// Standard input.
    pub stdin: Vec<u8>,
    /// Working directory; scratch where `None`.
    pub cwd: Option<String>,
    /// Kill it and its descendants after this long.
    pub timeout: Option<Duration>,
}

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Exit status.
    Exited(u8),
    /// Killed by this signal.
    Signalled(u8),
    /// Killed by us at its time-out.
    TimedOut,
}

/// What came of an [`ExecRequest`].
#[derive(Debug, Clone)]
pub struct ExecOutcome {
    /// How it ended.
    pub ending: Ending,
    /// Standard output, cut.
    pub stdout: Vec<u8>,
    /// Standard error, cut.
    pub stderr: Vec<u8>,
    /// Bytes of standard output that were cut.
    pub stdout_dropped: u64,
    /// Bytes of standard error that were cut.
    pub stderr_dropped: u64,
    /// Process id in the namespace of whoever runs Foil.
    pub pid: u32,
    /// Nanoseconds since 1970 at which it was started.
    pub started: u64,
    /// How long it ran.
    pub duration: Duration,
}

/// Why the shield did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShieldError {
    /// This machine, or this user, cannot have that level: the run is inconclusive.
    #[error("the shield `{level}` cannot be had here: {reason}")]
    Unavailable {
        /// The level asked for.
        level: ShieldLevel,
        /// What failed and what would help.
        reason: String,
    },
    /// There is no such program, or it cannot be executed.
    #[error("{program} cannot be started: {reason}")]
    NotStarted {
        /// The program.
        program: String,
        /// The system's word; `missing` tells a program that is not there.
        reason: String,
        /// ENOENT.
        missing: bool,
        /// Our own shield refused what the system would have allowed: inconclusive, never `blocked`.
        shield: bool,
    },
    /// A granted path does not lead to what it led to when the run began.
    #[error(
        "the granted path {path} is not what it was when the run began: {why}. Programs act only on what was there then. \
         Find out who changes the path, and run again"
    )]
    GrantChanged {
        /// The path, as it was granted.
        path: String,
        /// What is wrong with it, as a clause.
        why: String,
    },
    /// A limit on children.
    #[error("{0}")]
    Limit(String),
    /// The request itself cannot be sent: too long, a NUL byte.
    #[error("{0}")]
    Invalid(String),
    /// What children left behind cannot be told.
    #[error("what was left behind cannot be told: {0}")]
    Unseen(String),
    /// The run's init or the launcher is gone.
    #[error("the run's shield is gone: {0}")]
    Lost(String),
}

/// A snapshot of what is known of a run's process tree, in the process ids of whoever runs Foil.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// The run's init, to which orphans fall.
    pub init: u32,
    /// Direct children that act for the technique: pid, and the moment from which they do, in nanoseconds since 1970. Until then
    /// Foil's own code runs in them.
    pub children: Vec<(u32, u64)>,
}

/// What a process that init forked is about to do. Everything that it does before it says [`Program`](Self::Program) or
/// [`Effect`](Self::Effect) is Foil's own doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BirthStage {
    /// Foil's own code: set-up before a program or an effect, a look at what is there, the run's web server.
    SetUp,
    /// It executes the program that it was started for: the last thing that Foil's code does in it.
    Program,
    /// It performs a file effect of the technique. It never executes anything.
    Effect,
}

/// What one of init's processes said of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Birth {
    /// The process, in the process ids of whoever runs Foil.
    pub pid: u32,
    /// When, in nanoseconds since 1970.
    pub at: u64,
    /// What it is about to do.
    pub stage: BirthStage,
}

/// Where the births of a run are read, while it lives.
pub trait BirthLog: std::fmt::Debug + Send + Sync {
    /// The births after the first `known`, in the order in which they were told.
    fn since(&self, known: usize) -> Vec<Birth>;
}

pub use super::client::{Launcher, ShieldedRun};
