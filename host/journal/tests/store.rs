//! The file itself: who may have it, what a broken one does, several processes, the audit chain, pruning, clean-up by hand.

mod support;

use foil_journal::family::{Families, FamilyUndo, Known};
use foil_journal::{Journal, JournalError, NoHost, Scope, UndoHost};
use foil_record::UndoOutcome;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use std::time::Duration;
use support::{Actor, Bench, record};

fn refusal(bench: &Bench) -> String {
    format!("{:#}", Journal::open(&bench.state).unwrap_err())
}

fn recover(journal: &Journal) -> Vec<foil_record::UndoReport> {
    journal.recover(Scope::DeadAndResidue, &NoHost, &mut |_, _| {}).unwrap()
}

#[test]
fn a_journal_that_others_could_have_written_is_refused() {
    let bench = Bench::new();
    let path = bench.journal().path().to_path_buf();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    for mode in [0o666, 0o620, 0o602] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(refusal(&bench).contains("others can write it"), "{mode:o}");
    }
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    bench.journal();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "only readable: closed again");
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        assert!(refusal(&bench).contains("belongs to uid 65534"));
        std::os::unix::fs::chown(&path, Some(0), None).unwrap();
        std::os::unix::fs::chown(&bench.state, Some(65534), None).unwrap();
        assert!(refusal(&bench).contains("state folder"));
        std::os::unix::fs::chown(&bench.state, Some(0), None).unwrap();
        // Whoever owns a folder above can put another one in its place.
        let above = bench.state.parent().unwrap();
        std::os::unix::fs::chown(above, Some(65534), None).unwrap();
        let said = refusal(&bench);
        assert!(said.contains("choose another with --state") && said.contains(above.to_str().unwrap()), "{said}");
        // Nothing is created below such a folder either.
        let below = above.join("theirs");
        fs::create_dir(&below).unwrap();
        std::os::unix::fs::chown(&below, Some(65534), None).unwrap();
        std::os::unix::fs::chown(above, Some(0), None).unwrap();
        assert!(Journal::open(&below.join("new/state")).is_err());
        assert!(!below.join("new").exists());
    }
    let wal = bench.state.join("journal.db-wal");
    let _ = fs::remove_file(&wal);
    fs::write(&wal, "").unwrap();
    fs::set_permissions(&wal, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(refusal(&bench).contains("journal.db-wal"));
    fs::remove_file(&wal).unwrap();
    fs::rename(&path, bench.work.join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(bench.work.join("elsewhere"), &path).unwrap();
    assert!(refusal(&bench).contains("no regular file"));
}

#[test]
fn damaged_newer_and_foreign_files_are_refused_in_a_sentence() {
    let bench = Bench::new();
    let path = bench.journal().path().to_path_buf();
    let sound = fs::read(&path).unwrap();
    for (damage, word) in [(vec![b'x'; 8192], "damaged"), (sound[..sound.len() / 2].to_vec(), "damaged")] {
        for suffix in ["-wal", "-shm"] {
            let _ = fs::remove_file(bench.state.join(format!("journal.db{suffix}")));
        }
        fs::write(&path, damage).unwrap();
        let said = refusal(&bench);
        assert!(said.contains(word) && said.contains("keep a copy"), "{said}");
    }
    fs::write(&path, &sound).unwrap();
    let sql = |text| rusqlite::Connection::open(&path).unwrap().execute_batch(text).unwrap();
    sql("UPDATE schema SET version = 99");
    assert!(refusal(&bench).contains("written by a newer Foil"));
    fs::remove_file(&path).unwrap();
    sql("CREATE TABLE mine (x)");
    assert!(refusal(&bench).contains("no journal of Foil"));
}

#[test]
fn an_unreadable_undo_is_residue_and_stops_nothing() {
    let bench = Bench::new();
    let journal = bench.journal();
    let run = journal.begin(&record()).unwrap();
    Actor(&run).create(&bench.work.join("a"), b"a");
    Actor(&run).create(&bench.work.join("b"), b"b");
    let db = rusqlite::Connection::open(journal.path()).unwrap();
    db.execute("UPDATE effects SET undo = '{\"format-disk\":{}}' WHERE path LIKE '%/b'", []).unwrap();
    let report = run.undo_all(&NoHost).unwrap();
    assert_eq!(report.residue().count(), 1);
    assert!(!bench.work.join("a").exists() && bench.work.join("b").exists());
}

#[test]
fn a_live_run_is_not_recovered_and_a_dead_one_only_once() {
    let bench = Bench::new();
    let (journal, other) = (bench.journal(), bench.journal());
    let run = journal.begin(&record()).unwrap();
    let file = bench.work.join("file");
    Actor(&run).create(&file, b"x");
    assert!(recover(&other).is_empty() && file.exists());
    assert_eq!(other.live().unwrap().len(), 1);
    assert!(matches!(other.forget(run.run()), Err(JournalError::Alive(_))));
    assert!(journal.begin(&foil_journal::RunRecord { run: run.run().clone(), ..record() }).is_err());
    drop(run);
    // Two at once: each effect is undone by one of them.
    let undone: usize = std::thread::scope(|scope| {
        let workers: Vec<_> = [&journal, &other].map(|j| scope.spawn(|| recover(j))).into_iter().collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).map(|r| r.effects.len()).sum()
    });
    assert_eq!((undone, file.exists()), (1, false));
    assert!(recover(&journal).is_empty());
}

#[test]
fn what_keeps_one_run_from_being_recovered_is_said_and_the_others_are_recovered() {
    let bench = Bench::new();
    let journal = bench.journal();
    let runs = [(); 3].map(|()| journal.begin(&record()).unwrap());
    let files = ["a", "b", "c"].map(|name| bench.work.join(name));
    for (run, file) in runs.iter().zip(&files) {
        Actor(run).create(file, b"x");
    }
    let broken = runs[1].run().to_string();
    drop(runs);
    let db = rusqlite::Connection::open(journal.path()).unwrap();
    let when = format!("NEW.run = '{broken}' AND NEW.finished IS NOT NULL");
    let trigger = format!("CREATE TRIGGER t BEFORE UPDATE ON runs WHEN {when} BEGIN SELECT RAISE(ABORT, 'no'); END");
    db.execute_batch(&trigger).unwrap();
    let reports = recover(&journal);
    assert!(reports.len() == 3 && files.iter().all(|file| !file.exists()), "{reports:?}");
    for report in &reports {
        let residue: Vec<_> = report.residue().collect();
        assert_eq!(residue.len(), usize::from(report.run == broken), "{residue:?}");
        assert!(residue.iter().all(|(what, _)| what == "the journal"), "{residue:?}");
    }
    db.execute_batch("DROP TRIGGER t").unwrap();
    assert!(recover(&journal).iter().all(|report| report.residue().next().is_none()));
    assert!(journal.runs().unwrap().iter().all(|run| run.finished.is_some()));
}

#[test]
fn a_finished_run_takes_nothing_more() {
    let bench = Bench::new();
    let run = bench.journal().begin(&record()).unwrap();
    run.finish("pass", &json!({ "links": [] })).unwrap();
    assert!(run.intend_create("f", "w", &bench.work.join("x"), b"").is_err());
    assert!(run.finish("pass", &json!(null)).is_err());
    let runs = bench.journal().runs().unwrap();
    assert_eq!((runs[0].outcome.as_deref(), runs[0].live), (Some("pass"), false));
    assert_eq!(runs[0].verdict, Some(json!({ "links": [] })));
}

#[test]
fn secrets_of_a_pre_image_are_gone_from_the_disk_once_undone() {
    let bench = Bench::new();
    let (file, secret) = (bench.work.join("file"), b"correct horse battery staple");
    fs::write(&file, secret).unwrap();
    let contains = || {
        fs::read_dir(&bench.state)
            .unwrap()
            .flatten()
            .any(|e| fs::read(e.path()).is_ok_and(|bytes| bytes.windows(secret.len()).any(|window| window == secret)))
    };
    let run = bench.journal().begin(&record()).unwrap();
    Actor(&run).write(&file, b"other");
    assert!(contains());
    run.undo_all(&NoHost).unwrap();
    run.finish("test", &json!(null)).unwrap();
    assert!(!contains());
}

#[test]
fn residue_stays_until_it_is_mended_or_accepted() {
    let bench = Bench::new();
    let journal = bench.journal();
    let begin = |name: &str| {
        let run = journal.begin(&record()).unwrap();
        let path = bench.work.join(name);
        fs::write(&path, "before").unwrap();
        Actor(&run).write(&path, b"ours");
        fs::write(&path, "theirs").unwrap();
        run.undo_all(&NoHost).unwrap();
        run.finish("residue", &json!(null)).unwrap();
        (run.run().clone(), path)
    };
    let ((mended, path), (accepted, _)) = (begin("mended"), begin("accepted"));
    assert_eq!(recover(&journal).len(), 2, "tried again, and said again");
    fs::write(&path, "ours").unwrap();
    let reports = recover(&journal);
    let of = |run: &foil_text::RunId| &reports.iter().find(|r| r.run == run.as_str()).unwrap().effects[0].1;
    assert_eq!((of(&mended), fs::read(&path).unwrap()), (&UndoOutcome::Undone, b"before".to_vec()));
    assert!(matches!(of(&accepted), UndoOutcome::Conflict(_)));
    assert_eq!(journal.prune(Duration::ZERO).unwrap().runs, 1, "residue is kept");
    assert_eq!(journal.forget(&accepted).unwrap(), 1);
    assert!(recover(&journal).is_empty() && journal.residue().unwrap().is_empty());
    assert_eq!(journal.prune(Duration::ZERO).unwrap().runs, 1);
    assert!(journal.runs().unwrap().is_empty());
}

#[test]
fn the_audit_chain_shows_every_cut_and_outlives_pruning() {
    let bench = Bench::new();
    let (journal, other) = (bench.journal(), bench.journal());
    for n in 0..20 {
        let writer = if n % 2 == 0 { &journal } else { &other };
        writer.audit(None, &json!({ "n": n })).unwrap();
        writer.flush().unwrap();
    }
    let whole = journal.verify_chain().unwrap();
    assert_eq!((whole.rows, &whole.cut), (20, &None));
    let db = rusqlite::Connection::open(journal.path()).unwrap();
    for (tamper, word) in [
        ("UPDATE audit SET event = '{\"n\":99}' WHERE id = 7", "row 7 was changed"),
        ("UPDATE audit SET run = '' WHERE id = 7", "row 7 was changed"),
        ("DELETE FROM audit WHERE id = 7", "row 7 is missing"),
        ("DELETE FROM audit WHERE id > 15", "the end was cut off"),
        ("DELETE FROM audit WHERE id < 3", "row 1 is missing"),
    ] {
        db.execute_batch("CREATE TABLE copy AS SELECT * FROM audit").unwrap();
        db.execute_batch(tamper).unwrap();
        let cut = journal.verify_chain().unwrap().cut.unwrap();
        assert!(cut.contains(word), "{tamper}: {cut}");
        db.execute_batch("DELETE FROM audit; INSERT INTO audit SELECT * FROM copy; DROP TABLE copy").unwrap();
    }
    assert_eq!(journal.verify_chain().unwrap(), whole);
    db.execute("UPDATE audit_ends SET hash = zeroblob(32) WHERE which = 'head'", []).unwrap();
    assert!(journal.verify_chain().unwrap().cut.is_some());
    db.execute("UPDATE audit_ends SET hash = (SELECT hash FROM audit WHERE id = 20) WHERE which = 'head'", []).unwrap();

    std::thread::sleep(Duration::from_millis(300));
    journal.audit(None, &json!({ "late": true })).unwrap();
    journal.flush().unwrap();
    assert_eq!(journal.prune(Duration::from_millis(150)).unwrap().audit, 20);
    let rest = journal.verify_chain().unwrap();
    assert_eq!((rest.rows, rest.cut), (1, None));
    journal.prune(Duration::ZERO).unwrap();
    journal.audit(None, &json!({ "new": true })).unwrap();
    let rest = journal.verify_chain().unwrap();
    assert_eq!((rest.rows, rest.cut), (1, None));
}

#[test]
fn audit_events_are_not_lost_without_an_effect() {
    let bench = Bench::new();
    bench.journal().audit(None, &json!({ "decision": "denied" })).unwrap();
    assert_eq!(bench.journal().audit_rows(None, 10).unwrap().len(), 1, "written at drop");
}

/// Rules that a host would hold in the kernel.
struct Rules(std::sync::Mutex<(Vec<Vec<u8>>, bool)>, bool);

impl Families for Rules {
    fn undo(&self, undo: &FamilyUndo, known: &Known<'_>) -> UndoOutcome {
        NoHost.undo(undo, known)
    }

    fn depend(&self, newer: &FamilyUndo, older: &FamilyUndo) -> bool {
        NoHost.depend(newer, older)
    }

    fn in_words(&self, undo: &FamilyUndo) -> String {
        NoHost.in_words(undo)
    }
}

impl UndoHost for Rules {
    fn delete_audit_rules(&self, rules: &[Vec<u8>], disable: bool) -> Result<(), String> {
        let mut state = self.0.lock().unwrap();
        if self.1 {
            state.0.retain(|rule| !rules.contains(rule));
            state.1 &= !disable;
        }
        Ok(())
    }

    fn audit_state(&self, rules: &[Vec<u8>]) -> Result<foil_journal::AuditState, String> {
        let state = self.0.lock().unwrap();
        let present = rules.iter().filter(|rule| state.0.contains(rule)).count();
        Ok(foil_journal::AuditState { present, enabled: state.1 })
    }
}

#[test]
fn audit_rules_are_taken_away_and_looked_for() {
    for (works, expected) in [(true, true), (false, false)] {
        let bench = Bench::new();
        let host = Rules(std::sync::Mutex::new((vec![vec![1], vec![2]], true)), works);
        let run = bench.journal().begin(&record()).unwrap();
        let undo = foil_journal::Undo::AuditRules { rules: vec!["01".into()], disable: true };
        run.intend(&foil_journal::Effect { capability: "host".into(), what: "rules".into(), undo }).unwrap();
        let report = run.undo_all(&host).unwrap();
        assert_eq!(report.residue().next().is_none(), expected, "{report:?}");
        if works {
            assert_eq!(*host.0.lock().unwrap(), (vec![vec![2]], false));
        }
    }
}
