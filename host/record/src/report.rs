//! The report of a run, as data.

use crate::{
    Attribution, Caution, EvidenceEvent, Exit, LinkVerdict, Nearest, SensorProof, Tally, Uncounted, UndoReport, Verdict,
};
use foil_manifest::TiedBy;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;

/// The version of the JSON form; a change that breaks readers raises it.
pub const SCHEMA: u32 = 1;

/// One run of an experiment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct RunReport {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The run's id; empty where no run was begun.
    pub run: String,
    /// The experiment's name; `fire` for a technique fired alone.
    pub experiment: String,
    /// What was believed.
    pub hypothesis: String,
    /// The technique's id; left out of an experiment of checks only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub technique: Option<String>,
    /// ATT&CK ids.
    pub attack: Vec<String>,
    /// The technique's digest.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The environment's name.
    pub environment: String,
    /// Host name of the target.
    pub target: String,
    /// The cluster's node that this run was about (`--each-node`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The shield's level.
    pub shield: String,
    /// What this machine could not give of it, in sentences.
    pub gaps: Vec<String>,
    /// The user that children ran as.
    pub run_as: String,
    /// RFC 3339.
    pub started: String,
    /// The moment from which every `within` counts, RFC 3339.
    pub detonated: Option<String>,
    /// From start to the end of the clean-up, in milliseconds.
    pub duration_ms: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a sentence.
    pub reason: String,
    /// What the technique said it did.
    pub summary: Option<String>,
    /// Its facts.
    pub facts: BTreeMap<String, String>,
    /// The links, in the experiment's order.
    pub links: Vec<LinkReport>,
    /// What Foil itself saw its children do: no sensor's word.
    pub observed: Vec<String>,
    /// What was undone, and what was not.
    pub undo: UndoReport,
    /// What cannot be undone, or was not journaled.
    pub residue: Vec<String>,
    /// What the module logged.
    pub log: Vec<LogLine>,
    /// Earlier attempts that missed; each was a run of its own.
    pub earlier: Vec<RunReport>,
    /// It was not begun, since an earlier run did not pass (`--fail-fast`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
    /// The benign twin's run, which must raise nothing.
    pub control: Option<Box<RunReport>>,
    /// The campaign that it was a step of.
    pub campaign: Option<StepOf>,
    /// Of an imported test.
    pub test: Option<TestReport>,
}

impl RunReport {
    /// What the run is about: its technique, or the experiment where that is of checks only.
    pub fn about(&self) -> &str {
        self.technique.as_deref().unwrap_or(&self.experiment)
    }
}

/// Which step of which campaign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct StepOf {
    /// The campaign's name.
    pub campaign: String,
    /// The step's name.
    pub step: String,
}

/// What there is to say of an imported test besides.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct TestReport {
    /// The ATT&CK id that its file is about.
    pub technique: String,
    /// ATT&CK's name for it, as the file says.
    pub technique_name: String,
    /// Its place in its file, from 1.
    pub number: u32,
    /// Its GUID, where it has one.
    pub guid: Option<String>,
    /// Its name.
    pub name: String,
    /// What it does, as its file says.
    pub description: String,
    /// What runs it: `sh` or `bash`.
    pub executor: String,
    /// Its script, with its arguments filled in.
    pub command: String,
    /// It needs root.
    pub elevation: bool,
    /// Its command was started.
    pub ran: bool,
    /// How its own clean-up ended, where it has one and came to it.
    pub cleanup: Option<CleanupReport>,
    /// What was there after its clean-up and not before its command, a line each. All of it vanished with the overlay.
    pub left: Vec<String>,
    /// Why nobody could look what it left.
    pub not_looked: Option<String>,
}

/// How a test's own clean-up ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct CleanupReport {
    /// In a sentence.
    pub summary: String,
    /// Its exit status, where it ended by itself.
    pub exit: Option<u8>,
    /// The end of what it said.
    pub stderr: String,
}

/// One link.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LinkReport {
    /// Which hop.
    pub link: String,
    /// The check that looked.
    pub check: String,
    /// The verdict.
    pub verdict: LinkVerdict,
    /// Why, where it is not `seen`.
    pub reason: Option<String>,
    /// What the check says of how things are, where it was missed: `2 of 3 nodes; not on node-7`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// From the detonation to the event, in milliseconds.
    pub after_ms: Option<f64>,
    /// From the event to our seeing it, in milliseconds.
    pub noticed_ms: Option<f64>,
    /// What was allowed, in milliseconds.
    pub within_ms: u64,
    /// Fed by audit rules of Foil's own, straight or through Sigma rules: no proof of the operator's sensor.
    pub own_rules: bool,
    /// What was seen, first first; at most ten.
    pub evidence: Vec<Evidence>,
    /// How many events the check looked at.
    pub looked_at: u64,
    /// The highest severity seen, in the source's own word.
    pub severity: Option<String>,
    /// What ties it to the run, where it is there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tied_by: Option<TiedBy>,
    /// What is weak about that tie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub caution: Option<Caution>,
    /// What arrived, would have been taken and does not count, where nothing was seen that counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub uncounted: Vec<Uncounted>,
    /// What came nearest to the Sigma rule that a missed link names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nearest: Option<Nearest>,
    /// How far a correlation got that a missed link names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation: Option<Tally>,
    /// It was missed, and a link behind it was seen: then the check, or what it reads, is wrong, and not the sensor.
    pub contradicted: bool,
    /// Whether the sensors of a link that saw nothing were shown to be alive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub sensors: Vec<SensorProof>,
}

/// One sighting.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Evidence {
    /// One line.
    pub summary: String,
    /// How it was tied to this run.
    pub attribution: Attribution,
    /// Seen only by Foil itself.
    pub own_observation: bool,
    /// The events that it rests on, as the host recorded them. None: the check saw it elsewhere, and this is its word alone.
    pub events: Vec<EvidenceEvent>,
    /// What the check added to it, by its own word.
    pub facts: BTreeMap<String, String>,
}

impl RunReport {
    /// The report of a run that is not begun, since an earlier one did not pass.
    pub fn skip(self) -> Self {
        let reason = "not run: an earlier run did not pass (--fail-fast)".to_owned();
        Self { run: String::new(), verdict: Verdict::Inconclusive, reason, skipped: true, ..self }
    }

    /// How many things could not be put back.
    pub fn left_behind(&self) -> usize {
        self.residue.len().saturating_add(self.undo.residue().count())
    }

    /// It came out as expected, and left nothing.
    pub fn passed(&self) -> bool {
        self.exit() == Exit::Success
    }

    /// The exit code of this run alone.
    pub fn exit(&self) -> Exit {
        if self.left_behind() > 0 {
            return Exit::Residue;
        }
        match self.verdict {
            Verdict::Pass | Verdict::Flaky | Verdict::Blocked => Exit::Success,
            Verdict::Fail => Exit::Broken,
            Verdict::Inconclusive => Exit::Inconclusive,
            Verdict::Error => Exit::Internal,
        }
    }
}

/// A line that a guest logged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LogLine {
    /// `debug`, `info`, `warning` or `error`.
    pub level: &'static str,
    /// The text, control characters escaped.
    pub message: String,
}
