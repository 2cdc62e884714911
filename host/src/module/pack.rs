//! The modules inside this binary, made by `build.rs`.

use super::{Bytes, Module, Source};
use foil_manifest::{Digest, Imports, Manifest};
use std::sync::Arc;

/// Interfaces and their functions.
type Interfaces = &'static [(&'static str, &'static [&'static str])];

/// One module of the pack. Its manifest stays text until somebody asks for it.
#[derive(Debug)]
pub(super) struct Builtin {
    pub(super) id: &'static str,
    pub(super) aliases: &'static [&'static str],
    digest: &'static str,
    #[cfg_attr(not(test), expect(dead_code, reason = "a test compares it with what the manifest gives"))]
    judged: &'static str,
    imports: Interfaces,
    exports: Interfaces,
    manifest: &'static str,
    bytes: &'static [u8],
}

/// All of them, sorted by id.
pub(super) static PACK: &[Builtin] = &include!(concat!(env!("OUT_DIR"), "/pack.rs"));

/// What runs imported tests.
pub(super) const INTERPRETER: &str = "interpreter.atomic";

/// The modules that are modules by themselves.
pub(super) fn listed() -> impl Iterator<Item = &'static Builtin> {
    PACK.iter().filter(|builtin| builtin.id != INTERPRETER)
}

/// What runs imported tests, as a module.
pub(super) fn interpreter() -> Module {
    match PACK.iter().find(|builtin| builtin.id == INTERPRETER) {
        Some(builtin) => builtin.module(),
        // This binary's own pack.
        None => unreachable!("{INTERPRETER} is not built in"),
    }
}

impl Builtin {
    /// What is known of it. The binary vouches for the bytes, so they are neither hashed nor inspected again.
    pub(super) fn module(&self) -> Module {
        let own = |interfaces: Interfaces| {
            let own = |functions: &[&str]| functions.iter().map(|f| (*f).to_owned()).collect();
            interfaces.iter().map(|(name, functions)| ((*name).to_owned(), own(functions))).collect()
        };
        Module {
            manifest: Arc::new(self.manifest()),
            digest: self.digest(),
            code: self.digest(),
            imported: None,
            bytes: Bytes::Static(self.bytes),
            size: self.bytes.len(),
            imports: Arc::new(Imports { interfaces: own(self.imports), exports: own(self.exports) }),
            source: Source::Builtin,
        }
    }

    fn manifest(&self) -> Manifest {
        match Manifest::from_canonical_json(self.manifest.as_bytes()) {
            Ok(manifest) => manifest,
            // This binary's own text, which `build.rs` wrote from a manifest that had passed.
            Err(error) => unreachable!("the built-in manifest of {} is damaged: {error}", self.id),
        }
    }

    fn digest(&self) -> Digest {
        match Digest::try_from(self.digest.to_owned()) {
            Ok(digest) => digest,
            Err(error) => unreachable!("the built-in digest of {} is damaged: {error}", self.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_build_worked_out_is_what_the_bytes_say() {
        for builtin in PACK {
            let inspection = foil_manifest::inspect(builtin.bytes).expect("a built-in module breaks no rule");
            let module = builtin.module();
            assert_eq!(inspection.digest, module.digest, "{}", builtin.id);
            assert_eq!(inspection.imports, *module.imports, "{}", builtin.id);
            assert_eq!(inspection.manifest, *module.manifest, "{}", builtin.id);
            assert_eq!(builtin.judged, module.judged().to_string(), "{}", builtin.id);
            assert_eq!(builtin.aliases, module.manifest.aliases, "{}", builtin.id);
        }
    }
}
