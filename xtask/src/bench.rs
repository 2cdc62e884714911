//! `cargo xtask bench`: each bench of `host/benches/`, one line a measurement. docs/performance.md says what they mean.

use crate::tools::{cargo, ensure_target, root, run, target};
use anyhow::{Context as _, Result, bail};

/// Runs the benches that are named, or all; what follows `--` goes to them.
pub fn bench(arguments: &[String]) -> Result<()> {
    let (wanted, passed) = match arguments.iter().position(|a| a == "--") {
        Some(at) => (&arguments[..at], &arguments[at..]),
        None => (arguments, &[][..]),
    };
    let there = benches()?;
    if let Some(unknown) = wanted.iter().find(|name| !there.contains(name)) {
        bail!("there is no bench `{unknown}`; there are {}", there.join(", "));
    }
    ensure_target()?;
    // The whole workspace's selection, so that the engine is built once for all; the names, so that nothing else is built.
    let mut command = cargo(["bench", "--quiet", "--workspace"]);
    // Programs are measured as they are shipped.
    run(&mut cargo(["build", "--release", "--package", "foil"]))?;
    command.env("FOIL_BENCH_PROGRAM", target().join("release/foil"));
    for name in if wanted.is_empty() { &there[..] } else { wanted } {
        command.args(["--bench", name]);
    }
    run(command.args(passed))
}

/// The names of the files in `host/benches`.
fn benches() -> Result<Vec<String>> {
    let folder = root().join("host/benches");
    let list = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in list {
        let path = entry?.path();
        if let (Some("rs"), Some(name)) = (path.extension().and_then(|e| e.to_str()), path.file_stem()) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
