//! `foil plan`: what an experiment would do. Touches nothing.

mod text;

use super::load::{Loader, Unit};
use super::sources::files;
use super::{Exit, Global};
use crate::campaign::checks::PreparedChecks;
use crate::campaign::sequence::PreparedCampaign;
use crate::campaign::{Prepared, PreparedLink, canary};
use anyhow::bail;
use foil_manifest::{CapabilityName, Manifest, ShieldLevel};
use foil_record::RunReport;
use foil_report as report;
use foil_text::Shown as _;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Experiment and campaign files, and folders of them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let files = files(&args.files)?;
    let mut loader = Loader::new(global);
    let units = loader.load_all(&files)?;
    show(&units, &[], global)
}

/// Prints what would happen; `refused` are reports of what may not run.
pub(super) fn show(units: &[Unit], refused: &[RunReport], global: &Global) -> anyhow::Result<Exit> {
    match global.report {
        report::Format::Json => {
            let refused = refused.iter().map(|report| {
                json!({ "experiment": report.experiment, "technique": report.technique,
                    "unmet": report.reason })
            });
            let plans: Vec<Value> = units.iter().flat_map(of_unit).chain(refused).collect();
            super::print_json(&plans)?;
        }
        report::Format::Text => text::print(units, refused),
        _ => bail!("a plan is printed as text or json only: use one of these with --dry"),
    }
    Ok(Exit::Success)
}

/// A plan an experiment, in order.
fn of_unit(unit: &Unit) -> Vec<Value> {
    match unit {
        Unit::Experiment(prepared) => vec![of_experiment(prepared)],
        Unit::Checks(prepared) => vec![of_checks(prepared)],
        Unit::Campaign(campaign) => {
            let of_step = |(number, (_, prepared)): (usize, &(String, std::sync::Arc<Prepared>))| {
                let mut plan = of_experiment(prepared);
                if let Some(plan) = plan.as_object_mut() {
                    plan.insert("campaign".to_owned(), of_campaign(campaign, number));
                }
                plan
            };
            campaign.steps.iter().enumerate().map(of_step).collect()
        }
    }
}

fn of_campaign(campaign: &PreparedCampaign, number: usize) -> Value {
    let steps: Vec<&str> = campaign.steps.iter().map(|(name, _)| name.as_str()).collect();
    json!({
        "name": campaign.name, "order": campaign.order, "hold": campaign.hold, "steps": steps,
        "step": steps.get(number), "number": number.saturating_add(1),
    })
}

fn of_link(l: &PreparedLink) -> Value {
    json!({ "link": l.link.link, "check": l.check.id(), "digest": l.check.digest,
        "parameters": parameters(&l.check.manifest, &l.link.with),
        "within-ms": l.link.within().as_millis() as u64, "collectors": l.collectors })
}

/// Without a technique nothing is done, so that there is nothing to allow and nothing to undo.
fn of_checks(plan: &PreparedChecks) -> Value {
    let links: Vec<Value> = plan.links.iter().map(of_link).collect();
    json!({
        "experiment": plan.checks.name, "target": plan.target, "cluster": checks_cluster(plan),
        "environment": plan.environment, "unmet": plan.unmet, "links": links,
    })
}

/// The cluster that checks look at.
fn checks_cluster(plan: &PreparedChecks) -> Option<String> {
    let reference = plan.cluster.as_ref()?.reference();
    Some(format!("{} ({})", reference.title(), reference.uid))
}

fn of_experiment(plan: &Prepared) -> Value {
    let links: Vec<Value> = plan.links.iter().map(of_link).collect();
    json!({
        "experiment": plan.experiment.name, "technique": plan.technique.id(), "digest": plan.technique.digest,
        "parameters": parameters(&plan.technique.manifest, &plan.experiment.with),
        "target": plan.target, "cluster": cluster(plan), "environment": plan.environment, "run-as": plan.run_as(),
        "shield": plan.authorised.shield, "impact": plan.technique.manifest.impact,
        "requests": plan.authorised.permission.request, "grant": plan.authorised.permission.grant,
        "guardrail": plan.authorised.permission.guardrail, "unmet": plan.unmet, "links": links, "undo": undo(plan),
        "canaries": canaries(plan),
    })
}

/// The parameters that a module gets: those that are given, and defaults.
fn parameters(manifest: &Manifest, with: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let value = |(name, declared): (&String, &foil_manifest::Parameter)| {
        let value = with.get(name).or(declared.default.as_ref())?;
        Some((name.clone(), value.clone()))
    };
    manifest.parameters.iter().filter_map(value).collect()
}

/// What is made to show that the sensors of its links are alive.
fn canaries(plan: &Prepared) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for link in &plan.links {
        let plans = canary::plans(plan, link, &link.collectors);
        all.extend(plans.iter().filter_map(canary::Plan::describe));
    }
    all.sort();
    all.dedup();
    all
}

/// The cluster, where the run reaches one.
fn cluster(plan: &Prepared) -> Option<String> {
    let cluster = plan.cluster.as_ref()?;
    let reference = cluster.reference();
    let own = if cluster.rule.namespace.is_none() { ", made for the run" } else { "" };
    let who = cluster.rule.impersonate.as_ref().map(|who| format!(", acting as {}", who.user)).unwrap_or_default();
    let namespace = cluster.rule.namespace_of(plan.run.as_str());
    Some(format!("{} ({}), namespace {namespace}{own}{who}", reference.title(), reference.uid))
}

/// How each kind of effect is undone.
fn undo(plan: &Prepared) -> Vec<String> {
    let overlay = plan.authorised.shield == ShieldLevel::Overlay;
    let linked = plan.authorised.permission.linked();
    let mut lines = Vec::new();
    if plan.acts() {
        lines.push(format!("the scratch folder {} is removed with all in it", plan.scratch.shown()));
        lines.push("every process that it started is killed when its phase ends".into());
    }
    if linked.contains(&CapabilityName::KubeWrite) {
        lines.push("an object that it creates is deleted by its UID, one that it changes gets its content back".into());
        lines.push("a certificate or token that it asks for cannot be recalled: its end is reported".into());
    }
    if overlay {
        lines.push("everything written or deleted vanishes with the overlay".into());
    } else {
        let children = &plan.authorised.children;
        for path in &children.writes {
            lines.push(format!("{path} gets its pre-image back after programs that may change it"));
        }
        if linked.contains(&CapabilityName::FilesWrite) {
            lines.push("a file that it writes or removes gets its pre-image back; one that it makes is removed".into());
        }
    }
    if plan.own_rules().is_some() {
        lines.push("audit rules that Foil adds are taken away, and auditing is switched off where it was off".into());
    }
    lines
}
