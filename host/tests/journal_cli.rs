//! What `foil cleanup`, `foil abort` and `foil journal` do and say.

#[path = "../journal/tests/support/mod.rs"]
mod support;

use foil_journal::Journal;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use support::{Actor, Bench, record};

/// Not a test: a process that holds a run and waits.
#[test]
#[ignore = "started by the others"]
fn holder() {
    let base = PathBuf::from(std::env::var_os("FOIL_TEST_BASE").unwrap());
    let run = Journal::open(&base.join("state")).unwrap().begin(&record()).unwrap();
    Actor(&run).create(&base.join("work/held"), b"x");
    fs::write(base.join("ready"), "").unwrap();
    std::thread::sleep(Duration::from_secs(60));
}

#[test]
fn abort_stops_a_live_run_and_cleans_up_after_it() {
    let bench = Bench::new();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder", "--ignored"])
        .env("FOIL_TEST_BASE", bench.work.parent().unwrap())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(30);
    while !bench.work.parent().unwrap().join("ready").exists() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Nobody waits for the child until abort has ended, so that it is a zombie for a while: the lock tells the truth.
    let output = Command::new(env!("CARGO_BIN_EXE_foil"))
        .args(["abort", "--state", bench.state.to_str().unwrap()])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    child.kill().ok();
    child.wait().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(said.contains(&format!("process {} asked to stop", child.id())) && said.contains("1 undone"), "{said}");
    assert!(!bench.work.join("held").exists());
}

#[test]
fn the_command_says_what_it_did_and_what_is_left() {
    let bench = Bench::new();
    let path = bench.work.join("file");
    let id = {
        let journal = bench.journal();
        let run = journal.begin(&record()).unwrap();
        Actor(&run).create(&path, b"ours");
        Actor(&run).create(&bench.work.join("other\u{1b}[31m"), b"ours");
        fs::write(&path, "theirs").unwrap();
        run.run().to_string()
    };
    let foil = |args: &[&str]| {
        let output =
            Command::new(env!("CARGO_BIN_EXE_foil")).arg("--state").arg(&bench.state).args(args).output().unwrap();
        (
            output.status.code().unwrap(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (code, said, _) = foil(&["cleanup", "--dry-run"]);
    assert!(code == 0 && said.contains(&format!("remove {}", path.display())), "{said}");
    assert!(bench.work.join("other\u{1b}[31m").exists(), "a dry run does nothing");
    let (code, said, _) = foil(&["cleanup"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("conflict") && said.contains("1 undone") && !said.contains('\u{1b}'), "{said}");
    let (code, said, _) = foil(&["journal", "residue", "--format", "json"]);
    let residue: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, residue.as_array().unwrap().len()), (4, 1));
    // Where there is no terminal a row is a line, whatever is in it.
    for (what, rows) in [(&["journal"][..], 1), (&["journal", "effects", &id], 2), (&["journal", "residue"], 1)] {
        let (_, said, _) = foil(what);
        assert!(said.lines().count() == rows + 1 && !said.contains('\u{1b}'), "{what:?}: {said}");
    }
    let (code, said, _) = foil(&["cleanup", "--format", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((code, &report["residue"]), (4, &json!(1)));
    assert_eq!(foil(&["cleanup", "--forget", &id]).0, 0);
    let (code, said, _) = foil(&["cleanup"]);
    assert_eq!((code, said.as_str()), (0, "Nothing to clean up.\n"));
    assert_eq!(foil(&["journal", "verify"]).0, 0);
    assert_eq!(foil(&["journal", "prune", "--older-than", "0h"]).1, "Removed 1 run(s) and 0 audit row(s).\n");
    for bad in [
        &["journal", "effects", &id][..],
        &["cleanup", "--forget", "nonsense"],
        &["journal", "prune", "--older-than", "x"],
    ] {
        let (code, _, said) = foil(bad);
        assert!(code == 2 && !said.is_empty(), "{bad:?}: {code} {said}");
    }
}
