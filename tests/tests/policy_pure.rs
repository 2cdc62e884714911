//! `policy` decides and does nothing else: no files, no network, no clock, no async. (Which crates it may use: `arrows.rs`.)

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be listed").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn policy_imports_nothing_that_acts() {
    let host = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host");
    let mut files = Vec::new();
    sources(&host.join("policy/src"), &mut files);
    // What it reads files with is pure as well.
    sources(&host.join("yaml/src"), &mut files);
    files.push(host.join("text/src/suggest.rs"));
    assert!(files.len() > 10, "the sources were found: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with("//") {
                continue;
            }
            let acts = [
                "std::fs",
                "std::io",
                "std::net::Tcp",
                "std::net::Udp",
                "std::env",
                "std::process",
                "std::time::SystemTime",
                "tokio",
                "async ",
                "Timestamp::now",
                "rustix",
                "nix::",
                "libc",
            ]
            .iter()
            .any(|word| line.contains(word));
            assert!(!acts, "{}:{}: {line}", file.display(), number + 1);
        }
    }
}
