//! Starting other programs.

use anyhow::{Context as _, Result, bail};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What modules are built for.
const TARGET: &str = "wasm32-unknown-unknown";

/// The workspace's folder.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// Cargo in the workspace's folder; the one that runs us, so that `cargo +toolchain xtask` stays with its toolchain.
pub fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()).args(arguments);
    command
}

/// Runs a command to its end; anything but success is an error that names it.
pub fn run(command: &mut Command) -> Result<()> {
    let words: Vec<_> =
        std::iter::once(command.get_program()).chain(command.get_args()).map(OsStr::to_string_lossy).collect();
    let words = words.join(" ");
    let status = command.status().with_context(|| format!("cannot start `{words}`"))?;
    if !status.success() {
        bail!("`{words}` failed: {status}");
    }
    Ok(())
}

/// Whether a command can be started and succeeds, without output: used to find out what is installed.
pub fn works(command: &mut Command) -> bool {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
}

/// Adds the wasm target by rustup where the compiler has no standard library for it.
pub fn ensure_target() -> Result<()> {
    if has_target()? {
        return Ok(());
    }
    eprintln!("xtask: the {TARGET} target is missing; adding it by rustup");
    run(Command::new("rustup").current_dir(root()).args(["target", "add", TARGET])).with_context(|| {
        format!("modules are built for {TARGET}: install Rust by rustup (https://rustup.rs), or add the target by hand")
    })?;
    if !has_target()? {
        bail!("rustup added {TARGET}, but `rustc` does not have it: is the rustc in PATH the one of rustup?");
    }
    Ok(())
}

fn has_target() -> Result<bool> {
    let output = Command::new("rustc")
        .current_dir(root())
        .args(["--print", "target-libdir", "--target", TARGET])
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start rustc: install Rust from https://rustup.rs")?;
    let folder = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    // The folder may be there and empty, after a target was removed.
    let core = |name: &OsStr| name.to_string_lossy().starts_with("libcore-");
    Ok(std::fs::read_dir(folder).is_ok_and(|mut list| list.any(|e| e.is_ok_and(|e| core(&e.file_name())))))
}
