//! Undo puts everything back, and overwrites nothing that somebody else did.

mod support;

use foil_journal::{Change, Effect, JournalError, NoHost, Preimage, Scope, Undo};
use foil_record::{UndoOutcome, UndoReport};
use foil_safe_path::fingerprint;
use proptest::prelude::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use support::{Actor, Bench, odd_file, record, snapshot};

fn recover(bench: &Bench) -> Vec<UndoReport> {
    bench.journal().recover(Scope::DeadAndResidue, &NoHost, &mut |_, _| {}).unwrap()
}

/// Acts in a run, lets somebody else act, undoes; returns the outcomes, newest effect first.
fn outcomes(bench: &Bench, act: impl FnOnce(&Actor<'_>), meanwhile: impl FnOnce()) -> Vec<UndoOutcome> {
    let run = bench.journal().begin(&record()).unwrap();
    act(&Actor(&run));
    meanwhile();
    let report = run.undo_all(&NoHost).unwrap();
    run.finish("test", &serde_json::Value::Null).unwrap();
    report.effects.into_iter().map(|(_, outcome)| outcome).collect()
}

fn conflict(outcomes: &[UndoOutcome], word: &str) {
    assert!(matches!(outcomes, [UndoOutcome::Conflict(why)] if why.contains(word)), "{outcomes:?}");
}

#[derive(Debug, Clone)]
enum Op {
    Create(u8, Vec<u8>),
    Write(u8, Vec<u8>),
    Append(u8, Vec<u8>),
    Remove(u8),
    Directory(u8),
    Unknown(u8, Vec<u8>),
}

fn op() -> impl Strategy<Value = Op> {
    let name = 0u8..6;
    let bytes = proptest::collection::vec(any::<u8>(), 0..20);
    prop_oneof![
        (name.clone(), bytes.clone()).prop_map(|(n, b)| Op::Create(n, b)),
        (name.clone(), bytes.clone()).prop_map(|(n, b)| Op::Write(n, b)),
        (name.clone(), bytes.clone()).prop_map(|(n, b)| Op::Append(n, b)),
        name.clone().prop_map(Op::Remove),
        name.clone().prop_map(Op::Directory),
        (name, bytes).prop_map(|(n, b)| Op::Unknown(n, b)),
    ]
}

/// Names 0 to 2 are at the top, 3 to 5 in folder 0 (where that is made).
fn name(work: &Path, n: u8) -> std::path::PathBuf {
    if n < 3 { work.join(format!("f{n}")) } else { work.join("f0").join(format!("g{n}")) }
}

proptest! {
    // Each case makes files and syncs them.
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_effects_is_undone(ops in proptest::collection::vec(op(), 1..14), crash: bool) {
        let bench = Bench::new();
        odd_file(&bench.work.join("f1"), b"one");
        fs::write(bench.work.join("f2"), "two").unwrap();
        let before = snapshot(&bench.work);
        let journal = bench.journal();
        let run = journal.begin(&record()).unwrap();
        let actor = Actor(&run);
        for op in &ops {
            let path = match op {
                Op::Create(n, _) | Op::Write(n, _) | Op::Append(n, _) | Op::Remove(n) | Op::Directory(n)
                | Op::Unknown(n, _) => name(&bench.work, *n),
            };
            let (is_file, is_free) = (path.is_file(), !path.exists() && path.parent().unwrap().is_dir());
            match op {
                Op::Create(_, content) if is_free => actor.create(&path, content),
                Op::Directory(_) if is_free => actor.directory(&path),
                Op::Write(_, content) if is_file => actor.write(&path, content),
                Op::Append(_, content) if is_file => actor.append(&path, content),
                Op::Remove(_) if is_file => actor.remove(&path),
                // As `sed -i` does: another file under the same name.
                Op::Unknown(_, content) if is_file => actor.unknown(&path, || {
                    fs::write(bench.work.join("new"), content).unwrap();
                    fs::rename(bench.work.join("new"), &path).unwrap();
                }),
                _ => {}
            }
        }
        if crash {
            drop(run);
            for report in recover(&bench) {
                prop_assert_eq!(report.residue().next(), None);
            }
        } else {
            let report = run.undo_all(&NoHost).unwrap();
            prop_assert_eq!(report.residue().next(), None);
            // Once more finds nothing open.
            prop_assert!(run.undo_all(&NoHost).unwrap().effects.is_empty());
        }
        prop_assert_eq!(snapshot(&bench.work), before);
    }
}

#[test]
fn somebody_elses_changes_are_left_alone() {
    let bench = Bench::new();
    let file = bench.work.join("file");
    fs::write(&file, "before").unwrap();

    let got = outcomes(&bench, |a| a.write(&file, b"ours"), || fs::write(&file, "theirs").unwrap());
    conflict(&got, "changed it meanwhile");
    assert_eq!(fs::read(&file).unwrap(), b"theirs");

    let got = outcomes(&bench, |a| a.write(&file, b"ours"), || fs::write(&file, "").unwrap());
    conflict(&got, "changed it meanwhile");
    // Also at the second attempt, which must not take the emptied file for a half-written one.
    recover(&bench);
    assert_eq!(fs::read(&file).unwrap(), b"");

    let got = outcomes(
        &bench,
        |a| a.write(&file, b"ours"),
        || {
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        },
    );
    conflict(&got, "permission bits");

    let got = outcomes(&bench, |a| a.append(&file, b"x"), || fs::remove_file(&file).unwrap());
    conflict(&got, "removed it");

    fs::write(&file, "before").unwrap();
    let got = outcomes(&bench, |a| a.remove(&file), || fs::write(&file, "new").unwrap());
    assert!(matches!(got[..], [UndoOutcome::Conflict(_)]), "{got:?}");
    assert_eq!(fs::read(&file).unwrap(), b"new");

    let made = bench.work.join("made");
    let got = outcomes(&bench, |a| a.create(&made, b"ours"), || fs::write(&made, "theirs").unwrap());
    conflict(&got, "somebody else");
    assert_eq!(fs::read(&made).unwrap(), b"theirs");

    let folder = bench.work.join("folder");
    let got = outcomes(&bench, |a| a.directory(&folder), || fs::write(folder.join("theirs"), "").unwrap());
    conflict(&got, "in it: theirs");
    assert_eq!(bench.journal().residue().unwrap().len(), 7);
}

#[test]
fn what_is_gone_already_is_done() {
    let bench = Bench::new();
    let (made, folder) = (bench.work.join("made"), bench.work.join("folder"));
    let got = outcomes(&bench, |a| a.create(&made, b""), || fs::remove_file(&made).unwrap());
    assert_eq!(got, [UndoOutcome::NothingToDo]);
    let act = |a: &Actor<'_>| {
        a.directory(&folder);
        a.create(&folder.join("in"), b"");
    };
    let got = outcomes(&bench, act, || fs::remove_dir_all(&folder).unwrap());
    assert_eq!(got, [UndoOutcome::NothingToDo, UndoOutcome::NothingToDo]);
}

#[test]
fn links_and_devices_swapped_under_a_path_are_not_followed() {
    let bench = Bench::new();
    let (folder, real, target) = (bench.work.join("folder"), bench.work.join("real"), bench.work.join("target"));
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("file"), "before").unwrap();
    fs::write(&target, "before").unwrap();
    let got = outcomes(
        &bench,
        |a| a.write(&folder.join("file"), b"ours"),
        || {
            fs::rename(&folder, &real).unwrap();
            symlink("real", &folder).unwrap();
        },
    );
    conflict(&got, "symbolic link");
    assert_eq!(fs::read(real.join("file")).unwrap(), b"ours", "not even where the link leads to our own file");

    let file = real.join("file");
    let got = outcomes(
        &bench,
        |a| a.write(&file, b"again"),
        || {
            fs::remove_file(&file).unwrap();
            symlink(&target, &file).unwrap();
        },
    );
    assert!(matches!(got[..], [UndoOutcome::Conflict(_)]), "{got:?}");
    assert_eq!(fs::read(&target).unwrap(), b"before");

    fs::remove_file(&file).unwrap();
    let got = outcomes(
        &bench,
        |a| a.create(&file, b"ours"),
        || {
            fs::remove_file(&file).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, &file, rustix::fs::Mode::RWXU).unwrap();
        },
    );
    conflict(&got, "FIFO");
}

#[test]
fn another_name_of_what_the_run_made_is_residue() {
    let bench = Bench::new();
    let (made, twin) = (bench.work.join("made"), bench.work.join("twin"));
    let got = outcomes(&bench, |a| a.create(&made, b"ours"), || fs::hard_link(&made, &twin).unwrap());
    assert!(matches!(&got[..], [UndoOutcome::Failed(why)] if why.contains("1 other name")), "{got:?}");
    assert!(!made.exists() && twin.exists());
}

#[test]
fn a_symbolic_link_comes_back_with_its_owner_and_time() {
    let bench = Bench::new();
    let link = bench.work.join("link");
    symlink("nowhere", &link).unwrap();
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
    }
    let before = snapshot(&bench.work);
    std::thread::sleep(std::time::Duration::from_millis(20));
    assert_eq!(outcomes(&bench, |a| a.remove(&link), || assert!(!link.is_symlink())), [UndoOutcome::Undone]);
    assert_eq!(snapshot(&bench.work), before);
}

/// Intends, leaves the file as a crash in the middle might have, and recovers.
fn in_doubt(before: Option<&[u8]>, change: Change<'_>, found: Option<&[u8]>) -> (UndoOutcome, Option<Vec<u8>>) {
    let bench = Bench::new();
    let file = bench.work.join("file");
    if let Some(content) = before {
        fs::write(&file, content).unwrap();
    }
    let run = bench.journal().begin(&record()).unwrap();
    match (before, change) {
        (None, Change::Replace(content)) => drop(run.intend_create("files-write", "w", &file, content).unwrap()),
        _ => {
            let (preimage, _) = Preimage::take(&file).unwrap();
            run.intend_with_preimage("files-write", "w", &file, &preimage, change).unwrap();
        }
    }
    match found {
        Some(content) => fs::write(&file, content).unwrap(),
        None => drop(fs::remove_file(&file)),
    }
    drop(run);
    let mut reports = recover(&bench);
    (reports.remove(0).effects.remove(0).1, fs::read(&file).ok())
}

#[test]
fn half_finished_writes_are_told_from_strangers() {
    let before = Some(&b"the old content"[..]);
    let replace = Change::Replace(b"new, and rather longer than before");
    for ours in [&b""[..], b"new, a", b"new, andcontent", b"new, and rather longer than before"] {
        let (outcome, left) = in_doubt(before, replace, Some(ours));
        assert_eq!((outcome, left.as_deref()), (UndoOutcome::Undone, before), "{ours:?}");
    }
    let (outcome, left) = in_doubt(before, replace, Some(b"stranger"));
    assert!(matches!(outcome, UndoOutcome::Conflict(_)));
    assert_eq!(left.unwrap(), b"stranger");

    let append = Change::Append(b" and more");
    assert_eq!(in_doubt(before, append, Some(b"the old content and")).0, UndoOutcome::Undone);
    assert!(matches!(in_doubt(before, append, Some(b"the old content or")).0, UndoOutcome::Conflict(_)));

    assert_eq!(in_doubt(before, Change::Remove, None), (UndoOutcome::Undone, before.map(<[u8]>::to_vec)));
    assert!(matches!(in_doubt(before, Change::Unknown, Some(b"x")).0, UndoOutcome::Conflict(_)));

    let create = Change::Replace(b"content");
    assert_eq!(in_doubt(None, create, None), (UndoOutcome::NothingToDo, None));
    assert_eq!(in_doubt(None, create, Some(b"cont")), (UndoOutcome::Undone, None));
    assert!(matches!(in_doubt(None, create, Some(b"theirs")).0, UndoOutcome::Conflict(_)));
}

#[test]
fn effects_that_could_not_be_undone_are_not_intended() {
    let bench = Bench::new();
    let (file, link) = (bench.work.join("file"), bench.work.join("link"));
    fs::write(&file, "x").unwrap();
    symlink("file", &link).unwrap();
    let run = bench.journal().begin(&record()).unwrap();
    assert!(matches!(run.intend_create("f", "w", &file, b""), Err(JournalError::Occupied(_))));
    let undo = Undo::Remove { path: link.to_str().unwrap().into(), directory: true, content: None };
    let effect = Effect { capability: "f".into(), what: "w".into(), undo };
    assert!(matches!(run.intend(&effect), Err(JournalError::Occupied(_))));
    let (preimage, _) = Preimage::take(&link).unwrap();
    let changed = run.intend_with_preimage("f", "w", &link, &preimage, Change::Replace(b""));
    assert!(matches!(changed, Err(JournalError::NotUndoable { .. })));
    assert!(run.undo_all(&NoHost).unwrap().effects.is_empty());
}

#[test]
fn a_hostile_scratch_folder_goes_and_nothing_around_it() {
    let bench = Bench::new();
    let kept = bench.work.join("kept");
    fs::create_dir(&kept).unwrap();
    fs::write(kept.join("file"), "kept").unwrap();
    let before = snapshot(&bench.work);
    let got = outcomes(
        &bench,
        |a| {
            let scratch = a.scratch(&bench.work);
            symlink(&kept, scratch.join("link")).unwrap();
            fs::hard_link(kept.join("file"), scratch.join("hard")).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, scratch.join("fifo"), rustix::fs::Mode::RWXU).unwrap();
            for n in 0..300 {
                fs::write(scratch.join(format!("file{n}")), "").unwrap();
                fs::create_dir_all(scratch.join(format!("dir{n}/sub"))).unwrap();
            }
            // Deeper than any path may be long, and than descriptors may be many.
            let mut at = fs::File::open(&scratch).unwrap();
            for _ in 0..3000 {
                rustix::fs::mkdirat(&at, "deeper", rustix::fs::Mode::RWXU).unwrap();
                let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::DIRECTORY;
                at = rustix::fs::openat(&at, "deeper", flags, rustix::fs::Mode::empty()).unwrap().into();
            }
            fs::set_permissions(scratch.join("dir7"), fs::Permissions::from_mode(0o0)).unwrap();
        },
        || {},
    );
    assert_eq!(got, [UndoOutcome::Undone]);
    assert_eq!(snapshot(&bench.work), before);
}

/// `chattr`; false where it is not there, or the file system has no such flag for this user.
fn chattr(flags: &str, path: &Path) -> bool {
    let chattr = std::process::Command::new("chattr").arg(flags).arg(path).stderr(std::process::Stdio::null()).status();
    chattr.is_ok_and(|status| status.success())
}

fn lsattr(path: &Path) -> u32 {
    rustix::fs::ioctl_getflags(fs::File::open(path).unwrap()).unwrap().bits()
}

#[test]
fn what_chattr_did_does_not_survive() {
    for (flags, back) in [("+i", "-i"), ("+a", "-a"), ("+d", "-d"), ("+A", "-A")] {
        let bench = Bench::new();
        let (kept, made, marked) = (bench.work.join("kept"), bench.work.join("made"), bench.work.join("marked"));
        odd_file(&kept, b"kept");
        odd_file(&marked, b"marked");
        if !chattr(flags, &marked) {
            println!("skipped: chattr {flags} is not to be had here");
            continue;
        }
        // What was so before is so afterwards.
        let (before, flags_before) = (snapshot(&bench.work), [lsattr(&kept), lsattr(&marked)]);
        let got = outcomes(
            &bench,
            |a| {
                a.unknown(&kept, || {
                    fs::write(&kept, "changed").unwrap();
                    assert!(chattr(flags, &kept));
                });
                a.unknown(&marked, || {
                    assert!(chattr(back, &marked));
                    fs::write(&marked, "changed").unwrap();
                });
                a.create(&made, b"made");
                assert!(chattr(flags, &made));
                let scratch = a.scratch(&bench.work);
                fs::create_dir(scratch.join("folder")).unwrap();
                for path in ["file", "folder/file", "folder"] {
                    let path = scratch.join(path);
                    if !path.exists() {
                        fs::write(&path, "x").unwrap();
                    }
                    assert!(chattr(flags, &path));
                }
                assert!(chattr(flags, &scratch));
            },
            || {},
        );
        assert_eq!(got, vec![UndoOutcome::Undone; 4], "{flags}");
        assert_eq!([lsattr(&kept), lsattr(&marked)], flags_before, "{flags}");
        assert!(chattr(back, &marked) && chattr(back, &kept), "{flags}");
        assert_eq!(snapshot(&bench.work), before, "{flags}");
    }
}

#[test]
fn a_folder_that_does_not_bear_the_runs_name_is_no_scratch() {
    let bench = Bench::new();
    let folder = bench.work.join("precious");
    fs::create_dir(&folder).unwrap();
    let run = bench.journal().begin(&record()).unwrap();
    let undo = Undo::RemoveScratch { path: folder.to_str().unwrap().into(), owner: 0 };
    run.intend(&Effect { capability: "host".into(), what: "scratch".into(), undo }).unwrap();
    let report = run.undo_all(&NoHost).unwrap();
    assert!(matches!(&report.effects[..], [(_, UndoOutcome::Conflict(_))]));
    assert!(fingerprint(&folder).unwrap().is_some());
}

/// An accomplice moves the file away that a program changed, and puts one just like the original in its place.
#[test]
fn a_file_like_the_original_does_not_hide_the_one_that_was_changed() {
    let bench = Bench::new();
    let (path, aside) = (bench.work.join("file"), bench.work.join("aside"));
    fs::write(&path, "original").unwrap();
    let found = outcomes(
        &bench,
        |actor| actor.unknown(&path, || fs::write(&path, "changed").unwrap()),
        || {
            fs::rename(&path, &aside).unwrap();
            fs::write(&path, "original").unwrap();
        },
    );
    conflict(&found, "another file");
    // Nor at the next clean-up.
    let again: Vec<_> =
        recover(&bench).into_iter().flat_map(|report| report.effects).map(|(_, outcome)| outcome).collect();
    conflict(&again, "another file");
}

/// A file that was exchanged while its program ran is in doubt: it is not learned, and not written to.
#[test]
fn an_effect_in_doubt_writes_into_nothing_that_is_not_the_original() {
    let bench = Bench::new();
    let (path, aside) = (bench.work.join("file"), bench.work.join("aside"));
    fs::write(&path, "original").unwrap();
    let run = bench.journal().begin(&record()).unwrap();
    let (preimage, _) = Preimage::take(&path).unwrap();
    run.intend_with_preimage("exec", "run", &path, &preimage, Change::Unknown).unwrap();
    fs::rename(&path, &aside).unwrap();
    for content in ["original", "theirs"] {
        fs::write(&path, content).unwrap();
        let report = run.undo_all(&NoHost).unwrap();
        let outcomes: Vec<_> = report.effects.into_iter().map(|(_, outcome)| outcome).collect();
        conflict(&outcomes, "another file");
        assert_eq!(fs::read_to_string(&path).unwrap(), content);
    }
    fs::remove_file(&path).unwrap();
    let report = run.undo_all(&NoHost).unwrap();
    assert!(matches!(report.effects.as_slice(), [(_, UndoOutcome::Conflict(_))]), "{report:?}");
    assert!(!path.exists());
}

/// The scratch folder's files may have other names by now, and be open in other processes.
#[test]
fn nothing_of_the_scratch_folder_stays_set_id_under_another_name() {
    let bench = Bench::new();
    let (twin, deep) = (bench.work.join("twin"), bench.work.join("deep-twin"));
    let mut held = None;
    let found = outcomes(
        &bench,
        |actor| {
            let scratch = actor.scratch(&bench.work);
            fs::create_dir(scratch.join("below")).unwrap();
            for (name, twin) in [("tool", &twin), ("below/tool", &deep)] {
                fs::write(scratch.join(name), "#!/bin/sh").unwrap();
                fs::set_permissions(scratch.join(name), fs::Permissions::from_mode(0o6755)).unwrap();
                if rustix::process::geteuid().is_root() {
                    let value = [1, 0, 0, 2, 0, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
                    let flags = rustix::fs::XattrFlags::empty();
                    rustix::fs::setxattr(scratch.join(name), "security.capability", &value, flags).unwrap();
                }
                fs::hard_link(scratch.join(name), twin).unwrap();
            }
            fs::copy("/bin/true", scratch.join("open")).unwrap();
            fs::set_permissions(scratch.join("open"), fs::Permissions::from_mode(0o4755)).unwrap();
            held = Some(fs::File::open(scratch.join("open")).unwrap());
        },
        || {},
    );
    assert_eq!(found, [UndoOutcome::Undone]);
    for path in [&twin, &deep] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o755);
        let mut value = [0_u8; 64];
        assert!(rustix::fs::getxattr(path, "security.capability", &mut value[..]).is_err());
    }
    assert_eq!(held.unwrap().metadata().unwrap().permissions().mode() & 0o7777, 0o755);
}
