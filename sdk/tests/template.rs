//! What `foil new` writes: it builds, its tests pass and fail when they should, and it makes a component.

use std::path::{Path, PathBuf};
use std::process::Command;

const SDK: &str = env!("CARGO_MANIFEST_DIR");

/// Fills a template as `foil new` does, outside of the workspace's members.
fn fill(test: &str, kind: &str) -> PathBuf {
    let folder = Path::new(SDK).join("../target/template-tests").join(test).join(kind);
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(folder.join("src")).unwrap();
    let manifest = format!("{kind}.toml");
    for (from, to) in [("Cargo.toml.in", "Cargo.toml"), (&manifest, &manifest), ("src/lib.rs", "src/lib.rs")] {
        let text = std::fs::read_to_string(Path::new(SDK).join("template").join(kind).join(from)).unwrap();
        let text = text.replace("@ID@", "linux.new-thing").replace("@NAME@", "A new thing");
        let text = text.replace("@PACKAGE@", "linux-new-thing").replace("@SDK@", SDK);
        assert!(!text.contains('@'), "{kind}/{from} has a placeholder that nobody fills");
        std::fs::write(folder.join(to), text).unwrap();
    }
    // The versions that are tried here, and no look into the registry.
    std::fs::copy(Path::new(SDK).join("../Cargo.lock"), folder.join("Cargo.lock")).unwrap();
    folder
}

#[test]
fn every_placeholder_is_filled() {
    for kind in ["technique", "check"] {
        fill("filled", kind);
    }
}

#[test]
#[ignore = "builds the SDK twice from scratch, which takes minutes; CI runs it with --ignored"]
fn a_new_module_builds_and_passes() {
    let target = Path::new(SDK).join("../target/template-tests/target");
    for kind in ["technique", "check"] {
        let folder = fill("built", kind);
        let cargo = |arguments: &[&str]| {
            let mut cargo = Command::new(env!("CARGO"));
            cargo.args(arguments).env("CARGO_TARGET_DIR", &target).current_dir(&folder);
            cargo.status().unwrap().success()
        };
        assert!(cargo(&["test", "--quiet", "--lib"]), "{kind}: its tests pass");
        assert!(cargo(&["build", "--quiet", "--release", "--target", "wasm32-unknown-unknown"]), "{kind}: it builds");
        let core = std::fs::read(target.join("wasm32-unknown-unknown/release/linux_new_thing.wasm")).unwrap();
        let encoder = wit_component::ComponentEncoder::default();
        encoder.validate(true).module(&core).and_then(|mut encoder| encoder.encode()).expect("a component");
    }
}
