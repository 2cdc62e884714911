//! The custom section that carries the manifest: appended by the build, read by the loader.
//!
//! The reader sees hostile bytes. It walks the section headers once, never recurses, and compiles nothing.

use crate::manifest::{MAX_MANIFEST, Manifest};
use crate::refusal::{Refusal, plain};
use wasm_encoder::Encode as _;
use wasmparser::{Encoding, Parser, Payload};

/// The section's name.
pub const NAME: &str = "foil:manifest";

/// The largest module that is read, in bytes (16 MiB). Rust modules have 20 to 200 KiB; those of languages that bring
/// their interpreter along have up to 12 MiB.
pub const MAX_MODULE: usize = 16 * 1024 * 1024;

/// How deep modules and components may be nested. `wit-component` nests one level, composed components two or three;
/// each level costs the validator memory.
pub const MAX_DEPTH: usize = 16;

/// Appends the manifest to a component that has none.
pub fn append(mut component: Vec<u8>, manifest: &Manifest) -> Result<Vec<u8>, Refusal> {
    match scan(&component)? {
        None => {}
        Some(_) => return Err(Refusal::TwoManifests),
    }
    let json = manifest.to_canonical_json();
    let section = wasm_encoder::CustomSection { name: NAME.into(), data: json.as_slice().into() };
    component.push(wasm_encoder::ComponentSectionId::CoreCustom as u8);
    section.encode(&mut component);
    if component.len() > MAX_MODULE {
        return Err(Refusal::TooLarge { limit: MAX_MODULE });
    }
    Ok(component)
}

/// Reads the manifest out of a component's bytes.
pub fn read(bytes: &[u8]) -> Result<Manifest, Refusal> {
    let json = scan(bytes)?.ok_or(Refusal::NoManifest)?;
    Manifest::from_canonical_json(json).map_err(|error| match unknown_attack_id(json) {
        Some(id) => Refusal::AttackIdUnknown(id),
        None => Refusal::ManifestMalformed(plain(&error.0)),
    })
}

/// Reads at most [`MAX_MODULE`] bytes; one more is the proof that there are too many.
pub fn read_bounded(reader: impl std::io::Read) -> std::io::Result<Result<Vec<u8>, Refusal>> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    reader.take(MAX_MODULE as u64 + 1).read_to_end(&mut bytes)?;
    Ok(if bytes.len() > MAX_MODULE { Err(Refusal::TooLarge { limit: MAX_MODULE }) } else { Ok(bytes) })
}

/// Walks a component's section headers, at every depth, and returns the one manifest section at its root, if any.
pub(crate) fn scan(bytes: &[u8]) -> Result<Option<&[u8]>, Refusal> {
    if bytes.len() > MAX_MODULE {
        return Err(Refusal::TooLarge { limit: MAX_MODULE });
    }
    is_component(bytes)?;
    let mut found = None;
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|e| {
            Refusal::NotAComponent(format!("its bytes are cut off or damaged: {}", plain(&e.to_string())))
        })? {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                depth += 1;
                if depth > MAX_DEPTH {
                    return Err(Refusal::TooDeep { limit: MAX_DEPTH });
                }
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::CustomSection(section) if section.name() == NAME => {
                if depth > 0 {
                    return Err(Refusal::NestedManifest { depth });
                }
                if found.is_some() {
                    return Err(Refusal::TwoManifests);
                }
                let data = section.data();
                if data.len() > MAX_MANIFEST {
                    let text = format!("the manifest has {} bytes, more than {MAX_MANIFEST}", data.len());
                    return Err(Refusal::ManifestMalformed(text));
                }
                found = Some(data);
            }
            _ => {}
        }
    }
    Ok(found)
}

fn is_component(bytes: &[u8]) -> Result<(), Refusal> {
    let wrong = |what: &str| Err(Refusal::NotAComponent(what.to_owned()));
    if !bytes.starts_with(b"\0asm") {
        return wrong("its first bytes are not those of WebAssembly");
    }
    match Parser::new(0).parse(bytes, true) {
        Ok(wasmparser::Chunk::Parsed { payload: Payload::Version { encoding: Encoding::Component, .. }, .. }) => Ok(()),
        Ok(wasmparser::Chunk::Parsed { payload: Payload::Version { encoding: Encoding::Module, .. }, .. }) => {
            wrong("it is a core WebAssembly module; foil build makes a component of a module's folder")
        }
        _ => wrong("its version is neither that of a module nor of a component"),
    }
}

/// The ATT&CK id that is not in the list, where that is what is wrong with a manifest.
fn unknown_attack_id(json: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    let ids = value.get("attack")?.as_array()?;
    ids.iter()
        .filter_map(serde_json::Value::as_str)
        .find(|id| crate::attack::name(id).is_none())
        .map(|id| plain(&id.chars().take(40).collect::<String>()))
}
