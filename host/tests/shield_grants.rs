//! Granted paths whose folders belong to an accomplice outside: what lies there at set-up is all that children get, and a
//! path that leads elsewhere later starts nothing.

mod shield_support;

use foil_manifest::ShieldLevel;
use foil_shield::{Bound, Ending, ShieldError};
use shield_support::*;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

/// `theirs/file` is granted, `secret/file` is not; each has a folder `sub` with a file of the same name too.
struct Machine {
    base: PathBuf,
    _folder: tempfile::TempDir,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path().canonicalize().unwrap();
        for (name, content) in [("theirs", "plain"), ("secret", "hidden")] {
            fs::create_dir_all(base.join(name).join("sub")).unwrap();
            for file in ["file", "sub/file"] {
                fs::write(base.join(name).join(file), content).unwrap();
            }
        }
        Self { base, _folder: folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.base.join(name)
    }

    fn text(&self, name: &str) -> String {
        self.path(name).display().to_string()
    }

    fn swap(&self, how: &str) {
        let (theirs, secret, aside) = (self.path("theirs"), self.path("secret"), self.path("aside"));
        match how {
            "the parent by a link" => {
                fs::rename(&theirs, &aside).unwrap();
                symlink(&secret, &theirs).unwrap();
            }
            "the parent by another folder" => {
                fs::rename(&theirs, &aside).unwrap();
                fs::rename(&secret, &theirs).unwrap();
            }
            "the object by a link" => {
                for name in ["file", "sub"] {
                    fs::rename(theirs.join(name), theirs.join(format!("{name}.aside"))).unwrap();
                    symlink(secret.join(name), theirs.join(name)).unwrap();
                }
            }
            "the object by another" => {
                for name in ["file", "sub"] {
                    fs::rename(theirs.join(name), theirs.join(format!("{name}.aside"))).unwrap();
                    fs::rename(secret.join(name), theirs.join(name)).unwrap();
                }
            }
            "the file by another's hard link" => {
                fs::remove_dir_all(theirs.join("sub")).unwrap();
                fs::rename(theirs.join("file"), theirs.join("aside")).unwrap();
                fs::hard_link(secret.join("file"), theirs.join("file")).unwrap();
            }
            "moved away" => fs::rename(&theirs, &aside).unwrap(),
            other => unreachable!("{other}"),
        }
    }

    /// No secret file was changed, wherever it is now.
    fn is_unharmed(&self) -> bool {
        fn walk(path: &Path, hidden: &mut usize) {
            for entry in fs::read_dir(path).unwrap().flatten() {
                let kind = entry.file_type().unwrap();
                if kind.is_dir() {
                    walk(&entry.path(), hidden);
                } else if kind.is_file() {
                    *hidden += usize::from(fs::read(entry.path()).unwrap() == b"hidden");
                }
            }
        }
        let mut hidden = 0;
        walk(&self.base, &mut hidden);
        hidden >= 2
    }
}

const SWAPS: [&str; 6] = [
    "the parent by a link",
    "the parent by another folder",
    "the object by a link",
    "the object by another",
    "the file by another's hard link",
    "moved away",
];

#[tokio::test]
async fn a_path_that_leads_elsewhere_later_starts_nothing() {
    for how in SWAPS {
        for object in ["file", "sub"] {
            for writes in [false, true] {
                let machine = Machine::new();
                let path = machine.text(&format!("theirs/{object}"));
                let stage = Stage::with(ShieldLevel::Confined, |spec| {
                    spec.reads.push(path.clone());
                    if writes {
                        spec.writes.push(path.clone());
                    }
                })
                .await;
                assert!(stage.run.gaps().is_empty(), "{:?}", stage.run.gaps());
                machine.swap(how);
                let there = path.clone() + if object == "sub" { "/file" } else { "" };
                let script = format!("touch started; cat {there}; echo harmed > {there}; chmod 777 {there}");
                let outcome = stage.run.exec(shell(&script)).await;
                // A folder that was removed, and nothing in its place, cannot be read.
                let gone = how.contains("hard link") && object == "sub" && !writes;
                match outcome {
                    Err(ShieldError::GrantChanged { path: told, .. }) if !gone => assert_eq!(told, path),
                    Ok(outcome) if gone => assert_eq!(out(&outcome), ""),
                    other => panic!("{how}, {object}, {writes}: {other:?}"),
                }
                assert_eq!(stage.path("started").exists(), gone, "{how}, {object}");
                assert!(machine.is_unharmed(), "{how}, {object}, {writes}");
            }
        }
    }
}

#[tokio::test]
async fn what_comes_back_to_its_path_is_usable_again() {
    let machine = Machine::new();
    let path = machine.text("theirs/file");
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.push(path.clone())).await;
    machine.swap("the parent by a link");
    assert!(stage.run.exec(shell("true")).await.is_err());
    fs::remove_file(machine.path("theirs")).unwrap();
    fs::rename(machine.path("aside"), machine.path("theirs")).unwrap();
    assert_eq!(stage.sh(&format!("echo mine > {path}")).await.ending, Ending::Exited(0));
    assert_eq!(fs::read(machine.path("theirs/file")).unwrap(), b"mine\n");
}

#[tokio::test]
async fn links_and_files_with_other_names_are_not_granted_at_all() {
    let machine = Machine::new();
    symlink(machine.path("secret"), machine.path("folder-link")).unwrap();
    symlink(machine.path("secret/file"), machine.path("file-link")).unwrap();
    fs::hard_link(machine.path("secret/file"), machine.path("twin")).unwrap();
    for (name, word) in [
        ("folder-link", "symbolic link"),
        ("folder-link/file", "symbolic link"),
        ("folder-link/sub/file", "symbolic link"),
        ("file-link", "symbolic link"),
        ("twin", "hard links"),
    ] {
        let path = machine.text(name);
        let stage = Stage::with(ShieldLevel::Confined, |spec| {
            spec.writes.push(path.clone());
            if name != "twin" {
                spec.reads.push(path.clone());
            }
        })
        .await;
        let gaps = stage.run.gaps().join("\n");
        assert!(gaps.contains(&path) && gaps.contains(word), "{name}: {gaps}");
        assert!(matches!(stage.run.bound(&path), Some(Bound::Refused(why)) if why.contains(word)));
        let there = if name == "folder-link" { path.clone() + "/file" } else { path.clone() };
        let outcome = stage.sh(&format!("cat {there}; echo harmed > {there}; chmod 777 {there}")).await;
        assert_eq!(out(&outcome), "", "{name}");
        assert!(machine.is_unharmed(), "{name}");
    }
}

#[tokio::test]
async fn a_file_that_gets_another_name_is_not_changed_any_more() {
    let machine = Machine::new();
    let path = machine.text("theirs/file");
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.push(path.clone())).await;
    assert!(matches!(stage.run.bound(&path), Some(Bound::Object { .. })));
    fs::hard_link(&path, machine.path("elsewhere")).unwrap();
    let refused = stage.run.exec(shell("true")).await;
    assert!(matches!(refused, Err(ShieldError::GrantChanged { why, .. }) if why.contains("hard links")));
}

/// Children cannot give the object another name themselves.
#[tokio::test]
async fn children_cannot_link_what_they_were_granted() {
    let machine = Machine::new();
    let path = machine.text("theirs/file");
    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.push(path.clone())).await;
    assert_ne!(stage.sh(&format!("ln {path} here")).await.ending, Ending::Exited(0));
    assert_ne!(stage.sh(&format!("ln {path} {path}.twin")).await.ending, Ending::Exited(0));
}

/// The swap at any moment of the set-up: children get one of the two, and never more than the accomplice could have given
/// by a real folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accomplice_who_swaps_all_the_time_gains_nothing() {
    let machine = Machine::new();
    let path = machine.text("theirs/file");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (theirs, aside, link) = (machine.path("theirs"), machine.path("aside"), machine.path("link"));
            symlink(machine.path("secret"), &link).unwrap();
            while !stop.load(Ordering::Relaxed) {
                // The folder and the link change places: at no moment is nothing there but between two calls.
                fs::rename(&theirs, &aside).unwrap();
                fs::rename(&link, &theirs).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(300));
                fs::rename(&theirs, &link).unwrap();
                fs::rename(&aside, &theirs).unwrap();
                std::thread::sleep(std::time::Duration::from_micros(300));
            }
        });
        let script = format!("for i in 1 2 3 4 5 6 7 8; do cat {path}; echo plain > {path}; done 2>/dev/null");
        let runtime = tokio::runtime::Handle::current();
        for _ in 0..25 {
            let said = tokio::task::block_in_place(|| {
                runtime.block_on(async {
                    let stage = Stage::with(ShieldLevel::Confined, |spec| spec.writes.push(path.clone())).await;
                    stage.run.exec(shell(&script)).await.map(|outcome| out(&outcome)).unwrap_or_default()
                })
            });
            assert!(!said.contains("hidden"), "{said}");
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(fs::read(machine.path("secret/file")).unwrap(), b"hidden");
}
