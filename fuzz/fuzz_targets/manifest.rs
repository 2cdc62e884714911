//! Manifests: as a module's bytes, as the section of one, and as the file of its author.

#![no_main]

#[path = "../common/swell.rs"]
mod swell;

use foil_manifest::{Kind, Manifest, inspect, section};
use libfuzzer_sys::fuzz_target;

/// The first eight bytes of every component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

fuzz_target!(|data: &[u8]| {
    let data = swell::swell(data, 1 << 18);
    // A module: whatever is wrong with it is a refusal, and a sentence.
    if let Err(refusal) = inspect(&data) {
        let text = refusal.to_string();
        assert!(!text.is_empty() && text.len() <= 4096 && !text.chars().any(char::is_control), "{text:?}");
    }
    // The section alone, in a component that has nothing else.
    if let Ok(manifest) = Manifest::from_canonical_json(&data) {
        assert_eq!(manifest.to_canonical_json(), data, "one manifest has one form");
        travels(&manifest);
    }
    // The author's file.
    let Ok(text) = std::str::from_utf8(&data) else { return };
    for kind in [Kind::Technique, Kind::Check] {
        if let Ok(manifest) = Manifest::from_toml(text, kind) {
            assert_eq!(manifest.kind, kind);
            travels(&manifest);
        }
    }
});

/// What an author may write, the build appends and the loader reads; only once, and never at another depth.
fn travels(manifest: &Manifest) {
    let json = manifest.to_canonical_json();
    let again = Manifest::from_canonical_json(&json).expect("what was accepted is accepted in its canonical form");
    assert_eq!(again, *manifest);
    let component = section::append(COMPONENT.to_vec(), manifest).expect("a component takes its manifest");
    assert_eq!(section::read(&component).as_ref(), Ok(manifest));
    assert!(section::append(component.clone(), manifest).is_err(), "a second one is refused");
    assert!(inspect(&component).is_err(), "without exports it is no module");
    let mut nested = COMPONENT.to_vec();
    // Section 4 is a component, its length in LEB128.
    nested.push(4);
    let mut length = component.len();
    while length >= 0x80 {
        nested.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    nested.push(length as u8);
    nested.extend_from_slice(&component);
    assert!(section::read(&nested).is_err(), "one below the root is refused");
}
