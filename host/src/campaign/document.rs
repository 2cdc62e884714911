//! A file: one experiment, or a campaign of several.

use super::beside::Beside;
use super::checks::Checks;
use super::experiment::{Experiment, MAX_EXPERIMENT, plain_name};
use super::outputs;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};

/// What a file may be.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// One experiment.
    Experiment(Box<Experiment>),
    /// One without a technique: links that are looked at.
    Checks(Box<Checks>),
    /// Several, together or in order.
    Campaign(Campaign),
    /// A file of another kind that lies beside the others: it runs nothing.
    Beside(Beside),
}

/// Experiments that are run together, or in order as a multi-step attack.
#[derive(Debug, Clone, PartialEq)]
pub struct Campaign {
    /// Its name.
    pub name: String,
    /// What is believed, in a sentence.
    pub hypothesis: String,
    /// One after the other, or all at once.
    pub order: Order,
    /// How long what a step did stays.
    pub hold: StepHold,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One after the other, or all at once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// In order; a step may use what earlier ones found, as `{step.fact}`.
    #[default]
    InOrder,
    /// At once.
    AtOnce,
}

/// How long what a step did stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, serde::Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StepHold {
    /// Until the campaign is over; then undone newest first.
    #[default]
    Campaign,
    /// As each step says.
    Step,
}

/// A step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// What it runs.
    pub source: StepSource,
    /// Parameters that replace the experiment's.
    pub with: BTreeMap<String, serde_json::Value>,
}

/// What a step runs.
#[derive(Debug, Clone, PartialEq)]
pub enum StepSource {
    /// An experiment's file, relative to the campaign's.
    File(String),
    /// An experiment, written out.
    Inline(Box<Experiment>),
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    campaign: Option<IgnoredAny>,
    #[serde(default)]
    experiment: Option<IgnoredAny>,
    #[serde(default)]
    technique: Option<IgnoredAny>,
    #[serde(flatten)]
    others: BTreeMap<String, IgnoredAny>,
}

/// A campaign's file, as it is written.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct File {
    /// Its name.
    #[serde(deserialize_with = "plain_name")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,80}$"))]
    campaign: String,
    /// What is believed, in a sentence.
    #[serde(default)]
    hypothesis: String,
    /// One after the other, or all at once.
    #[serde(default)]
    order: Order,
    /// How long what a step did stays.
    #[serde(default)]
    hold: StepHold,
    /// The steps.
    #[schemars(with = "Vec<FileStep>", length(min = 1, max = 100))]
    steps: Vec<Spanned<FileStep>>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct FileStep {
    /// Its name, by which later steps call what it finds.
    #[serde(deserialize_with = "plain_name")]
    #[schemars(regex(pattern = r"^[A-Za-z0-9._-]{1,80}$"))]
    step: String,
    /// An experiment's file, relative to the campaign's.
    #[serde(default)]
    file: Option<String>,
    /// An experiment, written out; its name is the step's.
    #[serde(default)]
    experiment: Option<Box<Experiment>>,
    /// Parameters that replace the experiment's.
    #[serde(default)]
    with: BTreeMap<String, serde_json::Value>,
}

/// The most steps of a campaign.
pub const MAX_STEPS: usize = 100;

/// Reads a file. Errors begin with `line:column: `; unknown and duplicate keys are errors.
pub fn parse(text: &str) -> Result<Document, String> {
    if text.len() > MAX_EXPERIMENT {
        return Err(format!("1:1: the file has {} bytes, more than {MAX_EXPERIMENT}", text.len()));
    }
    if let Some(beside) = Beside::of(text) {
        return Ok(Document::Beside(beside));
    }
    let head: Head = crate::yaml::parse_reviewed(text)?;
    match (head.campaign, head.experiment) {
        (Some(_), None) => campaign(crate::yaml::parse(text)?).map(Document::Campaign),
        (Some(_), Some(_)) => Err("1:1: a file is an `experiment` or a `campaign`, not both".into()),
        // With `techniqe` it is no experiment of checks only.
        (None, Some(_))
            if head.technique.is_none()
                && crate::suggest::nearest("technique", head.others.keys().map(String::as_str)).is_none() =>
        {
            super::checks::parse(text).map(|read| Document::Checks(Box::new(read)))
        }
        (None, _) => super::experiment::parse(text).map(|read| Document::Experiment(Box::new(read))),
    }
}

fn campaign(file: File) -> Result<Campaign, String> {
    if file.steps.is_empty() || file.steps.len() > MAX_STEPS {
        return Err(format!("1:1: a campaign has 1 to {MAX_STEPS} `steps`; this has {}", file.steps.len()));
    }
    let names: BTreeSet<String> = file.steps.iter().map(|step| step.value.step.clone()).collect();
    let mut earlier = BTreeSet::new();
    let mut steps = Vec::new();
    for spanned in file.steps {
        let at = format!("{}:{}", spanned.referenced.line(), spanned.referenced.column());
        let step = spanned.value;
        let wrong = |why: String| Err(format!("{at}: step `{}`: {why}", step.step));
        if earlier.contains(&step.step) {
            return wrong("there is another step of that name".into());
        }
        let source = match (step.file, step.experiment) {
            (Some(file), None) => StepSource::File(file),
            (None, Some(mut experiment)) => {
                if experiment.name.is_empty() {
                    experiment.name.clone_from(&step.step);
                }
                StepSource::Inline(experiment)
            }
            _ => return wrong("it needs either `file` or `experiment`".into()),
        };
        let inline = match &source {
            StepSource::Inline(experiment) => outputs::of_experiment(experiment),
            StepSource::File(_) => Vec::new(),
        };
        let used = step.with.values().flat_map(outputs::of).chain(inline);
        for (name, fact) in used.filter(|(name, _)| names.contains(name)) {
            if file.order == Order::AtOnce {
                return wrong(format!("`{{{name}.{fact}}}` is known only where steps run in order"));
            }
            if !earlier.contains(&name) {
                return wrong(format!("`{{{name}.{fact}}}` is of a step that is not earlier"));
            }
        }
        earlier.insert(step.step.clone());
        steps.push(Step { name: step.step, source, with: step.with });
    }
    Ok(Campaign { name: file.campaign, hypothesis: file.hypothesis, order: file.order, hold: file.hold, steps })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "campaign: c
steps:
  - step: plant
    experiment: { technique: linux.cron-persistence }
  - step: read
    file: read.yaml
    with: { path: 'x{plant.path}', other: '{not.a-step}' }
";

    #[test]
    fn a_campaign_is_read() {
        let Document::Campaign(campaign) = parse(GOOD).expect("valid") else { panic!("a campaign") };
        assert_eq!((campaign.order, campaign.hold, campaign.steps.len()), (Order::InOrder, StepHold::Campaign, 2));
        assert!(matches!(&campaign.steps[0].source, StepSource::Inline(e) if e.name == "plant"));
        assert!(matches!(parse("experiment: e\ntechnique: a.b\n"), Ok(Document::Experiment(_))));
        let links = "experiment: e\nexpect: [{ link: telemetry, check: a.b, within: 1s }]\n";
        assert!(matches!(parse(links), Ok(Document::Checks(_))));
    }

    #[test]
    fn mistakes_are_named_with_their_place() {
        for (bad, at, word) in [
            (GOOD.replace("plant.path", "later.path").replace("step: plant", "step: later"), "", ""),
            (GOOD.replace("'x{plant.path}'", "'{read.path}'"), "5:", "not earlier"),
            (GOOD.replace("steps:", "order: at-once\nsteps:"), "6:", "in order"),
            (GOOD.replace("step: read", "step: plant"), "5:", "another step"),
            (GOOD.replace("    file: read.yaml\n", ""), "5:", "either `file` or `experiment`"),
            (GOOD.replace("steps:", "experiment: x\nsteps:"), "1:1", "not both"),
            (GOOD.replace("campaign: c", "campaign: 'a b'"), "1:11", "1 to 80"),
            (GOOD.replace("technique:", "teknique:"), "4:19", "teknique"),
            ("campaign: c\nsteps: []\n".into(), "1:1", "1 to 100"),
            ("technique: a.b\n".into(), "1:1", "experiment"),
            ("experiment: e\ntechniqe: a.b\nshield: open\n".into(), "2:1", "unknown field `techniqe`"),
            (GOOD.replace("read.yaml", "read\u{200b}.yaml"), "6:15", "U+200B"),
            (GOOD.replace("steps:", "# \u{202e}harmless\nsteps:"), "2:3", "U+202E"),
            (GOOD.replace("campaign: c", "campaign: c\u{3164}"), "1:12", "U+3164"),
            (GOOD.replace("campaign: c", "campaign: \"c\\u3164\""), "1:11", "1 to 80"),
        ] {
            match parse(&bad) {
                Err(error) => assert!(error.starts_with(at) && error.contains(word), "{error}\n{bad}"),
                Ok(_) => assert!(word.is_empty(), "{bad}"),
            }
        }
    }
}
