//! What a rule takes of the cluster's authorisation: exactly the requests that the host makes for it.

use super::Settings;
use foil_manifest::kube::KubeCall;
use foil_manifest::pattern::{Variables, names_collector};
use foil_manifest::{Capability, CapabilityName, Kind, KubeRule, KubeVerb, Manifest, NamePattern, PodScope};
use foil_text::visible;
use std::collections::BTreeSet;

const RBAC: &str = "rbac.authorization.k8s.io";
const CERTIFICATES: &str = "certificates.k8s.io";
/// The signer of client certificates of the API server. The other that signs for clients takes nodes alone.
const SIGNER: &str = "kubernetes.io/kube-apiserver-client";

/// Where a right holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Everywhere.
    Cluster,
    /// In one namespace.
    Namespace(String),
}

/// One right.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Need {
    pub scope: Scope,
    pub group: String,
    /// With its subresource.
    pub resource: String,
    /// `None`: of any name.
    pub name: Option<String>,
    pub verb: &'static str,
}

impl Need {
    /// Whether whoever has this right has that one too.
    fn covers(&self, other: &Self) -> bool {
        let all = |mine: &str, theirs: &str| mine == "*" || mine == theirs;
        (self.scope == Scope::Cluster || self.scope == other.scope)
            && all(&self.group, &other.group)
            && all(&self.resource, &other.resource)
            && (self.name.is_none() || self.name == other.name)
            && self.verb == other.verb
    }
}

/// Something to be said about the rights on a kind of objects.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Note {
    pub scope: Scope,
    pub group: String,
    pub resource: String,
    pub text: String,
}

/// Rights, by who uses them.
#[derive(Debug, Default)]
pub(super) struct Needs {
    /// What techniques do.
    pub technique: BTreeSet<Need>,
    /// What checks and Foil itself do.
    pub foil: BTreeSet<Need>,
    /// Remarks about both.
    pub notes: BTreeSet<Note>,
    /// What is said of the whole.
    pub head: Vec<String>,
}

/// The objects that a rule is about.
struct Objects {
    scope: Scope,
    group: String,
    resource: String,
    name: Option<String>,
}

impl Needs {
    /// Of these modules together.
    pub fn of(manifests: &[&Manifest], settings: &Settings) -> Self {
        let mut needs = Self::default();
        // Every run looks first whether this is the cluster that foil.yaml names.
        let verify = Objects {
            scope: Scope::Cluster,
            group: String::new(),
            resource: "namespaces".into(),
            name: Some("kube-system".into()),
        };
        verify.add(&mut needs.foil, "", &["get"]);
        for manifest in manifests {
            for rule in manifest.capabilities.iter().flat_map(|capability| capability.kube_rules()) {
                needs.rule(manifest, rule, settings);
            }
            if manifest.capabilities.iter().any(reads_falco) {
                needs.falco(manifest, settings);
            }
        }
        let writes = manifests.iter().filter_map(|m| m.request(CapabilityName::KubeWrite)).flat_map(|c| c.kube_rules());
        let writes: Vec<&KubeRule> = writes.collect();
        let inside = |rule: &&KubeRule| rule.namespace.as_ref().is_some_and(|n| n.as_str().contains("{namespace}"));
        if settings.namespace.is_none() && writes.iter().any(inside) {
            let why = "Each run makes a namespace of its own, `foil-RUN`, which RBAC cannot know: the rights in it are rights in all \
                       (`--namespace NAME` keeps them in one).";
            needs.head.push(why.into());
            for (resource, verbs) in [("namespaces", &["create", "get", "delete"][..]), ("serviceaccounts", &["get"])] {
                let own =
                    Objects { scope: Scope::Cluster, group: String::new(), resource: resource.into(), name: None };
                own.add(&mut needs.foil, "", verbs);
            }
        }
        let bears = |rule: &&KubeRule| KubeCall::bears_pods(rule.group.as_str(), rule.resource.as_str());
        if writes.iter().any(bears) {
            needs.head.push("`--each-node` lists `nodes` too, which is not in here.".into());
        }
        for set in [&mut needs.technique, &mut needs.foil] {
            let all = set.clone();
            set.retain(|need| !all.iter().any(|other| other != need && other.covers(need)));
        }
        needs
    }

    fn rule(&mut self, manifest: &Manifest, rule: &KubeRule, settings: &Settings) {
        let mut lacking = BTreeSet::new();
        let objects = Objects::of(rule, settings, &mut lacking);
        for verb in &rule.verbs {
            self.verb(manifest.kind, *verb, rule, &objects, &mut lacking);
        }
        if !lacking.is_empty() {
            let text = format!(
                "{} asks for `{}`; RBAC cannot say {}.",
                manifest.id,
                visible(&rule.to_string(), 400),
                lacking.into_iter().collect::<Vec<_>>().join(", ")
            );
            self.note(&objects, text);
        }
    }

    /// The logs of Falco's pods, as their collector reads them.
    fn falco(&mut self, manifest: &Manifest, settings: &Settings) {
        let scope = Scope::Namespace(settings.falco.clone());
        let pods = Objects { scope, group: String::new(), resource: "pods".into(), name: None };
        pods.add(&mut self.foil, "", &["list"]);
        pods.add(&mut self.foil, "log", &["get"]);
        let text = format!("{} takes this for the collector `kubernetes.falco` alone.", manifest.id);
        self.note(&pods.of_core("pods/log"), text);
    }

    fn note(&mut self, objects: &Objects, text: String) {
        self.notes.insert(Note {
            scope: objects.scope.clone(),
            group: objects.group.clone(),
            resource: objects.resource.clone(),
            text,
        });
    }

    fn verb(
        &mut self,
        kind: Kind,
        verb: KubeVerb,
        rule: &KubeRule,
        objects: &Objects,
        lacking: &mut BTreeSet<&'static str>,
    ) {
        // A check is Foil's own look, whoever the technique acts as.
        let doer = if kind == Kind::Check { &mut self.foil } else { &mut self.technique };
        match verb {
            KubeVerb::Get => match rule.subresource.as_str() {
                literal if rule.subresource.is_literal() => objects.add(doer, literal, &["get"]),
                // A pattern of subresources: RBAC knows `*` alone, of all kinds of a group.
                _ => {
                    lacking.insert("the subresources");
                    objects.of_kind("*").add(doer, "", &["get"]);
                }
            },
            KubeVerb::List => objects.unnamed().add(doer, "", &["list"]),
            KubeVerb::Proxy => {
                lacking.insert("the path");
                for plural in matching(&rule.resource, &["nodes", "pods", "services"]) {
                    objects.of_core(plural).add(doer, "proxy", &["get"]);
                }
            }
            KubeVerb::Create => {
                let all = objects.unnamed();
                // A create whose answer is lost is looked for.
                all.add(doer, "", &["create", "get"]);
                all.add(&mut self.foil, "", &["get", "delete"]);
                if rule.name.is_some() {
                    lacking.insert("the names");
                }
                if rule.pod != PodScope::default() {
                    lacking.insert("what the pods may be");
                }
                self.grants(rule, &all);
            }
            KubeVerb::Patch => {
                objects.add(doer, "", &["get", "patch"]);
                objects.add(&mut self.foil, "", &["get", "patch"]);
                if rule.pod != PodScope::default() {
                    lacking.insert("what the pods may be");
                }
                self.grants(rule, &objects.unnamed());
            }
            KubeVerb::Delete => {
                lacking.insert("that only what the run made is deleted");
                objects.add(doer, "", &["delete"]);
            }
            KubeVerb::Approve => {
                let requests = objects.of_group(CERTIFICATES, "certificatesigningrequests");
                requests.add(doer, "", &["get"]);
                requests.add(doer, "approval", &["update"]);
                let signer = Objects { name: Some(SIGNER.into()), ..objects.of_group(CERTIFICATES, "signers") };
                signer.add(doer, "", &["approve"]);
                self.note(&signer, "Another signer than the API server's own for clients takes its name here.".into());
            }
            KubeVerb::Token => objects.of_core("serviceaccounts").add(doer, "token", &["create"]),
            KubeVerb::Exec | KubeVerb::Logs => {
                let pods = objects.of_core("pods");
                pods.add(doer, "", &["get"]);
                if verb == KubeVerb::Logs {
                    return pods.add(doer, "log", &["get"]);
                }
                lacking.insert("the commands");
                // Over a WebSocket an exec is a GET. Since Kubernetes 1.35 the API server asks for `create` beside it.
                pods.add(doer, "exec", &["create", "get"]);
                let why =
                    "An exec over a WebSocket is a `get`; since Kubernetes 1.35 the API server also asks for `create`.";
                self.note(&pods.of_core("pods/exec"), why.into());
            }
        }
    }

    /// Roles and bindings: who makes one must have all the rights in it, or one of the two verbs that stand for all rights.
    fn grants(&mut self, rule: &KubeRule, objects: &Objects) {
        if !rule.group.matches(RBAC, &Variables::default()) {
            return;
        }
        let roles = matching(&rule.resource, &["roles", "clusterroles"]);
        let mut all: Vec<(&str, &'static str)> = roles.into_iter().map(|plural| (plural, "escalate")).collect();
        // A RoleBinding may be of a Role or of a ClusterRole.
        for plural in matching(&rule.resource, &["rolebindings", "clusterrolebindings"]) {
            all.push(("clusterroles", "bind"));
            if plural == "rolebindings" {
                all.push(("roles", "bind"));
            }
        }
        for (plural, verb) in all {
            let objects = objects.of_group(RBAC, plural);
            objects.add(&mut self.technique, "", &[verb]);
            if rule.verbs.contains(&KubeVerb::Patch) {
                objects.add(&mut self.foil, "", &[verb]);
            }
            let why = "`escalate` and `bind` EQUAL CLUSTER-ADMIN: who has them can give itself every right. Leave them out where the \
                       account has all the rights of the roles that are made or bound.";
            self.note(&objects, why.into());
        }
    }
}

impl Objects {
    fn of(rule: &KubeRule, settings: &Settings, lacking: &mut BTreeSet<&'static str>) -> Self {
        let mut literal = |pattern: &NamePattern, what: &'static str| {
            let known = settings.namespace.as_deref();
            let text =
                known.map_or(pattern.as_str().to_owned(), |known| pattern.as_str().replace("{namespace}", known));
            let is_one = !text.contains(['*', '?', '{']);
            // Of a namespace of the run's own the head of the text speaks.
            let own = what == "the namespaces" && pattern.is_literal() && text.contains("{namespace}");
            if !is_one && !own {
                lacking.insert(what);
            }
            is_one.then_some(text)
        };
        let scope = rule.namespace.as_ref().and_then(|pattern| literal(pattern, "the namespaces"));
        let any = || "*".to_owned();
        Self {
            scope: scope.map_or(Scope::Cluster, Scope::Namespace),
            group: literal(&rule.group, "the groups").unwrap_or_else(any),
            resource: literal(&rule.resource, "the kinds").unwrap_or_else(any),
            name: rule.name.as_ref().and_then(|pattern| literal(pattern, "the names")),
        }
    }

    fn add(&self, to: &mut BTreeSet<Need>, subresource: &str, verbs: &[&'static str]) {
        let resource = match (self.resource.as_str(), subresource) {
            (resource, "") => resource.to_owned(),
            (resource, subresource) => format!("{resource}/{subresource}"),
        };
        to.extend(verbs.iter().map(|verb| Need {
            scope: self.scope.clone(),
            group: self.group.clone(),
            resource: resource.clone(),
            name: self.name.clone(),
            verb,
        }));
    }

    fn of_group(&self, group: &str, resource: &str) -> Self {
        Self { scope: self.scope.clone(), group: group.into(), resource: resource.into(), name: self.name.clone() }
    }

    fn of_core(&self, resource: &str) -> Self {
        self.of_group("", resource)
    }

    fn of_kind(&self, resource: &str) -> Self {
        self.of_group(&self.group, resource)
    }

    fn unnamed(&self) -> Self {
        Self { name: None, ..self.of_kind(&self.resource) }
    }
}

/// Whether a capability may read the logs of Falco's pods.
pub(super) fn reads_falco(capability: &Capability) -> bool {
    match capability {
        Capability::EventsRead(scope) => scope.allow.iter().any(|rule| names_collector(rule, "kubernetes.falco")),
        _ => false,
    }
}

/// Those of the kinds that a rule's resource may be.
fn matching<'a>(resource: &NamePattern, kinds: &[&'a str]) -> Vec<&'a str> {
    kinds.iter().copied().filter(|kind| resource.matches(kind, &Variables::default())).collect()
}
