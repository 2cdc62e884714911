//! What is wrong with the files of an invocation: every mistake, each with file, line and column.

use crate::campaign::{PrepareError, PrepareErrors};
use anyhow::anyhow;
use foil_policy::Environment;
use foil_text::Shown as _;
use std::path::Path;

/// Mistakes, at least one; each is told once.
#[derive(Debug)]
pub(super) struct Mistakes(pub Vec<anyhow::Error>);

impl std::error::Error for Mistakes {}

impl std::fmt::Display for Mistakes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.texts().join("; "))
    }
}

impl From<anyhow::Error> for Mistakes {
    fn from(error: anyhow::Error) -> Self {
        match error.downcast::<Self>() {
            Ok(mistakes) => mistakes,
            Err(error) => Self(vec![error]),
        }
    }
}

impl Mistakes {
    /// A sentence each, in their order.
    pub fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for text in self.0.iter().map(|error| format!("{error:#}")) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        texts
    }

    /// Those of preparing an experiment. What stands in `foil.yaml` gets its place there.
    pub fn of(errors: PrepareErrors, environment: &Environment) -> Self {
        let placed = |error| match error {
            PrepareError::Environment { path, why } => {
                let file = Path::new(&environment.file);
                let text = std::fs::read_to_string(file).unwrap_or_default();
                anyhow::Error::new(Elsewhere(format!("{}:{} {why}", file.shown(), place(&text, &path))))
            }
            other => anyhow::Error::from(other),
        };
        Self(errors.0.into_iter().map(placed).collect())
    }

    /// The same, each changed.
    pub fn map(self, change: impl Fn(anyhow::Error) -> anyhow::Error) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }

    /// The same, with their places in a file of this text. `above`: where in it the experiment stands.
    pub fn placed(self, file: &Path, text: &str, above: &[String]) -> Self {
        self.map(|error| placed(file, text, above, error))
    }
}

/// A mistake that names its file already.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Elsewhere(String);

/// Whether the mistake names its file already.
pub(super) fn elsewhere_already(error: &anyhow::Error) -> bool {
    error.is::<Elsewhere>()
}

/// What is wrong with a file of this text, with the place where there is one. `above`: where in it the experiment stands.
pub(super) fn placed(file: &Path, text: &str, above: &[String], error: anyhow::Error) -> anyhow::Error {
    if elsewhere_already(&error) {
        return error;
    }
    let below = match error.downcast_ref() {
        Some(PrepareError::Placed { path, .. }) => path.as_slice(),
        _ => &[],
    };
    let path = [above, below].concat();
    let place = if path.is_empty() || text.is_empty() { String::new() } else { place(text, &path) };
    anyhow!("{}:{place} {error:#}", file.shown())
}

/// `line:column:` of what stands there; empty where there is no such text.
fn place(text: &str, path: &[String]) -> String {
    foil_yaml::locate(text, path).map(|place| format!("{place}:")).unwrap_or_default()
}
