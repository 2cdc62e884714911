//! Objects of the cluster that the environment names: looking needs the capability `kube-read`, changing `kube-write`, starting
//! programs in pods `kube-exec`.
//!
//! Objects are JSON, as the API has them. Every change is journaled and undone when the run ends; the host adds the labels
//! `foil.dev/run` and `security-test`, and refuses a name without the run's id. The values of Secrets never reach a module, nor do
//! tokens and private keys.
//!
//! ```
//! use foil_sdk::{fake, prelude::*};
//! # fn f(context: &Context) -> Result<()> {
//! // A pod without any privilege, in the environment's namespace.
//! let pod = kube::Pod::new(context, "shell")?;
//! let target = pod.start()?;
//! let said = kube::Command::new(&target, "/bin/sh").args(["-c", "id"]).run()?.ok()?.text();
//! # Ok(()) }
//! # let host = fake::Host::new();
//! # host.cluster();
//! # host.on_pod_exec(|_| Ok(fake::pod_output("uid=0\n")));
//! # f(&host.context()).unwrap();
//! ```
//!
//! # Errors
//! Those of all functions: `denied`; `invalid`: a name that is none; `not-found`; `timeout`; `other(cluster)`: no cluster is
//! named, it is another one than the guardrail says, or it cannot be reached; `other(rbac)`: the cluster's authorisation does not let
//! Foil; `other(admission)`: a control of the cluster refused what was asked; `other(conflict)`; `other(kubernetes)`: any other
//! status. Pass them on: the host knows what each means for the verdict.

mod exec;
mod pod;
mod rbac;

pub use exec::{Command, Output, logs};
pub use pod::{MOUNT, Pod, node_of};
pub use rbac::{
    RoleRule, bind_cluster_role, create_cluster_role, create_service_account, create_service_account_in,
    create_token_secret,
};

pub use crate::__bindings::host::kube_read::Condition;
pub use crate::__bindings::host::kube_types::{Kind, Target};
pub use crate::__bindings::host::kube_write::Credential;

use crate::{Cluster, Context, Error, Evidence, Result, seam};
use serde_json::Value;
use std::time::Duration;

impl Kind {
    /// A kind by its group, version and plural: `Kind::new("apps", "v1", "deployments")`.
    pub fn new(group: &str, version: &str, plural: &str) -> Self {
        Self { group: group.to_owned(), version: version.to_owned(), plural: plural.to_owned() }
    }

    /// A kind of the core group, version `v1`, such as `pods`.
    pub fn core(plural: &str) -> Self {
        Self::new("", "v1", plural)
    }

    /// A kind of `rbac.authorization.k8s.io/v1`, such as `clusterroles`.
    pub fn rbac(plural: &str) -> Self {
        Self::new("rbac.authorization.k8s.io", "v1", plural)
    }

    /// The object of this name in a namespace.
    pub fn named(&self, namespace: &str, name: &str) -> Target {
        Target { kind: self.clone(), namespace: Some(namespace.to_owned()), name: name.to_owned() }
    }

    /// The object of this name, of a kind that belongs to no namespace.
    pub fn of_cluster(&self, name: &str) -> Target {
        Target { kind: self.clone(), namespace: None, name: name.to_owned() }
    }
}

impl Context {
    /// What the environment says of its cluster.
    ///
    /// # Errors
    /// `other(prerequisite)` where it names none.
    pub fn cluster(&self) -> Result<&Cluster> {
        self.cluster.as_ref().ok_or_else(|| {
            Error::prerequisite("the environment names no Kubernetes cluster: add `kubernetes` to foil.yaml")
        })
    }
}

impl Evidence {
    /// The same with the facts `resource`, `name` and `namespace` (of what has one), as audit events and alerts name an object.
    #[must_use]
    pub fn about(self, target: &Target) -> Self {
        let evidence = self.fact("resource", &target.kind.plural).fact("name", &target.name);
        match &target.namespace {
            Some(namespace) => evidence.fact("namespace", namespace),
            None => evidence,
        }
    }
}

/// An object.
pub fn get(target: &Target) -> Result<Value> {
    parse(&seam::kube_get(target, None)?)
}

/// A subresource of an object, such as `status` or `scale`.
pub fn get_subresource(target: &Target, subresource: &str) -> Result<Value> {
    parse(&seam::kube_get(target, Some(subresource))?)
}

/// At most `most` objects of a namespace, or of all of them. `labels`: a selector as `kubectl` takes it, empty for all.
pub fn list(kind: &Kind, namespace: Option<&str>, labels: &str, most: usize) -> Result<Vec<Value>> {
    let (mut items, mut more) = (Vec::new(), None);
    loop {
        let left = u32::try_from(most.saturating_sub(items.len())).unwrap_or(u32::MAX).min(500);
        if left == 0 {
            return Ok(items);
        }
        let page = seam::kube_list(kind, namespace, labels, "", left, more.as_deref())?;
        for item in &page.items {
            items.push(parse(item)?);
        }
        more = page.more;
        if more.is_none() {
            return Ok(items);
        }
    }
}

/// Waits, and returns the object; `{}` where it is gone.
///
/// # Errors
/// `timeout`: it did not come to be. `other(prerequisite)`: it cannot any more.
pub fn wait(target: &Target, until: Condition, most: Duration) -> Result<Value> {
    parse(&seam::kube_wait(target, until, u32::try_from(most.as_millis()).unwrap_or(u32::MAX))?)
}

/// A GET through the subresource `proxy` of a node, pod or service: `path` with its query, such as `/pods`. At most 1 MiB.
pub fn proxy(target: &Target, path: &str) -> Result<Vec<u8>> {
    Ok(seam::kube_proxy(target, path)?)
}

/// Creates an object and returns it as it was made. Its name has the run's id in it: see [`Context::mark`].
pub fn create(kind: &Kind, namespace: Option<&str>, object: &Value) -> Result<Value> {
    parse(&seam::kube_create(kind, namespace, &object.to_string())?)
}

/// Changes an object by a JSON merge patch (RFC 7396) and returns it.
pub fn patch(target: &Target, patch: &Value) -> Result<Value> {
    parse(&seam::kube_patch(target, &patch.to_string())?)
}

/// Deletes an object that this run made.
///
/// # Errors
/// `other(not-ours)` of any other.
pub fn delete(target: &Target) -> Result<()> {
    Ok(seam::kube_delete(target)?)
}

/// Creates a certificate signing request with a key that the host throws away. `name` has the run's id in it.
pub fn request_certificate(
    name: &str,
    signer: &str,
    common_name: &str,
    organizations: &[&str],
    lifetime: Duration,
) -> Result<()> {
    let organizations: Vec<String> = organizations.iter().map(|name| (*name).to_owned()).collect();
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    Ok(seam::kube_request_certificate(name, signer, common_name, &organizations, seconds)?)
}

/// Approves a certificate signing request that this run made, and waits until the certificate is issued.
pub fn approve(name: &str) -> Result<Credential> {
    Ok(seam::kube_approve(name)?)
}

/// Asks for a token of a service account. The host throws it away.
pub fn request_token(namespace: &str, account: &str, audiences: &[&str], lifetime: Duration) -> Result<Credential> {
    let audiences: Vec<String> = audiences.iter().map(|name| (*name).to_owned()).collect();
    let seconds = u32::try_from(lifetime.as_secs()).unwrap_or(u32::MAX);
    Ok(seam::kube_request_token(namespace, account, &audiences, seconds)?)
}

/// A GET through the subresource `proxy`, as [`proxy`], with the identity of a service account that this run made. The host asks for a
/// token of the account, uses it for this request alone, and throws it away.
///
/// # Errors
/// `other(not-ours)` where this run did not make the account.
pub fn proxy_as(account: &Target, target: &Target, path: &str) -> Result<Vec<u8>> {
    let namespace = account.namespace.as_deref().unwrap_or_default();
    Ok(seam::kube_proxy_as(namespace, &account.name, target, path)?)
}

fn parse(json: &str) -> Result<Value> {
    serde_json::from_str(json).map_err(|_| Error::other("kubernetes", "the cluster answered with what is no JSON"))
}
