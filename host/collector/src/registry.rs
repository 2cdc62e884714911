//! Collectors by name.

use super::audit::{self, AuditCollector, OwnRules};
use super::file::{self, Follower};
use super::inbox::{self, Subscription};
use super::kubernetes::{self, FalcoLogs};
use super::observed::{self, Observed};
use super::rules::{self, Correlating, Evaluation, Lacking, RuleSet};
use super::{Blindness, EventLog, Interest, Judged, LogLimits, ProcessTree, Sensors};
use foil_cluster::Cluster;
use foil_text::RunId;
use std::sync::Arc;

/// What a collector is armed with.
#[derive(Debug, Clone)]
pub struct ArmOptions {
    /// The run.
    pub run: RunId,
    /// Its processes.
    pub tree: Arc<ProcessTree>,
    /// The operator's sensors.
    pub sensors: Arc<Sensors>,
    /// The environment's cluster. Only `kubernetes.falco` looks at it.
    pub cluster: Option<Arc<Cluster>>,
    /// The Sigma rules. Only `rules` looks at it.
    pub rules: Option<Arc<RuleSet>>,
    /// The logs that `rules` evaluates: those of the run's other collectors, armed before. Only `rules` looks at it.
    pub feeds: Vec<(String, Arc<EventLog>)>,
    /// What correlations count. Only `rules` looks at it.
    pub correlating: Correlating,
    /// Audit rules to install, planned and journaled. Only `linux.audit` looks at it.
    pub own_rules: Option<OwnRules>,
    /// How much the log holds.
    pub limits: LogLimits,
    /// Bytes that the kernel may hold back for a listener.
    pub receive_buffer: usize,
}

impl ArmOptions {
    /// Listens only, without sensors of the operator's, with the default limits and a buffer of 32 MiB.
    pub fn new(run: RunId, tree: Arc<ProcessTree>) -> Self {
        Self {
            run,
            tree,
            sensors: Arc::default(),
            cluster: None,
            rules: None,
            feeds: Vec::new(),
            correlating: Correlating::default(),
            own_rules: None,
            limits: LogLimits::default(),
            receive_buffer: 32 << 20,
        }
    }
}

#[derive(Debug)]
enum Source {
    Audit(Box<AuditCollector>),
    Observed(Arc<Observed>),
    File(Follower),
    Inbox(Subscription),
    Falco(FalcoLogs),
    Rules(Evaluation),
}

/// An armed collector. Dropping it stops it.
#[derive(Debug)]
pub struct Armed {
    /// Its full name.
    pub name: String,
    /// What it recorded. Outlives it.
    pub log: Arc<EventLog>,
    source: Source,
}

/// Arms a collector. When it returns, the collector listens: detonate after that. Blocks for some milliseconds.
pub fn arm(name: &str, options: &ArmOptions) -> Result<Armed, Blindness> {
    let tree = Some(Arc::clone(&options.tree));
    let log = Arc::new(EventLog::new(options.run.clone(), tree, options.limits));
    let sensors = &options.sensors;
    let missing = || {
        let there = sensors.names().join(", ");
        Blindness::Dead(format!("there is no collector `{name}`: there are {there}; more are named in foil.yaml"))
    };
    let own = || Arc::clone(&log);
    let source = match name {
        audit::NAME => Source::Audit(Box::new(AuditCollector::arm(own(), options)?)),
        observed::NAME => {
            let observed = Arc::new(Observed::new(own(), Arc::clone(&options.tree)));
            options.tree.report_to(&observed);
            Source::Observed(observed)
        }
        inbox::NAME => Source::Inbox(sensors.inbox.as_ref().ok_or_else(missing)?.subscribe(&log)),
        kubernetes::NAME => {
            let none = || {
                Blindness::Dead(
                    "foil.yaml names no cluster: add `kubernetes`, and Falco's pods under its `falco`".into(),
                )
            };
            Source::Falco(FalcoLogs::arm(own(), options.cluster.as_deref().ok_or_else(none)?)?)
        }
        rules::NAME => {
            let none = || {
                Blindness::Dead(
                    "there is no Sigma rule: name some under `rules`, in foil.yaml or the experiment".into(),
                )
            };
            let rules = options.rules.clone().ok_or_else(none)?;
            let all = rules::feeds(sensors.files.keys());
            Source::Rules(Evaluation::arm(own(), rules, &all, options.feeds.clone(), options.correlating.clone())?)
        }
        _ => {
            let source =
                name.strip_prefix(file::PREFIX).and_then(|name| sensors.files.get(name)).ok_or_else(missing)?;
            Source::File(Follower::arm(own(), source)?)
        }
    };
    Ok(Armed { name: name.to_owned(), log, source })
}

impl Armed {
    /// Where the host notes what it did, if this is `foil.observed`.
    pub fn observed(&self) -> Option<Arc<Observed>> {
        match &self.source {
            Source::Observed(observed) => Some(Arc::clone(observed)),
            _ => None,
        }
    }

    /// Looks whether the collector has missed anything so far. Call it before a `missed` is believed. Blocks for about a millisecond.
    pub fn verify(&self) -> Option<Blindness> {
        self.verify_about(&Interest::default())
    }

    /// The same for what such a link looks for: what was lost elsewhere does not count.
    pub fn verify_about(&self, interest: &Interest) -> Option<Blindness> {
        match &self.source {
            Source::Audit(collector) => collector.verify(),
            Source::Observed(_) => self.log.blind(),
            Source::File(follower) => follower.verify_about(interest),
            Source::Inbox(subscription) => subscription.verify_about(interest),
            Source::Falco(logs) => logs.verify_about(interest),
            Source::Rules(evaluation) => evaluation.verify_about(interest),
        }
    }

    /// Returns what was lacking to what a link names of the Sigma rules, of the events that `counts` takes.
    pub fn lacking(&self, wanted: &str, counts: &dyn Fn(&Judged) -> bool) -> Lacking {
        match &self.source {
            Source::Rules(evaluation) => evaluation.lacking(wanted, counts),
            _ => Lacking::default(),
        }
    }

    /// Why it may not see what happens in an overlay.
    pub fn blinded_by_overlay(&self) -> Option<Blindness> {
        match &self.source {
            Source::Audit(collector) => collector.blinded_by_overlay().map(Blindness::Shield),
            _ => None,
        }
    }

    /// Whether [`finish`](Self::finish) waits for what is still on its way.
    pub fn waits(&self) -> bool {
        !matches!(self.source, Source::Inbox(_) | Source::Observed(_))
    }

    /// Stops the collector once what is on its way has come in, and says whether it missed anything. Blocks for up to 200 ms.
    /// Own audit rules stay: take them away afterwards with [`audit::remove`].
    pub fn finish(self) -> Option<Blindness> {
        match self.source {
            Source::Audit(collector) => collector.finish(),
            Source::Observed(_) => self.log.blind(),
            Source::File(follower) => follower.finish(),
            Source::Inbox(subscription) => subscription.verify(),
            Source::Falco(logs) => logs.verify(),
            Source::Rules(evaluation) => evaluation.finish(),
        }
    }
}
