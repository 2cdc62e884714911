//! Whether each `{step.fact}` names an earlier step, and a fact that its technique reports.

use super::experiment::Experiment;
use super::mistakes::PrepareError;
use super::outputs;
use super::prepared::Prepared;
use foil_text::suggest::hint;
use std::collections::BTreeSet;

/// A step that runs before.
#[derive(Debug, Clone)]
pub struct EarlierStep {
    /// Its name.
    pub name: String,
    /// Its technique; `None` where the step has mistakes of its own.
    pub technique: Option<String>,
    /// The facts that the technique may report; `None` where it does not say.
    pub facts: Option<BTreeSet<String>>,
}

impl EarlierStep {
    /// The step of that name. `prepared`: what it runs, where that could be settled.
    pub fn new(name: &str, prepared: Option<&Prepared>) -> Self {
        let manifest = prepared.map(|prepared| &prepared.technique.manifest);
        Self {
            name: name.to_owned(),
            technique: manifest.map(|manifest| manifest.id.to_string()),
            facts: manifest.and_then(|manifest| manifest.facts.as_ref()).map(|facts| facts.keys().cloned().collect()),
        }
    }
}

/// Every reference that names no earlier step, or no fact of one. `None`: the experiment is no step that runs after others.
pub(super) fn check(experiment: &Experiment, earlier: Option<&[EarlierStep]>) -> Vec<PrepareError> {
    let wrong = |reference: outputs::Placed| {
        let why = mistake(&reference.step, &reference.fact, earlier)?;
        Some(PrepareError::Wrong(why).below(reference.path))
    };
    outputs::placed(experiment).into_iter().filter_map(wrong).collect()
}

fn mistake(step: &str, fact: &str, earlier: Option<&[EarlierStep]>) -> Option<String> {
    let shown = format!("{{{step}.{fact}}}");
    let literal = format!("for the text itself write `{{{shown}}}`");
    let Some(earlier) = earlier else {
        return Some(format!(
            "`{shown}` is what an earlier step of a campaign found, and no step runs before this experiment; {literal}"
        ));
    };
    let Some(known) = earlier.iter().find(|known| known.name == step) else {
        let names = || earlier.iter().map(|step| step.name.as_str());
        let hint = hint(step, names());
        let all = names().collect::<Vec<_>>().join(", ");
        let all = if all.is_empty() { "there is none".to_owned() } else { format!("there are {all}") };
        return Some(format!("`{shown}` names no earlier step{hint}: {all}; {literal}"));
    };
    let facts = known.facts.as_ref().filter(|facts| !facts.contains(fact))?;
    let hint = hint(fact, facts.iter().map(String::as_str));
    let all: Vec<&str> = facts.iter().map(String::as_str).collect();
    let all = if all.is_empty() { "nothing".to_owned() } else { all.join(", ") };
    let technique = known.technique.as_deref().unwrap_or_default();
    Some(format!("`{shown}`: the step `{step}` ({technique}) reports no `{fact}`{hint}; it reports {all}"))
}

/// The references whose fact nobody can promise, since the step's technique does not say which facts it reports.
pub fn unpromised(experiment: &Experiment, earlier: &[EarlierStep]) -> Vec<String> {
    let of = |reference: outputs::Placed| {
        let step = earlier.iter().find(|step| step.name == reference.step && step.facts.is_none())?;
        let (step, technique, fact) = (&step.name, step.technique.as_ref()?, &reference.fact);
        Some(format!(
            "`{{{step}.{fact}}}`: {technique} does not say which facts it reports; if it reports no `{fact}`, the campaign \
             ends there"
        ))
    };
    outputs::placed(experiment).into_iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earlier() -> Vec<EarlierStep> {
        let step = |name: &str, facts: Option<&[&str]>| EarlierStep {
            name: name.into(),
            technique: Some("a.b".into()),
            facts: facts.map(|facts| facts.iter().map(|fact| (*fact).to_owned()).collect()),
        };
        vec![step("wipe", Some(&["log"])), step("silent", Some(&[])), step("outside", None)]
    }

    #[test]
    fn a_reference_must_name_an_earlier_step_and_one_of_its_facts() {
        let earlier = earlier();
        let of = |step, fact| mistake(step, fact, Some(&earlier)).unwrap_or_default();
        assert_eq!((of("wipe", "log"), of("outside", "anything")), (String::new(), String::new()));
        for (step, fact, words) in [
            ("wip", "log", ["do you mean `wipe`?", "{{wip.log}}"]),
            ("wipe", "lgo", ["do you mean `log`?", "(a.b)"]),
            ("silent", "log", ["it reports nothing", "silent"]),
            ("other", "log", ["names no earlier step", "wipe, silent, outside"]),
        ] {
            let why = of(step, fact);
            assert!(words.iter().all(|word| why.contains(word)), "{why}");
        }
        assert!(mistake("wipe", "log", None).is_some_and(|why| why.contains("no step runs before")));
        assert!(mistake("wipe", "log", Some(&[])).is_some_and(|why| why.contains("there is none")));
    }
}
