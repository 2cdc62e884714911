//! Stands in for the way to a cluster in a build without the feature `kubernetes`, such as the demo's: there is none.

#[path = "error.rs"]
mod error;

pub use error::{AccessError, Facts};

use super::exec::{Ended, Exec};
use super::{ClusterRef, KubeError, Session};
use http::response::Parts;
use http::{HeaderValue, Request};
use secrecy::SecretString;
use std::time::Duration;

/// The way that nobody finds.
pub struct Access {
    /// Nothing.
    pub facts: Facts,
}

/// A client that nobody has.
pub struct Client(());

/// As in a build with a client.
pub struct Ready {
    /// The client.
    pub client: Client,
    /// `Authorization`.
    pub authorization: Option<HeaderValue>,
}

#[allow(clippy::unused_async, clippy::unused_self, reason = "as in a build with a client")]
impl Access {
    /// # Errors
    /// Always.
    pub async fn find(_: &ClusterRef, _: Duration) -> Result<Self, AccessError> {
        Err(AccessError::Without)
    }

    /// # Errors
    /// Always.
    pub async fn ready(&self) -> Result<Ready, AccessError> {
        Err(AccessError::Without)
    }

    /// # Errors
    /// Always.
    pub async fn by_token(&self, _: &SecretString) -> Result<Ready, AccessError> {
        Err(AccessError::Without)
    }

    /// Asking again does not help.
    pub async fn refused(&self, _: Option<&HeaderValue>) -> bool {
        false
    }
}

/// # Errors
/// Always.
#[allow(clippy::unused_async, reason = "as in a build with a client")]
pub async fn send(Client(()): &Client, _: Request<Vec<u8>>, _: &Facts) -> Result<(Parts, Vec<u8>), KubeError> {
    Err(KubeError::Access(AccessError::Without))
}

/// # Errors
/// Always.
#[allow(clippy::unused_async, reason = "as in a build with a client")]
pub async fn run(_: &Session, _: Exec) -> Result<Ended, KubeError> {
    Err(KubeError::Access(AccessError::Without))
}
