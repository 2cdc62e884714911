//! What went wrong with a request.

use super::access::AccessError;
use super::refusal::Refusal;
use std::time::Duration;

/// Why it is not known to be the cluster that the guardrail names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// It is another one, or the guardrail names none; asking again tells nothing else.
    #[error("{0}")]
    Refused(String),
    /// It did not say.
    #[error("{title} could not be verified: {error}")]
    Unknown {
        /// What it is called.
        title: String,
        /// Why.
        error: KubeError,
    },
}

/// Why a request did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KubeError {
    /// The request makes no sense; nothing was sent.
    #[error("{0}")]
    Invalid(String),
    /// The environment leads to no cluster, or shows no credentials. Nothing was sent.
    #[error("{0}")]
    Access(AccessError),
    /// Nothing was reached. Nothing arrived.
    #[error("the cluster cannot be reached: {0}")]
    Unreachable(String),
    /// It was sent, and no answer came: it may have been carried out.
    #[error("no answer of the cluster: {0}")]
    Unanswered(String),
    /// The server answered with a status.
    #[error("{reason} ({code}): {message}{}", by(.refused))]
    Status {
        /// The HTTP status.
        code: u16,
        /// The server's word for it, such as `Forbidden`.
        reason: String,
        /// Its sentence.
        message: String,
        /// How long it asks to wait.
        retry_after: Option<Duration>,
        /// Who refused it; `None`: nobody, it failed.
        refused: Option<Box<Refusal>>,
    },
    /// The answer is not what the API says; for a change: it was carried out, perhaps.
    #[error("the cluster's answer makes no sense: {0}")]
    Malformed(String),
    /// The answer is larger than anything that is read.
    #[error("the answer has more than {0} bytes: ask for less")]
    TooLarge(usize),
}

impl KubeError {
    /// The HTTP status, where there is one.
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Status { code, .. } => Some(*code),
            _ => None,
        }
    }

    /// How long the server asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// There is no such object.
    pub fn is_not_found(&self) -> bool {
        self.code() == Some(404)
    }

    /// The request was not carried out, for certain. The server says so itself (below 500), or it never got it.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Invalid(_) | Self::Access(_) | Self::Unreachable(_) => true,
            Self::Status { code, .. } => (400..500).contains(code) && *code != 408,
            Self::Unanswered(_) | Self::Malformed(_) | Self::TooLarge(_) => false,
        }
    }

    /// The same request may succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Unanswered(_) => true,
            Self::Status { code, .. } => matches!(code, 408 | 429 | 500 | 502 | 503 | 504),
            // What asks for credentials again, and how often, is not for whoever sends.
            Self::Invalid(_) | Self::Access(_) | Self::Malformed(_) | Self::TooLarge(_) => false,
        }
    }

    /// Who refused it, where the server said no.
    pub fn refused(&self) -> Option<&Refusal> {
        match self {
            Self::Status { refused, .. } => refused.as_deref(),
            _ => None,
        }
    }
}

fn by(refused: &Option<Box<Refusal>>) -> String {
    refused.as_ref().map(|refusal| format!("; {refusal}")).unwrap_or_default()
}
