//! Files of other kinds that lie beside experiments, such as `*.yaml` or a folder names with them.

use foil_text::suggest;
use foil_yaml as yaml;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;

/// What such a file is. It is read by whoever names it, and runs nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// An environment, such as `foil.yaml`.
    Environment,
    /// Sigma rules, for `rules` of an experiment.
    SigmaRule,
    /// Rules of Falco.
    FalcoRules,
}

/// Keys of experiments and campaigns that none of the other kinds has.
const OURS: [&str; 6] = ["campaign", "experiment", "technique", "hypothesis", "steps", "expect"];

/// An item of a file of Falco rules has one of these.
const FALCO: [&str; 5] = ["rule", "macro", "list", "required_engine_version", "required_plugin_versions"];

type Keys = BTreeMap<String, IgnoredAny>;

impl Beside {
    /// What a file is. `None`: it is meant for an experiment or a campaign, or nothing tells: a file with a misspelt key must not be
    /// passed over, or its test would not run and nobody would know.
    pub fn of(text: &str) -> Option<Self> {
        let documents = yaml::documents(text).ok()?;
        let maps: Option<Vec<Keys>> = documents.iter().map(|document| yaml::parse(document).ok()).collect();
        if let Some(maps) = maps {
            let has = |key: &str| maps.iter().any(|map| map.contains_key(key));
            return match maps.as_slice() {
                _ if maps.iter().any(is_ours) => None,
                [_] if has("environment") => Some(Self::Environment),
                _ if has("logsource") && has("detection") => Some(Self::SigmaRule),
                _ => None,
            };
        }
        let items: Vec<Vec<Keys>> =
            documents.iter().map(|document| yaml::parse(document).ok()).collect::<Option<_>>()?;
        let mut items = items.iter().flatten().peekable();
        items.peek()?;
        items.all(|item| !is_ours(item) && FALCO.iter().any(|key| item.contains_key(*key))).then_some(Self::FalcoRules)
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Environment => "an environment",
            Self::SigmaRule => "a Sigma rule",
            Self::FalcoRules => "a file of Falco rules",
        }
    }
}

/// Whether a key is, or is nearly, one of an experiment or a campaign.
fn is_ours(keys: &Keys) -> bool {
    keys.keys().any(|key| suggest::nearest(key, OURS).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_known_and_misspelt_ones_are_not_passed_over() {
        let sigma = "title: x\nlogsource: { product: linux }\ndetection: { a: { b: c }, condition: a }\n";
        for (text, is) in [
            ("environment: x\nimpact: reversible\nrules: [a]\nfiles: {}\n", Some(Beside::Environment)),
            (sigma, Some(Beside::SigmaRule)),
            (&format!("# first\n---\n{sigma}---\ncorrelation: {{}}\n"), Some(Beside::SigmaRule)),
            ("- macro: m\n  condition: x\n- rule: r\n  desc: d\n", Some(Beside::FalcoRules)),
            ("- required_engine_version: 0.31.0\n- list: l\n  items: [a]\n", Some(Beside::FalcoRules)),
            ("experiment: x\ntechnique: a.b\n", None),
            ("campaign: x\nsteps: []\n", None),
            ("environment: x\ntechnique: a.b\n", None),
            ("experimnt: x\ntechniqe: a.b\n", None),
            ("environment: x\nexperimnt: y\n", None),
            ("environment: x\nExperiment: y\n", None),
            ("environment: x\ncampain: c\n", None),
            ("environment: x\nexpect: []\n", None),
            ("environment: x\nexperiment: ~\n", None),
            ("environment: x\n---\nexperiment: y\ntechnique: a.b\n", None),
            ("environment: x\n---\nenvironment: y\n", None),
            (&format!("{sigma}---\nexperiment: y\ntechnique: a.b\n"), None),
            (&format!("{sigma}experiment:\ntechnique:\n"), None),
            ("detection: {}\n", None),
            ("- rule: r\n- technique: t\n", None),
            ("- list: [a]\n  experiment: t\n", None),
            ("[]\n", None),
            ("", None),
            ("a: [", None),
        ] {
            assert_eq!(Beside::of(text), is, "{text}");
        }
    }
}
