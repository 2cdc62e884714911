//! Undoing what families did: all at once that does not depend on each other, since most of the time is spent waiting.

use super::super::{Inner, Undo, fault};
use super::{FamilyUndo, Known, Row, UndoHost, content};
use foil_panics::caught;
use foil_record::UndoOutcome;
use foil_text::RunId;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Effects of one run that are undone at once.
const AT_ONCE: usize = 16;

type Act<'a> = (&'a Row, &'a FamilyUndo);

/// Undoes the rows that are of families, and says what came of each.
pub(super) fn undo_all(inner: &Inner, run: &RunId, host: &dyn UndoHost, rows: &[Row]) -> HashMap<i64, UndoOutcome> {
    let acts: Vec<Act<'_>> = rows.iter().filter_map(of_family).collect();
    let all = Mutex::new(HashMap::new());
    for wave in waves(&acts, &|newer, older| host.depend(newer, older)) {
        let next = AtomicUsize::new(0);
        let work = || {
            while let Some((row, undo)) = wave.get(next.fetch_add(1, Ordering::Relaxed)) {
                let outcome = caught(|| one(inner, run, host, row, undo));
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

fn of_family(row: &Row) -> Option<Act<'_>> {
    match &row.undo {
        Ok(Undo::Family(undo)) => Some((row, undo)),
        _ => None,
    }
}

fn one(inner: &Inner, run: &RunId, host: &dyn UndoHost, row: &Row, undo: &FamilyUndo) -> UndoOutcome {
    let kept = |number: i64| {
        let found = content(inner, number).map_err(|error| error.to_string())?;
        Ok(found.map(|(_, content)| content))
    };
    let known = Known { run, learned: row.told.clone(), kept: &kept };
    fault::point("undo.kube.before");
    let outcome = host.undo(undo, &known);
    fault::point("undo.kube.after");
    outcome
}

/// What may be undone at once, one wave after the other. The rows come newest first; of two that depend on each other the newer is of an
/// earlier wave.
fn waves<'a>(acts: &[Act<'a>], depend: &dyn Fn(&FamilyUndo, &FamilyUndo) -> bool) -> Vec<Vec<Act<'a>>> {
    let mut waves: Vec<Vec<Act<'a>>> = Vec::new();
    for act in acts {
        let after = waves.iter().rposition(|wave| wave.iter().any(|newer| depend(newer.1, act.1)));
        let place = after.map_or(0, |wave| wave.saturating_add(1));
        match waves.get_mut(place) {
            Some(wave) => wave.push(*act),
            None => waves.push(vec![*act]),
        }
    }
    waves
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::family::Families;
    use crate::{Effect, Journal, Learned, RunRecord};
    use serde_json::json;

    const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

    fn undo(name: &str) -> FamilyUndo {
        let data = json!({ "name": name }).as_object().cloned().unwrap();
        FamilyUndo { family: "things".into(), data }
    }

    /// Answers for each pod once it was asked for all eleven, and breaks off at one.
    #[derive(Debug, Default)]
    struct Slow {
        asked: Mutex<Vec<String>>,
        more: std::sync::Condvar,
    }

    impl Families for Slow {
        fn undo(&self, undo: &FamilyUndo, known: &Known<'_>) -> UndoOutcome {
            let name = self.in_words(undo);
            assert_eq!((known.kept)(77).unwrap(), None);
            let mut asked = self.asked.lock().unwrap();
            asked.push(name.clone());
            self.more.notify_all();
            if name != "namespace" {
                let (asked, waited) = self.more.wait_timeout_while(asked, PATIENCE, |asked| asked.len() < 11).unwrap();
                drop(asked);
                if waited.timed_out() {
                    return UndoOutcome::Failed("it was not asked for all at once".into());
                }
            }
            if name == "broken" {
                std::panic::panic_any("a library's secret");
            }
            UndoOutcome::Undone
        }

        fn depend(&self, newer: &FamilyUndo, older: &FamilyUndo) -> bool {
            newer == older || self.in_words(older) == "namespace"
        }

        fn in_words(&self, undo: &FamilyUndo) -> String {
            undo.data["name"].as_str().unwrap().to_owned()
        }
    }

    impl UndoHost for Slow {
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
        let journal = Journal::open(&folder.path().canonicalize().unwrap().join("state")).unwrap();
        let record = RunRecord {
            run: RunId::new(),
            started: crate::now(),
            experiment: "x".into(),
            technique: "x".into(),
            digest: "x".into(),
            environment: "x".into(),
            target: "x".into(),
            shield: "confined".into(),
            pid: 1,
        };
        let run = journal.begin(&record).unwrap();
        let pods = (0..10).map(|n| format!("p{n}")).chain(["broken".to_owned()]);
        for name in ["namespace".to_owned()].into_iter().chain(pods) {
            let undo = Undo::Family(undo(&name));
            let id = run.intend(&Effect { capability: "kube-write".into(), what: name, undo }).unwrap();
            run.applied(id, Learned::Object(&json!({ "uid": "u" }))).unwrap();
        }
        let host = Slow::default();
        let report = run.undo_all(&host).unwrap();
        assert_eq!(report.effects.len(), 12);
        let failed: Vec<_> = report.residue().collect();
        assert_eq!(failed.len(), 1, "{failed:?}");
        let why = format!("{failed:?}");
        assert!(why.contains("broken") && why.contains("broke off") && !why.contains("secret"), "{why}");
        assert_eq!(host.asked.lock().unwrap().last().map(String::as_str), Some("namespace"));
    }

    #[test]
    fn of_two_that_depend_on_each_other_the_newer_goes_first() {
        let row = |id: i64, name: &str| Row {
            id,
            what: name.into(),
            undo: Ok(Undo::Family(undo(name))),
            state: super::super::EffectState::Applied,
            learned: None,
            told: None,
            restoring: false,
        };
        let rows = [row(5, "c"), row(4, "b"), row(3, "c"), row(2, "namespace"), row(1, "a")];
        let acts: Vec<Act<'_>> = rows.iter().filter_map(of_family).collect();
        let host = Slow::default();
        let waves = waves(&acts, &|newer, older| host.depend(newer, older));
        let ids: Vec<Vec<i64>> = waves.iter().map(|wave| wave.iter().map(|(row, _)| row.id).collect()).collect();
        assert_eq!(ids, [vec![5, 4, 1], vec![3], vec![2]]);
    }
}
