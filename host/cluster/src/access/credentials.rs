//! What Foil shows the API server to say who it is: settled before a request, and settled again when it ends.

use super::AccessError;
use super::files::{self, MAX_CREDENTIAL};
use super::plugin::Plugin;
use super::tls::Identity;
use base64::Engine as _;
use http::HeaderValue;
use jiff::{SignedDuration, Timestamp};
use kube::config::{AuthInfo, Cluster};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long before its end a credential is taken to be over.
const EARLY: SignedDuration = SignedDuration::from_secs(10);
/// How long the content of a token file is used: kubelets replace it.
const OF_FILE: SignedDuration = SignedDuration::from_secs(60);

/// Where credentials come from.
#[derive(Debug)]
pub enum Credentials {
    /// None, or a client certificate alone.
    Nothing,
    /// A header that never changes.
    Header(HeaderValue),
    /// A token file, and a token where that cannot be read.
    File {
        /// The file.
        path: PathBuf,
        /// It is the pod's own, which the kubelet writes.
        of_pod: bool,
        /// The kubeconfig's token.
        or: Option<HeaderValue>,
    },
    /// A plugin.
    Plugin(Box<Plugin>),
}

/// Credentials that hold for now.
#[derive(Debug)]
pub struct Fresh {
    /// The header.
    pub authorization: Option<HeaderValue>,
    /// A client certificate of a plugin.
    pub identity: Option<Identity>,
    until: Option<Timestamp>,
}

impl Fresh {
    /// They have to be settled again.
    pub fn is_over(&self) -> bool {
        self.until.is_some_and(|until| Timestamp::now() >= until)
    }
}

impl Credentials {
    /// What a kubeconfig's user has. In the order in which `kubectl` looks: a password, a token's file or a token, a provider, a plugin.
    ///
    /// # Errors
    /// It cannot be used.
    pub fn of(user: &AuthInfo, cluster: &Cluster, roots: &[Vec<u8>], limit: Duration) -> Result<Self, AccessError> {
        let token = user.token.as_ref().filter(|token| !token.expose_secret().is_empty());
        let token = token.map(|token| bearer("token", token)).transpose()?;
        if let Some(file) = user.token_file.as_deref().filter(|file| !file.is_empty()) {
            return Ok(Self::File { path: file.into(), of_pod: false, or: token });
        }
        if let Some(token) = token {
            return Ok(Self::Header(token));
        }
        if let (Some(name), Some(password)) = (&user.username, &user.password) {
            return basic(name, password).map(Self::Header);
        }
        if let Some(provider) = &user.auth_provider {
            let token = provider.config.get("id-token").filter(|token| provider.name == "oidc" && !token.is_empty());
            let token = token.ok_or_else(|| AccessError::Field {
                field: "auth-provider",
                problem: "is none that Foil knows (only `oidc` with an `id-token`): use an exec plugin, as `kubectl` does since 1.26".into(),
            })?;
            return bearer("auth-provider: id-token", &SecretString::from(token.clone())).map(Self::Header);
        }
        match &user.exec {
            Some(exec) => Ok(Self::Plugin(Box::new(Plugin::new(exec, cluster, roots, limit)?))),
            None => Ok(Self::Nothing),
        }
    }

    /// The service account's of the pod that Foil runs in.
    pub fn of_pod(token: String) -> Self {
        Self::File { path: token.into(), of_pod: true, or: None }
    }

    /// Asking again may give others.
    pub fn may_change(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Plugin(_))
    }

    /// Settles them now.
    ///
    /// # Errors
    /// A file cannot be read, or a plugin failed.
    pub async fn fresh(&self) -> Result<Fresh, AccessError> {
        let lasting = |authorization| Fresh { authorization, identity: None, until: None };
        match self {
            Self::Nothing => Ok(lasting(None)),
            Self::Header(header) => Ok(lasting(Some(header.clone()))),
            Self::File { path, of_pod, or } => {
                let (path, of_pod) = (path.clone(), *of_pod);
                let read = tokio::task::spawn_blocking(move || token_of(&path, of_pod)).await;
                let header = match (read.unwrap_or(Err(AccessError::Library("the token"))), or) {
                    (Ok(header), _) => header,
                    (Err(_), Some(token)) => token.clone(),
                    (Err(error), None) => return Err(error),
                };
                Ok(Fresh { authorization: Some(header), identity: None, until: Some(Timestamp::now() + OF_FILE) })
            }
            Self::Plugin(plugin) => {
                let credential = plugin.ask().await?;
                let header =
                    credential.token.as_ref().map(|token| bearer("the exec plugin's token", token)).transpose()?;
                let until = credential.until.map(|until| until.checked_sub(EARLY).unwrap_or(until));
                Ok(Fresh { authorization: header, identity: credential.identity, until })
            }
        }
    }
}

fn token_of(path: &Path, of_pod: bool) -> Result<HeaderValue, AccessError> {
    // The pod's own lies in a folder whose modes are the kubelet's to choose.
    let bytes = files::read_of("tokenFile", path, MAX_CREDENTIAL, !of_pod)?;
    let text = String::from_utf8(bytes).map_err(|_| unusable("tokenFile"))?;
    bearer("tokenFile", &SecretString::from(text.trim().to_owned()))
}

fn unusable(field: &'static str) -> AccessError {
    let problem = "is empty, or has spaces, line breaks or other characters that no token has".to_owned();
    AccessError::Field { field, problem }
}

/// The header of a token.
pub(super) fn bearer(field: &'static str, token: &SecretString) -> Result<HeaderValue, AccessError> {
    let token = token.expose_secret();
    if token.is_empty() || token.len() > MAX_TOKEN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(unusable(field));
    }
    header(field, format!("Bearer {token}"))
}

/// The longest token. Servers refuse headers of more than a mebibyte altogether.
const MAX_TOKEN: usize = 512 << 10;

fn basic(name: &str, password: &SecretString) -> Result<HeaderValue, AccessError> {
    let pair = format!("{name}:{}", password.expose_secret());
    header("username", format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
}

fn header(field: &'static str, text: String) -> Result<HeaderValue, AccessError> {
    let mut value = HeaderValue::try_from(text).map_err(|_| unusable(field))?;
    value.set_sensitive(true);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn settled(user: AuthInfo) -> Result<String, AccessError> {
        let credentials = Credentials::of(&user, &Cluster::default(), &[], Duration::from_secs(1))?;
        let fresh = credentials.fresh().await?;
        Ok(fresh
            .authorization
            .map(|header| String::from_utf8_lossy(header.as_bytes()).into_owned())
            .unwrap_or_default())
    }

    fn token(token: &str) -> AuthInfo {
        AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() }
    }

    #[tokio::test]
    async fn a_malformed_token_is_an_error_that_does_not_repeat_it() {
        for bad in [
            "S3CR3T\n",
            "S3CR3T\r\nX: y",
            "S3 CR3T",
            "S3CR3T\u{e9}",
            "S3CR3T\0",
            "S3CR3T\u{7f}",
            &"S3CR3T".repeat(1 << 20),
        ] {
            let error = settled(token(bad)).await.unwrap_err();
            assert!(matches!(error, AccessError::Field { field: "token", .. }), "{error}");
            assert!(!format!("{error} {error:?}").contains("S3"), "{error}");
        }
        assert_eq!(settled(token("abc")).await.unwrap(), "Bearer abc");
        assert_eq!(settled(token("")).await.unwrap(), "", "no token");
    }

    #[tokio::test]
    async fn passwords_files_and_providers() {
        let basic =
            AuthInfo { username: Some("a\nb".into()), password: Some("c".to_owned().into()), ..AuthInfo::default() };
        assert_eq!(settled(basic).await.unwrap(), "Basic YQpiOmM=");
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let file = || AuthInfo { token_file: path.to_str().map(str::to_owned), ..AuthInfo::default() };
        assert!(matches!(settled(file()).await, Err(AccessError::Missing { .. })));
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(settled(AuthInfo { token: token("x").token, ..file() }).await.unwrap(), "Bearer abc");
        std::fs::write(&path, "a\nS3CR3T").unwrap();
        assert!(!settled(file()).await.unwrap_err().to_string().contains("S3CR3T"));
        assert_eq!(settled(AuthInfo { token: token("x").token, ..file() }).await.unwrap(), "Bearer x");
        let provider = |name: &str, key: &str| AuthInfo {
            auth_provider: Some(kube::config::AuthProviderConfig {
                name: name.into(),
                config: [(key.to_owned(), "S3CR3T".to_owned())].into(),
                ..Default::default()
            }),
            ..AuthInfo::default()
        };
        assert_eq!(settled(provider("oidc", "id-token")).await.unwrap(), "Bearer S3CR3T");
        assert!(!settled(provider("gcp", "cmd-path")).await.unwrap_err().to_string().contains("S3CR3T"));
    }
}
