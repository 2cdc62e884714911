//! The look: what the run's children have made of the machine that they see, as a [`Scene`].
//!
//! Done by a process forked from init. It reads layers and processes as init, which no child can trace or fool by a mount of its
//! own. Mounts and sockets are those of the run's stem; where that is gone, it joins the view for good. What sensors watch
//! for, such as `/etc/shadow`, is opened only where its metadata says that it is not the machine's any more.

mod accounts;
mod files;
pub mod listening;
mod sockets;

use super::tree;
use crate::overlay::{Layer, mountinfo};
use crate::scene::{Mount, Process, Scene};
use foil_text::printable;
use rustix::fs::{Mode, OFlags, openat};
use std::collections::HashSet;
use std::io::Read;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

/// Files are not looked at for longer; the scene says then that there is more.
const PATIENCE: Duration = Duration::from_secs(15);
/// After so many seconds the kernel ends the process that looks, whatever it hangs in.
const END: u32 = 25;
/// Of processes, listeners, mounts and accounts each.
const MOST: usize = 4096;
/// Bytes kept of a name.
const NAME: usize = 1024;
/// Bytes kept of a command line.
const COMMAND: usize = 256;
/// Bytes read of a list. With the bounds above, a scene fits a message even where each byte has to be escaped.
const LIST: u64 = 1 << 20;

/// What is looked at.
pub struct Eye<'a> {
    /// A process of Foil's in the view, by which mounts and sockets are found; the view is joined where there is none.
    pub stem: Option<i32>,
    /// Where the kernel lists the sockets of the run's network, opened in there.
    pub kernel: Option<BorrowedFd<'a>>,
    /// The overlay's layers.
    pub layers: &'a [Layer],
    /// The run's scratch folder, which does not count.
    pub scratch: &'a Path,
    /// Init and its helpers, which do not count either.
    pub ours: &'a [i32],
    /// The port on 127.0.0.1 of init's own web server.
    pub web: Option<u16>,
    /// The network is the machine's: only listeners that a process of the run holds are the run's.
    pub shared_network: bool,
}

/// Looks. `join` enters the view for good.
pub fn look(eye: &Eye<'_>, join: impl FnOnce() -> Result<(), String>) -> Result<Scene, String> {
    // SAFETY: takes a number; the signal's action is the default one, which ends this process.
    unsafe { libc::alarm(END) };
    let mut scene = Scene::default();
    // Opened before the view is joined, where children may mount something else at that path.
    let proc = rustix::fs::open("/proc", OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
        .map_err(|error| format!("/proc cannot be opened: {error}"))?;
    let proc = proc.as_fd();
    let processes = processes(eye, proc, &mut scene);
    let held = eye.shared_network.then(|| sockets::held(proc, &processes, &mut scene));
    files::look(eye, Instant::now() + PATIENCE, &mut scene);
    accounts::look(eye, &mut scene);
    // Of a stem that has just been killed there is nothing to read.
    let readable = |who: &String| list(proc, &format!("{who}/mountinfo")).is_ok();
    let who = match eye.stem.map(|stem| stem.to_string()).filter(readable) {
        Some(stem) => stem,
        None => {
            join()?;
            "self".to_owned()
        }
    };
    sockets::look(eye, proc, &who, held.as_ref(), &mut scene);
    mounts(proc, &who, &mut scene)?;
    Ok(scene)
}

/// Writes the run's processes down. The answer is their numbers.
fn processes(eye: &Eye<'_>, proc: BorrowedFd<'_>, scene: &mut Scene) -> HashSet<i32> {
    let own = tree::own_pid();
    // The web server has a child for each of its connections.
    let ours = |pid: i32| pid == own || eye.ours.contains(&pid);
    let theirs = tree::living().filter(|process| !ours(process.pid) && (process.parent == 1 || !ours(process.parent)));
    for process in theirs {
        if scene.processes.len() >= MOST {
            scene.more = true;
            break;
        }
        let text = |name: &str| list(proc, &format!("{}/{name}", process.pid)).map(|(text, _)| text);
        let mut command = text("cmdline").unwrap_or_default();
        if command.is_empty() {
            command = text("comm").unwrap_or_default();
        }
        let end = command.iter().rposition(|byte| !matches!(byte, 0 | b'\n')).map_or(0, |last| last.saturating_add(1));
        command.truncate(end);
        command.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
        let command = printable(&command, COMMAND);
        scene.processes.push(Process { pid: process.pid, parent: process.parent, start: process.start, command });
    }
    scene.processes.iter().map(|process| process.pid).collect()
}

/// The mounts that children see.
fn mounts(proc: BorrowedFd<'_>, who: &str, scene: &mut Scene) -> Result<(), String> {
    let (text, cut) = list(proc, &format!("{who}/mountinfo")).map_err(|error| format!("the run's mounts: {error}"))?;
    let whole = text.iter().rposition(|byte| *byte == b'\n').and_then(|end| text.get(..end));
    let mut mounts = mountinfo::parse(whole.unwrap_or_default())?;
    scene.more |= cut || mounts.len() > MOST;
    mounts.truncate(MOST);
    let point = |path: &Path| printable(path.as_os_str().as_encoded_bytes(), NAME);
    scene.mounts = mounts.into_iter().map(|m| Mount { id: m.id, point: point(&m.point), kind: m.kind }).collect();
    Ok(())
}

/// A text, and whether it goes on. Neither a link nor a FIFO in its place is followed or waited for.
fn list(folder: BorrowedFd<'_>, path: &str) -> std::io::Result<(Vec<u8>, bool)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut file = std::fs::File::from(openat(folder, path, flags, Mode::empty())?).take(LIST);
    if !file.get_ref().metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok((text, file.limit() == 0))
}
