//! The contract as data: what the worlds of `wit/` import and export, interface by interface, function by function.
//!
//! Read from the WIT text itself, so that the loader's idea of it cannot drift from the contract.

use crate::capability::CapabilityName;
use crate::manifest::Kind;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use wit_parser::{Resolve, SourceMap, WorldItem};

/// The files of the contract; a test compares the list with the folder.
const FILES: [(&str, &str); 8] = [
    ("clock.wit", include_str!("../../wit/clock.wit")),
    ("events-read.wit", include_str!("../../wit/events-read.wit")),
    ("exec.wit", include_str!("../../wit/exec.wit")),
    ("files.wit", include_str!("../../wit/files.wit")),
    ("kube.wit", include_str!("../../wit/kube.wit")),
    ("log.wit", include_str!("../../wit/log.wit")),
    ("loopback.wit", include_str!("../../wit/loopback.wit")),
    ("types.wit", include_str!("../../wit/types.wit")),
];
const WORLDS: (&str, &str) = ("worlds.wit", include_str!("../../wit/worlds.wit"));

/// What every interface of the contract starts with.
pub const PACKAGE: &str = "foil:host/";

/// The functions of interfaces, by their full names such as `foil:host/exec@0.1.0`.
pub type Interfaces = BTreeMap<String, BTreeSet<String>>;

/// One world: what a module of one kind may import and must export.
#[derive(Debug, Clone, Default)]
pub struct World {
    /// What the host offers to it.
    pub imports: Interfaces,
    /// What it must export.
    pub exports: Interfaces,
}

static CONTRACT: LazyLock<(World, World)> = LazyLock::new(|| {
    // The text is a part of this program, not input: that it parses is a fact that every test run checks.
    parse().unwrap_or_else(|error| unreachable!("the WIT inside this program does not parse: {error:#}"))
});

/// The world of a kind of modules.
pub fn world(kind: Kind) -> &'static World {
    match kind {
        Kind::Technique => &CONTRACT.0,
        Kind::Check => &CONTRACT.1,
    }
}

/// The functions of an interface that some world imports; `None` where there is no such interface.
pub fn functions(interface: &str) -> Option<&'static BTreeSet<String>> {
    CONTRACT.0.imports.get(interface).or_else(|| CONTRACT.1.imports.get(interface))
}

/// The capability that an interface such as `foil:host/exec@0.1.0` belongs to; `None` for the inert ones.
pub fn capability(interface: &str) -> Option<CapabilityName> {
    let (name, _version) = interface.strip_prefix(PACKAGE)?.split_once('@')?;
    CapabilityName::ALL.into_iter().find(|c| c.interface() == name)
}

fn parse() -> anyhow::Result<(World, World)> {
    let mut sources = SourceMap::default();
    for (name, text) in FILES.into_iter().chain([WORLDS]) {
        sources.push_str(name, text);
    }
    let mut resolve = Resolve::default();
    let group = sources.parse().map_err(|(_, error)| anyhow::anyhow!("{error}"))?;
    let package = resolve.push_group(group)?;
    Ok((read(&resolve, package, Kind::Technique)?, read(&resolve, package, Kind::Check)?))
}

fn read(resolve: &Resolve, package: wit_parser::PackageId, kind: Kind) -> anyhow::Result<World> {
    let world = &resolve.worlds[resolve.select_world(&[package], Some(&kind.to_string()))?];
    let interfaces = |items: &wit_parser::IndexMap<wit_parser::WorldKey, WorldItem>| {
        let mut all = Interfaces::new();
        for (key, item) in items {
            if let WorldItem::Interface { id, .. } = item {
                let functions = resolve.interfaces[*id].functions.keys().cloned().collect();
                all.insert(resolve.name_world_key(key), functions);
            }
        }
        all
    };
    Ok(World { imports: interfaces(&world.imports), exports: interfaces(&world.exports) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_files_of_the_contract_are_read() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../wit");
        let there: BTreeSet<String> = std::fs::read_dir(folder)
            .expect("wit/ exists")
            .map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"))
            .filter(|name| name.ends_with(".wit"))
            .collect();
        let known: BTreeSet<String> = FILES.iter().chain([&WORLDS]).map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there, known);
    }

    #[test]
    fn the_worlds_are_what_the_text_says() {
        let technique = world(Kind::Technique);
        assert!(technique.imports["foil:host/exec@0.1.0"].contains("run"));
        assert!(technique.imports["foil:host/types@0.1.0"].is_empty());
        assert!(technique.exports["foil:host/detonation@0.1.0"].contains("detonate"));
        let check = world(Kind::Check);
        assert!(!check.imports.contains_key("foil:host/exec@0.1.0"));
        for acts in ["files-write", "kube-write", "kube-exec"] {
            assert!(!check.imports.contains_key(&format!("foil:host/{acts}@0.1.0")), "{acts}");
        }
    }

    #[test]
    fn every_interface_is_a_capability_or_inert() {
        for kind in [Kind::Technique, Kind::Check] {
            for interface in world(kind).imports.keys() {
                let plain = interface.strip_prefix(PACKAGE).and_then(|i| i.split_once('@')).expect("ours").0;
                let inert = CapabilityName::INERT.contains(&plain);
                assert!(inert != capability(interface).is_some(), "{interface}");
            }
        }
    }
}
