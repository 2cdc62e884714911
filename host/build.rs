//! Builds every module below `techniques/` and embeds it, so that `foil` is one file to copy.
//!
//! What the loader would have to work out (digest, imports, hash of what is judged) is worked out here, so that
//! starting `foil` reads none of it. Nothing below runs when no source changed.

#![allow(clippy::disallowed_macros, reason = "cargo reads what a build script prints")]

use anyhow::Context as _;
use foil_manifest::build::{self, Built, MissingTarget, Options};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn main() {
    if let Err(error) = run() {
        if error.is::<MissingTarget>() {
            // One sentence, and nothing of cargo's backtrace hints around it.
            eprintln!("{error}");
        } else {
            eprintln!("cannot build the modules that go into foil: {error:#}");
        }
        std::process::exit(1);
    }
}

fn run() -> anyhow::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("host/ has a parent")?;
    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    for source in
        ["techniques", "sdk", "wit", "manifest", "host/text", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml"]
    {
        println!("cargo::rerun-if-changed={}", workspace.join(source).display());
    }
    println!("cargo::rerun-if-changed=build.rs");

    let options = Options { target_dir: Some(shared_target_dir(&out)), quiet: true };
    let mut modules = BTreeMap::new();
    let folders = folders(&workspace.join("techniques"))?;
    for (folder, built) in folders.iter().zip(build::folders(&folders, &options)?) {
        let id = built.inspection.manifest.id.to_string();
        if let Some((other, _)) = modules.insert(id.clone(), (folder, built)) {
            anyhow::bail!("two modules have the id `{id}`: {} and {}", other.display(), folder.display());
        }
    }
    let mut code = String::from("[\n");
    for (id, (_, built)) in &modules {
        let wasm = out.join(format!("{id}.wasm"));
        std::fs::write(&wasm, &built.bytes).with_context(|| format!("cannot write {}", wasm.display()))?;
        entry(&mut code, built, &wasm)?;
    }
    code.push(']');
    std::fs::write(out.join("pack.rs"), code).context("cannot write pack.rs")
}

/// One `Builtin { .. }` of `host/src/module/pack.rs`.
fn entry(code: &mut String, built: &Built, wasm: &Path) -> anyhow::Result<()> {
    let inspection = &built.inspection;
    let manifest = &inspection.manifest;
    let json = String::from_utf8(manifest.to_canonical_json()).context("JSON is UTF-8")?;
    let interfaces = |all: &foil_manifest::contract::Interfaces| {
        let one =
            |(name, functions): (&String, &std::collections::BTreeSet<String>)| format!("({name:?}, &{functions:?})");
        // A set prints with braces, a slice is written with brackets.
        all.iter().map(one).collect::<Vec<_>>().join(", ").replace('{', "[").replace('}', "]")
    };
    writeln!(
        code,
        "Builtin {{ id: {:?}, aliases: &{:?}, digest: {:?}, judged: {:?}, imports: &[{}], exports: &[{}], \
         manifest: {json:?}, bytes: include_bytes!({wasm:?}) }},",
        manifest.id.as_str(),
        manifest.aliases,
        inspection.digest.to_string(),
        manifest.judged(&inspection.imports.flat()).to_string(),
        interfaces(&inspection.imports.interfaces),
        interfaces(&inspection.imports.exports),
    )?;
    Ok(())
}

/// `techniques/PLATFORM/NAME` with a manifest, sorted.
fn folders(techniques: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let kubernetes = std::env::var_os("CARGO_FEATURE_KUBERNETES").is_some();
    for platform in subfolders(techniques)?.into_iter().filter(|folder| kubernetes || !folder.ends_with("kubernetes")) {
        for folder in subfolders(&platform)? {
            if build::kind(&folder)?.is_some() {
                found.push(folder);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn subfolders(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let list = || -> std::io::Result<Vec<PathBuf>> {
        let paths = std::fs::read_dir(folder)?.map(|e| e.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|p| p.is_dir()).collect())
    };
    list().with_context(|| format!("cannot list {}", folder.display()))
}

/// One target folder for modules beside the host's, whatever the host's profile and features: building them once is
/// enough. Not the host's own, whose lock the outer cargo holds.
fn shared_target_dir(out: &Path) -> PathBuf {
    let target = out.ancestors().find(|dir| dir.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(out).join("foil-modules")
}
