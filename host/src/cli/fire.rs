//! `foil fire`: one technique, without expectations.

use super::load::Unit;
use super::output::Printing;
use super::session::{Conduct, Session, launcher, run_all};
use super::{Exit, Global, plan};
use crate::campaign::{Experiment, parameters};
use foil_manifest::ShieldLevel;
use std::sync::Arc;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The technique: an id, an alias, or the path of a .wasm
    technique: String,
    /// A parameter; may be given several times
    #[arg(long = "with", value_name = "NAME=VALUE")]
    with: Vec<String>,
    /// What holds the children: confined, overlay or open [default: the technique's preferred one]
    #[arg(long, value_parser = super::grant::level)]
    shield: Option<ShieldLevel>,
    /// Print what would happen, as `foil plan` does, and fire nothing
    #[arg(long, conflicts_with_all = ["quiet", "output"])]
    dry: bool,
    #[command(flatten)]
    printing: Printing,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let launcher = if args.dry { None } else { Some(launcher()?) };
    args.printing.check()?;
    let mut session = Session::open(global, None)?;
    let module = session.find(&args.technique)?;
    let with = parameters::from_command_line(&module.manifest, &args.with).map_err(anyhow::Error::msg)?;
    let experiment = Experiment {
        // A plan is headed by what it is of.
        name: if args.dry { module.id().to_owned() } else { "fire".to_owned() },
        technique: args.technique,
        with,
        shield: args.shield,
        ..Experiment::default()
    };
    let prepared = session.prepare(&experiment, None)?;
    let units = vec![Unit::Experiment(Arc::new(prepared))];
    let Some(launcher) = launcher else { return plan::show(&units, &[], global) };
    let conduct = Conduct { parallel: 1, fail_fast: false };
    run_all(global, launcher, units, conduct, &args.printing, Vec::new())
}
