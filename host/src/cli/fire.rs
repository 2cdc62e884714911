//! `foil fire`: one technique, without expectations.

use super::load::Unit;
use super::session::{Session, launcher, run_all};
use super::{Exit, Global};
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
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let launcher = launcher()?;
    let mut session = Session::open(global, None)?;
    let module = session.catalog.find(&args.technique)?;
    let with = parameters::from_command_line(&module.manifest, &args.with).map_err(anyhow::Error::msg)?;
    let experiment = Experiment {
        name: "fire".into(),
        technique: args.technique,
        with,
        shield: args.shield,
        ..Experiment::default()
    };
    let prepared = session.prepare(&experiment, None)?;
    run_all(global, launcher, vec![Unit::Experiment(Arc::new(prepared))], 1, Vec::new())
}
