//! The operator's sensors, as `foil.yaml` names them, opened once for all runs of an environment.

use super::inbox::Inbox;
use foil_policy::sources::{FileSource, Sources};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The operator's sensors.
#[derive(Debug, Default)]
pub struct Sensors {
    /// Followed logs by name, with absolute paths.
    pub files: BTreeMap<String, FileSource>,
    /// Where sensors push events to; it listens from when this was opened.
    pub inbox: Option<Arc<Inbox>>,
}

impl Sensors {
    /// Opens what `sources` name; relative paths are relative to `folder`.
    ///
    /// # Errors
    /// A sentence where the inbox cannot listen.
    pub fn open(sources: &Sources, folder: &Path) -> anyhow::Result<Self> {
        let absolute = |path: &str| folder.join(path);
        let files = sources.files.iter().map(|(name, source)| {
            let path = absolute(&source.path).to_string_lossy().into_owned();
            (name.clone(), FileSource { path, ..source.clone() })
        });
        Ok(Self {
            files: files.collect(),
            inbox: sources.inbox.as_ref().map(|inbox| Inbox::open(inbox, folder)).transpose()?,
        })
    }

    /// Whether a collector is one that `foil.yaml` has to name.
    pub fn is_configured(name: &str) -> bool {
        name == super::inbox::NAME || name == super::rules::NAME || name.starts_with(super::file::PREFIX)
    }

    /// The full names of all collectors that there are, but for `rules`.
    pub fn names(&self) -> Vec<String> {
        let mut names = vec![super::audit::NAME.to_owned(), super::observed::NAME.to_owned()];
        names.extend(self.files.keys().map(|name| format!("{}{name}", super::file::PREFIX)));
        names.extend(self.inbox.iter().map(|_| super::inbox::NAME.to_owned()));
        names
    }
}
