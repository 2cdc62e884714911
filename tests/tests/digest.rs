//! A module's bytes depend on its sources, the lock file and the compiler: not on the folder, the depth of it, the user's
//! flags and configuration, `CARGO_HOME`, or where the toolchain is and whether it has sources.

use foil_manifest::build::{self, Options};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Says to this test binary that it is a child, and what to build: FOLDER, then TARGET_DIR, then OUT.
const CHILD: &str = "DIGEST_TEST_CHILD";

/// Does nothing by itself: builds in a process of its own, since an environment belongs to a process.
#[test]
fn build_in_a_child() {
    let Some(arguments) = std::env::var_os(CHILD) else { return };
    let paths: Vec<PathBuf> = std::env::split_paths(&arguments).collect();
    let [folder, target_dir, out] = paths.as_slice() else { panic!("three paths") };
    let built = build::folder(folder, &Options { target_dir: Some(target_dir.clone()), quiet: false }).expect("builds");
    std::fs::write(out, built.bytes).expect("writable");
}

fn build_with(folder: &Path, target_dir: &Path, environment: &[(&str, &str)]) -> Vec<u8> {
    let out = target_dir.with_extension("wasm");
    let paths = std::env::join_paths([folder, target_dir, &out]).expect("no colon in these paths");
    let status = Command::new(std::env::current_exe().expect("this test"))
        .args(["--exact", "build_in_a_child", "--nocapture"])
        .env(CHILD, paths)
        .envs(environment.iter().copied())
        .status()
        .expect("starts");
    assert!(status.success());
    std::fs::read(out).expect("built")
}

/// The workspace, reduced to one technique and what it needs.
fn copy_workspace(to: &Path) {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ has a parent");
    let parts =
        ["wit", "sdk", "manifest", "host/text", "techniques/linux/system-info", "Cargo.lock", "rust-toolchain.toml"];
    for part in parts {
        copy(&from.join(part), &to.join(part));
    }
    let text = std::fs::read_to_string(from.join("Cargo.toml")).expect("the workspace's Cargo.toml");
    let mut table: toml::Table = text.parse().expect("TOML");
    let workspace = table.get_mut("workspace").and_then(toml::Value::as_table_mut).expect("a workspace");
    let members = ["sdk", "manifest", "host/text", "techniques/*/*"].map(toml::Value::from);
    workspace.insert("members".to_owned(), members.to_vec().into());
    workspace.remove("default-members");
    std::fs::write(to.join("Cargo.toml"), table.to_string()).expect("writable");
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        std::fs::create_dir_all(to.parent().expect("not the root")).expect("writable");
        std::fs::copy(from, to).expect("copied");
        return;
    }
    std::fs::create_dir_all(to).expect("writable");
    for entry in std::fs::read_dir(from).expect("readable") {
        let name = entry.expect("an entry").file_name();
        if name != "target" {
            copy(&from.join(&name), &to.join(&name));
        }
    }
}

/// The same module in a workspace of its own, with the SDK elsewhere, as outside contributors have it.
fn copy_standalone(workspace: &Path, to: &Path) {
    copy(&workspace.join("techniques/linux/system-info"), to);
    let cargo_toml = format!(
        "[package]\nname = \"outside\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n[lib]\ncrate-type = [\"cdylib\"]\n\
         [dependencies]\nfoil-sdk = {{ path = {:?} }}\n",
        workspace.join("sdk")
    );
    std::fs::write(to.join("Cargo.toml"), cargo_toml).expect("writable");
    copy(&workspace.join("Cargo.lock"), &to.join("Cargo.lock"));
    copy(&workspace.join("rust-toolchain.toml"), &to.join("rust-toolchain.toml"));
}

/// Another `CARGO_HOME` that has to unpack every crate anew, but downloads nothing that is here already.
fn other_cargo_home(home: &Path) {
    let mine = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let mine = mine.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cargo"));
    std::fs::create_dir_all(home.join("registry")).expect("writable");
    for part in ["registry/index", "registry/cache"] {
        std::os::unix::fs::symlink(mine.join(part), home.join(part)).expect("linked");
    }
    for config in ["config.toml", "config"] {
        if mine.join(config).is_file() {
            copy(&mine.join(config), &home.join(config));
        }
    }
}

/// A folder with a `rustc` whose standard library has its sources installed, as most developers' has: then the compiler
/// names the files of the standard library by where they are.
fn compiler_with_sources(root: &Path) -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc starts");
    let real = PathBuf::from(String::from_utf8(output.stdout).expect("UTF-8").trim());
    let ours = root.join("sysroot");
    let libraries = ours.join("lib/rustlib");
    for part in ["std", "core", "alloc"] {
        let source = libraries.join("src/rust/library").join(part).join("src");
        std::fs::create_dir_all(&source).expect("writable");
        std::fs::write(source.join("lib.rs"), "").expect("writable");
    }
    for entry in std::fs::read_dir(real.join("lib/rustlib")).expect("readable") {
        let entry = entry.expect("an entry");
        if entry.file_name() != "src" {
            std::os::unix::fs::symlink(entry.path(), libraries.join(entry.file_name())).expect("linked");
        }
    }
    let bin = root.join("bin");
    std::fs::create_dir(&bin).expect("writable");
    let script =
        format!("#!/bin/sh\nexec '{}' \"$@\" --sysroot '{}'\n", real.join("bin/rustc").display(), ours.display());
    std::fs::write(bin.join("rustc"), script).expect("writable");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(bin.join("rustc"), executable).expect("set");
    bin
}

#[test]
fn two_folders_two_cargo_homes_and_other_flags_give_the_same_bytes() {
    let temporary = tempfile::tempdir().expect("a temporary folder");
    let root = temporary.path().canonicalize().expect("it is there");
    let (a, b) = (root.join("a"), root.join("much/deeper/b with a space"));
    copy_workspace(&a);
    copy_workspace(&b);
    // What a user may have set, at every place where cargo looks.
    std::fs::create_dir(b.join(".cargo")).expect("writable");
    let config = "[build]\nrustflags = [\"-Cdebuginfo=2\"]\n[profile.module]\nopt-level = 1\n";
    std::fs::write(b.join(".cargo/config.toml"), config).expect("writable");
    let home = root.join("home of b");
    other_cargo_home(&home);
    let home = home.to_str().expect("UTF-8");
    let bin = compiler_with_sources(&root);
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH"));
    let other = [
        ("CARGO_HOME", home),
        ("PATH", &path),
        ("RUSTFLAGS", "-Copt-level=0 -Cdebuginfo=2"),
        ("CARGO_PROFILE_MODULE_STRIP", "none"),
        ("CARGO_PROFILE_RELEASE_OPT_LEVEL", "0"),
        ("CARGO_BUILD_RUSTFLAGS", "-Coverflow-checks=on"),
        ("CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS", "-Ctarget-feature=+simd128"),
        ("CARGO_INCREMENTAL", "1"),
    ];

    let module = "techniques/linux/system-info";
    let first = build_with(&a.join(module), &root.join("target-a"), &[]);
    let second = build_with(&b.join(module), &root.join("target-b"), &other);
    assert_same(&first, &second);
    for path in [root.to_str().expect("UTF-8"), home, env!("CARGO_MANIFEST_DIR"), "/.cargo/", "/.rustup/"] {
        assert!(!contains(&first, path), "{path} is in the module");
    }

    // Outside a workspace cargo hashes the SDK's absolute path.
    let (c, d) = (root.join("c/outside"), root.join("d/outside, further away"));
    copy_standalone(&a, &c);
    copy_standalone(&b, &d);
    let first = build_with(&c, &root.join("target-a"), &[]);
    let second = build_with(&d, &root.join("target-b"), &other);
    assert_same(&first, &second);
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn assert_same(first: &[u8], second: &[u8]) {
    let digest = foil_manifest::Digest::of;
    let differ = first.iter().zip(second).position(|(a, b)| a != b);
    assert_eq!(
        digest(first),
        digest(second),
        "{} and {} bytes, first different at {differ:?}",
        first.len(),
        second.len()
    );
}
