//! Files of experiments and of campaigns.

#![no_main]

// Only what reads the file; see Cargo.toml.
#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../../host/src/campaign/beside.rs"]
mod beside;
#[path = "../../host/src/campaign/checks/file.rs"]
mod checks;
#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../../host/src/campaign/document.rs"]
mod document;
#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../../host/src/campaign/experiment.rs"]
mod experiment;
#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../../host/src/campaign/outputs.rs"]
mod outputs;
#[allow(dead_code, reason = "the host uses more of it")]
#[path = "../common/swell.rs"]
mod swell;

/// Where `checks` and `experiment` look for them in the host.
mod campaign {
    pub(crate) use crate::experiment;
}

use document::{Document, StepSource};
use experiment::{Experiment, Hold, Link};
use foil_record::Outcome;
use libfuzzer_sys::fuzz_target;
use serde_json::{Value, json};
use std::time::Duration;

fuzz_target!(|data: &[u8]| {
    let data = swell::swell(data, 1 << 18);
    let Ok(text) = std::str::from_utf8(&data) else { return };
    match document::parse_file(text) {
        Ok(parts) => {
            assert!((1..=document::MAX_DOCUMENTS).contains(&parts.len()));
            parts.into_iter().for_each(|part| hold(part.document));
        }
        Err(errors) => assert!(!errors.is_empty() && errors.iter().all(|error| !error.is_empty())),
    }
});

/// What holds of every document that was read.
fn hold(document: Document) {
    match document {
        Document::Campaign(campaign) => {
            assert!((1..=document::MAX_STEPS).contains(&campaign.steps.len()));
            for step in &campaign.steps {
                if let StepSource::Inline(experiment) = &step.source {
                    let filled = outputs::fill_experiment(experiment, &Default::default());
                    assert_eq!(filled.as_ref(), Ok(&**experiment), "nothing is known, so nothing is filled in");
                }
            }
        }
        Document::Experiment(read) => {
            for link in &read.expect {
                assert!((Duration::from_millis(1)..=Duration::from_secs(86_400)).contains(&link.within()));
                assert!(link.grace() >= Duration::from_millis(1));
            }
            let written = written(&read);
            let again = experiment::parse(&written).unwrap_or_else(|error| panic!("{error}\n{written}"));
            assert_eq!(again, *read, "{written}");
        }
        Document::Checks(read) => assert!(!read.expect.is_empty()),
        Document::Beside(_) => {}
    }
}

/// The experiment as JSON, which is YAML.
fn written(read: &Experiment) -> String {
    let mut file = json!({
        "experiment": read.name,
        "hypothesis": read.hypothesis,
        "technique": read.technique,
        "with": read.with,
        "expect": read.expect.iter().map(link).collect::<Vec<_>>(),
    });
    file["attempts"] = read.attempts.0.into();
    file["hold"] = if read.hold == Hold::Verdict { "verdict" } else { "no" }.into();
    file["outcome"] = match read.outcome {
        Outcome::Either => "either",
        Outcome::Detected => "detected",
        Outcome::Prevented => "prevented",
    }
    .into();
    if let Some(control) = &read.control {
        file["control"] = json!({ "with": control.with });
    }
    if let Some(shield) = read.shield {
        file["shield"] = json!(shield);
    }
    if let Some(rules) = &read.audit.own_rules {
        file["audit"] = json!({ "own-rules": rules });
    }
    file.to_string()
}

fn link(link: &Link) -> Value {
    let mut file = json!({
        "link": link.link,
        "check": link.check,
        "with": link.with,
        "within": format!("{}ns", link.within().as_nanos()),
    });
    if let Some(severity) = link.min_severity {
        file["min-severity"] = json!(severity);
    }
    if link.grace.is_some() {
        file["grace"] = format!("{}ns", link.grace().as_nanos()).into();
    }
    file
}
