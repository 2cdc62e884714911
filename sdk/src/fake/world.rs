//! What the fake host knows and remembers.

use crate::__bindings::host::types::Error;
use crate::Context;
use crate::events::Event;
use crate::exec::Output;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// A program that a module started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Its absolute path.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// The variables added to its environment.
    pub env: Vec<(String, String)>,
    /// What was fed to it.
    pub stdin: Vec<u8>,
    /// Its working directory, where the module said one.
    pub cwd: Option<String>,
    /// Its time-out in milliseconds, where the module said one.
    pub timeout_ms: Option<u32>,
}

impl Call {
    /// Program and arguments, with a space between each.
    pub fn line(&self) -> String {
        [std::slice::from_ref(&self.program), &self.args].concat().join(" ")
    }
}

/// The answer of a scripted program.
pub(super) type Answer = Rc<dyn Fn(&Call) -> crate::Result<Output>>;

/// A file that the script put there, or the module.
#[derive(Debug, Clone)]
pub(super) struct File {
    pub content: Vec<u8>,
    pub mode: u32,
}

/// Everything about one fake host.
pub(super) struct World {
    pub context: Context,
    pub programs: BTreeMap<String, Answer>,
    pub files: BTreeMap<String, File>,
    pub directories: BTreeSet<String>,
    pub events: BTreeMap<String, Vec<Event>>,
    pub blind: BTreeMap<String, Error>,
    pub denied: BTreeSet<String>,
    pub calls: Vec<Call>,
    pub changes: Vec<String>,
    pub lines: Vec<String>,
    pub published: Vec<(String, Vec<u8>)>,
    pub kube: super::cluster::Objects,
    #[cfg(feature = "manifest")]
    pub manifest: Option<foil_manifest::Manifest>,
}

impl World {
    pub(super) fn new() -> Self {
        let context = Context {
            run_id: "01k0000000000000000000test".to_owned(),
            scratch: "/tmp/foil-scratch".to_owned(),
            dry: false,
            cluster: None,
        };
        Self {
            directories: BTreeSet::from([context.scratch.clone()]),
            context,
            programs: BTreeMap::new(),
            files: BTreeMap::new(),
            events: BTreeMap::new(),
            blind: BTreeMap::new(),
            denied: BTreeSet::new(),
            calls: Vec::new(),
            changes: Vec::new(),
            lines: Vec::new(),
            published: Vec::new(),
            kube: super::cluster::Objects::default(),
            #[cfg(feature = "manifest")]
            manifest: None,
        }
    }

    /// Whether a directory is there: said by the script, or with something below it.
    pub(super) fn is_directory(&self, path: &str) -> bool {
        let below = [path.trim_end_matches('/'), "/"].concat();
        self.directories.contains(path)
            || self.files.keys().chain(&self.directories).any(|other| other.starts_with(&below))
    }
}
