//! A plan for people: within the terminal's width, or, where there is none, a line a statement.

use super::{canaries, checks_cluster, cluster, parameters, undo};
use crate::campaign::checks::PreparedChecks;
use crate::campaign::document::{Order, StepHold};
use crate::campaign::experiment::Hold;
use crate::campaign::sequence::PreparedCampaign;
use crate::campaign::{Prepared, PreparedLink};
use crate::cli::load::Unit;
use crate::console::out;
use foil_manifest::{Capability, Manifest, Network};
use foil_record::{Outcome, RunReport};
use foil_report::wrap;
use foil_text::{Shown as _, cut};
use serde_json::Value;
use std::collections::BTreeMap;

/// Where a field's text begins.
const FIELD: usize = 13;
/// The longest statement, in bytes.
const LONGEST: usize = 64 << 10;

pub(super) fn print(units: &[Unit], refused: &[RunReport]) {
    let page = Page { width: width() };
    for (number, unit) in units.iter().enumerate() {
        if number > 0 {
            out!();
        }
        match unit {
            Unit::Experiment(prepared) => page.experiment(None, prepared),
            Unit::Checks(prepared) => page.checks(prepared),
            Unit::Campaign(campaign) => page.campaign(campaign),
        }
    }
    for (number, report) in refused.iter().enumerate() {
        if number > 0 || !units.is_empty() {
            out!();
        }
        page.text(0, "", report.about());
        page.field("cannot run", &report.reason);
    }
}

/// The terminal's columns; `None` where there is no terminal.
fn width() -> Option<usize> {
    use std::io::IsTerminal as _;
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok().filter(|_| std::io::stdout().is_terminal());
    size.map(|size| usize::from(size.ws_col)).filter(|width| *width > 0).map(|width| width.max(40))
}

struct Page {
    width: Option<usize>,
}

impl Page {
    /// Prints a text that begins behind `indent` columns, with `name` before its first line.
    fn text(&self, indent: usize, name: &str, text: &str) {
        let text = cut(text, LONGEST);
        let lines = match self.width {
            Some(width) if indent.saturating_add(text.chars().count()) > width => {
                wrap(&text, width.saturating_sub(indent))
            }
            _ => vec![text],
        };
        for (number, line) in lines.iter().enumerate() {
            out!("{:<indent$}{line}", if number == 0 { name } else { "" });
        }
    }

    fn field(&self, name: &str, text: &str) {
        self.text(FIELD, &format!("  {name}"), text);
    }

    fn campaign(&self, campaign: &PreparedCampaign) {
        let order = match campaign.order {
            Order::InOrder => "one after the other; a step that cannot do its part ends the campaign",
            Order::AtOnce => "all at once",
        };
        let hold = match campaign.hold {
            StepHold::Campaign => "what a step did stays until the campaign is over, and is undone newest first",
            StepHold::Step => "what a step did is undone as the step says",
        };
        self.text(0, "", &format!("campaign {}: {} steps", campaign.name, campaign.steps.len()));
        self.field("order", order);
        self.field("hold", hold);
        for (number, (name, prepared)) in campaign.steps.iter().enumerate() {
            let number = number.saturating_add(1);
            self.field(&format!("step {number}"), &format!("{name}: {}", prepared.technique.id()));
        }
        for (number, (name, prepared)) in campaign.steps.iter().enumerate() {
            out!();
            let place = format!("step {} of {}, {name}", number.saturating_add(1), campaign.name);
            self.experiment(Some(&place), prepared);
        }
    }

    fn checks(&self, plan: &PreparedChecks) {
        let hypothesis = &plan.checks.hypothesis;
        let colon = if hypothesis.is_empty() { "" } else { ": " };
        self.text(0, "", &format!("{}{colon}{hypothesis}", plan.checks.name));
        self.field("technique", "none: it looks, and changes nothing");
        let environment = if plan.environment.is_empty() { "no foil.yaml" } else { &plan.environment };
        self.field("target", &format!("{} ({environment})", plan.target));
        if let Some(cluster) = checks_cluster(plan) {
            self.field("cluster", &cluster);
        }
        if let Some(unmet) = &plan.unmet {
            self.field("cannot run", unmet);
        }
        plan.links.iter().for_each(|link| self.link(link));
    }

    fn experiment(&self, place: Option<&str>, plan: &Prepared) {
        let manifest = &plan.technique.manifest;
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        let hypothesis = &plan.experiment.hypothesis;
        let colon = if hypothesis.is_empty() { "" } else { ": " };
        self.text(0, "", &format!("{place}{}{colon}{hypothesis}", plan.experiment.name));
        let attack: Vec<String> = manifest.attack.iter().map(ToString::to_string).collect();
        self.field("technique", &format!("{} ({}), {}", plan.technique.id(), attack.join(", "), plan.technique.digest));
        self.with(manifest, &plan.experiment.with);
        let environment = if plan.environment.is_empty() { "no foil.yaml" } else { &plan.environment };
        self.field("target", &format!("{} ({environment}), as {}", plan.target, plan.run_as()));
        if let Some(cluster) = cluster(plan) {
            self.field("cluster", &cluster);
        }
        self.field("shield", &format!("{}, impact {}", plan.authorised.shield, manifest.impact));
        if let Some(unmet) = &plan.unmet {
            self.field("cannot run", unmet);
        }
        for capability in &plan.authorised.permission.grant {
            self.field("may", &scope(capability));
        }
        // What the technique asks for and a reviewer left out: its calls are denied.
        let granted = &plan.authorised.permission.grant;
        for asked in manifest.capabilities.iter().map(Capability::name) {
            if !granted.iter().any(|capability| capability.name() == asked) {
                self.field("may not", &format!("{asked}: not granted"));
            }
        }
        if plan.authorised.permission.guardrail.is_some() {
            self.field("within", "the environment's own list of capabilities");
        }
        undo(plan).iter().for_each(|line| self.field("undo", line));
        self.conditions(plan);
        plan.links.iter().for_each(|link| self.link(link));
        canaries(plan).iter().for_each(|line| self.field("canary", line));
        if let Some(rules) = plan.own_rules() {
            let rules: Vec<&str> = rules.syscalls.iter().chain(&rules.rules).map(String::as_str).collect();
            self.field("audit", &format!("adds rules of its own where no audit daemon runs: {}", rules.join(", ")));
        }
    }

    /// What the experiment says of how it is run, where it is not the usual.
    fn conditions(&self, plan: &Prepared) {
        let experiment = &plan.experiment;
        if experiment.attempts.0 > 1 {
            self.field("attempts", &format!("up to {} runs before a miss is believed", experiment.attempts.0));
        }
        if experiment.hold == Hold::Verdict {
            self.field("hold", "what the technique did stays until its links are settled");
        }
        match experiment.outcome {
            Outcome::Either => {}
            Outcome::Detected => self.field("outcome", "it must be detected; a control that prevents it is a failure"),
            Outcome::Prevented => self.field("outcome", "it must be prevented; that it ran is a failure"),
        }
        if let Some(control) = &experiment.control {
            let dry = if control.dry() { "all but what a sensor should notice" } else { "with other parameters" };
            self.field("control", &format!("the benign twin: {dry}; nothing behind `telemetry` may notice it"));
            for (name, value) in control.with.iter().filter(|(name, _)| *name != "dry") {
                self.field("", &format!("{name} = {value}"));
            }
        }
        for path in &experiment.rules {
            self.field("rules", &path.shown());
        }
    }

    fn link(&self, link: &PreparedLink) {
        let within = link.link.within();
        let least =
            link.link.min_severity.map(|severity| format!(", at least {}", severity.word())).unwrap_or_default();
        self.field("expects", &format!("{} by {} within {within:?}{least}", link.link.link, link.check.id()));
        self.with(&link.check.manifest, &link.link.with);
    }

    /// The parameters that a module gets.
    fn with(&self, manifest: &Manifest, with: &BTreeMap<String, Value>) {
        for (name, value) in parameters(manifest, with) {
            let default = if with.contains_key(&name) { "" } else { " (default)" };
            self.field("", &format!("{name} = {value}{default}"));
        }
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
            if !s.env.is_empty() {
                text.push_str(&format!("; sets {}", s.env.join(", ")));
            }
            if s.network == Network::Host {
                text.push_str("; the target's own network");
            }
            if s.privileges {
                text.push_str("; set-id programs work");
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
