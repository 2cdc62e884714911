//! `foil:host/kube-write`: effects on a cluster, each written down with its undo before it is asked for.

use super::{MAX_OBJECT, address, effect, from_kube, issue, made, not_done, of_target, shown};
use crate::capability::files_write::from_journal;
use crate::capability::guest::failure;
use crate::capability::{Guest, World};
use crate::engine::bindings::imports::kube_types::{Kind, Target};
use crate::engine::bindings::imports::kube_write::{Credential, Host};
use crate::engine::bindings::types::Error;
use foil_cluster::object::{self, PATCHED_LABEL, RUN_LABEL, merged};
use foil_cluster::undo::{Act, KubeUndo};
use foil_cluster::{Address, KubeError, Session};
use foil_journal::{Effect, Learned, Undo, fault};
use foil_manifest::KubeVerb;
use foil_manifest::kube::KubeCall;
use serde_json::{Value, json};
use std::sync::Arc;

const CAPABILITY: &str = "kube-write";
impl Host for Guest {
    async fn create(
        &mut self,
        kind: Kind,
        namespace: Option<String>,
        object: String,
    ) -> wasmtime::Result<Result<String, Error>> {
        self.begin()?;
        Ok(self.create_object(&kind, namespace.as_deref(), &object).await)
    }

    async fn patch(&mut self, target: Target, patch: String) -> wasmtime::Result<Result<String, Error>> {
        self.begin()?;
        Ok(self.patch_object(&target, &patch).await)
    }

    async fn delete(&mut self, target: Target) -> wasmtime::Result<Result<(), Error>> {
        self.begin()?;
        Ok(self.delete_object(&target).await)
    }

    async fn request_certificate(
        &mut self,
        name: String,
        signer: String,
        common_name: String,
        organizations: Vec<String>,
        expiration_seconds: u32,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.begin()?;
        let request = issue::Request { name, signer, common_name, organizations, seconds: expiration_seconds };
        Ok(self.request_a_certificate(request).await)
    }

    async fn approve(&mut self, name: String) -> wasmtime::Result<Result<Credential, Error>> {
        self.begin()?;
        Ok(self.approve_request(&name).await)
    }

    async fn request_token(
        &mut self,
        namespace: String,
        service_account: String,
        audiences: Vec<String>,
        expiration_seconds: u32,
    ) -> wasmtime::Result<Result<Credential, Error>> {
        self.begin()?;
        Ok(self.request_a_token(&namespace, &service_account, &audiences, expiration_seconds).await)
    }

    async fn proxy_as(
        &mut self,
        namespace: String,
        service_account: String,
        target: Target,
        path: String,
    ) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        self.begin()?;
        Ok(self.get_behind_as(&namespace, &service_account, &target, &path).await)
    }
}

impl Guest {
    async fn create_object(&mut self, kind: &Kind, namespace: Option<&str>, text: &str) -> Result<String, Error> {
        let (object, name) = made::parse(text)?;
        let address = address(kind, namespace, Some(&name))?;
        let session = self.cluster()?;
        let object = made::marked(object, &address, &session)?;
        self.decide_kube(&KubeCall { object: Some(&object), ..address.call(KubeVerb::Create) })?;
        let plural = address.plural.clone();
        let world = Arc::clone(&self.world);
        if KubeCall::bears_pods(&address.group, &plural) {
            self.world.containers.made((plural == "pods").then_some(1));
        }
        let created = effect(&self.world, async move { create(&world, &session, address, object).await }).await?;
        shown(&plural, created)
    }

    async fn patch_object(&mut self, target: &Target, text: &str) -> Result<String, Error> {
        let address = of_target(target)?;
        let patch = patch_of(text)?;
        // Before it is looked at, so that a call which no rule could allow sends nothing.
        self.decide_kube(&address.call(KubeVerb::Patch))?;
        let session = self.cluster()?;
        let before = session.get(&address).await.map_err(from_kube)?;
        let after = merged(&before, &patch);
        if KubeCall::bears_pods(&address.group, &address.plural) {
            self.decide_kube(&KubeCall { object: Some(&after), ..address.call(KubeVerb::Patch) })?;
        }
        let plural = address.plural.clone();
        let world = Arc::clone(&self.world);
        let changed =
            effect(&self.world, async move { change(&world, &session, address, before, patch).await }).await?;
        shown(&plural, changed)
    }

    async fn delete_object(&mut self, target: &Target) -> Result<(), Error> {
        let address = of_target(target)?;
        self.decide_kube(&address.call(KubeVerb::Delete))?;
        let session = self.cluster()?;
        let Some(uid) = session.made.uid(&address) else {
            return Err(failure("not-ours", format!("this run did not make {address}: it would come back as another")));
        };
        // No effect of its own: that it was made is in the journal, and its undo finds it gone.
        effect(&self.world, async move { session.delete(&address, &uid).await.map(drop).map_err(from_kube) }).await
    }
}

/// Creates an object: written down, then asked for.
pub(super) async fn create(world: &World, session: &Session, address: Address, object: Value) -> Result<Value, Error> {
    let what = format!("create {address}");
    let id = intend(world, session, what, Act::Created { address: address.clone() })?;
    fault::point("effect.before");
    let answer = session.create_own(&address, &object).await;
    fault::point("effect.after");
    match answer {
        Ok(created) => {
            let uid = object::text(&created, "/metadata/uid").to_owned();
            world.journal.applied(id, Learned::Object(&json!({ "uid": uid }))).map_err(from_journal)?;
            session.made.add(address, uid);
            Ok(created)
        }
        Err(error) => {
            not_done(world, id, &error)?;
            Err(from_kube(error))
        }
    }
}

/// Changes an object, if it is still as it was looked at.
async fn change(
    world: &World,
    session: &Session,
    address: Address,
    before: Value,
    mut patch: Value,
) -> Result<Value, Error> {
    let run = session.run.as_ref().map(ToString::to_string).unwrap_or_default();
    // Where the journal is lost, whoever sweeps sees at least that it was changed.
    let ours = object::label(&before, RUN_LABEL) == Some(&run);
    if !ours {
        patch = merged(&patch, &json!({ "metadata": { "labels": { PATCHED_LABEL: run } } }));
    }
    let cluster = session.cluster().reference();
    let what = format!("change {address}");
    let uid = object::text(&before, "/metadata/uid").to_owned();
    let kept = [before.to_string(), patch.to_string()];
    let undo = |[before, patch]: [i64; 2]| {
        KubeUndo::of(cluster, Act::Patched { address: address.clone(), uid, before, patch })
    };
    let kept = kept.each_ref().map(String::as_bytes);
    let id = world.journal.intend_with((CAPABILITY, &what), kept, undo).map_err(from_journal)?;
    let version = object::text(&before, "/metadata/resourceVersion");
    let patch = merged(&patch, &json!({ "metadata": { "resourceVersion": version } }));
    fault::point("effect.before");
    let answer = session.patch(&address, &patch).await;
    fault::point("effect.after");
    match answer {
        Ok(changed) => {
            let learned = json!({ "sha256": object::fingerprint(&changed) });
            world.journal.applied(id, Learned::Object(&learned)).map_err(from_journal)?;
            Ok(changed)
        }
        Err(error) => {
            not_done(world, id, &error)?;
            Err(from_kube(error))
        }
    }
}

/// Reads a merge patch. Of the metadata only labels and annotations may be changed, and not the run's own.
fn patch_of(text: &str) -> Result<Value, Error> {
    if text.len() > MAX_OBJECT {
        return Err(Error::Limit(format!("the patch has {} bytes, more than {MAX_OBJECT}", text.len())));
    }
    let Ok(patch @ Value::Object(_)) = serde_json::from_str::<Value>(text) else {
        return Err(Error::Invalid("the patch is no JSON object".into()));
    };
    let fixed = ["apiVersion", "kind", "status"];
    if let Some(key) = fixed.iter().find(|key| patch.get(key).is_some()) {
        return Err(Error::Invalid(format!("`{key}` cannot be changed")));
    }
    let Some(metadata) = patch.get("metadata") else { return Ok(patch) };
    let keys = metadata.as_object().ok_or_else(|| Error::Invalid("`metadata` is no object".into()))?;
    if let Some(key) = keys.keys().find(|key| !matches!(key.as_str(), "labels" | "annotations")) {
        let key = foil_text::visible(key, 40);
        return Err(Error::Invalid(format!("`metadata.{key}` cannot be changed")));
    }
    for list in keys.values() {
        let Some(list) = list.as_object() else {
            return Err(Error::Invalid("labels and annotations are objects".into()));
        };
        if list.contains_key(RUN_LABEL) || list.contains_key(PATCHED_LABEL) {
            return Err(Error::Invalid("the run's own marks cannot be changed".into()));
        }
    }
    Ok(patch)
}

/// Writes an effect on the cluster down.
pub(super) fn intend(
    world: &World,
    session: &Session,
    what: String,
    act: Act,
) -> Result<foil_journal::EffectId, Error> {
    let undo = KubeUndo::of(session.cluster().reference(), act)
        .map_err(|e| failure("journal", format!("the undo of `{what}` cannot be written down: {e}")))?;
    let undo = Undo::Family(undo);
    world.journal.intend(&Effect { capability: CAPABILITY.into(), what, undo }).map_err(from_journal)
}

impl From<KubeError> for Error {
    fn from(error: KubeError) -> Self {
        from_kube(error)
    }
}

#[cfg(test)]
mod tests {
    use super::patch_of;

    #[test]
    fn a_patch_keeps_off_what_undo_needs() {
        assert!(patch_of(r#"{"spec": {"replicas": 0}, "metadata": {"labels": {"a": "b"}}}"#).is_ok());
        for bad in [
            "[]",
            "null",
            r#"{"kind": "x"}"#,
            r#"{"status": {}}"#,
            r#"{"metadata": {"finalizers": []}}"#,
            r#"{"metadata": {"resourceVersion": "1"}}"#,
            r#"{"metadata": null}"#,
            r#"{"metadata": {"labels": null}}"#,
            r#"{"metadata": {"labels": {"foil.dev/run": null}}}"#,
        ] {
            assert!(patch_of(bad).is_err(), "{bad}");
        }
    }
}
