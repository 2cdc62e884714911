//! A technique of a few lines of WebAssembly text, built here: nothing of the SDK's is measured.

use foil_manifest::{Kind, Manifest, section};
use std::path::Path;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// A command of one argument, which the technique starts by `(call $start)`.
#[derive(Debug, Clone, Copy)]
pub struct Starts<'a> {
    /// What it asks for: the pattern of a command.
    pub allow: &'a str,
    /// What it starts.
    pub program: &'a str,
    /// With this argument.
    pub argument: &'a str,
}

/// Asks for the time; the answer is at 512.
pub const NOW: &str = "(call $now (i32.const 512))";

/// Starts the command; the answer is at 512.
pub const START: &str = "(call $start)";

/// Says what the command printed, and fails where it was not started.
pub const SAY_OUTPUT: &str = "
    (if (i32.load8_u (i32.const 512)) (then unreachable))
    (call $say (i32.load (i32.const 524)) (i32.load (i32.const 528)))";

/// Builds the technique `id` whose `detonate` is `instructions`; they leave the address of its result.
pub fn technique(id: &str, starts: Starts<'_>, instructions: &str) -> Vec<u8> {
    let Starts { allow, program, argument } = starts;
    let manifest = format!(
        "id = \"{id}\"\ntitle = \"Is measured\"\nattack = [\"T1082\"]\nimpact = \"read-only\"\n\
         [[capability]]\nname = \"exec\"\nallow = [{allow:?}]\nreason = \"is measured\"\n"
    );
    let manifest = Manifest::from_toml(&manifest, Kind::Technique).expect("a manifest");
    let text = format!(
        r#"(module
        (import "foil:host/exec@0.1.0" "run"
            (func $exec (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
        (import "foil:host/clock@0.1.0" "now" (func $now (param i32)))
        (memory (export "memory") 2)
        (global $heap (mut i32) (i32.const 8192))
        (data (i32.const 4096) "{program}")
        (data (i32.const 4608) "{argument}")
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
            (global.set $heap (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        (func $say (param $at i32) (param $length i32) (result i32)
            (i32.store (i32.const 512) (i32.const 0))
            (i32.store (i32.const 516) (local.get $at)) (i32.store (i32.const 520) (local.get $length))
            (i64.store (i32.const 524) (i64.const 0))
            (i32.const 512))
        (func $start
            ;; What the last call was answered is not looked at again.
            (global.set $heap (i32.const 8192))
            (i32.store (i32.const 5120) (i32.const 4608)) (i32.store (i32.const 5124) (i32.const {argument_length}))
            (call $exec (i32.const 4096) (i32.const {program_length}) (i32.const 5120) (i32.const 1)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0)
                (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512)))
        (func (export "foil:host/detonation@0.1.0#warmup") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            (i64.store (i32.const 512) (i64.const 0)) (i32.store (i32.const 520) (i32.const 0)) (i32.const 512))
        (func (export "foil:host/detonation@0.1.0#detonate") (param i32) (result i32)
            (local $i i32) {instructions}))"#,
        argument_length = argument.len(),
        program_length = program.len(),
    );
    component(&text, &manifest)
}

/// Builds a technique `id` that imports nothing, asks for nothing and does nothing.
pub fn idle(id: &str) -> Vec<u8> {
    let manifest = format!("id = \"{id}\"\ntitle = \"Waits\"\nattack = [\"T1082\"]\nimpact = \"read-only\"\n");
    let manifest = Manifest::from_toml(&manifest, Kind::Technique).expect("a manifest");
    let text = r#"(module
        (memory (export "memory") 1)
        (global $heap (mut i32) (i32.const 8192))
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
            (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
            (global.set $heap (i32.add (local.get $at) (local.get 3)))
            (local.get $at))
        (func (export "foil:host/detonation@0.1.0#warmup") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
            (i64.store (i32.const 512) (i64.const 0)) (i32.store (i32.const 520) (i32.const 0)) (i32.const 512))
        (func (export "foil:host/detonation@0.1.0#detonate") (param i32) (result i32)
            (i32.store (i32.const 512) (i32.const 0))
            (i32.store (i32.const 516) (i32.const 0)) (i32.store (i32.const 520) (i32.const 0))
            (i64.store (i32.const 524) (i64.const 0))
            (i32.const 512)))"#;
    component(text, &manifest)
}

fn component(text: &str, manifest: &Manifest) -> Vec<u8> {
    let mut core = wat::parse_str(text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    let mut resolve = Resolve::default();
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let (contract, _) = resolve.push_dir(wit).expect("the contract");
    let world = resolve.select_world(&[contract], Some("technique")).expect("a world");
    embed_component_metadata(&mut core, &resolve, world, StringEncoding::UTF8).expect("metadata");
    let encoder = ComponentEncoder::default();
    let component = encoder.module(&core).and_then(|mut e| e.encode()).expect("a component");
    section::append(component, manifest).expect("it has none yet")
}

/// `instructions` so many times; then `done`.
pub fn repeated(times: usize, instructions: &str) -> String {
    format!(
        "(loop $again {instructions}
            (local.set $i (i32.add (local.get $i) (i32.const 1)))
            (br_if $again (i32.lt_u (local.get $i) (i32.const {times}))))
        (call $say (i32.const 4096) (i32.const 4))"
    )
}
