//! The cluster of a run: verified before anything is done to it, and a namespace where the environment has none for runs.

use super::run::Live;
use foil_cluster::object::{RUN_LABEL, TEST_LABEL};
use foil_cluster::undo::{Act, KubeUndo};
use foil_cluster::wait::{Condition, Waited, wait};
use foil_cluster::{Address, Cluster, KubeError, Session};
use foil_journal::{Effect, Learned, Undo, fault};
use foil_manifest::CapabilityName;
use foil_record::Detonation;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// How long a new namespace may take until pods can be made in it: its default account comes a moment later.
const USABLE: Duration = Duration::from_secs(15);

/// The check that looks for Falco's pods by itself.
const COVERAGE: &str = "falco.coverage";

/// What an experiment gives a check, with what `kubernetes: falco:` of the environment says where the experiment says nothing.
pub(super) fn with_falco(
    check: &str,
    with: &BTreeMap<String, serde_json::Value>,
    cluster: Option<&Cluster>,
) -> BTreeMap<String, serde_json::Value> {
    let mut with = with.clone();
    if let Some(cluster) = cluster.filter(|_| check == COVERAGE) {
        let falco = &cluster.rule.falco;
        for (name, value) in [("namespace", &falco.namespace), ("selector", &falco.selector)] {
            with.entry(name.to_owned()).or_insert_with(|| value.clone().into());
        }
    }
    with
}

impl Live<'_> {
    /// Verifies the cluster, where the run needs one; the session of its technique.
    pub(super) async fn reach_cluster(&self) -> Result<Option<Arc<Session>>, Detonation> {
        let Some(cluster) = &self.prepared.cluster else { return Ok(None) };
        // Nothing was done yet: whoever stops does not wait for a cluster that does not answer.
        let verified = tokio::select! {
            verified = cluster.verify() => verified,
            () = self.host.cancel.cancelled() => return Err(Detonation::Inconclusive("it was stopped".into())),
        };
        verified.map_err(|why| Detonation::Inconclusive(format!("refused: {why} (cluster)")))?;
        if cluster.rule.namespace.is_none() && self.needs_namespace() {
            self.make_namespace().await?;
        }
        let session = Session::of_technique(Arc::clone(cluster), &self.prepared.run, self.prepared.node.clone());
        Ok(Some(Arc::new(session)))
    }

    /// The technique may make something in the run's namespace.
    fn needs_namespace(&self) -> bool {
        let technique = &self.prepared.technique.manifest;
        let rules = technique.request(CapabilityName::KubeWrite).map(|c| c.kube_rules()).unwrap_or_default();
        rules.iter().any(|rule| rule.namespace.as_ref().is_some_and(|n| n.as_str().contains("{namespace}")))
    }

    /// A namespace of the run's own, which goes with it. Foil's doing and not the technique's, as the scratch folder is.
    async fn make_namespace(&self) -> Result<(), Detonation> {
        let Some(cluster) = &self.prepared.cluster else { return Ok(()) };
        let run = &self.prepared.run;
        let name = cluster.rule.namespace_of(run.as_str());
        let session = Session::of_run(Arc::clone(cluster), run);
        let wrong = |error: KubeError| {
            let help = "give it one by `kubernetes: namespace:` of foil.yaml, or let it make some";
            let why = format!("the run's namespace {name} cannot be made: {error}: {help} (cluster)");
            // Whatever the cluster did not give: the technique did not even begin.
            match error {
                KubeError::Invalid(_) | KubeError::Malformed(_) | KubeError::TooLarge(_) => Detonation::Error(why),
                _ => Detonation::Inconclusive(why),
            }
        };
        let address = Address::new("", "v1", "namespaces", None, Some(&name)).map_err(wrong)?;
        let undo = KubeUndo::of(cluster.reference(), Act::Created { address: address.clone() });
        let undo = undo.map_err(|e| Detonation::Error(format!("the undo of {address} cannot be written down: {e}")))?;
        let undo = Undo::Family(undo);
        let effect = Effect { capability: "host".into(), what: format!("create {address}"), undo };
        let id = self.journal.intend(&effect).map_err(|e| Detonation::Error(e.to_string()))?;
        let labels = json!({ RUN_LABEL: run.as_str(), TEST_LABEL: "true" });
        let object = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name, "labels": labels } });
        fault::point("effect.before");
        let made = session.create_own(&address, &object).await;
        fault::point("effect.after");
        match made {
            Ok(made) => {
                let uid = foil_cluster::object::text(&made, "/metadata/uid");
                self.journal
                    .applied(id, Learned::Object(&json!({ "uid": uid })))
                    .map_err(|e| Detonation::Error(e.to_string()))?;
            }
            Err(error) => {
                if error.is_refusal() {
                    self.journal.refused(id, &error.to_string()).map_err(|e| Detonation::Error(e.to_string()))?;
                }
                return Err(wrong(error));
            }
        }
        let account = Address::new("", "v1", "serviceaccounts", Some(&name), Some("default")).map_err(wrong)?;
        match wait(&session, &account, Condition::Present, USABLE).await.map_err(wrong)? {
            Waited::Met(_) => Ok(()),
            Waited::Unmet(why) => Err(Detonation::Inconclusive(format!(
                "the run's namespace {name} has no default account: {why} (cluster)"
            ))),
        }
    }
}
