//! Sockets that others can reach: those of TCP from the kernel, the others from `/proc/net` (proc_pid_net(5)).

use super::{Eye, MOST, NAME, list, listening};
use crate::scene::{Listener, Scene};
use foil_text::printable;
use rustix::fs::{Mode, OFlags, openat, readlinkat};
use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::BorrowedFd;

/// Descriptors looked at, of all processes together.
const DESCRIPTORS: usize = 65_536;

/// A socket as `/proc/net` lists it.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    address: String,
    inode: u64,
}

/// Writes down the sockets of a process's network namespace that listen; of a shared one only those that the run holds.
pub fn look(eye: &Eye<'_>, proc: BorrowedFd<'_>, who: &str, held: Option<&HashSet<u64>>, scene: &mut Scene) {
    let web = eye.web.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)).to_string());
    let mut note = |protocol: &str, Line { address, inode }: Line| {
        let ours = protocol == "tcp" && web.as_ref() == Some(&address);
        if ours || held.is_some_and(|held| !held.contains(&inode)) {
            return;
        }
        if scene.listeners.len() >= MOST {
            scene.more = true;
            return;
        }
        scene.listeners.push(Listener { protocol: protocol.into(), address });
    };
    let mut cut_short = false;
    let tcp = eye.kernel.and_then(listening::list);
    for protocol in ["tcp", "tcp6", "udp", "udp6", "unix"] {
        let listed = match (protocol, &tcp) {
            ("tcp", Some([four, _])) => Some(four),
            ("tcp6", Some([_, six])) => Some(six),
            _ => None,
        };
        if let Some(listed) = listed {
            listed.iter().for_each(|(address, inode)| {
                note(protocol, Line { address: address.to_string(), inode: *inode });
            });
            continue;
        }
        // A kernel without IPv6 has no such list.
        let Ok((text, cut)) = list(proc, &format!("{who}/net/{protocol}")) else { continue };
        cut_short |= cut;
        for line in text.split(|byte| *byte == b'\n').skip(1) {
            let found = if protocol == "unix" { unix(line) } else { internet(line, protocol.starts_with("tcp")) };
            found.into_iter().for_each(|line| note(protocol, line));
        }
    }
    scene.more |= cut_short;
}

/// `sl local remote state … inode …`, addresses as hexadecimal words in the machine's byte order.
fn internet(line: &[u8], tcp: bool) -> Option<Line> {
    let mut fields = std::str::from_utf8(line).ok()?.split_ascii_whitespace().skip(1);
    let (local, remote) = (address(fields.next()?)?, address(fields.next()?)?);
    let state = fields.next()?;
    let inode = fields.nth(5)?.parse().ok()?;
    // TCP: LISTEN. UDP: not connected.
    let open = if tcp { state == "0A" } else { state == "07" && remote.port() == 0 };
    open.then(|| Line { address: local.to_string(), inode })
}

fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let mut bytes = Vec::new();
    for word in ip.as_bytes().chunks(8) {
        bytes.extend(u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok()?.to_ne_bytes());
    }
    let ip = match <[u8; 4]>::try_from(&*bytes) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(&*bytes).ok()?)),
    };
    Some(SocketAddr::new(ip, port))
}

/// `Num: RefCount Protocol Flags Type St Inode Path`; the path may hold anything but a line's end.
fn unix(line: &[u8]) -> Option<Line> {
    /// `__SO_ACCEPTCON`: it listens.
    const LISTENS: u32 = 0x10000;
    let mut rest = line;
    let mut field = || {
        rest = rest.trim_ascii_start();
        let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
        let (field, after) = rest.split_at_checked(end)?;
        rest = after;
        std::str::from_utf8(field).ok()
    };
    let mut fields = [""; 7];
    for slot in &mut fields {
        *slot = field()?;
    }
    let [_, _, _, flags, _, _, inode] = fields;
    let (flags, inode) = (u32::from_str_radix(flags, 16).ok()?, inode.parse().ok()?);
    let path = rest.strip_prefix(b" ").unwrap_or(b"(unnamed)");
    (flags & LISTENS != 0).then(|| Line { address: printable(path, NAME), inode })
}

/// The sockets that processes of the run hold.
pub fn held(proc: BorrowedFd<'_>, run: &HashSet<i32>, scene: &mut Scene) -> HashSet<u64> {
    let mut held = HashSet::new();
    let mut seen = 0_usize;
    for pid in run {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let Ok(folder) = openat(proc, format!("{pid}/fd"), flags, Mode::empty()) else { continue };
        let Ok(entries) = rustix::fs::Dir::read_from(&folder) else { continue };
        for entry in entries.flatten() {
            seen = seen.saturating_add(1);
            if seen > DESCRIPTORS {
                scene.more = true;
                return held;
            }
            let Ok(target) = readlinkat(&folder, entry.file_name(), Vec::new()) else { continue };
            let inode = target.to_str().ok().and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']'));
            held.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(address: &str, inode: u64) -> Option<Line> {
        Some(Line { address: address.into(), inode })
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn listening_sockets_are_read() {
        let tcp = "   0: 0100007F:115C 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0 0 4711 1 0 100";
        assert_eq!(internet(tcp.as_bytes(), true), line("127.0.0.1:4444", 4711));
        assert_eq!(internet(tcp.replace(" 0A ", " 01 ").as_bytes(), true), None);
        let six = tcp.replace("0100007F", "00000000000000000000000001000000");
        assert_eq!(internet(six.as_bytes(), true), line("[::1]:4444", 4711));
        let udp = tcp.replace(" 0A ", " 07 ");
        assert_eq!(internet(udp.as_bytes(), false), line("127.0.0.1:4444", 4711));
        assert_eq!(internet(udp.replace("00000000:0000 07", "0100007F:0035 07").as_bytes(), false), None);
        assert_eq!(internet(b"1: 01:02 03", true), None);
    }

    #[test]
    fn unix_sockets_with_odd_names_are_read() {
        let text = b"0000000000000000: 00000002 00000000 00010000 0001 01 12345 /run/a b\x07";
        assert_eq!(unix(text), line("/run/a b\\x07", 12345));
        assert_eq!(unix(b"0: 2 0 10000 1 1 7"), line("(unnamed)", 7));
        assert_eq!(unix(b"0: 2 0 0 1 1 7 /not/listening"), None);
        assert_eq!(unix(b""), None);
    }
}
