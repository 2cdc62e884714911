//! Every module of this workspace, built for wasm and made a component: it imports what it calls and nothing else, and it
//! stays small.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use wit_component::ComponentEncoder;

/// The most that a module of ours may weigh, in bytes. A reviewer's patience and the start of a run both pay for more.
const MOST: usize = 112 * 1024;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Package name and folder of each module.
fn modules() -> BTreeMap<String, PathBuf> {
    let mut modules = BTreeMap::new();
    for (group, prefix) in [("linux", "linux-"), ("checks", "check-")] {
        for entry in std::fs::read_dir(root().join("techniques").join(group)).expect("the group's folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            modules.insert(format!("{prefix}{name}"), path);
        }
    }
    modules
}

/// Builds all modules at once and returns each as a component.
fn components() -> BTreeMap<String, Vec<u8>> {
    let modules = modules();
    // A folder of its own: whoever runs the tests may hold the lock of the usual one.
    let target = root().join("target/module-tests");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["build", "--quiet", "--profile", "module", "--target", "wasm32-unknown-unknown", "--lib"]);
    cargo.arg("--target-dir").arg(&target).current_dir(root());
    // Flags for this machine's processor mean nothing to wasm.
    cargo.env_remove("RUSTFLAGS").env_remove("CARGO_ENCODED_RUSTFLAGS");
    for name in modules.keys() {
        cargo.args(["-p", name]);
    }
    assert!(cargo.status().expect("cargo runs").success(), "the modules build for wasm32-unknown-unknown");
    modules
        .into_keys()
        .map(|name| {
            let file = target.join("wasm32-unknown-unknown/module").join(name.replace('-', "_") + ".wasm");
            let core = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
            let encoder = ComponentEncoder::default();
            let component = encoder.validate(true).module(&core).and_then(|mut encoder| encoder.encode());
            let component = component.unwrap_or_else(|e| panic!("{name}: {e:?}"));
            (name, component)
        })
        .collect()
}

/// The functions that a component imports, as `interface.function`, and the interfaces that it exports.
fn faces(component: &[u8]) -> (BTreeSet<String>, Vec<String>) {
    let decoded = wit_component::decode(component).expect("it is a component");
    let wit_component::DecodedWasm::Component(resolve, world) = decoded else { panic!("a package, not a component") };
    let interface = |key: &wit_parser::WorldKey| {
        let name = resolve.name_world_key(key);
        name.trim_start_matches("foil:host/").trim_end_matches("@0.1.0").to_owned()
    };
    let mut imports = BTreeSet::new();
    for (key, item) in &resolve.worlds[world].imports {
        let wit_parser::WorldItem::Interface { id, .. } = item else { panic!("a bare import: {key:?}") };
        let functions = &resolve.interfaces[*id].functions;
        // An interface without functions is types alone, and grants nothing.
        imports.extend(functions.keys().map(|function| format!("{}.{function}", interface(key))));
    }
    (imports, resolve.worlds[world].exports.keys().map(interface).collect())
}

#[test]
fn modules_import_what_they_call_and_nothing_else() {
    let mut summary = String::new();
    for (name, component) in components() {
        let (imports, exports) = faces(&component);
        let words = imports.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        summary += &format!("{name}: {} bytes: {words}\n", component.len());

        let expected = if name.starts_with("check-") { "probing" } else { "detonation" };
        assert_eq!(exports, [expected], "{name}");
        assert!(component.len() <= MOST, "{name} is {} bytes, more than {MOST}", component.len());

        // What the manifest asks for is what is imported: an unused request is a privilege for nothing.
        let folder = &modules()[&name];
        let kind = ["technique.toml", "check.toml"].into_iter().find(|f| folder.join(f).exists()).expect("a manifest");
        let manifest = std::fs::read_to_string(folder.join(kind)).expect("the manifest");
        let asked: BTreeSet<String> = manifest
            .split("[[capability]]")
            .skip(1)
            .filter_map(|c| Some(c.split_once("name = \"")?.1.split_once('"')?.0.to_owned()))
            .collect();
        let imported: BTreeSet<String> = imports
            .iter()
            .filter_map(|i| i.split_once('.'))
            .map(|(interface, _)| interface.to_owned())
            .filter(|interface| !matches!(interface.as_str(), "log" | "clock"))
            .collect();
        assert_eq!(imported, asked, "{name}: imports against requests");
        if name == "linux-system-info" {
            assert_eq!(imports, BTreeSet::from(["exec.run".to_owned()]));
        }
    }
    // Shown with --nocapture.
    print!("{summary}");
}
