//! `foil doctor` on this machine: as whoever runs the tests, and as nobody.

use serde_json::Value;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output};

const NOBODY: u32 = 65534;

/// A folder with a `foil` of its own, which nobody may execute, too.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).expect("ours");
        // A folder for temporary files of its own: others' doctors work beside this one.
        std::fs::create_dir(folder.path().join("tmp")).expect("made");
        std::fs::set_permissions(folder.path().join("tmp"), std::fs::Permissions::from_mode(0o1777)).expect("ours");
        std::fs::copy(env!("CARGO_BIN_EXE_foil"), folder.path().join("foil")).expect("copied");
        Self(folder)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("writable");
    }

    fn doctor(&self, user: Option<u32>, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.path("foil"));
        command.arg("doctor").args(arguments).current_dir(self.0.path()).env("TMPDIR", self.path("tmp"));
        command.env("FOIL_STATE", self.path("state")).env("HOME", self.0.path());
        if let Some(user) = user {
            command.uid(user).gid(user);
        }
        // A test beside this one forks while the copy is still open for writing in it: then the kernel finds the file busy.
        loop {
            match command.output() {
                Err(busy) if busy.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
                output => return output.expect("foil starts"),
            }
        }
    }

    fn json(&self, user: Option<u32>) -> (Value, i32) {
        let output = self.doctor(user, &["--format", "json"]);
        let json = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (json, output.status.code().expect("it ended by itself"))
    }
}

fn finding<'a>(json: &'a Value, name: &str) -> Vec<&'a Value> {
    json["findings"].as_array().expect("a list").iter().filter(|f| f["name"] == name).collect()
}

/// The shape that programs rely on, and the promise that every complaint says what to do.
fn holds_together(json: &Value, code: i32) {
    let findings = json["findings"].as_array().expect("a list");
    assert!(json["schema"] == 1 && findings.len() > 12, "{json:#}");
    for finding in findings {
        for field in ["area", "name", "says"] {
            assert!(finding[field].as_str().is_some_and(|text| !text.is_empty()), "{finding}");
        }
        let remedy = finding["remedy"].as_str().unwrap_or_default();
        match finding["state"].as_str() {
            Some("ok") => assert!(remedy.is_empty(), "{finding}"),
            Some("warning" | "missing") => assert!(remedy.len() > 10, "{finding}"),
            Some("note") => {}
            other => panic!("{other:?}"),
        }
    }
    let missing = findings.iter().any(|finding| finding["state"] == "missing");
    assert_eq!((json["sound"].as_bool(), code), (Some(!missing), if missing { 3 } else { 0 }), "{json:#}");
}

#[test]
fn it_says_what_can_be_had_and_leaves_nothing() {
    let place = Place::new();
    let (json, code) = place.json(None);
    holds_together(&json, code);
    for name in [
        "privileges",
        "kernel",
        "namespaces",
        "Landlock",
        "seccomp",
        "cgroup",
        "confined",
        "overlay",
        "audit",
        "folder",
    ] {
        assert_eq!(finding(&json, name).len(), 1, "{name}: {json:#}");
    }
    assert!(!place.path("state").exists());
    assert_eq!(std::fs::read_dir(place.path("tmp")).expect("a folder").count(), 0);
}

#[test]
fn nobody_is_told_what_only_root_has() {
    if !rustix::process::geteuid().is_root() {
        return println!("not root: cannot become nobody");
    }
    let place = Place::new();
    chown(place.0.path(), Some(NOBODY), Some(NOBODY)).expect("root");
    let (json, code) = place.json(Some(NOBODY));
    holds_together(&json, code);
    for (name, words) in [("privileges", "uid 65534"), ("overlay", "root"), ("audit", "")] {
        let found = finding(&json, name);
        assert!(
            found[0]["state"] == "warning" && found[0]["says"].as_str().is_some_and(|s| s.contains(words)),
            "{json:#}"
        );
    }
}

#[test]
fn what_is_wrong_is_found() {
    let place = Place::new();
    place.write("log.json", "");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    place.write(
        "foil.yaml",
        &format!(
            "environment: x\nhosts: [{{ name: elsewhere }}]\nfiles:\n  there: {{ path: log.json }}\n  later: {{ path: no.json }}\n  \
             folder: {{ path: . }}\ninbox: {{ listen: '127.0.0.1:{port}', token-file: no-token }}\n"
        ),
    );
    place.write("grants.toml", "[[grant]]\nmodul = 'x'\n");
    std::fs::create_dir(place.path("state")).expect("made");
    std::fs::set_permissions(place.path("state"), std::fs::Permissions::from_mode(0o777)).expect("ours");
    let (json, code) = place.json(None);
    holds_together(&json, code);
    assert_eq!(code, 3);
    let states: Vec<(&str, &str)> =
        finding(&json, "file").iter().map(|f| (f["state"].as_str().unwrap(), f["says"].as_str().unwrap())).collect();
    assert!(states[0].0 == "missing" && states[0].1.starts_with("file.folder"), "{states:?}");
    assert!(states[1].0 == "warning" && states[1].1.starts_with("file.later"), "{states:?}");
    assert!(states[2].0 == "ok" && states[2].1.starts_with("file.there"), "{states:?}");
    for (name, state, words) in [
        ("folder", "missing", "mode 777"),
        ("grants.toml", "missing", "grants.toml:2:1"),
        ("foil.yaml", "missing", "elsewhere"),
        ("inbox", "warning", "is taken"),
        ("inbox token", "missing", "no-token"),
    ] {
        let found = finding(&json, name)[0];
        assert!(
            found["state"] == state && found["says"].as_str().is_some_and(|s| s.contains(words)),
            "{name}: {found}"
        );
    }
}

#[test]
fn a_damaged_journal_is_found() {
    let place = Place::new();
    drop(foil_journal::Journal::open(&place.path("state")).expect("a journal"));
    let (json, _) = place.json(None);
    assert_eq!(
        (&finding(&json, "journal")[0]["state"], &finding(&json, "left over")[0]["state"]),
        (&"ok".into(), &"ok".into())
    );
    place.write("state/journal.db", &"no database at all. ".repeat(1000));
    let (json, code) = place.json(None);
    assert_eq!((code, &finding(&json, "journal")[0]["state"]), (3, &"missing".into()), "{json:#}");
}

#[test]
fn people_read_it_at_80_columns() {
    let place = Place::new();
    let output = place.doctor(None, &[]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!text.contains('\u{1b}') && text.contains("shield\n  "), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert!(text.contains("missing: Foil can"), "{text}");
}

#[test]
fn a_state_folder_that_cannot_be_is_missing() {
    let place = Place::new();
    std::fs::write(place.path("file"), "").expect("writable");
    std::os::unix::fs::symlink("nowhere", place.path("dangling")).expect("made");
    let long = "x".repeat(300);
    for state in [
        "/proc/foil",
        "/proc",
        "/sys",
        "/sys/kernel/foil/state",
        "file",
        "file/below",
        "dangling",
        "dangling/below",
        long.as_str(),
    ] {
        let output = place.doctor(None, &["--state", state, "--format", "json"]);
        let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let missing = |finding: &&&Value| finding["area"] == "state" && finding["state"] == "missing";
        assert!(finding(&json, "folder").iter().any(|found| missing(&found)), "{state}: {json:#}");
        assert_eq!((json["sound"].as_bool(), output.status.code()), (Some(false), Some(3)), "{state}: {json:#}");
    }
    let before: Vec<_> = std::fs::read_dir(place.0.path()).expect("a folder").flatten().map(|e| e.path()).collect();
    let output = place.doctor(None, &["--state", "a/b/c", "--format", "json"]);
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(finding(&json, "folder")[0]["state"], "ok", "{json:#}");
    let after: Vec<_> = std::fs::read_dir(place.0.path()).expect("a folder").flatten().map(|e| e.path()).collect();
    assert_eq!(before, after, "nothing is left of the trial");
}
