//! The environment's Kubernetes cluster: how it is reached, that it is the right one, and requests to it.
//!
//! Objects are plain JSON here, addressed by group, version, plural, namespace and name: what a module may ask is decided by those
//! (`policy`), and a cluster has kinds that no library knows. Everything that comes from the server is bounded and hostile.
//!
//! | file | is |
//! |---|---|
//! | `access` | how it is reached: kubeconfigs, credentials, plugins, proxies |
//! | `address` | names that are valid, and the paths made of them |
//! | `session` | one run's requests: its user agent, its identity, its marks |
//! | `token` | a service account's token, for requests as that account |
//! | `create` | making what is the run's own, whatever becomes of the answer |
//! | `error` | what went wrong, and whether the request may have arrived |
//! | `transport` | what went wrong on the way, without the words of libraries |
//! | `refusal` | who refused a request: authorisation, or a control |
//! | `object` | merge patches, what counts as a change, what never leaves |
//! | `exec`, `attach` | programs in containers |
//! | `undo` | taking back what a run did |
//! | `sweep` | finding what runs left, without any journal |

// Every byte from a server is hostile: nothing that it sends may end the host.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

#[cfg(feature = "kubernetes")]
pub mod access;
#[cfg(not(feature = "kubernetes"))]
#[path = "access/without.rs"]
pub mod access;
mod address;
#[cfg(feature = "kubernetes")]
mod attach;
mod create;
mod error;
pub mod exec;
pub mod object;
pub mod refusal;
mod session;
pub mod sweep;
mod token;
#[cfg(feature = "kubernetes")]
mod transport;
pub mod undo;
pub mod wait;

pub use address::{Address, check_subresource};
pub use error::{KubeError, Unverified};
pub use session::{Made, Page, Selection, Session};
pub use token::Token;

use access::Access;
use foil_policy::ClusterRule;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OnceCell, Semaphore};

/// The longest that a request may take: a create that starts webhooks takes ten seconds at most by their own limit of 30.
const REQUEST: Duration = Duration::from_secs(35);
/// How long an exec plugin may take, where nobody is in more of a hurry. Those that ask a cloud take seconds.
const PLUGIN_LIMIT: Duration = Duration::from_secs(20);

/// How the cluster is found again, from the journal alone, and known to be the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClusterRef {
    /// The kubeconfig file, absolute; `None`: whatever `KUBECONFIG` or the home folder says.
    pub kubeconfig: Option<PathBuf>,
    /// Its context; `None`: the service account of the pod that Foil runs in.
    pub context: Option<String>,
    /// The UID of the namespace `kube-system`.
    pub uid: String,
}

impl ClusterRef {
    /// What messages call it.
    pub fn title(&self) -> String {
        self.context
            .as_ref()
            .map_or_else(|| "the cluster around Foil".to_owned(), |name| format!("the context `{name}`"))
    }
}

/// A cluster that is reached when it is first needed.
pub struct Cluster {
    /// What the environment says of it.
    pub rule: ClusterRule,
    reference: ClusterRef,
    access: OnceCell<Arc<Access>>,
    /// How long an exec plugin may take.
    plugin_limit: Duration,
    verified: OnceCell<Result<(), Unverified>>,
    /// Requests on their way at once.
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for Cluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The client holds credentials.
        f.debug_struct("Cluster").field("reference", &self.reference).finish_non_exhaustive()
    }
}

impl Cluster {
    /// The cluster of an environment whose file is in `folder`. Touches nothing.
    pub fn new(rule: ClusterRule, folder: &Path) -> Self {
        let kubeconfig = rule.kubeconfig.as_ref().map(|path| {
            let path = folder.join(path);
            std::path::absolute(&path).unwrap_or(path)
        });
        let reference = ClusterRef {
            kubeconfig: kubeconfig.or_else(|| if rule.in_cluster { None } else { from_environment() }),
            context: rule.context.clone(),
            uid: rule.cluster.clone().unwrap_or_default(),
        };
        let turns = Arc::new(Semaphore::new(usize::from(rule.requests)));
        Self::with(rule, reference, turns)
    }

    fn with(rule: ClusterRule, reference: ClusterRef, turns: Arc<Semaphore>) -> Self {
        let (access, verified) = (OnceCell::new(), OnceCell::new());
        Self { rule, reference, access, plugin_limit: PLUGIN_LIMIT, verified, turns }
    }

    /// The same for somebody in a hurry: exec plugins may take so long.
    #[must_use]
    pub fn within(self, plugin_limit: Duration) -> Self {
        Self { plugin_limit, ..self }
    }

    /// The one that a journal names.
    pub fn again(reference: ClusterRef) -> Self {
        let turns = Arc::new(Semaphore::new(16));
        let rule = ClusterRule::again(reference.context.clone(), reference.uid.clone());
        Self::with(rule, reference, turns)
    }

    /// The same over a connection of its own, since one belongs to its runtime. Requests on their way are counted together.
    pub fn apart(&self) -> Arc<Self> {
        let apart = Self::with(self.rule.clone(), self.reference.clone(), Arc::clone(&self.turns));
        Arc::new(apart.within(self.plugin_limit))
    }

    /// How it is found again.
    pub fn reference(&self) -> &ClusterRef {
        &self.reference
    }

    /// The way to it, settled when it is first asked for. What cannot be settled now may be later.
    async fn access(&self) -> Result<&Arc<Access>, KubeError> {
        let found = self
            .access
            .get_or_try_init(|| async { Access::find(&self.reference, self.plugin_limit).await.map(Arc::new) });
        found.await.map_err(KubeError::Access)
    }

    /// The UID of the namespace `kube-system`, as the cluster says it.
    ///
    /// # Errors
    /// It cannot be reached, or refuses.
    pub async fn uid(self: &Arc<Self>) -> Result<String, KubeError> {
        let session = Session::of_foil(Arc::clone(self));
        let system = Address::new("", "v1", "namespaces", None, Some("kube-system"))?;
        let namespace = session.get(&system).await?;
        let uid = namespace.pointer("/metadata/uid").and_then(serde_json::Value::as_str);
        uid.map(str::to_owned).ok_or_else(|| KubeError::Malformed("`kube-system` has no UID".into()))
    }

    /// Whether this is the cluster that the guardrail names. Asked once; nothing is done to a cluster before.
    ///
    /// # Errors
    /// Another cluster, none named, or none reached.
    pub async fn verify(self: &Arc<Self>) -> Result<(), Unverified> {
        // A cluster that could not be reached may be reached later: only an answer is kept.
        if let Some(known) = self.verified.get() {
            return known.clone();
        }
        let pinned = &self.reference.uid;
        if pinned.is_empty() {
            return Err(Unverified::Refused(
                "foil.yaml does not say which cluster: write its UID under `kubernetes: cluster:`; `foil doctor` prints it"
                    .into(),
            ));
        }
        let title = self.reference.title();
        let uid = self.uid().await.map_err(|error| Unverified::Unknown { title: title.clone(), error })?;
        let known = if uid.eq_ignore_ascii_case(pinned) {
            Ok(())
        } else {
            Err(Unverified::Refused(format!(
                "{title} is another cluster: its `kube-system` has the UID {uid}, and foil.yaml names {pinned}"
            )))
        };
        self.verified.get_or_init(|| async { known }).await.clone()
    }
}

/// The first file of `KUBECONFIG`, or `~/.kube/config`: fixed when a run begins, so that its clean-up looks there too. Where
/// `KUBECONFIG` names several they belong together, and no path stands for them.
fn from_environment() -> Option<PathBuf> {
    let named = std::env::var_os("KUBECONFIG").filter(|value| !value.is_empty());
    match named {
        Some(value) => {
            let mut paths = std::env::split_paths(&value).filter(|path| !path.as_os_str().is_empty());
            let first = paths.next()?;
            if paths.next().is_some() { None } else { std::path::absolute(first).ok() }
        }
        None => std::env::home_dir().map(|home| home.join(".kube/config")),
    }
}
