//! `foil run`: experiments from files.

use super::session::{Session, launcher, read_experiment, run_all};
use super::{Exit, Global};
use std::path::PathBuf;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Experiment files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Runs at once, at most what the environment allows [default: what the environment allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    parallel: Option<u32>,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let launcher = launcher()?;
    // All files are settled before the first runs: a mistake in the last one half-runs nothing.
    let mut prepared = Vec::new();
    let mut parallel = usize::MAX;
    for file in &args.files {
        let experiment = read_experiment(file)?;
        let mut session = Session::open(global, Some(file))?;
        parallel = parallel.min(session.parallel());
        let settled = session.prepare(&experiment);
        prepared.push(settled.map_err(|error| error.context(format!("{}", file.display())))?);
    }
    let asked = args.parallel.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    run_all(global, launcher, prepared, parallel.min(asked))
}
