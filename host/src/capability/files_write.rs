//! `foil:host/files-write`: file effects. Written down with the pre-image, then done by the run's helper with the run's
//! identity, then written down as done. Each runs on a task of its own, so that a guest that is killed at its deadline
//! does not cancel it half-way.

use super::files_read::from_path;
use super::guest::{failure, from_shield};
use super::{Guest, World};
use crate::engine::bindings::imports::files_write::{Disposition, Host};
use crate::engine::bindings::types::{Error, Failure};
use foil_journal::{Change, Effect, EffectId, JournalError, Learned, Preimage, Undo, fault};
use foil_manifest::ShieldLevel;
use foil_safe_path::{self as safe_path, Fingerprint, PathError};
use foil_shield::{FileFailure, FileOp};
use std::future::Future;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

/// Bytes of one write.
const MAX_CONTENT: usize = 1 << 20;
const CAPABILITY: &str = "files-write";

impl Host for Guest {
    async fn write(
        &mut self,
        path: String,
        content: Vec<u8>,
        disposition: Disposition,
        mode: Option<u32>,
    ) -> wasmtime::Result<Result<(), Error>> {
        self.begin()?;
        if content.len() > MAX_CONTENT {
            return Ok(Err(Error::Limit(format!("one write has at most {MAX_CONTENT} bytes; use `append` for more"))));
        }
        let mode = mode.unwrap_or(0o644);
        if mode & !0o777 != 0 {
            return Ok(Err(Error::Invalid(format!("mode {mode:o}: only permission bits may be set"))));
        }
        if let Err(refused) = self.decide(&format!("write {path}"), self.permission.write(&path)) {
            return Ok(Err(refused));
        }
        Ok(effect(Arc::clone(&self.world), move |world| async move {
            write(&world, path, content, disposition, mode).await
        })
        .await)
    }

    async fn remove(&mut self, path: String) -> wasmtime::Result<Result<(), Error>> {
        self.begin()?;
        if let Err(refused) = self.decide(&format!("remove {path}"), self.permission.write(&path)) {
            return Ok(Err(refused));
        }
        Ok(effect(Arc::clone(&self.world), move |world| async move { remove(&world, path).await }).await)
    }

    async fn create_directory(&mut self, path: String) -> wasmtime::Result<Result<(), Error>> {
        self.begin()?;
        if let Err(refused) = self.decide(&format!("create the directory {path}"), self.permission.write(&path)) {
            return Ok(Err(refused));
        }
        Ok(effect(Arc::clone(&self.world), move |world| async move { create_directory(&world, path).await }).await)
    }
}

/// Runs an effect on a task of its own.
async fn effect<F>(world: Arc<World>, effect: impl FnOnce(Arc<World>) -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>> + Send + 'static,
{
    let task = world.effects.spawn(effect(Arc::clone(&world)));
    task.await.unwrap_or_else(|_| Err(failure("io", "the effect was abandoned; the journal knows of it")))
}

async fn write(
    world: &World,
    path: String,
    content: Vec<u8>,
    disposition: Disposition,
    mode: u32,
) -> Result<(), Error> {
    let there = there(world, &path)?;
    let what = |verb: &str| format!("{verb} {path} ({} bytes)", content.len());
    match (disposition, there) {
        (Disposition::Create | Disposition::Put, None) => {
            let what = what("create");
            let id = world
                .intend(&what, &path, |journal| journal.intend_create(CAPABILITY, &what, Path::new(&path), &content))?;
            act(world, id, FileOp::Create { path, content, mode }).await
        }
        (Disposition::Create, Some(_)) => Err(failure("conflict", format!("{path} exists already"))),
        (Disposition::Replace | Disposition::Append, None) => Err(Error::NotFound(path)),
        (_, Some(there)) => {
            let append = matches!(disposition, Disposition::Append);
            let grown = there.size.saturating_add(u64::try_from(content.len()).unwrap_or(u64::MAX));
            if append && grown > safe_path::CONTENT_LIMIT {
                let text = format!("{path} would be larger than 64 MiB, and what is larger cannot be undone");
                return Err(Error::Limit(text));
            }
            let what = what(if append { "append to" } else { "replace" });
            let change = if append { Change::Append(&content) } else { Change::Replace(&content) };
            let id = world.intend_change(&what, &path, &there, change)?;
            let expect = (there.dev, there.ino);
            act(world, id, FileOp::Write { path, content, append, expect }).await
        }
    }
}

async fn remove(world: &World, path: String) -> Result<(), Error> {
    let Some(there) = there(world, &path)? else { return Err(Error::NotFound(path)) };
    let what = format!("remove {path}");
    let id = world.intend_change(&what, &path, &there, Change::Remove)?;
    act(world, id, FileOp::Remove { path, expect: (there.dev, there.ino) }).await
}

async fn create_directory(world: &World, path: String) -> Result<(), Error> {
    if there(world, &path)?.is_some() {
        return Err(failure("conflict", format!("{path} exists already")));
    }
    let what = format!("make the directory {path}");
    let id = world.intend(&what, &path, |journal| {
        let undo = Undo::Remove { path: path.clone(), directory: true, content: None };
        journal.intend(&Effect { capability: CAPABILITY.into(), what: what.clone(), undo })
    })?;
    act(world, id, FileOp::CreateDirectory { path }).await
}

/// What is at the path, in the run's view.
fn there(world: &World, path: &str) -> Result<Option<Fingerprint>, Error> {
    let view = world.shield.as_ref().map_or_else(|| "/".into(), |shield| shield.view());
    let root = safe_path::open_root(&view).map_err(from_path)?;
    match safe_path::fingerprint_in(root.as_fd(), Path::new(path)) {
        Err(PathError::NotFound(_)) => Ok(None),
        other => other.map_err(from_path),
    }
}

impl World {
    /// Writes an effect down. In an overlay there is nothing to take back: it vanishes with the namespace.
    fn intend(
        &self,
        what: &str,
        path: &str,
        on_the_machine: impl FnOnce(&foil_journal::RunJournal) -> Result<EffectId, JournalError>,
    ) -> Result<EffectId, Error> {
        if self.level == ShieldLevel::Overlay {
            let undo = Undo::Vanished { path: path.to_owned() };
            let effect = Effect { capability: CAPABILITY.into(), what: what.to_owned(), undo };
            return self.journal.intend(&effect).map_err(from_journal);
        }
        on_the_machine(&self.journal).map_err(from_journal)
    }

    /// Writes a change of an existing file down, with its pre-image, which must be of the file that was looked at.
    pub(super) fn intend_change(
        &self,
        what: &str,
        path: &str,
        there: &Fingerprint,
        change: Change<'_>,
    ) -> Result<EffectId, Error> {
        if self.level == ShieldLevel::Overlay {
            return self.intend(what, path, |_| Err(JournalError::Occupied(path.into())));
        }
        let (preimage, before) = Preimage::take(Path::new(path)).map_err(from_path)?;
        if (before.dev, before.ino) != (there.dev, there.ino) {
            return Err(failure("conflict", format!("{path} was replaced while it was looked at")));
        }
        self.journal.intend_with_preimage(CAPABILITY, what, Path::new(path), &preimage, change).map_err(from_journal)
    }
}

/// Has the helper do it, and writes down what came of it.
async fn act(world: &World, id: EffectId, op: FileOp) -> Result<(), Error> {
    let shield = world.shield.clone().ok_or_else(|| failure("shield", "this run has no shield to act through"))?;
    fault::point("effect.before");
    let done = shield.file(op).await;
    fault::point("effect.after");
    match done {
        Ok(Ok(now)) => world.journal.applied(id, Learned::AsIntended(now.as_ref())).map_err(from_journal),
        Ok(Err(refusal)) => {
            let error = from_failure(refusal);
            world.journal.refused(id, &format!("{error:?}")).map_err(from_journal)?;
            Err(error)
        }
        // The helper is gone, perhaps half-way: the effect stays `intended`, and undo will look.
        Err(error) => Err(from_shield(error)),
    }
}

fn from_failure(refusal: FileFailure) -> Error {
    match refusal {
        FileFailure::NotFound => Error::NotFound("nothing is there".into()),
        FileFailure::Conflict(text) => failure("conflict", text),
        FileFailure::Refused(text) => failure("refused", text),
        FileFailure::Forbidden(text) => failure("forbidden", text),
        FileFailure::Io(text) => failure("io", text),
    }
}

pub(super) fn from_journal(error: JournalError) -> Error {
    match error {
        JournalError::Path(error) => from_path(error),
        JournalError::Occupied(_) | JournalError::NotUndoable { .. } => failure("conflict", error.to_string()),
        // Without a journal there are no effects; the same call may succeed once there is room on the disk again.
        other => Error::Other(Failure { code: "journal".into(), message: other.to_string(), retryable: true }),
    }
}
