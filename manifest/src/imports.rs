//! What a component imports and exports, function by function: read from its types, nothing compiled or run.

use crate::contract::{self, Interfaces, PACKAGE};
use crate::manifest::{Kind, Manifest};
use crate::refusal::{Refusal, plain};
use foil_text::visible;
use std::collections::BTreeSet;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::{Parser, Payload, Validator, WasmFeatures};

/// WASI interfaces that are linked for components of languages that cannot do without, because the host's versions of
/// them do nothing: no arguments, no environment, no preopened folder, no socket; output goes to the log.
const INERT_WASI: [&str; 19] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:random/random",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:filesystem/preopens",
];
/// Linked too, with nothing in it that could be opened.
const INERT_FILESYSTEM: &str = "wasi:filesystem/types";

/// A component's imports and exports.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Imports {
    /// Functions by imported interface. No functions: only types are used, which is no privilege.
    pub interfaces: Interfaces,
    /// Functions by exported interface.
    pub exports: Interfaces,
}

impl Imports {
    /// Reads them, after validating the whole component.
    pub fn read(bytes: &[u8]) -> Result<Self, Refusal> {
        // The bounds on size and nesting come first: they bound what validation costs.
        crate::section::scan(bytes)?;
        let invalid = |e: wasmparser::BinaryReaderError| {
            Refusal::NotAComponent(format!("it is invalid: {}", plain(&e.to_string())))
        };
        let types = Validator::new_with_features(WasmFeatures::default()).validate_all(bytes).map_err(invalid)?;
        let functions = |name: &str, item: Option<&wasmparser::component_types::ComponentItem>| {
            let Some(ComponentEntityType::Instance(id)) = item.map(|item| item.ty) else {
                return Err(Refusal::UnknownImport(format!(
                    "`{}` is no interface; only interfaces are imported and exported",
                    printable(name)
                )));
            };
            let mut functions = BTreeSet::new();
            for (member, item) in &types[id].exports {
                let ours = name.starts_with(PACKAGE);
                match item.ty {
                    ComponentEntityType::Func(_) => _ = functions.insert(member.clone()),
                    ComponentEntityType::Type { referenced: ComponentAnyTypeId::Resource(_), .. } if ours => {
                        return Err(unknown_member(name, member));
                    }
                    ComponentEntityType::Type { .. } => {}
                    _ => return Err(unknown_member(name, member)),
                }
            }
            Ok(functions)
        };
        let mut all = Self::default();
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(invalid)? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(section) if depth == 0 => {
                    for import in section {
                        let name = import.map_err(invalid)?.name.name;
                        all.interfaces.insert(name.to_owned(), functions(name, types.component_item_for_import(name))?);
                    }
                }
                Payload::ComponentExportSection(section) if depth == 0 => {
                    for export in section {
                        let name = export.map_err(invalid)?.name.name;
                        let item = types.component_item_for_export(name);
                        // Exports are judged by what is missing; what is there besides is never called.
                        if let Ok(functions) = functions(name, item) {
                            all.exports.insert(name.to_owned(), functions);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(all)
    }

    /// Holds them against the contract and the manifest: unknown imports, what its kind never gets, what was not
    /// requested, and what it must export.
    pub fn judge(&self, manifest: &Manifest) -> Result<(), Refusal> {
        let world = contract::world(manifest.kind);
        for (interface, functions) in &self.interfaces {
            if is_inert_wasi(interface) {
                continue;
            }
            let Some(known) = contract::functions(interface) else {
                return Err(unknown_interface(interface));
            };
            if let Some(function) = functions.iter().find(|f| !known.contains(*f)) {
                return Err(unknown_member(interface, function));
            }
            if !world.imports.contains_key(interface) {
                return Err(Refusal::ImportNotAllowed { kind: manifest.kind, interface: interface.clone() });
            }
            // Types alone grant nothing, and a shared type drags its interface in.
            if let Some(capability) = contract::capability(interface)
                && !functions.is_empty()
                && manifest.request(capability).is_none()
            {
                return Err(Refusal::ImportNotRequested {
                    interface: interface.clone(),
                    functions: join(functions),
                    capability: capability.to_string(),
                });
            }
        }
        self.judge_exports(manifest.kind)
    }

    fn judge_exports(&self, kind: Kind) -> Result<(), Refusal> {
        for (interface, functions) in &contract::world(kind).exports {
            let found = match self.exports.get(interface) {
                Some(there) if functions.is_subset(there) => continue,
                Some(there) => format!("has only {}", printable(&join(there))),
                None if self.exports.is_empty() => "exports no interface".to_owned(),
                None => format!("exports {}", printable(&self.exports.keys().cloned().collect::<Vec<_>>().join(", "))),
            };
            return Err(Refusal::WrongExport { kind, interface: interface.clone(), functions: join(functions), found });
        }
        Ok(())
    }

    /// Imported functions as `foil:host/exec@0.1.0#run`, sorted: what a reviewer judges, and a digest can be taken of.
    pub fn flat(&self) -> BTreeSet<String> {
        let function = |(interface, functions): (&String, &BTreeSet<String>)| {
            functions.iter().map(|f| format!("{interface}#{f}")).collect::<Vec<_>>()
        };
        self.interfaces.iter().flat_map(function).collect()
    }
}

fn is_inert_wasi(interface: &str) -> bool {
    let Some((name, version)) = interface.split_once('@') else { return false };
    let patch = version.strip_prefix("0.2.");
    let known = INERT_WASI.contains(&name) || name == INERT_FILESYSTEM;
    known && patch.is_some_and(|p| !p.is_empty() && p.len() <= 3 && p.bytes().all(|b| b.is_ascii_digit()))
}

fn unknown_interface(interface: &str) -> Refusal {
    let name = printable(interface);
    Refusal::UnknownImport(if interface.starts_with(PACKAGE) {
        format!("this version of Foil has no `{name}`; build the module against the WIT of this version")
    } else if interface.starts_with("wasi:") {
        format!("`{name}` is not among the few WASI interfaces that are linked, since those do nothing")
    } else {
        format!("`{name}` is neither an interface of `foil:host` nor an inert one of WASI")
    })
}

fn unknown_member(interface: &str, member: &str) -> Refusal {
    Refusal::UnknownImport(format!(
        "`{}` has no `{}` in this version of Foil; build the module against the WIT of this version",
        printable(interface),
        printable(member)
    ))
}

fn join(functions: &BTreeSet<String>) -> String {
    functions.iter().map(|f| printable(f)).collect::<Vec<_>>().join(", ")
}

/// Names from a module, fit for a terminal: escaped and at most 120 characters long.
fn printable(name: &str) -> String {
    visible(name, 120)
}
