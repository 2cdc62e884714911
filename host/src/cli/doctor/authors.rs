//! What authors of modules need. A note, since running needs none of it.

use super::{Area, Finding, State};
use std::path::Path;
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-unknown-unknown";

pub(super) fn look() -> Vec<Finding> {
    let mut area = Area::new("authors");
    let (says, remedy) = match (ask(&["--version"]), ask(&["--print", "target-libdir", "--target", TARGET])) {
        (Some(version), Some(folder)) if Path::new(&folder).is_dir() => (format!("{version}, with {TARGET}"), None),
        (Some(version), _) => (format!("{version}, without {TARGET}"), Some(format!("`rustup target add {TARGET}`"))),
        (None, _) => {
            ("no rustc here".to_owned(), Some("install Rust from https://rustup.rs to build modules".to_owned()))
        }
    };
    area.add(State::Note, "rustc", says, remedy);
    area.found
}

/// The first line of rustc's answer.
fn ask(arguments: &[&str]) -> Option<String> {
    let answer = Command::new("rustc").args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    answer.status.success().then(|| text.lines().next().unwrap_or_default().to_owned())
}
