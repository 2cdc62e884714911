//! A test as a module's data.

use super::{Document, Runner, Test};
use crate::{FORMAT, Script};
use std::fmt;

/// Why a test is no module of Foil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotRunnable {
    /// It is for other platforms.
    Platform(Vec<String>),
    /// It is for Linux, with an executor that Foil has not.
    Executor(Runner),
    /// Its dependencies are, with an executor that Foil has not.
    DependencyExecutor(Runner),
    /// A person has to do it: these are the steps.
    Manual(String),
}

impl fmt::Display for NotRunnable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Platform(platforms) => write!(f, "it is for {}, and not for linux", platforms.join(", ")),
            Self::Executor(name) => write!(f, "its executor is `{name}`, and Foil runs `sh` and `bash`"),
            Self::DependencyExecutor(name) => {
                write!(f, "its `dependency_executor_name` is `{name}`, and Foil runs `sh` and `bash`")
            }
            Self::Manual(_) => f.write_str("it is manual: its steps are for a person"),
        }
    }
}

impl Test {
    /// The test as a module's data. `atomics` is the absolute path of the folder `atomics`.
    ///
    /// # Errors
    /// Foil cannot run it, and why.
    pub fn script(&self, document: &Document, atomics: &str) -> Result<Script, NotRunnable> {
        if !self.platforms.iter().any(|platform| platform == "linux") {
            return Err(NotRunnable::Platform(self.platforms.clone()));
        }
        let executor = match self.executor {
            Runner::Shell(shell) => shell,
            Runner::Manual => return Err(NotRunnable::Manual(self.command.clone())),
            other => return Err(NotRunnable::Executor(other)),
        };
        let dependency_executor = match self.dependency_executor {
            Runner::Shell(shell) => shell,
            _ if self.dependencies.is_empty() => executor,
            other => return Err(NotRunnable::DependencyExecutor(other)),
        };
        Ok(Script {
            foil_atomic: FORMAT,
            technique: document.technique.clone(),
            technique_name: document.technique_name.clone(),
            number: self.number,
            guid: self.guid.clone(),
            name: self.name.clone(),
            description: self.description.clone(),
            arguments: self.arguments.clone(),
            dependencies: self.dependencies.clone(),
            dependency_executor,
            executor,
            elevation: self.elevation,
            command: self.command.clone(),
            cleanup: self.cleanup.clone(),
            atomics: atomics.to_owned(),
        })
    }
}
