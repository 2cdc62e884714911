//! Bytes that are no component, or too much of one.

use super::*;
use std::time::{Duration, Instant};

#[test]
fn what_is_no_component_is_refused() {
    let core = wat::parse_str("(module)").expect("a module");
    for bytes in [b"".as_slice(), b"\0asm", b"#!/bin/sh\n", b"\0asm\x07\0\x07\0", &[0xff; 4096], &core] {
        assert_eq!(code(inspect(bytes)), "not-a-component", "{:?}", bytes.get(..8));
    }
    let core = inspect(&with_section(core, &technique().to_canonical_json())).expect_err("a core module");
    assert!(core.to_string().contains("core WebAssembly module"), "{core}");
}

#[test]
fn a_component_cut_off_anywhere_is_refused() {
    let bytes = with(technique_importing(""), &technique());
    assert_eq!(code(inspect(&bytes)), "accepted");
    for end in 0..bytes.len() {
        let found = code(inspect(&bytes[..end]));
        // Cut exactly between two sections it is a whole component without a manifest.
        assert!(found == "not-a-component" || found == "no-manifest", "cut at {end}: {found}");
    }
}

#[test]
fn a_component_changed_anywhere_never_panics_the_reader() {
    let bytes = with(technique_importing(""), &technique());
    for at in 0..bytes.len() {
        for value in [0x00, 0x01, 0x7f, 0x80, 0xff] {
            let mut changed = bytes.clone();
            changed[at] = value;
            _ = code(inspect(&changed));
        }
    }
}

#[test]
fn an_invalid_component_is_refused() {
    // Lifts a function that is not there.
    let text = r#"(component (core module $m) (core instance $i (instantiate $m)) (core instance $j (instantiate 7)))"#;
    let bytes = wat::parse_str(text).map(|b| with(b, &technique())).expect("encodes");
    assert_eq!(code(inspect(&bytes)), "not-a-component");
    // Its validator's words quote names that move the cursor; `code` looks at the text.
    let text = r#"(component (core module (func (export "\1b[2J\n")) (func (export "\1b[2J\n"))))"#;
    let bytes = wat::parse_str(text).map(|b| with(b, &technique())).expect("encodes");
    assert_eq!(code(inspect(&bytes)), "not-a-component");
}

#[test]
fn a_module_over_the_bound_is_refused_and_no_more_than_the_bound_is_read() {
    let bytes = with_section(with(technique_importing(""), &technique()), &[]);
    let mut large = bytes;
    large.resize(section::MAX_MODULE + 1, 0);
    assert_eq!(code(inspect(&large)), "too-large");

    /// Counts what is read of it, and never ends.
    struct Endless(usize);
    impl std::io::Read for Endless {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 += buffer.len();
            Ok(buffer.len())
        }
    }
    let mut endless = Endless(0);
    let refusal = section::read_bounded(&mut endless).expect("readable").expect_err("too much");
    assert_eq!(refusal.code(), "too-large");
    assert_eq!(endless.0, section::MAX_MODULE + 1);
}

#[test]
fn a_component_that_its_manifest_takes_over_the_bound_is_not_built() {
    let mut bytes = technique_importing("");
    let room = section::MAX_MODULE - bytes.len() - 64;
    use wasm_encoder::Encode as _;
    bytes.push(0);
    wasm_encoder::CustomSection { name: "padding".into(), data: vec![0; room].into() }.encode(&mut bytes);
    assert_eq!(section::append(bytes, &technique()).expect_err("too large").code(), "too-large");
}

#[test]
fn deep_nesting_is_refused_at_once() {
    // Built by hand: an encoder would recurse. Each level wraps the one before in a section of its own.
    let mut bytes = b"\0asm\x0d\0\x01\0".to_vec();
    while bytes.len() < 1 << 20 {
        let mut outer = b"\0asm\x0d\0\x01\0".to_vec();
        for _ in 0..section::MAX_DEPTH * 4 {
            let mut level = b"\0asm\x0d\0\x01\0\x04".to_vec();
            use wasm_encoder::Encode as _;
            outer.len().encode(&mut level);
            level.extend(&outer);
            outer = level;
        }
        bytes = outer;
        bytes.resize(bytes.len().max(1 << 20), 0);
    }
    let start = Instant::now();
    assert_eq!(code(inspect(&bytes)), "too-deep");
    assert!(start.elapsed() < Duration::from_secs(1));
}

#[test]
fn types_that_refer_to_one_another_in_a_long_chain_do_not_exhaust_the_stack() {
    // `list<list<list<…>>>`, 200,000 deep, as one flat section: the readers must not follow it by recursion.
    use wasm_encoder::{
        ComponentImportSection, ComponentTypeRef, ComponentTypeSection, ComponentValType, PrimitiveValType,
    };
    let mut types = ComponentTypeSection::new();
    types.defined_type().list(ComponentValType::Primitive(PrimitiveValType::U8));
    for index in 0..200_000 {
        types.defined_type().list(ComponentValType::Type(index));
    }
    types.function().params([("x", ComponentValType::Type(200_000))]).result(None);
    let mut imports = ComponentImportSection::new();
    imports.import("f", ComponentTypeRef::Func(200_001));
    let mut component = wasm_encoder::Component::new();
    component.section(&types).section(&imports);
    let bytes = with(component.finish(), &technique());
    let start = Instant::now();
    let found = std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(move || code(inspect(&bytes)))
        .expect("a thread")
        .join()
        .expect("no panic");
    assert!(found == "unknown-import" || found == "not-a-component", "{found}");
    assert!(start.elapsed() < Duration::from_secs(30));
}
