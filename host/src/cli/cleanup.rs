//! `foil cleanup`.

mod sweep;

use super::{Exit, Format, Global};
use crate::campaign::Machine;
use crate::console::out;
use foil_journal::{EffectEntry, Journal, Scope};
use foil_record::{UndoOutcome, UndoReport};
use foil_text::hint::of_state;
use foil_text::{RunId, visible};
use jiff::SignedDuration;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only say what would be undone
    #[arg(long, conflicts_with = "forget")]
    dry_run: bool,
    /// Accept what a run left, and be reminded of it no more; its pre-images are purged
    #[arg(long, value_name = "RUN")]
    forget: Option<String>,
    /// Find what runs left in the environment's cluster by its labels, without their journal, and delete it
    #[arg(long, conflicts_with = "forget")]
    sweep: bool,
    /// With --sweep: leave what is younger, unless this journal knows that its run is over
    #[arg(long, value_name = "SPAN", requires = "sweep", default_value = "1h", value_parser = sweep::span)]
    older_than: SignedDuration,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    if args.sweep {
        return sweep::run(args.older_than, args.dry_run, global);
    }
    let journal = open(global)?;
    if let Some(run) = args.forget {
        return forget(&journal, run, global.format);
    }
    if args.dry_run {
        return plan(&journal, global.format);
    }
    clean(&journal, global.format)
}

/// The journal of the state folder that the flags name.
pub(super) fn open(global: &Global) -> anyhow::Result<Journal> {
    Journal::open(&folder(global)?)
}

pub(super) fn folder(global: &Global) -> anyhow::Result<PathBuf> {
    match &global.state {
        Some(folder) => Ok(std::path::absolute(folder)?),
        None => foil_safe_path::state::default_folder(),
    }
}

/// Recovers all dead runs and says what came of it.
pub(super) fn clean(journal: &Journal, format: Format) -> anyhow::Result<Exit> {
    let reports = journal.recover(Scope::DeadAndResidue, &Machine, &mut |_, _| {})?;
    // Those of runs whose launcher was killed too. They are empty, and nothing depends on them.
    foil_shield::sweep_cgroups();
    // What was undone is said even where this cannot be told.
    let (live, untold): (Vec<String>, _) = match journal.live() {
        Ok(live) => (live.iter().map(ToString::to_string).collect(), None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let residue = reports.iter().map(|r| r.residue().count()).sum::<usize>();
    match format {
        Format::Json => {
            let answer = serde_json::json!({ "runs": reports, "live": live, "residue": residue });
            super::print_json(&answer)?;
        }
        Format::Text => {
            reports.iter().for_each(print);
            for run in &live {
                out!("{run}: alive, left alone (`{}` stops it)", of_state(["abort"]));
            }
            if reports.is_empty() && live.is_empty() && untold.is_none() {
                out!("Nothing to clean up.");
            }
            let left = reports.iter().find(|report| report.residue().next().is_some());
            if let Some(run) = left.map(|report| report.run.as_str()) {
                out!(
                    "{residue} thing(s) could not be put back, or not be written down as such. Mend what is said above and clean up again, \
                     or accept it with `{}`.",
                    of_state(["cleanup", "--forget", run])
                );
            }
        }
    }
    untold.map_or(Ok(()), Err)?;
    Ok(if residue > 0 { Exit::Residue } else { Exit::Success })
}

fn print(report: &UndoReport) {
    let count = |wanted: fn(&UndoOutcome) -> bool| report.effects.iter().filter(|(_, o)| wanted(o)).count();
    out!(
        "{}: {} undone, {} had nothing to undo, {} conflict(s), {} failed",
        report.run,
        count(|o| *o == UndoOutcome::Undone),
        count(|o| *o == UndoOutcome::NothingToDo),
        count(|o| matches!(o, UndoOutcome::Conflict(_))),
        count(|o| matches!(o, UndoOutcome::Failed(_))),
    );
    // What went well is listed while it can be read; what did not, always.
    const MOST: usize = 20;
    let done = || report.effects.iter().filter(|(_, o)| *o == UndoOutcome::Undone);
    for (what, _) in done().take(MOST) {
        out!("  undone    {}", plain(what));
    }
    if done().count() > MOST {
        out!(
            "  undone    … and {} more (`{}`)",
            done().count() - MOST,
            of_state(["journal", "effects", report.run.as_str()])
        );
    }
    for (what, outcome) in report.residue() {
        match outcome {
            UndoOutcome::Conflict(why) => out!("  conflict  {}: {}", plain(what), plain(why)),
            UndoOutcome::Failed(why) => out!("  FAILED    {}: {}", plain(what), plain(why)),
            UndoOutcome::Undone | UndoOutcome::NothingToDo | UndoOutcome::Irrevocable(_) => {}
        }
    }
    for (what, outcome) in &report.effects {
        if let UndoOutcome::Irrevocable(why) = outcome {
            out!("  stays     {}: {}", plain(what), plain(why));
        }
    }
}

/// A guest chose the paths in these words: no character of its that a terminal obeys, or nobody sees, is printed.
pub(super) fn plain(text: &str) -> String {
    visible(text, usize::MAX)
}

fn plan(journal: &Journal, format: Format) -> anyhow::Result<Exit> {
    let entries = journal.to_recover()?;
    if format == Format::Json {
        super::print_json(&entries)?;
        return Ok(Exit::Success);
    }
    let mut runs: BTreeMap<&str, Vec<&EffectEntry>> = BTreeMap::new();
    for entry in &entries {
        runs.entry(&entry.run).or_default().push(entry);
    }
    if runs.is_empty() {
        out!("Nothing to clean up.");
    }
    for (run, entries) in runs {
        out!("{run}: would, where nobody else changed it,");
        for entry in entries {
            let undo = entry.undo.as_ref().map_or("its undo cannot be read".into(), |u| u.in_words(&Machine));
            out!("  {}  [{}]", plain(&undo), plain(&entry.what));
        }
    }
    Ok(Exit::Success)
}

fn forget(journal: &Journal, run: String, format: Format) -> anyhow::Result<Exit> {
    let run = RunId::try_from(run).map_err(anyhow::Error::msg)?;
    let count = journal.forget(&run)?;
    match format {
        Format::Json => super::print_json(&serde_json::json!({ "run": run, "accepted": count }))?,
        Format::Text => out!("{run}: {count} thing(s) accepted as they are."),
    }
    Ok(Exit::Success)
}
