//! An experiment of checks only: links that are looked at while nothing is fired, such as the coverage of a sensor or its heartbeat.
//!
//! There is no technique, so nothing is done to the target, and nothing that is seen can be the run's own: an event of anybody's counts
//! by its time alone.

mod file;
mod run;

pub use file::{Checks, parse};
pub use run::run;

use super::experiment::Experiment;
use super::mistakes::{PrepareError, PrepareErrors};
use super::prepare::Preparation;
use super::prepared::PreparedLink;
use foil_cluster::Cluster;
use foil_collector::Sensors;
use foil_collector::rules::RuleSet;
use foil_policy::sources::Sources;
use foil_record::{RunReport, Verdict};
use foil_text::RunId;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One that is ready to run.
#[derive(Debug, Clone)]
pub struct PreparedChecks {
    /// The run's id.
    pub run: RunId,
    /// What the file says.
    pub checks: Checks,
    /// Its links.
    pub links: Vec<PreparedLink>,
    /// The environment's name.
    pub environment: String,
    /// The target's name.
    pub target: String,
    /// Why nothing can be looked at here.
    pub unmet: Option<String>,
    /// The operator's sensors, opened once all is prepared.
    pub sensors: Arc<Sensors>,
    /// The Sigma rules of its `rule` links.
    pub rules: Option<Arc<RuleSet>>,
    /// What the sensors are opened from, and the folder that paths in it are relative to.
    pub sources: (Sources, String),
    /// The environment's cluster, where a check may reach it.
    pub cluster: Option<Arc<Cluster>>,
    /// The node that this run is about.
    pub node: Option<String>,
}

impl Preparation<'_> {
    /// Settles an experiment of checks only.
    ///
    /// # Errors
    /// Every mistake that can be told from the others.
    pub fn checks(&self, mut checks: Checks) -> Result<PreparedChecks, PrepareErrors> {
        self.environment.admits_host(self.machine_id.as_deref(), &self.host_name).map_err(PrepareError::from)?;
        let run = RunId::new();
        let of_links = Experiment { name: checks.name.clone(), expect: checks.expect, ..Experiment::default() };
        let (expect, links) = self.links(&run, of_links)?;
        checks.expect = expect;
        let needed = links.iter().any(PreparedLink::needs_cluster);
        let unmet = if needed { super::prepare::no_cluster(self.cluster.as_deref()) } else { None };
        Ok(PreparedChecks {
            run,
            checks,
            links,
            environment: self.environment.name.clone(),
            target: self.host_name.clone(),
            unmet,
            sensors: Arc::default(),
            rules: None,
            sources: (self.environment.sources.clone(), self.environment.folder.clone()),
            cluster: self.cluster.clone().filter(|_| needed),
            node: None,
        })
    }
}

impl PreparedChecks {
    /// Every collector that a link reads.
    pub fn collectors(&self) -> BTreeSet<String> {
        self.links.iter().flat_map(|link| link.collectors.iter().cloned()).collect()
    }

    /// The same once more, as a run of its own.
    pub fn renewed(&self) -> Self {
        let mut again = self.clone();
        again.run = RunId::new();
        for link in &mut again.links {
            link.authorised.permission.variables.run = again.run.to_string();
        }
        again
    }

    /// The same about a node of the cluster: its checks look for that node.
    ///
    /// # Errors
    /// A parameter that does not take the node's name.
    pub fn on_node(&self, node: &str) -> Result<Self, PrepareErrors> {
        let mut there = self.renewed();
        for link in &mut there.links {
            link.about_node(node)?;
        }
        there.node = Some(node.to_owned());
        Ok(there)
    }

    /// Some of its checks can be about one node.
    pub fn is_about_nodes(&self) -> bool {
        self.links.iter().any(PreparedLink::takes_node)
    }

    /// The report of a run that was not begun, or broke off by a fault of Foil's.
    pub fn not_run(&self, verdict: Verdict, reason: String) -> RunReport {
        RunReport { verdict, reason, ..self.report() }
    }

    /// The report of a run that is not begun, since an earlier one did not pass.
    pub fn skipped(&self) -> RunReport {
        self.report().skip()
    }

    /// The report before anything was looked at.
    fn report(&self) -> RunReport {
        RunReport {
            run: self.run.to_string(),
            hypothesis: self.checks.hypothesis.clone(),
            node: self.node.clone(),
            ..super::blank::begun_report(self.checks.name.clone(), self.environment.clone(), self.target.clone())
        }
    }
}
