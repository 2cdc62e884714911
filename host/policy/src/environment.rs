//! `foil.yaml`: the operator's outer limits for one environment.

use super::cluster::ClusterRule;
use super::denial::Refusal;
use super::limits::check_environment;
use super::paths::check_literal;
use super::permission::exec_scopes;
use super::sources::{FileFormat, FileSource, InboxSource, Sources};
use super::windows::{Blackout, Hours, Windows};
use foil_manifest::pattern::Variables;
use foil_manifest::{Capability, Impact, Limits, PathPattern, ShieldLevel, TiedBy};
use foil_text::{Shown as _, quote};
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};

/// The longest environment file that is read, in bytes.
pub const MAX_FILE: usize = 1 << 20;

/// The most runs that may go on at once. One that acts has a shield and up to 64 children; one that waits costs little.
pub const MAX_PARALLEL: u32 = 10_000;

/// An environment: its name and its guardrails. [`Environment::default`] is what holds where there is no file.
#[derive(Debug, Clone, PartialEq)]
pub struct Environment {
    /// Its name; empty where there is no file.
    pub name: String,
    /// The hosts that Foil may run on; `None`: whichever it is started on.
    pub hosts: Option<Vec<HostRule>>,
    /// The highest impact on the machine itself. A destructive technique in an overlay counts as reversible.
    pub impact: Impact,
    /// Runs at once.
    pub parallel: u32,
    /// The user as whom techniques that need no root run where Foil is root.
    pub run_as: Option<String>,
    /// Shields that may be used.
    pub shield: Vec<ShieldLevel>,
    /// Foil may install kernel audit rules of its own where an experiment asks and no audit daemon runs.
    pub own_audit_rules: bool,
    /// Limits: each replaces the host's default, which nobody else can raise.
    pub limits: Limits,
    /// The capabilities that any module may have at most; `None`: no limit beyond request and grant.
    pub capabilities: Option<Vec<Capability>>,
    /// The operator's sensors. Relative paths in it are relative to `folder`.
    pub sources: Sources,
    /// The Kubernetes cluster that modules may reach; none where it is left out.
    pub cluster: Option<ClusterRule>,
    /// The file; empty where there is none.
    pub file: String,
    /// Its folder; empty where there is none.
    pub folder: String,
    /// When experiments may run.
    pub windows: Windows,
    /// The weakest tie between an event and a run that counts, whatever an experiment says.
    pub tied_by: Option<TiedBy>,
}

impl Default for Environment {
    fn default() -> Self {
        Self {
            name: String::new(),
            hosts: None,
            impact: Impact::Reversible,
            parallel: 1,
            run_as: None,
            shield: vec![ShieldLevel::Confined, ShieldLevel::Overlay],
            own_audit_rules: false,
            limits: Limits::default(),
            capabilities: None,
            sources: Sources::default(),
            cluster: None,
            file: String::new(),
            folder: String::new(),
            windows: Windows::default(),
            tied_by: None,
        }
    }
}

/// A host, by what it says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostRule {
    /// Its `/etc/machine-id`.
    MachineId(String),
    /// Its host name, a pattern without `/`; upper and lower case are the same.
    Name(String),
}

/// `foil.yaml`: the operator's outer limits for one environment, and the sensors. `D`: what it expects of techniques, which is no
/// business of policy's.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File<D> {
    /// Its name.
    #[schemars(with = "String")]
    environment: Spanned<String>,
    /// The hosts that Foil may run on; any where it is left out.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Host>>", length(min = 1))]
    hosts: Option<Spanned<Vec<Spanned<Host>>>>,
    /// The highest impact on the machine itself; `reversible` where it is left out.
    #[serde(default)]
    impact: Option<Impact>,
    /// Runs at once; 1 where it is left out.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1, max = 10_000))]
    parallel: Option<Spanned<u32>>,
    /// The user as whom techniques that need no root run where Foil is root.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    run_as: Option<Spanned<String>>,
    /// Shields that may be used; `confined` and `overlay` where it is left out.
    #[serde(default)]
    #[schemars(with = "Option<Vec<ShieldLevel>>")]
    shield: Option<Spanned<Vec<ShieldLevel>>>,
    /// Experiments may have Foil add audit rules where no audit daemon runs.
    #[serde(default)]
    own_audit_rules: Option<bool>,
    /// Limits: each replaces the host's default.
    #[serde(default)]
    #[schemars(with = "Option<Limits>")]
    limits: Option<Spanned<Limits>>,
    /// What any module may do at most.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Capability>>")]
    capabilities: Option<Spanned<Vec<Capability>>>,
    /// Logs that are followed: `falco` is the collector `file.falco`.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, FileSource>")]
    files: BTreeMap<String, Spanned<FileSource>>,
    /// Where sensors push events to.
    #[serde(default)]
    #[schemars(with = "Option<InboxSource>")]
    inbox: Option<Spanned<InboxSource>>,
    /// Files and folders of Sigma rules.
    #[serde(default)]
    rules: Vec<String>,
    /// The Kubernetes cluster that techniques and checks may reach.
    #[serde(default)]
    #[schemars(with = "Option<ClusterRule>")]
    kubernetes: Option<Spanned<ClusterRule>>,
    /// The weakest tie between an event and a run that counts. An experiment or a link can only ask for more.
    #[serde(default)]
    tied_by: Option<TiedBy>,
    #[serde(default)]
    hours: Vec<Hours>,
    #[serde(default)]
    blackout: Vec<Blackout>,
    /// What a technique is expected to raise where no experiment says it: for `foil calibrate TECHNIQUE`.
    default: Option<D>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [{ "required": ["machine-id"] }, { "required": ["name"] }]))]
struct Host {
    /// Its `/etc/machine-id`.
    #[serde(default)]
    machine_id: Option<String>,
    /// Its host name, or a pattern of it.
    #[serde(default)]
    name: Option<String>,
}

/// Reads an environment file. Errors begin with `line:column: `.
pub fn parse(text: &str) -> Result<Environment, Refusal> {
    parse_with::<serde::de::IgnoredAny>(text).map(|(environment, _)| environment)
}

/// The same, with what is under `default`.
pub fn parse_with<D: DeserializeOwned>(text: &str) -> Result<(Environment, Option<D>), Refusal> {
    if text.len() > MAX_FILE {
        return Err(Refusal(format!("1:1: the file has {} bytes, more than {MAX_FILE}", text.len())));
    }
    let file: File<D> = foil_yaml::parse_reviewed(text).map_err(Refusal)?;
    let default = Environment::default();
    let name = checked(file.environment, |name| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        (!name.is_empty() && name.len() <= 64 && name.chars().all(plain))
            .then_some(())
            .ok_or("`environment` is its name: 1 to 64 letters, digits, dots, dashes".into())
    })?;
    let hosts = file.hosts.map(hosts).transpose()?;
    let parallel = file.parallel.map(|p| {
        checked(p, |p| {
            (1..=MAX_PARALLEL).contains(p).then_some(()).ok_or(format!("`parallel` must be 1 to {MAX_PARALLEL}"))
        })
    });
    let run_as = file.run_as.map(|user| {
        checked(user, |user| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '$');
            (!user.is_empty() && user.len() <= 64 && user.chars().all(plain))
                .then_some(())
                .ok_or("`run-as` is the name of a user".into())
        })
    });
    let shield = file.shield.map(|list| {
        checked(list, |list| {
            (!list.is_empty()).then_some(()).ok_or("`shield` lists no level, so that nothing could run".into())
        })
    });
    let limits = file.limits.map(|l| checked(l, |l| check_environment(l).map_err(|e| e.0)));
    let capabilities = file.capabilities.map(|c| checked(c, |c| check_capabilities(c)));
    let environment = Environment {
        name,
        hosts,
        impact: file.impact.unwrap_or(default.impact),
        parallel: parallel.transpose()?.unwrap_or(default.parallel),
        run_as: run_as.transpose()?,
        shield: shield.transpose()?.unwrap_or(default.shield),
        own_audit_rules: file.own_audit_rules.unwrap_or(default.own_audit_rules),
        limits: limits.transpose()?.unwrap_or_default(),
        capabilities: capabilities.transpose()?,
        sources: Sources {
            files: file.files.into_iter().map(file_source).collect::<Result<_, _>>()?,
            inbox: file.inbox.map(|inbox| checked(inbox, check_inbox)).transpose()?,
            rules: file.rules,
        },
        cluster: file.kubernetes.map(|cluster| checked(cluster, ClusterRule::check)).transpose()?,
        file: String::new(),
        folder: String::new(),
        windows: Windows { hours: file.hours, blackout: file.blackout },
        tied_by: file.tied_by,
    };
    Ok((environment, file.default))
}

fn file_source((name, source): (String, Spanned<FileSource>)) -> Result<(String, FileSource), Refusal> {
    let source = checked(source, |source| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            return Err(format!("`files: {}`: a name is 1 to 40 small letters, digits and dashes", quote(&name)));
        }
        if source.path.is_empty() {
            return Err(format!("`files: {name}`: `path` is empty"));
        }
        match (source.format, &source.pattern) {
            (FileFormat::Regex, None) => {
                return Err(format!("`files: {name}`: the format `regex` needs a `pattern`"));
            }
            (FileFormat::Json | FileFormat::Text, Some(_)) => {
                return Err(format!("`files: {name}`: a `pattern` is for the format `regex` only"));
            }
            _ => source.regex().map(drop).map_err(|why| format!("`files: {name}`: {why}"))?,
        }
        source.sensor().check().map_err(|why| format!("`files: {name}`: {why}"))?;
        let fields = match source.format {
            FileFormat::Json => return Ok(()),
            FileFormat::Text => BTreeSet::new(),
            FileFormat::Regex => source.groups(),
        };
        match source.time.as_ref().filter(|time| !fields.contains(*time)) {
            Some(time) => {
                let hint = foil_text::suggest::hint(time, fields.iter().map(String::as_str));
                let all: Vec<&str> = fields.iter().map(String::as_str).collect();
                let all = if all.is_empty() { "it has none".to_owned() } else { format!("it has {}", all.join(", ")) };
                let time = quote(time);
                Err(format!("`files: {name}`: `time` is {time}, which is no named group of `pattern`{hint}: {all}"))
            }
            None => Ok(()),
        }
    })?;
    Ok((name, source))
}

fn check_inbox(inbox: &InboxSource) -> Result<(), String> {
    let address: std::net::SocketAddr = inbox
        .listen
        .parse()
        .map_err(|_| format!("`listen: {}` is no address and port, such as 127.0.0.1:2801", inbox.listen.shown()))?;
    if !address.ip().is_loopback() && inbox.token_file.is_none() {
        return Err(format!("`listen: {address}` is reached from outside this machine: that takes a `token-file`"));
    }
    const KINDS: [&str; 4] = ["falco", "alertmanager", "kubernetes-audit", "event"];
    for (kind, sensor) in &inbox.senders {
        if !KINDS.contains(&kind.as_str()) {
            return Err(format!("`senders: {}`: the kinds of senders are {}", quote(kind), KINDS.join(", ")));
        }
        sensor.check().map_err(|why| format!("`senders: {kind}`: {why}"))?;
    }
    Ok(())
}

fn checked<T>(value: Spanned<T>, check: impl FnOnce(&T) -> Result<(), String>) -> Result<T, Refusal> {
    let at = value.referenced;
    check(&value.value).map_err(|why| Refusal(format!("{}:{}: {why}", at.line(), at.column())))?;
    Ok(value.value)
}

fn hosts(list: Spanned<Vec<Spanned<Host>>>) -> Result<Vec<HostRule>, Refusal> {
    let list = checked(list, |list| {
        (!list.is_empty())
            .then_some(())
            .ok_or("`hosts` lists none: leave it out to allow whichever host Foil is on".into())
    })?;
    list.into_iter()
        .map(|host| {
            let at = host.referenced;
            rule(host.value).map_err(|why| Refusal(format!("{}:{}: {why}", at.line(), at.column())))
        })
        .collect()
}

fn rule(host: Host) -> Result<HostRule, String> {
    match (host.machine_id, host.name) {
        (Some(id), None) if id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()) => {
            Ok(HostRule::MachineId(id.to_ascii_lowercase()))
        }
        (Some(id), None) => {
            Err(format!("{} is no machine id: 32 hexadecimal digits, as in /etc/machine-id", quote(&id)))
        }
        (None, Some(name)) => {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '*' | '?');
            if name.is_empty() || name.len() > 255 || !name.chars().all(plain) {
                return Err(format!("{} is no host name or pattern of one", quote(&name)));
            }
            Ok(HostRule::Name(name.to_ascii_lowercase()))
        }
        _ => Err("a host is either `machine-id: …` or `name: …`".into()),
    }
}

/// What both grants and guardrails must satisfy, beyond what the types say.
pub(super) fn check_capabilities(list: &[Capability]) -> Result<(), String> {
    let mut seen = BTreeSet::new();
    if let Some(twice) = list.iter().map(Capability::name).find(|name| !seen.insert(*name)) {
        return Err(format!("`{twice}` is there twice: put its scopes into one"));
    }
    for capability in list {
        capability.kube_rules().iter().try_for_each(|rule| rule.check(capability.name()))?;
    }
    exec_scopes(list).flat_map(|s| s.reads.iter().chain(&s.writes)).try_for_each(|path| check_literal(path))
}

impl Environment {
    /// What messages call it.
    pub fn title(&self) -> String {
        if self.name.is_empty() {
            "Foil without a foil.yaml".to_owned()
        } else {
            format!("the environment `{}`", self.name)
        }
    }

    /// Whether Foil may act on this host. Ask before the first effect, with what the host says of itself.
    ///
    /// `machine_id` is the content of `/etc/machine-id`, where there is one; `name` the host name.
    pub fn admits_host(&self, machine_id: Option<&str>, name: &str) -> Result<(), Refusal> {
        let Some(rules) = &self.hosts else { return Ok(()) };
        let name = name.trim().to_ascii_lowercase();
        let id = machine_id.map(|id| id.trim().to_ascii_lowercase());
        let admits = |rule: &HostRule| match rule {
            HostRule::MachineId(wanted) => id.as_ref() == Some(wanted),
            // A host name has no slash, so that the path pattern's star means any characters.
            HostRule::Name(pattern) => {
                !name.contains('/')
                    && format!("/{pattern}")
                        .parse::<PathPattern>()
                        .is_ok_and(|p| p.matches(&format!("/{name}"), &Variables::default()))
            }
        };
        if rules.iter().any(admits) {
            return Ok(());
        }
        let listed: Vec<String> = rules
            .iter()
            .take(5)
            .map(|rule| match rule {
                HostRule::MachineId(id) => format!("machine-id {id}"),
                HostRule::Name(name) => format!("name `{name}`"),
            })
            .collect();
        let more = if rules.len() > 5 { format!(" and {} more", rules.len().saturating_sub(5)) } else { String::new() };
        Err(Refusal(format!(
            "this host ({}, machine id {}) is none of the hosts of {}: it lists {}{more}; run Foil there, or add this host \
             to foil.yaml",
            quote(&name),
            id.as_deref().map_or("unknown".to_owned(), quote),
            self.title(),
            listed.join(", ")
        )))
    }
}

#[cfg(test)]
mod tests;
