//! `foil journal`.

use super::cleanup::{open, plain};
use super::table;
use super::{Exit, Format, Global};
use crate::campaign::Machine;
use crate::console::out;
use anyhow::bail;
use comfy_table::Table;
use foil_journal::{EffectEntry, EffectState, Journal, RunEntry};
use foil_text::RunId;
use foil_text::hint::of_state;
use std::collections::BTreeSet;
use std::time::Duration;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// The runs, newest first (the default)
    Runs,
    /// What a run did, and what became of it
    Effects {
        /// The run's id
        run: String,
    },
    /// What is still there: what could not be put back, and what dead runs left
    Residue,
    /// The audit log: every decision
    Audit {
        /// Only of this run
        #[arg(long)]
        run: Option<String>,
        /// At most so many, the latest
        #[arg(long, default_value_t = 200)]
        last: u32,
    },
    /// Check the audit log's hash chain and the file
    Verify,
    /// Remove old runs and old audit rows; what is still to be undone stays
    Prune {
        /// Older than: 12h, 30d, 4w
        #[arg(long, value_name = "AGE", value_parser = age)]
        older_than: Duration,
    },
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let journal = open(global)?;
    let format = global.format;
    match args.what.unwrap_or(What::Runs) {
        What::Runs => show(format, &journal.runs()?, "No runs yet.", runs_table)?,
        What::Effects { run } => {
            let run = RunId::try_from(run).map_err(anyhow::Error::msg)?;
            show(format, &journal.effects(&run)?, "It changed nothing.", effects_table)?;
        }
        What::Residue => {
            // What a dead run left is still there too, until somebody cleans up.
            let mut residue = journal.residue()?;
            let known: BTreeSet<i64> = residue.iter().map(|effect| effect.id).collect();
            residue.extend(journal.to_recover()?.into_iter().filter(|effect| !known.contains(&effect.id)));
            let dead = journal.runs()?.iter().filter(|run| !run.live && run.outcome.is_none()).count();
            let none = match dead {
                0 => "No residue.".to_owned(),
                dead => format!(
                    "No residue. {dead} dead run(s) were not cleaned up, which `{}` does.",
                    of_state(["cleanup"])
                ),
            };
            show(format, &residue, &none, residue_table)?;
            if !residue.is_empty() {
                return Ok(Exit::Residue);
            }
        }
        What::Audit { run, last } => {
            let run = run.map(RunId::try_from).transpose().map_err(anyhow::Error::msg)?;
            let rows = journal.audit_rows(run.as_ref().map(RunId::as_str), last)?;
            show(format, &rows, "The audit log is empty.", |rows| {
                let mut table = table(["#", "run", "event"]);
                for row in rows {
                    table.add_row([
                        row.id.to_string(),
                        row.run.clone().unwrap_or_default(),
                        plain(&row.event.to_string()),
                    ]);
                }
                table
            })?;
        }
        What::Verify => return verify(&journal, format),
        What::Prune { older_than } => {
            let pruned = journal.prune(older_than)?;
            match format {
                Format::Json => super::print_json(&pruned)?,
                Format::Text => out!("Removed {} run(s) and {} audit row(s).", pruned.runs, pruned.audit),
            }
        }
    }
    Ok(Exit::Success)
}

fn verify(journal: &Journal, format: Format) -> anyhow::Result<Exit> {
    let chain = journal.verify_chain()?;
    let file = journal.check_file()?;
    let sound = chain.cut.is_none() && file.is_none();
    match format {
        Format::Json => super::print_json(&serde_json::json!({ "sound": sound, "chain": chain, "file": file }))?,
        Format::Text => {
            match &chain.cut {
                None => out!("The audit chain is whole: {} row(s), head {}.", chain.rows, chain.head),
                Some(cut) => {
                    out!("The audit chain is CUT: {cut}. {} row(s) before it are whole.", chain.rows)
                }
            }
            match &file {
                None => out!("The file is sound."),
                Some(what) => out!("The file is DAMAGED: {}", plain(what)),
            }
        }
    }
    Ok(if sound { Exit::Success } else { Exit::Internal })
}

fn show<T: serde::Serialize>(
    format: Format,
    rows: &[T],
    none: &str,
    as_table: impl Fn(&[T]) -> Table,
) -> anyhow::Result<()> {
    match format {
        Format::Json => super::print_json(rows)?,
        Format::Text if rows.is_empty() => out!("{none}"),
        Format::Text => out!("{}", as_table(rows)),
    }
    Ok(())
}

fn runs_table(runs: &[RunEntry]) -> Table {
    let mut table = table(["run", "started", "technique", "outcome", "effects"]);
    for run in runs {
        let outcome = match &run.outcome {
            _ if run.live => "alive",
            Some(outcome) => outcome,
            None => "dead, not cleaned up",
        };
        let mut effects = run.effects.to_string();
        if run.open > 0 && !run.live {
            effects += &format!(", {} to undo", run.open);
        }
        if run.residue > 0 {
            effects += &format!(", {} residue", run.residue);
        }
        let started = run.record.started.chars().take(19).collect::<String>().replace('T', " ");
        table.add_row([run.record.run.to_string(), started, plain(&run.record.technique), plain(outcome), effects]);
    }
    table
}

fn effects_table(effects: &[EffectEntry]) -> Table {
    let mut table = table(["#", "capability", "what", "state", "undo"]);
    for effect in effects {
        let state = match &effect.reason {
            Some(reason) => format!("{}: {reason}", effect.state.word()),
            None => effect.state.word().to_string(),
        };
        let undo = effect.undo.as_ref().map_or("cannot be read".into(), |u| u.in_words(&Machine));
        table.add_row([
            effect.id.to_string(),
            effect.capability.clone(),
            plain(&effect.what),
            plain(&state),
            plain(&undo),
        ]);
    }
    table
}

fn residue_table(effects: &[EffectEntry]) -> Table {
    let mut table = table(["run", "what", "why it is still there"]);
    for effect in effects {
        let why = match (effect.state, &effect.reason) {
            (EffectState::Residue, reason) => reason.clone().unwrap_or_default(),
            _ => format!("its run is dead and was not cleaned up: `{}` undoes it", of_state(["cleanup"])),
        };
        table.add_row([effect.run.clone(), plain(&effect.what), plain(&why)]);
    }
    table
}

/// `12h`, `30d`, `4w`.
fn age(text: &str) -> anyhow::Result<Duration> {
    let parsed = text.char_indices().last().and_then(|(at, unit)| {
        let seconds: u64 = match unit {
            'h' => 3600,
            'd' => 86_400,
            'w' => 604_800,
            _ => return None,
        };
        let count: u64 = text.get(..at)?.parse().ok()?;
        count.checked_mul(seconds).map(Duration::from_secs)
    });
    match parsed {
        Some(age) => Ok(age),
        None => bail!("`{text}` is no age: write a whole number and h, d or w, such as 30d"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        assert_eq!(age("30d").unwrap(), Duration::from_secs(30 * 86_400));
        assert_eq!(age("0h").unwrap(), Duration::ZERO);
        for bad in ["", "d", "30", "-1d", "1.5h", "30m", "99999999999999999999d", "9999999999999999999w", "3é"] {
            assert!(age(bad).is_err(), "{bad}");
        }
    }
}
