//! `foil:host/kube-read`, `kube-write` and `kube-exec`: a cluster, by what the policy allows of it.

#[cfg(feature = "kubernetes")]
mod certificate;
#[cfg(not(feature = "kubernetes"))]
#[path = "no_certificate.rs"]
mod certificate;
mod exec;
mod issue;
mod made;
mod read;
mod write;

use super::{Guest, World};
use crate::capability::guest::failure;
use crate::engine::bindings::imports::kube_types::{Kind, Target};
use crate::engine::bindings::types::{Error, Failure};
use foil_cluster::refusal::Refusal;
use foil_cluster::{Address, KubeError, Session};
use foil_journal::EffectId;
use foil_manifest::kube::KubeCall;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// The largest object that a module may hand in or get back, in bytes.
const MAX_OBJECT: usize = 1 << 20;

impl Guest {
    /// The run's session with the cluster, which was verified when the run began.
    fn cluster(&self) -> Result<Arc<Session>, Error> {
        self.world.cluster.clone().ok_or_else(|| failure("cluster", "the environment names no cluster"))
    }

    /// Asks the policy about a call.
    fn decide_kube(&self, call: &KubeCall<'_>) -> Result<(), Error> {
        self.decide(&call.to_string(), self.permission.kube(call))
    }

    /// What the phase has left, at most what was asked for.
    fn patience(&self, asked: Option<u32>) -> Duration {
        let left = self.budget.limits().wall.saturating_sub(self.started.elapsed());
        // A second is kept, so that the module can still say what came of it.
        let left = left.saturating_sub(Duration::from_secs(1));
        asked.map_or(left, |ms| Duration::from_millis(u64::from(ms)).min(left))
    }
}

/// Waits for an answer as long as the phase lasts: one that does not come is the cluster's fault, and the call is named.
async fn timely<T>(
    within: Duration,
    call: &str,
    answer: impl Future<Output = Result<T, KubeError>>,
) -> Result<T, Error> {
    match tokio::time::timeout(within, answer).await {
        Ok(answer) => answer.map_err(from_kube),
        Err(_) => Err(failure("cluster", format!("the cluster did not answer `{call}` within {within:.0?}"))),
    }
}

/// What a call names, checked.
fn address(kind: &Kind, namespace: Option<&str>, name: Option<&str>) -> Result<Address, Error> {
    Address::new(&kind.group, &kind.version, &kind.plural, namespace, name).map_err(from_kube)
}

fn of_target(target: &Target) -> Result<Address, Error> {
    address(&target.kind, target.namespace.as_deref(), Some(&target.name))
}

/// What went wrong, as a module may know it.
fn from_kube(error: KubeError) -> Error {
    let other =
        |code: &str, retryable| Error::Other(Failure { code: code.into(), message: error.to_string(), retryable });
    match &error {
        KubeError::Invalid(text) => Error::Invalid(text.clone()),
        KubeError::TooLarge(_) => Error::Limit(error.to_string()),
        KubeError::Access(_) => other("cluster", false),
        KubeError::Unreachable(_) | KubeError::Unanswered(_) => other("cluster", true),
        KubeError::Malformed(_) => other("kubernetes", false),
        KubeError::Status { code: 404, message, .. } => Error::NotFound(message.clone()),
        KubeError::Status { refused: Some(refusal), .. } => match &**refusal {
            // The environment has the technique act as somebody, and Foil may not.
            Refusal::Rights(right) if right.verb == "impersonate" => other("cluster", false),
            Refusal::Rights(_) => other("rbac", false),
            Refusal::Control(_) => other("admission", false),
            Refusal::Unmet(_) => other("prerequisite", false),
            Refusal::Credentials | Refusal::Unclear => other("cluster", false),
        },
        KubeError::Status { code: 409, .. } => other("conflict", false),
        // The server, or what stands behind it, is not well: that is no failure of the technique.
        KubeError::Status { .. } if error.is_transient() => other("cluster", true),
        KubeError::Status { .. } => other("kubernetes", false),
    }
}

/// An object for a module: without secrets, of a bounded size.
fn shown(plural: &str, mut object: serde_json::Value) -> Result<String, Error> {
    foil_cluster::object::redact(plural, &mut object);
    let text = object.to_string();
    if text.len() > MAX_OBJECT {
        return Err(Error::Limit(format!("the object has {} bytes, more than {MAX_OBJECT}", text.len())));
    }
    Ok(text)
}

/// Runs an effect on a task of its own, so that a guest that is killed at its deadline does not cancel it half-way.
async fn effect<T, F>(world: &Arc<World>, effect: F) -> Result<T, Error>
where
    T: Send + 'static,
    F: Future<Output = Result<T, Error>> + Send + 'static,
{
    let task = world.effects.spawn(effect);
    task.await.unwrap_or_else(|_| Err(failure("io", "the effect was abandoned; the journal knows of it")))
}

/// Writes down that an effect certainly did not happen. Of one whose answer was lost nothing is said: undo will look.
fn not_done(world: &World, id: EffectId, error: &KubeError) -> Result<(), Error> {
    if error.is_refusal() {
        world.journal.refused(id, &error.to_string()).map_err(super::files_write::from_journal)?;
    }
    Ok(())
}
