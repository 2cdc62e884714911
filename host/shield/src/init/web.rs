//! A web server on the run's own loopback: answers `GET` for what was published, and nothing else.
//!
//! A process of its own, so that it dies with the phase like everything else, and a process per connection, so that a
//! client that stalls keeps nobody waiting.

use crate::steps::descriptors;
use crate::wire;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

/// A request's head is not read beyond this.
const HEAD: usize = 16 * 1024;
/// It binds a port, and no more, before it answers.
const START: Timespec = Timespec { tv_sec: 10, tv_nsec: 0 };
/// A client that says or takes nothing for so long is left.
const PATIENCE: Duration = Duration::from_secs(5);

/// The running server, as init knows it.
#[derive(Debug)]
pub struct Web {
    /// Its process.
    pub pid: i32,
    /// Its port on 127.0.0.1.
    pub port: u16,
    control: OwnedFd,
}

impl Web {
    /// Starts it. In the new process `announce` runs first, then `become_user`, which takes it to the run's network.
    pub fn start(announce: impl FnOnce(), become_user: impl FnOnce() -> Result<(), String>) -> Result<Self, String> {
        let failed = |error: &dyn std::fmt::Display| format!("the web server cannot start: {error}");
        let (control, theirs) = wire::pair().map_err(|error| failed(&error))?;
        let pid = super::helper::fork(|| {
            announce();
            let bound = become_user().and_then(|()| {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
                let port = listener.local_addr().map_err(|error| error.to_string())?.port();
                // The view is joined by descriptors of init's, so those are closed after it. Nobody can take them meanwhile: like
                // init, this process is not dumpable.
                let keep = [listener.as_raw_fd(), theirs.as_raw_fd()];
                descriptors::close_others(&keep).map_err(|error| error.to_string())?;
                Ok((listener, port))
            });
            let told = bound.as_ref().map(|(_, port)| *port).map_err(Clone::clone);
            if wire::send(&theirs, &told, &[]).is_ok()
                && let Ok((listener, _)) = bound
            {
                serve(&listener, &theirs);
            }
        })
        .map_err(|error| failed(&error))?;
        drop(theirs);
        let mut waits = [PollFd::new(&control, PollFlags::IN)];
        let answered = poll(&mut waits, Some(&START)).is_ok_and(|ready| ready > 0);
        let told = if answered { wire::receive::<Result<u16, String>>(&control) } else { Ok(None) };
        match told {
            Ok(Some(parcel)) => Ok(Self { pid, port: parcel.message.map_err(|why| failed(&why))?, control }),
            _ => Err(failed(&"it does not answer")),
        }
    }

    /// Adds a page. It is there for every connection made after this.
    pub fn publish(&self, path: &str, body: &OwnedFd) -> Result<(), String> {
        wire::send(&self.control, &path, &[body.as_fd()])
            .map_err(|error| format!("the web server does not listen: {error}"))
    }
}

fn serve(listener: &TcpListener, control: &OwnedFd) {
    // Connections are children that nobody waits for.
    // SAFETY: no handler is installed.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let mut pages: HashMap<String, Vec<u8>> = HashMap::new();
    loop {
        let mut fds = [PollFd::new(control, PollFlags::IN), PollFd::new(listener, PollFlags::IN)];
        if poll(&mut fds, None).is_err() {
            continue;
        }
        let (told, asked) = (!fds[0].revents().is_empty(), !fds[1].revents().is_empty());
        if told {
            // What is published comes before who asks for it.
            match wire::receive::<String>(control) {
                Ok(Some(mut parcel)) => {
                    let body = parcel.fds.pop().map(wire::read_memory);
                    if let Some(Ok(body)) = body {
                        pages.insert(parcel.message, body);
                    }
                }
                _ => return,
            }
        } else if asked && let Ok((client, _)) = listener.accept() {
            let _ = super::helper::fork(|| {
                let _ = answer(client, &pages);
            });
        }
    }
}

fn answer(mut client: TcpStream, pages: &HashMap<String, Vec<u8>>) -> std::io::Result<()> {
    client.set_read_timeout(Some(PATIENCE))?;
    client.set_write_timeout(Some(PATIENCE))?;
    let mut head = Vec::new();
    let mut part = [0; 1024];
    while head.len() < HEAD && !head.windows(4).any(|w| w == b"\r\n\r\n") && !head.windows(2).any(|w| w == b"\n\n") {
        let read = client.read(&mut part)?;
        if read == 0 {
            break;
        }
        head.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    let (status, body) = respond(&head, pages);
    let length = body.len();
    write!(
        client,
        "HTTP/1.0 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    client.write_all(body)
}

fn respond<'a>(head: &[u8], pages: &'a HashMap<String, Vec<u8>>) -> (&'static str, &'a [u8]) {
    let line = head.split(|&byte| byte == b'\r' || byte == b'\n').next().unwrap_or_default();
    let Ok(line) = std::str::from_utf8(line) else { return ("400 Bad Request", b"") };
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if method != "GET" {
        return ("405 Method Not Allowed", b"");
    }
    let path = target.split('?').next().unwrap_or_default();
    pages.get(path).map_or(("404 Not Found", &[][..]), |body| ("200 OK", body))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_published_pages_are_served_and_only_to_get() {
        let pages = HashMap::from([("/tool".to_owned(), b"x\0y".to_vec())]);
        assert_eq!(respond(b"GET /tool?a=b HTTP/1.1\r\nHost: h\r\n\r\n", &pages), ("200 OK", &b"x\0y"[..]));
        assert_eq!(respond(b"GET /tool/../tool HTTP/1.0\r\n\r\n", &pages).0, "404 Not Found");
        assert_eq!(respond(b"POST /tool HTTP/1.0\r\n\r\n", &pages).0, "405 Method Not Allowed");
        assert_eq!(respond(b"\xff\r\n", &pages).0, "400 Bad Request");
        assert_eq!(respond(b"", &pages).0, "405 Method Not Allowed");
    }
}
