//! Why something did not happen.

use crate::__bindings::host::types;
use crate::{Denial, Failure};
use std::fmt;

/// A result with this crate's [`Error`].
pub type Result<T> = std::result::Result<T, Error>;

/// Why a host call, or a whole phase, did not do what it was asked.
///
/// Pass on with `?` what you cannot mend: the host knows what each means for the verdict. A refusal by policy or by the
/// shield, a missing prerequisite and a failure are told apart there.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Error {
    /// The policy refused: outside the request, the grant or the environment's guardrail.
    Denied(Denial),
    /// A budget of this phase is spent; the text names the limit and its value.
    Limit(String),
    /// The arguments, or the parameters, make no sense; the text says which and why.
    Invalid(String),
    /// What was named does not exist: a file, a program.
    NotFound(String),
    /// The call took longer than its own time-out.
    Timeout,
    /// The run is being stopped.
    Cancelled,
    /// Anything else, by code.
    Other(Failure),
}

impl Error {
    /// The target lacks something that the module needs: a tool, a file, a kernel feature. The run is inconclusive, not
    /// failed. `message` is a sentence: what is missing, and what would help.
    pub fn prerequisite(message: impl Into<String>) -> Self {
        Self::other("prerequisite", message)
    }

    /// A failure with a code of its own: stable, lower-case, dashed. Not retryable.
    pub fn other(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self::Other(Failure { code: code.into(), message: message.into(), retryable: false })
    }

    /// The code of [`Error::Other`].
    pub fn code(&self) -> Option<&str> {
        match self {
            Self::Other(failure) => Some(&failure.code),
            _ => None,
        }
    }

    /// Whether what was named does not exist.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied(denial) => {
                f.write_str("denied: ")?;
                f.write_str(&denial.capability)?;
                f.write_str(": ")?;
                f.write_str(&denial.rule)
            }
            Self::Limit(text) => write!(f, "limit: {text}"),
            Self::Invalid(text) => write!(f, "invalid: {text}"),
            Self::NotFound(text) => write!(f, "not found: {text}"),
            Self::Timeout => f.write_str("it took longer than its time-out"),
            Self::Cancelled => f.write_str("the run is being stopped"),
            Self::Other(failure) => write!(f, "{} ({})", failure.message, failure.code),
        }
    }
}

impl std::error::Error for Error {}

impl From<types::Error> for Error {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Denied(denial) => Self::Denied(denial),
            types::Error::Limit(text) => Self::Limit(text),
            types::Error::Invalid(text) => Self::Invalid(text),
            types::Error::NotFound(text) => Self::NotFound(text),
            types::Error::Timeout => Self::Timeout,
            types::Error::Cancelled => Self::Cancelled,
            types::Error::Other(failure) => Self::Other(failure),
        }
    }
}

impl From<Error> for types::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Denied(denial) => Self::Denied(denial),
            Error::Limit(text) => Self::Limit(text),
            Error::Invalid(text) => Self::Invalid(text),
            Error::NotFound(text) => Self::NotFound(text),
            Error::Timeout => Self::Timeout,
            Error::Cancelled => Self::Cancelled,
            Error::Other(failure) => Self::Other(failure),
        }
    }
}
