//! Why a cluster cannot be reached as the environment says. Every sentence is Foil's own: what a library, a plugin or a file says
//! may hold a secret, and is never passed on.

use foil_text::{Shown as _, quote, visible};
use std::path::PathBuf;
use std::time::Duration;

/// What errors may say of the way.
#[derive(Debug, Clone, Default)]
pub struct Facts {
    /// The server's host and port.
    pub server: String,
    /// The proxy's host and port.
    pub proxy: Option<String>,
    /// What stands where a certification authority should is a server's own certificate.
    pub only_leaves: bool,
}

/// Why there is no way to the cluster. Nothing was sent to it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccessError {
    /// This build has no client.
    #[error("this Foil was built without the feature `kubernetes`, so that it reaches no cluster")]
    Without,
    /// No file was named, and there is no home folder to look into.
    #[error("there is no kubeconfig: name it by `kubernetes: kubeconfig:` of foil.yaml or by KUBECONFIG")]
    NoFile,
    /// A file is not there.
    #[error("{what} {} is not there", .path.shown())]
    Missing {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A file cannot be opened or read.
    #[error("{what} {} cannot be read: {error}", .path.shown())]
    Unreadable {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: std::io::ErrorKind,
    },
    /// A file is a device, a pipe or a folder.
    #[error("{what} {} is not a regular file", .path.shown())]
    NotRegular {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A file is larger than such files are.
    #[error("{what} {} has more than {most} bytes", .path.shown())]
    TooLarge {
        /// What the file is for.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The largest size.
        most: u64,
    },
    /// Somebody else owns a file that decides what Foil does.
    #[error(
        "{what} {} belongs to uid {owner}, who could change what Foil does as uid {me}: make it yours (`chown`), or use a copy of your own",
        .path.shown()
    )]
    Foreign {
        /// What the file is for.
        what: &'static str,
        /// The file, or its folder.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Who Foil is.
        me: u32,
    },
    /// Others may write a file that decides what Foil does.
    #[error(
        "{what} {} has mode {:o}, so that others could change what Foil does as uid {me}: `chmod go-w` it first",
        .path.shown(), .mode & 0o7777
    )]
    Writable {
        /// What the file is for.
        what: &'static str,
        /// The file, or its folder.
        path: PathBuf,
        /// Its mode.
        mode: u32,
        /// Who Foil is.
        me: u32,
    },
    /// A kubeconfig is not text.
    #[error("the kubeconfig {} is not UTF-8 text", .0.shown())]
    NotText(PathBuf),
    /// A kubeconfig cannot be parsed. Its lines hold secrets, so only the place is said.
    #[error("the kubeconfig {}{} is not valid: {}", .path.shown(), at(.place), parse_words(*.panicked))]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Line and column, where they are known.
        place: Option<(u64, u64)>,
        /// The parser itself failed.
        panicked: bool,
    },
    /// Files that cannot be merged.
    #[error("the kubeconfig {} is of another `kind` or `apiVersion` than the files before it in KUBECONFIG", .0.shown())]
    Mismatch(PathBuf),
    /// No file has the context.
    #[error("the context {} is in none of the kubeconfig files: {files}", quote(.context))]
    NoContext {
        /// The context.
        context: String,
        /// The files that were read, and those that are missing.
        files: String,
    },
    /// A context names a cluster that is in no file.
    #[error("the context {} names the cluster {}, which is in none of the kubeconfig files: {files}", quote(.context), quote(.cluster))]
    NoCluster {
        /// The context.
        context: String,
        /// The cluster's name.
        cluster: String,
        /// The files that were read, and those that are missing.
        files: String,
    },
    /// A value of the kubeconfig cannot be used. The value itself may be a secret, and is not repeated.
    #[error("`{field}` of the kubeconfig {problem}")]
    Field {
        /// The field, as kubeconfigs write it.
        field: &'static str,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Foil does not run in a pod.
    #[error("Foil does not run in a pod with a service account, as `in-cluster: true` of foil.yaml says")]
    NotInCluster,
    /// A plugin's program is not there.
    #[error("the exec plugin {} of the kubeconfig is not installed{}", quote(.program), hinted(.hint))]
    PluginMissing {
        /// The program.
        program: String,
        /// The kubeconfig's `installHint`.
        hint: Option<String>,
    },
    /// A plugin wants a person.
    #[error("the exec plugin {} needs a terminal (`interactiveMode: Always`), and Foil runs plugins without one", quote(.0))]
    PluginInteractive(String),
    /// A plugin could not be started.
    #[error("the exec plugin {} could not be started: {error}", quote(.program))]
    PluginStart {
        /// The program.
        program: String,
        /// What the system said.
        error: std::io::ErrorKind,
    },
    /// A plugin did not end.
    #[error("the exec plugin {} did not answer within {limit:?}, and was ended: {}", quote(.program), BY_HAND)]
    PluginSlow {
        /// The program.
        program: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// A plugin failed.
    #[error("the exec plugin {} failed ({how}): {}", quote(.program), BY_HAND)]
    PluginFailed {
        /// The program.
        program: String,
        /// Its exit status or signal.
        how: String,
    },
    /// A plugin's answer is of no use.
    #[error("the answer of the exec plugin {} {problem}: {}", quote(.program), BY_HAND)]
    PluginAnswer {
        /// The program.
        program: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A library failed on what it was given.
    #[error("{0} could not be made: a library failed on what the kubeconfig says; check the context with `kubectl`")]
    Library(&'static str),
}

/// What somebody does about a plugin. Its own words may hold credentials.
const BY_HAND: &str = "its output may hold secrets and is not shown; try the context with `kubectl`";

fn at(place: &Option<(u64, u64)>) -> String {
    place.map(|(line, column)| format!(":{line}:{column}")).unwrap_or_default()
}

fn parse_words(panicked: bool) -> &'static str {
    if panicked {
        "the parser failed on it"
    } else {
        "it is not a kubeconfig in YAML (its lines may hold secrets and are not shown)"
    }
}

fn hinted(hint: &Option<String>) -> String {
    // The file's author wrote it, for a terminal.
    hint.as_deref()
        .map(str::trim)
        .filter(|hint| !hint.is_empty())
        .map(|hint| format!("; its hint: {}", visible(hint, 300)))
        .unwrap_or_default()
}

impl AccessError {
    /// The same may work a little later: a plugin asked somebody else who did not answer.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::PluginSlow { .. } | Self::PluginFailed { .. })
    }
}
