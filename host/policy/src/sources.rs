//! What `foil.yaml` says of the operator's sensors: plain data, which collectors are made of.

use foil_text::Shown as _;
use foil_yaml::Span;
use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The largest that a pattern may become once it is compiled, in bytes: `(\w{1000}){1000}` is short to write.
const MAX_PATTERN: usize = 1 << 20;

/// A log that is followed: the collector `file.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FileSource {
    /// Its path; relative to `foil.yaml`.
    pub path: String,
    /// How a line becomes an event.
    #[serde(default)]
    pub format: FileFormat,
    /// For `regex`: the named groups are the event's fields; a line that does not match is none.
    #[serde(default)]
    pub pattern: Option<String>,
    /// The field that holds the event's time (RFC 3339, or seconds, milliseconds, microseconds or nanoseconds since 1970); the
    /// usual names are tried where none is given, and then it is the moment at which the line was read.
    #[serde(default)]
    pub time: Option<String>,
    /// How a canary is made, which the sensor must notice while it is alive. Where nothing is said: Falco's for links that look for its
    /// alerts, else none.
    #[serde(default)]
    pub canary: Option<CanarySource>,
    /// Where the sensor says whether it is well: an `http://` address of this machine or of a private network.
    #[serde(default)]
    pub healthz: Option<String>,
}

/// How a feed's sensor is shown to be alive.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct SensorSource {
    /// How a canary is made, which the sensor must notice while it is alive.
    #[serde(default)]
    pub canary: Option<CanarySource>,
    /// Where the sensor says whether it is well: an `http://` address of this machine or of a private network.
    #[serde(default)]
    pub healthz: Option<String>,
}

/// A harmless event that a sensor must notice: one of Foil's (`make`), or what a program of the operator's does (`command`).
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
#[schemars(extend("oneOf" = [{ "required": ["make"] }, { "required": ["command"] }]))]
pub struct CanarySource {
    /// One of Foil's own.
    #[serde(default)]
    pub make: Option<CanaryMaker>,
    /// A program and its arguments, run in the shield; `{run}` stands for the canary's run id.
    #[serde(default)]
    pub command: Vec<String>,
    /// For a `command`: what fields of its event are, as patterns. Needed where the event names neither the process nor its run.
    #[serde(default, rename = "match")]
    pub fields: BTreeMap<String, String>,
    /// How long the event may take to come; 3 s where nothing is said.
    #[serde(default)]
    pub within: Option<Span>,
}

/// A canary of Foil's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CanaryMaker {
    /// A program that Falco's stock rule `Read sensitive file untrusted` notices.
    Falco,
    /// A message to the kernel's audit system, which an audit daemon writes down whatever its rules say.
    Audit,
    /// None: a miss is believed without one.
    None,
}

impl CanarySource {
    /// # Errors
    /// A sentence: what does not go together.
    pub fn check(&self) -> Result<(), String> {
        let program = self.command.first();
        match (self.make, program) {
            (Some(_), Some(_)) => Err("`canary` has `make` and `command`: give one of them".to_owned()),
            (None, None) => Err("`canary` needs `make: falco`, `audit` or `none`, or a `command`".to_owned()),
            (Some(_), None) if !self.fields.is_empty() => Err("`match` of `canary` is for a `command` only".to_owned()),
            (None, Some(program)) if !program.starts_with('/') => {
                Err(format!("`command` of `canary` begins with `{}`, which is not an absolute path", program.shown()))
            }
            _ => Ok(()),
        }
    }
}

impl SensorSource {
    /// # Errors
    /// A sentence: what cannot be used.
    pub fn check(&self) -> Result<(), String> {
        self.canary.as_ref().map_or(Ok(()), CanarySource::check)?;
        let Some(url) = &self.healthz else { return Ok(()) };
        let uri: http::Uri = url.parse().map_err(|_| format!("`healthz: {}` is not a URL", url.shown()))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(format!(
                "`healthz: {}` is not an http:// address, such as http://127.0.0.1:8765/healthz",
                url.shown()
            ));
        }
        Ok(())
    }
}

impl FileSource {
    /// How its sensor is shown to be alive.
    pub fn sensor(&self) -> SensorSource {
        SensorSource { canary: self.canary.clone(), healthz: self.healthz.clone() }
    }

    /// The pattern, ready to match; `None` where there is none.
    ///
    /// # Errors
    /// A sentence: it is malformed, or too large.
    pub fn regex(&self) -> Result<Option<Regex>, String> {
        let build = |pattern: &String| RegexBuilder::new(pattern).size_limit(MAX_PATTERN).build();
        self.pattern.as_ref().map(build).transpose().map_err(|error| {
            let shown = error.to_string();
            // The last line says what is wrong; those above draw it.
            let why = shown.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("`pattern` of {} is no regular expression that can be used: {why}", self.path)
        })
    }
}

impl FileSource {
    /// The named groups of its pattern, which are the fields of its events.
    pub fn groups(&self) -> std::collections::BTreeSet<String> {
        let pattern = self.regex().ok().flatten();
        pattern.iter().flat_map(Regex::capture_names).flatten().map(str::to_owned).collect()
    }
}

/// How a line of a followed log becomes an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileFormat {
    /// One JSON object a line; nested names are joined by dots.
    #[default]
    Json,
    /// A regular expression with named groups.
    Regex,
    /// The line itself is the field `line`.
    Text,
}

/// Where sensors push events to: the collector `inbox`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InboxSource {
    /// Address and port; loopback only, unless `token-file` is given.
    pub listen: String,
    /// A file whose first line senders give as `Authorization: Bearer …` or as the last part of the path.
    #[serde(default)]
    pub token_file: Option<String>,
    /// How senders are shown to be alive, by the kind of their events: `falco`, `alertmanager`, `kubernetes-audit`, `event`.
    #[serde(default)]
    pub senders: BTreeMap<String, SensorSource>,
}

/// The operator's sensors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sources {
    /// Followed logs by name: `falco` is the collector `file.falco`.
    pub files: BTreeMap<String, FileSource>,
    /// The inbox.
    pub inbox: Option<InboxSource>,
    /// Files and folders of Sigma rules: the collector `rules`.
    pub rules: Vec<String>,
}

impl Sources {
    /// Some canary is a program of the operator's.
    pub fn has_commands(&self) -> bool {
        let files = self.files.values().filter_map(|file| file.canary.as_ref());
        let senders = self.inbox.iter().flat_map(|inbox| inbox.senders.values()).filter_map(|s| s.canary.as_ref());
        files.chain(senders).any(|canary| !canary.command.is_empty())
    }
}
