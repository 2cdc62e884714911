//! The one reader of a log, with a thread that lives as long as anybody follows it.

use super::super::foreign::Subscribers;
use super::super::loss::{Cause, Loss, Origin, shown};
use super::super::{Blindness, EventLog, lock, netlink};
use super::line::{Lines, Read};
use super::tail::{self, Found, Line, Tail};
use crate::policy::sources::FileSource;
use rustix::event::EventfdFlags;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
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
    /// How much there is of a line without an end, and since when.
    open_since: Option<(usize, Instant)>,
    subscribers: Subscribers,
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
            open_since: None,
            subscribers: Subscribers::default(),
        };
        state.watch_folder();
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
        state.pump();
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
        loop {
            let mut state = lock(&self.state);
            state.pump();
            // A file that came while the first look went on is counted at the second.
            state.pump();
            let open = state.open_ends();
            if open.is_none() || state.open_since.is_none_or(|(_, since)| since.elapsed() >= LINE_END) {
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
        netlink::wait(&fds, if watch.is_some() { POLL } else { BLIND_POLL });
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

    fn watch_folder(&self) {
        let folder = Path::new(&self.path).parent().filter(|folder| !folder.as_os_str().is_empty());
        if let (Some(watch), Some(folder)) = (&self.watch, folder) {
            let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::MOVED_FROM | WatchFlags::DELETE;
            // Where the folder does not exist yet, looking at intervals has to do.
            let _ = inotify::add_watch(watch, folder, flags);
        }
    }

    /// Takes in what the kernel says of changes. What they are is seen by looking, afterwards, but for files that are gone by then.
    fn hear(&mut self) {
        let Some(watch) = &self.watch else { return };
        let name = Path::new(&self.path).file_name().map(|name| name.as_encoded_bytes().to_owned());
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut news = inotify::Reader::new(watch, &mut buffer);
        while let Ok(event) = news.next() {
            let came = event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO);
            if came && event.file_name().map(|own| own.to_bytes()) == name.as_deref() {
                self.unopened = self.unopened.saturating_add(1);
            }
        }
    }

    /// Takes in what is there by now: of the files that were rotated away, and of the one that the path means.
    fn pump(&mut self) {
        self.hear();
        let there = self.look();
        let mut lost = Vec::new();
        let Self { path, lines, current, older, subscribers, .. } = self;
        for tail in older.iter_mut().chain(current.iter_mut()) {
            take_in(tail, path, lines, subscribers, &mut lost);
        }
        let known = current.as_ref().map(|tail| tail.identity);
        match there {
            Ok(there) => {
                if there != known {
                    // It was read to its end above, and is read on for as long as it is remembered.
                    older.extend(current.take());
                    let excess = older.len().saturating_sub(MAX_OLDER);
                    older.drain(..excess);
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
                            self.pump_new(&mut lost);
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

    fn pump_new(&mut self, lost: &mut Vec<String>) {
        let Self { path, lines, current, subscribers, .. } = self;
        if let Some(tail) = current {
            take_in(tail, path, lines, subscribers, lost);
        }
    }

    /// Why an absence proves nothing for now. A line without an end that is whole all the same is taken.
    fn open_ends(&mut self) -> Option<Blindness> {
        let Self { path, lines, current, older, subscribers, open_since, .. } = self;
        if current.is_none() {
            *open_since = None;
            return Some(Blindness::Dead(format!(
                "{path} does not exist: has its sensor been started, and does it write there?"
            )));
        }
        for tail in older.iter_mut().chain(current.iter_mut()) {
            if lines.is_whole(tail.partial()) {
                let line = tail.take_partial();
                deliver(Line::Whole(&line), path, lines, subscribers);
            }
        }
        let partial = current.as_ref().map_or(&[][..], Tail::partial);
        if partial.iter().all(u8::is_ascii_whitespace) {
            *open_since = None;
            return None;
        }
        if open_since.is_none_or(|(length, _)| length != partial.len()) {
            *open_since = Some((partial.len(), Instant::now()));
        }
        Some(Blindness::Lost(format!("the last line of {path} has no end yet")))
    }
}

fn take_in(tail: &mut Tail, path: &str, lines: &Lines, subscribers: &Subscribers, lost: &mut Vec<String>) {
    let mut cut = false;
    let read = tail.read(|line| {
        cut |= matches!(line, Line::Head(_));
        deliver(line, path, lines, subscribers);
    });
    match read {
        Ok(Found { truncated, passed_over }) => {
            if truncated {
                let gone = "was truncated while it was followed: what was written just before may be gone";
                lost.push(format!("{path} {gone}"));
            }
            if passed_over > 0 {
                lost.push(format!(
                    "{path} grew by more than 64 MiB between two looks: {passed_over} bytes of it were not read"
                ));
            }
        }
        Err(errno) => lost.push(format!("{path} can no longer be read: {errno}")),
    }
    if cut {
        lost.push(format!("a line of {path} is longer than 1 MiB: it was cut, and what it says was not read"));
    }
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
