//! Reversing effects, newest first, and looking at each.
//!
//! Everything here may be repeated: after a crash in the middle, the next recovery begins again at the last batch of marks
//! that reached the disk, and finds most of it done.

mod attributes;
mod batch;
mod families;
mod remove;
mod restore;
mod scratch;
mod torn;

use super::error::Result;
use super::family::{Families, FamilyUndo, Known};
use super::{EffectState, Inner, Undo, Wait, fault, model};
use batch::{Batch, Mark};
use foil_panics::caught;
use foil_record::{UndoOutcome, UndoReport};
use foil_safe_path::{self as safe_path, Fingerprint, Look, PathError};
use foil_text::RunId;
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::collections::HashMap;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What undo needs beside files. The kernel's audit rules and what families act on have clients elsewhere; the journal knows none.
pub trait UndoHost: Families {
    /// Takes these rules away (`struct audit_rule_data`, binary), and switches auditing off where `disable`. A rule that
    /// is not there any more is no error. The error is a sentence.
    fn delete_audit_rules(&self, rules: &[Vec<u8>], disable: bool) -> std::result::Result<(), String>;

    /// Which of these rules are still there, and whether auditing is on: undo looks with it.
    fn audit_state(&self, rules: &[Vec<u8>]) -> std::result::Result<AuditState, String>;
}

/// What [`UndoHost::audit_state`] saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AuditState {
    /// How many of the rules are in the kernel's list.
    pub present: usize,
    /// Auditing is on, and for nobody else: no daemon runs, and no other run's rules are there.
    pub enabled: bool,
}

/// A host without audit and families: effects on those become residue with that reason, and nothing else is different.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHost;

impl Families for NoHost {
    fn undo(&self, undo: &FamilyUndo, _: &Known<'_>) -> UndoOutcome {
        UndoOutcome::Failed(format!("nothing here can undo what `{}` did", foil_text::visible(&undo.family, 40)))
    }

    fn depend(&self, _: &FamilyUndo, _: &FamilyUndo) -> bool {
        true
    }

    fn in_words(&self, undo: &FamilyUndo) -> String {
        format!("what `{}` did", foil_text::visible(&undo.family, 40))
    }
}

impl UndoHost for NoHost {
    fn delete_audit_rules(&self, _: &[Vec<u8>], _: bool) -> std::result::Result<(), String> {
        Err("there is no way to the kernel's audit rules here".into())
    }

    fn audit_state(&self, _: &[Vec<u8>]) -> std::result::Result<AuditState, String> {
        Err("there is no way to the kernel's audit rules here".into())
    }
}

/// How long all repetitions of one undo may wait together: what is still busy after that is residue.
const PATIENCE: Duration = Duration::from_secs(10);

/// The first pause; each next one of an effect is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(5);

/// The pause at which an effect is given up: about a second and a quarter altogether.
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// An effect that is to be reversed.
#[derive(Debug)]
struct Row {
    id: i64,
    what: String,
    undo: std::result::Result<Undo, String>,
    state: EffectState,
    learned: Option<Fingerprint>,
    /// The same as it stands, where it is about no file.
    told: Option<serde_json::Value>,
    /// An earlier attempt had begun to write.
    restoring: bool,
}

impl Row {
    /// Whether the journal knows that nothing was there once the effect had happened. (Journals of earlier versions say
    /// so by the state alone.)
    fn learned_gone(&self) -> bool {
        match &self.told {
            Some(told) => told.is_null(),
            None => self.state == EffectState::Applied,
        }
    }
}

/// What came of one effect, for the journal's mark.
#[derive(Debug)]
struct Step {
    outcome: UndoOutcome,
    /// It failed after it had begun to write: a later attempt may find a file half restored.
    torn: bool,
}

impl From<UndoOutcome> for Step {
    fn from(outcome: UndoOutcome) -> Self {
        Self { outcome, torn: false }
    }
}

/// Device and inode: before, and now.
type Successors = HashMap<PathBuf, ((u64, u64), (u64, u64))>;

/// One undo of one run.
struct Undoing<'a> {
    inner: &'a Inner,
    run: &'a RunId,
    host: &'a dyn UndoHost,
    /// Device numbers of the journal can be compared with those of now.
    same_boot: bool,
    /// An undo of this run was begun before: files may be half restored.
    again: bool,
    /// By path, files that came back with another device and inode: which they had, which they have now. Older effects
    /// know them by the former.
    successors: Successors,
    batch: Batch,
    patience: Instant,
    /// The effect at hand has begun to write into a file.
    writing: bool,
    /// The journal could not be written. What is undone is undone; the next look will find so.
    unwritten: Option<String>,
}

/// Reverses what is open of a run and `wanted`; an undo that cannot be read is always wanted. The caller holds the run's lock.
pub(super) fn undo_run(
    inner: &Inner,
    run: &RunId,
    host: &dyn UndoHost,
    wanted: impl Fn(&Undo) -> bool,
    progress: &mut dyn FnMut(&str, &(String, UndoOutcome)),
) -> Result<UndoReport> {
    let mut report = UndoReport { run: run.to_string(), effects: Vec::new() };
    let (again, boot) = inner.read(|db| {
        db.query_row("SELECT undo_started, boot FROM runs WHERE run = ?1", [run.as_str()], |row| {
            Ok((row.get::<_, bool>(0)?, row.get::<_, String>(1)?))
        })
    })?;
    let mut rows = inner.read(|db| open_rows(db, run))?;
    rows.retain(|row| row.undo.as_ref().map_or(true, &wanted));
    if rows.is_empty() {
        return Ok(report);
    }
    fault::point("undo.start");
    let mut undoing = Undoing {
        inner,
        run,
        host,
        same_boot: boot == inner.boot,
        again,
        successors: inner.read(|db| successors(db, run))?,
        batch: Batch::default(),
        patience: Instant::now() + PATIENCE,
        writing: false,
        unwritten: None,
    };
    if !again {
        // On the disk before a file is half restored; nothing else asks for it.
        let restores = rows.iter().any(|row| matches!(row.undo, Ok(Undo::RestoreFile { .. }) | Err(_)));
        let wait = if restores { Wait::ForDisk } else { Wait::No };
        let begin =
            |tx: &Transaction<'_>| tx.execute("UPDATE runs SET undo_started = 1 WHERE run = ?1", [run.as_str()]);
        let begun = inner.write_at(wait, begin, || {});
        // A full disk must not keep us from putting things back.
        undoing.unwritten = begun.err().map(|e| e.to_string());
    }
    fault::point("undo.started");
    // What families act on takes its time, and files do not wait for it.
    let (of_families, others): (Vec<Row>, Vec<Row>) =
        rows.into_iter().partition(|row| matches!(row.undo, Ok(Undo::Family(_))));
    let outcomes = std::thread::scope(|scope| {
        let all = || families::undo_all(inner, run, host, &of_families);
        let begun = if of_families.is_empty() {
            None
        } else {
            std::thread::Builder::new().name("foil-undo".into()).spawn_scoped(scope, all).ok()
        };
        for row in &others {
            undoing.effect(row, &mut report.effects, progress);
        }
        // The last marks only spare a second look.
        undoing.flush(Wait::No, &mut report.effects, progress);
        begun.map_or_else(all, |begun| begun.join().unwrap_or_default())
    });
    for row in &of_families {
        let lost = || UndoOutcome::Failed("its undo broke off".into());
        let outcome = outcomes.get(&row.id).cloned().unwrap_or_else(lost);
        undoing.batch.mark(row, None, outcome.into());
    }
    undoing.flush(Wait::No, &mut report.effects, progress);
    if let Some(why) = undoing.unwritten {
        let why = format!("{why}; `{}` will look at what was undone once more", foil_text::hint::of_state(["cleanup"]));
        report.effects.push(("the journal".into(), UndoOutcome::Failed(why)));
    }
    Ok(report)
}

impl Undoing<'_> {
    fn effect(
        &mut self,
        row: &Row,
        done: &mut Vec<(String, UndoOutcome)>,
        progress: &mut dyn FnMut(&str, &(String, UndoOutcome)),
    ) {
        let path = row.undo.as_ref().ok().and_then(Undo::path);
        let folder = matches!(row.undo, Ok(Undo::Remove { directory: true, .. } | Undo::RemoveScratch { .. }));
        if self.batch.is_full() || path.is_some_and(|p| self.batch.touches(p, folder)) {
            self.flush(Wait::ForDisk, done, progress);
        }
        // A fault in the undo of one effect is that effect's: the others go on.
        let step = caught(|| {
            fault::point("undo.step.before");
            let step = self.patiently(row);
            fault::point("undo.step.after");
            step
        });
        let step =
            step.unwrap_or_else(|broken| Step { outcome: UndoOutcome::Failed(broken.to_string()), torn: self.writing });
        self.batch.mark(row, path, step);
    }

    fn flush(
        &mut self,
        wait: Wait,
        done: &mut Vec<(String, UndoOutcome)>,
        progress: &mut dyn FnMut(&str, &(String, UndoOutcome)),
    ) {
        let (marks, written) = self.batch.commit(self.inner, self.run, wait);
        if let Err(e) = written {
            self.unwritten.get_or_insert(e.to_string());
        }
        for Mark { what, outcome, .. } in marks {
            let line = (what, outcome);
            progress(self.run.as_str(), &line);
            done.push(line);
        }
    }

    /// Repeats what may pass by itself.
    fn patiently(&mut self, row: &Row) -> Step {
        let mut pause = FIRST_PAUSE;
        self.writing = false;
        loop {
            match self.once(row) {
                Ok(Ok(step)) => return step,
                Ok(Err(e)) if e.is_transient() && pause < LAST_PAUSE && Instant::now() + pause < self.patience => {
                    std::thread::sleep(pause);
                    pause = pause.saturating_mul(2);
                }
                // Somebody put a link or a device where the file was: not ours, and nothing to write through.
                Ok(Err(e @ PathError::Refused { .. })) => return UndoOutcome::Conflict(e.to_string()).into(),
                Ok(Err(e)) => return Step { outcome: UndoOutcome::Failed(e.to_string()), torn: self.writing },
                Err(e) => return Step { outcome: UndoOutcome::Failed(e.to_string()), torn: self.writing },
            }
        }
    }

    fn once(&mut self, row: &Row) -> Result<std::result::Result<Step, PathError>> {
        let undo = match &row.undo {
            Ok(undo) => undo,
            Err(why) => return Ok(Ok(UndoOutcome::Failed(format!("its undo cannot be read: {why}")).into())),
        };
        match undo {
            Undo::Vanished { .. } => Ok(Ok(UndoOutcome::NothingToDo.into())),
            Undo::RestoreFile { path, before, preimage, after } => {
                self.restore(row, Path::new(path), before, *preimage, after)
            }
            Undo::Remove { path, directory: true, .. } => Ok(self.remove_directory(row, Path::new(path))),
            Undo::Remove { path, content, .. } => self.remove_file(row, Path::new(path), *content),
            Undo::RemoveScratch { path, owner } => {
                Ok(scratch::remove(Path::new(path), self.run, *owner).map(Step::from))
            }
            Undo::AuditRules { rules, disable } => Ok(Ok(self.audit_rules(rules, *disable).into())),
            // Undone beside the others: see `families`.
            Undo::Family(_) => Ok(Ok(UndoOutcome::Failed("it is undone elsewhere".into()).into())),
        }
    }

    fn audit_rules(&self, rules: &[String], disable: bool) -> UndoOutcome {
        let Ok(rules) = rules.iter().map(hex::decode).collect::<std::result::Result<Vec<_>, _>>() else {
            return UndoOutcome::Failed("its rules cannot be read: no hexadecimal".into());
        };
        if let Err(why) = self.host.delete_audit_rules(&rules, disable) {
            return UndoOutcome::Failed(why);
        }
        fault::point("undo.verify.before");
        match self.host.audit_state(&rules) {
            Err(why) => UndoOutcome::Failed(format!("it could not be looked at afterwards: {why}")),
            Ok(AuditState { present: 1.., .. }) => UndoOutcome::Failed("audit rules are still there".into()),
            Ok(AuditState { enabled: true, .. }) if disable => UndoOutcome::Failed("auditing is still on".into()),
            Ok(_) => UndoOutcome::Undone,
        }
    }

    /// Whether a file half restored may be of our own doing.
    fn may_be_torn(&self, row: &Row) -> bool {
        row.restoring || (self.again && row.state != EffectState::Residue)
    }

    /// Whether what was found is the file that had this device and inode (or took its place when we brought it back).
    fn same_file(&self, path: &Path, known: &Fingerprint, found: &Fingerprint) -> bool {
        let known = (known.dev, known.ino);
        // Only of this path: an inode that was freed may be another file's by now.
        let at = match self.successors.get(path) {
            Some((old, new)) if *old == known => *new,
            _ => known,
        };
        at.1 == found.ino && (at.0 == found.dev || !self.same_boot)
    }

    /// A row's content in the journal: a pre-image, or what a write was to leave.
    fn content(&self, row: i64) -> Result<Option<(String, Vec<u8>)>> {
        content(self.inner, row)
    }
}

fn content(inner: &Inner, row: i64) -> Result<Option<(String, Vec<u8>)>> {
    inner.read(|db| {
        db.prepare_cached("SELECT meta, content FROM preimages WHERE id = ?1")?
            .query_row([row], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    })
}

/// A path's folder, name, and what is there now.
struct Place {
    folder: OwnedFd,
    held: Option<(File, Look)>,
}

/// Looks at a path. `None`: its folder is gone.
fn place(path: &Path) -> std::result::Result<Option<Place>, PathError> {
    let (folder, name) = match safe_path::open_parent(path) {
        Err(PathError::NotFound(_)) => return Ok(None),
        other => other?,
    };
    let held = match safe_path::entry(folder.as_fd(), name, path)? {
        None => None,
        Some(held) => {
            let look = safe_path::look(&held, path)?;
            Some((held, look))
        }
    };
    Ok(Some(Place { folder, held }))
}

fn open_rows(db: &Connection, run: &RunId) -> rusqlite::Result<Vec<Row>> {
    let sql = "SELECT id, what, undo, state, learned, restoring FROM effects \
               WHERE run = ?1 AND state IN ('intended', 'applied', 'residue') ORDER BY id DESC";
    db.prepare(sql)?
        .query_map([run.as_str()], |row| {
            let (undo, state): (String, String) = (row.get(2)?, row.get(3)?);
            let learned: Option<String> = row.get(4)?;
            Ok(Row {
                id: row.get(0)?,
                what: row.get(1)?,
                undo: serde_json::from_str(&undo).map_err(|e| e.to_string()),
                state: model::EffectState::of_word(&state),
                told: learned.as_ref().and_then(|l| serde_json::from_str(l).ok()),
                learned: learned.and_then(|l| serde_json::from_str(&l).ok()),
                restoring: row.get(5)?,
            })
        })?
        .collect()
}

fn successors(db: &Connection, run: &RunId) -> rusqlite::Result<Successors> {
    db.prepare("SELECT path, dev, ino, new_dev, new_ino FROM successors WHERE run = ?1")?
        .query_map([run.as_str()], |row| {
            let of = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
            Ok((row.get::<_, String>(0)?.into(), ((of(1)?, of(2)?), (of(3)?, of(4)?))))
        })?
        .collect()
}
