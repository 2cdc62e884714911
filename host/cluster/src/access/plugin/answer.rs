//! What a plugin prints: an `ExecCredential`.

use crate::access::tls::{Identity, identity_of};
use jiff::Timestamp;
use secrecy::SecretString;
use serde::Deserialize;

/// A credential.
#[derive(Debug)]
pub struct Credential {
    /// A bearer token.
    pub token: Option<SecretString>,
    /// A client certificate.
    pub identity: Option<Identity>,
    /// When it ends; `None`: when the server says so.
    pub until: Option<Timestamp>,
}

#[derive(Deserialize)]
struct ExecCredential {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default, rename = "apiVersion")]
    version: Option<String>,
    #[serde(default)]
    status: Option<Status>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    expiration_timestamp: Option<String>,
    #[serde(default)]
    token: Option<String>,
    #[serde(default)]
    client_certificate_data: Option<String>,
    #[serde(default)]
    client_key_data: Option<String>,
}

/// Reads it. The error says what is wrong with the answer, and nothing of what it holds.
pub fn read(output: &[u8], version: &str) -> Result<Credential, &'static str> {
    let text = std::str::from_utf8(output).map_err(|_| "is not UTF-8 text")?;
    if text.trim().is_empty() {
        return Err("is empty");
    }
    // Some print YAML, which `kubectl` reads too.
    let parsed = serde_json::from_str::<ExecCredential>(text)
        .ok()
        .or_else(|| std::panic::catch_unwind(|| serde_saphyr::from_str::<ExecCredential>(text).ok()).ok().flatten());
    let credential = parsed.ok_or("is not an ExecCredential in JSON")?;
    if credential.kind.as_deref().is_some_and(|kind| kind != "ExecCredential") {
        return Err("is of another kind than ExecCredential");
    }
    if credential.version.as_deref().is_some_and(|given| given != version) {
        return Err("has another `apiVersion` than the kubeconfig asks for");
    }
    let status = credential.status.ok_or("has no `status`")?;
    let until = match status.expiration_timestamp.filter(|text| !text.is_empty()) {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| "has an `expirationTimestamp` that is not a time")?),
    };
    let some = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
    let identity = match (some(status.client_certificate_data), some(status.client_key_data)) {
        (None, None) => None,
        (Some(certificate), Some(key)) => {
            let identity = identity_of("clientCertificateData", "clientKeyData", certificate, key.into());
            Some(identity.map_err(|_| "has a client certificate or key that is not PEM")?)
        }
        _ => return Err("has a client certificate or a key, and not both"),
    };
    let token = some(status.token).map(|token| SecretString::from(token.trim().to_owned()));
    if token.is_none() && identity.is_none() {
        return Err("has neither a token nor a client certificate");
    }
    Ok(Credential { token, identity, until })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    const V1: &str = "client.authentication.k8s.io/v1";

    #[test]
    fn tokens_and_times_are_read_of_json_and_yaml() {
        let json = r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential",
            "status":{"token":"S3CR3T\n","expirationTimestamp":"2026-11-28T10:00:00Z","more":1}}"#;
        let yaml = "apiVersion: client.authentication.k8s.io/v1\nkind: ExecCredential\nstatus:\n  token: S3CR3T\n";
        for (text, ends) in [(json, true), (yaml, false)] {
            let read = read(text.as_bytes(), V1).unwrap();
            assert_eq!((read.token.as_ref().unwrap().expose_secret(), read.until.is_some()), ("S3CR3T", ends));
            assert!(!format!("{read:?}").contains("S3CR3T"));
        }
    }

    #[test]
    fn what_is_no_credential_is_said() {
        for (text, word) in [
            ("", "empty"),
            ("S3CR3T", "ExecCredential"),
            ("{}", "status"),
            (r#"{"status":{}}"#, "neither"),
            (r#"{"status":{"token":" "}}"#, "neither"),
            (r#"{"status":{"token":"x","clientKeyData":"y"}}"#, "both"),
            (r#"{"status":{"clientCertificateData":"x","clientKeyData":"y"}}"#, "PEM"),
            (r#"{"status":{"token":"x","expirationTimestamp":"soon"}}"#, "time"),
            (r#"{"kind":"Secret","status":{"token":"x"}}"#, "kind"),
            (r#"{"apiVersion":"v9","status":{"token":"x"}}"#, "apiVersion"),
        ] {
            let why = read(text.as_bytes(), V1).unwrap_err();
            assert!(why.contains(word), "{text}: {why}");
        }
        assert!(read(b"\xff", V1).is_err());
    }
}
