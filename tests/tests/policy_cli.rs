//! `foil review`, `grant` and `revoke`, by hand as a reviewer would, with good and bad input.

use std::path::{Path, PathBuf};
use std::process::Output;

/// A built-in module that every `foil` has.
const MODULE: &str = "linux.system-info";

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a folder") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn foil(&self, arguments: &[&str]) -> Output {
        std::process::Command::new(binary())
            .args(arguments)
            .current_dir(self.folder.path())
            .env("FOIL_STATE", self.path("state"))
            .env("NO_COLOR", "1")
            .stdin(std::process::Stdio::null())
            .output()
            .expect("foil starts: build it with `cargo build -p foil`")
    }

    fn grants(&self) -> String {
        std::fs::read_to_string(self.path("grants.toml")).expect("readable")
    }

    fn state(&self) -> String {
        let review = self.foil(&["review", MODULE, "--format", "json"]);
        let json: serde_json::Value = serde_json::from_slice(&review.stdout).expect("JSON");
        json["grant"]["state"].as_str().expect("a state").to_owned()
    }
}

/// `foil`, built beside these tests.
fn binary() -> PathBuf {
    let me = std::env::current_exe().expect("a path");
    me.ancestors()
        .nth(2)
        .map(|profile| profile.join("foil"))
        .filter(|p| p.exists())
        .expect("run `cargo build -p foil` first")
}

fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// That it ended with code 2 and one sentence with these words.
fn refused(output: &Output, words: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains(words), "{error}");
}

fn fine(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    out(output)
}

#[test]
fn a_grant_lives_and_is_taken_back() {
    let desk = Desk::new();
    assert_eq!(desk.state(), "not-granted");
    let said =
        fine(&desk.foil(&["grant", MODULE, "--reason", "tested", "--reviewer", "Ann", "--expires", "90d", "--yes"]));
    assert!(said.contains(MODULE) && said.contains("grants.toml"), "{said}");
    assert_eq!(desk.state(), "granted");
    let review = fine(&desk.foil(&["review", MODULE]));
    assert!(review.contains("by Ann") && !review.contains('\u{1b}'), "{review}");

    let file = format!("# ours\n{}", desk.grants());
    std::fs::write(desk.path("grants.toml"), &file).expect("writable");
    let said = fine(&desk.foil(&["revoke", MODULE, "--reason", "over", "--reviewer", "Bob", "--format", "json"]));
    assert!(serde_json::from_str::<serde_json::Value>(&said).is_ok(), "{said}");
    assert_eq!(desk.state(), "revoked");
    assert!(desk.grants().starts_with("# ours\n") && desk.grants().contains("who = \"Bob\""));
    refused(&desk.foil(&["revoke", MODULE, "--reason", "again"]), "no grant");

    fine(&desk.foil(&["grant", MODULE, "--reason", "again", "--yes", "--reviewer", "Ann"]));
    assert_eq!(desk.state(), "granted");
    assert!(desk.grants().contains("who = \"Bob\""), "history stays");
    assert!(
        std::fs::read_dir(desk.folder.path())
            .expect("listable")
            .flatten()
            .all(|e| !e.file_name().to_string_lossy().ends_with(".new"))
    );
}

#[test]
fn a_grant_can_be_held_to_the_digest_that_was_reviewed() {
    let desk = Desk::new();
    let review = fine(&desk.foil(&["review", MODULE, "--format", "json"]));
    let review: serde_json::Value = serde_json::from_str(&review).expect("JSON");
    let digest = review["digest"].as_str().expect("a digest");
    let grant = |digest: &str| {
        desk.foil(&["grant", MODULE, "--digest", digest, "--reason", "reviewed", "--reviewer", "Ann", "--yes"])
    };
    let other = format!("sha256:{}", "0".repeat(64));
    refused(&grant(&other), "was changed since it was reviewed");
    refused(&grant("sha256:12"), "64 hexadecimal digits");
    assert_eq!(desk.state(), "not-granted");
    fine(&grant(digest));
    assert_eq!(desk.state(), "granted");
}

#[test]
fn built_in_modules_are_granted_at_once_and_never_open() {
    let desk = Desk::new();
    let said =
        fine(&desk.foil(&["grant", "--builtin", "--reason", "lab", "--reviewer", "Ann", "--yes", "--format", "json"]));
    let said: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert!(said["granted"].as_array().is_some_and(|list| !list.is_empty()));
    assert!(!desk.grants().contains("\"open\""));
    assert_eq!(desk.state(), "granted");
    let text = desk.grants();
    fine(&desk.foil(&["grant", "--builtin", "--reason", "lab", "--reviewer", "Ann", "--yes"]));
    assert_eq!(text.matches("[[grant]]").count(), desk.grants().matches("[[grant]]").count());
}

#[test]
fn bad_input_is_refused_with_a_sentence() {
    let desk = Desk::new();
    let grant = |more: &[&str]| desk.foil(&[&["grant", MODULE, "--reason", "x", "--reviewer", "Ann"], more].concat());
    refused(&grant(&[]), "--yes");
    refused(&grant(&["--yes", "--expires", "2020-01-01"]), "is over");
    refused(&grant(&["--yes", "--expires", "soon"]), "90d");
    refused(&grant(&["--yes", "--shield", "open"]), "does not work in");
    refused(&grant(&["--yes", "--only", "events-read"]), "not asked for");
    refused(&grant(&["--yes", "--only", "shell"]), "none of");
    refused(&grant(&["--yes", "--narrow", "exec.allow=/bin/rm -rf /"]), "not within what is asked for");
    refused(&grant(&["--yes", "--narrow", "exec"]), "KEY=VALUE");
    let cron = ["grant", "linux.cron-persistence", "--reason", "x", "--reviewer", "Ann", "--yes", "--state", "/etc"];
    refused(&desk.foil(&cron), "Foil's own files");
    refused(&desk.foil(&["grant", "linux.no-such", "--reason", "x", "--yes"]), "no module is called");
    refused(&desk.foil(&["grant", "--reason", "x", "--yes"]), "MODULE");
    refused(&desk.foil(&["grant", MODULE, "--reason", " ", "--yes", "--reviewer", "Ann"]), "reason is empty");
    refused(&desk.foil(&["revoke", MODULE, "--reason", "x"]), "nothing is granted");
    refused(&desk.foil(&["review", "linux.no-such"]), "no module is called");
    refused(&desk.foil(&["review", MODULE, "--grants", "missing.toml"]), "missing.toml");
    assert!(!desk.path("grants.toml").exists(), "nothing was written");

    std::fs::write(desk.path("grants.toml"), "[[grant]]\nmodul = 'x'\n").expect("writable");
    refused(&desk.foil(&["review", MODULE]), "grants.toml:2:1: ");
    refused(&grant(&["--yes"]), "grants.toml: 2:1: ");
    assert_eq!(desk.grants(), "[[grant]]\nmodul = 'x'\n");
}

#[test]
fn a_file_that_others_may_write_is_neither_read_nor_written() {
    use std::os::unix::fs::PermissionsExt as _;
    let desk = Desk::new();
    fine(&desk.foil(&["grant", MODULE, "--reason", "x", "--reviewer", "Ann", "--yes"]));
    let chmod =
        |path: &Path, mode| std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    let file = desk.path("grants.toml");
    chmod(&file, 0o640);
    fine(&desk.foil(&["revoke", MODULE, "--reason", "x", "--reviewer", "Ann"]));
    assert_eq!(std::fs::metadata(&file).expect("there").permissions().mode() & 0o777, 0o640, "the mode stays");
    chmod(&file, 0o666);
    refused(&desk.foil(&["review", MODULE]), "chmod go-w");
    refused(&desk.foil(&["grant", MODULE, "--reason", "x", "--reviewer", "Ann", "--yes"]), "chmod go-w");
}

#[test]
fn many_writers_lose_nothing() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for id in [MODULE, "linux.audit-event"] {
                    fine(&desk.foil(&["grant", id, "--reason", "x", "--reviewer", "Ann", "--yes"]));
                }
            });
        }
    });
    assert_eq!(desk.grants().matches("[[grant]]").count(), 2, "{}", desk.grants());
}
