//! The helper process: reads a module from standard input, writes its native code to standard output.

use super::{ARGUMENT, DOES_NOT_COMPILE, MEMORY};
use crate::console::err_text;
use foil_manifest::section;
use rustix::process::{DumpableBehavior, Resource, Rlimit, Signal};
use std::io::Write as _;
use std::process::ExitCode;

/// Serves as the helper where the command line says so; to be called before anything else looks at it.
pub fn maybe_serve() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != ARGUMENT || arguments.next().is_some() {
        return None;
    }
    Some(match serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            err_text!("{error:#}");
            ExitCode::from(DOES_NOT_COMPILE)
        }
    })
}

fn serve() -> anyhow::Result<()> {
    hold()?;
    let module = section::read_bounded(std::io::stdin().lock())??;
    let engine = wasmtime::Engine::new(&super::super::configuration()).map_err(super::super::plain)?;
    let code = engine.precompile_component(&module).map_err(super::super::plain)?;
    std::io::stdout().write_all(&code)?;
    Ok(())
}

/// Limits what the compiler may take. Where memory runs out the process aborts; no core of it is kept.
fn hold() -> std::io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    // Writable private memory only: how much of the program itself is mapped does not matter.
    rustix::process::setrlimit(Resource::Data, Rlimit { current: Some(MEMORY), maximum: Some(MEMORY) })?;
    Ok(())
}
