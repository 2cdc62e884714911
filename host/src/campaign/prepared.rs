//! An experiment that is settled: what `plan` prints and `run` runs.

use super::cluster::with_falco;
use super::experiment::{Experiment, Link};
use super::mistakes::{PrepareError, PrepareErrors};
use super::parameters;
use crate::engine::bindings::types::Parameter;
use crate::module::Module;
use foil_cluster::Cluster;
use foil_collector::Sensors;
use foil_collector::audit::{self, RuleRequest};
use foil_collector::rules::{self, History, RuleSet};
use foil_manifest::kube::KubeCall;
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, CapabilityName, KubeVerb, Manifest, ParameterType, ShieldLevel, TiedBy};
use foil_policy::Authorised;
use foil_policy::sources::Sources;
use foil_policy::windows::Windows;
use foil_record::{Hop, RunReport};
use foil_shield::Identity;
use foil_text::RunId;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A link, ready to be watched.
#[derive(Debug, Clone)]
pub struct PreparedLink {
    /// What the experiment says.
    pub link: Link,
    /// The check.
    pub check: Module,
    /// What it may look at.
    pub authorised: Authorised,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// The collectors that it reads.
    pub collectors: BTreeSet<String>,
    /// The collectors that the Sigma rules look at which it names; `None`: any that rules are evaluated over.
    pub rule_feeds: Option<BTreeSet<String>>,
    /// The weakest tie between an event and the run that counts: the strictest of check, link, experiment and environment.
    pub tied_by: TiedBy,
}

/// An experiment, ready to run.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The run's id.
    pub run: RunId,
    /// The run's scratch folder, not made yet. The folder that it lies in is the run's, too.
    pub scratch: PathBuf,
    /// What the file says.
    pub experiment: Experiment,
    /// The technique.
    pub technique: Module,
    /// What it may do.
    pub authorised: Authorised,
    /// Its parameters.
    pub parameters: Vec<Parameter>,
    /// Its links.
    pub links: Vec<PreparedLink>,
    /// The environment's name.
    pub environment: String,
    /// The target's name.
    pub target: String,
    /// Who children run as; `None`: whoever runs Foil.
    pub identity: Option<Identity>,
    /// Why the technique cannot run on this target.
    pub unmet: Option<String>,
    /// The operator's sensors. They are opened once all is prepared: nothing listens before.
    pub sensors: Arc<Sensors>,
    /// The Sigma rules of its `rule` links.
    pub rules: Option<Arc<RuleSet>>,
    /// What the earlier steps of its campaign left for correlations.
    pub history: Option<History>,
    /// What they are opened from, and the folder that paths in it are relative to.
    pub sources: (Sources, String),
    /// The shields that the environment allows.
    pub shields: Vec<ShieldLevel>,
    /// When it may run.
    pub windows: Windows,
    /// The environment's cluster, where the technique or a check may reach it.
    pub cluster: Option<Arc<Cluster>>,
    /// The node that this run is about.
    pub node: Option<String>,
    /// The benign twin is asked for.
    pub dry: bool,
    /// The parameters of the benign twin.
    pub control_parameters: Vec<Parameter>,
}

/// Gives the parameters that take a node the node's name.
fn name_node(manifest: &Manifest, with: &mut BTreeMap<String, serde_json::Value>, node: &str) {
    let about_node = manifest.parameters.iter().filter(|(_, parameter)| parameter.kind == ParameterType::Node);
    with.extend(about_node.map(|(parameter, _)| (parameter.clone(), node.into())));
}

impl PreparedLink {
    /// The check can be about one node.
    pub(super) fn takes_node(&self) -> bool {
        self.check.manifest.parameters.values().any(|parameter| parameter.kind == ParameterType::Node)
    }

    /// Has the check look for this node.
    pub(super) fn about_node(&mut self, node: &str) -> Result<(), PrepareErrors> {
        name_node(&self.check.manifest, &mut self.link.with, node);
        self.parameters = parameters::resolve(&self.check.manifest, &self.link.with, false)?;
        Ok(())
    }
}

impl Prepared {
    /// The name of the user that children run as.
    pub fn run_as(&self) -> String {
        if let Some(identity) = &self.identity {
            return identity.name.clone();
        }
        let me = nix::unistd::geteuid();
        let name = nix::unistd::User::from_uid(me).ok().flatten().map(|u| u.name);
        name.unwrap_or_else(|| me.to_string())
    }

    /// The same with the parameters of `experiment`, which differs in those alone.
    pub(super) fn filled(&self, experiment: Experiment) -> Result<Self, PrepareErrors> {
        let mut filled = self.clone();
        filled.parameters = parameters::resolve(&self.technique.manifest, &experiment.with, false)?;
        filled.control_parameters = control(&self.technique.manifest, &experiment, false)?;
        for (prepared, link) in filled.links.iter_mut().zip(&experiment.expect) {
            let with = with_falco(prepared.check.id(), &link.with, self.cluster.as_deref());
            prepared.parameters = parameters::resolve(&prepared.check.manifest, &with, false)?;
            prepared.link.clone_from(link);
        }
        filled.experiment = experiment;
        Ok(filled)
    }

    /// The report of an experiment that did not come to run.
    pub(crate) fn not_run(&self, verdict: foil_record::Verdict, reason: String) -> RunReport {
        RunReport { run: String::new(), verdict, reason, ..self.report() }
    }

    /// The report of one that is not begun, since an earlier run did not pass.
    pub(crate) fn skipped(&self) -> RunReport {
        self.report().skip()
    }

    /// What modules may know of the cluster.
    pub(super) fn cluster_context(&self) -> Option<crate::engine::bindings::types::Cluster> {
        self.cluster.as_ref().map(|cluster| crate::engine::bindings::types::Cluster {
            namespace: cluster.rule.namespace_of(self.run.as_str()),
            image: cluster.rule.image.clone(),
            node: self.node.clone(),
        })
    }

    /// The technique acts as somebody else than Foil.
    pub(super) fn impersonates(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.rule.impersonate.is_some())
    }

    /// The technique starts programs or changes something, so that it needs a shield and somebody who knows its processes.
    pub fn acts(&self) -> bool {
        let linked = self.authorised.permission.linked();
        let acts = [CapabilityName::Exec, CapabilityName::FilesWrite, CapabilityName::LoopbackServe];
        acts.iter().any(|name| linked.contains(name))
    }

    /// The same once more, as a run of its own.
    pub fn renewed(&self) -> Self {
        let mut again = self.clone();
        again.run = RunId::new();
        // Beside the folder that this one's lies in, which is this run's alone.
        again.scratch.pop();
        again.scratch.set_file_name(format!("foil-{}", again.run));
        again.scratch.push("scratch");
        let variables = variables(&again.run, &again.scratch, again.cluster.as_deref());
        again.authorised.permission.variables = variables.clone();
        again.authorised.children = again.authorised.permission.children();
        for link in &mut again.links {
            link.authorised.permission.variables = variables.clone();
            link.authorised.children = link.authorised.permission.children();
        }
        again
    }

    /// The same on a node of the cluster: its pods are made there, and its checks look for it.
    ///
    /// # Errors
    /// A parameter that does not take the node's name.
    pub fn on_node(&self, node: &str) -> Result<Self, PrepareErrors> {
        let mut experiment = self.experiment.clone();
        name_node(&self.technique.manifest, &mut experiment.with, node);
        for (link, prepared) in experiment.expect.iter_mut().zip(&self.links) {
            name_node(&prepared.check.manifest, &mut link.with, node);
        }
        let mut there = self.filled(experiment)?.renewed();
        there.node = Some(node.to_owned());
        Ok(there)
    }

    /// Whether its technique makes pods, so that it can be on a node.
    pub fn makes_pods(&self) -> bool {
        let rules = self.technique.manifest.request(CapabilityName::KubeWrite).map(Capability::kube_rules);
        rules.unwrap_or_default().iter().any(|rule| {
            rule.verbs.contains(&KubeVerb::Create) && KubeCall::bears_pods(rule.group.as_str(), rule.resource.as_str())
        })
    }

    /// Every collector that a link reads.
    pub fn collectors(&self) -> BTreeSet<String> {
        self.links.iter().flat_map(|l| l.collectors.iter().cloned()).collect()
    }

    /// The audit rules that are added for the run where no audit daemon runs: those that the experiment asks for, if a link reads what
    /// they record.
    pub fn own_rules(&self) -> Option<&RuleRequest> {
        let read = self.collectors();
        let audited = read.contains(audit::NAME) || read.contains(rules::NAME);
        self.experiment.audit.own_rules.as_ref().filter(|_| audited)
    }

    /// The report before anything happened.
    pub(super) fn report(&self) -> RunReport {
        RunReport {
            run: self.run.to_string(),
            experiment: self.experiment.name.clone(),
            hypothesis: self.experiment.hypothesis.clone(),
            shield: self.authorised.shield.to_string(),
            run_as: self.run_as(),
            node: self.node.clone(),
            ..super::blank::report_of(&self.technique, self.environment.clone(), self.target.clone())
        }
    }
}

/// The parameters of the benign twin, where there is one.
pub(super) fn control(
    manifest: &Manifest,
    experiment: &Experiment,
    later: bool,
) -> Result<Vec<Parameter>, PrepareErrors> {
    let Some(control) = &experiment.control else { return Ok(Vec::new()) };
    let wrong = |why: String| PrepareError::Wrong(why).under(["control"]);
    if experiment.expect.iter().all(|link| link.link <= Hop::Telemetry) {
        let why = format!(
            "the experiment {} has a `control`, and no link behind `telemetry` that must stay quiet: add one, or leave it out",
            experiment.name
        );
        return Err(wrong(why).into());
    }
    let with = control.parameters(&experiment.with).map_err(wrong)?;
    let resolved = parameters::resolve(manifest, &with, later).map_err(PrepareErrors::from);
    resolved.map_err(|errors| errors.map(|error| error.under(["control"])))
}

/// What patterns of rules stand for in a run.
pub(super) fn variables(run: &RunId, scratch: &Path, cluster: Option<&Cluster>) -> Variables {
    Variables {
        run: run.to_string(),
        scratch: scratch.to_string_lossy().into_owned(),
        namespace: cluster.map(|cluster| cluster.rule.namespace_of(run.as_str())).unwrap_or_default(),
        image: cluster.map(|cluster| cluster.rule.image.clone()).unwrap_or_default(),
    }
}

/// The scratch folder of a run: in a folder of the run's own, through which nobody else gets.
pub(super) fn scratch(run: &RunId) -> Result<PathBuf, String> {
    Ok(foil_safe_path::temporary::folder()?.join(format!("foil-{run}")).join("scratch"))
}
