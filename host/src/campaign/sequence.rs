//! A campaign: its steps in order, or at once.

use super::attempts;
use super::document::{Order, StepHold};
use super::outputs::{self, Facts};
use super::prepared::Prepared;
use super::run::Host;
use foil_collector::rules::History;
use foil_record::{RunReport, StepOf, Verdict};
use futures_util::StreamExt as _;
use std::sync::Arc;

/// A campaign, ready to run.
#[derive(Debug, Clone)]
pub struct PreparedCampaign {
    /// Its name.
    pub name: String,
    /// One after the other, or all at once.
    pub order: Order,
    /// How long what a step did stays.
    pub hold: StepHold,
    /// The steps, in the file's order: each one's name, and its experiment.
    pub steps: Vec<(String, Arc<Prepared>)>,
}

/// Runs a campaign. A report for each step, in their order.
pub async fn campaign(host: &Host, prepared: &PreparedCampaign) -> Vec<RunReport> {
    let mut reports = match prepared.order {
        Order::AtOnce => {
            let all: Vec<_> =
                prepared.steps.iter().map(|(_, step)| Box::pin(attempts::experiment(host, step))).collect();
            futures_util::stream::iter(all).buffered(host.parallel).collect().await
        }
        Order::InOrder => in_order(host, prepared).await,
    };
    of_campaign(prepared, &mut reports);
    reports
}

/// The reports of a campaign that is not begun, since an earlier run did not pass.
pub fn skipped(prepared: &PreparedCampaign) -> Vec<RunReport> {
    let mut reports: Vec<_> = prepared.steps.iter().map(|(_, step)| step.skipped()).collect();
    of_campaign(prepared, &mut reports);
    reports
}

fn of_campaign(prepared: &PreparedCampaign, reports: &mut [RunReport]) {
    for (report, (step, _)) in reports.iter_mut().zip(&prepared.steps) {
        report.campaign = Some(StepOf { campaign: prepared.name.clone(), step: step.clone() });
    }
}

/// Whether a step's technique did what later steps build on, whatever noticed it: that nobody could look is no reason to end.
fn did_its_part(report: &RunReport) -> bool {
    match report.verdict {
        Verdict::Pass | Verdict::Flaky | Verdict::Fail => true,
        // What it said is there where it went to its end.
        Verdict::Inconclusive => report.summary.is_some(),
        Verdict::Blocked | Verdict::Error => false,
    }
}

async fn in_order(host: &Host, prepared: &PreparedCampaign) -> Vec<RunReport> {
    let mut facts = Facts::new();
    let mut reports: Vec<RunReport> = Vec::new();
    let mut held = Vec::new();
    // Why the attack ended, once a step did not do what later ones build on. A detection that is missed ends nothing.
    let mut ended: Option<String> = None;
    let mut failed = false;
    // Correlations count over the steps.
    let history = History::default();
    for (name, step) in &prepared.steps {
        let settled = match &ended {
            Some(why) => Err(why.clone()),
            None => outputs::fill_experiment(&step.experiment, &facts)
                .and_then(|filled| step.filled(filled).map_err(|error| error.to_string())),
        };
        let (report, live) = match settled {
            _ if failed && host.fail_fast => (step.skipped(), None),
            Err(why) => (step.not_run(Verdict::Inconclusive, why), None),
            Ok(mut step) => {
                step.history = Some(history.clone());
                attempts::attempt(host, &Arc::new(step), prepared.hold == StepHold::Campaign).await
            }
        };
        if ended.is_none() && !did_its_part(&report) {
            ended = Some(format!(
                "the step `{name}` did not do its part ({}), so the campaign ended there",
                report.verdict
            ));
        }
        failed |= !report.passed();
        history.accept(&report.run, name);
        facts.insert(name.clone(), report.facts.clone());
        reports.push(report);
        held.push(live);
    }
    // Newest first: what a later step did may lie upon what an earlier one did.
    for (report, live) in reports.iter_mut().zip(held).rev() {
        if let Some(live) = live {
            live.end(report).await;
        }
    }
    reports
}
