//! `cargo xtask`: what a fresh clone needs to build, show and test Foil, with nothing installed but rustup and a C compiler.

mod atomics;
mod attack;
mod bench;
mod demo;
mod fuzz;
mod lint;
mod progress;
mod tools;

use anyhow::{Result, bail};
use std::process::ExitCode;
use tools::{cargo, ensure_target, run};

const HELP: &str = "\
cargo xtask COMMAND

  build             add the wasm target where it is missing, then build target/release/foil
  test [ARGS]       cargo test --workspace ARGS
  demo              build without optimisation, then run real techniques and show what was seen and put back
  lint              rustfmt, clippy, rustdoc, cargo-deny, size of files
  fuzz [--seconds N] [TARGET ..]   run each fuzz target for N seconds (default 60)
  bench [NAME ..]   run the benches of host/benches, one line a measurement
  atomics FOLDER    as root: run a library of Atomic Red Team's tests, and write docs/atomics-run.md
  attack FILE       bring manifest/data up to a release of ATT&CK: FILE is its enterprise-attack.json
  ci                .ci/run";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    match dispatch(&command, &rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: &str, rest: &[String]) -> Result<()> {
    let nothing_more = || match rest.first() {
        Some(extra) => bail!("`cargo xtask {command}` takes no arguments, but there is `{extra}`"),
        None => Ok(()),
    };
    match command {
        "build" => {
            nothing_more()?;
            build()
        }
        "test" => {
            ensure_target()?;
            // All that fails is told at once.
            run(cargo(["test", "--workspace", "--no-fail-fast"]).args(rest))
        }
        "demo" => {
            nothing_more()?;
            demo::demo()
        }
        "lint" => {
            nothing_more()?;
            ensure_target()?;
            lint::lint()
        }
        "fuzz" => fuzz::fuzz(rest),
        "bench" => bench::bench(rest),
        "atomics" => match rest {
            [folder] => {
                build()?;
                atomics::atomics(folder)
            }
            _ => bail!("`cargo xtask atomics` takes the folder of the tests"),
        },
        "attack" => match rest {
            [file] => attack::attack(file),
            _ => bail!("`cargo xtask attack` takes a release's enterprise-attack.json"),
        },
        "ci" => {
            nothing_more()?;
            run(&mut std::process::Command::new(tools::root().join(".ci/run")))
        }
        "help" | "--help" | "-h" => {
            println!("{HELP}");
            Ok(())
        }
        "" => bail!("say what to do\n\n{HELP}"),
        other => bail!("there is no command `{other}`\n\n{HELP}"),
    }
}

fn build() -> Result<()> {
    ensure_target()?;
    run(&mut cargo(["build", "--release", "-p", "foil"]))
}
