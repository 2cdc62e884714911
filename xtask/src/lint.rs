//! `cargo xtask lint`.

use crate::tools::{cargo, root, run, works};
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};

/// The most lines that a source file may have. A concept that needs more is two concepts.
const MAX_LINES: usize = 500;

pub fn lint() -> Result<()> {
    run(&mut cargo(["fmt", "--all", "--check"]))?;
    run(&mut cargo(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    // As the demo builds it.
    run(&mut cargo(["clippy", "-p", "foil", "--no-default-features", "--", "-D", "warnings"]))?;
    // Private items are documented on purpose, so that links to them work.
    run(cargo(["doc", "--workspace", "--no-deps", "--document-private-items"])
        .env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private-intra-doc-links"))?;
    if works(&mut cargo(["deny", "--version"])) {
        run(&mut cargo(["deny", "check", "licenses", "bans", "sources"]))?;
    } else {
        println!("skipped: licences and sources of dependencies (`cargo install cargo-deny` brings the tool)");
    }
    sizes()?;
    paths()
}

/// What Foil is made of shows no path but by `Shown`: a file's name may be made to paint over a terminal.
fn paths() -> Result<()> {
    let mut files = Vec::new();
    for folder in ["host", "manifest/src", "atomic/src"] {
        collect(&root().join(folder), &mut files)?;
    }
    // Tests, benches and what builds Foil show paths to its developers only.
    let apart = |file: &PathBuf| {
        let within = file.strip_prefix(root()).unwrap_or(file);
        within.iter().any(|part| part == "tests" || part == "benches" || part == "build.rs")
    };
    files.retain(|file| !apart(file));
    let mut bare = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = text.lines().enumerate().filter(|(_, line)| line.contains(".display()"));
        bare.extend(lines.map(|(number, _)| format!("{}:{}", file.display(), number + 1)));
    }
    if !bare.is_empty() {
        let help = "show a path by `.shown()` (foil_text::Shown), keep its value by `.to_string_lossy()`";
        bail!("{help}:\n  {}", bare.join("\n  "));
    }
    Ok(())
}

/// No source file is longer than [`MAX_LINES`].
fn sizes() -> Result<()> {
    let mut files = Vec::new();
    collect(&root(), &mut files)?;
    let mut long = Vec::new();
    for file in &files {
        let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
        let lines = text.lines().count();
        if lines > MAX_LINES {
            long.push(format!("{} has {lines} lines", file.display()));
        }
    }
    if !long.is_empty() {
        bail!("split these, no file has more than {MAX_LINES} lines:\n  {}", long.join("\n  "));
    }
    println!("{} source files, none over {MAX_LINES} lines", files.len());
    Ok(())
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))? {
        let entry = entry?;
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        if entry.file_type()?.is_dir() {
            if name != "target" && !name.starts_with('.') {
                collect(&path, files)?;
            }
        } else if name.ends_with(".rs") {
            files.push(path);
        }
    }
    Ok(())
}
