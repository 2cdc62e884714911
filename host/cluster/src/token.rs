//! A service account's token, and requests with it.

use super::session::Session;
use secrecy::SecretString;

/// A bearer token. Its text is in no message, and it is wiped with the last request that uses it.
#[derive(Debug, Clone)]
pub struct Token(SecretString);

impl Token {
    /// A token of this text.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// Its text, for whoever shows it to the server.
    pub(super) fn secret(&self) -> &SecretString {
        &self.0
    }
}

impl Session {
    /// The same run's requests, as whom this token names and nobody else.
    pub fn by_token(&self, token: Token) -> Self {
        let mut session = self.clone();
        (session.token, session.impersonate) = (Some(token), None);
        session
    }
}
