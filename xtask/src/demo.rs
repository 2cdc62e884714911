//! `cargo xtask demo`.

use crate::progress;
use crate::tools::{cargo, ensure_target, root, target};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use std::process::Command;

/// Something was inconclusive: one of Foil's published exit codes. Expected where the machine has no audit stream for us.
const INCONCLUSIVE: i32 = 3;

/// A link is broken: another one.
const BROKEN: i32 = 1;

/// Builds Foil, runs every experiment of `examples/demo/` with it, then shows that nothing is left.
///
/// The build is not optimised, by the profile `demo`: on a fresh machine it is nearly all of the time, and most of what Foil does
/// is system calls.
pub fn demo() -> Result<()> {
    let target = target();
    stage(1, "build Foil with its modules (`cargo xtask build` makes the optimised binary)");
    ensure_target()?;
    progress::build(&mut cargo(["build", "-p", "foil", "--profile", "demo", "--no-default-features"]), &target)?;
    let foil = |arguments: &[&str]| {
        let mut command = Command::new(target.join("demo/foil"));
        // A state folder of the demo's own: it works without rights to /var/lib, and a second demo finds nothing old.
        command.current_dir(root().join("examples")).env("FOIL_STATE", target.join("demo-state")).args(arguments);
        command
    };
    stage(2, "run the experiments of examples/demo");
    let ran = say(foil(&["run"]).args(experiments()?))?;
    stage(3, "run an experiment that is made to fail, to show what a broken link looks like");
    let broken = say(&mut foil(&["run", "broken/deletion.yaml"]))?;
    stage(4, "show that nothing is left");
    let left = say(&mut foil(&["cleanup"]))?;
    say(&mut foil(&["journal", "runs"]))?;
    match (ran, broken, left) {
        (0, BROKEN, 0) => {
            println!(
                "\nThe demo ended as designed: twelve techniques were noticed, one broken link was named, nothing is left."
            );
            Ok(())
        }
        (INCONCLUSIVE, INCONCLUSIVE, 0) => {
            println!(
                "\nSome experiments were inconclusive, each with its reason above. As root on a kernel with auditing every one \
                 of them passes."
            );
            Ok(())
        }
        _ => bail!(
            "the demo did not end as designed: `foil run` exited {ran}, the experiment that is made to fail {broken}, \
             `foil cleanup` {left}"
        ),
    }
}

fn stage(number: u8, what: &str) {
    println!("\n[{number} of 4] {what}");
}

fn experiments() -> Result<Vec<PathBuf>> {
    let folder = root().join("examples/demo");
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    let mut found = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    found.retain(|path| path.extension().is_some_and(|e| e == "yaml"));
    found.sort();
    if found.is_empty() {
        bail!("there is no experiment in {}", folder.display());
    }
    Ok(found)
}

/// Runs a command under its own words, and returns its exit code.
fn say(command: &mut Command) -> Result<i32> {
    let words: Vec<_> = command.get_args().filter(|a| !std::path::Path::new(a).is_absolute()).collect();
    println!("\n$ foil {}", words.iter().map(|w| w.to_string_lossy()).collect::<Vec<_>>().join(" "));
    let status = command.status().context("foil could not be started")?;
    status.code().with_context(|| format!("foil was killed: {status}"))
}
