//! A stand-in for the capabilities: performs file effects as they do, journal first.
#![allow(dead_code, reason = "each test file uses a part of it")]

use foil_journal::{Change, Effect, EffectId, Journal, Learned, Preimage, RunJournal, RunRecord, Undo, fault};
use foil_safe_path::{fingerprint, xattr};
use foil_text::RunId;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

pub fn record() -> RunRecord {
    RunRecord {
        run: RunId::new(),
        started: foil_journal::now(),
        experiment: "test".into(),
        technique: "linux.test".into(),
        digest: "sha256:0".into(),
        environment: "test".into(),
        target: "here".into(),
        shield: "confined".into(),
        pid: std::process::id(),
    }
}

/// A state folder and a folder to change, both real paths.
pub struct Bench {
    _dir: tempfile::TempDir,
    pub state: PathBuf,
    pub work: PathBuf,
}

impl Bench {
    pub fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let base = dir.path().canonicalize().unwrap();
        fs::create_dir(base.join("work")).unwrap();
        Self { state: base.join("state"), work: base.join("work"), _dir: dir }
    }

    pub fn journal(&self) -> Journal {
        Journal::open(&self.state).unwrap()
    }
}

/// Performs effects in a run, as the capabilities do.
pub struct Actor<'a>(pub &'a RunJournal);

impl Actor<'_> {
    fn done(&self, id: EffectId, path: &Path, act: impl FnOnce()) {
        fault::point("effect.before");
        act();
        fault::point("effect.after");
        self.0.applied(id, Learned::File(fingerprint(path).unwrap().as_ref())).unwrap();
    }

    pub fn create(&self, path: &Path, content: &[u8]) {
        let id = self.0.intend_create("files-write", &format!("create {}", path.display()), path, content).unwrap();
        self.done(id, path, || {
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o640).open(path).unwrap();
            file.write_all(content).unwrap();
        });
    }

    pub fn directory(&self, path: &Path) {
        let undo = Undo::Remove { path: path.to_str().unwrap().into(), directory: true, content: None };
        let effect = Effect { capability: "files-write".into(), what: format!("mkdir {}", path.display()), undo };
        let id = self.0.intend(&effect).unwrap();
        self.done(id, path, || fs::create_dir(path).unwrap());
    }

    fn change(&self, path: &Path, change: Change<'_>) -> EffectId {
        let (preimage, _) = Preimage::take(path).unwrap();
        self.0
            .intend_with_preimage("files-write", &format!("change {}", path.display()), path, &preimage, change)
            .unwrap()
    }

    pub fn write(&self, path: &Path, content: &[u8]) {
        let id = self.change(path, Change::Replace(content));
        self.done(id, path, || {
            File::options().write(true).truncate(true).open(path).unwrap().write_all(content).unwrap();
        });
    }

    pub fn append(&self, path: &Path, content: &[u8]) {
        let id = self.change(path, Change::Append(content));
        self.done(id, path, || File::options().append(true).open(path).unwrap().write_all(content).unwrap());
    }

    pub fn remove(&self, path: &Path) {
        let id = self.change(path, Change::Remove);
        self.done(id, path, || fs::remove_file(path).unwrap());
    }

    pub fn unknown(&self, path: &Path, act: impl FnOnce()) {
        let id = self.change(path, Change::Unknown);
        self.done(id, path, act);
    }

    pub fn scratch(&self, parent: &Path) -> PathBuf {
        let path = parent.join(format!("foil-{}", self.0.run()));
        let undo = Undo::RemoveScratch { path: path.to_str().unwrap().into(), owner: 0 };
        let id = self.0.intend(&Effect { capability: "host".into(), what: "scratch".into(), undo }).unwrap();
        self.done(id, &path, || fs::create_dir(&path).unwrap());
        path
    }
}

/// What there is to see of a file. Not of a folder its times: taking something out and putting it back shows there.
pub type Seen = (char, u32, u32, u32, Option<(i64, i64)>, Vec<u8>, xattr::Attributes);

/// Everything below a folder.
pub fn snapshot(folder: &Path) -> BTreeMap<PathBuf, Seen> {
    let mut seen = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let meta = fs::symlink_metadata(&path).unwrap();
        let (kind, content) = match () {
            () if meta.is_dir() => ('d', Vec::new()),
            () if meta.is_symlink() => ('l', fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()),
            () => ('f', fs::read(&path).unwrap()),
        };
        if meta.is_dir() {
            seen.extend(snapshot(&path));
        }
        let times = (!meta.is_dir()).then(|| (meta.mtime(), meta.mtime_nsec()));
        let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::NOFOLLOW;
        let held = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(&path).unwrap();
        let attributes = xattr::read(&held, &path).unwrap();
        seen.insert(path, (kind, meta.mode(), meta.uid(), meta.gid(), times, content, attributes));
    }
    seen
}

/// A file with an odd mode, an old time, and an attribute where the file system has them.
pub fn odd_file(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    let _ = rustix::fs::setxattr(path, "user.foil-test", b"kept", rustix::fs::XattrFlags::empty());
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(path, Some(65534), Some(65533)).unwrap();
    }
    rustix::fs::chmod(path, rustix::fs::Mode::from_raw_mode(0o4751)).unwrap();
    let old = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_007, 123_456_789);
    File::open(path).unwrap().set_modified(old).unwrap();
}
