//! Atomic Red Team's YAML, as its own validator (`atomic_red_team/models.py`) has it: what that refuses is a mistake here, but for
//! a few things that do no harm, which are warnings. Unknown keys are mistakes everywhere; the validator says so of tests only.

mod fields;
mod read;
mod runnable;
mod tree;

use crate::{Argument, Dependency, Shell};
use fields::{Fields, list, place};
pub use runnable::NotRunnable;
use std::collections::BTreeMap;
use std::fmt;

/// A file: a technique and its tests.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// `attack_technique`, such as `T1059.004`.
    pub technique: String,
    /// `display_name`.
    pub technique_name: String,
    /// The tests in the file's order; a broken one is the mistake that it has.
    pub tests: Vec<Result<Test, Mistake>>,
}

/// What is wrong with a file, and where. Shown as `line:column: what`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The line, from 1.
    pub line: u64,
    /// The column, from 1.
    pub column: u64,
    /// What, as a sentence without a full stop.
    pub what: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.what)
    }
}

impl std::error::Error for Mistake {}

fn mistake<T>((line, column): (u64, u64), what: impl Into<String>) -> Result<T, Mistake> {
    Err(Mistake { line, column, what: what.into() })
}

/// A test, for whatever platform.
#[derive(Debug, Clone, PartialEq)]
pub struct Test {
    /// Its place among all tests of its file, from 1, broken ones counted.
    pub number: u32,
    /// The line that it begins at.
    pub line: u64,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// `supported_platforms`.
    pub platforms: Vec<String>,
    /// `auto_generated_guid`, in lower case.
    pub guid: Option<String>,
    /// `input_arguments`.
    pub arguments: BTreeMap<String, Argument>,
    /// `dependencies`.
    pub dependencies: Vec<Dependency>,
    /// `dependency_executor_name`, or else the executor's.
    pub dependency_executor: Runner,
    /// `executor`'s `name`.
    pub executor: Runner,
    /// `elevation_required`.
    pub elevation: bool,
    /// The script, or the steps of a manual test.
    pub command: String,
    /// `cleanup_command`.
    pub cleanup: Option<String>,
    /// What Atomic Red Team's validator would refuse and does no harm.
    pub warnings: Vec<Mistake>,
}

/// What runs a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Runner {
    /// A shell that Foil runs.
    Shell(Shell),
    /// PowerShell.
    Powershell,
    /// `cmd.exe`.
    CommandPrompt,
    /// A person.
    Manual,
}

impl fmt::Display for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shell(Shell::Sh) => "sh",
            Self::Shell(Shell::Bash) => "bash",
            Self::Powershell => "powershell",
            Self::CommandPrompt => "command_prompt",
            Self::Manual => "manual",
        })
    }
}

/// Reads a file. Line breaks of Windows become those of Unix.
///
/// # Errors
/// What makes the whole file unreadable: it is no YAML, goes beyond the budgets, or does not say which technique it is about. A
/// mistake inside a test stands in [`Document::tests`].
pub fn parse(text: &str) -> Result<Document, Mistake> {
    let mut file = Fields::of(tree::read(text)?, "the file", &["attack_technique", "display_name", "atomic_tests"])?;
    let technique = file.text("attack_technique")?;
    if !is_technique(&technique.value) {
        let what =
            format!("`{}` is no technique of ATT&CK: `T` and four digits, such as T1059 or T1059.004", technique.value);
        return mistake(technique.place, what);
    }
    let technique_name = file.text("display_name")?.value;
    let tests = file.need("atomic_tests")?;
    let at = place(&tests);
    let tests = list(tests, "atomic_tests")?;
    if tests.is_empty() {
        return mistake(at, "`atomic_tests` is empty: a file has at least one test");
    }
    let tests = (1..).zip(tests).map(|(number, test)| read::test(test, number)).collect();
    Ok(Document { technique: technique.value, technique_name, tests })
}

fn is_technique(id: &str) -> bool {
    let (technique, sub) = id.split_once('.').map_or((id, None), |(technique, sub)| (technique, Some(sub)));
    let digits = |text: &str, count| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    technique.strip_prefix('T').is_some_and(|number| digits(number, 4)) && sub.is_none_or(|sub| digits(sub, 3))
}

#[cfg(test)]
mod tests;
