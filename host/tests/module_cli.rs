//! `foil list`, `show`, `build` and `new`, as a user meets them.

use foil_manifest::{Kind, Manifest, section};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn foil(arguments: &[&str]) -> Output {
    foil_in(Path::new("."), arguments)
}

fn foil_in(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_foil"));
    command.current_dir(folder).args(arguments).env_remove("FOIL_STATE").output().expect("foil starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("UTF-8")
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ has a parent").to_owned()
}

/// A technique that imports nothing, with this id and alias.
fn module(id: &str, alias: &str) -> Vec<u8> {
    let component = wat::parse_str(
        r#"(component
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $d (export "warmup" (func $f)) (export "detonate" (func $f)))
            (export "foil:host/detonation@0.1.0" (instance $d)))"#,
    );
    let toml = format!(
        "id = \"{id}\"\naliases = [\"{alias}\"]\ntitle = \"A test\"\nattack = [\"T1082\"]\nimpact = \"read-only\"\n"
    );
    let manifest = Manifest::from_toml(&toml, Kind::Technique).expect("a good manifest");
    section::append(component.expect("a good component"), &manifest).expect("appended")
}

#[test]
fn every_built_in_module_is_listed_with_what_programs_need() {
    let all = json(&foil(&["list", "--format", "json"]));
    let rows = all.as_array().expect("an array");
    let folders = |family: &Path| std::fs::read_dir(family).expect("readable").count();
    let families = std::fs::read_dir(workspace().join("techniques")).expect("readable");
    // What runs imported tests is no module by itself.
    let families = families.map(|f| f.expect("an entry").path()).filter(|family| !family.ends_with("interpreter"));
    assert_eq!(rows.len(), families.map(|family| folders(&family)).sum::<usize>());
    for row in rows {
        for field in ["id", "kind", "platform", "attack", "impact", "digest", "source"] {
            assert!(!row[field].is_null(), "{field} in {row}");
        }
        assert_eq!(row["source"], "builtin");
        assert!(row["digest"].as_str().is_some_and(|d| d.starts_with("sha256:")));
    }
}

#[test]
fn filters_hold_together() {
    let rows = json(&foil(&["list", "--format", "json", "--kind", "technique", "--attack", "T1059"]));
    let rows = rows.as_array().expect("an array");
    assert!(!rows.is_empty());
    for row in rows {
        assert!(
            row["attack"]
                .as_array()
                .expect("ids")
                .iter()
                .any(|id| id.as_str().is_some_and(|id| id.starts_with("T1059")))
        );
    }
    for none in [["--source", "file"], ["--platform", "nowhere"], ["--attack", "T1001"]] {
        assert_eq!(
            json(&foil(&[&["list", "--format", "json"][..], &none].concat())),
            Value::Array(Vec::new()),
            "{none:?}"
        );
    }
    let bad = foil(&["list", "--attack", "T9999"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(stderr(&bad).contains("`T9999` is not in ATT&CK"));
}

#[test]
fn show_says_all_and_names_near_misses() {
    let shown = json(&foil(&["show", "linux.system-info", "--format", "json"]));
    assert_eq!(shown["manifest"]["id"], "linux.system-info");
    assert_eq!(shown["imports"]["foil:host/exec@0.1.0"], serde_json::json!(["run"]));
    assert_eq!(shown["granted"], "not granted");
    let text = stdout(&foil(&["show", "linux.system-info"]));
    assert!(text.contains("grant       not granted"), "{text}");
    let manifest = &shown["manifest"];
    for value in [&manifest["title"], &manifest["impact"], &manifest["capability"][0]["reason"], &shown["digest"]] {
        assert!(text.contains(value.as_str().expect("a text")), "{value} in {text}");
    }
    let miss = foil(&["show", "linux.sistem-info"]);
    assert_eq!(miss.status.code(), Some(2));
    assert!(stderr(&miss).contains("do you mean `linux.system-info`?"), "{}", stderr(&miss));
}

#[test]
fn one_bad_file_is_reported_and_hides_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("good.wasm"), module("test.good", "test.alias")).expect("written");
    std::fs::write(path("bad.wasm"), b"\0asm\x01\0\0\0").expect("written");
    std::fs::write(path("not-a-module.txt"), b"x").expect("written");
    nix::unistd::mkfifo(&path("fifo.wasm"), nix::sys::stat::Mode::S_IRWXU).expect("made");
    let modules = folder.path().to_str().expect("UTF-8");
    let output = foil(&["list", "--source", "file", "--format", "json", "--modules", modules]);
    assert_eq!(output.status.code(), Some(2));
    let rows: Value = serde_json::from_slice(&output.stdout).expect("JSON all the same");
    assert_eq!(rows.as_array().map(Vec::len), Some(1));
    assert_eq!(rows[0]["source"].as_str(), path("good.wasm").to_str());
    let said = stderr(&output);
    assert!(said.contains("bad.wasm is refused: not a component"), "{said}");
    assert!(said.contains("fifo.wasm: it is no regular file"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");

    for name in ["test.good", "test.alias", path("good.wasm").to_str().expect("UTF-8")] {
        assert_eq!(
            json(&foil(&["show", name, "--format", "json", "--modules", modules]))["manifest"]["id"],
            "test.good"
        );
    }
    let refused = foil(&["show", path("bad.wasm").to_str().expect("UTF-8")]);
    assert_eq!(refused.status.code(), Some(2));
}

#[test]
fn a_name_that_two_claim_is_refused_with_both_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("a.wasm"), module("test.one", "test.alias")).expect("written");
    std::fs::write(path("b.wasm"), module("test.two", "test.alias")).expect("written");
    std::fs::write(path("c.wasm"), module("linux.system-info", "test.c")).expect("written");
    std::fs::write(path("d.wasm"), module("test.d", "linux.system-info")).expect("written");
    let modules = folder.path().to_str().expect("UTF-8");
    let output = foil(&["list", "--source", "file", "--format", "json", "--modules", modules]);
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).expect("JSON"), Value::Array(Vec::new()));
    let line = |part: &str| said.lines().find(|l| l.contains(part)).unwrap_or_else(|| panic!("{part} in {said}"));
    assert!(line("`test.alias`").contains("a.wasm") && line("`test.alias`").contains("b.wasm"));
    assert!(line("c.wasm").contains("the built-in linux.system-info"));
    assert!(line("d.wasm").contains("the built-in linux.system-info"));
    // The built-in one keeps its name; nobody has the other.
    assert_eq!(
        json(&foil(&["show", "linux.system-info", "--format", "json", "--modules", modules]))["source"],
        "builtin"
    );
    let ambiguous = foil(&["show", "test.alias", "--modules", modules]);
    assert!(stderr(&ambiguous).contains("a.wasm"), "{}", stderr(&ambiguous));
}

#[test]
fn new_says_where_it_cannot() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |arguments: &[&str], part: &str| {
        let output = foil_in(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    };
    refused(&["new", "technique", "test.mine"], "--sdk PATH");
    refused(&["new", "technique", "test.mine", "--sdk", "."], "no foil-sdk");
    refused(&["new", "technique", "No-Platform"], "no module id");
    refused(&["new", "technique", "../x.y"], "no module id");
    let sdk = workspace();
    let sdk = sdk.to_str().expect("UTF-8");
    std::fs::create_dir(folder.path().join("there")).expect("made");
    refused(&["new", "technique", "test.mine", "--sdk", sdk, "--dir", "there"], "is there already");
    let inside = format!("{sdk}/host/x");
    refused(&["new", "technique", "test.mine", "--dir", &inside], "leave --dir out");
    assert_eq!(std::fs::read_dir(folder.path()).expect("readable").count(), 1, "nothing is left of a refusal");
}

#[test]
fn what_new_makes_passes_its_tests_and_builds() {
    let folder = tempfile::tempdir().expect("a folder");
    let sdk = workspace().join("sdk");
    // One target folder for both, and for the next time.
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("new");
    for (kind, id, import) in [
        ("technique", "test.my-technique", "foil:host/exec@0.1.0"),
        ("check", "test.my-check", "foil:host/events-read@0.1.0"),
    ] {
        let made = foil_in(folder.path(), &["new", kind, id, "--sdk", sdk.to_str().expect("UTF-8")]);
        assert!(made.status.success(), "{}", stderr(&made));
        let module = folder.path().join(id.replace('.', "-"));
        // What the lock file pins is in the registry already.
        std::fs::copy(workspace().join("Cargo.lock"), module.join("Cargo.lock")).expect("copied");
        std::fs::create_dir(module.join(".cargo")).expect("made");
        let config = format!("[build]\ntarget-dir = {target:?}\n");
        std::fs::write(module.join(".cargo/config.toml"), config).expect("written");
        let mut cargo = Command::new(env!("CARGO"));
        let tested =
            cargo.current_dir(&module).args(["test", "--quiet", "--lib"]).env_remove("CARGO_TARGET_DIR").output();
        let tested = tested.expect("cargo starts");
        assert!(tested.status.success(), "{}{}", stdout(&tested), stderr(&tested));
        assert!(!stdout(&tested).contains(" 0 passed"), "it has tests: {}", stdout(&tested));

        let built = foil_in(&module, &["build", ".", "--format", "json"]);
        let built = json(&built);
        assert_eq!(built["id"], id);
        assert!(built["imports"][import].is_array(), "{built}");
        let wasm = module.join(format!("{id}.wasm"));
        let shown = json(&foil(&["show", wasm.to_str().expect("UTF-8"), "--format", "json"]));
        assert_eq!(shown["digest"], built["digest"]);
    }
}

#[test]
fn build_names_file_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = |part: &str| {
        let output = foil(&["build", folder.path().to_str().expect("UTF-8")]);
        assert_eq!(output.status.code(), Some(2));
        assert!(stderr(&output).contains(part), "{}", stderr(&output));
    };
    refused("neither a technique.toml nor a check.toml");
    let file = folder.path().join("technique.toml");
    std::fs::write(&file, "id = \"a.b\"\ntitle = \"x\"\nattack = [\"T1082\"]\nimpcat = \"read-only\"\n")
        .expect("written");
    refused(&format!("{}:4:1: unknown field `impcat`", file.display()));
    std::fs::write(&file, "id = \"a.b\"\ntitle = \"x\"\nattack = [\"T1082\"]\nimpact = \"read-only\"\n")
        .expect("written");
    refused("Cargo.toml is missing");
    std::fs::write(folder.path().join("check.toml"), "").expect("written");
    refused("both a technique.toml and a check.toml");
}

#[test]
fn a_missing_target_is_one_sentence_that_says_what_to_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let made =
        foil_in(folder.path(), &["new", "technique", "test.mine", "--sdk", workspace().to_str().expect("UTF-8")]);
    assert!(made.status.success(), "{}", stderr(&made));
    // A compiler that has no standard library at all.
    let rustc = folder.path().join("rustc");
    let script = format!("#!/bin/sh\nPATH=${{PATH#*:}}\nexec rustc \"$@\" --sysroot {:?}\n", folder.path());
    std::fs::write(&rustc, script).expect("written");
    std::fs::set_permissions(&rustc, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("set");
    let path = format!("{}:{}", folder.path().display(), std::env::var("PATH").expect("PATH"));
    let mut foil = Command::new(env!("CARGO_BIN_EXE_foil"));
    let built =
        foil.args(["build", "test-mine"]).current_dir(folder.path()).env("PATH", path).output().expect("starts");
    assert_eq!(built.status.code(), Some(2));
    assert_eq!(
        stderr(&built),
        "foil: the wasm32-unknown-unknown target is missing: run `rustup target add wasm32-unknown-unknown`, or build with \
         `cargo xtask build`, which does\n"
    );
}
