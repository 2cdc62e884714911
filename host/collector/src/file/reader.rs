//! The one reader of a log, with a thread that lives as long as anybody follows it.

use super::super::foreign::Subscribers;
use super::super::loss::{Cause, Loss, Origin, shown};
use super::super::{Blindness, EventLog, lock, netlink};
use super::line::{Lines, Read};
use super::tail::{self, Found, Line, Tail};
use foil_policy::sources::FileSource;
use rustix::event::EventfdFlags;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

/// Rotated-away files that are read on, since a writer may have them open still.
const MAX_OLDER: usize = 8;
/// How long the wait for news lasts at most where the kernel tells of changes, in milliseconds: network file systems tell of their own only.
const POLL: u32 = 50;
/// The same where it does not.
const BLIND_POLL: u32 = 5;
/// How long whoever asks waits for the end of a line.
const LINE_END: Duration = Duration::from_millis(100);
/// How long one look may take: others wait for the same state.
const LOOK: Duration = Duration::from_millis(100);
/// How long whoever asks waits for the end of a file that grows.
const CATCH_UP: Duration = Duration::from_secs(1);

/// All readers of this process.
static READERS: Mutex<Vec<(FileSource, Weak<Reader>)>> = Mutex::new(Vec::new());

/// The reader of a log.
#[derive(Debug)]
pub struct Reader {
    state: Mutex<State>,
    stop: Arc<OwnedFd>,
}

#[derive(Debug)]
struct State {
    path: String,
    lines: Lines,
    /// `None`: there is no such file.
    current: Option<Tail>,
    older: Vec<Tail>,
    watch: Option<Arc<OwnedFd>>,
    /// How often a file came to be at the path, as the kernel told of it, less those that were opened: one that was there between two
    /// looks was never seen.
    unopened: i64,
    /// The last look ended before the files did.
    behind: bool,
    /// The folders that are watched: the path's own, and that of what it links to.
    folders: [Watched; 2],
    subscribers: Subscribers,
}

/// A folder in which files come and go.
#[derive(Debug, Default)]
struct Watched {
    path: PathBuf,
    /// The file's name there.
    name: Vec<u8>,
    /// Which folder it was when the watch was set.
    identity: Option<(u64, u64)>,
    watch: Option<i32>,
}

impl Reader {
    /// The reader of this log: the one that there is, or a new one.
    ///
    /// # Errors
    /// A sentence: the pattern is malformed, or there is a file that cannot be followed.
    pub fn of(source: &FileSource) -> Result<Arc<Self>, String> {
        let mut readers = lock(&READERS);
        readers.retain(|(_, reader)| reader.strong_count() > 0);
        let known = readers.iter().find(|(known, _)| known == source).and_then(|(_, reader)| reader.upgrade());
        if let Some(reader) = known {
            return Ok(reader);
        }
        let reader = Self::start(source)?;
        readers.push((source.clone(), Arc::downgrade(&reader)));
        Ok(reader)
    }

    fn start(source: &FileSource) -> Result<Arc<Self>, String> {
        let mut state = State {
            path: source.path.clone(),
            lines: Lines::of(source)?,
            current: None,
            older: Vec::new(),
            watch: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok().map(Arc::new),
            unopened: 0,
            behind: false,
            folders: Default::default(),
            subscribers: Subscribers::default(),
        };
        state.watch_folders();
        if state.look()?.is_some() {
            state.open(false)?;
        }
        state.hear();
        state.unopened = 0;
        let no_thread = |error: std::io::Error| format!("{} cannot be followed: {error}", source.path);
        let stop = rustix::event::eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK);
        let stop = Arc::new(stop.map_err(|errno| no_thread(errno.into()))?);
        let watch = state.watch.clone();
        let reader = Arc::new(Self { state: Mutex::new(state), stop: Arc::clone(&stop) });
        let told = Arc::downgrade(&reader);
        let follow = move || follow(&told, watch.as_deref(), &stop);
        std::thread::Builder::new().name("foil-file".into()).spawn(follow).map_err(no_thread)?;
        Ok(reader)
    }

    /// What is written from now on goes to `log` too.
    ///
    /// # Errors
    /// A sentence: the file cannot be followed.
    pub fn subscribe(&self, log: &Arc<EventLog>) -> Result<u64, String> {
        let mut state = lock(&self.state);
        // What was there before is for those who were there before.
        let give_up = Instant::now() + CATCH_UP;
        state.pump();
        while state.behind {
            if Instant::now() >= give_up {
                return Err(state.too_fast());
            }
            state.pump();
        }
        if state.look()?.is_some() && state.current.is_none() {
            state.open(false)?;
        }
        Ok(state.subscribers.add(log))
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, number: u64) {
        lock(&self.state).subscribers.remove(number);
    }

    /// Takes in all that is in the file by now. Says why an absence proves nothing for the moment; waits for a moment for the end of a line
    /// that has just begun.
    pub fn catch_up(&self) -> Option<Blindness> {
        let give_up = Instant::now() + CATCH_UP;
        loop {
            let mut state = lock(&self.state);
            state.pump();
            // A file that came while the first look went on is counted at the second.
            state.pump();
            if state.behind {
                if Instant::now() >= give_up {
                    return Some(Blindness::Lost(state.too_fast()));
                }
                continue;
            }
            let open = state.open_ends();
            if open.is_none() || state.is_settled() {
                return open;
            }
            drop(state);
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // An eventfd takes eight bytes; writing one more to it cannot fail.
        let _ = rustix::io::write(&*self.stop, &1u64.to_ne_bytes());
    }
}

fn follow(reader: &Weak<Reader>, watch: Option<&OwnedFd>, stop: &OwnedFd) {
    loop {
        let fds: Vec<_> = std::iter::once(stop).chain(watch).map(AsFd::as_fd).collect();
        let is_behind = reader.upgrade().is_some_and(|reader| lock(&reader.state).behind);
        if !is_behind {
            netlink::wait(&fds, if watch.is_some() { POLL } else { BLIND_POLL });
        }
        let Some(reader) = reader.upgrade() else { return };
        lock(&reader.state).pump();
    }
}

impl State {
    /// Which file is there now, with a sentence where it cannot be followed.
    fn look(&self) -> Result<Option<tail::Identity>, String> {
        tail::look(&self.path).map_err(|why| format!("{} {why}", self.path))
    }

    fn open(&mut self, from_start: bool) -> Result<(), String> {
        let tail = Tail::open(&self.path, from_start).map_err(|why| format!("{} {why}", self.path))?;
        if let Some(watch) = &self.watch {
            // By the open file: the path may mean another one by now.
            let file = format!("/proc/self/fd/{}", tail.file().as_raw_fd());
            let _ = inotify::add_watch(watch, file, WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::MOVE_SELF);
        }
        self.current = Some(tail);
        Ok(())
    }

    /// Watches the path's folder, and that of what it links to, where they are not watched yet. Whether one was replaced.
    fn watch_folders(&mut self) -> bool {
        let Some(watch) = &self.watch else { return false };
        let path = Path::new(&self.path);
        let target = std::fs::read_link(path).ok().and_then(|_| path.canonicalize().ok());
        let mut replaced = false;
        for (watched, path) in self.folders.iter_mut().zip([Some(path), target.as_deref()]) {
            let Some((path, name)) = path.and_then(|path| Some((path.parent()?, path.file_name()?))) else { continue };
            let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
            // Where the folder does not exist yet, looking at intervals has to do.
            let Ok(stat) = rustix::fs::stat(path) else { continue };
            let (identity, name) = ((stat.st_dev, stat.st_ino), name.as_encoded_bytes());
            if watched.identity == Some(identity) && watched.name == name {
                continue;
            }
            replaced |= watched.path == path && watched.identity.is_some_and(|before| before != identity);
            let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
            if let Some(old) = watched.watch.filter(|_| watched.identity != Some(identity)) {
                // It is gone by itself where the folder is.
                let _ = inotify::remove_watch(watch, old);
            }
            let set = inotify::add_watch(watch, path, flags).ok();
            *watched = Watched { path: path.to_owned(), name: name.to_owned(), identity: Some(identity), watch: set };
        }
        replaced
    }

    /// Takes in what the kernel says of changes. What they are is seen by looking, afterwards, but for files that are gone by then.
    fn hear(&mut self) {
        let Some(watch) = &self.watch else { return };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut news = inotify::Reader::new(watch, &mut buffer);
        while let Ok(event) = news.next() {
            let came = event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            let name = event.file_name().map(std::ffi::CStr::to_bytes);
            let is_of = |watched: &Watched| watched.watch == Some(event.wd()) && Some(&*watched.name) == name;
            if came && self.folders.iter().any(is_of) {
                self.unopened = self.unopened.saturating_add(1);
            }
        }
    }

    /// Takes in what is there by now: of the files that were rotated away, and of the one that the path means.
    fn pump(&mut self) {
        let mut lost = Vec::new();
        if self.watch_folders() {
            lost.push(format!(
                "the folder of {} was replaced: what was written there in between may be gone",
                self.path
            ));
        }
        self.hear();
        let there = self.look();
        let until = Instant::now() + LOOK;
        let Self { path, lines, current, older, subscribers, behind, .. } = self;
        *behind = false;
        for tail in older.iter_mut().chain(current.iter_mut()) {
            *behind |= take_in(tail, until, path, lines, subscribers, &mut lost);
        }
        for tail in older.iter_mut().filter(|tail| tail.is_open() && tail.rests(LINE_END)) {
            // Nobody writes to it any more: the rest is in another file, or nowhere.
            deliver(Line::Whole(&tail.take_partial()), path, lines, subscribers);
            lost.push(format!("the last line of {path} had no end when the file was rotated away"));
        }
        let known = current.as_ref().map(|tail| tail.identity);
        match there {
            Ok(there) => {
                if there != known {
                    // It is read on for as long as it is remembered.
                    older.extend(current.take());
                    let excess = older.len().saturating_sub(MAX_OLDER);
                    if older.drain(..excess).count() > 0 {
                        lost.push(format!(
                            "{path} was rotated more than {MAX_OLDER} times: what is still written to the oldest file is not read"
                        ));
                    }
                }
                let again = older.iter().position(|tail| Some(tail.identity) == there);
                if let Some(place) = again {
                    // It was moved away and back.
                    *current = Some(older.remove(place));
                    self.unopened = self.unopened.saturating_sub(1).max(-1);
                } else if there.is_some() && there != known {
                    match self.open(true) {
                        Ok(()) => {
                            // Its event may come yet; where none ever does (a symbolic link to elsewhere) nothing adds up.
                            self.unopened = self.unopened.saturating_sub(1).max(-1);
                            self.pump_new(until, &mut lost);
                        }
                        Err(why) => lost.push(why),
                    }
                }
            }
            Err(why) => lost.push(why),
        }
        if self.unopened > 0 {
            self.unopened = 0;
            lost.push(format!(
                "{} was replaced more than once between two looks: one of the files was never read",
                self.path
            ));
        }
        for why in lost {
            self.subscribers.all().for_each(|log| log.set_blind(Blindness::Lost(why.clone())));
        }
    }

    fn pump_new(&mut self, until: Instant, lost: &mut Vec<String>) {
        let Self { path, lines, current, subscribers, behind, .. } = self;
        if let Some(tail) = current {
            *behind |= take_in(tail, until, path, lines, subscribers, lost);
        }
    }

    fn too_fast(&self) -> String {
        format!("{} grows faster than it can be read: what is at its end was not read yet", self.path)
    }

    /// Whether waiting a little longer would bring no line to its end.
    fn is_settled(&self) -> bool {
        let mut older = self.older.iter();
        !older.any(Tail::is_open) && self.current.as_ref().is_none_or(|tail| tail.rests(LINE_END))
    }

    /// Why an absence proves nothing for now.
    fn open_ends(&self) -> Option<Blindness> {
        let path = &self.path;
        let Some(current) = &self.current else {
            return Some(Blindness::Dead(format!(
                "{path} does not exist: has its sensor been started, and does it write there?"
            )));
        };
        let is_open = current.is_open() || self.older.iter().any(Tail::is_open);
        is_open.then(|| Blindness::Lost(format!("the last line of {path} has no end yet")))
    }
}

/// Takes in what there is of a file, until this moment. Whether there is more.
fn take_in(
    tail: &mut Tail,
    until: Instant,
    path: &str,
    lines: &Lines,
    subscribers: &Subscribers,
    lost: &mut Vec<String>,
) -> bool {
    let mut cut = false;
    let read = tail.read(until, |line| {
        cut |= matches!(line, Line::Head(_));
        deliver(line, path, lines, subscribers);
    });
    let more = match read {
        Ok(Found { truncated, more }) => {
            if truncated {
                let gone = "was truncated while it was followed: what was written just before may be gone";
                lost.push(format!("{path} {gone}"));
            }
            more
        }
        Err(errno) => {
            lost.push(format!("{path} can no longer be read: {errno}"));
            false
        }
    };
    if !more && let Some(line) = tail.take_whole(|line| lines.is_whole(line)) {
        deliver(Line::Whole(&line), path, lines, subscribers);
    }
    if cut {
        lost.push(format!("a line of {path} is longer than 1 MiB: it was cut, and what it says was not read"));
    }
    more
}

fn deliver(line: Line<'_>, path: &str, lines: &Lines, subscribers: &Subscribers) {
    let (raw, read) = match line {
        Line::Whole(raw) => (raw, lines.read(raw)),
        Line::Head(raw) => (raw, Read { event: Some(lines.cut(raw)), ..Read::default() }),
    };
    if let Some(internal) = read.internal {
        subscribers.tell(internal, None, None);
    }
    if read.unreadable {
        let cause = Cause::Unreadable { file: path.to_owned(), first: shown(raw) };
        subscribers.lose(&Loss { origin: Origin::default(), cause, count: 1 });
    }
    let Some(mut event) = read.event else { return };
    let targets = subscribers.route(&mut event, raw);
    let event = Arc::new(event);
    targets.iter().for_each(|log| log.push(Arc::clone(&event)));
}
