//! `foil review` of sources, of two versions of a module, and of all modules; and what no file's name can do to a terminal.

use foil_manifest::{Kind, Manifest, section};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A folder of modules, and a `foil` in it.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::create_dir_all(self.path(name).parent().expect("a folder")).expect("made");
        std::fs::write(self.path(name), bytes).expect("written");
    }

    fn foil(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foil"));
        command.current_dir(self.0.path()).args(arguments).env("FOIL_STATE", self.path("state"));
        command.stdin(std::process::Stdio::null()).output().expect("foil starts")
    }

    /// What it prints, with this exit code.
    fn says(&self, code: i32, arguments: &[&str]) -> String {
        let output = self.foil(arguments);
        let (out, error) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {out}{error}");
        format!("{out}{error}")
    }

    fn json(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.foil(&[arguments, &["--format", "json"]].concat());
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("host/ has a parent").to_owned()
}

/// A technique that imports nothing. `more`: what stands in its manifest besides; `code`: what makes its bytes others.
fn module(id: &str, more: &str, code: u32) -> Vec<u8> {
    let component = wat::parse_str(format!(
        r#"(component
            (core module $m (func (export "f")) (func (export "g") (result i32) i32.const {code}))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $d (export "warmup" (func $f)) (export "detonate" (func $f)))
            (export "foil:host/detonation@0.1.0" (instance $d)))"#,
    ));
    let manifest = Manifest::from_toml(&source(id, more), Kind::Technique).expect("a good manifest");
    section::append(component.expect("a good component"), &manifest).expect("appended")
}

fn source(id: &str, more: &str) -> String {
    format!("id = \"{id}\"\ntitle = \"A test\"\nattack = [\"T1082\"]\nimpact = \"read-only\"\n{more}")
}

fn exec(allow: &str) -> String {
    format!("[[capability]]\nname = \"exec\"\nallow = [{allow}]\nreason = \"looks\"\n")
}

#[test]
fn a_source_is_reviewed_without_building_it() {
    let desk = Desk::new();
    let id = "linux.file-delete";
    let folder = workspace().join("techniques/linux/file-delete");
    let folder = folder.to_str().expect("UTF-8");
    let built = desk.says(0, &["review", id]);
    for name in [folder.to_owned(), format!("{folder}/technique.toml")] {
        let said = desk.says(0, &["review", &name]);
        for words in ["the source's manifest: no code was built", "technique.toml:", "unknown until it is built"] {
            assert!(said.contains(words), "{words}: {said}");
        }
        // The same page: what the built one asks for stands there too, line by line.
        let requests = built.split("\nAsks for\n").nth(1).and_then(|rest| rest.split("\n\n").next()).expect("a part");
        for line in requests.lines() {
            assert!(said.lines().any(|other| other == line), "{line}\n{said}");
        }
    }
    let json = desk.json(0, &["review", folder]);
    assert_eq!(
        (&json["digest"], &json["imports"], &json["grant"]["state"]),
        (&Value::Null, &Value::Null, &"source".into())
    );
    let toml = std::fs::read_to_string(format!("{folder}/technique.toml")).expect("readable");
    let lines = json["source"]["lines"].as_array().expect("lines");
    assert_eq!(lines.len(), json["requests"].as_array().expect("requests").len());
    for line in lines {
        let line = line.as_u64().expect("a number") as usize;
        assert_eq!(toml.lines().nth(line - 1), Some("[[capability]]"));
    }
    desk.write("empty/x", "");
    assert!(desk.says(2, &["review", "./empty"]).contains("neither a technique.toml nor a check.toml"));
    desk.write("linux.b/technique.toml", source("linux.b", ""));
    assert!(desk.says(0, &["review", "linux.b"]).contains("linux.b: A test"));
    desk.write("bad/technique.toml", source("linux.b", "impcat = 1\n"));
    assert!(desk.says(2, &["review", "./bad"]).contains("bad/technique.toml:5:1: "));
}

#[test]
fn two_versions_are_compared() {
    let desk = Desk::new();
    let id = "linux.x";
    desk.write("old.wasm", module(id, &exec("\"/usr/bin/id -u\""), 1));
    desk.write("same.wasm", module(id, &exec("\"/usr/bin/id -u\""), 1));
    desk.write("code.wasm", module(id, &exec("\"/usr/bin/id -u\""), 2));
    desk.write("more.wasm", module(id, &exec("\"/usr/bin/id ...\""), 2));
    desk.write("less.wasm", module(id, "", 2));
    desk.write("says.wasm", module(id, &exec("\"/usr/bin/id -u\"").replace("looks", "peeks"), 2));
    desk.write("src/technique.toml", source(id, &exec("\"/usr/bin/id -u\"")));
    desk.write("other.wasm", module("linux.y", "", 1));
    desk.write(
        "renamed.wasm",
        module("linux.z", &format!("aliases = [\"linux.x\"]\n{}", exec("\"/usr/bin/id -u\"")), 1),
    );
    for (new, code, words) in [
        ("same.wasm", 0, "The two are the same, byte for byte."),
        ("code.wasm", 0, "It asks for the same; only its code changed."),
        ("more.wasm", 1, "widened exec.allow: /usr/bin/id -u -> /usr/bin/id ..."),
        ("less.wasm", 0, "It asks for less, and for nothing more; its code changed too."),
        ("says.wasm", 0, "changed exec.reason: \"looks\" -> \"peeks\""),
        ("./src", 0, "Whether its code changed is unknown"),
        ("renamed.wasm", 0, "changed id: \"linux.x\" -> \"linux.z\""),
        ("other.wasm", 2, "linux.x and linux.y are two modules"),
    ] {
        // Lines are wrapped for the page.
        let said = desk.says(code, &["review", "old.wasm", new]).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{new}: {said}");
    }
    let json = desk.json(1, &["review", "old.wasm", "more.wasm"]);
    assert_eq!((&json["code"], &json["asks"]), (&"changed".into(), &"more".into()));
    assert_eq!(json["differences"][0]["effect"], "widened");
    let json = desk.json(0, &["review", "old.wasm", "code.wasm"]);
    assert_eq!((&json["asks"], json["differences"].as_array().map(Vec::len)), (&"same".into(), Some(0)));
    let folder = workspace().join("techniques/linux/file-delete");
    let json = desk.json(0, &["review", "linux.file-delete", folder.to_str().expect("UTF-8")]);
    assert_eq!((&json["code"], &json["asks"]), (&"not-compared".into(), &"same".into()));
}

#[test]
fn all_modules_stand_riskiest_first() {
    let desk = Desk::new();
    desk.write("mods/a.wasm", module("linux.aa", "", 1));
    desk.write("mods/b.wasm", module("linux.ab", &exec("\"/bin/sh -c ...\""), 1));
    desk.write("mods/c.wasm", module("linux.ac", &format!("shield = [\"open\"]\n{}", exec("\"/bin/id\"")), 1));
    let rows = desk.json(0, &["review", "--all", "--modules", "mods"]);
    let rows = rows.as_array().expect("rows");
    let of = |id: &str| rows.iter().position(|row| row["id"] == id).expect(id);
    assert!(of("linux.ac") < of("linux.ab") && of("linux.ab") < of("linux.aa"), "{rows:#?}");
    assert_eq!(rows[of("linux.ac")]["hazards"][0], "open");
    assert_eq!(rows[of("linux.ab")]["grant"]["state"], "not-granted");
    // The worst hazard decides, whatever the id.
    let worst: Vec<&str> = rows.iter().map(|row| row["hazards"][0].as_str().unwrap_or("none")).collect();
    let mut runs = worst.clone();
    runs.dedup();
    let mut once = runs.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(runs.len(), once.len(), "each worst hazard in one run: {worst:?}");
    assert_eq!((runs.first(), runs.last()), (Some(&"open"), Some(&"none")));
    let table = desk.says(0, &["review", "--all", "--modules", "mods", "--kind", "technique"]);
    assert!(table.starts_with("ID") || table.contains(" ID"), "{table}");
    assert!(table.contains("arbitrary-code") && !table.contains("(check)"), "{table}");
    let checks = desk.json(0, &["review", "--all", "--kind", "check"]);
    assert!(checks.as_array().expect("rows").iter().all(|row| row["kind"] == "check"));
    desk.says(2, &["review", "--all", "linux.aa"]);
    desk.says(2, &["review"]);
}

#[test]
fn a_narrowed_grant_shows_what_is_granted() {
    let desk = Desk::new();
    desk.write("x.wasm", module("linux.x", &format!("{}{READS}", exec("\"/usr/bin/id ...\"")), 1));
    let grant = ["grant", "./x.wasm", "--yes", "--reason", "r", "--reviewer", "e"];
    desk.says(0, &[&grant[..], &["--only", "exec", "--narrow", "exec.allow=/usr/bin/id -u"]].concat());
    let said = desk.says(0, &["review", "./x.wasm"]);
    let (_, granted) = said.split_once("\nIs granted\n").expect("a heading");
    assert!(granted.contains("run       /usr/bin/id -u\n") && granted.contains("denied    files-read"), "{granted}");
    let json = desk.json(0, &["review", "./x.wasm"]);
    assert_eq!(json["grant"]["granted"]["capabilities"][0]["allow"][0], "/usr/bin/id -u");
    assert!(desk.says(0, &["review", "--all", "--modules", "."]).contains("granted, not as asked"));
    desk.write("e.yaml", "experiment: e\ntechnique: linux.x\n");
    let plan = desk.says(0, &["plan", "e.yaml", "--modules", "."]);
    assert!(plan.contains("exec: /usr/bin/id -u\n") && plan.contains("files-read: not granted"), "{plan}");
    desk.says(0, &grant);
    let said = desk.says(0, &["review", "./x.wasm"]);
    assert!(said.contains("exactly what was granted") && !said.contains("Is granted"), "{said}");
}

const READS: &str = "[[capability]]\nname = \"files-read\"\nallow = [\"/etc/passwd\"]\nreason = \"reads\"\n";

#[test]
fn foils_own_ids_are_nobody_elses() {
    let desk = Desk::new();
    for (id, more) in [
        ("interpreter.atomic", ""),
        ("interpreter.shell", ""),
        ("foil.canary", ""),
        ("foil.observed", ""),
        ("atomic.T1059.004-1", ""),
        ("linux.x", "aliases = [\"foil.canary\"]\n"),
        ("linux.x", "aliases = [\"interpreter.atomic\"]\n"),
    ] {
        desk.write("mods/x.wasm", module(id, more, 1));
        let said = desk.says(2, &["review", "mods/x.wasm"]);
        assert!(said.contains("reserved id: ") && said.contains("call the module otherwise"), "{id}: {said}");
        assert!(desk.says(2, &["list", "--modules", "mods", "--kind", "technique"]).contains("reserved id: "));
    }
    assert!(desk.says(2, &["new", "technique", "foil.x"]).contains("one of Foil's own ids"));
    // A GUID is what imported tests are known by elsewhere, and nobody's own.
    desk.write("mods/x.wasm", module("linux.x", "aliases = [\"2b1b5ba4-9a3f-4ac0-9f0f-bd1c5d6f7a8b\"]\n", 1));
    desk.says(0, &["review", "mods/x.wasm"]);
}

/// A name that would paint over the screen, begin a line of its own, and turn the direction of writing.
const EVIL: &str = "a\u{1b}[2J\nforged: all is well\u{202e}\u{3164}\u{9b}b";

#[test]
fn no_name_of_a_file_is_obeyed_by_a_terminal() {
    let desk = Desk::new();
    let at = |rest: &str| format!("./{EVIL}/{rest}");
    desk.write(&at("bad.wasm"), "no module");
    desk.write(&at("atomic.bad.json"), "no test");
    desk.write(&at("good.wasm"), module("linux.good", "", 1));
    desk.write(&at("e.yaml"), "experiment: e\ntechnique: linux.good\nrules: [./none]\n");
    desk.write(&at("c.yaml"), "campaign: c\nsteps: [{ step: a, file: gone.yaml }]\n");
    desk.write(&at("bad.yaml"), "experiment: [\n");
    desk.write(&at("src/technique.toml"), "id = 1\n");
    desk.write(&at("ok/technique.toml"), source("linux.ok", ""));
    desk.write(&at("grants.toml"), "[[grant]]\nx = 1\n");
    desk.write(&at("foil.yaml"), "environment: \"a\\u001b\\u202e\"\n");
    desk.write(
        &at("log.yaml"),
        format!("environment: x\nfiles: {{ f: {{ path: {} }} }}\n", serde_json::to_string(EVIL).expect("JSON")),
    );
    let (folder, none) = (at(""), at("none"));
    let all: &[&[&str]] = &[
        &["list", "--modules", &folder],
        &["list", "--modules", &folder, "--format", "json"],
        &["list", "--modules", &none],
        &["show", &at("good.wasm")],
        &["show", &at("good.wasm"), "--format", "json"],
        &["show", &at("bad.wasm")],
        &["show", &none],
        &["show", EVIL],
        &["review", &at("good.wasm")],
        &["review", &at("ok")],
        &["review", &at("ok"), "--format", "json"],
        &["review", &at("src")],
        &["review", &at("good.wasm"), &at("good.wasm")],
        &["review", &at("atomic.bad.json")],
        &["review", "--all", "--modules", &folder],
        &["review", "--all", "--modules", &folder, "--format", "json"],
        &["grant", &at("good.wasm"), "--yes", "--reason", "r", "--reviewer", "e"],
        &["grant", "linux.system-info", "--yes", "--reason", "r", "--reviewer", "e", "--grants", &at("grants.toml")],
        &["grant", "linux.system-info", "--yes", "--reason", "r", "--reviewer", "e", "--grants", &at("new.toml")],
        &["revoke", "linux.system-info", "--reason", "r", "--grants", &at("new.toml")],
        &["plan", &at("e.yaml"), "--modules", &folder],
        &["plan", &at("c.yaml")],
        &["plan", &at("bad.yaml")],
        &["plan", &none],
        &["plan", &folder],
        &["run", &at("bad.yaml")],
        &["run", &at("e.yaml"), "--environment", &at("foil.yaml")],
        &["check", &at("c.yaml")],
        &["build", &at("src")],
        &["build", &none],
        &["new", "technique", "linux.a", "--dir", &at("good.wasm"), "--sdk", &folder],
        &["journal", "--state", &at("grants.toml")],
        &["journal", "--state", &at("state")],
        &["cleanup", "--state", &at("grants.toml")],
        &["doctor", "--state", &at("state"), "--environment", &at("log.yaml"), "--grants", &at("grants.toml")],
        &["doctor", "--environment", &at("log.yaml"), "--format", "json"],
        &["import", "atomic", &folder, "--out", &at("out")],
        &["import", "atomic", &none, "--out", &at("out")],
        &["man", &at("good.wasm")],
    ];
    for arguments in all {
        let output = desk.foil(arguments);
        let said = format!("{}\n{}", text(&output.stdout), text(&output.stderr));
        assert!(!said.contains(['\u{1b}', '\u{9b}', '\u{202e}', '\u{3164}']), "{arguments:?}: {said:?}");
        assert!(!said.lines().any(|line| line.starts_with("forged")), "{arguments:?}: {said}");
        assert_ne!(output.status.code(), Some(5), "{arguments:?}: {said}");
    }
}

#[test]
fn a_name_that_is_not_utf_8_is_shown_and_breaks_nothing() {
    use std::os::unix::ffi::OsStrExt as _;
    let desk = Desk::new();
    let name = std::ffi::OsStr::from_bytes(b"m\xff.wasm");
    std::fs::write(desk.0.path().join(name), module("linux.x", "", 1)).expect("written");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foil"));
        let output = command.current_dir(desk.0.path()).args(arguments).arg("--modules").arg(".").output();
        output.expect("foil starts")
    };
    for arguments in [&["show", "linux.x"][..], &["review", "linux.x"], &["list", "--kind", "technique"]] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let json = run(&[arguments, &["--format", "json"]].concat());
        assert!(json.status.success() && serde_json::from_slice::<Value>(&json.stdout).is_ok());
    }
    assert!(text(&run(&["show", "linux.x"]).stdout).contains("/m\\xff.wasm"));
    let file = Command::new(env!("CARGO_BIN_EXE_foil"))
        .current_dir(desk.0.path())
        .args([
            "grant",
            "linux.x",
            "--modules",
            ".",
            "--yes",
            "--reason",
            "r",
            "--reviewer",
            "e",
            "--format",
            "json",
            "--grants",
        ])
        .arg(std::ffi::OsStr::from_bytes(b"g\xff.toml"))
        .output()
        .expect("foil starts");
    assert_eq!(file.status.code(), Some(0), "{}", text(&file.stderr));
}
