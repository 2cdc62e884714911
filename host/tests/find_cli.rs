//! Finding modules: by text, by tactic, by ATT&CK id; and how they stand with the grants.

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn foil(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foil"));
    command.current_dir(folder).args(arguments).env_remove("FOIL_STATE").output().expect("foil starts")
}

fn out(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn json(output: &Output) -> Value {
    serde_json::from_str(&out(output)).expect("JSON")
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn ids(list: &Value) -> Vec<String> {
    let rows = list.as_array().expect("an array").iter();
    rows.map(|row| row["id"].as_str().expect("an id").to_owned()).collect()
}

fn empty() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_text_is_looked_for_in_id_title_aliases_and_attack() {
    let folder = empty();
    let list = |words: &[&str]| ids(&json(&foil(folder.path(), &[&["list", "--format", "json"][..], words].concat())));
    let all = list(&[]);
    assert_eq!(list(&["linux.SHADOW"]), ["linux.shadow-read"], "an id, in any case");
    assert!(list(&["file deletion"]).contains(&"linux.file-delete".to_owned()), "ATT&CK's name");
    assert_eq!(list(&["T1070.004", "linux"]), ["linux.file-delete"], "an ATT&CK id");
    assert_eq!(list(&["linux", "shred"]), list(&["linux shred"]), "words in one argument are words too");
    let shred = list(&["shred"]);
    assert!(shred == ["linux.file-delete"] && all.len() > 30, "its title");
    assert!(list(&["linux", "no-such-word"]).is_empty(), "all must be there");
    assert_eq!(out(&foil(folder.path(), &["list", "no-such-word"])), "no module matches\n");
    assert!(list(&["pod", "--kind", "technique"]).len() < list(&["pod"]).len() + 1, "filters hold besides");
}

#[test]
fn a_tactic_has_three_names_and_an_unknown_one_is_answered_with_those_there_are() {
    let folder = empty();
    let list = |tactic: &str| foil(folder.path(), &["list", "--format", "json", "--tactic", tactic]);
    let stealth = ids(&json(&list("TA0005")));
    assert!(stealth.contains(&"linux.file-delete".to_owned()) && !stealth.contains(&"linux.system-info".to_owned()));
    for name in ["stealth", "Stealth", "ta0005"] {
        assert_eq!(ids(&json(&list(name))), stealth, "{name}");
    }
    // ATT&CK 19 made two of it: both are meant, and it is said.
    for name in ["defense-evasion", "Defense Evasion"] {
        let both = list(name);
        let found = ids(&json(&both));
        assert!(stealth.iter().all(|id| found.contains(id)) && found.contains(&"linux.clear-logs".to_owned()));
        assert!(err(&both).contains("Stealth (TA0005) and Defense Impairment (TA0112)"), "{}", err(&both));
    }
    let unknown = list("evasion");
    assert_eq!(unknown.status.code(), Some(2));
    assert!(err(&unknown).contains("credential-access (TA0006)") && err(&unknown).contains("impact (TA0040)"));
}

#[test]
fn an_attack_id_is_shown_with_the_modules_that_have_it() {
    let folder = empty();
    let show = |id: &str| foil(folder.path(), &["show", id]);
    let page = out(&show("T1070.004"));
    for text in ["File Deletion", "Stealth (TA0005)", "version 19", "part of", "linux.file-delete", "not granted"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let parent = json(&foil(folder.path(), &["show", "t1070", "--format", "json"]));
    assert_eq!(parent["id"], "T1070");
    assert!(
        ids(&parent["modules"]).contains(&"linux.file-delete".to_owned()),
        "those of its sub-techniques: {parent:#}"
    );
    assert!(parent["subtechniques"].as_array().is_some_and(|subs| subs.contains(&"T1070.004".into())));
    // One that nobody has yet is one all the same.
    assert!(out(&show("T1001.003")).contains("none has it"));
    // ATT&CK gave it another id.
    let moved = out(&show("T1070.002"));
    assert!(moved.contains("T1070.002 is T1685.006 in ATT&CK 19") && moved.contains("linux.clear-logs"), "{moved}");
    let moved = json(&foil(folder.path(), &["show", "T1070.002", "--format", "json"]));
    assert_eq!((moved["id"].as_str(), moved["formerly"].as_str()), (Some("T1685.006"), Some("T1070.002")));
    for (id, hint) in [("T9999", "write an id such as T1059.004"), ("T1070.999", "`foil show T1070`")] {
        let unknown = show(id);
        assert!(unknown.status.code() == Some(2) && err(&unknown).contains(hint), "{}", err(&unknown));
    }
    let old = foil(folder.path(), &["list", "--attack", "T1562.012"]);
    assert!(old.status.code() == Some(2) && err(&old).contains("it is T1685.004"), "{}", err(&old));
    let module = out(&show("linux.file-delete"));
    assert!(module.contains("ATT&CK 19"), "{module}");
    assert!(out(&foil(folder.path(), &["--version"])).contains("(ATT&CK 19)"));
}

#[test]
fn the_list_says_what_is_granted() {
    let folder = empty();
    let run = |arguments: &[&str]| out(&foil(folder.path(), arguments));
    let states = || {
        let list = json(&foil(folder.path(), &["list", "--format", "json"]));
        let rows = list.as_array().expect("an array").clone();
        move |id: &str| {
            let row = rows.iter().find(|row| row["id"] == id).expect(id);
            row["granted"].as_str().expect("a word").to_owned()
        }
    };
    assert_eq!(states()("linux.system-info"), "not granted");
    let yes = ["--reason", "test", "--reviewer", "Ann", "--yes"];
    run(&[&["grant", "linux.file-delete"][..], &yes].concat());
    run(&[&["grant", "linux.shadow-read"][..], &yes].concat());
    run(&[&["grant", "linux.system-info", "--only", "exec", "--narrow", "exec.allow=/bin/uname -a"][..], &yes].concat());
    run(&["revoke", "linux.shadow-read", "--reason", "test", "--reviewer", "Ann"]);
    let state = states();
    assert_eq!(state("linux.file-delete"), "granted");
    assert_eq!(state("linux.system-info"), "narrowed");
    assert_eq!(state("linux.shadow-read"), "revoked");
    assert_eq!(state("linux.clear-logs"), "not granted");
    let grants = folder.path().join("grants.toml");
    let text = std::fs::read_to_string(&grants).expect("written");
    let pin = text.find("judged = \"sha256:").expect("a pin") + "judged = \"sha256:".len();
    let other = format!("{}{}{}", &text[..pin], "0".repeat(64), &text[pin + 64..]);
    std::fs::write(&grants, other).expect("ours");
    assert_eq!(states()("linux.file-delete"), "changed since");
    let table = run(&["list", "file-delete"]);
    assert!(table.contains("GRANT") && table.contains("changed since"), "{table}");
    // A list without its grants is a list all the same, and a mistake.
    std::fs::write(&grants, "nonsense").expect("ours");
    let broken = foil(folder.path(), &["list"]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&broken.stdout).contains("unknown") && err(&broken).contains("grants.toml"));
}
