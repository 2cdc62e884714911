//! `foil cleanup --sweep`: what runs left in a cluster, found without any journal.

use super::{open, plain};
use crate::cli::{Format, Global, discover};
use crate::console::out;
use anyhow::{Context as _, anyhow};
use foil_cluster::sweep::{Fate, Found, Runs, Survey, delete, survey};
use foil_cluster::{Cluster, Session};
use foil_record::{Exit, UndoOutcome};
use foil_text::hint::of_state;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// Reads a span such as `90m` or `2h 30m`.
pub(super) fn span(text: &str) -> Result<SignedDuration, String> {
    let span: SignedDuration = text.parse().map_err(|_| "write a span such as 90m, 1h or 2h 30m".to_owned())?;
    match span.is_negative() {
        true => Err("it is less than nothing".into()),
        false => Ok(span),
    }
}

/// What was found, by what is to become of it.
#[derive(Debug, Default)]
struct Plan {
    sweep: Vec<Found>,
    alive: Vec<Found>,
    young: Vec<Found>,
    /// Not a run's, by its name.
    strange: Vec<Found>,
    /// Changed by dead runs: nobody but their journal knows what was there before.
    patched: Vec<Found>,
    unseen: Vec<String>,
}

impl Plan {
    fn of(survey: Survey, runs: &Runs, now: Timestamp, older_than: SignedDuration) -> Self {
        let mut plan = Self { unseen: survey.unseen, ..Self::default() };
        for found in survey.made {
            match runs.fate(&found, now, older_than) {
                Fate::Sweep => plan.sweep.push(found),
                Fate::Alive => plan.alive.push(found),
                Fate::Young => plan.young.push(found),
                Fate::Stranger => plan.strange.push(found),
            }
        }
        for found in survey.patched {
            match runs.fate_of_patched(&found, now, older_than) {
                Fate::Sweep | Fate::Stranger => plan.patched.push(found),
                Fate::Alive => plan.alive.push(found),
                Fate::Young => plan.young.push(found),
            }
        }
        plan
    }
}

pub(super) fn run(older_than: SignedDuration, dry_run: bool, global: &Global) -> anyhow::Result<Exit> {
    let journal = open(global)?;
    let environment = discover::environment(global, None)?.value;
    let help = "foil.yaml names no cluster (`kubernetes:`): there is nothing to sweep";
    let cluster = environment.cluster.context(help)?;
    let cluster = Arc::new(Cluster::new(cluster, Path::new(&environment.folder)));
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().context("the runtime")?;
    runtime.block_on(async {
        cluster.verify().await.map_err(|why| anyhow!("refused: {why}"))?;
        // The known ones first: one that begins in between is alive, and unknown.
        let known = journal.runs()?.into_iter().map(|entry| entry.record.run).collect();
        let runs = Runs { known, live: journal.live()?.into_iter().collect() };
        let session = Session::of_foil(Arc::clone(&cluster));
        let found = survey(&session).await.context("the cluster's kinds of objects cannot be listed")?;
        let mut plan = Plan::of(found, &runs, Timestamp::now(), older_than);
        let doomed = std::mem::take(&mut plan.sweep);
        let swept = match dry_run {
            true => doomed.into_iter().map(|found| (found, None)).collect(),
            false => {
                delete(&session, doomed).await.into_iter().map(|(found, outcome)| (found, Some(outcome))).collect()
            }
        };
        let exit = say(&plan, swept, older_than, global.format)?;
        // What is only listed was not left by this.
        Ok(if dry_run && exit == Exit::Residue { Exit::Success } else { exit })
    })
}

fn say(
    plan: &Plan,
    swept: Vec<(Found, Option<UndoOutcome>)>,
    older_than: SignedDuration,
    format: Format,
) -> anyhow::Result<Exit> {
    let stays = |outcome: &Option<UndoOutcome>| match outcome {
        None | Some(UndoOutcome::Undone | UndoOutcome::NothingToDo) => None,
        Some(UndoOutcome::Conflict(why) | UndoOutcome::Failed(why) | UndoOutcome::Irrevocable(why)) => {
            Some(why.clone())
        }
    };
    let left = swept.iter().filter(|(_, outcome)| stays(outcome).is_some()).count();
    let residue =
        [plan.patched.len(), plan.strange.len(), plan.young.len()].into_iter().fold(left, usize::saturating_add);
    if format == Format::Json {
        let list = |list: &[Found]| list.iter().map(described).collect::<Vec<_>>();
        let swept: Vec<Value> = swept
            .iter()
            .map(|(found, outcome)| {
                let why = stays(outcome);
                let state = match (outcome, &why) {
                    (None, _) => "found",
                    (_, None) => "deleted",
                    (_, Some(_)) => "left",
                };
                let mut value = described(found);
                if let Some(value) = value.as_object_mut() {
                    value.insert("state".into(), state.into());
                    value.insert("why".into(), why.into());
                }
                value
            })
            .collect();
        let answer = json!({
            "swept": swept, "alive": list(&plan.alive), "young": list(&plan.young), "strange": list(&plan.strange),
            "patched": list(&plan.patched), "unseen": plan.unseen, "residue": residue,
        });
        crate::cli::print_json(&answer)?;
    } else {
        for (found, outcome) in &swept {
            match stays(outcome) {
                Some(why) => line("FAILED", found, &why),
                None => line(if outcome.is_none() { "would go" } else { "deleted" }, found, ""),
            }
        }
        plan.alive
            .iter()
            .for_each(|found| line("alive", found, &format!("its run goes on (`{}` stops it)", of_state(["abort"]))));
        let young = format!("its run is not known here and may go on elsewhere for {older_than:#} (`--older-than`)");
        plan.young.iter().for_each(|found| line("young", found, &young));
        let strange = "it bears the label `foil.dev/run`, but no run made it: left alone, take the label away";
        plan.strange.iter().for_each(|found| line("STRANGE", found, strange));
        let patched = "a run changed it, and only that run's journal knows what it was: `foil cleanup` where it ran, or mend it and \
                       take the label `foil.dev/patched-by` away";
        plan.patched.iter().for_each(|found| line("PATCHED", found, patched));
        plan.unseen.iter().for_each(|why| out!("unseen    {}", plain(why)));
        if swept.is_empty() && plan.unseen.is_empty() && plan.alive.is_empty() && residue == 0 {
            out!("Nothing to sweep.");
        }
        if residue > 0 {
            out!("{residue} object(s) were left, each for the reason above.");
        }
    }
    Ok(match (residue, plan.unseen.is_empty()) {
        (0, true) => Exit::Success,
        (0, false) => Exit::Inconclusive,
        _ => Exit::Residue,
    })
}

fn described(found: &Found) -> Value {
    json!({ "object": found.address.to_string(), "uid": found.uid, "run": found.run, "created": found.created })
}

fn line(state: &str, found: &Found, why: &str) {
    let why = if why.is_empty() { String::new() } else { format!(": {}", plain(why)) };
    out!("{state:<9} {} [run {}]{why}", found.address, plain(&found.run));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        assert_eq!(span("90m"), Ok(SignedDuration::from_mins(90)));
        assert_eq!(span("0s"), Ok(SignedDuration::ZERO));
        for bad in ["", "1", "-1h", "1 month", "x"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
