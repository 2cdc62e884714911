//! `foil:host/exec`: programs, inside the run's shield.

use super::files_read::from_path;
use super::files_write::from_journal;
use super::guest::{failure, from_shield};
use super::{Guest, World};
use crate::engine::bindings::imports::exec::{Command, Ending, Host, Output};
use crate::engine::bindings::types::Error;
use foil_journal::{Change, Effect, EffectId, Learned, Undo, fault};
use foil_manifest::ShieldLevel;
use foil_safe_path::{self as safe_path, Fingerprint, PathError};
use foil_shield::{self as shield, Bound, ShieldError};
use std::fs::FileType;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const MAX_ARGS: usize = 1024;
const MAX_ARG_BYTES: usize = 128 << 10;
const MAX_STDIN: usize = 1 << 20;
const MAX_ENV: usize = 64;

impl Host for Guest {
    async fn run(&mut self, command: Command) -> wasmtime::Result<Result<Output, Error>> {
        self.begin()?;
        if let Err(error) = valid(&command) {
            return Ok(Err(error));
        }
        let names: Vec<&str> = command.env.iter().map(|v| v.name.as_str()).collect();
        let line = format!("exec {} {}", command.program, shell_words::join(&command.args));
        let decision = self.permission.exec(&command.program, &command.args, &names);
        if let Err(refused) = self.decide(&line, decision) {
            return Ok(Err(refused));
        }
        self.budget.child()?;
        let shield = match self.shield() {
            Ok(shield) => shield,
            Err(error) => return Ok(Err(error)),
        };
        let writes = self.permission.children().writes;
        let left = self.budget.limits().wall.saturating_sub(self.started.elapsed());
        let asked = command.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms)));
        let request = shield::ExecRequest {
            program: command.program,
            args: command.args,
            env: command.env.into_iter().map(|v| (v.name, v.value)).collect(),
            stdin: command.stdin,
            cwd: command.cwd,
            timeout: Some(asked.map_or(left, |asked| asked.min(left))),
        };
        if writes.is_empty() || self.world.level == ShieldLevel::Overlay {
            // No effect: audited above, not journaled, so that it stays cheap.
            return Ok(start(&self.world, &shield, request).await);
        }
        let world = Arc::clone(&self.world);
        let done =
            self.world.effects.spawn(async move { with_pre_images(&world, &shield, request, &writes, &line).await });
        Ok(done.await.unwrap_or_else(|_| Err(failure("io", "the effect was abandoned"))))
    }
}

/// A program that may change named files: each one's pre-image is written down first.
async fn with_pre_images(
    world: &World,
    shield: &shield::ShieldedRun,
    request: shield::ExecRequest,
    writes: &[String],
    line: &str,
) -> Result<Output, Error> {
    let targets = targets(world, shield, writes)?;
    let mut intended: Vec<(EffectId, &String)> = Vec::new();
    for (path, there) in targets {
        let what = format!("{line} (may change {path})");
        let id = match there {
            Some(there) => world.intend_change(&what, path, &there, Change::Unknown)?,
            // A file that the program may make; the undo removes it if it did.
            None => {
                let undo = Undo::Remove { path: path.clone(), directory: false, content: None };
                let effect = Effect { capability: "exec".into(), what, undo };
                world.journal.intend(&effect).map_err(from_journal)?
            }
        };
        intended.push((id, path));
    }
    fault::point("effect.before");
    let outcome = start(world, shield, request).await;
    fault::point("effect.after");
    for (id, path) in intended {
        // What the program left is what the undo will compare with.
        //
        // Children of `confined` cannot replace it. Where it was replaced, somebody else did, and what is there now is not
        // what the program left: the effect stays in doubt, and its undo will say so and leave the stranger's file alone.
        let now = there(path, shield.bound(path))?;
        world.journal.applied(id, Learned::File(now.as_ref())).map_err(from_journal)?;
    }
    outcome
}

/// The files that the program may change, and what is there now. The first that is not what was granted is an error,
/// before anything is written down.
fn targets<'p>(
    world: &World,
    shield: &shield::ShieldedRun,
    writes: &'p [String],
) -> Result<Vec<(&'p String, Option<Fingerprint>)>, Error> {
    let mut targets = Vec::new();
    for path in writes {
        let bound = shield.bound(path);
        match bound {
            // Children reach it by the path itself, or the pre-image must be of what they can change.
            None if world.level != ShieldLevel::Confined => {}
            Some(Bound::Object { .. }) => {}
            Some(Bound::Refused(why)) => {
                return Err(failure("shield", format!("{path} is granted, but children cannot change it: {why}")));
            }
            // Children can neither change nor make it, so whatever happens there is somebody else's doing.
            None | Some(Bound::Absent | Bound::Forbidden) => continue,
        }
        // Children can talk to it and not change it.
        if bound_kind(path, bound).is_some_and(|kind| kind.is_socket()) {
            continue;
        }
        let there = there(path, bound)?;
        // Policy was asked when the run began; a folder may have come since.
        if there.as_ref().is_some_and(|there| there.kind == "directory") {
            let text = format!("{path} has become a folder, and what a program does to a folder cannot be undone");
            return Err(failure("conflict", text));
        }
        targets.push((path, there));
    }
    Ok(targets)
}

/// What kind of thing is at a path, where it is the one that the path is bound to.
fn bound_kind(path: &str, bound: Option<&Bound>) -> Option<FileType> {
    let (dev, ino, kind) = safe_path::identity(Path::new(path)).ok()??;
    match bound {
        None => Some(kind),
        Some(Bound::Object { dev: own, ino: inode }) => ((dev, ino) == (*own, *inode)).then_some(kind),
        Some(_) => None,
    }
}

/// What is at a path now: of a path that is bound, nothing but what it is bound to.
fn there(path: &str, bound: Option<&Bound>) -> Result<Option<Fingerprint>, Error> {
    let found = safe_path::fingerprint(Path::new(path));
    let why = match (bound, &found) {
        (Some(Bound::Object { dev, ino }), Ok(Some(found))) if (*dev, *ino) == (found.dev, found.ino) => None,
        (Some(Bound::Object { .. }), Ok(Some(_))) => Some("something else is there now".to_owned()),
        (Some(Bound::Object { .. }), Err(PathError::Refused { why, .. })) => match bound_kind(path, bound) {
            // Nobody changed it: it is a device, a FIFO, or a file of the kernel's.
            Some(_) => {
                let text =
                    format!("{path} is granted, but it could not be given back as it is now, so nothing starts: {why}");
                return Err(failure("shield", text));
            }
            None => Some(why.clone()),
        },
        (Some(Bound::Object { .. }), Ok(None) | Err(PathError::NotFound(_))) => Some("nothing is there now".to_owned()),
        _ => None,
    };
    match (why, found) {
        (Some(why), _) => Err(from_shield(ShieldError::GrantChanged { path: path.to_owned(), why })),
        (None, Err(PathError::NotFound(_))) => Ok(None),
        (None, found) => found.map_err(from_path),
    }
}

/// Starts the program, waits for it, and notes that Foil itself saw it.
async fn start(world: &World, shield: &shield::ShieldedRun, request: shield::ExecRequest) -> Result<Output, Error> {
    let (program, args) = (request.program.clone(), request.args.clone());
    let outcome = shield.exec(request).await.map_err(from_shield)?;
    if let Some(observed) = &world.observed {
        observed.push_exec(&program, &args, outcome.pid, outcome.started, Some(outcome.ending));
    }
    answer(outcome)
}

fn valid(command: &Command) -> Result<(), Error> {
    let bytes: usize = command.args.iter().map(String::len).fold(0, usize::saturating_add);
    let nul = |s: &str| s.contains('\0');
    let invalid = |text: String| Err(Error::Invalid(text));
    if command.args.len() > MAX_ARGS || bytes > MAX_ARG_BYTES {
        return invalid(format!("at most {MAX_ARGS} arguments of {MAX_ARG_BYTES} bytes together"));
    }
    if command.stdin.len() > MAX_STDIN {
        return invalid(format!("standard input is at most {MAX_STDIN} bytes"));
    }
    if command.env.len() > MAX_ENV || command.env.iter().any(|v| v.name.is_empty() || v.name.contains('=')) {
        return invalid(format!("at most {MAX_ENV} variables, with names and without `=` in them"));
    }
    let env = command.env.iter().flat_map(|v| [v.name.as_str(), v.value.as_str()]);
    if nul(&command.program) || command.args.iter().any(|a| nul(a)) || env.into_iter().any(nul) {
        return invalid("a NUL byte cannot be passed to a program".to_owned());
    }
    Ok(())
}

fn answer(outcome: shield::ExecOutcome) -> Result<Output, Error> {
    let ending = match outcome.ending {
        shield::Ending::Exited(code) => Ending::Exited(code),
        shield::Ending::Signalled(signal) => Ending::Signalled(signal),
        shield::Ending::TimedOut => return Err(Error::Timeout),
    };
    Ok(Output {
        ending,
        stdout: outcome.stdout,
        stderr: outcome.stderr,
        stdout_dropped: outcome.stdout_dropped,
        stderr_dropped: outcome.stderr_dropped,
        pid: outcome.pid,
        duration_us: u64::try_from(outcome.duration.as_micros()).unwrap_or(u64::MAX),
    })
}
