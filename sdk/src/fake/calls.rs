//! The host's side of every call, as the guest's bindings have it.

use super::host::Host;
use super::world::{Call, File, World};
use crate::__bindings::host::events_read::Page;
use crate::__bindings::host::exec::{Command, Output};
use crate::__bindings::host::files_read::{Kind, Metadata};
use crate::__bindings::host::files_write::Disposition;
use crate::__bindings::host::log::Level;
use crate::__bindings::host::types::{Denial, Error, Failure};
use std::time::{SystemTime, UNIX_EPOCH};

type Result<T> = std::result::Result<T, Error>;

/// What a call is about, for the manifest's rules.
pub(super) enum Subject<'a> {
    Exec(&'a Call),
    Read(&'a str),
    Write(&'a str),
    Collector(&'a str),
    Serve,
}

impl Subject<'_> {
    pub(super) fn capability(&self) -> &'static str {
        match self {
            Self::Exec(_) => "exec",
            Self::Read(_) => "files-read",
            Self::Write(_) => "files-write",
            Self::Collector(_) => "events-read",
            Self::Serve => "loopback-serve",
        }
    }

    /// The command line, path or name that the call is about.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Exec(call) => call.line(),
            Self::Read(text) | Self::Write(text) | Self::Collector(text) => (*text).to_owned(),
            Self::Serve => "publish".to_owned(),
        }
    }
}

fn allowed(world: &World, subject: &Subject<'_>) -> Result<()> {
    let capability = subject.capability();
    if world.denied.contains(capability) {
        let rule = format!("the test denies `{}`", subject.text());
        return Err(Error::Denied(Denial { capability: capability.to_owned(), rule }));
    }
    #[cfg(feature = "manifest")]
    if let Some(manifest) = &world.manifest {
        super::manifest::allows(manifest, &world.context, subject)?;
    }
    Ok(())
}

fn failure(code: &str, message: String) -> Error {
    Error::Other(Failure { code: code.to_owned(), message, retryable: false })
}

pub(crate) fn exec(command: &Command) -> Result<Output> {
    let call = Call {
        program: command.program.clone(),
        args: command.args.clone(),
        env: command.env.iter().map(|v| (v.name.clone(), v.value.clone())).collect(),
        stdin: command.stdin.clone(),
        cwd: command.cwd.clone(),
        timeout_ms: command.timeout_ms,
    };
    let host = Host::current();
    let answer = {
        let mut world = host.0.borrow_mut();
        allowed(&world, &Subject::Exec(&call))?;
        let Some(answer) = world.programs.get(&call.program).cloned() else {
            return Err(Error::NotFound(call.program));
        };
        world.calls.push(call.clone());
        answer
    };
    // The script may itself change the world: it is not borrowed here.
    let output = answer(&call).map_err(Error::from)?;
    Ok(Output {
        ending: output.ending,
        stdout: output.stdout,
        stderr: output.stderr,
        stdout_dropped: output.stdout_dropped,
        stderr_dropped: output.stderr_dropped,
        pid: output.pid,
        duration_us: u64::try_from(output.duration.as_micros()).unwrap_or(u64::MAX),
    })
}

pub(crate) fn read(path: &str, offset: u64, limit: u32) -> Result<Vec<u8>> {
    if !(1..=1 << 20).contains(&limit) {
        return Err(Error::Invalid(format!("`limit` must be 1 to 1048576, not {limit}")));
    }
    let host = Host::current();
    let world = host.0.borrow();
    allowed(&world, &Subject::Read(path))?;
    let file = world.files.get(path).ok_or_else(|| Error::NotFound(path.to_owned()))?;
    Ok(file.content.iter().skip(offset as usize).take(limit as usize).copied().collect())
}

pub(crate) fn stat(path: &str) -> Result<Metadata> {
    let host = Host::current();
    let world = host.0.borrow();
    allowed(&world, &Subject::Read(path))?;
    let (kind, size, mode) = match world.files.get(path) {
        Some(file) => (Kind::File, file.content.len() as u64, file.mode),
        None if world.is_directory(path) => (Kind::Directory, 4096, 0o755),
        None => return Err(Error::NotFound(path.to_owned())),
    };
    Ok(Metadata { kind, size, mode, uid: 0, gid: 0, modified: 0 })
}

pub(crate) fn entries(path: &str) -> Result<Vec<String>> {
    let host = Host::current();
    let world = host.0.borrow();
    allowed(&world, &Subject::Read(path))?;
    if !world.is_directory(path) {
        return Err(Error::NotFound(path.to_owned()));
    }
    let below = [path.trim_end_matches('/'), "/"].concat();
    let mut names: Vec<String> = world
        .files
        .keys()
        .chain(&world.directories)
        .filter_map(|other| other.strip_prefix(&below))
        .map(|rest| rest.split('/').next().unwrap_or(rest).to_owned())
        .collect();
    names.sort();
    names.dedup();
    Ok(names)
}

pub(crate) fn write(path: &str, content: &[u8], disposition: Disposition, mode: Option<u32>) -> Result<()> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&world, &Subject::Write(path))?;
    if mode.is_some_and(|mode| mode & !0o777 != 0) {
        return Err(Error::Invalid("set-id bits are refused".to_owned()));
    }
    parent_exists(&world, path)?;
    let old = world.files.get(path).cloned();
    let (word, file) = match (disposition, old) {
        (Disposition::Create, Some(_)) => return Err(failure("conflict", format!("{path} exists"))),
        (Disposition::Replace | Disposition::Append, None) => return Err(Error::NotFound(path.to_owned())),
        (Disposition::Create | Disposition::Put, None) => {
            ("create", File { content: content.to_vec(), mode: mode.unwrap_or(0o644) })
        }
        (Disposition::Replace | Disposition::Put, Some(old)) => {
            ("replace", File { content: content.to_vec(), mode: old.mode })
        }
        (Disposition::Append, Some(old)) => {
            ("append", File { content: [&old.content, content].concat(), mode: old.mode })
        }
    };
    world.files.insert(path.to_owned(), file);
    world.changes.push(format!("{word} {path}"));
    Ok(())
}

pub(crate) fn remove(path: &str) -> Result<()> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&world, &Subject::Write(path))?;
    if world.files.remove(path).is_none() {
        return Err(Error::NotFound(path.to_owned()));
    }
    world.changes.push(format!("remove {path}"));
    Ok(())
}

pub(crate) fn create_directory(path: &str) -> Result<()> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&world, &Subject::Write(path))?;
    if world.files.contains_key(path) || world.is_directory(path) {
        return Err(failure("conflict", format!("{path} exists")));
    }
    parent_exists(&world, path)?;
    world.directories.insert(path.to_owned());
    world.changes.push(format!("create-directory {path}"));
    Ok(())
}

fn parent_exists(world: &World, path: &str) -> Result<()> {
    match path.rsplit_once('/') {
        Some((parent, _)) if parent.is_empty() || world.is_directory(parent) => Ok(()),
        _ => Err(Error::NotFound(format!("the directory of {path}"))),
    }
}

pub(crate) fn events_read(collector: &str, cursor: u64, limit: u32) -> Result<Page> {
    if !(1..=1_000).contains(&limit) {
        return Err(Error::Invalid(format!("`limit` must be 1 to 1000, not {limit}")));
    }
    let host = Host::current();
    let world = host.0.borrow();
    allowed(&world, &Subject::Collector(collector))?;
    if let Some(error) = world.blind.get(collector) {
        return Err(error.clone());
    }
    let Some(log) = world.events.get(collector) else {
        return Err(failure("dead-collector", format!("the test arms no collector `{collector}`")));
    };
    let events: Vec<_> = log.iter().filter(|e| e.sequence > cursor).take(limit as usize).cloned().collect();
    let next = events.last().map_or(cursor, |event| event.sequence);
    Ok(Page { events, next, drained: next == log.len() as u64 })
}

pub(crate) fn publish(path: &str, body: &[u8]) -> Result<String> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&world, &Subject::Serve)?;
    world.published.push((path.to_owned(), body.to_vec()));
    Ok(["http://127.0.0.1:41233", path].concat())
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of the guest's binding")]
pub(crate) fn log(level: Level, message: &str) -> Result<()> {
    let word = match level {
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warning => "warning",
        Level::Error => "error",
    };
    Host::current().0.borrow_mut().lines.push(format!("{word}: {message}"));
    Ok(())
}

pub(crate) fn now() -> Result<u64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|e| failure("io", e.to_string()))?;
    Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of the guest's binding")]
pub(crate) fn elapsed() -> Result<u64> {
    Ok(1_000_000)
}
