//! `foil plan`: what an experiment would do. Touches nothing.

use super::load::{Loader, Unit, files};
use super::{Exit, Format, Global};
use crate::campaign::Prepared;
use foil_manifest::{Capability, CapabilityName, Network, ShieldLevel};
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
    let plans: Vec<_> = units.iter().flat_map(Unit::experiments).cloned().collect();
    if global.format == Format::Json {
        let plans: Vec<_> = plans.iter().map(|plan| json(plan)).collect();
        anstream::println!("{}", serde_json::to_string_pretty(&plans)?);
    } else {
        plans.iter().for_each(|plan| text(plan));
    }
    Ok(Exit::Success)
}

fn json(plan: &Prepared) -> serde_json::Value {
    let links: Vec<_> = plan
        .links
        .iter()
        .map(|l| {
            serde_json::json!({ "link": l.link.link, "check": l.check.id(), "digest": l.check.digest,
                "within-ms": l.link.within().as_millis() as u64, "collectors": l.collectors })
        })
        .collect();
    serde_json::json!({
        "experiment": plan.experiment.name, "technique": plan.technique.id(), "digest": plan.technique.digest,
        "target": plan.target, "cluster": cluster(plan), "environment": plan.environment, "run-as": plan.run_as(),
        "shield": plan.authorised.shield, "impact": plan.technique.manifest.impact,
        "requests": plan.authorised.permission.request, "grant": plan.authorised.permission.grant,
        "guardrail": plan.authorised.permission.guardrail, "unmet": plan.unmet, "links": links, "undo": undo(plan),
    })
}

fn text(plan: &Prepared) {
    let manifest = &plan.technique.manifest;
    anstream::println!("{}: {}", plan.experiment.name, plan.experiment.hypothesis);
    let attack: Vec<String> = manifest.attack.iter().map(ToString::to_string).collect();
    anstream::println!("  technique  {} ({}), {}", plan.technique.id(), attack.join(", "), plan.technique.digest);
    let environment = if plan.environment.is_empty() { "no foil.yaml" } else { &plan.environment };
    anstream::println!("  target     {} ({environment}), as {}", plan.target, plan.run_as());
    if let Some(cluster) = cluster(plan) {
        anstream::println!("  cluster    {cluster}");
    }
    anstream::println!("  shield     {}, impact {}", plan.authorised.shield, manifest.impact);
    if let Some(unmet) = &plan.unmet {
        anstream::println!("  cannot run {unmet}");
    }
    for capability in &plan.authorised.permission.grant {
        anstream::println!("  may        {}", scope(capability));
    }
    if plan.authorised.permission.guardrail.is_some() {
        anstream::println!("  within     the environment's own list of capabilities");
    }
    for line in undo(plan) {
        anstream::println!("  undo       {line}");
    }
    for link in &plan.links {
        let within = link.link.within();
        anstream::println!("  expects    {} by {} within {within:?}", link.link.link, link.check.id());
    }
    if let Some(rules) = &plan.experiment.audit.own_rules {
        anstream::println!(
            "  audit      adds rules of its own where no audit daemon runs: {}",
            rules.syscalls.join(", ")
        );
    }
}

fn scope(capability: &Capability) -> String {
    let list = |items: Vec<String>| items.join("; ");
    match capability {
        Capability::Exec(s) => {
            let mut text = format!("exec: {}", list(s.allow.iter().map(ToString::to_string).collect()));
            for (name, paths) in [("reads", &s.reads), ("writes", &s.writes)] {
                if !paths.is_empty() {
                    text.push_str(&format!("; {name} {}", paths.join(", ")));
                }
            }
            if s.network == Network::Host {
                text.push_str("; the target's own network");
            }
            text
        }
        Capability::FilesRead(s) | Capability::FilesWrite(s) => {
            format!("{}: {}", capability.name(), list(s.allow.iter().map(ToString::to_string).collect()))
        }
        Capability::EventsRead(s) => format!("events-read: {}", s.allow.join(", ")),
        other => {
            let rules: Vec<String> = other.kube_rules().iter().map(ToString::to_string).collect();
            if rules.is_empty() { other.name().to_string() } else { format!("{}: {}", other.name(), list(rules)) }
        }
    }
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
        lines.push(format!("the scratch folder {} is removed with all in it", plan.scratch.display()));
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
    if plan.experiment.audit.own_rules.is_some() {
        lines.push("audit rules that Foil adds are taken away, and auditing is switched off where it was off".into());
    }
    lines
}
