//! The collectors of one run: armed before anything happens, asked at the end whether they missed anything.

use super::checks::PreparedChecks;
use super::prepared::Prepared;
use foil_cluster::Cluster;
use foil_collector::audit::{self, OwnRules, RuleError, RuleRequest, plan_own_rules};
use foil_collector::rules::{Correlating, History, Lacking, RuleSet};
use foil_collector::{
    ArmOptions, Armed, Blindness, EventLog, Interest, Judged, Observed, ProcessTree, Recorded, Sensors, arm, observed,
    rules,
};
use foil_journal::{Effect, Learned, RunJournal, Undo};
use foil_manifest::ShieldLevel;
use foil_record::Evidence;
use foil_text::RunId;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The collectors of a run.
pub(super) struct Arming {
    /// The run's processes, to which events are tied.
    pub(super) tree: Arc<ProcessTree>,
    armed: BTreeMap<String, Result<Armed, Blindness>>,
    rules_installed: bool,
    overlay: bool,
    /// The moment of detonation for correlations, nanoseconds since 1970; [`u64::MAX`] before it.
    detonated: Arc<AtomicU64>,
}

/// What a run wants to listen to, and for whom.
pub(super) struct Wanted<'a> {
    run: &'a RunId,
    /// Something is started or changed, so that somebody must know its processes.
    acts: bool,
    overlay: bool,
    collectors: BTreeSet<String>,
    sensors: &'a Arc<Sensors>,
    cluster: &'a Option<Arc<Cluster>>,
    rules: &'a Option<Arc<RuleSet>>,
    history: Option<&'a History>,
    own_rules: Option<&'a RuleRequest>,
}

impl<'a> Wanted<'a> {
    fn of(prepared: &'a Prepared) -> Self {
        Self {
            run: &prepared.run,
            acts: prepared.acts(),
            overlay: prepared.authorised.shield == ShieldLevel::Overlay,
            collectors: prepared.collectors(),
            sensors: &prepared.sensors,
            cluster: &prepared.cluster,
            rules: &prepared.rules,
            history: prepared.history.as_ref(),
            own_rules: prepared.own_rules(),
        }
    }

    /// Of an experiment of checks only, which starts and changes nothing.
    pub(super) fn of_checks(prepared: &'a PreparedChecks) -> Self {
        Self {
            run: &prepared.run,
            acts: false,
            overlay: false,
            collectors: prepared.collectors(),
            sensors: &prepared.sensors,
            cluster: &prepared.cluster,
            rules: &prepared.rules,
            history: None,
            own_rules: None,
        }
    }
}

impl Arming {
    /// Arms every collector that a link reads, and `foil.observed` always. A collector that cannot be armed makes its links
    /// `unknown`; the technique runs all the same.
    pub(super) fn arm(prepared: &Prepared, journal: &RunJournal) -> Self {
        Self::of(&Wanted::of(prepared), journal)
    }

    /// Arms what is wanted.
    pub(super) fn of(wanted: &Wanted<'_>, journal: &RunJournal) -> Self {
        // Listening to every fork of the machine takes a socket and a thread; a technique without processes has no use for them.
        let tree = if wanted.acts { ProcessTree::new() } else { ProcessTree::of_nobody() };
        let (armed, detonated) = (BTreeMap::new(), Arc::new(AtomicU64::new(u64::MAX)));
        let mut arming = Self { tree, armed, rules_installed: false, overlay: wanted.overlay, detonated };
        let mut names = wanted.collectors.clone();
        names.insert(observed::NAME.to_owned());
        if names.remove(rules::NAME) {
            // What rules are evaluated over is armed with them, and before them.
            names.extend(rules::feeds(wanted.sensors.files.keys()));
        }
        let after = wanted.collectors.contains(rules::NAME).then(|| rules::NAME.to_owned());
        for name in names.into_iter().chain(after) {
            let mut options = ArmOptions::new(wanted.run.clone(), Arc::clone(&arming.tree));
            options.sensors = Arc::clone(wanted.sensors);
            options.cluster.clone_from(wanted.cluster);
            options.rules.clone_from(wanted.rules);
            options.feeds = arming.sources().into_iter().filter(|(name, _)| name != observed::NAME).collect();
            let detonated = Arc::clone(&arming.detonated);
            options.correlating = Correlating { detonated, history: wanted.history.cloned() };
            let armed = match own_rules(&name, wanted, journal) {
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

    /// Says that the technique is detonated now, nanoseconds since 1970: correlations count from here on.
    pub(super) fn detonate(&self, at: u64) {
        self.detonated.store(at, Ordering::Release);
    }

    /// Returns what was lacking to what a link names of the Sigma rules, of the events that `counts` takes. Blocks for up to some
    /// tenths of a second.
    pub(super) fn lacking(&self, wanted: &str, counts: &dyn Fn(&Judged) -> bool) -> Lacking {
        let armed = self.armed.get(rules::NAME).and_then(|armed| armed.as_ref().ok());
        armed.map(|armed| armed.lacking(wanted, counts)).unwrap_or_default()
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

    /// Why absence would prove nothing in any of these collectors to a link that looks for this.
    pub(super) fn blind(&self, names: &BTreeSet<String>, interest: &Interest) -> Option<Blindness> {
        let by_rules = names.contains(rules::NAME);
        let mut of_feeds = None;
        if by_rules {
            // Only a collector itself can tell what its source lost, for good, which the rules then see in its log, or for the moment.
            for armed in self.armed.values().flatten().filter(|armed| armed.name != rules::NAME) {
                let blind = armed.verify_about(interest).filter(|_| interest.is_fed_by(&armed.name));
                of_feeds = of_feeds.or(blind);
            }
        }
        let blind = names.iter().find_map(|name| match self.armed.get(name) {
            Some(Ok(armed)) => armed.verify_about(interest),
            Some(Err(blind)) => Some(blind.clone()),
            None => Some(Blindness::Dead(format!("`{name}` was not armed"))),
        });
        // What rules are evaluated over may be blinded as well.
        let read = |armed: &&Armed| (by_rules && interest.is_fed_by(&armed.name)) || names.contains(&armed.name);
        blind.or(of_feeds).or_else(|| {
            let armed = self.armed.values().flatten().filter(read);
            armed.filter(|_| self.overlay).find_map(Armed::blinded_by_overlay)
        })
    }

    /// Whether a link that reads these collectors, and has this evidence, is fed by audit rules of Foil's own: straight, or through
    /// the Sigma rules that were evaluated over what those recorded.
    pub(super) fn own_rules(&self, names: &BTreeSet<String>, evidence: &[Evidence]) -> bool {
        let through_sigma = || fed_by_own(evidence, |sequence| self.log(rules::NAME)?.recorded(sequence));
        self.rules_installed && (names.contains(audit::NAME) || (names.contains(rules::NAME) && through_sigma()))
    }

    /// Stops listening. The rules go with the journal's undo. False: a collector broke off meanwhile.
    pub(super) async fn finish(self) -> bool {
        let armed: Vec<_> = self.armed.into_values().flatten().collect();
        if !armed.iter().any(Armed::waits) {
            return true;
        }
        let finish = move || armed.into_iter().for_each(|armed| drop(armed.finish()));
        tokio::task::spawn_blocking(finish).await.is_ok()
    }
}

/// Whether none of the matches of Sigma rules that a link's evidence rests on is of something that was recorded without rules of
/// Foil's own. `matched`: the match with that number, which has the fields of its event; of those that Foil's rules recorded,
/// `rules=own` is one.
fn fed_by_own(evidence: &[Evidence], matched: impl Fn(u64) -> Option<Arc<Recorded>>) -> bool {
    let events = evidence.iter().flat_map(|evidence| &evidence.events).filter(|event| event.collector == rules::NAME);
    let of_others = |event: Arc<Recorded>| event.fields.get("rules").is_none_or(|rules| rules != "own");
    // One that was pushed out of the log proves nothing.
    !events.filter_map(|event| matched(event.sequence)).any(of_others)
}

/// The rules that the experiment asks for, written down before they are installed. Beside an audit daemon there are none:
/// its rules are what is being tested.
fn own_rules(name: &str, wanted: &Wanted<'_>, journal: &RunJournal) -> Result<Option<OwnRules>, String> {
    let Some(request) = wanted.own_rules.filter(|_| name == audit::NAME) else {
        return Ok(None);
    };
    let own = match plan_own_rules(request, wanted.run) {
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
    journal.applied(id, Learned::Nothing).map_err(|e| e.to_string())?;
    Ok(Some(own))
}

#[cfg(test)]
mod tests {
    use super::*;
    use foil_record::{Attribution, EvidenceEvent};

    #[test]
    fn a_match_of_what_foils_own_rules_recorded_proves_nothing_of_the_operators() {
        let own = |value: Option<&str>| {
            let fields = value.map(|value| ("rules".to_owned(), value.to_owned())).into_iter().collect();
            let kind = "sigma".to_owned();
            Arc::new(Recorded { at: 1, kind, own_observation: false, process: None, likeness: None, fields })
        };
        let matched = |sequence| match sequence {
            1 => Some(own(Some("own"))),
            2 => Some(own(None)),
            _ => None,
        };
        let evidence = |collector: &str, sequence| {
            let mut evidence = Evidence {
                summary: "seen".to_owned(),
                attribution: Attribution::Tree,
                own_observation: false,
                events: Vec::new(),
                facts: BTreeMap::new(),
            };
            evidence.events = vec![EvidenceEvent {
                collector: collector.to_owned(),
                sequence,
                kind: "sigma".to_owned(),
                at: 1,
                attribution: Attribution::Tree,
                fields: BTreeMap::new(),
            }];
            evidence
        };
        assert!(fed_by_own(&[evidence("rules", 1)], matched) && fed_by_own(&[], matched));
        assert!(
            !fed_by_own(&[evidence("rules", 1), evidence("rules", 2)], matched),
            "one that the operator's rules recorded"
        );
        assert!(fed_by_own(&[evidence("rules", 3)], matched), "nobody can tell");
        assert!(fed_by_own(&[evidence("inbox", 2)], matched));
    }
}
