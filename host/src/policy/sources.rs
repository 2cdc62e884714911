//! What `foil.yaml` says of the operator's sensors: plain data, which collectors are made of.

use regex::{Regex, RegexBuilder};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The largest that a pattern may become once it is compiled, in bytes: `(\w{1000}){1000}` is short to write.
const MAX_PATTERN: usize = 1 << 20;

/// A log that is followed: the collector `file.NAME`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
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
}

impl FileSource {
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
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct InboxSource {
    /// Address and port; loopback only, unless `token-file` is given.
    pub listen: String,
    /// A file whose first line senders give as `Authorization: Bearer …` or as the last part of the path.
    #[serde(default)]
    pub token_file: Option<String>,
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
