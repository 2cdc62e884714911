//! The experiment file: a hypothesis, one technique, and the links expected to notice it.

use foil_collector::audit::RuleRequest;
use foil_manifest::{ShieldLevel, TiedBy};
use foil_record::{Hop, Outcome, Severity};
use foil_text::Shown as _;
use foil_yaml::Span;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The longest experiment file that is read, in bytes.
pub const MAX_EXPERIMENT: usize = 1 << 20;

/// A hypothesis about a detection chain.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Experiment {
    /// Its name. A step of a campaign has the step's.
    #[serde(default, rename = "experiment", deserialize_with = "plain_name")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,80}$"))]
    pub name: String,
    /// What is believed, in a sentence.
    #[serde(default)]
    pub hypothesis: String,
    /// The technique: an id, an alias, or a path to a `.wasm`.
    pub technique: String,
    /// Its parameters.
    #[serde(default)]
    pub with: BTreeMap<String, serde_json::Value>,
    /// The shield; the technique's preferred one where none is given.
    #[serde(default)]
    pub shield: Option<ShieldLevel>,
    /// What is expected to notice, in the chain's order.
    #[serde(default)]
    pub expect: Vec<Link>,
    /// How the kernel's audit stream is listened to.
    #[serde(default)]
    pub audit: Audit,
    /// Files and folders of Sigma rules, beside those of `foil.yaml`; relative to this file.
    #[serde(default)]
    pub rules: Vec<PathBuf>,
    /// Runs, each of its own, before a miss is believed: 1 to 10. A pass on a later one is `flaky`.
    #[serde(default)]
    pub attempts: Attempts,
    /// The benign twin, which must raise nothing behind `telemetry`.
    #[serde(default, deserialize_with = "said")]
    pub control: Option<Control>,
    /// How long what the technique did stays.
    #[serde(default)]
    pub hold: Hold,
    /// What is to happen to the technique.
    #[serde(default)]
    pub outcome: Outcome,
    /// The weakest tie between an event and the run that counts, for every link.
    #[serde(default)]
    pub tied_by: Option<TiedBy>,
}

/// What a technique is expected to raise where no experiment says it: `default` in `foil.yaml`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expectations {
    /// What is expected to notice, in the chain's order.
    #[serde(default)]
    pub expect: Vec<Link>,
    /// How the kernel's audit stream is listened to.
    #[serde(default)]
    pub audit: Audit,
}

impl Expectations {
    /// The experiment that a technique by itself is.
    pub fn of(&self, technique: &str) -> Experiment {
        let Self { expect, audit } = self.clone();
        let technique = technique.to_owned();
        Experiment { name: technique.replace('/', "-"), technique, expect, audit, ..Experiment::default() }
    }
}

/// How often a miss is tried again: 1 to 10 runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "u32")]
pub struct Attempts(#[schemars(range(min = 1, max = 10))] pub u32);

impl Default for Attempts {
    fn default() -> Self {
        Self(1)
    }
}

impl TryFrom<u32> for Attempts {
    type Error = String;

    fn try_from(number: u32) -> Result<Self, String> {
        if (1..=10).contains(&number) {
            Ok(Self(number))
        } else {
            Err(format!("`attempts` is {number}; it must be 1 to 10"))
        }
    }
}

/// A key with nothing behind it is a mistake: `control:` was meant as one.
fn said<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// The benign twin.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Control {
    /// Parameters that differ from the technique's own `with`. `dry` (`true` where it is not given) is no parameter: it asks
    /// the technique to do all but what a sensor should notice.
    #[serde(default)]
    pub with: BTreeMap<String, serde_json::Value>,
}

impl Control {
    /// Whether the technique is asked for its benign twin.
    pub fn dry(&self) -> bool {
        self.with.get("dry").is_none_or(|dry| dry == &serde_json::Value::Bool(true))
    }

    /// The twin's parameters: the experiment's own, and what differs.
    pub fn parameters(
        &self,
        own: &BTreeMap<String, serde_json::Value>,
    ) -> Result<BTreeMap<String, serde_json::Value>, String> {
        if let Some(dry) = self.with.get("dry").filter(|dry| !dry.is_boolean()) {
            return Err(format!("`control: with: dry` is {dry}; it is true or false"));
        }
        let mut all = own.clone();
        all.extend(self.with.iter().filter(|(name, _)| *name != "dry").map(|(n, v)| (n.clone(), v.clone())));
        Ok(all)
    }
}

/// How long what the technique did stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Hold {
    /// It is undone as soon as the technique has ended.
    #[default]
    No,
    /// It is undone once the links are settled: for sensors that look at how things are, and not at what happens.
    Verdict,
}

/// How the kernel's audit stream is listened to.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Audit {
    /// Rules that Foil installs itself, where no audit daemon runs. The links they feed are marked `own rules`: they prove
    /// that the kernel can see the technique, not that the operator's sensor does.
    #[serde(default)]
    pub own_rules: Option<RuleRequest>,
}

/// A hop of the detection chain.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Link {
    /// Which hop.
    pub link: Hop,
    /// The check that looks: an id, an alias, or a path to a `.wasm`.
    pub check: String,
    /// Its parameters.
    #[serde(default)]
    pub with: BTreeMap<String, serde_json::Value>,
    /// From the moment of detonation.
    pub within: Span,
    /// The least severity that somebody reads: a sighting below it is `weak`. Words of Sigma, Falco, syslog and most SIEMs.
    #[serde(default)]
    pub min_severity: Option<Severity>,
    /// The weakest tie between an event and the run that counts.
    #[serde(default)]
    pub tied_by: Option<TiedBy>,
    /// How much longer it is waited for, to tell `late` from `missed`: a fifth of `within`, at least a second, where not given.
    #[serde(default)]
    pub grace: Option<Span>,
}

impl Link {
    /// How long after the detonation it counts as seen.
    pub fn within(&self) -> Duration {
        self.within.duration()
    }

    /// How much longer it is waited for.
    pub fn grace(&self) -> Duration {
        let default = || (self.within.duration() / 5).max(Duration::from_secs(1));
        self.grace.map_or_else(default, Span::duration)
    }
}

/// Reads an experiment. Errors begin with `line:column: `; unknown and duplicate keys are errors.
pub fn parse(text: &str) -> Result<Experiment, String> {
    let read: Experiment = foil_yaml::parse_reviewed(text)?;
    if read.name.is_empty() {
        return Err(format!(
            "{}: `experiment` is missing: it is the name, 1 to 80 letters, digits, dashes, dots or underscores",
            foil_yaml::beginning(text)
        ));
    }
    Ok(read)
}

/// A name that fits into a file name, a label and a line.
pub(super) fn plain_name<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if (1..=80).contains(&name.len()) && name.chars().all(plain) {
        return Ok(name);
    }
    let name = name.shown();
    Err(serde::de::Error::custom(format!(
        "the name `{name}` must be 1 to 80 letters, digits, dashes, dots or underscores"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
experiment: delete
technique: linux.file-delete
with: { count: 3 }
expect:
  - link: telemetry
    check: linux.audit-event
    with: { event: unlinkat }
    within: 10s
";

    #[test]
    fn a_file_is_read() {
        let experiment = parse(GOOD).expect("valid");
        let link = experiment.expect.first().expect("one link");
        assert_eq!((link.within(), link.grace()), (Duration::from_secs(10), Duration::from_secs(2)));
        assert_eq!(experiment.with.get("count"), Some(&3.into()));
    }

    #[test]
    fn errors_name_the_line() {
        for (bad, line, word) in [
            (GOOD.replace("within: 10s", "within: soon"), 9, "soon"),
            (GOOD.replace("link: telemetry", "link: vibes"), 6, "vibes"),
            (GOOD.replace("experiment: delete", "experiment: ''"), 2, "1 to 80"),
            (GOOD.replace("experiment: delete", "experiment: a/b"), 2, "a/b"),
            (format!("{GOOD}unknown: 1\n"), 10, "unknown"),
            (format!("{GOOD}technique: linux.other\n"), 10, "technique"),
            (GOOD.replace("with: { count: 3 }", "with: { count: 3"), 5, ""),
        ] {
            let error = parse(&bad).expect_err(&bad);
            assert!(error.starts_with(&format!("{line}:")) && error.contains(word), "{line} {word}: {error}");
        }
    }

    #[test]
    fn alias_bombs_end() {
        let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
        for i in 1..12 {
            let refs = vec![format!("*a{}", i - 1); 10].join(",");
            bomb.push_str(&format!("a{i}: &a{i} [{refs}]\n"));
        }
        assert!(parse(&bomb).is_err());
    }
}
