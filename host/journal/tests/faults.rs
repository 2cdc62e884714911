//! `kill -9` at every boundary of the journal, then a clean-up, then a look: everything is as before.
//! Run with `cargo test -p foil-journal --features faults --test faults`.

mod support;

use foil_journal::{Journal, NoHost, Scope, fault};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::{Actor, Bench, odd_file, record, snapshot};

fn prepare(work: &Path) {
    odd_file(&work.join("odd"), b"an odd file");
    fs::write(work.join("log"), "line\n").unwrap();
    fs::write(work.join("gone"), "to be deleted").unwrap();
    fs::write(work.join("child"), "a child may write this").unwrap();
    symlink("odd", work.join("link")).unwrap();
}

/// A run with every kind of effect, some of them on the same file.
fn act(state: &Path, work: &Path) {
    let journal = Journal::open(state).unwrap();
    let run = journal.begin(&record()).unwrap();
    let actor = Actor(&run);
    let at = |name: &str| work.join(name);
    let scratch = actor.scratch(work);
    fs::create_dir_all(scratch.join("a/b")).unwrap();
    fs::write(scratch.join("a/file"), "").unwrap();
    actor.directory(&at("dir"));
    actor.create(&at("dir/new"), b"new");
    actor.append(&at("dir/new"), b" and more");
    actor.write(&at("odd"), b"ours, longer than what was there before");
    actor.write(&at("odd"), b"ours again");
    actor.append(&at("log"), b"our line\n");
    actor.unknown(&at("child"), || fs::write(at("child"), "what a child wrote").unwrap());
    actor.remove(&at("gone"));
    actor.create(&at("gone"), b"in its place");
    actor.remove(&at("link"));
    let refused = run.intend_create("files-write", "refused", &at("refused"), b"x").unwrap();
    run.refused(refused, "a test").unwrap();
    journal.audit(Some(run.run()), &serde_json::json!({ "decision": "denied" })).unwrap();
    let report = run.undo_all(&NoHost).unwrap();
    assert_eq!(report.residue().collect::<Vec<_>>(), Vec::<&(String, _)>::new());
    run.finish("test", &serde_json::Value::Null).unwrap();
}

/// Not a test: what the tests below start and kill.
#[test]
#[ignore = "started by the others"]
fn child() {
    let base = PathBuf::from(std::env::var_os("FOIL_TEST_BASE").unwrap());
    if std::env::var_os("FOIL_TEST_RECOVER").is_some() {
        let journal = Journal::open(&base.join("state")).unwrap();
        journal.recover(Scope::DeadAndResidue, &NoHost, &mut |_, _| {}).unwrap();
    } else {
        act(&base.join("state"), &base.join("work"));
    }
}

/// Runs the child with a fault; true when it was killed there.
fn killed(bench: &Bench, point: &str, hit: u32, recover: bool) -> bool {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "child", "--ignored"]).env("FOIL_FAULT", format!("{point}:{hit}"));
    command.env("FOIL_TEST_BASE", bench.work.parent().unwrap());
    if recover {
        command.env("FOIL_TEST_RECOVER", "1");
    }
    let output = command.output().unwrap();
    assert!(output.status.success() || output.status.signal() == Some(9), "{point}:{hit}: {output:?}");
    !output.status.success()
}

/// Whether the only thing that a killed run may leave in doubt is what a child did to a file in the moment between.
fn in_doubt(point: &str) -> bool {
    matches!(point, "effect.after" | "applied.before")
}

fn recovered(bench: &Bench, before: &std::collections::BTreeMap<PathBuf, support::Seen>, at: &str, doubt: bool) {
    let journal = bench.journal();
    let reports = journal.recover(Scope::DeadAndResidue, &NoHost, &mut |_, _| {}).unwrap();
    let residue: Vec<_> = reports.iter().flat_map(|r| r.residue()).collect();
    let child = bench.work.join("child");
    if doubt && residue.len() == 1 && residue[0].0.contains(child.to_str().unwrap()) {
        // Said, and not touched.
        assert_eq!(fs::read(&child).unwrap(), b"what a child wrote");
        return;
    }
    assert!(residue.is_empty(), "{at}: {residue:?}");
    assert_eq!(&snapshot(&bench.work), before, "{at}");
    let runs = journal.runs().unwrap();
    assert!(runs.iter().all(|r| r.finished.is_some() && r.open == 0 && !r.live), "{at}: {runs:?}");
    assert!(journal.live().unwrap().is_empty(), "{at}: a lock is left");
    assert_eq!(journal.verify_chain().unwrap().cut, None, "{at}");
    let kept: i64 = rusqlite::Connection::open(journal.path())
        .unwrap()
        .query_row("SELECT count(*) FROM preimages", [], |row| row.get(0))
        .unwrap();
    assert_eq!(kept, 0, "{at}: pre-images are left");
}

#[test]
fn killed_anywhere_everything_comes_back() {
    let mut reached = BTreeSet::new();
    for point in fault::POINTS {
        for hit in 1.. {
            let bench = Bench::new();
            prepare(&bench.work);
            let before = snapshot(&bench.work);
            let killed = killed(&bench, point, hit, false);
            recovered(&bench, &before, &format!("{point}:{hit}"), in_doubt(point));
            if !killed {
                break;
            }
            reached.insert(*point);
        }
    }
    // Those of a cluster take one: `tests/tests/kube_faults.rs` dies at them.
    let elsewhere = |p: &str| p.starts_with("undo.kube.");
    let missed: Vec<_> = fault::POINTS.iter().filter(|p| !reached.contains(*p) && !elsewhere(p)).collect();
    assert!(missed.is_empty(), "never passed: {missed:?}");
}

#[test]
fn killed_in_the_recovery_the_next_one_finishes() {
    for point in fault::POINTS.iter().filter(|p| p.starts_with("undo.") || p.starts_with("purge.")) {
        for hit in 1.. {
            let bench = Bench::new();
            prepare(&bench.work);
            let before = snapshot(&bench.work);
            assert!(killed(&bench, "undo.start", 1, false));
            // Three recoveries die at the same point, each a bit further on or at the same place.
            let died = (0..3).filter(|_| killed(&bench, point, hit, true)).count();
            recovered(&bench, &before, &format!("recovery {point}:{hit}"), false);
            if died == 0 {
                break;
            }
        }
    }
}
