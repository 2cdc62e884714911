//! What is wrong with an experiment, before anything runs: every mistake, each with its place in the file.

use super::experiment::Link;
use super::parameters::Wrong;
use crate::module::{Module, NotFound};
use foil_policy::{GrantRefusal, Refusal};

/// Why an experiment cannot be prepared: a mistake in what was given, never the target's fault.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A module is not granted; on a terminal the user is asked.
    #[error("{refusal}{then}")]
    NotGranted {
        /// The module.
        module: Box<Module>,
        /// Why not.
        refusal: Box<GrantRefusal>,
        /// What to do about it, behind a colon; empty where nobody has said that yet.
        then: String,
    },
    /// The policy refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such module.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A parameter is wrong, or a module of the wrong kind is named.
    #[error("{0}")]
    Wrong(String),
    /// Of a part of `foil.yaml`.
    #[error("{why}")]
    Environment {
        /// Keys and numbers, from the file down.
        path: Vec<String>,
        /// What is wrong there.
        why: String,
    },
    /// Any of these but the first, of a part of the experiment's file.
    #[error("{error}")]
    Placed {
        /// Keys and numbers, from the experiment down.
        path: Vec<String>,
        /// What is wrong there.
        error: Box<PrepareError>,
    },
}

impl PrepareError {
    /// The same, of what stands below these keys. What is not granted is settled elsewhere, and `foil.yaml` is another file.
    pub(super) fn under<const N: usize>(self, keys: [&str; N]) -> Self {
        self.below(keys.into_iter().map(str::to_owned).collect())
    }

    /// The same for keys that are known later.
    pub(super) fn below(self, keys: Vec<String>) -> Self {
        let (below, error) = match self {
            Self::NotGranted { .. } | Self::Environment { .. } => return self,
            Self::Placed { path, error } => (path, error),
            other => (Vec::new(), Box::new(other)),
        };
        Self::Placed { path: [keys, below].concat(), error }
    }

    /// The same, with the link that it is about.
    pub(super) fn of_link(self, number: usize, link: &Link) -> Self {
        let named = |error: Self| Self::Wrong(format!("the link `{}`: {error}", link.link));
        let error = match self {
            Self::NotGranted { .. } | Self::Environment { .. } => self,
            Self::Placed { path, error } => Self::Placed { path, error: Box::new(named(*error)) },
            other => named(other),
        };
        error.under(["expect", &number.to_string()])
    }
}

impl From<Wrong> for PrepareError {
    fn from(wrong: Wrong) -> Self {
        let error = Self::Wrong(wrong.why);
        match wrong.given {
            Some(name) => error.under(["with", &name]),
            None => error.under(["with"]),
        }
    }
}

/// All that is wrong with an experiment; at least one mistake.
#[derive(Debug)]
pub struct PrepareErrors(pub Vec<PrepareError>);

impl std::error::Error for PrepareErrors {}

impl std::fmt::Display for PrepareErrors {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let all: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join("; "))
    }
}

impl<E: Into<PrepareError>> From<E> for PrepareErrors {
    fn from(error: E) -> Self {
        Self(vec![error.into()])
    }
}

impl From<Vec<Wrong>> for PrepareErrors {
    fn from(wrong: Vec<Wrong>) -> Self {
        Self(wrong.into_iter().map(Into::into).collect())
    }
}

impl PrepareErrors {
    /// The same, each changed.
    pub(super) fn map(self, change: impl Fn(PrepareError) -> PrepareError) -> Self {
        Self(self.0.into_iter().map(change).collect())
    }
}

/// Takes mistakes in, so that others are looked for as well.
#[derive(Debug, Default)]
pub(super) struct Collected(Vec<PrepareError>);

impl Collected {
    /// Takes in mistakes.
    pub fn add(&mut self, mistakes: impl IntoIterator<Item = PrepareError>) {
        self.0.extend(mistakes);
    }

    /// What was settled, or nothing and its mistakes taken in.
    pub fn take<T>(&mut self, settled: Result<T, PrepareErrors>) -> Option<T> {
        settled.map_err(|errors| self.add(errors.0)).ok()
    }

    /// All mistakes, where there are any.
    pub fn all(self) -> Result<(), PrepareErrors> {
        if self.0.is_empty() { Ok(()) } else { Err(PrepareErrors(self.0)) }
    }
}
