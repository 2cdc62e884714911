//! What was done to a cluster, as the journal keeps it.

use super::Act;
use crate::{Address, ClusterRef};
use foil_journal::family::FamilyUndo;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The family's name in the journal.
pub const FAMILY: &str = "kube";

/// What was done, and to which cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct KubeUndo {
    /// Which.
    pub cluster: ClusterRef,
    /// What was done.
    pub act: Act,
}

impl KubeUndo {
    /// Returns it as the journal keeps it.
    ///
    /// # Errors
    /// It cannot be written as JSON, such as a kubeconfig's path that is not UTF-8: what cannot be undone must not be done.
    pub fn of(cluster: &ClusterRef, act: Act) -> serde_json::Result<FamilyUndo> {
        let written = serde_json::to_value(Self { cluster: cluster.clone(), act })?;
        Ok(FamilyUndo { family: FAMILY.to_owned(), data: serde_json::from_value(written)? })
    }

    /// # Errors
    /// A sentence: it is not one of this family, or was written by a newer Foil.
    pub fn read(undo: &FamilyUndo) -> Result<Self, String> {
        let read = serde_json::from_value(Value::Object(undo.data.clone()));
        read.map_err(|why| format!("its undo cannot be read: {why}; if a newer Foil wrote it, clean up with that"))
    }

    /// Returns what it does, in words.
    pub fn in_words(&self) -> String {
        format!("{} ({})", self.act.in_words(), self.cluster.title())
    }

    /// Returns whether this has to be undone before what was done earlier.
    pub fn depends(&self, older: &Self) -> bool {
        if self.cluster != older.cluster {
            return false;
        }
        let (Some(newer), Some(older)) = (self.act.address(), older.act.address()) else { return false };
        newer == older
            || is_namespace_of(older, newer)
            || is_namespace_of(newer, older)
            // What decides over requests: as long as it is there, it may refuse what undoes the others, or need them.
            || [newer, older].iter().any(|address| address.group == "admissionregistration.k8s.io")
    }
}

fn is_namespace_of(space: &Address, object: &Address) -> bool {
    space.group.is_empty() && space.plural == "namespaces" && space.name.is_some() && space.name == object.namespace
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn created(plural: &str, namespace: Option<&str>, name: &str) -> KubeUndo {
        let group = if plural == "validatingadmissionpolicies" { "admissionregistration.k8s.io" } else { "" };
        let address = Address::new(group, "v1", plural, namespace, Some(name)).unwrap();
        let cluster = ClusterRef { kubeconfig: None, context: None, uid: "u".into() };
        KubeUndo { cluster, act: Act::Created { address } }
    }

    #[test]
    fn a_namespace_goes_after_what_is_in_it_and_the_rest_at_once() {
        let (space, pod) = (created("namespaces", None, "n"), created("pods", Some("n"), "p"));
        assert!(pod.depends(&space) && space.depends(&pod) && pod.depends(&pod));
        for other in
            [created("pods", Some("n"), "q"), created("pods", Some("m"), "p"), created("clusterroles", None, "n")]
        {
            assert!(!other.depends(&pod) && !pod.depends(&other), "{other:?}");
        }
        let elsewhere = ClusterRef { uid: "v".into(), ..space.cluster.clone() };
        assert!(!pod.depends(&KubeUndo { cluster: elsewhere, ..space.clone() }));
        // What decides over requests is undone in its turn.
        let policy = created("validatingadmissionpolicies", None, "p");
        assert!(policy.depends(&pod) && pod.depends(&policy));
    }

    #[test]
    fn an_undo_that_cannot_be_written_down_is_an_error() {
        use std::os::unix::ffi::OsStringExt as _;
        let KubeUndo { cluster, act } = created("pods", Some("n"), "p");
        let kubeconfig = Some(std::ffi::OsString::from_vec(b"/x\xff".to_vec()).into());
        assert!(KubeUndo::of(&ClusterRef { kubeconfig, ..cluster }, act).is_err());
    }

    #[test]
    fn what_an_earlier_foil_wrote_is_read_and_what_a_newer_one_wrote_is_said() {
        let undo = KubeUndo::of(&created("pods", Some("n"), "p").cluster, created("pods", Some("n"), "p").act).unwrap();
        assert_eq!(KubeUndo::read(&undo), Ok(created("pods", Some("n"), "p")));
        let written = json!({ "cluster": { "kubeconfig": null, "context": null, "uid": "u" }, "act": { "created": { "address":
            { "group": "", "version": "v1", "plural": "pods", "namespace": "n", "name": "p" } } } });
        assert_eq!(Value::Object(undo.data.clone()), written, "a change here needs a version");
        let mut newer = undo;
        newer.data.insert("version".to_owned(), json!(2));
        assert!(KubeUndo::read(&newer).is_err_and(|why| why.contains("newer")));
    }
}
