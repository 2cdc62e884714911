//! The modules of `tests/fixtures`, built as an outside contributor's are.

use foil_manifest::build::{self, Options};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Runs a shell script.
pub fn shell() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build("shell"))
}

/// Makes calls of a cluster.
pub fn kube() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build("kube"))
}

/// A module's bytes. Built once a test executable; what cargo made stays in the target folder for the next.
fn build(name: &str) -> Vec<u8> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let workspace = tests.parent().expect("tests/ has a parent");
    let target = target();
    std::fs::create_dir_all(&target).expect("writable");
    // One builder at a time: cargo's own lock does not cover the copying.
    let lock = std::fs::File::create(target.join("lock")).expect("writable");
    lock.lock().expect("the lock");
    let folder = target.join(name);
    std::fs::create_dir_all(folder.join("src")).expect("writable");
    for file in ["technique.toml", "src/lib.rs"] {
        copy(&tests.join("fixtures").join(name).join(file), &folder.join(file));
    }
    for file in ["Cargo.lock", "rust-toolchain.toml"] {
        copy(&workspace.join(file), &folder.join(file));
    }
    let cargo_toml = format!(
        "[package]\nname = \"e2e-{name}\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[lib]\n\
         crate-type = [\"cdylib\"]\n[dependencies]\nserde = {{ version = \"1\", features = [\"derive\"] }}\n\
         serde_json = \"1\"\nfoil-sdk = {{ path = {:?} }}\n",
        workspace.join("sdk")
    );
    std::fs::write(folder.join("Cargo.toml"), cargo_toml).expect("writable");
    let options = Options { target_dir: Some(target.join("target")), quiet: true };
    build::folder(&folder, &options).expect("the fixture builds").bytes
}

fn target() -> PathBuf {
    let test = std::env::current_exe().expect("this test");
    test.ancestors().nth(3).expect("target/debug/deps").join("e2e-fixtures")
}

fn copy(from: &Path, to: &Path) {
    std::fs::copy(from, to).expect("copied");
}
