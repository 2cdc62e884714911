//! The scripts of an imported test: what a reviewer judges of it, beside the request that was read off them.

use super::page::{PLAIN, Page, RED};
use crate::module::Imported;
use serde_json::{Value, json};

/// What was read off the text, and the text.
pub(super) fn show(page: &mut Page, imported: &Imported) {
    let (script, judgement) = (&imported.script, &imported.judgement);
    page.heading("Read off its scripts, which may hide more");
    let mut nothing = true;
    for (label, found) in [
        ("destroys  ", &judgement.destructive),
        ("network   ", &judgement.fetches),
        ("obtaining ", &judgement.obtaining_fetches),
        ("beyond    ", &judgement.beyond_overlay),
    ] {
        if let Some(why) = found {
            page.item(2, RED, label, why);
            nothing = false;
        }
    }
    if !judgement.programs.is_empty() {
        let programs: Vec<&str> = judgement.programs.iter().map(String::as_str).collect();
        page.item(2, PLAIN, "programs  ", &programs.join(", "));
    } else if nothing {
        page.item(2, PLAIN, "", "nothing");
    }
    let shell = script.executor.name();
    for (number, dependency) in script.dependencies.iter().enumerate() {
        let number = number.saturating_add(1);
        let by = script.dependency_executor.name();
        text(page, &format!("Prerequisite {number}, by {by}: {}", dependency.description.trim()), &dependency.check);
        if let Some(obtain) = &dependency.obtain {
            text(page, &format!("Obtains prerequisite {number}, where that is asked for"), obtain);
        }
    }
    text(page, &format!("Command, by {shell}"), &script.command);
    if let Some(cleanup) = &script.cleanup {
        text(page, &format!("Clean-up, by {shell}"), cleanup);
    }
}

fn text(page: &mut Page, heading: &str, script: &str) {
    page.heading(heading);
    for line in script.lines() {
        page.item(2, PLAIN, "| ", line);
    }
}

pub(super) fn json(imported: &Imported) -> Value {
    let judgement = &imported.judgement;
    json!({
        "test": imported.script,
        "fetches": judgement.fetches,
        "obtaining_fetches": judgement.obtaining_fetches,
        "destructive": judgement.destructive,
        "beyond_overlay": judgement.beyond_overlay,
        "programs": judgement.programs,
    })
}
