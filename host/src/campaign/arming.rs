//! The collectors of one run: armed before anything happens, asked at the end whether they missed anything.

use super::prepared::Prepared;
use crate::collector::audit::{self, OwnRules, RuleError, plan_own_rules};
use crate::collector::{ArmOptions, Armed, Blindness, EventLog, Observed, ProcessTree, arm, observed};
use crate::collector::{file, rules};
use crate::journal::{Effect, RunJournal, Undo};
use foil_manifest::ShieldLevel;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The collectors of a run.
pub(super) struct Arming {
    /// The run's processes, to which events are tied.
    pub(super) tree: Arc<ProcessTree>,
    armed: BTreeMap<String, Result<Armed, Blindness>>,
    rules_installed: bool,
    overlay: bool,
}

impl Arming {
    /// Arms every collector that a link reads, and `foil.observed` always. A collector that cannot be armed makes its links
    /// `unknown`; the technique runs all the same.
    pub(super) fn arm(prepared: &Prepared, journal: &RunJournal) -> Self {
        // Listening to every fork of the machine takes a socket and a thread; a technique without processes has no use for them.
        let tree = if prepared.acts() { ProcessTree::new() } else { ProcessTree::of_nobody() };
        let overlay = prepared.authorised.shield == ShieldLevel::Overlay;
        let mut arming = Self { tree, armed: BTreeMap::new(), rules_installed: false, overlay };
        let mut names = prepared.collectors();
        names.insert(observed::NAME.to_owned());
        if names.remove(rules::NAME) {
            // What rules are evaluated over is armed with them, and before them.
            names.insert(audit::NAME.to_owned());
            names.extend(prepared.sensors.files.keys().map(|name| format!("{}{name}", file::PREFIX)));
        }
        let after = prepared.collectors().contains(rules::NAME).then(|| rules::NAME.to_owned());
        for name in names.into_iter().chain(after) {
            let mut options = ArmOptions::new(prepared.run.clone(), Arc::clone(&arming.tree));
            options.sensors = Arc::clone(&prepared.sensors);
            options.cluster.clone_from(&prepared.cluster);
            options.rules.clone_from(&prepared.rules);
            options.feeds = arming.sources().into_iter().filter(|(name, _)| name != observed::NAME).collect();
            let armed = match own_rules(&name, prepared, journal) {
                Err(why) => Err(Blindness::Dead(why)),
                Ok(rules) => {
                    arming.rules_installed |= rules.is_some();
                    options.own_rules = rules;
                    arm(&name, &options)
                }
            };
            arming.armed.insert(name, armed);
        }
        arming
    }

    /// The logs that checks may read.
    pub(super) fn sources(&self) -> BTreeMap<String, Arc<EventLog>> {
        let log = |(name, armed): (&String, &Result<Armed, Blindness>)| {
            armed.as_ref().ok().map(|armed| (name.clone(), Arc::clone(&armed.log)))
        };
        self.armed.iter().filter_map(log).collect()
    }

    pub(super) fn log(&self, name: &str) -> Option<&Arc<EventLog>> {
        self.armed.get(name).and_then(|armed| armed.as_ref().ok()).map(|armed| &armed.log)
    }

    /// Where the host notes what it starts.
    pub(super) fn observer(&self) -> Option<Arc<Observed>> {
        self.armed.get(observed::NAME).and_then(|armed| armed.as_ref().ok()).and_then(Armed::observed)
    }

    /// What Foil itself saw, a line a program.
    pub(super) fn observed(&self) -> Vec<String> {
        let Some(log) = self.log(observed::NAME) else { return Vec::new() };
        let line = |fields: &BTreeMap<String, String>| {
            let of = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
            (of("seen-by") == "launcher").then(|| format!("{} ({})", of("argv"), of("ending")))
        };
        log.read(0, 100).events.iter().filter_map(|event| line(&event.fields)).collect()
    }

    /// Why absence would prove nothing in any of these collectors.
    pub(super) fn blind(&self, names: &BTreeSet<String>) -> Option<Blindness> {
        let by_rules = names.contains(rules::NAME);
        if by_rules {
            // Only a collector itself can tell what its source lost; the rules then see it in its log.
            for armed in self.armed.values().flatten().filter(|armed| armed.name != rules::NAME) {
                armed.verify();
            }
        }
        let blind = names.iter().find_map(|name| match self.armed.get(name) {
            Some(Ok(armed)) => armed.verify(),
            Some(Err(blind)) => Some(blind.clone()),
            None => Some(Blindness::Dead(format!("`{name}` was not armed"))),
        });
        // What rules are evaluated over may be blinded as well.
        let read = |armed: &&Armed| by_rules || names.contains(&armed.name);
        blind.or_else(|| {
            let armed = self.armed.values().flatten().filter(read);
            armed.filter(|_| self.overlay).find_map(Armed::blinded_by_overlay)
        })
    }

    /// Whether links that read these collectors are fed by rules of Foil's own.
    pub(super) fn own_rules(&self, names: &BTreeSet<String>) -> bool {
        self.rules_installed && names.contains(audit::NAME)
    }

    /// Stops listening. The rules go with the journal's undo.
    pub(super) fn finish(self) {
        for armed in self.armed.into_values().flatten() {
            armed.finish();
        }
    }
}

/// The rules that the experiment asks for, written down before they are installed. Beside an audit daemon there are none:
/// its rules are what is being tested.
fn own_rules(name: &str, prepared: &Prepared, journal: &RunJournal) -> Result<Option<OwnRules>, String> {
    let Some(request) = prepared.experiment.audit.own_rules.as_ref().filter(|_| name == audit::NAME) else {
        return Ok(None);
    };
    let own = match plan_own_rules(request, &prepared.run) {
        Err(RuleError::Daemon(_)) => return Ok(None),
        other => other.map_err(|e| e.to_string())?,
    };
    let (rules, disable) = own.undo();
    let effect = Effect {
        capability: "host".into(),
        what: format!("install {} audit rule(s)", rules.len()),
        undo: Undo::AuditRules { rules, disable },
    };
    let id = journal.intend(&effect).map_err(|e| e.to_string())?;
    journal.applied_soon(id).map_err(|e| e.to_string())?;
    Ok(Some(own))
}
