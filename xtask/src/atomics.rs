//! `cargo xtask atomics FOLDER`: runs a whole library of Atomic Red Team's and writes what came of it to `docs/atomics-run.md`.

use crate::tools::{root, target};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

/// Runs all tests below `atomics` with the release binary, in overlays, four at once, and writes the table.
pub fn atomics(atomics: &str) -> Result<()> {
    let atomics = std::path::absolute(atomics)?;
    let target = target();
    let stage = target.join("atomics-run");
    if stage.exists() {
        std::fs::remove_dir_all(&stage).with_context(|| format!("cannot empty {}", stage.display()))?;
    }
    std::fs::create_dir_all(&stage)?;
    std::fs::write(stage.join("foil.yaml"), "environment: atomics\nparallel: 4\nrun-as: nobody\n")?;
    let foil = |arguments: &[&str]| -> Result<Vec<u8>> {
        let mut command = Command::new(target.join("release/foil"));
        command.current_dir(&stage).env("FOIL_STATE", stage.join("state")).args(arguments);
        let output = command.stderr(std::process::Stdio::inherit()).output().context("foil could not be started")?;
        match output.status.code() {
            // Something was inconclusive, which the table is about.
            Some(0 | 3) => Ok(output.stdout),
            _ => bail!("`foil {}` failed: {}", arguments.first().unwrap_or(&""), output.status),
        }
    };
    let atomics = atomics.to_str().context("the folder's name is no UTF-8")?;
    let imported = json(&foil(&["import", "atomic", atomics, "--out", "mods", "--format", "json"])?)?;
    let ids: Vec<&str> = imported["imported"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    foil(&["grant", "--atomic", "--modules", "mods", "--yes", "--reviewer", "xtask", "--reason", "a library's run"])?;
    let mut attack: Vec<&str> = ids.iter().filter_map(|id| id.strip_prefix("atomic.")?.split('-').next()).collect();
    attack.dedup();
    let began = std::time::Instant::now();
    let attack = attack.join(",");
    let run = ["run", "--attack", &attack, "--modules", "mods", "--get-prereqs", "--format", "json"];
    let reports = json(&foil(&run)?)?;
    let took = began.elapsed().as_secs();
    let reports: Vec<&Value> = reports
        .as_array()
        .into_iter()
        .flatten()
        .filter(|report| report["technique"].as_str().is_some_and(|id| ids.contains(&id)))
        .collect();
    let path = root().join("docs/atomics-run.md");
    std::fs::write(&path, page(&reports, &imported, took, Path::new(atomics)))?;
    println!("{} tests in {took} s: {}", reports.len(), path.display());
    Ok(())
}

fn json(bytes: &[u8]) -> Result<Value> {
    serde_json::from_slice(bytes).context("foil printed no JSON")
}

/// What a report comes to, in a few words: the same for many tests.
fn outcome(report: &Value) -> &'static str {
    let reason = report["reason"].as_str().unwrap_or_default();
    match report["verdict"].as_str() {
        Some("inconclusive") => match reason {
            why if why.starts_with("refused: ") => "refused: it may destroy the target, and is granted by name only",
            why if why.starts_with("a prerequisite") => "inconclusive: a prerequisite could not be had",
            why if why.ends_with("(not-found)") => "inconclusive: a program is missing",
            why if why.ends_with("(shield)") => "inconclusive: an overlay cannot carry it",
            _ => "inconclusive: something else",
        },
        Some("pass") if report["summary"].as_str().is_some_and(|how| how.contains("was killed")) => {
            "ran, until it was ended at its limit"
        }
        Some("pass") => "ran",
        Some("blocked") => "blocked",
        _ => "failed",
    }
}

fn page(reports: &[&Value], imported: &Value, took: u64, atomics: &Path) -> String {
    let mut outcomes: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for report in reports {
        outcomes.entry(outcome(report)).or_default().push(report["technique"].as_str().unwrap_or_default());
    }
    let ran: Vec<&&Value> = reports.iter().filter(|report| report["test"]["ran"] == true).collect();
    let left = |report: &&&Value| report["test"]["left"].as_array().is_some_and(|left| !left.is_empty());
    let failed = |report: &&&Value| report["test"]["cleanup"]["exit"].as_i64().is_some_and(|status| status != 0);
    let files = imported["files"].as_u64().unwrap_or_default();
    let mut page = format!(
        "# A run of Atomic Red Team's tests\n\nMade by `cargo xtask atomics {}` as root: {} tests for Linux of {files} files, four at once, \
         in {took} s. Each ran in an overlay without a network, with its prerequisites obtained where that could be done so; whatever is \
         not on this machine, a C compiler's headers or a package, is missing. Nothing was left on the machine.\n\n| outcome | tests \
         |\n|---|---|\n",
        atomics.file_name().unwrap_or_default().to_string_lossy(),
        reports.len()
    );
    for (outcome, tests) in &outcomes {
        let _ = writeln!(page, "| {outcome} | {} |", tests.len());
    }
    let _ = write!(
        page,
        "\nOf the {} that came to run, {} left something that their own clean-up (where they have one) forgot, and the clean-up of {} \
         failed.\n\n## What is left\n\n| test | left in the overlay, and thrown away with it |\n|---|---|\n",
        ran.len(),
        ran.iter().filter(|report| left(report)).count(),
        ran.iter().filter(|report| failed(report)).count()
    );
    for report in ran.iter().filter(|report| left(report)) {
        let lines: Vec<String> = report["test"]["left"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .filter(|line| !line.starts_with("process "))
            .map(|line| format!("`{}`", line.replace('`', "'").replace('|', "\\|")))
            .collect();
        let processes = report["test"]["left"].as_array().map_or(0, Vec::len).saturating_sub(lines.len());
        let more = lines.len().saturating_sub(4);
        let mut shown: Vec<String> = lines.into_iter().take(4).collect();
        if more > 0 {
            shown.push(format!("and {more} more"));
        }
        if processes > 0 {
            shown.push(format!("{processes} running process(es)"));
        }
        let _ = writeln!(page, "| {} | {} |", report["technique"].as_str().unwrap_or_default(), shown.join(", "));
    }
    page.push_str("\n## By outcome\n");
    for (outcome, tests) in &outcomes {
        let tests: Vec<&str> = tests.iter().filter_map(|id| id.strip_prefix("atomic.")).collect();
        let _ = write!(page, "\n**{outcome}**: {}\n", tests.join(", "));
    }
    page
}
