//! Performing one file effect, in a process of its own with the run's identity.
//!
//! The path is not trusted to stay what the host saw: the folder is opened without following a single link, the file is
//! looked at before it is opened (opening a device or a FIFO has effects), and looked at again once it is open.

use super::birth;
use crate::file_op::{FileFailure, FileOp};
use crate::{BirthStage, wire};
use foil_safe_path::Fingerprint;
use rustix::fs::{
    AtFlags, FallocateFlags, FileType, Mode, OFlags, ResolveFlags, Stat, fallocate, fchmod, fstat, ftruncate, mkdirat,
    openat2, statat, unlinkat,
};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

/// A file that grew beyond this is not appended to: its fingerprint takes reading it whole. Above the bound of a
/// pre-image (64 MiB) and of one effect's content (8 MiB) together.
const MAX_SIZE: u64 = 96 << 20;

type Outcome = Result<Option<Fingerprint>, FileFailure>;

/// Performs the effect. `content` is the memory file that came in place of the content in `op`; `root` is where paths
/// begin, if not at the process's own root. `begin` is called right before the call that changes something: what comes
/// before it only finds and checks the place, and is not the technique's doing.
pub fn perform(op: FileOp, content: Option<OwnedFd>, root: Option<BorrowedFd<'_>>, begin: &dyn Fn()) -> Outcome {
    // Entered where that may be, so that sensors hear the absolute path that a program would name.
    let root = root.filter(|root| rustix::process::fchdir(root).and_then(|()| rustix::process::chroot(".")).is_err());
    let content = match content {
        Some(fd) => wire::read_memory(fd).map_err(|error| FileFailure::Io(error.to_string()))?,
        None => Vec::new(),
    };
    match op {
        FileOp::Create { path, mode, .. } => create(&Place::of(&path, root, begin)?, &content, mode),
        FileOp::Write { path, append, expect, .. } => write(&Place::of(&path, root, begin)?, &content, append, expect),
        FileOp::Remove { path, expect } => remove(&Place::of(&path, root, begin)?, expect),
        FileOp::CreateDirectory { path } => create_directory(&Place::of(&path, root, begin)?),
    }
}

/// What a process says and does right before the call that changes something.
pub fn begin(births: RawFd, id: u64) {
    // A name is a help to coarse clocks, and nothing depends on it.
    let _ = super::name_thread(super::EFFECT_NAME);
    birth::tell(births, id, BirthStage::Effect);
}

/// A name in a folder that was reached without following a link.
struct Place<'a> {
    folder: OwnedFd,
    name: &'a str,
    path: &'a str,
    /// `path` begins at the process's own root.
    absolute: bool,
    begin: &'a dyn Fn(),
}

impl<'a> Place<'a> {
    fn of(path: &'a str, root: Option<BorrowedFd<'_>>, begin: &'a dyn Fn()) -> Result<Self, FileFailure> {
        let refused =
            || FileFailure::Refused(format!("{path:?} is no absolute path without `.`, `..` and empty parts"));
        let (folder, name) = path.rsplit_once('/').ok_or_else(refused)?;
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        let mut parts = path.strip_prefix('/').ok_or_else(refused)?.split('/');
        if !parts.all(plain) || path.contains('\0') {
            return Err(refused());
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = match root {
            Some(root) => {
                let folder = folder.strip_prefix('/').filter(|folder| !folder.is_empty()).unwrap_or(".");
                openat2(root, folder, flags, Mode::empty(), no_links())
            }
            None => {
                let folder = if folder.is_empty() { "/" } else { folder };
                openat2(rustix::fs::CWD, folder, flags, Mode::empty(), no_links())
            }
        };
        let folder = opened.map_err(|error| failure(error, &format!("the folder of {path}")))?;
        Ok(Self { folder, name, path, absolute: root.is_none(), begin })
    }

    /// Opens it for changing.
    fn open(&self, flags: OFlags, mode: Mode) -> Result<OwnedFd, FileFailure> {
        (self.begin)();
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let opened = if self.absolute {
            openat2(rustix::fs::CWD, self.path, flags, mode, no_links())
        } else {
            openat2(&self.folder, self.name, flags, mode, no_links())
        };
        opened.map_err(|error| failure(error, self.path))
    }

    /// The open file once more, for reading. By its descriptor, which is the same file whatever its name means by now, and
    /// which no sensor takes for the technique reading the file by its name.
    fn reopen(&self, file: &OwnedFd) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let again = match rustix::fs::open(format!("/proc/self/fd/{}", file.as_raw_fd()), flags, Mode::empty()) {
            Ok(again) => again,
            // No /proc here.
            Err(_) => openat2(&self.folder, self.name, flags | OFlags::NOFOLLOW, Mode::empty(), no_links())?,
        };
        // Another one there is somebody else's.
        if identity(&fstat(&again)?) != identity(&fstat(file)?) { Err(Errno::STALE) } else { Ok(File::from(again)) }
    }

    /// Looks without opening, not even for looking only: sensors take that for reading.
    fn look(&self) -> Result<Stat, FileFailure> {
        // The name is a plain one, so this is the thing itself in the folder that was found, or the link.
        statat(&self.folder, self.name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| failure(error, self.path))
    }
}

fn no_links() -> ResolveFlags {
    ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS
}

fn create(place: &Place<'_>, content: &[u8], mode: u32) -> Outcome {
    if mode & !0o777 != 0 {
        return Err(FileFailure::Refused(format!("mode {mode:o} has set-id, sticky or unknown bits")));
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
    let fd = place.open(flags, Mode::from_raw_mode(0o600))?;
    let filled = (|| {
        let mut file = File::from(fd);
        file.write_all(content)?;
        // After the content, and whatever the umask: the mode that was asked for.
        fchmod(&file, Mode::from_raw_mode(mode))?;
        Ok::<_, std::io::Error>(fstat(&file)?)
    })();
    match filled {
        Ok(stat) => Ok(Some(fingerprint(&stat, hash(content)))),
        Err(error) => {
            // It is ours and nobody has it yet: nothing is to be left.
            let _ = unlinkat(&place.folder, place.name, AtFlags::empty());
            Err(FileFailure::Io(format!("{} could not be written and was removed again: {error}", place.path)))
        }
    }
}

fn write(place: &Place<'_>, content: &[u8], append: bool, expect: (u64, u64)) -> Outcome {
    plain_file(place, &place.look()?, expect)?;
    // For writing only, as a shell's `>>` does: sensors take an open for reading and writing for a read.
    let access = if append { OFlags::WRONLY | OFlags::APPEND } else { OFlags::WRONLY };
    let fd = place.open(access, Mode::empty())?;
    let before = fstat(&fd).map_err(|error| failure(error, place.path))?;
    plain_file(place, &before, expect)?;
    // To say afterwards what is there, an appended file must be read; a replaced one is what we wrote.
    let mut reader = if append { Some(place.reopen(&fd).map_err(|error| failure(error, place.path))?) } else { None };
    let size = u64::try_from(before.st_size).unwrap_or(u64::MAX);
    let length = content.len() as u64;
    let after = if append { size.saturating_add(length) } else { length };
    if append && after > MAX_SIZE {
        return Err(FileFailure::Refused(format!("{} would have {after} bytes; the limit is {MAX_SIZE}", place.path)));
    }
    if after > size {
        reserve(&fd, size, after).map_err(|error| failure(error, place.path))?;
    }
    let mut file = File::from(fd);
    let written = (|| {
        file.write_all(content)?;
        if !append {
            ftruncate(&file, length)?;
        }
        let digest = reader.as_mut().map_or_else(|| Ok(hash(content)), hash_of)?;
        Ok::<_, std::io::Error>(fingerprint(&fstat(&file)?, digest))
    })();
    written
        .map(Some)
        .map_err(|error| FileFailure::Io(format!("{} was changed in part; its undo restores it: {error}", place.path)))
}

/// Makes sure that there is room before anything is overwritten. A file system without this is written to all the same.
fn reserve(fd: &OwnedFd, from: u64, to: u64) -> Result<(), Errno> {
    match fallocate(fd, FallocateFlags::KEEP_SIZE, from, to.saturating_sub(from)) {
        Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => Ok(()),
        Err(error) => Err(error),
    }
}

fn remove(place: &Place<'_>, expect: (u64, u64)) -> Outcome {
    let stat = place.look()?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
        plain_file(place, &stat, expect)?;
    } else if identity(&stat) != expect {
        return Err(other(place));
    }
    (place.begin)();
    unlinkat(&place.folder, place.name, AtFlags::empty()).map_err(|error| failure(error, place.path))?;
    Ok(None)
}

fn create_directory(place: &Place<'_>) -> Outcome {
    let mode = Mode::from_raw_mode(0o755);
    (place.begin)();
    mkdirat(&place.folder, place.name, mode).map_err(|error| failure(error, place.path))?;
    let made = place.look()?;
    if FileType::from_raw_mode(made.st_mode) != FileType::Directory {
        return Err(other(place));
    }
    Ok(Some(fingerprint(&made, String::new())))
}

/// A regular file with one name, and the one whose pre-image was taken.
fn plain_file(place: &Place<'_>, stat: &Stat, expect: (u64, u64)) -> Result<(), FileFailure> {
    let refused = |what: &str| Err(FileFailure::Refused(format!("{} is {what}", place.path)));
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        FileType::Directory => return refused("a directory"),
        FileType::Symlink => return refused("a symbolic link"),
        FileType::Fifo => return refused("a FIFO"),
        FileType::Socket => return refused("a socket"),
        _ => return refused("a device"),
    }
    if identity(stat) != expect {
        return Err(other(place));
    }
    if stat.st_nlink != 1 {
        return refused("known by other names too (hard links), which would change with it");
    }
    Ok(())
}

fn other(place: &Place<'_>) -> FileFailure {
    FileFailure::Conflict(format!("{} is not the file that was looked at: somebody replaced it meanwhile", place.path))
}

fn identity(stat: &Stat) -> (u64, u64) {
    (stat.st_dev, stat.st_ino)
}

/// What a file is, given the hash of its content.
fn fingerprint(stat: &Stat, sha256: String) -> Fingerprint {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => "directory",
        FileType::Symlink => "symlink",
        _ => "file",
    };
    Fingerprint {
        dev: stat.st_dev,
        ino: stat.st_ino,
        kind: kind.into(),
        mode: stat.st_mode & 0o7777,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        sha256,
        mtime_ns: i128::from(stat.st_mtime)
            .saturating_mul(1_000_000_000)
            .saturating_add(i128::from(stat.st_mtime_nsec)),
    }
}

fn hash(content: &[u8]) -> String {
    hex::encode(Sha256::digest(content))
}

fn hash_of(file: &mut File) -> std::io::Result<String> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hasher, mut part) = (Sha256::new(), vec![0; 64 * 1024]);
    let mut rest = file.take(MAX_SIZE);
    loop {
        match rest.read(&mut part)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            read => hasher.update(part.get(..read).unwrap_or_default()),
        }
    }
}

fn failure(error: Errno, what: &str) -> FileFailure {
    let text = format!("{what}: {}", std::io::Error::from(error));
    match error {
        Errno::NOENT => FileFailure::NotFound,
        Errno::EXIST => FileFailure::Conflict(format!("{what} exists already")),
        Errno::LOOP | Errno::XDEV => FileFailure::Refused(format!("{what} leads through a symbolic link")),
        // A FIFO without a reader, or a socket.
        Errno::NXIO => FileFailure::Refused(format!("{what} is no regular file")),
        Errno::ISDIR => FileFailure::Refused(format!("{what} is a directory")),
        Errno::NOTDIR => FileFailure::Refused(format!("{what}: a part of it is no directory")),
        Errno::ACCESS | Errno::PERM | Errno::ROFS => FileFailure::Forbidden(text),
        Errno::NOSYS => FileFailure::Io(format!("{what}: file effects need openat2 (Linux 5.6 or later)")),
        _ => FileFailure::Io(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
    use std::cell::Cell;
    use std::mem::MaybeUninit;

    /// Performs an append in a folder of the test's own; the answer is what an observer of the file heard, and how often the effect
    /// said that it begins.
    fn appended(before: &str, added: &str) -> (Vec<ReadFlags>, u32, String) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("authorized_keys");
        std::fs::write(&path, before).unwrap();
        let stat = rustix::fs::stat(&path).unwrap();
        let watch = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).unwrap();
        let heard = WatchFlags::OPEN | WatchFlags::CLOSE_WRITE | WatchFlags::CLOSE_NOWRITE | WatchFlags::ACCESS;
        inotify::add_watch(&watch, &path, heard).unwrap();
        let op = FileOp::Write {
            path: path.to_str().unwrap().into(),
            content: Vec::new(),
            append: true,
            expect: identity(&stat),
        };
        let begun = Cell::new(0);
        let content = wire::memory(added.as_bytes()).unwrap();
        let done = perform(op, Some(content), None, &|| begun.set(begun.get() + 1)).unwrap().unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        assert_eq!((done.size, done.sha256), (whole.len() as u64, hash(whole.as_bytes())));
        let mut events = Vec::new();
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = inotify::Reader::new(&watch, &mut buffer);
        while let Ok(event) = reader.next() {
            events.push(event.events());
        }
        (events, begun.get(), whole)
    }

    #[test]
    fn what_is_appended_to_is_opened_for_writing_only() {
        let (events, begun, whole) = appended("ssh-rsa A\n", "ssh-rsa B\n");
        assert_eq!((whole.as_str(), begun), ("ssh-rsa A\nssh-rsa B\n", 1));
        // One open for writing, and one for reading; the other is the test's. A single open for both would be a sensor's read.
        let count = |flag| events.iter().filter(|event| **event == flag).count();
        assert_eq!((count(ReadFlags::CLOSE_WRITE), count(ReadFlags::CLOSE_NOWRITE)), (1, 2), "{events:?}");
    }

    #[test]
    fn what_only_looks_is_not_the_effect() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().canonicalize().unwrap().join("none");
        let op = FileOp::Remove { path: path.to_str().unwrap().into(), expect: (0, 0) };
        let begun = Cell::new(false);
        assert_eq!(perform(op, None, None, &|| begun.set(true)), Err(FileFailure::NotFound));
        assert!(!begun.get());
    }
}
