//! `foil fire`: one technique, or all that match a pattern, without expectations.

use super::load::{Loader, Settled, Unit};
use super::output::Printing;
use super::session::{Conduct, Session, launcher, run_all};
use super::{Exit, Global, discover, matching, plan};
use crate::campaign::{Experiment, parameters};
use foil_manifest::ShieldLevel;
use std::path::Path;
use std::sync::Arc;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The technique: an id, an alias, or the path of a .wasm. With a `*`, as in 'linux.*': every technique whose id or alias matches,
    /// one after another; those that may not run are reported and passed over
    technique: String,
    /// A parameter; may be given several times. With a pattern it goes to the techniques that have it
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
    args.printing.check(global)?;
    let (units, refused) = match matching::is_pattern(&args.technique) {
        true => several(&args, global)?,
        false => (vec![one(&args, global)?], Vec::new()),
    };
    let Some(launcher) = launcher else { return plan::show(&units, &refused, global) };
    let conduct = Conduct { parallel: 1, fail_fast: false };
    run_all(global, launcher, units, conduct, &args.printing, refused)
}

fn one(args: &Args, global: &Global) -> anyhow::Result<Unit> {
    let mut session = Session::open(global, None)?;
    let module = session.find(&args.technique)?;
    let with = parameters::from_command_line(&module.manifest, &args.with).map_err(anyhow::Error::msg)?;
    let experiment = Experiment {
        name: name(args, module.id()),
        technique: args.technique.clone(),
        with,
        shield: args.shield,
        ..Experiment::default()
    };
    Ok(Unit::Experiment(Arc::new(session.prepare(&experiment, None)?)))
}

/// All techniques that match, in the order of their ids.
fn several(args: &Args, global: &Global) -> anyhow::Result<Settled> {
    let mut loader = Loader::new(global);
    let modules = matching::techniques(loader.catalog(Path::new(discover::ENVIRONMENT))?, &args.technique)?;
    let given = matching::parameters(&args.technique, &modules, &args.with)?;
    let mut of_each = Vec::new();
    for (module, with) in modules.into_iter().zip(given) {
        let experiment = Experiment {
            name: name(args, module.id()),
            technique: module.id().to_owned(),
            with,
            shield: args.shield,
            ..Experiment::default()
        };
        of_each.push((experiment, module));
    }
    Ok(loader.settle_each(of_each)?)
}

/// A plan is headed by what it is of.
fn name(args: &Args, id: &str) -> String {
    if args.dry { id.to_owned() } else { "fire".to_owned() }
}
