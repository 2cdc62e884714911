//! Undoing what a run did to clusters: all at once that does not depend on each other, since most of the time is spent waiting.

use super::super::error::Result;
use super::super::{Inner, Undo, UndoOutcome, fault};
use super::{Row, UndoHost, content};
use crate::cluster::undo::{Act, Known};
use crate::cluster::{Address, ClusterRef};
use crate::panics::caught;
use foil_text::RunId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Effects of one run that are undone at once.
const AT_ONCE: usize = 16;

/// Undoes the rows that are about clusters, and says what came of each.
pub(super) fn undo_all(inner: &Inner, run: &RunId, host: &dyn UndoHost, rows: &[Row]) -> HashMap<i64, UndoOutcome> {
    let acts: Vec<(&Row, &ClusterRef, &Act)> = rows
        .iter()
        .filter_map(|row| match &row.undo {
            Ok(Undo::Kube { cluster, act }) => Some((row, cluster, act)),
            _ => None,
        })
        .collect();
    let all = Mutex::new(HashMap::new());
    for wave in waves(&acts) {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((row, cluster, act)) = wave.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = caught(|| one(inner, run, host, row, cluster, act));
                let outcome = outcome.unwrap_or_else(|broken| UndoOutcome::Failed(broken.to_string()));
                all.lock().unwrap_or_else(PoisonError::into_inner).insert(row.id, outcome);
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..wave.len().min(AT_ONCE) {
                // Without a further thread it takes longer, and nothing else.
                let _ = std::thread::Builder::new().name("foil-undo".into()).spawn_scoped(scope, work);
            }
            work();
        });
    }
    all.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn one(inner: &Inner, run: &RunId, host: &dyn UndoHost, row: &Row, cluster: &ClusterRef, act: &Act) -> UndoOutcome {
    let json = |row: i64| -> Result<Option<serde_json::Value>> {
        Ok(content(inner, row)?.and_then(|(_, content)| serde_json::from_slice(&content).ok()))
    };
    let contents = match act {
        Act::Patched { before, patch, .. } => json(*before).and_then(|before| Ok(before.zip(json(*patch)?))),
        _ => Ok(None),
    };
    let contents = match contents {
        Ok(contents) => contents,
        Err(error) => return UndoOutcome::Failed(error.to_string()),
    };
    let known = Known { run, learned: row.told.clone(), contents };
    fault::point("undo.kube.before");
    let outcome = host.undo_kube(cluster, act, &known);
    fault::point("undo.kube.after");
    outcome
}

/// What may be undone at once, one wave after the other. The rows come newest first; of two that depend on each other the newer is of an
/// earlier wave.
fn waves<'a>(acts: &[(&'a Row, &'a ClusterRef, &'a Act)]) -> Vec<Vec<(&'a Row, &'a ClusterRef, &'a Act)>> {
    let mut waves: Vec<Vec<(&'a Row, &'a ClusterRef, &'a Act)>> = Vec::new();
    for act in acts {
        let after = waves.iter().rposition(|wave| wave.iter().any(|newer| depend(newer.1, newer.2, act.1, act.2)));
        let place = after.map_or(0, |wave| wave.saturating_add(1));
        match waves.get_mut(place) {
            Some(wave) => wave.push(*act),
            None => waves.push(vec![*act]),
        }
    }
    waves
}

/// Whether the newer of two acts has to be undone before the older.
fn depend(newer_in: &ClusterRef, newer: &Act, older_in: &ClusterRef, older: &Act) -> bool {
    if newer_in != older_in {
        return false;
    }
    let (Some(newer), Some(older)) = (address(newer), address(older)) else { return false };
    newer == older
        || is_namespace_of(older, newer)
        || is_namespace_of(newer, older)
        // What decides over requests: as long as it is there, it may refuse what undoes the others, or need them.
        || [newer, older].iter().any(|address| address.group == "admissionregistration.k8s.io")
}

fn address(act: &Act) -> Option<&Address> {
    match act {
        Act::Created { address } | Act::Patched { address, .. } => Some(address),
        // Only looked at: whether the pod is gone that it was started in.
        Act::Started { pod, .. } => Some(pod),
        Act::Issued { .. } => None,
    }
}

fn is_namespace_of(space: &Address, object: &Address) -> bool {
    space.group.is_empty() && space.plural == "namespaces" && space.name.is_some() && space.name == object.namespace
}

#[cfg(test)]
mod tests {
    use super::super::super::EffectState;
    use super::*;

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

    fn row(id: i64, plural: &str, namespace: Option<&str>, name: &str) -> Row {
        let group = if plural == "validatingadmissionpolicies" { "admissionregistration.k8s.io" } else { "" };
        let address = Address::new(group, "v1", plural, namespace, Some(name)).unwrap();
        let cluster = ClusterRef { kubeconfig: None, context: None, uid: "u".into() };
        let undo = Undo::Kube { cluster, act: Act::Created { address } };
        Row {
            id,
            what: name.into(),
            undo: Ok(undo),
            state: EffectState::Applied,
            learned: None,
            told: None,
            restoring: false,
        }
    }

    fn acts(rows: &[Row]) -> Vec<(&Row, &ClusterRef, &Act)> {
        let acts = rows.iter().map(|row| match &row.undo {
            Ok(Undo::Kube { cluster, act }) => (row, cluster, act),
            _ => unreachable!(),
        });
        acts.collect()
    }

    #[test]
    fn a_namespace_goes_after_what_is_in_it_and_the_rest_at_once() {
        let rows = [
            row(6, "pods", Some("n"), "c"),
            row(5, "pods", Some("n"), "b"),
            row(4, "clusterroles", None, "r"),
            row(3, "pods", Some("n"), "c"),
            row(2, "namespaces", None, "n"),
            row(1, "pods", Some("other"), "a"),
        ];
        let ids: Vec<Vec<i64>> =
            waves(&acts(&rows)).iter().map(|wave| wave.iter().map(|(row, ..)| row.id).collect()).collect();
        assert_eq!(ids, [vec![6, 5, 4, 1], vec![3], vec![2]]);
    }

    #[test]
    fn what_decides_over_requests_is_undone_in_its_turn() {
        let rows = [
            row(3, "pods", Some("n"), "b"),
            row(2, "validatingadmissionpolicies", None, "p"),
            row(1, "pods", Some("n"), "a"),
        ];
        assert_eq!(waves(&acts(&rows)).len(), 3);
    }

    /// A cluster that answers for a pod once it was asked for all eleven, and breaks off at one.
    #[derive(Debug, Default)]
    struct Slow {
        asked: Mutex<Vec<String>>,
        more: std::sync::Condvar,
    }

    impl UndoHost for Slow {
        fn undo_kube(&self, _: &ClusterRef, act: &Act, _: &Known<'_>) -> UndoOutcome {
            let name = act.in_words();
            let mut asked = self.asked.lock().unwrap();
            asked.push(name.clone());
            self.more.notify_all();
            if name.contains("pods") {
                let (asked, waited) = self.more.wait_timeout_while(asked, PATIENCE, |asked| asked.len() < 11).unwrap();
                drop(asked);
                if waited.timed_out() {
                    return UndoOutcome::Failed("it was not asked for all at once".into());
                }
            }
            if name.contains("broken") {
                std::panic::panic_any("a library's secret");
            }
            UndoOutcome::Undone
        }

        fn delete_audit_rules(&self, _: &[Vec<u8>], _: bool) -> std::result::Result<(), String> {
            Ok(())
        }

        fn audit_state(&self, _: &[Vec<u8>]) -> std::result::Result<super::super::AuditState, String> {
            Err("no audit".into())
        }
    }

    #[test]
    fn ten_objects_are_undone_at_once_and_a_fault_in_one_undo_is_that_ones() {
        let folder = tempfile::tempdir().unwrap();
        let journal = crate::journal::Journal::open(&folder.path().canonicalize().unwrap().join("state")).unwrap();
        let record = crate::journal::RunRecord {
            run: RunId::new(),
            started: crate::journal::now(),
            experiment: "x".into(),
            technique: "x".into(),
            digest: "x".into(),
            environment: "x".into(),
            target: "x".into(),
            shield: "confined".into(),
            pid: 1,
        };
        let run = journal.begin(&record).unwrap();
        let mut made = vec![row(0, "namespaces", None, "n")];
        made.extend((0..10).map(|n| row(n, "pods", Some("n"), &format!("p{n}"))));
        made.push(row(11, "pods", Some("n"), "broken"));
        for row in made {
            let effect =
                crate::journal::Effect { capability: "kube-write".into(), what: row.what, undo: row.undo.unwrap() };
            let id = run.intend(&effect).unwrap();
            run.applied(id, crate::journal::Learned::Object(&serde_json::json!({"uid": "u"}))).unwrap();
        }
        let host = Slow::default();
        let report = run.undo_all(&host).unwrap();
        assert_eq!(report.effects.len(), 12);
        let failed: Vec<_> = report.residue().collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        let why = format!("{failed:?}");
        assert!(why.contains("broken") && why.contains("broke off") && !why.contains("secret"), "{why}");
        assert_eq!(host.asked.lock().unwrap().last().map(String::as_str), Some("delete namespaces n"));
    }
}
