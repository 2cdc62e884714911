//! `foil check`: experiments of checks only.

use super::load::{Loader, Unit};
use super::output::Printing;
use super::session::{Conduct, launcher, run_all};
use super::sources::files;
use super::{Exit, Global, nodes};
use anyhow::bail;
use foil_text::Shown as _;
use std::path::PathBuf;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Experiment files without a technique, and folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Once for every node of the environment's cluster; the nodes that lack something are named
    #[arg(long)]
    each_node: bool,
    /// Begin no further look after the first that does not pass; the report counts what was not looked at
    #[arg(long)]
    fail_fast: bool,
    #[command(flatten)]
    printing: Printing,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let launcher = launcher()?;
    args.printing.check(global)?;
    let files = files(&args.files)?;
    let mut loader = Loader::new(global);
    let mut units = loader.load_all(&files)?;
    // Nothing may be fired by a command that only looks.
    if let Some(fires) = units.iter().find(|unit| !matches!(unit, Unit::Checks(_))) {
        let files: Vec<String> = files.iter().map(|file| file.shown()).collect();
        bail!(
            "{} fires a technique, and this command takes experiments without one: `{}` runs it",
            fires.name(),
            foil_text::hint::foil(std::iter::once("run").chain(files.iter().map(String::as_str)))
        );
    }
    loader.open_sensors(&mut units)?;
    if args.each_node {
        units = nodes::each(units)?;
    }
    let conduct = Conduct { parallel: loader.parallel(), fail_fast: args.fail_fast };
    run_all(global, launcher, units, conduct, &args.printing, Vec::new())
}
