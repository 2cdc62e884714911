//! `foil check`: experiments of checks only.

use super::load::{Loader, Unit, files};
use super::session::{launcher, run_all};
use super::{Exit, Global, nodes};
use anyhow::bail;
use foil_manifest::Shown as _;
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
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let launcher = launcher()?;
    let files = files(&args.files)?;
    let mut loader = Loader::new(global);
    let mut units = loader.load_all(&files)?;
    // Nothing may be fired by a command that only looks.
    if let Some(fires) = units.iter().find(|unit| !matches!(unit, Unit::Checks(_))) {
        let files: Vec<String> = files.iter().map(|file| file.shown()).collect();
        bail!(
            "{} fires a technique, and `foil check` takes experiments without one: `foil run {}` runs it",
            fires.name(),
            files.join(" ")
        );
    }
    loader.open_sensors(&mut units)?;
    if args.each_node {
        units = nodes::each(units)?;
    }
    run_all(global, launcher, units, loader.parallel(), Vec::new())
}
