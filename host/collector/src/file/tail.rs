//! One open file, read from where it was left.

use rustix::fs::{Mode, OFlags, SeekFrom, Stat, StatFs};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// The longest line, in bytes: what is longer is cut.
const MAX_LINE: usize = 1 << 20;
/// Read at once.
const CHUNK: usize = 64 << 10;
/// So many bytes before the place where reading stopped are remembered, to notice a file that was truncated and has grown beyond it since.
const SEAM: usize = 64;

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    Whole(&'a [u8]),
    /// It is longer than what may be kept of it.
    Head(&'a [u8]),
}

/// What one look at a file found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// It was truncated, and was read from its beginning.
    pub truncated: bool,
    /// There is more, and the time was over.
    pub more: bool,
}

/// Which file a path means now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity(u64, u64);

impl Identity {
    pub fn of(stat: &Stat) -> Self {
        Self(stat.st_dev, stat.st_ino)
    }
}

/// An open file and what was read of it.
#[derive(Debug)]
pub struct Tail {
    file: OwnedFd,
    pub identity: Identity,
    position: u64,
    seam: Vec<u8>,
    partial: Vec<u8>,
    /// The rest of this line is not wanted: it began before, was cut, or was taken for whole.
    skip: bool,
    /// When something was read last.
    grown: Instant,
    /// Something was read since [`Tail::take_whole`].
    fresh: bool,
}

/// The file at a path, if there is one that can be followed.
///
/// # Errors
/// `Ok(None)`: there is none. A sentence without its beginning: it is no regular file, or cannot be looked at.
pub fn look(path: &str) -> Result<Option<Identity>, String> {
    match rustix::fs::stat(path) {
        Ok(stat) => {
            let system = rustix::fs::statfs(path).map_err(|errno| format!("cannot be looked at: {errno}"))?;
            stored(&system).and_then(|()| regular(&stat)).map(Some)
        }
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(format!("cannot be looked at: {errno}")),
    }
}

/// File systems whose files are answers of the kernel's, by `f_type` (`magic.h` of Linux): nothing is written to the end of them, and
/// reading may take from others (`kmsg`) or wait.
const ANSWERS: [u32; 10] = [
    0x9fa0,      // proc
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x7472_6163, // tracefs
    0x7363_6673, // securityfs
    0xf97c_ff8c, // selinuxfs
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0xcafe_4a11, // bpf
    0x6265_6570, // configfs
];

/// Why a file system has nothing to follow.
fn stored(system: &StatFs) -> Result<(), String> {
    // The type's width differs by architecture, and its values fit into 32 bits.
    match u32::try_from(system.f_type & 0xffff_ffff).is_ok_and(|magic| ANSWERS.contains(&magic)) {
        true => {
            Err("lies in a file system of the kernel's answers, such as /proc, and only files on a disk are followed"
                .to_owned())
        }
        false => Ok(()),
    }
}

fn regular(stat: &Stat) -> Result<Identity, String> {
    // Opening a device or a pipe does something to it, and reading from it takes from others.
    if rustix::fs::FileType::from_raw_mode(stat.st_mode).is_file() {
        Ok(Identity::of(stat))
    } else {
        Err("is no regular file, and only those are followed".to_owned())
    }
}

impl Tail {
    /// Opens a file to read what is written from now on, or (`from_start`) all of it.
    pub fn open(path: &str, from_start: bool) -> Result<Self, String> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let cannot = |errno: Errno| match errno {
            // It was seen a moment ago.
            Errno::NOENT => "was renamed or removed between two looks".to_owned(),
            errno => format!("cannot be read: {errno}"),
        };
        let file = rustix::fs::open(path, flags, Mode::empty()).map_err(cannot)?;
        let stat = rustix::fs::fstat(&file).map_err(cannot)?;
        stored(&rustix::fs::fstatfs(&file).map_err(cannot)?)?;
        let identity = regular(&stat)?;
        let position = if from_start { 0 } else { u64::try_from(stat.st_size).unwrap_or(0) };
        let (seam, partial) = (Vec::new(), Vec::new());
        let mut tail =
            Self { file, identity, position, seam, partial, skip: false, grown: Instant::now(), fresh: false };
        tail.remember().map_err(cannot)?;
        // A line that has begun is of before.
        tail.skip = tail.seam.last().is_some_and(|byte| *byte != b'\n');
        Ok(tail)
    }

    /// The open file.
    pub fn file(&self) -> &OwnedFd {
        &self.file
    }

    /// Whether a line has begun and has no end yet.
    pub fn is_open(&self) -> bool {
        !self.partial.iter().all(u8::is_ascii_whitespace)
    }

    /// Whether nothing has come for so long.
    pub fn rests(&self, time: Duration) -> bool {
        self.grown.elapsed() >= time
    }

    /// The line without an end, where it has grown since this was asked last and is `whole` all the same.
    pub fn take_whole(&mut self, whole: impl FnOnce(&[u8]) -> bool) -> Option<Vec<u8>> {
        let grown = std::mem::take(&mut self.fresh);
        (grown && self.is_open() && whole(&self.partial)).then(|| self.take_partial())
    }

    /// Takes the line without an end for whole; what follows on it is passed over.
    pub fn take_partial(&mut self) -> Vec<u8> {
        self.skip = true;
        std::mem::take(&mut self.partial)
    }

    /// Reads what there is by now and hands on each line, until this moment: whoever can write the log must not keep us here.
    pub fn read(&mut self, until: Instant, mut each: impl FnMut(Line<'_>)) -> Result<Found, Errno> {
        let size = u64::try_from(rustix::fs::fstat(&self.file)?.st_size).unwrap_or(0);
        let mut found = Found { truncated: size < self.position || !self.seam_holds()?, ..Found::default() };
        if found.truncated {
            self.position = 0;
            self.partial.clear();
            self.skip = false;
        }
        // Up to what there was: a writer that never rests must not keep us here.
        if size == self.position {
            if found.truncated {
                self.seam.clear();
            }
            return Ok(found);
        }
        let mut buffer = vec![0; CHUNK];
        while self.position < size {
            if Instant::now() >= until {
                found.more = true;
                break;
            }
            let count = match rustix::io::pread(&self.file, &mut buffer, self.position) {
                Err(Errno::INTR) => continue,
                other => other?,
            };
            if count == 0 {
                break;
            }
            self.position = self.position.saturating_add(u64::try_from(count).unwrap_or(0));
            (self.grown, self.fresh) = (Instant::now(), true);
            let bytes = buffer.get(..count).unwrap_or_default();
            self.split(bytes, &mut each);
            if bytes.iter().all(|byte| *byte == 0) {
                self.position = self.next_data()?.min(size).max(self.position);
            }
        }
        self.remember()?;
        Ok(found)
    }

    /// Where there is something other than a hole from here on. A hole takes no space, however long it is.
    fn next_data(&self) -> Result<u64, Errno> {
        match rustix::fs::seek(&self.file, SeekFrom::Data(self.position)) {
            // Nothing but a hole to the end.
            Err(Errno::NXIO) => Ok(u64::MAX),
            // The file system does not tell.
            Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(self.position),
            other => other,
        }
    }

    fn split(&mut self, bytes: &[u8], each: &mut impl FnMut(Line<'_>)) {
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ended) = piece.strip_suffix(b"\n").map_or((piece, false), |text| (text, true));
            if !self.skip {
                let room = MAX_LINE.saturating_sub(self.partial.len());
                // A hole of zeros is no line, however long.
                let text = if self.partial.is_empty() { without_zeros(text) } else { text };
                self.partial.extend_from_slice(text.get(..room).unwrap_or(text));
                if text.len() > room {
                    each(Line::Head(&self.partial));
                    self.partial = Vec::new();
                    self.skip = true;
                }
            }
            if ended {
                if !self.skip {
                    each(Line::Whole(&self.partial));
                }
                self.partial.clear();
                self.skip = false;
            }
        }
    }

    fn seam_holds(&self) -> Result<bool, Errno> {
        let mut now = [0; SEAM];
        let now = now.get_mut(..self.seam.len()).unwrap_or_default();
        let from = self.position.saturating_sub(u64::try_from(self.seam.len()).unwrap_or(0));
        let count = rustix::io::pread(&self.file, &mut *now, from)?;
        Ok(count == self.seam.len() && *now == *self.seam)
    }

    fn remember(&mut self) -> Result<(), Errno> {
        let length = usize::try_from(self.position).unwrap_or(SEAM).min(SEAM);
        let mut seam = vec![0; length];
        let from = self.position.saturating_sub(u64::try_from(length).unwrap_or(0));
        let count = rustix::io::pread(&self.file, &mut seam, from)?;
        seam.truncate(count);
        self.seam = seam;
        Ok(())
    }
}

/// Without the hole of zeros that a truncated file has where its writer does not append.
pub fn without_zeros(text: &[u8]) -> &[u8] {
    let zeros = text.iter().take_while(|b| **b == 0).count();
    text.get(zeros..).unwrap_or_default()
}
