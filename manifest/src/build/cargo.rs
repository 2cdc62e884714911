//! Runs cargo so that its output depends on the sources, the lock file and the compiler alone.

use super::{MissingTarget, Options, TARGET};
use anyhow::{Context as _, bail};
use foil_text::Shown as _;
use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The profile, given on the command line so that a folder outside Foil's workspace is built with the same.
const PROFILE: [&str; 10] = [
    "inherits=\"release\"",
    "opt-level=\"s\"",
    "lto=true",
    "codegen-units=1",
    "panic=\"abort\"",
    "strip=true",
    "debug=false",
    "debug-assertions=false",
    "overflow-checks=false",
    "incremental=false",
];

/// Stands between cargo and the compiler. Cargo derives `-C metadata`, which ends up in symbol hashes and so in the
/// order of functions, from the absolute path of packages outside the workspace; and paths of sources end up in panic
/// messages. A wrapper is used rather than RUSTFLAGS since those are part of cargo's own hashes.
const WRAPPER: &str = r#"#!/bin/sh
# Written by Foil's module build: every crate looks the same to the compiler on every machine.
set -eu
[ -n "${CARGO_MANIFEST_DIR:-}" ] || exec "$@"
compiler=$1
shift
crate="$CARGO_PKG_NAME-$CARGO_PKG_VERSION"
for argument do
    shift
    case $argument in metadata=*) argument="metadata=$crate" ;; esac
    set -- "$@" "$argument"
done
set -- "$@" "--remap-path-prefix=$CARGO_MANIFEST_DIR=/crates/$crate" "--remap-path-prefix=$FOIL_RUST_SOURCE=/rustc/$FOIL_RUST_COMMIT"
[ -z "${OUT_DIR:-}" ] || set -- "$@" "--remap-path-prefix=$OUT_DIR=/out/$crate"
exec "$compiler" "$@"
"#;

/// Builds the library of the package in `folder` and returns the core module's bytes.
pub(super) fn build(folder: &Path, options: &Options) -> anyhow::Result<Vec<u8>> {
    let folder = package(folder)?;
    let what = ["rustc", "--crate-type", "cdylib"].map(OsString::from);
    let built = run(&folder, &what, options)?;
    wasm_of(&built, &folder)
}

/// The same for members of one workspace, by one cargo, which compiles as many at once as there are processors. Their libraries are
/// `cdylib` and nothing else, which makes the same bytes as [`build`].
pub(super) fn build_all(folders: &[PathBuf], options: &Options) -> anyhow::Result<Vec<Vec<u8>>> {
    let folders = folders.iter().map(|folder| package(folder)).collect::<anyhow::Result<Vec<_>>>()?;
    let Some(first) = folders.first() else { return Ok(Vec::new()) };
    let mut what = vec![OsString::from("build")];
    for folder in &folders {
        what.extend(["--package".into(), name(folder)?.into()]);
    }
    let built = run(first, &what, options)?;
    folders.iter().map(|folder| wasm_of(&built, folder)).collect()
}

/// The absolute path of a folder with a package in it.
fn package(folder: &Path) -> anyhow::Result<PathBuf> {
    let package = folder.join("Cargo.toml");
    if !package.is_file() {
        bail!("{} is missing: a module's folder is a Rust package; foil new starts one", package.shown());
    }
    folder.canonicalize().with_context(|| format!("cannot find {}", folder.shown()))
}

/// The name of the package in a folder.
fn name(folder: &Path) -> anyhow::Result<String> {
    #[derive(serde::Deserialize)]
    struct Toml {
        package: Package,
    }
    #[derive(serde::Deserialize)]
    struct Package {
        name: String,
    }
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.shown()))?;
    let toml: Toml = toml::from_str(&text).with_context(|| format!("cannot read {}", path.shown()))?;
    Ok(toml.package.name)
}

/// Runs cargo in `folder` and returns its messages. `what`: its command, and what to build.
fn run(folder: &Path, what: &[OsString], options: &Options) -> anyhow::Result<Vec<u8>> {
    let compiler = Compiler::find(folder)?;
    let target_dir = match &options.target_dir {
        Some(dir) => std::path::absolute(dir)?,
        None => target_dir(folder)?,
    };
    let wrapper = write_wrapper(&target_dir)?;
    let mut command = clean(cargo(), folder);
    command.args(what).args(["--lib", "--target", TARGET, "--profile", "module"]);
    command.args(["--message-format", "json-render-diagnostics", "--target-dir"]).arg(&target_dir);
    for setting in PROFILE {
        command.arg("--config").arg(format!("profile.module.{setting}"));
    }
    // Set by a user's configuration, another linker would give other bytes.
    command.arg("--config").arg(format!("target.{TARGET}.linker=\"rust-lld\""));
    if options.quiet {
        command.arg("--quiet");
    }
    command.env("RUSTC_WRAPPER", wrapper).env("FOIL_RUST_SOURCE", compiler.source);
    command.env("FOIL_RUST_COMMIT", compiler.commit);
    let output = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo: install Rust from https://rustup.rs")?;
    if !output.status.success() {
        bail!("cargo could not build {} (its own words are above)", folder.shown());
    }
    Ok(output.stdout)
}

/// The `.wasm` that cargo says it made of the package in `folder`.
fn wasm_of(messages: &[u8], folder: &Path) -> anyhow::Result<Vec<u8>> {
    let wasm = artifact(messages, folder)
        .with_context(|| format!("cargo built no library for {TARGET} in {}", folder.shown()))?;
    std::fs::read(&wasm).with_context(|| format!("cannot read {}", wasm.shown()))
}

fn artifact(messages: &[u8], folder: &Path) -> Option<PathBuf> {
    let manifest = folder.join("Cargo.toml");
    messages
        .split(|b| *b == b'\n')
        .filter_map(|line| serde_json::from_slice::<serde_json::Value>(line).ok())
        .filter(|m| m["reason"] == "compiler-artifact" && m["manifest_path"].as_str().map(Path::new) == Some(&manifest))
        .flat_map(|m| m["filenames"].as_array().cloned().unwrap_or_default())
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .rfind(|path| path.extension() == Some(OsStr::new("wasm")))
}

fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// `command` in `folder` with an environment that cannot change what is built. What says where packages come from
/// (registries, proxies, sources) stays.
fn clean(mut command: Command, folder: &Path) -> Command {
    const KEPT: [&str; 8] = [
        "CARGO_HOME",
        "CARGO_HTTP_",
        "CARGO_NET_",
        "CARGO_REGISTR",
        "CARGO_SOURCE_",
        "CARGO_TERM_",
        "CARGO_CACHE_",
        "RUSTUP_",
    ];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let building = ["CARGO", "__CARGO", "RUST", "DEP_", "PROFILE", "TARGET", "OUT_DIR", "FOIL_"];
        if building.iter().any(|p| text.starts_with(p)) && !KEPT.iter().any(|p| text.starts_with(p)) {
            command.env_remove(&name);
        }
    }
    // Set but empty: flags and wrappers in configuration files do not count either.
    for empty in ["CARGO_ENCODED_RUSTFLAGS", "RUSTC_WORKSPACE_WRAPPER"] {
        command.env(empty, "");
    }
    command.env("CARGO_INCREMENTAL", "0").current_dir(folder);
    command
}

/// The compiler that cargo will use.
struct Compiler {
    /// Where the standard library's sources are, for those who installed them.
    source: PathBuf,
    /// What the standard library calls itself where its sources are not installed: `/rustc/COMMIT`.
    commit: String,
}

impl Compiler {
    /// [`MissingTarget`] where there is no standard library for modules.
    fn find(folder: &Path) -> anyhow::Result<Self> {
        let ask = |arguments: &[&str]| -> anyhow::Result<String> {
            let output = clean(Command::new("rustc"), folder)
                .args(arguments)
                .stdin(Stdio::null())
                .output()
                .context("cannot start rustc: install Rust from https://rustup.rs")?;
            if !output.status.success() {
                bail!("rustc {} failed: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
            }
            String::from_utf8(output.stdout).context("rustc said something that is not UTF-8")
        };
        let libraries = ask(&["--print", "target-libdir", "--target", TARGET])?;
        // The folder may be there and empty, after a target was removed.
        let has_core = std::fs::read_dir(libraries.trim_end())
            .is_ok_and(|mut dir| dir.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().starts_with("libcore-"))));
        if !has_core {
            return Err(MissingTarget.into());
        }
        let source = Path::new(ask(&["--print", "sysroot"])?.trim_end()).join("lib/rustlib/src/rust");
        let version = ask(&["-vV"])?;
        let commit = version.lines().find_map(|line| line.strip_prefix("commit-hash: ")).unwrap_or("unknown");
        Ok(Self { source, commit: commit.to_owned() })
    }
}

/// A folder of our own in the workspace's target folder: sharing cargo's would wait for its lock.
fn target_dir(folder: &Path) -> anyhow::Result<PathBuf> {
    let output = clean(cargo(), folder)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start cargo: install Rust from https://rustup.rs")?;
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)
        .with_context(|| format!("cargo cannot read the package in {} (its own words are above)", folder.shown()))?;
    let dir = metadata["target_directory"].as_str().context("`cargo metadata` names no target folder")?;
    Ok(Path::new(dir).join("foil-modules"))
}

/// Writes the wrapper where it is not there yet, and whole at once: another build may be running it.
fn write_wrapper(target_dir: &Path) -> anyhow::Result<PathBuf> {
    let path = target_dir.join("foil-rustc");
    if std::fs::read(&path).is_ok_and(|there| there == WRAPPER.as_bytes()) {
        return Ok(path);
    }
    let write = || -> std::io::Result<()> {
        std::fs::create_dir_all(target_dir)?;
        let mut name = OsString::from(".foil-rustc-");
        name.push(std::process::id().to_string());
        let temporary = target_dir.join(name);
        let mut file =
            std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o755).open(&temporary)?;
        file.write_all(WRAPPER.as_bytes())?;
        drop(file);
        std::fs::rename(&temporary, &path)
    };
    write().with_context(|| format!("cannot write {}", path.shown()))?;
    Ok(path)
}
