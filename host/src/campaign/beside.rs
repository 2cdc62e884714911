//! Files of other kinds that lie beside experiments, such as `*.yaml` or a folder names with them.

use crate::yaml;
use serde::Deserialize;
use serde::de::IgnoredAny;

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

/// The keys that tell.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Keys {
    campaign: Option<IgnoredAny>,
    experiment: Option<IgnoredAny>,
    technique: Option<IgnoredAny>,
    environment: Option<IgnoredAny>,
    logsource: Option<IgnoredAny>,
    detection: Option<IgnoredAny>,
}

/// An item of a file of Falco rules.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FalcoItem {
    rule: Option<IgnoredAny>,
    r#macro: Option<IgnoredAny>,
    list: Option<IgnoredAny>,
    required_engine_version: Option<IgnoredAny>,
    required_plugin_versions: Option<IgnoredAny>,
}

impl Beside {
    /// What a file is by its first document. `None`: it is meant for an experiment or a campaign, or nothing tells: a file with a
    /// misspelt key must not be passed over.
    pub fn of(text: &str) -> Option<Self> {
        let first = yaml::documents(text).into_iter().next()?;
        if let Ok(keys) = yaml::parse::<Keys>(&first) {
            let runs = keys.campaign.is_some() || keys.experiment.is_some() || keys.technique.is_some();
            return match (runs, keys.environment.is_some(), keys.logsource.is_some() && keys.detection.is_some()) {
                (true, ..) => None,
                (_, true, _) => Some(Self::Environment),
                (_, _, true) => Some(Self::SigmaRule),
                _ => None,
            };
        }
        let items: Vec<FalcoItem> = yaml::parse(&first).ok()?;
        let known = |item: &FalcoItem| {
            let names = [&item.rule, &item.r#macro, &item.list];
            let versions = [&item.required_engine_version, &item.required_plugin_versions];
            names.into_iter().chain(versions).any(Option::is_some)
        };
        (!items.is_empty() && items.iter().all(known)).then_some(Self::FalcoRules)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_other_kinds_are_known_and_misspelt_ones_are_not_passed_over() {
        for (text, is) in [
            ("environment: x\n", Some(Beside::Environment)),
            (
                "title: x\nlogsource: { product: linux }\ndetection: { a: { b: c }, condition: a }\n",
                Some(Beside::SigmaRule),
            ),
            ("# first\n---\nlogsource: {}\ndetection: {}\n---\ncorrelation: {}\n", Some(Beside::SigmaRule)),
            ("- macro: m\n  condition: x\n- rule: r\n  desc: d\n", Some(Beside::FalcoRules)),
            ("- required_engine_version: 0.31.0\n- list: l\n  items: [a]\n", Some(Beside::FalcoRules)),
            ("experiment: x\ntechnique: a.b\n", None),
            ("campaign: x\nsteps: []\n", None),
            ("environment: x\ntechnique: a.b\n", None),
            ("experimnt: x\ntechniqe: a.b\n", None),
            ("detection: {}\n", None),
            ("- rule: r\n- technique: t\n", None),
            ("[]\n", None),
            ("", None),
            ("a: [", None),
        ] {
            assert_eq!(Beside::of(text), is, "{text}");
        }
    }
}
