//! `foil doctor`: what this machine can do for Foil, and how to mend what is missing.
//!
//! What can be tried is tried, since a setting that says yes is no proof: namespaces are entered by a child, both shields are
//! opened and closed again, the inbox's address is bound and let go. Nothing is left changed.

mod audit;
mod authors;
mod clock;
mod cluster;
mod files;
mod machine;
mod sensors;
mod shields;

use super::{Exit, Format, Global};
use crate::console::out;
use anstyle::{AnsiColor, Style};
use foil_report::wrap;
use foil_shield::Launcher;
use foil_text::cut;
use serde::Serialize;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// How a thing stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// As it should be.
    Ok,
    /// Foil works without it, less well.
    Warning,
    /// Foil does not work without it.
    Missing,
    /// For authors of modules only.
    Note,
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
struct Finding {
    area: &'static str,
    name: &'static str,
    state: State,
    says: String,
    /// What to do about it; `None` where nothing need be done.
    remedy: Option<String>,
}

/// Findings of one area.
struct Area {
    name: &'static str,
    found: Vec<Finding>,
}

impl Area {
    fn new(name: &'static str) -> Self {
        Self { name, found: Vec::new() }
    }

    fn ok(&mut self, name: &'static str, says: impl Into<String>) {
        self.add(State::Ok, name, says, None);
    }

    fn warning(&mut self, name: &'static str, says: impl Into<String>, remedy: impl Into<String>) {
        self.add(State::Warning, name, says, Some(remedy.into()));
    }

    fn missing(&mut self, name: &'static str, says: impl Into<String>, remedy: impl Into<String>) {
        self.add(State::Missing, name, says, Some(remedy.into()));
    }

    fn add(&mut self, state: State, name: &'static str, says: impl Into<String>, remedy: Option<String>) {
        self.found.push(Finding { area: self.name, name, state, says: cut(&says.into(), 1000), remedy });
    }
}

pub(super) fn run(_: Args, global: &Global) -> anyhow::Result<Exit> {
    // Both fork, and do so before there is a second thread.
    let launcher = Launcher::start();
    let namespaces = shields::namespaces();
    let mut found = machine::look();
    found.extend(shields::look(launcher, namespaces));
    // A fault in one look is that look's finding.
    let looks: [(&'static str, &dyn Fn() -> Vec<Finding>); 6] = [
        ("audit", &audit::look),
        ("configuration", &|| files::look(global)),
        ("sensors", &|| sensors::look(global)),
        ("kubernetes", &|| cluster::look(global)),
        ("clock", &clock::look),
        ("authors", &authors::look),
    ];
    for (area, look) in looks {
        found.extend(foil_panics::caught(look).unwrap_or_else(|broken| {
            let mut area = Area::new(area);
            area.missing("look", broken.to_string(), "report it with what foil.yaml says, without its secrets");
            area.found
        }));
    }
    let missing = found.iter().filter(|finding| finding.state == State::Missing).count();
    match global.format {
        Format::Json => {
            let json = serde_json::json!({ "schema": 1, "sound": missing == 0, "findings": found });
            super::print_json(&json)?;
        }
        Format::Text => print(&found),
    }
    Ok(if missing == 0 { Exit::Success } else { Exit::Inconclusive })
}

fn print(found: &[Finding]) {
    let mut area = "";
    for finding in found {
        if finding.area != area {
            area = finding.area;
            out!("{}{area}{:#}", Style::new().bold(), Style::new().bold());
        }
        let (word, style) = match finding.state {
            State::Ok => ("ok", AnsiColor::Green.on_default()),
            State::Warning => ("warning", AnsiColor::Yellow.on_default()),
            State::Missing => ("MISSING", AnsiColor::Red.on_default().bold()),
            State::Note => ("note", Style::new().dimmed()),
        };
        let text = format!("{}: {}", finding.name, finding.says);
        let remedy = finding.remedy.iter().map(|remedy| format!("-> {remedy}"));
        let mut word = word;
        for line in std::iter::once(text).chain(remedy).flat_map(|text| wrap(&text, 69)) {
            out!("  {style}{word:<7}{style:#}  {line}");
            word = "";
        }
    }
    let count = |state: State| found.iter().filter(|finding| finding.state == state).count();
    out!(
        "\n{} ok, {} warnings, {} missing{}",
        count(State::Ok),
        count(State::Warning),
        count(State::Missing),
        if count(State::Missing) == 0 { ": Foil can work here" } else { ": Foil cannot work here as it is" }
    );
}
