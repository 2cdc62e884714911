//! Reports of runs of which nothing is known yet.

use crate::module::Module;
use foil_record::{RunReport, SCHEMA, Verdict};
use std::collections::BTreeMap;

/// The report of a technique that the policy refuses.
pub fn refused_report(technique: &Module, environment: String, target: String, reason: String) -> RunReport {
    let verdict = Verdict::Inconclusive;
    RunReport { verdict, reason, ..report_of(technique, environment, target) }
}

/// Of a technique with which nothing happened yet.
pub(super) fn report_of(technique: &Module, environment: String, target: String) -> RunReport {
    RunReport {
        technique: Some(technique.id().to_owned()),
        attack: technique.manifest.attack.iter().map(ToString::to_string).collect(),
        digest: Some(technique.digest.to_string()),
        ..begun_report(technique.id().to_owned(), environment, target)
    }
}

/// Of what begins now, before anything is known: until then its verdict is that Foil broke.
pub(super) fn begun_report(experiment: String, environment: String, target: String) -> RunReport {
    RunReport {
        schema: SCHEMA,
        run: String::new(),
        experiment,
        hypothesis: String::new(),
        technique: None,
        attack: Vec::new(),
        digest: None,
        environment,
        target,
        node: None,
        shield: String::new(),
        gaps: Vec::new(),
        run_as: String::new(),
        started: jiff::Timestamp::now().to_string(),
        detonated: None,
        duration_ms: 0,
        verdict: Verdict::Error,
        reason: String::new(),
        summary: None,
        facts: BTreeMap::new(),
        links: Vec::new(),
        observed: Vec::new(),
        undo: foil_record::UndoReport::default(),
        residue: Vec::new(),
        log: Vec::new(),
        earlier: Vec::new(),
        skipped: false,
        control: None,
        campaign: None,
        test: None,
    }
}
