//! One experiment: attempts until a miss is believed, then the benign twin.

use super::experiment::{Control, Hold};
use super::prepared::{Prepared, PreparedLink};
use super::run::{Host, Live, begin};
use foil_panics::caught_in;
use foil_record::{Hop, LinkVerdict, RunReport, Verdict};
use std::sync::Arc;

// The futures of a run's parts are on the heap, each as long as it lasts: a run that waits for its links is then as small as that wait.

/// Runs an experiment to its verdict, and puts everything back.
pub async fn experiment(host: &Host, prepared: &Arc<Prepared>) -> RunReport {
    let (mut report, live) = attempt(host, prepared, false).await;
    if let Some(live) = live {
        Box::pin(live.end(&mut report)).await;
    }
    report
}

/// The same up to the last attempt's verdict. `held`: what that did stays until the caller ends it.
pub async fn attempt<'a>(host: &'a Host, prepared: &Arc<Prepared>, held: bool) -> (RunReport, Option<Live<'a>>) {
    match caught_in(whole(host, prepared, held)).await {
        Ok(settled) => settled,
        // A run's own faults are caught by the run. Of this one nothing is known, but for what the journal has.
        Err(broken) => {
            let mut report = prepared.not_run(Verdict::Error, broken.to_string());
            report.residue.push(format!(
                "`{}` puts back what the run left, if it had begun",
                foil_text::hint::of_state(["cleanup"])
            ));
            (report, None)
        }
    }
}

async fn whole<'a>(host: &'a Host, prepared: &Arc<Prepared>, held: bool) -> (RunReport, Option<Live<'a>>) {
    let attempts = prepared.experiment.attempts.0;
    let hold = if held { Hold::Verdict } else { prepared.experiment.hold };
    let mut earlier: Vec<RunReport> = Vec::new();
    let (mut report, mut live) = Box::pin(begin(host, Arc::clone(prepared), hold)).await;
    while report.verdict == Verdict::Fail && !host.cancel.is_cancelled() {
        if u32::try_from(earlier.len()).unwrap_or(u32::MAX).saturating_add(1) >= attempts {
            break;
        }
        if let Some(live) = live.take() {
            Box::pin(live.end(&mut report)).await;
        }
        earlier.push(report);
        (report, live) = Box::pin(begin(host, Arc::new(prepared.renewed()), hold)).await;
    }
    if report.verdict == Verdict::Pass
        && let Some(last) = earlier.last()
    {
        report.verdict = Verdict::Flaky;
        let attempt = earlier.len().saturating_add(1);
        report.reason = format!("it passed at attempt {attempt} of {attempts}; before that {}", last.reason);
    }
    report.earlier = earlier;
    let ran = matches!(report.verdict, Verdict::Pass | Verdict::Flaky | Verdict::Fail);
    if let Some(control) = prepared.experiment.control.as_ref().filter(|_| ran && !host.cancel.is_cancelled()) {
        let (mut twin, live) = Box::pin(begin(host, Arc::new(twin(prepared, control)), Hold::No)).await;
        if let Some(live) = live {
            Box::pin(live.end(&mut twin)).await;
        }
        quiet(&mut twin);
        blame(&mut report, &twin);
        report.control = Some(Box::new(twin));
    }
    (report, live)
}

/// The benign twin: what lies behind `telemetry` must not notice it. That a sensor records it is its work.
fn twin(prepared: &Prepared, control: &Control) -> Prepared {
    let mut twin = prepared.renewed();
    twin.dry = control.dry();
    twin.parameters.clone_from(&prepared.control_parameters);
    let loud = |link: &PreparedLink| link.link.link > Hop::Telemetry;
    twin.links.retain(loud);
    twin.experiment.control = None;
    // What earlier steps did is the attack's, not the twin's.
    twin.history = None;
    twin
}

/// What a twin's links say, read as it is meant: one that stayed quiet is as expected.
fn quiet(twin: &mut RunReport) {
    if !matches!(twin.verdict, Verdict::Pass | Verdict::Fail) {
        return;
    }
    let raised: Vec<String> =
        twin.links.iter().filter(|link| link.verdict.is_there()).map(|link| link.link.clone()).collect();
    (twin.verdict, twin.reason) = if raised.is_empty() {
        (Verdict::Pass, "the benign twin raised nothing".to_owned())
    } else {
        (Verdict::Fail, format!("the benign twin raised {}", raised.join(", ")))
    };
    for link in &mut twin.links {
        link.contradicted = false;
        if link.verdict.is_there() {
            link.verdict = LinkVerdict::Noisy;
        }
    }
}

/// What the twin means to the experiment.
fn blame(report: &mut RunReport, twin: &RunReport) {
    let noisy = |check: &str, hop: &str| {
        twin.links.iter().any(|l| l.check == check && l.link == hop && l.verdict == LinkVerdict::Noisy)
    };
    for link in report.links.iter_mut().filter(|link| link.verdict == LinkVerdict::Seen) {
        if noisy(&link.check, &link.link) {
            link.verdict = LinkVerdict::Noisy;
            link.reason = Some("the benign twin raised it too, so that it says nothing of the technique".to_owned());
        }
    }
    match (twin.verdict, report.verdict) {
        (Verdict::Fail, Verdict::Pass | Verdict::Flaky) => {
            (report.verdict, report.reason) = (Verdict::Fail, twin.reason.clone());
        }
        (Verdict::Pass, _) | (_, Verdict::Fail) => {}
        (_, _) => {
            let reason = format!("the benign twin could not be judged: {}", twin.reason);
            (report.verdict, report.reason) = (Verdict::Inconclusive, reason);
        }
    }
}
