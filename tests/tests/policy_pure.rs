//! `policy` decides and does nothing else: no files, no network, no clock, no async, no other part of the host.

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
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../host/src/policy");
    let mut files = Vec::new();
    sources(&folder, &mut files);
    // What it reads files with is pure as well.
    files.extend(["yaml", "span", "suggest"].map(|name| folder.join(format!("../{name}.rs"))));
    assert!(files.len() > 10, "the sources were found: {files:?}");
    for file in files {
        let text = std::fs::read_to_string(&file).expect("readable");
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.starts_with("//") {
                continue;
            }
            let ours = ["policy::", "policy;", "yaml::", "span::", "suggest::"];
            let foreign = line.split("crate::").skip(1).any(|path| !ours.iter().any(|our| path.starts_with(our)));
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
            assert!(!foreign && !acts, "{}:{}: {line}", file.display(), number + 1);
        }
    }
}
