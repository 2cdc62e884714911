//! The manifest itself: `technique.toml` or `check.toml` in a module's folder, canonical JSON inside the module.

use crate::capability::{Capability, CapabilityName};
use crate::digest::Digest;
use crate::hidden;
use crate::ids::{AttackId, ModuleId};
use crate::parameter::Parameter;
use crate::tie::TiedBy;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The longest manifest that is read, in bytes. A manifest is read by people; nothing real comes near.
pub const MAX_MANIFEST: usize = 256 * 1024;

/// What a module does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Acts.
    Technique,
    /// Looks.
    Check,
}

impl Kind {
    /// The file that holds such a module's manifest.
    pub fn file_name(self) -> &'static str {
        match self {
            Self::Technique => "technique.toml",
            Self::Check => "check.toml",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Technique => "technique",
            Self::Check => "check",
        })
    }
}

/// How deep a module's effects go, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Changes nothing.
    ReadOnly,
    /// Changes what the journal can restore.
    Reversible,
    /// Changes what only an overlay can throw away.
    Destructive,
}

impl fmt::Display for Impact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::ReadOnly => "read-only",
            Self::Reversible => "reversible",
            Self::Destructive => "destructive",
        })
    }
}

/// What holds a run's child processes (see `docs/shield.md`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ShieldLevel {
    /// Namespaces, Landlock, seccomp, rlimits.
    Confined,
    /// As root: everything that is written vanishes with the namespace.
    Overlay,
    /// Nothing. Granted by name only.
    Open,
}

impl ShieldLevel {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Confined, Self::Overlay, Self::Open];
}

impl fmt::Display for ShieldLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Confined => "confined",
            Self::Overlay => "overlay",
            Self::Open => "open",
        })
    }
}

/// Limits of one phase. `None`: the next layer's, and in the end the host's default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Wall time of a phase, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Time that the guest itself computes, in milliseconds, to the tick of 10 ms.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// All memories and tables of all instances together, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Host calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_calls: Option<u64>,
    /// Output of children that is kept, in bytes a stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<u64>,
    /// Log lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_lines: Option<u64>,
    /// Programs started by `exec`, and processes alive at once below them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub children: Option<u64>,
    /// Elements of all tables together.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table_entries: Option<u64>,
    /// Address space of each child, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_memory: Option<u64>,
    /// The largest file that a child may write, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub child_file: Option<u64>,
    /// What a run may write in its overlay, which is in the machine's memory, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<u64>,
}

/// What a module says of itself and asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// Technique or check. In TOML the file's name says it.
    pub kind: Kind,
    /// The module's id.
    pub id: ModuleId,
    /// Other names that it is known by, such as Stratus Red Team's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(with = "Vec<ModuleId>")]
    pub aliases: Vec<String>,
    /// One line of 1 to 120 bytes.
    #[schemars(length(min = 1, max = 120))]
    pub title: String,
    /// What it does, for whoever decides to run it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// ATT&CK ids; at least one for a technique.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attack: Vec<AttackId>,
    /// How deep its effects go. A check is `read-only`.
    pub impact: Impact,
    /// Running it twice does the same as once.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub idempotent: bool,
    /// Sensors' rules and events that should notice it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<String>,
    /// For a check: the kinds of events that it looks for in the inbox, such as `falco`. What was lost of other kinds does not count.
    /// Empty: any, or the one that a parameter names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<String>,
    /// Shield levels that it works in, preferred first. Empty: `confined`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shield: Vec<ShieldLevel>,
    /// It needs root on the target.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub root: bool,
    /// Programs that must exist on the target; one missing makes the run inconclusive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub programs: Vec<String>,
    /// Parameters by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub parameters: BTreeMap<String, Parameter>,
    /// Parameters of which an experiment must give at least one: without any, a check would match everything.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub one_of: Vec<String>,
    /// The facts that a technique may report, by name, with what each is. A later step of a campaign uses them as `{step.fact}`.
    /// Left out, the technique does not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facts: Option<BTreeMap<String, String>>,
    /// What it asks for.
    #[serde(default, rename = "capability", skip_serializing_if = "Vec::is_empty")]
    pub capabilities: Vec<Capability>,
    /// Of a check: the weakest tie between an event and the run with which the event is handed to it. An experiment and `foil.yaml`
    /// can only ask for more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tied_by: Option<TiedBy>,
    /// Limits that it wants; the host's defaults bound them.
    #[serde(default, skip_serializing_if = "is_default")]
    pub limits: Limits,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A manifest that cannot be used; the text says which rule it breaks and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ManifestError(pub String);

impl Manifest {
    /// Reads `technique.toml` or `check.toml`; errors name the line and column.
    pub fn from_toml(text: &str, kind: Kind) -> Result<Self, ManifestError> {
        let located = |error: &toml::de::Error, added: usize| ManifestError(locate(error, text, kind, added));
        let mut table: toml::Table = toml::from_str(text).map_err(|e| located(&e, 0))?;
        if table.insert("kind".to_owned(), kind.to_string().into()).is_some() {
            return Err(ManifestError(format!("{}: unknown key `kind`: the file's name says it", kind.file_name())));
        }
        if let Some(why) = hidden(text, &table) {
            return Err(ManifestError(format!("{}{why}", kind.file_name())));
        }
        // A second pass over the text, ours before theirs, keeps line and column in the error.
        let ours = format!("kind = \"{kind}\"\n");
        let manifest: Self = toml::from_str(&format!("{ours}{text}")).map_err(|e| located(&e, ours.len()))?;
        manifest.check().map_err(|e| ManifestError(format!("{}: {e}", kind.file_name())))?;
        // Said to the author, not to whoever loads the module.
        let bytes = manifest.to_canonical_json().len();
        if bytes > MAX_MANIFEST {
            return Err(ManifestError(format!(
                "{}: inside the module it would have {bytes} bytes, more than {MAX_MANIFEST}",
                kind.file_name()
            )));
        }
        Ok(manifest)
    }

    /// Reads the canonical JSON of a module's section. Anything but the canonical form is refused, so that what was
    /// hashed, shown and granted is one text.
    pub fn from_canonical_json(bytes: &[u8]) -> Result<Self, ManifestError> {
        if bytes.len() > MAX_MANIFEST {
            return Err(ManifestError(format!("the manifest has {} bytes, more than {MAX_MANIFEST}", bytes.len())));
        }
        let manifest: Self = serde_json::from_slice(bytes).map_err(|error| {
            // An id with such a character in it is none, and the sentence about that would not name the field.
            let hidden = serde_json::from_slice(bytes).ok().and_then(|value| hidden::find(&value));
            ManifestError(hidden.map_or_else(|| format!("the manifest is malformed: {error}"), |(why, _)| why))
        })?;
        manifest.check()?;
        if manifest.to_canonical_json() != bytes {
            return Err(ManifestError("the manifest is not in canonical form: foil build writes it so".into()));
        }
        Ok(manifest)
    }

    /// Canonical JSON: fields in the order of their declaration, maps sorted, no white space, defaults left out.
    pub fn to_canonical_json(&self) -> Vec<u8> {
        // Serialising this type cannot fail: all map keys are strings and there is no custom code.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// The shield levels it works in, preferred first.
    pub fn shields(&self) -> &[ShieldLevel] {
        if self.shield.is_empty() { &[ShieldLevel::Confined] } else { &self.shield }
    }

    /// The request for one capability.
    pub fn request(&self, name: CapabilityName) -> Option<&Capability> {
        self.capabilities.iter().find(|c| c.name() == name)
    }

    /// The hash of all that a reviewer judges, for modules whose bytes the binary vouches for: the imports, the
    /// requests, the shields, the impact; not the code, titles or expectations.
    pub fn judged(&self, imports: &BTreeSet<String>) -> Digest {
        let judged = serde_json::json!({
            "id": self.id, "kind": self.kind, "impact": self.impact, "shield": self.shields(), "root": self.root,
            "capabilities": self.capabilities, "limits": self.limits, "imports": imports,
        });
        Digest::of(judged.to_string().as_bytes())
    }

    /// The same, if it breaks no rule: for manifests that were made, and not read.
    ///
    /// # Errors
    /// As of [`Manifest::from_toml`], without a place.
    pub fn checked(self) -> Result<Self, ManifestError> {
        self.check().map(|()| self)
    }

    fn check(&self) -> Result<(), ManifestError> {
        let fail = |text: String| Err(ManifestError(format!("{}: {text}", self.id)));
        if self.title.trim().is_empty() || self.title.len() > 120 || self.title.chars().any(char::is_control) {
            return fail("`title` must be one line of 1 to 120 bytes".into());
        }
        match self.kind {
            Kind::Technique if self.attack.is_empty() => {
                return fail("`attack` must name at least one ATT&CK id".into());
            }
            Kind::Technique if self.tied_by.is_some() => {
                return fail("`tied-by` is for checks: a technique is handed no events".into());
            }
            Kind::Check if self.impact != Impact::ReadOnly => {
                return fail("a check looks and cannot act: `impact` must be \"read-only\"".into());
            }
            _ => {}
        }
        if let Some((why, _)) = hidden::find(&serde_json::to_value(self).unwrap_or_default()) {
            return fail(why);
        }
        let mut names = BTreeSet::from([self.id.as_str()]);
        for alias in &self.aliases {
            match alias.parse::<ModuleId>() {
                Err(error) if !is_guid(alias) => return fail(format!("alias: {error}")),
                _ => {}
            }
            if !names.insert(alias) {
                return fail(format!("alias `{alias}` is there twice, or is the id itself"));
            }
        }
        let mut seen = BTreeSet::new();
        for capability in &self.capabilities {
            let name = capability.name();
            if !seen.insert(name) {
                return fail(format!("`{name}` is requested twice: put its scopes into one request"));
            }
            if capability.reason().trim().is_empty() {
                return fail(format!("the request for `{name}` needs a `reason`, which a reviewer reads"));
            }
            let belongs = match self.kind {
                Kind::Technique => name != CapabilityName::EventsRead,
                Kind::Check => {
                    matches!(name, CapabilityName::EventsRead | CapabilityName::FilesRead | CapabilityName::KubeRead)
                }
            };
            if !belongs {
                return fail(format!("a {} cannot ask for `{name}`", self.kind));
            }
            let changes = matches!(name, CapabilityName::FilesWrite | CapabilityName::KubeWrite);
            if changes && self.impact == Impact::ReadOnly {
                return fail(format!("it asks for `{name}`, so its `impact` cannot be \"read-only\""));
            }
            if let Err(why) = capability.kube_rules().iter().try_for_each(|rule| rule.check(name)) {
                return fail(why);
            }
        }
        for (name, parameter) in &self.parameters {
            // Imported tests keep their authors' names.
            let imported = |c: char| self.id.platform() == "atomic" && (c.is_ascii_uppercase() || c == '_');
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || imported(c);
            if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
                return fail(format!("parameter `{name}`: use lower-case letters, digits and dashes"));
            }
            if let Err(why) = parameter.check_declaration() {
                return fail(format!("parameter `{name}`: {why}"));
            }
        }
        if let Some(name) = self.one_of.iter().find(|name| !self.parameters.contains_key(*name)) {
            return fail(format!("`one-of` names the parameter `{name}`, which there is not"));
        }
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let malformed = |name: &&String| name.is_empty() || name.len() > 64 || !name.chars().all(plain);
        match self.facts.iter().flat_map(BTreeMap::keys).find(malformed) {
            Some(name) => return fail(format!("fact `{name}`: use letters, digits, dashes and underscores")),
            None if self.kind == Kind::Check && self.facts.is_some() => {
                return fail("`facts` are what a technique reports; a check has none".into());
            }
            None => {}
        }
        Ok(())
    }
}

/// What a file's text hides from its reviewer, with its place: in a field, or in a comment.
fn hidden(text: &str, table: &toml::Table) -> Option<String> {
    let place = |c: char| text.find(c).map(|at| format!(":{}", foil_text::place(text, at))).unwrap_or_default();
    match hidden::find(&serde_json::to_value(table).unwrap_or_default()) {
        Some((why, c)) => Some(format!("{}: {why}", place(c))),
        None => foil_text::first_deceiving(text).map(|(place, c)| {
            format!(":{place}: there is the invisible character {c}, which deceives whoever reviews it: take it out")
        }),
    }
}

/// The error's text with the line and column that the author sees; `added` bytes were put before theirs.
fn locate(error: &toml::de::Error, text: &str, kind: Kind, added: usize) -> String {
    let place = error.span().map(|span| format!(":{}", foil_text::place(text, span.start.saturating_sub(added))));
    format!("{}{}: {}", kind.file_name(), place.unwrap_or_default(), foil_text::one_line(error.message()))
}

/// An id by which imported tests are known elsewhere: a UUID in lower case.
fn is_guid(text: &str) -> bool {
    let hex = |part: &str| part.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'a'..=b'f'));
    text.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && text.split('-').all(hex)
}
