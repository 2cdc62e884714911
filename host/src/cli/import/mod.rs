//! `foil import`: modules of tests that others wrote.

mod experiments;
mod find;

use super::{Exit, Format, Global};
use crate::console::{err, out};
use anyhow::{Context as _, bail};
use experiments::Expect;
use foil_atomic::Script;
use foil_atomic::document::{self, NotRunnable};
use foil_manifest::AttackId;
use foil_text::Shown as _;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 4 << 20;

/// From where.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Atomic Red Team's tests for Linux with an `sh` or `bash` executor, each a module
    Atomic(Args),
}

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// YAML files, folders of techniques, or the whole `atomics` folder
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,
    /// The folder of modules that they are written to, for `--modules`
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Write an experiment for each test into this folder, where there is none yet
    #[arg(long, value_name = "DIR")]
    experiments: Option<PathBuf>,
    /// What these expect to notice: alerts of Falco's about the technique, or system calls in the audit log
    #[arg(long, value_enum, requires = "experiments")]
    expect: Option<Expect>,
}

/// What came of it.
#[derive(Debug, Default, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
struct Outcome {
    /// Files that were read.
    files: usize,
    /// Modules that were written or were there already.
    imported: Vec<String>,
    /// Tests for other platforms only, by platform; one for several counts for each.
    other_platforms: BTreeMap<String, usize>,
    /// How many tests that were.
    skipped: usize,
    /// Tests that a person has to do.
    manual: Vec<String>,
    /// Tests for Linux whose executor Foil has not.
    other_executors: Vec<String>,
    /// What was wrong: `file:line:column: what`.
    mistakes: Vec<String>,
    /// What Atomic Red Team's validator would refuse and does no harm.
    warnings: Vec<String>,
    /// Experiments that were written.
    experiments: usize,
}

pub(super) fn run(command: Command, global: &Global) -> anyhow::Result<Exit> {
    let Command::Atomic(args) = command;
    let files = find::files(&args.paths)?;
    if files.is_empty() {
        bail!("there is no test of Atomic Red Team in what was named: its files are called like T1059.004.yaml");
    }
    for folder in std::iter::once(&args.out).chain(&args.experiments) {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.shown()))?;
    }
    let mut outcome = Outcome::default();
    let (mut ids, mut guids) = (BTreeSet::new(), BTreeSet::new());
    for file in &files {
        outcome.files = outcome.files.saturating_add(1);
        let text = match read(file) {
            Ok(text) => text,
            Err(error) => {
                outcome.mistakes.push(format!("{}: {error}", file.shown()));
                continue;
            }
        };
        for mut script in scripts(file, &text, &mut outcome) {
            let id = script.id();
            // A name of two is a name of neither.
            if let Some(guid) = script.guid.take_if(|guid| !guids.insert(guid.clone())) {
                outcome
                    .warnings
                    .push(format!("{}: {id} has the GUID {guid} of another test, and goes without", file.shown()));
            }
            if !ids.insert(id.clone()) {
                outcome.mistakes.push(format!("{}: {id} was imported from another file already", file.shown()));
                continue;
            }
            let json = script.to_json().context("a test cannot be written as JSON")?;
            put(&args.out.join(format!("{id}.json")), &format!("{json}\n"))?;
            if let Some(folder) = &args.experiments
                && experiments::write(folder, &script, args.expect)?
            {
                outcome.experiments = outcome.experiments.saturating_add(1);
            }
            outcome.imported.push(id);
        }
    }
    match global.format {
        Format::Json => super::print_json(&outcome)?,
        Format::Text => say(&outcome, &args.out),
    }
    Ok(if outcome.mistakes.is_empty() { Exit::Success } else { Exit::Usage })
}

fn read(file: &Path) -> anyhow::Result<String> {
    let mut bytes = Vec::new();
    std::fs::File::open(file)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        bail!("it has more than {MAX_FILE} bytes");
    }
    String::from_utf8(bytes).map_err(|error| anyhow::anyhow!("byte {} is no UTF-8", error.utf8_error().valid_up_to()))
}

/// The tests of one file that Foil can run; what becomes of the others is noted.
fn scripts(file: &Path, text: &str, outcome: &mut Outcome) -> Vec<Script> {
    let at = |what: &dyn std::fmt::Display| format!("{}:{what}", file.shown());
    let document = match document::parse(text) {
        Ok(document) => document,
        Err(mistake) => {
            outcome.mistakes.push(at(&mistake));
            return Vec::new();
        }
    };
    if let Err(error) = AttackId::try_from(document.technique.clone()) {
        outcome.mistakes.push(at(&format_args!("1:1: {error}")));
        return Vec::new();
    }
    let atomics = find::atomics(file);
    let mut scripts = Vec::new();
    for test in &document.tests {
        let test = match test {
            Ok(test) => test,
            Err(mistake) => {
                outcome.mistakes.push(at(mistake));
                continue;
            }
        };
        outcome.warnings.extend(test.warnings.iter().map(|warning| at(warning)));
        let named = || at(&format_args!("{}: {}", test.line, test.name));
        match test.script(&document, &atomics) {
            Ok(script) => scripts.push(script),
            Err(NotRunnable::Platform(platforms)) => {
                outcome.skipped = outcome.skipped.saturating_add(1);
                for platform in platforms {
                    let count = outcome.other_platforms.entry(platform).or_default();
                    *count = count.saturating_add(1);
                }
            }
            Err(NotRunnable::Manual(_)) => outcome.manual.push(named()),
            Err(other) => outcome.other_executors.push(format!("{}: {other}", named())),
        }
    }
    scripts
}

/// All or nothing, and only where something changes.
fn put(path: &Path, text: &str) -> anyhow::Result<()> {
    if std::fs::read_to_string(path).is_ok_and(|there| there == text) {
        return Ok(());
    }
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    std::fs::write(&temporary, text)
        .and_then(|()| std::fs::rename(&temporary, path))
        .with_context(|| format!("cannot write {}", path.shown()))
}

fn say(outcome: &Outcome, out: &Path) {
    out!(
        "{} test(s) of {} file(s) are modules in {}; `{}` shows them",
        outcome.imported.len(),
        outcome.files,
        out.shown(),
        foil_text::hint::foil(["list", "--source", "atomic", "--modules", &out.to_string_lossy()])
    );
    if outcome.skipped > 0 {
        let by: Vec<String> = outcome.other_platforms.iter().map(|(name, count)| format!("{name} {count}")).collect();
        out!("{} are for other platforms only ({})", outcome.skipped, by.join(", "));
    }
    for (what, list) in
        [("manual, not runnable", &outcome.manual), ("another executor, not runnable", &outcome.other_executors)]
    {
        list.iter().for_each(|test| out!("{what}: {test}"));
    }
    if outcome.experiments > 0 {
        out!("{} experiment(s) were written", outcome.experiments);
    }
    for line in outcome.warnings.iter().map(|line| format!("warning: {line}")).chain(outcome.mistakes.iter().cloned()) {
        err!("foil: {line}");
    }
}
