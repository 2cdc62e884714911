//! Modules that must not even load, or not with what they were granted.

use foil_manifest::section;
use foil_tests::hostile::{Command, Guest, Stage};

#[test]
fn a_check_that_starts_programs() {
    // That a check's manifest cannot ask for it either is tested where manifests are.
    let mut check = Guest::check("test.acts");
    let call = Command::new("/bin/true", &[]).call(&mut check);
    let check = check.act(&format!("{call} (call $nothing)"));
    let stage = Stage::new();
    stage.add(&check);
    let path = stage.root.join("modules/test.acts.wasm").display().to_string();
    for arguments in
        [&["review", path.as_str()][..], &["grant", path.as_str(), "--yes", "--reviewer", "t", "--reason", "t"]]
    {
        let ended = stage.foil(arguments);
        assert!(ended.code != 0 && ended.stderr.contains("exec"), "{ended:?}");
    }
    assert!(!stage.foil(&["list", "--format", "json"]).stdout.contains("test.acts"));
    stage.foil(&["fire", "test.acts"]).refused("test.acts");
}

#[test]
fn a_module_whose_grant_was_narrowed() {
    let mut guest = Guest::technique("test.narrowed")
        .asks("exec", "allow = [\"/bin/true\"]")
        .asks("files-read", "allow = [\"/etc/hostname\"]");
    let call = Command::new("/bin/true", &[]).call(&mut guest);
    let guest = guest.act(&format!("{call} (call $or8)"));
    let stage = Stage::new();
    assert_eq!(stage.add(&guest).grant_with("test.narrowed", &["--only", "files-read"]).code, 0);
    let ended = stage.foil(&["fire", "test.narrowed", "--format", "json"]);
    // Refused before it ran, or not linked: either way the program never starts.
    assert!(!matches!(ended.code, 0 | 1 | 4), "{ended:?}");
    assert!(
        format!("{}{}", ended.stdout, ended.stderr).contains("exec") || ended.stdout.contains("not linked"),
        "{ended:?}"
    );
}

#[test]
fn a_module_that_changed_after_it_was_granted() {
    let stage = Stage::new();
    stage.add(&Guest::technique("test.changed")).grant("test.changed");
    stage.add(&Guest::technique("test.changed").act("unreachable"));
    stage.foil(&["fire", "test.changed"]).refused("test.changed");
}

#[test]
fn a_module_that_nobody_granted() {
    let stage = Stage::new();
    stage.add(&Guest::technique("test.stranger"));
    stage.foil(&["fire", "test.stranger"]).refused("not granted");
}

#[test]
fn a_limit_that_a_manifest_raises_for_itself() {
    // Manifests only lower.
    let act = "(loop $l (br $l)) unreachable";
    let guest = Guest::technique("test.raises").asks("files-read", "allow = [\"/x\"]").act(act);
    let mut manifest = guest.manifest();
    manifest.limits.cpu_ms = Some(u64::MAX);
    let stage = Stage::new();
    let bytes = guest.build();
    let plain = guest.manifest().to_canonical_json();
    // Everything before the section that `build` appended: its name, its content and two length prefixes.
    let end = bytes.windows(section::NAME.len()).rposition(|w| w == section::NAME.as_bytes()).expect("appended");
    assert!(bytes.ends_with(&plain));
    let component = (1..6).map(|n| &bytes[..end - n]).find(|b| section::append(b.to_vec(), &manifest).is_ok());
    let bytes = section::append(component.expect("a component").to_vec(), &manifest).expect("it has none");
    stage.add_bytes("test.raises", &bytes).grant("test.raises");
    stage.foil(&["fire", "test.raises", "--format", "json"]).stopped_at("cpu-ms", 300);
}

/// A component written as such, with the manifest of a technique.
fn raw(id: &str, component: &str) -> (Stage, String) {
    let bytes = wat::parse_str(component).expect("text");
    let stage = Stage::new();
    stage.add_bytes(id, &section::append(bytes, &Guest::technique(id).manifest()).expect("none yet"));
    (stage, id.to_owned())
}

/// Refused when loaded, or stopped before the first instruction; never run.
fn never_runs((stage, id): (Stage, String), word: &str) {
    let granted = stage.grant_with(&id, &[]);
    let ended = if granted.code == 0 { stage.foil(&["fire", &id, "--format", "json"]) } else { granted };
    assert!(matches!(ended.code, 2 | 5), "{ended:?}");
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains(word), "{ended:?}");
}

fn exporting(core: &str, lift: &str) -> String {
    format!(
        "(component (core module $m {core} (func (export \"f\")))
        (core instance $i (instantiate $m))
        {lift}
        (instance $d (export \"warmup\" (func $f)) (export \"detonate\" (func $f)))
        (export \"foil:host/detonation@0.1.0\" (instance $d)))"
    )
}

const LIFT: &str = "(func $f (canon lift (core func $i \"f\")))";

#[test]
fn exports_of_other_types() {
    never_runs(raw("test.types", &exporting("", LIFT)), "type mismatch");
}

#[test]
fn shared_memory() {
    never_runs(raw("test.shared", &exporting("(memory 1 2 shared)", LIFT)), "threads");
}

#[test]
fn asynchronous_exports() {
    let lift = "(type $t (func async)) (func $f (type $t) (canon lift (core func $i \"f\")))";
    never_runs(raw("test.later", &exporting("", lift)), "async");
}

#[test]
fn a_thousand_instances() {
    let instances: String = (0..1000).map(|n| format!("(core instance $i{n} (instantiate $m))")).collect();
    let text = exporting("", LIFT).replace("(core instance $i (", &format!("{instances}(core instance $i ("));
    never_runs(raw("test.instances", &text), "");
}

#[test]
fn sixty_four_bit_memory() {
    // Its sizes do not fit the 32 bits that limits were once thought in.
    let text = exporting("(memory i64 0x1000000000)", LIFT);
    never_runs(raw("test.wide", &text), "");
}

#[test]
fn one_function_of_twenty_thousand_branches() {
    let body = format!("(block {} )", "(br_if 0 (i32.eqz (i32.const 1)))".repeat(20_000));
    let guest = Guest::technique("test.bomb").fields(&format!("(func $bomb (export \"bomb\") {body})"));
    Stage::new().fire(&guest).is("pass", 0, "");
}
