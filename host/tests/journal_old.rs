//! A journal that an earlier Foil wrote is still cleaned up.

use foil::campaign::Machine;
use foil_journal::{Journal, Scope};
use foil_record::UndoOutcome;
use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

/// A state folder and a folder to change.
struct Bench {
    _dir: tempfile::TempDir,
    state: PathBuf,
    work: PathBuf,
}

const RUN: &str = "01m8nzpcgt8ashahfwkymksb8r";

/// `tests/fixtures/journal-1.sql` as the journal of a state folder.
fn of_format_1(bench: &Bench) {
    let owner = rustix::process::geteuid().as_raw().to_string();
    let written = include_str!("fixtures/journal-1.sql")
        .replace("@WORK@", bench.work.to_str().unwrap())
        .replace("@OWNER@", &owner);
    fs::DirBuilder::new().mode(0o700).create(&bench.state).unwrap();
    let path = bench.state.join("journal.db");
    fs::File::options().write(true).create_new(true).mode(0o600).open(&path).unwrap();
    rusqlite::Connection::open(path).unwrap().execute_batch(&written).unwrap();
}

#[test]
fn what_an_earlier_version_wrote_down_is_undone() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().canonicalize().unwrap();
    let bench = Bench { state: base.join("state"), work: base.join("work"), _dir: dir };
    fs::create_dir(&bench.work).unwrap();
    let (scratch, made) = (bench.work.join(format!("foil-{RUN}")), bench.work.join("made"));
    fs::create_dir_all(&scratch).unwrap();
    fs::write(scratch.join("left"), "x").unwrap();
    fs::write(&made, "made").unwrap();
    of_format_1(&bench);
    let journal = Journal::open(&bench.state).unwrap();
    let words: Vec<String> = journal
        .to_recover()
        .unwrap()
        .iter()
        .map(|effect| effect.undo.as_ref().expect("it can be read").in_words(&Machine))
        .collect();
    assert!(words.contains(&"delete pods n/p (the context `c`)".to_owned()), "{words:#?}");
    let reports = journal.recover(Scope::DeadAndResidue, &Machine, &mut |_, _| {}).unwrap();
    let [report] = &reports[..] else { panic!("one: {reports:?}") };
    assert!(!scratch.exists() && !made.exists(), "{report:?}");
    let of = |what: &str| &report.effects.iter().find(|(of, _)| of == what).expect(what).1;
    assert_eq!((of("make the scratch folder"), of("write made")), (&UndoOutcome::Undone, &UndoOutcome::Undone));
    // There is no such cluster here; it was asked for.
    for what in ["create pods n/p", "change pods n/p"] {
        assert!(matches!(of(what), UndoOutcome::Failed(why) if why.contains("/nowhere/kubeconfig")), "{:?}", of(what));
    }
    assert!(matches!(of("issue a token"), UndoOutcome::Irrevocable(why) if why.starts_with("a token")));
}
