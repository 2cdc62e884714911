//! The arrows between Foil's crates, as Cargo knows them, are those of ARCHITECTURE.md.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each crate may use of the others. A crate that is not here is one that nobody decided on.
const MAY_USE: [(&str, &[&str]); 16] = [
    ("foil-text", &[]),
    ("foil-panics", &[]),
    ("foil-safe-path", &["foil-text"]),
    ("foil-yaml", &["foil-text"]),
    ("foil-manifest", &["foil-text"]),
    ("foil-atomic", &[]),
    ("foil-policy", &["foil-manifest", "foil-text", "foil-yaml"]),
    ("foil-record", &["foil-manifest", "foil-text"]),
    ("foil-report", &["foil-manifest", "foil-record", "foil-text"]),
    ("foil-journal", &["foil-panics", "foil-record", "foil-safe-path", "foil-text"]),
    ("foil-shield", &["foil-manifest", "foil-safe-path", "foil-text"]),
    ("foil-cluster", &["foil-journal", "foil-manifest", "foil-policy", "foil-record", "foil-text"]),
    (
        "foil-collector",
        &["foil-cluster", "foil-manifest", "foil-policy", "foil-record", "foil-shield", "foil-text", "foil-yaml"],
    ),
    ("foil-sdk", &["foil-manifest"]),
    (
        "foil",
        &[
            "foil-atomic",
            "foil-cluster",
            "foil-collector",
            "foil-journal",
            "foil-manifest",
            "foil-panics",
            "foil-policy",
            "foil-record",
            "foil-report",
            "foil-safe-path",
            "foil-shield",
            "foil-text",
            "foil-yaml",
        ],
    ),
    // It calls Foil as a program.
    ("xtask", &[]),
];

/// Most lines of a crate, its tests included.
const MAX_LINES: usize = 10_000;
/// Those that are still being taken apart.
const LARGE: [&str; 2] = ["foil", "foil-collector"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline", "--locked"])
        .current_dir(root())
        .output()
        .expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The packages of the workspace but the modules and these tests, by name.
fn members(metadata: &Value) -> BTreeMap<&str, &Value> {
    let packages = metadata["packages"].as_array().expect("packages").iter();
    let own = packages.filter(|package| package["source"].is_null());
    let named = own.map(|package| (package["name"].as_str().expect("a name"), package));
    let of_techniques = |package: &Value| package["manifest_path"].as_str().is_some_and(|p| p.contains("/techniques/"));
    named.filter(|(name, package)| *name != "foil-tests" && !of_techniques(package)).collect()
}

#[test]
fn a_crate_uses_those_that_it_may() {
    let metadata = metadata();
    let members = members(&metadata);
    let may_use: BTreeMap<&str, &[&str]> = MAY_USE.into_iter().collect();
    assert_eq!(members.keys().collect::<Vec<_>>(), may_use.keys().collect::<Vec<_>>());
    for (name, package) in &members {
        let uses: BTreeSet<&str> = package["dependencies"]
            .as_array()
            .expect("a list")
            .iter()
            // What tests alone use makes no cycle of the crates.
            .filter(|dependency| dependency["kind"] != "dev")
            .filter_map(|dependency| dependency["name"].as_str())
            .filter(|used| members.contains_key(used))
            .collect();
        let stray: Vec<_> = uses.iter().filter(|used| !may_use[name].contains(used)).collect();
        assert!(stray.is_empty(), "{name} uses {stray:?}: see ARCHITECTURE.md");
    }
}

#[test]
fn the_shield_is_built_without_the_engine() {
    let metadata = metadata();
    let nodes = metadata["resolve"]["nodes"].as_array().expect("nodes");
    let uses: BTreeMap<&str, &Value> = nodes.iter().filter_map(|node| Some((node["id"].as_str()?, node))).collect();
    for crate_name in ["foil-shield", "foil-journal", "foil-policy"] {
        let members = members(&metadata);
        let mut ahead = vec![members[crate_name]["id"].as_str().expect("an id")];
        let mut seen = BTreeSet::new();
        while let Some(id) = ahead.pop() {
            if !seen.insert(id) {
                continue;
            }
            let name = id.rsplit(['/', '#']).find(|part| part.contains('@')).unwrap_or(id);
            assert!(!name.starts_with("wasmtime@"), "{crate_name} uses wasmtime");
            let normal = |dependency: &&Value| {
                dependency["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()))
            };
            let deps = uses[id]["deps"].as_array().expect("a list").iter().filter(normal);
            ahead.extend(deps.filter_map(|dependency| dependency["pkg"].as_str()));
        }
        assert!(seen.len() > 10, "the walk went somewhere");
    }
}

#[test]
fn no_crate_is_large() {
    let metadata = metadata();
    for (name, package) in members(&metadata).iter().filter(|(name, _)| !LARGE.contains(name)) {
        let manifest = Path::new(package["manifest_path"].as_str().expect("a path"));
        let lines = lines(manifest.parent().expect("a folder"));
        assert!(lines > 0 && lines <= MAX_LINES, "{name} has {lines} lines");
    }
}

fn lines(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").flatten();
    let of = |entry: std::fs::DirEntry| {
        let path = entry.path();
        match path.extension().and_then(std::ffi::OsStr::to_str) {
            _ if path.is_dir() => lines(&path),
            Some("rs") => std::fs::read_to_string(&path).expect("UTF-8").lines().count(),
            _ => 0,
        }
    };
    entries.map(of).sum()
}
