//! `foil calibrate`: which shield level a technique can be trusted in, by the operator's own sensors.

use super::load::{Loader, Unit};
use super::output::{Printer, Printing};
use super::session::{Conduct, launcher, run_units};
use super::{Exit, Format, Global, discover};
use crate::campaign::Experiment;
use crate::campaign::experiment::Hold;
use crate::console::out;
use anyhow::bail;
use foil_manifest::ShieldLevel;
use foil_record::{LinkVerdict, RunReport, Verdict};
use foil_text::Shown as _;
use std::path::PathBuf;
use std::sync::Arc;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A technique's id, which is held to `default` of foil.yaml, or an experiment's file. The technique is fired at every shield
    /// level, and the links are watched each time
    #[arg(value_name = "TECHNIQUE|FILE")]
    what: PathBuf,
}

/// One level's result.
struct Row {
    level: ShieldLevel,
    result: Result<RunReport, String>,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let launcher = launcher()?;
    let mut loader = Loader::new(global);
    let is_file = args.what.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
    let (experiment, read) = match args.what.to_str() {
        Some(technique) if !is_file => {
            let found = discover::expectations(global, None)?;
            if found.value.expect.is_empty() {
                let file = found.path.map_or("there is no foil.yaml here".into(), |path| path.shown());
                bail!(
                    "{technique} by itself is held to `default: expect:` of foil.yaml, which names no link ({file}): name those \
                     that your sensors should raise there, or give an experiment's file"
                );
            }
            (found.value.of(technique), String::new())
        }
        _ => loader.experiment(&args.what)?,
    };
    if experiment.expect.is_empty() {
        bail!("{} expects nothing: name the links that the sensors should raise in `expect`", args.what.shown());
    }
    let mut units = Vec::new();
    let mut refused = Vec::new();
    for level in [ShieldLevel::Open, ShieldLevel::Confined, ShieldLevel::Overlay] {
        let at_level = Experiment { shield: Some(level), control: None, hold: Hold::No, ..experiment.clone() };
        match loader.prepare(&args.what, &read, &at_level) {
            Ok(prepared) => units.push(Unit::Experiment(Arc::new(prepared))),
            Err(errors) => {
                let errors = if read.is_empty() { loader.expected(errors)? } else { errors };
                refused.push(Row { level, result: Err(errors.to_string()) });
            }
        }
    }
    if units.is_empty() {
        let mut why: Vec<String> = refused.iter().filter_map(|row| row.result.as_ref().err().cloned()).collect();
        why.dedup();
        bail!("no shield level can be tried: {}", why.join("; "));
    }
    loader.open_sensors(&mut units)?;
    // One after the other: a sensor that two runs trip at once would say less.
    let levels: Vec<ShieldLevel> = units.iter().flat_map(Unit::experiments).map(|e| e.authorised.shield).collect();
    let (printing, conduct) = (Printing::default(), Conduct { parallel: 1, fail_fast: false });
    let printer = Printer::new(&printing, global, levels.len()).lines_only();
    let reports = run_units(global, launcher, units, conduct, &printer)?;
    let mut rows: Vec<Row> =
        levels.into_iter().zip(reports).map(|(level, report)| Row { level, result: Ok(report) }).collect();
    rows.extend(refused);
    match global.format {
        Format::Json => super::print_json(&rows.iter().map(json).collect::<Vec<_>>())?,
        _ => text(&experiment, &rows),
    }
    Ok(foil_report::exit(&rows.iter().filter_map(|row| row.result.as_ref().ok().cloned()).collect::<Vec<_>>()))
}

fn json(row: &Row) -> serde_json::Value {
    match &row.result {
        Ok(report) => serde_json::json!({ "shield": row.level, "trusted": trusted(report), "report": report }),
        Err(why) => serde_json::json!({ "shield": row.level, "trusted": false, "refused": why }),
    }
}

/// Every link was noticed there.
fn trusted(report: &RunReport) -> bool {
    matches!(report.verdict, Verdict::Pass | Verdict::Flaky)
}

fn text(experiment: &Experiment, rows: &[Row]) {
    let links = experiment.expect.iter().map(|link| link.link.to_string());
    let header: Vec<String> = ["shield".to_owned(), "verdict".to_owned()].into_iter().chain(links).collect();
    let mut table = super::table(header.iter().map(String::as_str));
    for row in rows {
        let cells = match &row.result {
            Ok(report) => {
                let link = |link: &foil_record::LinkReport| match link
                    .after_ms
                    .filter(|_| link.verdict == LinkVerdict::Seen)
                {
                    Some(after) => format!("seen {after:.1} ms"),
                    None => link.verdict.to_string(),
                };
                std::iter::once(report.verdict.to_string()).chain(report.links.iter().map(link)).collect()
            }
            Err(_) => vec!["not tried".to_owned()],
        };
        table.add_row(std::iter::once(row.level.to_string()).chain(cells));
    }
    out!("{}: {}\n\n{table}\n", experiment.name, experiment.technique);
    for row in rows {
        match &row.result {
            Ok(report) if trusted(report) => {
                out!("`{}` can be trusted: every link was noticed there.", row.level);
            }
            Ok(report) => out!("`{}` cannot be trusted: {}.", row.level, report.reason),
            Err(why) => out!("`{}` was not tried: {why}.", row.level),
        }
    }
}
