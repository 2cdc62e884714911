//! How a cluster is reached: kubeconfig files, certificates, proxies and credentials, settled here and handed to the client ready to use.
//!
//! The client library reads kubeconfigs and runs plugins by itself; Foil does not let it. It blocks without limit, ends the process on
//! a malformed token, and its errors repeat what they read, secrets included.
//!
//! | file | is |
//! |---|---|
//! | `files` | which kubeconfig files hold; reading what decides what Foil does |
//! | `kubeconfig` | the files merged, and what a context chooses |
//! | `tls` | certificates and keys |
//! | `proxy` | the proxy on the way |
//! | `credentials` | tokens and passwords, and when they are read again |
//! | `plugin` | exec plugins, as children with limits |
//! | `send` | one request and its answer |
//! | `error` | why there is no way |
//!
//! `without` stands in for all of it in a build without the feature `kubernetes`.

mod credentials;
mod error;
mod files;
mod kubeconfig;
mod plugin;
mod proxy;
mod send;
mod tls;

pub use error::{AccessError, Facts};
pub use kube::Client;
pub use send::send;

use super::ClusterRef;
use credentials::{Credentials, Fresh};
use files::Files;
use http::{HeaderValue, Uri};
use kube::config::{AuthInfo, Cluster};
use secrecy::{ExposeSecret as _, SecretString};
use std::time::{Duration, Instant};
use tls::{Identity, Roots};
use tokio::sync::Mutex;

/// How long a failure is everybody's answer, so that many who wait for the same plugin do not run it one after the other.
const REMEMBERED: Duration = Duration::from_secs(10);

/// The way to a cluster.
pub struct Access {
    config: kube::Config,
    credentials: Credentials,
    state: Mutex<State>,
    /// What is known of it, for whoever says that it failed.
    pub facts: Facts,
}

#[derive(Default)]
struct State {
    client: Option<kube::Client>,
    fresh: Option<Fresh>,
    failed: Option<(Instant, AccessError)>,
}

/// A client, and the header that says who asks.
pub struct Ready {
    /// The client.
    pub client: kube::Client,
    /// `Authorization`; `None` where a certificate, or nothing, says who asks.
    pub authorization: Option<HeaderValue>,
}

impl Access {
    /// Settles the way to a cluster. Sends nothing, and runs no plugin yet; each may then take `limit`.
    ///
    /// # Errors
    /// What the kubeconfig says cannot be used.
    pub async fn find(reference: &ClusterRef, limit: Duration) -> Result<Self, AccessError> {
        let reference = reference.clone();
        // Reads files, which may be on a disk that does not answer; and a library that breaks off breaks off there.
        let found = tokio::task::spawn_blocking(move || Self::settle(&reference, limit)).await;
        found.unwrap_or(Err(AccessError::Library("the way to the cluster")))
    }

    fn settle(reference: &ClusterRef, limit: Duration) -> Result<Self, AccessError> {
        let Some(context) = &reference.context else { return Self::around_foil() };
        let list = std::env::var_os("KUBECONFIG");
        let files = Files::of(reference.kubeconfig.as_deref(), list.as_deref(), std::env::home_dir())?;
        let kubeconfig::Chosen { cluster, user } = kubeconfig::choose(&files, context)?;
        let roots = tls::roots(&cluster)?;
        let server = server(&cluster, &user)?;
        let proxy = proxy::choose(cluster.proxy_url.as_deref(), &server, &|name| std::env::var(name).ok())?;
        let credentials = Credentials::of(&user, &cluster, roots.ders.as_deref().unwrap_or_default(), limit)?;
        let mut config = kube::Config::new(server);
        config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
        config.tls_server_name = cluster.tls_server_name.clone().filter(|name| !name.is_empty());
        config.auth_info = impersonation(&user)?;
        identify(&mut config.auth_info, tls::identity(&user)?.as_ref());
        config.proxy_url = proxy;
        Ok(Self::new(config, roots, credentials))
    }

    /// By the service account of the pod that Foil runs in.
    fn around_foil() -> Result<Self, AccessError> {
        let mut config = kube::Config::incluster().map_err(|_| AccessError::NotInCluster)?;
        let token = config.auth_info.token_file.take().ok_or(AccessError::NotInCluster)?;
        Ok(Self::new(config, Roots::default(), Credentials::of_pod(token)))
    }

    fn new(mut config: kube::Config, roots: Roots, credentials: Credentials) -> Self {
        let facts = Facts {
            server: proxy::shown(&config.cluster_url),
            proxy: config.proxy_url.as_ref().map(proxy::shown),
            only_leaves: roots.only_leaves,
        };
        if roots.ders.is_some() {
            config.root_cert = roots.ders;
        }
        // Whether a request is sent again is decided by what it does, in `session`.
        config.default_retry = false;
        Self { config, credentials, state: Mutex::default(), facts }
    }

    /// A client with credentials that hold now: read or asked for again where they do not.
    ///
    /// # Errors
    /// A file cannot be read, a plugin failed, or the client cannot be made of what they say.
    pub async fn ready(&self) -> Result<Ready, AccessError> {
        let mut state = self.state.lock().await;
        if let Some((_, error)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < REMEMBERED) {
            return Err(error.clone());
        }
        let settled = self.settled(&mut state).await;
        if let Err(error) = &settled {
            state.failed = Some((Instant::now(), error.clone()));
        }
        settled
    }

    async fn settled(&self, state: &mut State) -> Result<Ready, AccessError> {
        if state.fresh.as_ref().is_none_or(Fresh::is_over) {
            let fresh = self.credentials.fresh().await?;
            // A certificate is part of the connection.
            if fresh.identity.is_some() {
                state.client = None;
            }
            state.fresh = Some(fresh);
        }
        let fresh = state.fresh.as_ref();
        let client = match &state.client {
            Some(client) => client.clone(),
            None => state.client.insert(self.client(fresh.and_then(|fresh| fresh.identity.as_ref())).await?).clone(),
        };
        Ok(Ready { client, authorization: fresh.and_then(|fresh| fresh.authorization.clone()) })
    }

    /// A client that shows this token and nothing else of the kubeconfig's user: for requests as an account of a run's own.
    ///
    /// # Errors
    /// The token is none that a header may hold, or the client cannot be made.
    pub async fn by_token(&self, token: &SecretString) -> Result<Ready, AccessError> {
        let authorization = Some(credentials::bearer("the account's token", token)?);
        let mut config = self.config.clone();
        // A client certificate would outweigh the token.
        config.auth_info = AuthInfo::default();
        Ok(Ready { client: made(config).await?, authorization })
    }

    /// The server does not know who asks. Whether asking for credentials again may help; then the next request does.
    pub async fn refused(&self, used: Option<&HeaderValue>) -> bool {
        let mut state = self.state.lock().await;
        let same = state.fresh.as_ref().is_some_and(|fresh| fresh.authorization.as_ref() == used);
        if same && self.credentials.may_change() {
            state.fresh = None;
        }
        self.credentials.may_change()
    }

    async fn client(&self, identity: Option<&Identity>) -> Result<kube::Client, AccessError> {
        let mut config = self.config.clone();
        identify(&mut config.auth_info, identity);
        made(config).await
    }
}

async fn made(config: kube::Config) -> Result<kube::Client, AccessError> {
    // It reads the machine's certificates.
    match tokio::task::spawn_blocking(move || kube::Client::try_from(config)).await {
        Ok(Ok(client)) => Ok(client),
        // Its own words repeat addresses with passwords in them.
        Ok(Err(error)) => Err(misfit(&error)),
        Err(_) => Err(AccessError::Library("the cluster's client")),
    }
}

/// What of the kubeconfig's fields the client could not be made of.
fn misfit(error: &kube::Error) -> AccessError {
    let (field, problem) = match error {
        kube::Error::InferKubeconfig(_) | kube::Error::InferConfig(_) => ("cluster", "cannot be used"),
        kube::Error::RustlsTls(_) => {
            ("certificate-authority, client-certificate, client-key or tls-server-name", "cannot be used for TLS")
        }
        kube::Error::HttpError(_) => ("as, as-uid, as-groups or as-user-extra", "holds what no HTTP header may hold"),
        _ => return AccessError::Library("the cluster's client"),
    };
    AccessError::Field { field, problem: problem.into() }
}

/// The server's address.
fn server(cluster: &Cluster, user: &AuthInfo) -> Result<Uri, AccessError> {
    let wrong = |problem: &str| AccessError::Field { field: "server", problem: problem.to_owned() };
    let text = cluster
        .server
        .as_deref()
        .map(str::trim)
        .filter(|server| !server.is_empty())
        .ok_or_else(|| wrong("is missing"))?;
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    // As `kubectl` has it.
    let secure = given(&cluster.certificate_authority)
        || given(&cluster.certificate_authority_data)
        || given(&user.client_certificate)
        || given(&user.client_certificate_data)
        || cluster.insecure_skip_tls_verify == Some(true);
    let whole = if text.contains("://") {
        text.to_owned()
    } else {
        format!("{}://{text}", if secure { "https" } else { "http" })
    };
    let uri: Uri = whole.parse().map_err(|_| wrong("is not a URL such as https://HOST:PORT"))?;
    match uri.scheme_str() {
        Some("http" | "https") if proxy::has_place(&uri) => Ok(uri),
        _ => Err(wrong("is not a URL such as https://HOST:PORT")),
    }
}

/// As whom the kubeconfig has Foil act.
fn impersonation(user: &AuthInfo) -> Result<AuthInfo, AccessError> {
    let texts = user.impersonate.iter().chain(&user.impersonate_uid).chain(user.impersonate_groups.iter().flatten());
    if texts.into_iter().any(|text| HeaderValue::from_str(text).is_err()) {
        return Err(AccessError::Field {
            field: "as, as-uid or as-groups",
            problem: "holds what no HTTP header may hold".into(),
        });
    }
    Ok(AuthInfo {
        impersonate: user.impersonate.clone(),
        impersonate_uid: user.impersonate_uid.clone(),
        impersonate_groups: user.impersonate_groups.clone(),
        impersonate_user_extra: user.impersonate_user_extra.clone(),
        ..AuthInfo::default()
    })
}

fn identify(user: &mut AuthInfo, identity: Option<&Identity>) {
    use base64::Engine as _;
    let Some(Identity { certificate, key }) = identity else { return };
    let encoded = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    user.client_certificate_data = Some(encoded(certificate));
    user.client_key_data = Some(encoded(key.expose_secret()).into());
}

#[cfg(test)]
mod tests;
