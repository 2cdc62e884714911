//! Capabilities and their scopes. One shape serves requests, grants and guardrails, so that the three can be compared.

use crate::kube::{KubeRule, KubeScope};
use crate::pattern::{CommandPattern, PathPattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One privilege: one host interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CapabilityName {
    /// `foil:host/exec`: starts programs.
    Exec,
    /// `foil:host/files-read`: reads files.
    FilesRead,
    /// `foil:host/files-write`: changes files.
    FilesWrite,
    /// `foil:host/events-read`: reads what collectors recorded.
    EventsRead,
    /// `foil:host/loopback-serve`: a web server on the run's own loopback.
    LoopbackServe,
    /// `foil:host/kube-read`: looks at a cluster's objects.
    KubeRead,
    /// `foil:host/kube-write`: changes a cluster's objects.
    KubeWrite,
    /// `foil:host/kube-exec`: starts programs in a cluster's pods.
    KubeExec,
}

impl CapabilityName {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 8] = [
        Self::Exec,
        Self::FilesRead,
        Self::FilesWrite,
        Self::EventsRead,
        Self::LoopbackServe,
        Self::KubeRead,
        Self::KubeWrite,
        Self::KubeExec,
    ];

    /// Those that are about a cluster.
    pub const KUBE: [Self; 3] = [Self::KubeRead, Self::KubeWrite, Self::KubeExec];

    /// The interface's name in `foil:host`.
    pub fn interface(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::FilesRead => "files-read",
            Self::FilesWrite => "files-write",
            Self::EventsRead => "events-read",
            Self::LoopbackServe => "loopback-serve",
            Self::KubeRead => "kube-read",
            Self::KubeWrite => "kube-write",
            Self::KubeExec => "kube-exec",
        }
    }

    /// Whether it does something, and not only looks.
    pub fn acts(self) -> bool {
        matches!(self, Self::Exec | Self::FilesWrite | Self::KubeWrite | Self::KubeExec)
    }

    /// Interfaces that are linked for every module because they grant nothing.
    pub const INERT: [&'static str; 4] = ["types", "log", "clock", "kube-types"];
}

impl fmt::Display for CapabilityName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.interface())
    }
}

/// The network that a child process sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// A network namespace of its own with only `lo` up.
    #[default]
    Loopback,
    /// The target's own network.
    Host,
}

/// Which programs may be started, and what they may touch.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExecScope {
    /// Programs and arguments.
    pub allow: Vec<CommandPattern>,
    /// Paths (each with all below it) that a child may read and execute besides the base system. No patterns: Landlock
    /// confines by path. `{scratch}` is always readable and writable and need not be named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reads: Vec<String>,
    /// Paths (each with all below it) that a child may change. Outside `overlay` each must be an existing regular file,
    /// whose pre-image is taken first, or name a file to be created.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub writes: Vec<String>,
    /// Environment variables that the module may set, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// The widest network that a child may see.
    #[serde(default, skip_serializing_if = "is_default")]
    pub network: Network,
    /// Children may gain privileges by set-id programs (`no_new_privs` is off).
    #[serde(default, skip_serializing_if = "is_default")]
    pub privileges: bool,
    /// Why; required in a manifest, pointless in a grant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Which paths may be read, or changed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PathScope {
    /// Paths.
    pub allow: Vec<PathPattern>,
    /// Why; required in a manifest, pointless in a grant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// Which collectors' events may be read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CollectorScope {
    /// Collectors by name, such as `linux.audit`.
    pub allow: Vec<String>,
    /// Why; required in a manifest, pointless in a grant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A capability that has no scope of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainScope {
    /// Why; required in a manifest, pointless in a grant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// A capability with its scope.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Capability {
    /// Starts programs.
    Exec(ExecScope),
    /// Reads files.
    FilesRead(PathScope),
    /// Changes files.
    FilesWrite(PathScope),
    /// Reads what collectors recorded.
    EventsRead(CollectorScope),
    /// A web server on the run's own loopback.
    LoopbackServe(PlainScope),
    /// Looks at a cluster's objects.
    KubeRead(KubeScope),
    /// Changes a cluster's objects.
    KubeWrite(KubeScope),
    /// Starts programs in a cluster's pods.
    KubeExec(KubeScope),
}

impl Capability {
    /// Which one it is.
    pub fn name(&self) -> CapabilityName {
        match self {
            Self::Exec(_) => CapabilityName::Exec,
            Self::FilesRead(_) => CapabilityName::FilesRead,
            Self::FilesWrite(_) => CapabilityName::FilesWrite,
            Self::EventsRead(_) => CapabilityName::EventsRead,
            Self::LoopbackServe(_) => CapabilityName::LoopbackServe,
            Self::KubeRead(_) => CapabilityName::KubeRead,
            Self::KubeWrite(_) => CapabilityName::KubeWrite,
            Self::KubeExec(_) => CapabilityName::KubeExec,
        }
    }

    /// Why it is asked for.
    pub fn reason(&self) -> &str {
        match self {
            Self::Exec(scope) => &scope.reason,
            Self::FilesRead(scope) | Self::FilesWrite(scope) => &scope.reason,
            Self::EventsRead(scope) => &scope.reason,
            Self::LoopbackServe(scope) => &scope.reason,
            Self::KubeRead(scope) | Self::KubeWrite(scope) | Self::KubeExec(scope) => &scope.reason,
        }
    }

    /// The same without its reason, as it stands in a grant.
    pub fn without_reason(mut self) -> Self {
        match &mut self {
            Self::Exec(scope) => scope.reason.clear(),
            Self::FilesRead(scope) | Self::FilesWrite(scope) => scope.reason.clear(),
            Self::EventsRead(scope) => scope.reason.clear(),
            Self::LoopbackServe(scope) => scope.reason.clear(),
            Self::KubeRead(scope) | Self::KubeWrite(scope) | Self::KubeExec(scope) => scope.reason.clear(),
        }
        self
    }

    /// Its rules about a cluster, where it is about one.
    pub fn kube_rules(&self) -> &[KubeRule] {
        match self {
            Self::KubeRead(scope) | Self::KubeWrite(scope) | Self::KubeExec(scope) => &scope.allow,
            _ => &[],
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
