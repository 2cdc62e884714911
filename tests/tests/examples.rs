//! The examples are settled against the built-in modules: a manifest that changed without `examples/grants.toml` fails here.

use std::path::{Path, PathBuf};
use std::process::Command;

fn foil() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    test.ancestors().nth(2).expect("the target folder").join("foil")
}

#[test]
fn every_example_can_be_planned_as_it_stands() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut files: Vec<PathBuf> = ["demo", "kubernetes", "campaign", "documents", "files", "inbox"]
        .iter()
        .flat_map(|folder| std::fs::read_dir(examples.join(folder)).expect("a folder of examples"))
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|e| e == "yaml") && !path.ends_with("foil.yaml"))
        .collect();
    files.sort();
    assert!(files.len() >= 19, "{files:?}");
    let state = tempfile::tempdir().expect("a folder");
    // A state folder that does not exist: a plan makes none.
    let state = state.path().join("state");
    let output = Command::new(foil())
        .arg("plan")
        .args(&files)
        .env("FOIL_STATE", &state)
        .current_dir(&examples)
        .output()
        .expect("foil starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{said}\nWhere a manifest changed on purpose: cd examples && rm grants.toml && foil grant --builtin …"
    );
    assert!(!state.exists(), "a plan touches nothing");
}
