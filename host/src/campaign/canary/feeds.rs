//! Which feeds a link reads, and what their canaries are.

use super::super::interest;
use super::super::prepared::{Prepared, PreparedLink};
use foil_collector::{audit, file, inbox, kubernetes, observed, rules};
use foil_policy::sources::{CanaryMaker, CanarySource, SensorSource};
use foil_record::Unproved;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How long a feed may take to have a canary, where `foil.yaml` says nothing.
const WITHIN: Duration = Duration::from_secs(3);

/// The kind of Falco's alerts in the inbox.
const FALCO: &str = "falco";

/// How a canary is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maker {
    /// A program that a stock rule of Falco's notices.
    Falco,
    /// A message to the kernel's audit system.
    Audit,
    /// A program of the operator's choice.
    Command {
        /// The program and its arguments; `{run}` stands for the canary's run id.
        command: Vec<String>,
        /// What fields of its event must be, as patterns.
        fields: BTreeMap<String, String>,
    },
}

/// How a feed's sensor is shown to be alive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The collector.
    pub feed: String,
    /// The kind of events, of the inbox.
    pub kind: Option<String>,
    /// What makes a canary.
    pub maker: Result<Maker, Unproved>,
    /// How long the feed may take to have it.
    pub within: Duration,
    /// Where the sensor says whether it is well.
    pub healthz: Option<String>,
}

impl Plan {
    /// The plan in words, for a `foil plan`; `None`: nothing is made.
    pub fn describe(&self) -> Option<String> {
        let how = match self.maker.as_ref().ok()? {
            Maker::Falco => {
                "a program reads a file that Falco's rule `Read sensitive file untrusted` watches".to_owned()
            }
            Maker::Audit => "a message to the kernel's audit system".to_owned(),
            Maker::Command { command, .. } => format!("`{}`", shell_words::join(command)),
        };
        Some(format!("{}: {how}, at the beginning and before a miss is believed", self.feed))
    }
}

/// The plans for the feeds of a link that reads these collectors.
pub fn plans(prepared: &Prepared, link: &PreparedLink, collectors: &BTreeSet<String>) -> Vec<Plan> {
    let kinds = interest::kinds(link);
    let mut plans = Vec::new();
    for name in collectors {
        match name.as_str() {
            observed::NAME => {}
            audit::NAME => plans.push(audit_plan()),
            kubernetes::NAME => plans.push(of(name, None, Err(Unproved::Cluster), None)),
            inbox::NAME => plans.extend(inbox_plans(prepared, kinds.as_ref())),
            rules::NAME => plans.extend(rule_plans(prepared, link)),
            _ => plans.extend(file_plan(prepared, name, kinds.as_ref())),
        }
    }
    plans
}

fn of(feed: &str, kind: Option<&str>, maker: Result<Maker, Unproved>, sensor: Option<&SensorSource>) -> Plan {
    let within = sensor.and_then(|sensor| sensor.canary.as_ref()?.within).map_or(WITHIN, |within| within.duration());
    let healthz = sensor.and_then(|sensor| sensor.healthz.clone());
    Plan { feed: feed.to_owned(), kind: kind.map(ToOwned::to_owned), maker, within, healthz }
}

fn audit_plan() -> Plan {
    of(audit::NAME, None, Ok(Maker::Audit), None)
}

fn file_plan(prepared: &Prepared, name: &str, kinds: Option<&BTreeSet<String>>) -> Option<Plan> {
    let source = prepared.sources.0.files.get(name.strip_prefix(file::PREFIX)?)?;
    let sensor = source.sensor();
    Some(of(name, None, maker(prepared, &sensor, kinds), Some(&sensor)))
}

fn inbox_plans(prepared: &Prepared, kinds: Option<&BTreeSet<String>>) -> Vec<Plan> {
    let Some(source) = &prepared.sources.0.inbox else { return Vec::new() };
    let nothing = SensorSource::default();
    // A link that says no kind may look for any: only what the operator names is known to come.
    let all: Vec<&str> = match kinds {
        Some(kinds) => kinds.iter().map(String::as_str).collect(),
        None => source.senders.keys().map(String::as_str).collect(),
    };
    if all.is_empty() {
        return vec![of(inbox::NAME, None, Err(Unproved::NotConfigured), None)];
    }
    let plan = |kind: &str| {
        let sensor = source.senders.get(kind).unwrap_or(&nothing);
        let own = BTreeSet::from([kind.to_owned()]);
        of(inbox::NAME, Some(kind), maker(prepared, sensor, Some(&own)), Some(sensor))
    };
    all.into_iter().map(plan).collect()
}

/// Rules are evaluated over what other collectors record.
fn rule_plans(prepared: &Prepared, link: &PreparedLink) -> Vec<Plan> {
    let Some(rules) = &prepared.rules else { return Vec::new() };
    let is_read = |feed: &String| match &link.rule_feeds {
        Some(feeds) => feeds.contains(feed),
        None => rules.about(feed) > 0,
    };
    let plan = |feed: String| match feed == audit::NAME {
        true => Some(audit_plan()),
        false => file_plan(prepared, &feed, None),
    };
    rules::feeds(prepared.sources.0.files.keys()).into_iter().filter(is_read).filter_map(plan).collect()
}

/// What makes a feed's canary: what foil.yaml says; else Falco's, where its alerts are looked for and the technique acts on this machine.
fn maker(prepared: &Prepared, sensor: &SensorSource, kinds: Option<&BTreeSet<String>>) -> Result<Maker, Unproved> {
    match &sensor.canary {
        Some(CanarySource { make: Some(CanaryMaker::None), .. }) => Err(Unproved::Declined),
        Some(CanarySource { make: Some(CanaryMaker::Falco), .. }) => Ok(Maker::Falco),
        Some(CanarySource { make: Some(CanaryMaker::Audit), .. }) => Ok(Maker::Audit),
        Some(CanarySource { make: None, command, fields, .. }) => {
            Ok(Maker::Command { command: command.clone(), fields: fields.clone() })
        }
        None if !kinds.is_some_and(|kinds| kinds.contains(FALCO)) => Err(Unproved::NotConfigured),
        None if prepared.acts() => Ok(Maker::Falco),
        // The Falco that is meant watches other machines than this one.
        None => Err(Unproved::Cluster),
    }
}
