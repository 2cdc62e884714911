//! The committed JSON Schemas are those of the types, hold for every file in this repository, and refuse what the parsers refuse.

use foil::campaign::document;
use foil_manifest::{Kind, Manifest};
use foil_policy::{environment, grants};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

const ALL: [&str; 7] = ["experiment", "campaign", "environment", "grants", "technique", "check", "report"];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ has a parent").to_owned()
}

fn printed(of: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_foil")).args(["schema", of]).output().expect("foil starts");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn validator(of: &str) -> jsonschema::Validator {
    let schema: Value = serde_json::from_str(&printed(of)).expect("JSON");
    jsonschema::meta::validate(&schema).expect("a schema of its own draft");
    jsonschema::draft202012::new(&schema).expect("a schema")
}

#[test]
fn the_committed_schemas_are_those_of_the_types() {
    for of in ALL {
        let path = workspace().join(format!("schemas/{of}.json"));
        let now = printed(of);
        if std::env::var_os("UPDATE_GOLDEN").is_some_and(|value| value == "1") {
            std::fs::write(&path, &now).expect("writable");
        }
        assert!(
            std::fs::read_to_string(&path).unwrap_or_default() == now,
            "schemas/{of}.json differs from what `foil schema {of}` prints: run `UPDATE_GOLDEN=1 cargo test --workspace --test \
             schemas`, and look at what changed"
        );
    }
}

/// As the schema sees it: dates of TOML are text.
fn from_toml(text: &str) -> Result<Value, String> {
    fn plain(value: toml::Value) -> Value {
        match value {
            toml::Value::Datetime(when) => when.to_string().into(),
            toml::Value::Array(all) => all.into_iter().map(plain).collect(),
            toml::Value::Table(all) => all.into_iter().map(|(name, value)| (name, plain(value))).collect(),
            other => serde_json::to_value(other).expect("JSON"),
        }
    }
    toml::from_str::<toml::Table>(text).map(|table| plain(table.into())).map_err(|error| error.to_string())
}

fn from_yaml(text: &str) -> Result<Value, String> {
    foil_yaml::parse(text)
}

/// The documents of a file of this repository, each with the schema that it is held to.
fn documents(path: &Path) -> Vec<(&'static str, Value)> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let shown = path.display();
    let toml = |kind| vec![(kind, from_toml(&text).unwrap_or_else(|error| panic!("{shown}: {error}")))];
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    match name {
        "grants.toml" => toml("grants"),
        "technique.toml" => toml("technique"),
        "check.toml" => toml("check"),
        _ if name.ends_with(".yaml") => {
            let documents = foil_yaml::documents(&text).unwrap_or_else(|error| panic!("{shown}: {error}"));
            let read = |text: &String| from_yaml(text).unwrap_or_else(|error| panic!("{shown}: {error}"));
            let kind = |value: Value| {
                let kinds = ["experiment", "campaign", "environment"];
                // Sigma rules have schemas of their own.
                Some((kinds.into_iter().find(|kind| value.get(kind).is_some())?, value))
            };
            documents.iter().map(read).filter_map(kind).collect()
        }
        _ => Vec::new(),
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

#[test]
fn every_file_here_is_valid() {
    let mut found = Vec::new();
    ["examples", "techniques"].iter().for_each(|folder| files(&workspace().join(folder), &mut found));
    let mut count = std::collections::BTreeMap::new();
    let validators: Vec<_> = ALL.iter().map(|name| (*name, validator(name))).collect();
    for path in found {
        for (kind, value) in documents(&path) {
            let (_, validator) = validators.iter().find(|(name, _)| *name == kind).expect("one of all");
            let wrong: Vec<String> =
                validator.iter_errors(&value).map(|e| format!("{}: {e}", e.instance_path())).collect();
            assert!(wrong.is_empty(), "{}: {wrong:#?}", path.display());
            *count.entry(kind).or_insert(0) += 1;
        }
    }
    let least =
        [("experiment", 14), ("campaign", 2), ("environment", 1), ("grants", 1), ("technique", 12), ("check", 1)];
    for (kind, least) in least {
        assert!(count.get(kind).is_some_and(|n| *n >= least), "{kind}: {count:?}");
    }
}

const EXPERIMENT: &str = "experiment: e\ntechnique: linux.file-delete\nexpect:\n  - link: telemetry\n    check: linux.audit-event\n    \
                          within: 1h 30m\n    grace: 500ms\n";
const ENVIRONMENT: &str = "environment: e\nhosts: [{ name: 'web-*' }]\nparallel: 2\nlimits: { wall-ms: 1000 }\nfiles: { falco: { \
                           path: /var/log/falco.json } }\ninbox: { listen: '127.0.0.1:2801' }\n";
const GRANTS: &str = "[[grant]]\nmodule = 'a.b'\ndigest = 'sha256:DIGEST'\ngranted = 2027-01-31\nreviewer = 'r'\nreason = 'x'\nexpires = \
                      '2027-02-28T12:00:00Z'\n[[grant.capability]]\nname = 'exec'\nallow = ['/usr/bin/id -u']\n";
const TECHNIQUE: &str = "id = 'a.b'\ntitle = 'T'\nattack = ['T1059.004']\nimpact = 'reversible'\n[parameters.count]\ntype = \
                         'integer'\nabout = 'how many'\n[[capability]]\nname = 'exec'\nallow = ['/bin/sh ...']\nreason = 'r'\n";
const CHECK: &str = "id = 'a.b'\ntitle = 'T'\nimpact = 'read-only'\n";

#[test]
fn both_refuse_the_same_mistakes() {
    let grants_text = GRANTS.replace("DIGEST", &"0".repeat(64));
    let parse = |kind: &str, text: &str| match kind {
        "experiment" => document::parse(text).map(drop),
        "environment" => environment::parse(text).map(drop).map_err(|e| e.to_string()),
        "grants" => grants::parse(text).map(drop).map_err(|e| e.to_string()),
        "technique" => Manifest::from_toml(text, Kind::Technique).map(drop).map_err(|e| e.to_string()),
        _ => Manifest::from_toml(text, Kind::Check).map(drop).map_err(|e| e.to_string()),
    };
    let good = [
        ("experiment", EXPERIMENT),
        ("environment", ENVIRONMENT),
        ("grants", &grants_text),
        ("technique", TECHNIQUE),
        ("check", CHECK),
    ];
    let bad = [
        ("experiment", "within: 1h 30m", "within: soon"),
        // Without a technique there are links, and nothing that belongs to a technique.
        ("experiment", "technique: linux.file-delete\n", "shield: open\n"),
        ("experiment", "within: 1h 30m", "wihtin: 1h"),
        ("experiment", "link: telemetry", "link: vibes"),
        ("experiment", "experiment: e\n", "experiment: a/b\n"),
        ("experiment", "    within: 1h 30m\n", ""),
        ("environment", "parallel: 2", "parallel: 0"),
        ("environment", "parallel: 2", "impact: harmless"),
        ("environment", "{ name: 'web-*' }", "{ name: 'web-*', machine-id: '0123456789abcdef0123456789abcdef' }"),
        ("environment", "wall-ms: 1000", "wall: 1000"),
        ("environment", "path: /var/log/falco.json", "format: json"),
        ("environment", "listen: '127.0.0.1:2801'", "port: 2801"),
        ("grants", "module = 'a.b'", "module = 'AB'"),
        ("grants", "digest = 'sha256:", "digest = 'md5:"),
        ("grants", "granted = 2027-01-31", "granted = 'soon'"),
        ("grants", "reviewer = 'r'\n", "reviewer = ''\n"),
        ("grants", "reviewer = 'r'\n", "reviewer = 'r'\njudged = 'sha256:DIGEST'\n"),
        ("grants", "name = 'exec'", "name = 'shell'"),
        ("technique", "attack = ['T1059.004']\n", ""),
        ("technique", "attack = ['T1059.004']\n", "attack = ['T59']\n"),
        ("technique", "impact = 'reversible'", "impact = 'reversible'\nkind = 'check'"),
        ("technique", "type = 'integer'", "type = 'int'"),
        ("technique", "allow = ['/bin/sh ...']", "allow = ['sh ...']"),
        ("technique", "title = 'T'", "title = ''"),
        ("check", "impact = 'read-only'", "impact = 'reversible'"),
        ("check", "title = 'T'", "title = 'T'\nunknown = 1"),
    ];
    for (kind, text) in good {
        let validator = validator(kind);
        let value = |text: &str| {
            if matches!(kind, "experiment" | "environment") { from_yaml(text) } else { from_toml(text) }.expect(text)
        };
        assert!(validator.is_valid(&value(text)), "{kind}: {text}");
        parse(kind, text).unwrap_or_else(|error| panic!("{kind}: {error}"));
        for (_, from, to) in bad.iter().filter(|(of, ..)| *of == kind) {
            assert!(text.contains(from), "{kind}: {from}");
            let broken = text.replacen(from, &to.replace("DIGEST", &"0".repeat(64)), 1);
            assert!(!validator.is_valid(&value(&broken)), "the schema takes {kind}: {broken}");
            assert!(parse(kind, &broken).is_err(), "the parser takes {kind}: {broken}");
        }
    }
}

#[test]
fn a_real_report_is_valid() {
    let folder = tempfile::tempdir().expect("a folder");
    let state = folder.path().join("state");
    let foil = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foil"));
        command.args(arguments).current_dir(folder.path()).env("FOIL_STATE", &state).env("TMPDIR", folder.path());
        command.output().expect("foil starts")
    };
    let granted = foil(&["grant", "--builtin", "--reason", "test", "--reviewer", "test", "--yes"]);
    assert!(granted.status.success(), "{granted:?}");
    let fired = foil(&["fire", "linux.system-info", "--format", "json"]);
    let report: Value = serde_json::from_slice(&fired.stdout).unwrap_or_else(|error| panic!("{error}: {fired:?}"));
    let wrong: Vec<String> =
        validator("report").iter_errors(&report).map(|e| format!("{}: {e}", e.instance_path())).collect();
    assert!(wrong.is_empty() && report[0]["schema"] == 1, "{wrong:#?}");
}
