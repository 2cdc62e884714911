//! A service account's token, and requests with it.

use super::session::Session;
use super::{KubeError, connect_as_nobody};
use http::HeaderValue;
use std::sync::Arc;

/// A bearer token. Its text is in no message, and it is dropped with the last request that uses it.
#[derive(Clone)]
pub struct Token(Arc<str>);

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(…)")
    }
}

impl Token {
    /// A token of this text.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The header that shows it.
    pub(super) fn header(&self) -> Result<HeaderValue, KubeError> {
        let mut value = HeaderValue::from_str(&format!("Bearer {}", self.0))
            .map_err(|_| KubeError::Malformed("the token that was issued does not fit into a header".into()))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl Session {
    /// The same run's requests, as whom this token names and nobody else.
    pub fn by_token(&self, token: Token) -> Self {
        let mut session = self.clone();
        (session.token, session.impersonate) = (Some(token), None);
        session
    }

    /// The client through which this session's requests go.
    pub(super) async fn client(&self) -> Result<kube::Client, KubeError> {
        match self.token {
            None => self.cluster.client().await,
            // Foil's own credentials, a client certificate above all, would outweigh the token.
            Some(_) => {
                let made = connect_as_nobody(self.cluster.reference()).await;
                made.map_err(|error| KubeError::Unreachable(format!("{error:#}")))
            }
        }
    }
}
