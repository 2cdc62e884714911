//! Runs one test of Atomic Red Team: as the scripts that it is, each a file of its own, never joined into a line.

use foil_atomic::{Script, Shell, substitute};
use foil_sdk::exec::Ending;
use foil_sdk::prelude::*;
use std::collections::BTreeMap;
use std::time::Duration;

/// What the host hands over of a test; no manifest can declare such names.
#[derive(serde::Deserialize)]
struct Parameters {
    #[serde(rename = "#test")]
    test: String,
    /// Values by name, as JSON.
    #[serde(rename = "#arguments")]
    arguments: String,
    #[serde(rename = "#stage")]
    stage: String,
    /// Prerequisites that are not met are obtained.
    #[serde(rename = "#obtain")]
    obtain: bool,
    /// How long the scripts of a phase may take.
    #[serde(rename = "#timeout-ms")]
    timeout_ms: i64,
}

/// What is left of an output: its end says what went wrong.
const TAIL: usize = 2048;
/// The shell's word for a program that is not there.
const NOT_FOUND: u8 = 127;

/// A test, ready to run.
struct Test<'a> {
    script: Script,
    values: BTreeMap<String, String>,
    parameters: &'a Parameters,
    context: &'a Context,
}

/// How a script ended.
struct Ended {
    /// `None`: it was killed, by a signal or when its time was over.
    status: Option<u8>,
    how: String,
    stdout: String,
    stderr: String,
}

impl<'a> Test<'a> {
    fn read(context: &'a Context, parameters: &'a Parameters) -> Result<Self> {
        let wrong = |error: serde_json::Error| Error::Invalid(error.to_string());
        let script = serde_json::from_str(&parameters.test).map_err(wrong)?;
        let values = serde_json::from_str(&parameters.arguments).map_err(wrong)?;
        Ok(Self { script, values, parameters, context })
    }

    fn filled(&self, text: &str) -> String {
        substitute(text, &self.values, &self.script.atomics)
    }

    fn run(&self, shell: Shell, name: &str, text: &str) -> Result<Ended> {
        let file = self.context.in_scratch(&[name, ".sh"].concat());
        files::write(&file, self.filled(text))?;
        // A phase that is over is broken off; a script that is killed before has run, and is told.
        let whole = Duration::from_millis(self.parameters.timeout_ms.max(0).unsigned_abs());
        let timeout = whole.saturating_sub(clock::elapsed()?).max(Duration::from_millis(1));
        let output = match Command::new(shell.program()).arg(&file).cwd("/tmp").timeout(timeout).run() {
            Err(Error::Timeout) => {
                let how = ["was still running after ", &timeout.as_secs().to_string(), " s, and was killed"].concat();
                return Ok(Ended { status: None, how, stdout: String::new(), stderr: String::new() });
            }
            other => other?,
        };
        let (status, how) = match output.ending {
            Ending::Exited(status) => (Some(status), ["ended with ", &status.to_string()].concat()),
            Ending::Signalled(signal) => (None, ["was killed by signal ", &signal.to_string()].concat()),
        };
        Ok(Ended { status, how, stdout: tail(&output.stdout), stderr: tail(&output.stderr) })
    }

    /// Prerequisites, in order; the first that is not met ends it.
    fn prerequisites(&self) -> Result<()> {
        let shell = self.script.dependency_executor;
        for (number, dependency) in self.script.dependencies.iter().enumerate() {
            let name = |what: &str| [what, "-", &(number + 1).to_string()].concat();
            let met = |check: Ended| check.status == Some(0);
            if met(self.run(shell, &name("prerequisite"), &dependency.check)?) {
                continue;
            }
            let what = self.filled(dependency.description.trim());
            let why = match &dependency.obtain {
                None => "the test says no way to obtain it".to_owned(),
                Some(_) if !self.parameters.obtain => {
                    "the test can obtain it itself where `get-prereqs: true` is asked for".to_owned()
                }
                Some(obtain) => {
                    let tried = self.run(shell, &name("obtain"), obtain)?;
                    if met(self.run(shell, &name("prerequisite"), &dependency.check)?) {
                        continue;
                    }
                    let said = last_line(&tried.stderr);
                    ["obtaining it did not help, it ", &tried.how, if said.is_empty() { "" } else { ": " }, said]
                        .concat()
                }
            };
            return Err(Error::prerequisite(["a prerequisite is not met: ", &what, "; ", &why].concat()));
        }
        Ok(())
    }
}

/// The end of an output, as text.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let from = text.ceil_char_boundary(text.len().saturating_sub(TAIL));
    text.get(from..).unwrap_or_default().to_owned()
}

fn last_line(text: &str) -> &str {
    text.trim_end().lines().next_back().unwrap_or_default().trim()
}

struct Atomic;

impl Technique for Atomic {
    type Parameters = Parameters;

    fn warmup(context: &Context, parameters: &Parameters) -> Result<State> {
        Test::read(context, parameters)?.prerequisites()?;
        Ok(State::new())
    }

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let test = Test::read(context, parameters)?;
        let (what, text) = match parameters.stage.as_str() {
            "command" if context.dry => return Ok(Evidence::new("ran nothing (dry)")),
            "command" => ("command", Some(&test.script.command)),
            "cleanup" => ("cleanup", test.script.cleanup.as_ref()),
            other => return Err(Error::Invalid(["no stage is called `", other, "`"].concat())),
        };
        let Some(text) = text else { return Ok(Evidence::new("there is no clean-up")) };
        let ended = test.run(test.script.executor, what, text)?;
        if what == "command" && ended.status == Some(NOT_FOUND) {
            return Err(Error::other("not-found", ["a program is missing: ", last_line(&ended.stderr)].concat()));
        }
        let mut evidence = Evidence::new(["the ", what, " ", &ended.how].concat());
        if let Some(status) = ended.status {
            evidence = evidence.fact("exit", status);
        }
        for (name, text) in [("stdout", ended.stdout), ("stderr", ended.stderr)] {
            if !text.is_empty() {
                evidence = evidence.fact(name, text);
            }
        }
        Ok(evidence)
    }
}

foil_sdk::technique!(Atomic);

#[cfg(test)]
mod tests;
