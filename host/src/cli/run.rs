//! `foil run`: experiments and campaigns from files.

use super::load::{Loader, Unit};
use super::only::Only;
use super::output::Printing;
use super::session::{Conduct, launcher, run_all};
use super::sources::files;
use super::{Exit, Global, nodes, plan};
use anyhow::bail;
use foil_manifest::AttackId;
use std::path::PathBuf;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Experiment and campaign files, and folders of them
    #[arg(required_unless_present = "attack", value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Runs at once, at most what the environment allows [default: what the environment allows]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    parallel: Option<u32>,
    /// Only experiments and campaigns of this name, or of a pattern with `*`; may be given several times
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only those with these ATT&CK techniques or their sub-techniques, such as T1059,T1070.004; without a file: every technique
    /// that there is with them, held to `default` of foil.yaml
    #[arg(long, value_name = "ID", value_delimiter = ',')]
    attack: Vec<AttackId>,
    /// Imported tests obtain prerequisites that are not met, as they say how
    #[arg(long)]
    get_prereqs: bool,
    /// On every node of the environment's cluster: pods are made there whatever its taints, and the nodes that do not notice are named
    #[arg(long)]
    each_node: bool,
    /// Run each experiment N times
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    repeat: u32,
    /// Begin no further run after the first that does not pass; the report counts what was not run
    #[arg(long)]
    fail_fast: bool,
    /// Print what would happen, as `foil plan` does, and fire nothing
    #[arg(long, conflicts_with_all = ["quiet", "output", "fail_fast"])]
    dry: bool,
    #[command(flatten)]
    printing: Printing,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let launcher = if args.dry { None } else { Some(launcher()?) };
    args.printing.check(global)?;
    let files = files(&args.files)?;
    let mut loader = Loader::new(global);
    loader.obtain = args.get_prereqs;
    loader.only = Only(args.only);
    // All is settled before the first runs: a mistake in the last one half-runs nothing.
    let (mut units, mut refused) = if files.is_empty() {
        loader.library(&args.attack)?
    } else {
        let units = loader.load_all(&files)?;
        if let Some(lacking) = args.attack.iter().find(|wanted| !units.iter().any(|unit| unit.is_about(wanted))) {
            bail!("`--attack {lacking}`: no experiment that was named has a technique of that id");
        }
        (units, Vec::new())
    };
    let names: Vec<&str> =
        units.iter().map(Unit::name).chain(refused.iter().map(|report| report.experiment.as_str())).collect();
    loader.only.check(&names)?;
    let about = |unit: &Unit| args.attack.is_empty() || args.attack.iter().any(|wanted| unit.is_about(wanted));
    refused.retain(|report| loader.only.picks(&report.experiment));
    units.retain(|unit| loader.only.picks(unit.name()) && about(unit));
    let Some(launcher) = launcher else { return plan::show(&units, &refused, global) };
    loader.open_sensors(&mut units)?;
    if args.each_node {
        units = nodes::each(units)?;
    }
    let units: Vec<Unit> = (0..args.repeat)
        .flat_map(|n| units.iter().map(move |u| if n == 0 { u.clone() } else { u.renewed() }))
        .collect();
    let asked = args.parallel.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
    let conduct = Conduct { parallel: loader.parallel().min(asked), fail_fast: args.fail_fast };
    run_all(global, launcher, units, conduct, &args.printing, refused)
}
