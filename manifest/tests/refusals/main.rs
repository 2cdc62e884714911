//! One refusal a rule, each by a module written to break exactly that rule.

mod imports;
mod manifests;
mod structure;

use foil_manifest::{Inspection, Kind, Manifest, Refusal, inspect, section};

/// A manifest of a technique that asks for `exec`.
const TECHNIQUE: &str = r#"
id = "test.technique"
title = "A test"
attack = ["T1082"]
impact = "read-only"
[[capability]]
name = "exec"
allow = ["/bin/uname -a"]
reason = "prints the kernel's name"
"#;

/// A manifest of a check that asks for nothing.
const CHECK: &str = "id = \"test.check\"\ntitle = \"A test\"\nimpact = \"read-only\"\n";

fn technique() -> Manifest {
    Manifest::from_toml(TECHNIQUE, Kind::Technique).expect("a good manifest")
}

fn check() -> Manifest {
    Manifest::from_toml(CHECK, Kind::Check).expect("a good manifest")
}

/// A component with these imports (in the text format) and this export.
fn component(imports: &str, export: &str, functions: &[&str]) -> Vec<u8> {
    let members: String = functions.iter().map(|f| format!("(export \"{f}\" (func $f))")).collect();
    wat::parse_str(format!(
        r#"(component {imports}
            (core module $m (func (export "f")))
            (core instance $i (instantiate $m))
            (func $f (canon lift (core func $i "f")))
            (instance $d {members})
            (export "{export}" (instance $d)))"#
    ))
    .expect("a good component")
}

/// A technique with these imports.
fn technique_importing(imports: &str) -> Vec<u8> {
    component(imports, "foil:host/detonation@0.1.0", &["warmup", "detonate"])
}

/// With its manifest appended.
fn with(bytes: Vec<u8>, manifest: &Manifest) -> Vec<u8> {
    section::append(bytes, manifest).expect("it has none yet")
}

/// One more custom section at the end.
fn with_section(mut bytes: Vec<u8>, data: &[u8]) -> Vec<u8> {
    use wasm_encoder::Encode as _;
    bytes.push(0);
    wasm_encoder::CustomSection { name: section::NAME.into(), data: data.into() }.encode(&mut bytes);
    bytes
}

/// A custom section in the text format, for nested modules.
fn planted() -> String {
    let json: String = technique().to_canonical_json().iter().map(|b| format!("\\{b:02x}")).collect();
    format!("(@custom \"foil:manifest\" \"{json}\")")
}

fn code(result: Result<Inspection, Refusal>) -> &'static str {
    match result {
        Ok(_) => "accepted",
        Err(refusal) => {
            let text = refusal.to_string();
            assert!(text.len() < 1000 && !text.chars().any(char::is_control), "a sentence for people: {text:?}");
            refusal.code()
        }
    }
}

#[test]
fn a_module_that_breaks_no_rule_is_accepted() {
    let bytes =
        with(technique_importing(r#"(import "foil:host/exec@0.1.0" (instance (export "run" (func))))"#), &technique());
    let inspection = inspect(&bytes).expect("accepted");
    assert_eq!(inspection.manifest, technique());
    assert_eq!(inspection.digest, foil_manifest::Digest::of(&bytes));
    assert_eq!(inspection.imports.flat().into_iter().collect::<Vec<_>>(), ["foil:host/exec@0.1.0#run"]);
}
