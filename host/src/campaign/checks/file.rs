//! The file of an experiment of checks only.

use crate::campaign::experiment::{Link, plain_name};
use schemars::JsonSchema;
use serde::Deserialize;
use std::path::PathBuf;

/// The file: a hypothesis and the links that are looked at.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Checks {
    /// Its name.
    #[serde(rename = "experiment", deserialize_with = "plain_name")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,80}$"))]
    pub name: String,
    /// What is believed, in a sentence.
    #[serde(default)]
    pub hypothesis: String,
    /// What is looked at, each `within` from the moment that the looking begins.
    #[schemars(length(min = 1))]
    pub expect: Vec<Link>,
    /// Files and folders of Sigma rules, beside those of `foil.yaml`; relative to this file.
    #[serde(default)]
    pub rules: Vec<PathBuf>,
}

/// Reads one. Errors begin with `line:column: `.
pub fn parse(text: &str) -> Result<Checks, String> {
    let read: Checks = foil_yaml::parse_reviewed(text)
        .map_err(|error| format!("{error} (without `technique`, an experiment has checks only)"))?;
    if read.expect.is_empty() {
        let at = foil_yaml::beginning(text);
        return Err(format!("{at}: the experiment has neither a `technique` nor a link under `expect`: add one"));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "experiment: coverage
expect:
  - link: telemetry
    check: falco.coverage
    within: 5s
";

    #[test]
    fn links_alone_are_an_experiment() {
        let checks = parse(GOOD).expect("valid");
        assert_eq!((checks.name.as_str(), checks.expect.len()), ("coverage", 1));
    }

    #[test]
    fn what_belongs_to_a_technique_has_no_place_here() {
        for (bad, at, word) in [
            (format!("{GOOD}with: {{ a: 1 }}\n"), "6:1", "with"),
            (format!("{GOOD}attempts: 3\n"), "6:1", "attempts"),
            (format!("{GOOD}teknique: linux.file-delete\n"), "6:1", "technique"),
            ("experiment: coverage\nexpect: []\n".into(), "1:1", "neither a `technique` nor a link"),
            ("experiment: coverage\n".into(), "1:1", "expect"),
            (GOOD.replace("experiment: coverage", "experiment: a b"), "1:13", "1 to 80"),
        ] {
            let error = parse(&bad).expect_err(&bad);
            assert!(error.starts_with(at) && error.contains(word), "{at} {word}: {error}");
        }
    }
}
