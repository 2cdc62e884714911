//! Parents by `/proc`, for as long as they live.

use super::super::audit::parse::text;
use super::super::clock;
use super::programs::Image;
use std::io::Read;

/// Highest chain that is climbed.
const MAX_CLIMB: usize = 128;

/// What `/proc/PID/stat` says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    pub ppid: u32,
    /// Nanoseconds since 1970, up to a hundredth of a second early.
    pub start: u64,
}

/// `None` where there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    let text = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
    let (ppid, ticks) = parse(&text)?;
    let per_tick = 1_000_000_000u64.checked_div(rustix::param::clock_ticks_per_second())?;
    Some(Stat { ppid, start: clock::from_boottime(ticks.checked_mul(per_tick)?) })
}

/// The parent and the start in clock ticks since boot. The name before them is in parentheses, and may have some of its own.
fn parse(text: &[u8]) -> Option<(u32, u64)> {
    let end = text.iter().rposition(|b| *b == b')')?;
    let rest = std::str::from_utf8(text.get(end..)?.strip_prefix(b")")?).ok()?;
    let mut words = rest.split_ascii_whitespace();
    let ppid = words.nth(1)?.parse().ok()?;
    Some((ppid, words.nth(17)?.parse().ok()?))
}

/// The program that a process is. A short-lived one may be gone already: what could not be read is empty.
pub fn image(pid: u32) -> Image {
    // First who it is: the dead have a name and a user for as long as nobody has asked how they ended, but no arguments. So
    // whatever has arguments here has a user too.
    let status = read(pid, "status", 4 << 10);
    let status = String::from_utf8_lossy(&status);
    let argv = read(pid, "cmdline", 64 << 10);
    let exe = std::fs::read_link(format!("/proc/{pid}/exe")).ok().map(|path| text(path.as_os_str().as_encoded_bytes()));
    let of = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    let words = argv.strip_suffix(b"\0").map(|words| words.split(|b| *b == 0).map(text).collect());
    Image {
        exes: exe
            .map(|exe| exe.strip_suffix(" (deleted)").map_or(exe.clone(), ToOwned::to_owned))
            .into_iter()
            .collect(),
        argv: words.unwrap_or_default(),
        comm: of("Name:").map(|name| text(name.as_bytes())),
        uids: of("Uid:").unwrap_or_default().split_whitespace().filter_map(|uid| uid.parse().ok()).collect(),
    }
}

/// Up to `most` bytes of a file of a process; what could not be read is missing.
fn read(pid: u32, file: &str, most: u64) -> Vec<u8> {
    let mut content = Vec::new();
    if let Ok(file) = std::fs::File::open(format!("/proc/{pid}/{file}")) {
        let _ = file.take(most).read_to_end(&mut content);
    }
    content
}

/// `(process, parent, start)` of a process and its ancestors, as far as they live and are old enough to have been there at a moment.
pub fn ancestors(pid: u32, at: u64) -> Vec<(u32, u32, u64)> {
    let mut found = Vec::new();
    let mut pid = pid;
    while pid > 1 && found.len() < MAX_CLIMB {
        let Some(stat) = stat(pid).filter(|s| s.start <= at) else { break };
        found.push((pid, stat.ppid, stat.start));
        pid = stat.ppid;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lie() {
        let text = b"7 (a) S 1 1 1) R 42 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 9001 1000 1";
        assert_eq!(parse(text), Some((42, 9001)));
        assert_eq!(parse(b"7 (a"), None);
        assert_eq!(parse(b"7 (a) R"), None);
    }

    #[test]
    fn this_process_is_what_it_is() {
        let image = image(std::process::id());
        let exe = std::env::current_exe().unwrap();
        assert_eq!(image.exes, [exe.to_str().unwrap()]);
        assert_eq!(image.argv, std::env::args().collect::<Vec<_>>());
        assert_eq!((image.uids.len(), image.uids[0]), (4, rustix::process::getuid().as_raw()));
        assert!(exe.file_name().unwrap().to_str().unwrap().starts_with(&image.comm.unwrap()));
        assert_eq!(super::image(u32::MAX), Image::default());
    }

    #[test]
    fn this_process_has_a_parent_and_a_past() {
        let own = stat(std::process::id()).unwrap();
        assert_eq!(own.ppid, std::os::unix::process::parent_id());
        assert!(own.start <= clock::realtime() && clock::realtime() - own.start < 3_600_000_000_000);
        assert!(stat(u32::MAX).is_none());
    }
}
