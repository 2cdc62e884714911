//! `cargo xtask fuzz`: each target of `fuzz/` for a few seconds.

use crate::tools::{root, run, works};
use anyhow::{Context as _, Result, bail};
use std::process::Command;

/// How long each target runs where `--seconds` does not say, in seconds.
const SECONDS: u64 = 60;

pub fn fuzz(arguments: &[String]) -> Result<()> {
    let mut seconds = SECONDS;
    let mut wanted = Vec::new();
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let value = arguments.next().context("`--seconds` needs a number")?;
            seconds = value.parse().with_context(|| format!("`--seconds {value}` is no number of seconds"))?;
        } else if argument.starts_with('-') {
            bail!("`cargo xtask fuzz` knows `--seconds N` and names of targets, not `{argument}`");
        } else {
            wanted.push(argument.clone());
        }
    }
    let folder = root().join("fuzz");
    if !folder.join("Cargo.toml").is_file() {
        bail!("there is no fuzz/Cargo.toml");
    }
    // Sanitizers need a nightly compiler, and cargo-fuzz drives them; neither is needed to build Foil.
    if let Some(why) = missing() {
        println!("skipped: {why}");
        return Ok(());
    }
    let there = targets(&folder)?;
    if let Some(unknown) = wanted.iter().find(|name| !there.contains(name)) {
        bail!("there is no fuzz target `{unknown}`; there are {}", there.join(", "));
    }
    for target in if wanted.is_empty() { &there } else { &wanted } {
        println!("fuzzing {target} for {seconds} s");
        let (corpus, seeds) = (folder.join("corpus").join(target), folder.join("seeds").join(target));
        std::fs::create_dir_all(&corpus).with_context(|| format!("cannot make {}", corpus.display()))?;
        let limit = format!("-max_total_time={seconds}");
        // What is new goes into the first folder, which is nobody's but this machine's; the second is in the repository.
        run(nightly(["fuzz", "run", target]).args([corpus, seeds]).args([
            "--",
            &limit,
            "-rss_limit_mb=2048",
            "-timeout=10",
        ]))?;
    }
    Ok(())
}

/// What is not installed, with the command that installs it.
fn missing() -> Option<&'static str> {
    if !works(&mut nightly(["--version"])) {
        return Some("there is no nightly compiler (`rustup toolchain install nightly`)");
    }
    if !works(&mut nightly(["fuzz", "--version"])) {
        return Some("there is no cargo-fuzz (`cargo install cargo-fuzz`)");
    }
    None
}

/// Nightly's cargo. The variables say which toolchain runs us; nightly must pick its own.
fn nightly<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let mut command = Command::new("cargo");
    command.current_dir(root()).arg("+nightly").args(arguments);
    for variable in ["CARGO", "RUSTC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

/// The names of the files in `fuzz/fuzz_targets`.
fn targets(folder: &std::path::Path) -> Result<Vec<String>> {
    let folder = folder.join("fuzz_targets");
    let list = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut names = Vec::new();
    for entry in list {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "rs")
            && let Some(name) = path.file_stem()
        {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
