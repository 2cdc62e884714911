//! A lock per run: whoever holds it is alive, or is recovering the run. The kernel lets go of it when the holder dies.
//!
//! It is a byte of one of [`FILES`] files, by the hash of the run's id: to make and to remove a file for each run takes the disk longer
//! than all else that a run without effects does. Two ids of one hash (one of 2^63 pairs) would only keep each other waiting.

use super::error::{JournalError, Result};
use foil_text::RunId;
use nix::fcntl::{FcntlArg, fcntl};
use rustix::fs::OFlags;
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// In how many files they are: the kernel walks a list of all locks of a file.
const FILES: u64 = 8;

/// The locks of a state folder.
#[derive(Debug)]
pub(super) struct Locks {
    folder: PathBuf,
    /// Opened at once, so that what is wrong with one is said before anything is done.
    files: Vec<File>,
    /// The kernel does not keep one open file's holders apart.
    held: Mutex<HashSet<RunId>>,
}

/// A run's lock, held until it is dropped.
#[derive(Debug)]
pub(super) struct RunLock {
    locks: Arc<Locks>,
    run: RunId,
}

/// Where a run's lock is: which file, and which byte of it.
fn place(run: &RunId) -> (u64, i64) {
    let digest: [u8; 32] = Sha256::digest(run.as_str()).into();
    let number =
        u64::from_be_bytes([digest[0], digest[1], digest[2], digest[3], digest[4], digest[5], digest[6], digest[7]]);
    (number % FILES, i64::try_from(number / FILES).unwrap_or(0))
}

/// A lock of one byte, for `fcntl`. Of the open file, not of the process: it must not end where another descriptor is closed.
fn byte(kind: libc::c_int, at: i64) -> libc::flock {
    // SAFETY: all of its fields are numbers, and 0 is one of each.
    let mut lock: libc::flock = unsafe { std::mem::zeroed() };
    lock.l_type = i16::try_from(kind).unwrap_or(0);
    lock.l_whence = i16::try_from(libc::SEEK_SET).unwrap_or(0);
    (lock.l_start, lock.l_len) = (at, 1);
    lock
}

impl Locks {
    /// Those of a state folder, whose folder for them is made where it is missing.
    pub(super) fn open(state: &Path) -> Result<Arc<Self>> {
        let folder = state.join("locks");
        match std::os::unix::fs::DirBuilderExt::mode(&mut std::fs::DirBuilder::new(), 0o700).create(&folder) {
            Err(e) if e.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(JournalError::file(&folder, "making the folder for locks")(e));
            }
            _ => {}
        }
        // Whoever may write in it can take a lock's file away, and a live run is taken for dead.
        let meta = std::fs::symlink_metadata(&folder).map_err(JournalError::file(&folder, "looking at it"))?;
        let ours = meta.is_dir() && meta.uid() == rustix::process::geteuid().as_raw() && meta.mode() & 0o022 == 0;
        if !ours {
            let why =
                "it must be a folder of your own that nobody else can write; while no foil runs, remove it".into();
            return Err(JournalError::Untrusted { path: folder, why });
        }
        let files = (0..FILES).map(|number| open(&path(&folder, number))).collect::<Result<_>>()?;
        Ok(Arc::new(Self { folder, files, held: Mutex::default() }))
    }

    /// Takes a run's lock, or says that somebody holds it. Never waits.
    pub(super) fn take(self: &Arc<Self>, run: &RunId) -> Result<RunLock> {
        let (number, at) = place(run);
        let file = self.file(number)?;
        if !self.held().insert(run.clone()) {
            return Err(JournalError::Alive(run.to_string()));
        }
        match fcntl(file, FcntlArg::F_OFD_SETLK(&byte(libc::F_WRLCK, at))) {
            Ok(_) => Ok(RunLock { locks: Arc::clone(self), run: run.clone() }),
            Err(error) => {
                self.held().remove(run);
                Err(match error {
                    nix::Error::EAGAIN | nix::Error::EACCES => JournalError::Alive(run.to_string()),
                    error => JournalError::file(&path(&self.folder, number), "locking the run")(error.into()),
                })
            }
        }
    }

    /// Whether somebody holds the run's lock, this process or another.
    pub(super) fn is_held(&self, run: &RunId) -> Result<bool> {
        if self.held().contains(run) {
            return Ok(true);
        }
        let (number, at) = place(run);
        let mut lock = byte(libc::F_WRLCK, at);
        fcntl(self.file(number)?, FcntlArg::F_OFD_GETLK(&mut lock)).map_err(|error| {
            JournalError::file(&path(&self.folder, number), "looking at the run's lock")(error.into())
        })?;
        Ok(i32::from(lock.l_type) != libc::F_UNLCK)
    }

    /// The processes that hold these runs' locks, as far as this user and process id namespace sees them: process ids are reused, so
    /// that the kernel is asked and not the journal.
    pub(super) fn holders(&self, runs: &[RunId]) -> BTreeMap<RunId, u32> {
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        pids.flat_map(|pid| self.held_by(pid, runs).into_iter().map(move |run| (run, pid))).collect()
    }

    /// Which of these runs' locks a process holds.
    pub(super) fn held_by(&self, pid: u32, runs: &[RunId]) -> Vec<RunId> {
        let of = |meta: &std::fs::Metadata| (meta.dev(), meta.ino());
        let files: Vec<_> = self.files.iter().map(|file| file.metadata().ok().as_ref().map(of)).collect();
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut held = Vec::new();
        for fd in open {
            // By the file and not by its name: another mount namespace has other names.
            let file = std::fs::metadata(fd.path()).ok().filter(std::fs::Metadata::is_file).as_ref().map(of);
            let Some(number) = files.iter().position(|known| file.is_some() && *known == file) else { continue };
            let info = Path::new("/proc").join(pid.to_string()).join("fdinfo").join(fd.file_name());
            let info = std::fs::read_to_string(info);
            let starts: Vec<i64> = info.unwrap_or_default().lines().filter_map(start).collect();
            let here = |run: &&RunId| {
                let (of_run, at) = place(run);
                usize::try_from(of_run).is_ok_and(|of_run| of_run == number) && starts.contains(&at)
            };
            held.extend(runs.iter().filter(here).cloned());
        }
        held
    }

    fn file(&self, number: u64) -> Result<&File> {
        let file = usize::try_from(number).ok().and_then(|number| self.files.get(number));
        file.ok_or_else(|| JournalError::Unknown(format!("file of locks {number}")))
    }

    fn held(&self) -> MutexGuard<'_, HashSet<RunId>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:02}"))
}

/// Opens a file of locks, which is made where it is missing. Refuses one that somebody else owns or may write: they could take it away.
fn open(path: &Path) -> Result<File> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC).bits().cast_signed())
        .open(path);
    let file = opened.map_err(JournalError::file(path, "opening the runs' locks"))?;
    super::schema::ours_alone(path)?;
    Ok(file)
}

impl Drop for RunLock {
    fn drop(&mut self) {
        let (number, at) = place(&self.run);
        let mut held = self.locks.held();
        if let Ok(file) = self.locks.file(number) {
            // Cannot fail for a lock that is held; else the kernel does it at the end of the process.
            let _ = fcntl(file, FcntlArg::F_OFD_SETLK(&byte(libc::F_UNLCK, at)));
        }
        held.remove(&self.run);
    }
}

/// The first byte of a lock, as `/proc/PID/fdinfo/FD` tells it: `lock: 1: OFDLCK ADVISORY  WRITE -1 fe:00:1234 77 77`.
fn start(line: &str) -> Option<i64> {
    let words: Vec<&str> = line.strip_prefix("lock:")?.split_whitespace().collect();
    let [_, "OFDLCK", _, "WRITE", _, _, start, _] = words[..] else { return None };
    start.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_and_it_can_be_found() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Locks::open(dir.path()).unwrap());
        let run = RunId::new();
        let lock = one.take(&run).unwrap();
        for locks in [&one, &other] {
            assert!(matches!(locks.take(&run), Err(JournalError::Alive(_))));
            assert!(locks.is_held(&run).unwrap() && !locks.is_held(&RunId::new()).unwrap());
        }
        let me = std::process::id();
        assert_eq!(other.holders(&[RunId::new(), run.clone()]), BTreeMap::from([(run.clone(), me)]));
        assert!(other.held_by(1, std::slice::from_ref(&run)).is_empty());
        drop(lock);
        assert!(!one.is_held(&run).unwrap() && other.holders(std::slice::from_ref(&run)).is_empty());
        drop(other.take(&run).unwrap());
    }

    #[test]
    fn what_somebody_else_could_take_away_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let refused = || matches!(Locks::open(dir.path()), Err(JournalError::Untrusted { .. }));
        assert!(!refused());
        let folder = dir.path().join("locks");
        let mode = |path: &Path, mode| {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap()
        };
        for path in [folder.clone(), folder.join("07")] {
            let before = std::fs::metadata(&path).unwrap().permissions();
            mode(&path, 0o777);
            assert!(refused(), "{path:?}");
            std::fs::set_permissions(&path, before).unwrap();
        }
        std::fs::rename(&folder, dir.path().join("elsewhere")).unwrap();
        std::os::unix::fs::symlink("elsewhere", &folder).unwrap();
        assert!(refused(), "a link");
    }

    #[test]
    fn a_thousand_are_held_at_once_and_each_is_let_go_of_by_itself() {
        let dir = tempfile::tempdir().unwrap();
        let [one, other] = [(); 2].map(|()| Locks::open(dir.path()).unwrap());
        let runs: Vec<RunId> = (0..1000).map(|_| RunId::new()).collect();
        let mut held: Vec<RunLock> = runs.iter().map(|run| one.take(run).unwrap()).collect();
        assert!(runs.iter().all(|run| other.is_held(run).unwrap()));
        held.truncate(500);
        let (live, over) = runs.split_at(500);
        assert!(live.iter().all(|run| other.is_held(run).unwrap()));
        assert!(!over.iter().any(|run| other.is_held(run).unwrap()));
    }
}
