//! A file of documents, each an experiment or a campaign of several.

use super::beside::Beside;
use super::checks::Checks;
use super::experiment::{Experiment, MAX_EXPERIMENT, plain_name};
use super::outputs;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;
use std::collections::{BTreeMap, BTreeSet};

/// What a document may be.
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

impl Document {
    /// Its name; `None` where it runs nothing.
    pub fn name(&self) -> Option<&str> {
        match self {
            Self::Experiment(experiment) => Some(&experiment.name),
            Self::Checks(checks) => Some(&checks.name),
            Self::Campaign(campaign) => Some(&campaign.name),
            Self::Beside(_) => None,
        }
    }
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

/// The most documents of one file.
pub const MAX_DOCUMENTS: usize = 100;

/// One document of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Its text, behind as many empty lines as stand before it in the file: places in it are places in the file.
    pub text: String,
    /// What it is.
    pub document: Document,
}

/// Reads a file of one or more documents, in their order. A document without content is left out.
///
/// # Errors
/// Every mistake, each beginning with `line:column: `: those of [`parse`] for every document, a file without a document or with more
/// than [`MAX_DOCUMENTS`], and a document of another kind between experiments.
pub fn parse_file(text: &str) -> Result<Vec<Part>, Vec<String>> {
    let one = |error: String| vec![error];
    too_long(text).map_err(one)?;
    if let Some(beside) = Beside::of(text) {
        return Ok(vec![Part { text: text.to_owned(), document: Document::Beside(beside) }]);
    }
    let documents = documents(text).map_err(one)?;
    if let Some(first) = documents.get(MAX_DOCUMENTS) {
        let (at, has) = (foil_yaml::beginning(first), documents.len());
        return Err(one(format!(
            "{at}: a file has at most {MAX_DOCUMENTS} documents, and this has {has}: split it into several files"
        )));
    }
    let several = documents.len() > 1;
    let (mut parts, mut wrong) = (Vec::new(), Vec::new());
    for text in documents {
        match parse(&text) {
            // By itself it would be passed over, and nobody would know why it has no effect.
            Ok(Document::Beside(beside)) if several => wrong.push(format!(
                "{}: this document is {}, and others of the file are experiments: move it to a file of its own",
                foil_yaml::beginning(&text),
                beside.words()
            )),
            Ok(document) => parts.push(Part { text, document }),
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() { Ok(parts) } else { Err(wrong) }
}

/// Reads a file that must be one experiment, such as the file of a campaign's step; also returns the document's text.
///
/// # Errors
/// Begin with `line:column: `: those of [`parse`], and a second document.
pub fn parse_single(text: &str) -> Result<(Experiment, String), String> {
    too_long(text)?;
    let mut documents = documents(text)?.into_iter();
    let one = documents.next().unwrap_or_default();
    if let Some(second) = documents.next() {
        let at = foil_yaml::beginning(&second);
        return Err(format!(
            "{at}: a second document begins here, and a file with one experiment is needed: move it to a file of its own"
        ));
    }
    Ok((super::experiment::parse(&one)?, one))
}

/// The documents of a file that people review, at least one.
fn documents(text: &str) -> Result<Vec<String>, String> {
    // In the whole file, since comments between documents belong to none of them.
    foil_text::deceives_a_reviewer(text).map_or(Ok(()), Err)?;
    let documents = foil_yaml::documents(text)?;
    if documents.is_empty() {
        return Err("1:1: the file is empty: write an `experiment` or a `campaign`".into());
    }
    Ok(documents)
}

fn too_long(text: &str) -> Result<(), String> {
    if text.len() > MAX_EXPERIMENT {
        return Err(format!("1:1: the file has {} bytes, more than {MAX_EXPERIMENT}", text.len()));
    }
    Ok(())
}

/// Reads one document. Errors begin with `line:column: `; unknown and duplicate keys are errors.
pub fn parse(text: &str) -> Result<Document, String> {
    too_long(text)?;
    if let Some(beside) = Beside::of(text) {
        return Ok(Document::Beside(beside));
    }
    let at = foil_yaml::beginning(text);
    let head: Head = foil_yaml::parse_reviewed(text)?;
    match (head.campaign, head.experiment) {
        (Some(_), None) => campaign(foil_yaml::parse(text)?, &at).map(Document::Campaign),
        (Some(_), Some(_)) => Err(format!("{at}: a document is an `experiment` or a `campaign`, not both")),
        // With `techniqe` it is no experiment of checks only.
        (None, Some(_))
            if head.technique.is_none()
                && foil_text::suggest::nearest("technique", head.others.keys().map(String::as_str)).is_none() =>
        {
            super::checks::parse(text).map(|read| Document::Checks(Box::new(read)))
        }
        (None, _) => super::experiment::parse(text).map(|read| Document::Experiment(Box::new(read))),
    }
}

/// `at`: where the document begins.
fn campaign(file: File, at: &str) -> Result<Campaign, String> {
    if file.steps.is_empty() || file.steps.len() > MAX_STEPS {
        return Err(format!("{at}: a campaign has 1 to {MAX_STEPS} `steps`; this has {}", file.steps.len()));
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
    fn a_file_of_several_documents_is_read_like_several_files() {
        let links = "experiment: c\nexpect: [{ link: telemetry, check: a.b, within: 1s }]\n";
        let text =
            format!("# all\n---\n---\nexperiment: a\ntechnique: a.b\n---\n# none\n---\n{GOOD}...\n---\n{links}---\n");
        for text in [text.clone(), text.replace('\n', "\r\n")] {
            let parts = parse_file(&text).expect("valid");
            let names: Vec<_> = parts.iter().filter_map(|part| part.document.name()).collect();
            assert_eq!(names, ["a", "c", "c"], "{text}");
            assert!(
                matches!(parts[1].document, Document::Campaign(_)) && matches!(parts[2].document, Document::Checks(_))
            );
        }
        // Text that looks like a separator is none.
        let quoted = "experiment: a\nhypothesis: |\n  x\n  ---\n  y\ntechnique: a.b\nwith: { a: '---', b: --- }\n";
        let parts = parse_file(quoted).expect("valid");
        assert!(
            matches!(&parts[..], [Part { document: Document::Experiment(e), .. }] if e.hypothesis == "x\n---\ny\n")
        );
        // An anchor is known in its own document only.
        assert!(parse_file("experiment: &n a\ntechnique: a.b\n---\nexperiment: *n\ntechnique: a.b\n").is_err());
        let one = "experiment: a\ntechnique: a.b\n---\n";
        let most = parse_file(&one.repeat(MAX_DOCUMENTS)).expect("as many as may be");
        assert_eq!(most.len(), MAX_DOCUMENTS);
        assert!(parse_single(one).is_ok());
    }

    #[test]
    fn mistakes_of_every_document_are_named_with_their_place_in_the_file() {
        let one = "experiment: a\ntechnique: a.b\n---\n";
        let sigma = "title: x\nlogsource: { product: linux }\ndetection: { a: { b: c }, condition: a }\n";
        for (bad, says) in [
            (format!("{one}experiment: b\ntechniqe: a.b\n"), &[("5:1", "techniqe")][..]),
            (
                format!("{one}experiment: a b\n---\ntechnique: a.b\n"),
                &[("4:13", "1 to 80"), ("6:1", "`experiment` is missing")],
            ),
            (format!("{one}campaign: c\nsteps: []\n"), &[("4:1", "1 to 100")]),
            (format!("{one}campaign: c\nexperiment: c\n"), &[("4:1", "not both")]),
            (format!("{one}# x\n\nexperiment: c\nexpect: []\n"), &[("6:1", "neither")]),
            (format!("{one}experiment: c\n"), &[("4:1", "expect")]),
            (format!("{one}{}", GOOD.replace("{plant.path}", "{read.path}")), &[("8:", "not earlier")]),
            (format!("{one}environment: e\n"), &[("4:1", "an environment")]),
            (format!("{sigma}{}{one}", "---\n"), &[("1:1", "a Sigma rule")]),
            (format!("{one}experiment: \"b\n---\nc\"\n"), &[("5:1", "quoted"), ("6:", "")]),
            (format!("{one}# \u{202e}\n"), &[("4:3", "U+202E")]),
            (format!("{one}... x\n"), &[("4:4", "only a comment")]),
            (one.repeat(MAX_DOCUMENTS + 1), &[("301:1", "at most 100 documents, and this has 101")]),
            ("---\n".repeat(100_000), &[("", "too many documents for its length")]),
            ("# nothing\n---\n---\n".into(), &[("1:1", "the file is empty")]),
            (String::new(), &[("1:1", "the file is empty")]),
        ] {
            let errors = parse_file(&bad).expect_err(&bad);
            assert_eq!(errors.len(), says.len(), "{errors:?}");
            for (error, (at, word)) in errors.iter().zip(says) {
                assert!(error.starts_with(at) && error.contains(word), "{at} {word}: {error}");
            }
        }
        let error = parse_single(&one.repeat(2)).expect_err("two");
        assert!(error.starts_with("4:1: a second document"), "{error}");
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
