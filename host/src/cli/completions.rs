//! `foil completions`: what a shell needs to complete Foil's command line, from its own definition.

use super::{Cli, Exit};
use clap::CommandFactory as _;
use clap_complete::Shell;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "foil", &mut script);
    super::man::print(&script)?;
    Ok(Exit::Success)
}
