//! What of a Kubernetes cluster may be asked: rules of the capabilities `kube-read`, `kube-write` and `kube-exec`.

mod call;
mod pod;
#[cfg(test)]
mod tests;

pub use call::{KubeCall, Mismatch};

use crate::capability::CapabilityName;
use crate::pattern::{CommandPattern, NamePattern, PathPattern};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a call does. Each is one function of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KubeVerb {
    /// `kube-read`: one object by its name; waiting for it too.
    Get,
    /// `kube-read`: all objects of a kind.
    List,
    /// `kube-read`: a GET through a node, pod or service.
    Proxy,
    /// `kube-write`: a new object.
    Create,
    /// `kube-write`: changes of an object.
    Patch,
    /// `kube-write`: deletes what this run made.
    Delete,
    /// `kube-write`: approves a certificate signing request of this run's.
    Approve,
    /// `kube-write`: a service account's token, which the host throws away.
    Token,
    /// `kube-exec`: a program in a container.
    Exec,
    /// `kube-exec`: what a container wrote.
    Logs,
}

impl KubeVerb {
    /// The capability that it belongs to.
    pub fn capability(self) -> CapabilityName {
        match self {
            Self::Get | Self::List | Self::Proxy => CapabilityName::KubeRead,
            Self::Create | Self::Patch | Self::Delete | Self::Approve | Self::Token => CapabilityName::KubeWrite,
            Self::Exec | Self::Logs => CapabilityName::KubeExec,
        }
    }

    /// The word in a rule.
    pub fn word(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Proxy => "proxy",
            Self::Create => "create",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::Approve => "approve",
            Self::Token => "token",
            Self::Exec => "exec",
            Self::Logs => "logs",
        }
    }
}

impl fmt::Display for KubeVerb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl std::str::FromStr for KubeVerb {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        serde_json::from_value(text.into()).map_err(|_| format!("`{text}` is no verb of a Kubernetes capability"))
    }
}

/// What a cluster may be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KubeScope {
    /// Rules; a call is allowed where one of them allows all of it.
    pub allow: Vec<KubeRule>,
    /// Why; required in a manifest, pointless in a grant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

/// One rule. Every field is a pattern that the call must match.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct KubeRule {
    /// What may be done.
    #[schemars(length(min = 1))]
    pub verbs: Vec<KubeVerb>,
    /// The API group; the core group where it is left out.
    #[serde(default, skip_serializing_if = "NamePattern::is_empty")]
    pub group: NamePattern,
    /// The group's version; any where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<NamePattern>,
    /// The plural, such as `pods`.
    pub resource: NamePattern,
    /// The subresource; none, that is the object itself, where it is left out. `proxy`, `exec`, `log`, `token` and `approval` are
    /// said by the verb.
    #[serde(default, skip_serializing_if = "NamePattern::is_empty")]
    pub subresource: NamePattern,
    /// The namespace. Left out: objects of no namespace, and lists over all namespaces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<NamePattern>,
    /// The object's name; any where it is left out. A rule with a name allows no list, which would show the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<NamePattern>,
    /// For `proxy`: the path behind it, with its query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<NamePattern>,
    /// For `exec`: programs and arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<CommandPattern>,
    /// For what makes pods (`pods`, `deployments`, `jobs` …): what these may be. Nothing special, and no image, where it is left
    /// out.
    #[serde(default, skip_serializing_if = "is_default")]
    pub pod: PodScope,
}

/// What a pod may be. Each field that is left out allows none of it. Names as in a pod's specification, and as the Pod Security
/// Standards judge them (<https://kubernetes.io/docs/concepts/security/pod-security-standards/>).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PodScope {
    /// Images.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<NamePattern>,
    /// Containers may be `privileged`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub privileged: bool,
    /// `hostNetwork`.
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_network: bool,
    /// `hostPID`.
    #[serde(default, rename = "host-pid", skip_serializing_if = "is_default")]
    pub host_pid: bool,
    /// `hostIPC`.
    #[serde(default, rename = "host-ipc", skip_serializing_if = "is_default")]
    pub host_ipc: bool,
    /// Containers may take ports of the node (`hostPort`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub host_ports: bool,
    /// Paths of the node that may be mounted (`hostPath`), each read-only unless it is among `host-paths-writable` too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_paths: Vec<PathPattern>,
    /// Paths of the node that may be mounted so that the pod can write to them: what it writes is not undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub host_paths_writable: Vec<PathPattern>,
    /// Capabilities that may be added, such as `SYS_PTRACE`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<NamePattern>,
    /// Service accounts whose token the pod may have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub service_accounts: Vec<NamePattern>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl KubeRule {
    /// What is wrong with it as a rule of this capability.
    ///
    /// # Errors
    /// A sentence.
    pub fn check(&self, capability: CapabilityName) -> Result<(), String> {
        let fail = |why: String| Err(format!("`{capability}`: the rule \"{self}\": {why}"));
        let Some(first) = self.verbs.first() else { return fail("`verbs` lists none".into()) };
        if let Some(stranger) = self.verbs.iter().find(|verb| verb.capability() != capability) {
            return fail(format!("`{stranger}` belongs to `{}`", stranger.capability()));
        }
        if self.resource.is_empty() {
            return fail("`resource` is empty".into());
        }
        let only = |verb: KubeVerb| self.verbs.len() == 1 && *first == verb;
        if self.path.is_some() && !only(KubeVerb::Proxy) {
            return fail("`path` is for a rule with the verb `proxy` alone".into());
        }
        if !self.commands.is_empty() && !self.verbs.contains(&KubeVerb::Exec) {
            return fail("`commands` is for the verb `exec`".into());
        }
        if self.verbs.contains(&KubeVerb::List) && self.name.is_some() {
            return fail("a list shows all names, so `list` and `name` exclude each other".into());
        }
        let makes = |verb: &KubeVerb| matches!(verb, KubeVerb::Create | KubeVerb::Patch);
        if self.pod != PodScope::default() && !self.verbs.iter().any(makes) {
            return fail("`pod` is for the verbs `create` and `patch`".into());
        }
        Ok(())
    }
}

impl fmt::Display for KubeRule {
    /// Such as `create pods in {namespace} named foil-{run}*; pods: images {image}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verbs: Vec<&str> = self.verbs.iter().map(|verb| verb.word()).collect();
        write!(f, "{} {}", verbs.join(", "), self.resource)?;
        if !self.subresource.is_empty() {
            write!(f, "/{}", self.subresource)?;
        }
        if !self.group.is_empty() {
            write!(f, " of {}", self.group)?;
        }
        if let Some(version) = &self.version {
            write!(f, " ({version})")?;
        }
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}")?,
            None => f.write_str(" of the whole cluster")?,
        }
        if let Some(name) = &self.name {
            write!(f, " named {name}")?;
        }
        if let Some(path) = &self.path {
            write!(f, " at {path}")?;
        }
        for command in &self.commands {
            write!(f, "; run {command}")?;
        }
        if self.pod != PodScope::default() {
            write!(f, "; pods: {}", self.pod.words().join(", "))?;
        }
        Ok(())
    }
}

impl PodScope {
    /// What it allows, a phrase each.
    pub fn words(&self) -> Vec<String> {
        let flags = [
            (self.privileged, "privileged"),
            (self.host_network, "the node's network"),
            (self.host_pid, "the node's processes"),
            (self.host_ipc, "the node's shared memory"),
            (self.host_ports, "the node's ports"),
        ];
        let mut words: Vec<String> = flags.iter().filter(|(on, _)| *on).map(|(_, word)| (*word).to_owned()).collect();
        let mut list = |what: &str, values: Vec<String>| {
            if !values.is_empty() {
                words.push(format!("{what} {}", values.join(" ")));
            }
        };
        let paths = |paths: &[PathPattern]| paths.iter().map(ToString::to_string).collect();
        let names = |names: &[NamePattern]| names.iter().map(ToString::to_string).collect();
        list("images", names(&self.images));
        list("the node's files", paths(&self.host_paths));
        list("writes the node's files", paths(&self.host_paths_writable));
        list("capabilities", names(&self.capabilities));
        list("tokens of", names(&self.service_accounts));
        words
    }
}
