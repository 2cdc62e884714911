//! Everything that can be settled without touching the target.

use super::experiment::{Experiment, Hop, Link};
use super::parameters::Wrong;
use super::{imported, parameters, preflight};
use crate::cluster::Cluster;
use crate::collector::rules::RuleSet;
use crate::collector::{Sensors, kubernetes};
use crate::engine::bindings::types::{Parameter, Value};
use crate::module::{Catalog, Module, NotFound, Source};
use crate::policy::sources::Sources;
use crate::policy::windows::Windows;
use crate::policy::{Authorised, Case, Environment, GrantRefusal, Grants, Judged, Refusal, authorise};
use crate::report::{RunReport, SCHEMA};
use crate::run_id::RunId;
use crate::shield::Identity;
use foil_manifest::kube::KubeCall;
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, CapabilityName, Kind, KubeVerb, Manifest, ShieldLevel};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What preparing needs to know.
pub struct Preparation<'a> {
    /// The modules.
    pub catalog: &'a Catalog,
    /// What reviewers allowed.
    pub grants: &'a Grants,
    /// What the operator allows.
    pub environment: &'a Environment,
    /// Foil's own folders and files, which no grant may reach.
    pub own: Vec<String>,
    /// `/etc/machine-id`, where there is one.
    pub machine_id: Option<String>,
    /// The host's name.
    pub host_name: String,
    /// The environment's cluster, where it names one.
    pub cluster: Option<Arc<Cluster>>,
}

/// Why an experiment cannot be prepared: a mistake in what was given, never the target's fault.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// A module is not granted; on a terminal the user is asked.
    #[error("{refusal}")]
    NotGranted {
        /// The module.
        module: Box<Module>,
        /// Why not.
        refusal: GrantRefusal,
    },
    /// The policy refuses.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// No such module.
    #[error(transparent)]
    NotFound(#[from] NotFound),
    /// A parameter is wrong, or a module of the wrong kind is named.
    #[error("{0}")]
    Wrong(String),
    /// Any of these but the first, of a part of the experiment's file.
    #[error("{error}")]
    Placed {
        /// Keys and numbers, from the experiment down.
        path: Vec<String>,
        /// What is wrong there.
        error: Box<PrepareError>,
    },
}

impl PrepareError {
    /// The same, of what stands below these keys. What is not granted is settled elsewhere.
    fn under<const N: usize>(self, keys: [&str; N]) -> Self {
        let (below, error) = match self {
            Self::NotGranted { .. } => return self,
            Self::Placed { path, error } => (path, error),
            other => (Vec::new(), Box::new(other)),
        };
        Self::Placed { path: keys.into_iter().map(str::to_owned).chain(below).collect(), error }
    }

    /// The same, with the link that it is about.
    fn of_link(self, number: usize, link: &Link) -> Self {
        let named = |error: Self| Self::Wrong(format!("the link `{}`: {error}", link.link));
        let error = match self {
            Self::NotGranted { .. } => self,
            Self::Placed { path, error } => Self::Placed { path, error: Box::new(named(*error)) },
            other => named(other),
        };
        error.under(["expect", &number.to_string()])
    }
}

impl From<Wrong> for PrepareError {
    fn from(wrong: Wrong) -> Self {
        let error = Self::Wrong(wrong.why);
        match wrong.given {
            Some(name) => error.under(["with", &name]),
            None => error,
        }
    }
}

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
}

/// An experiment, ready to run.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The run's id.
    pub run: RunId,
    /// The run's scratch folder, not made yet.
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
    /// What they are opened from, and the folder that paths in it are relative to.
    pub sources: (Sources, String),
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

impl Preparation<'_> {
    /// Settles an experiment. `later`: it is a step whose `{step.fact}` are filled in when earlier ones have run.
    pub fn prepare(&self, experiment: Experiment, later: bool) -> Result<Prepared, PrepareError> {
        // The target is verified first: nothing else matters on the wrong host.
        self.environment.admits_host(self.machine_id.as_deref(), &self.host_name)?;
        if experiment.audit.own_rules.is_some() && !self.environment.own_audit_rules {
            return Err(PrepareError::Wrong(format!(
                "the experiment {} asks for audit rules of Foil's own, which {} does not allow: set `own-audit-rules: true` in foil.yaml",
                experiment.name,
                self.environment.title()
            )));
        }
        let run = RunId::new();
        let scratch = scratch(&run).map_err(PrepareError::Wrong)?;
        let variables = variables(&run, &scratch, self.cluster.as_deref());
        let of_technique = |error: PrepareError| error.under(["technique"]);
        let technique = self.module(&experiment.technique, Kind::Technique).map_err(of_technique)?;
        let authorised = self.authorise(&technique, experiment.shield, &variables).map_err(of_technique)?;
        let parameters = parameters::resolve(&technique.manifest, &experiment.with, later)?;
        let control_parameters = control(&technique.manifest, &experiment, later)?;
        let root = rustix::process::geteuid().is_root();
        let identity = match &self.environment.run_as {
            Some(user) if root && !technique.manifest.root => Some(identity(user).map_err(PrepareError::Wrong)?),
            _ => None,
        };
        let placed = |(number, link): (usize, &Link)| {
            self.link(link, &variables, later).map_err(|error| error.of_link(number, link))
        };
        let links = experiment.expect.iter().enumerate().map(placed).collect::<Result<_, _>>()?;
        let mut unmet = preflight::unmet(&technique.manifest, root);
        if let Some(imported) = &technique.imported {
            let beyond =
                imported::unmet(imported, &parameters).map_err(|why| PrepareError::Wrong(why).under(["with"]))?;
            unmet = unmet.or(beyond);
        }
        let asks = |module: &Module, authorised: &Authorised| {
            let linked = authorised.permission.linked();
            CapabilityName::KUBE.iter().any(|name| linked.contains(name) && module.manifest.request(*name).is_some())
        };
        let links: Vec<PreparedLink> = links;
        let looks =
            |link: &PreparedLink| link.collectors.contains(kubernetes::NAME) || asks(&link.check, &link.authorised);
        let needed = asks(&technique, &authorised) || links.iter().any(looks);
        if needed {
            unmet = unmet.or_else(|| no_cluster(self.cluster.as_deref()));
        }
        Ok(Prepared {
            run,
            scratch,
            experiment,
            technique,
            authorised,
            parameters,
            links,
            environment: self.environment.name.clone(),
            target: self.host_name.clone(),
            identity,
            unmet,
            sensors: Arc::default(),
            rules: None,
            sources: (self.environment.sources.clone(), self.environment.folder.clone()),
            windows: self.environment.windows.clone(),
            cluster: self.cluster.clone().filter(|_| needed),
            node: None,
            dry: false,
            control_parameters,
        })
    }

    fn link(&self, link: &Link, variables: &Variables, later: bool) -> Result<PreparedLink, PrepareError> {
        let check = self.module(&link.check, Kind::Check)?;
        let authorised = self.authorise(&check, None, variables)?;
        let parameters = parameters::resolve(&check.manifest, &link.with, later)?;
        let collectors = collectors(&check.manifest, &parameters);
        if let Some(denial) = collectors.iter().find_map(|name| authorised.permission.collector(name).err()) {
            return Err(PrepareError::Wrong(format!("{} may not read a collector: {denial}", check.id())));
        }
        Ok(PreparedLink { link: link.clone(), check, authorised, parameters, collectors })
    }

    fn module(&self, name: &str, kind: Kind) -> Result<Module, PrepareError> {
        let module = self.catalog.find(name)?;
        if module.manifest.kind != kind {
            let is = module.manifest.kind;
            return Err(PrepareError::Wrong(format!("`{}` is a {is}; a {kind} is needed here", module.manifest.id)));
        }
        Ok(module)
    }

    fn authorise(
        &self,
        module: &Module,
        shield: Option<ShieldLevel>,
        variables: &Variables,
    ) -> Result<Authorised, PrepareError> {
        let judged = Judged {
            manifest: &module.manifest,
            digest: module.digest,
            judged: module.judged(),
            builtin: module.source == Source::Builtin,
            script: module.imported.is_some(),
            imports: &module.imports.interfaces,
        };
        let grant = self
            .grants
            .find(&judged, jiff::Timestamp::now())
            .map_err(|refusal| PrepareError::NotGranted { module: Box::new(module.clone()), refusal })?;
        let is_folder = |path: &str| std::fs::metadata(path).is_ok_and(|m| m.is_dir());
        let case = Case {
            manifest: &module.manifest,
            grant,
            environment: self.environment,
            shield,
            variables: variables.clone(),
            own: &self.own,
            is_folder: &is_folder,
        };
        self.all_linked(module, authorise(case)?)
    }

    /// An interface that the module imports and not every layer allows is not linked, so that the module could not even
    /// start: said here, before anything happens.
    fn all_linked(&self, module: &Module, authorised: Authorised) -> Result<Authorised, PrepareError> {
        let linked = authorised.permission.linked();
        let imported = |name: &CapabilityName| {
            let prefix = format!("foil:host/{}@", name.interface());
            // Types alone grant nothing: every check imports those of `events-read`.
            let calls =
                |(name, functions): (&String, &BTreeSet<String>)| name.starts_with(&prefix) && !functions.is_empty();
            module.imports.interfaces.iter().any(calls)
        };
        match CapabilityName::ALL.iter().find(|name| imported(name) && !linked.contains(name)) {
            None => Ok(authorised),
            Some(name) => Err(PrepareError::Wrong(format!(
                "{} imports `{name}`, which the grant or {} does not allow at all: a module loads only with all that it \
                 imports, so narrow the scope instead (`foil grant --narrow`)",
                module.id(),
                self.environment.title()
            ))),
        }
    }
}

/// The parameters of the benign twin, where there is one.
fn control(manifest: &Manifest, experiment: &Experiment, later: bool) -> Result<Vec<Parameter>, PrepareError> {
    let Some(control) = &experiment.control else { return Ok(Vec::new()) };
    let wrong = |why: String| PrepareError::Wrong(why).under(["control"]);
    if experiment.expect.iter().all(|link| link.link <= Hop::Telemetry) {
        return Err(wrong(format!(
            "the experiment {} has a `control`, and no link behind `telemetry` that must stay quiet: add one, or leave it out",
            experiment.name
        )));
    }
    let with = control.parameters(&experiment.with).map_err(wrong)?;
    parameters::resolve(manifest, &with, later).map_err(|error| PrepareError::from(error).under(["control"]))
}

/// The collectors that a check reads: those that its parameters name, else all that its manifest names.
fn collectors(manifest: &Manifest, parameters: &[Parameter]) -> BTreeSet<String> {
    let is_collector = |name: &str| manifest.parameters.get(name).is_some_and(|declared| declared.collector);
    let named: BTreeSet<String> = parameters
        .iter()
        .filter(|parameter| is_collector(&parameter.name))
        .filter_map(|parameter| match &parameter.value {
            Value::Text(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    if manifest.parameters.values().any(|declared| declared.collector) {
        return named;
    }
    let scopes = manifest.capabilities.iter().filter_map(|capability| match capability {
        Capability::EventsRead(scope) => Some(scope.allow.iter().cloned()),
        _ => None,
    });
    scopes.flatten().filter(|name| !name.ends_with('*')).collect()
}

/// Why a cluster cannot be used, as far as the file says it.
fn no_cluster(cluster: Option<&Cluster>) -> Option<String> {
    match cluster {
        None => Some("it needs a Kubernetes cluster, and foil.yaml names none: add `kubernetes: { context: … }`".into()),
        Some(cluster) if cluster.reference().uid.is_empty() => Some(
            "foil.yaml does not say which cluster it is: `foil doctor` prints the UID to write under `kubernetes: cluster:`"
                .into(),
        ),
        Some(_) => None,
    }
}

/// What patterns of rules stand for in a run.
fn variables(run: &RunId, scratch: &Path, cluster: Option<&Cluster>) -> Variables {
    Variables {
        run: run.to_string(),
        scratch: scratch.display().to_string(),
        namespace: cluster.map(|cluster| cluster.rule.namespace_of(run.as_str())).unwrap_or_default(),
        image: cluster.map(|cluster| cluster.rule.image.clone()).unwrap_or_default(),
    }
}

/// The folder of a run.
fn scratch(run: &RunId) -> Result<PathBuf, String> {
    Ok(crate::temporary::folder()?.join(format!("foil-{run}")))
}

/// The user of that name, with its groups.
fn identity(user: &str) -> Result<Identity, String> {
    let failed = |why: String| format!("`run-as: {user}` of foil.yaml cannot be used: {why}");
    let entry = nix::unistd::User::from_name(user)
        .map_err(|e| failed(e.to_string()))?
        .ok_or_else(|| failed("there is no such user on this host".to_owned()))?;
    let name = std::ffi::CString::new(user).map_err(|e| failed(e.to_string()))?;
    let groups = nix::unistd::getgrouplist(&name, entry.gid).map_err(|e| failed(e.to_string()))?;
    Ok(Identity {
        uid: entry.uid.as_raw(),
        gid: entry.gid.as_raw(),
        groups: groups.into_iter().map(nix::unistd::Gid::as_raw).collect(),
        name: entry.name,
        home: entry.dir,
    })
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
    pub(super) fn filled(&self, experiment: Experiment) -> Result<Self, PrepareError> {
        let mut filled = self.clone();
        filled.parameters = parameters::resolve(&self.technique.manifest, &experiment.with, false)?;
        filled.control_parameters = control(&self.technique.manifest, &experiment, false)?;
        for (prepared, link) in filled.links.iter_mut().zip(&experiment.expect) {
            prepared.parameters = parameters::resolve(&prepared.check.manifest, &link.with, false)?;
            prepared.link.clone_from(link);
        }
        filled.experiment = experiment;
        Ok(filled)
    }

    /// The report of an experiment that did not come to run.
    pub(super) fn not_run(&self, verdict: super::verdict::Verdict, reason: String) -> RunReport {
        RunReport { run: String::new(), verdict, reason, ..self.report() }
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
        again.scratch.set_file_name(format!("foil-{}", again.run));
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
    pub fn on_node(&self, node: &str) -> Result<Self, PrepareError> {
        let name = |manifest: &Manifest, with: &mut BTreeMap<String, serde_json::Value>| {
            let about_node = manifest.parameters.iter().filter(|(_, parameter)| parameter.node);
            with.extend(about_node.map(|(parameter, _)| (parameter.clone(), node.into())));
        };
        let mut experiment = self.experiment.clone();
        name(&self.technique.manifest, &mut experiment.with);
        for (link, prepared) in experiment.expect.iter_mut().zip(&self.links) {
            name(&prepared.check.manifest, &mut link.with);
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

    /// The report before anything happened.
    pub(super) fn report(&self) -> RunReport {
        RunReport {
            run: self.run.to_string(),
            experiment: self.experiment.name.clone(),
            hypothesis: self.experiment.hypothesis.clone(),
            shield: self.authorised.shield.to_string(),
            run_as: self.run_as(),
            node: self.node.clone(),
            ..RunReport::of(&self.technique, self.environment.clone(), self.target.clone())
        }
    }
}

impl RunReport {
    /// The report of a technique that the policy refuses.
    pub fn refused(technique: &Module, environment: String, target: String, reason: String) -> Self {
        let verdict = super::verdict::Verdict::Inconclusive;
        Self { verdict, reason, ..Self::of(technique, environment, target) }
    }

    /// Of a technique with which nothing happened yet.
    fn of(technique: &Module, environment: String, target: String) -> Self {
        Self {
            schema: SCHEMA,
            run: String::new(),
            experiment: technique.id().to_owned(),
            hypothesis: String::new(),
            technique: technique.id().to_owned(),
            attack: technique.manifest.attack.iter().map(ToString::to_string).collect(),
            digest: technique.digest.to_string(),
            environment,
            target,
            node: None,
            shield: String::new(),
            gaps: Vec::new(),
            run_as: String::new(),
            started: jiff::Timestamp::now().to_string(),
            detonated: None,
            duration_ms: 0,
            verdict: super::verdict::Verdict::Error,
            reason: String::new(),
            summary: None,
            facts: BTreeMap::new(),
            links: Vec::new(),
            observed: Vec::new(),
            undo: crate::journal::UndoReport::default(),
            residue: Vec::new(),
            log: Vec::new(),
            earlier: Vec::new(),
            control: None,
            campaign: None,
            test: None,
        }
    }
}
