//! Reading a child's output: as much as is kept, and the rest so that the child does not block.

use std::io;
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe::{Receiver, pipe};

/// Read at once, in bytes. On the stack of the guest that waits, of which every page that was ever used stays in memory.
const PART: usize = 8 * 1024;

/// One stream of one child.
#[derive(Debug)]
pub struct Capture {
    from: Receiver,
    limit: usize,
    /// The end of the stream was reached: nobody holds its other end.
    pub ended: bool,
    /// What was kept.
    pub kept: Vec<u8>,
    /// Bytes that were not.
    pub dropped: u64,
}

impl Capture {
    /// A new pipe: its reader, and the end that the child gets.
    pub fn new(limit: u64) -> io::Result<(Self, OwnedFd)> {
        let (write, from) = pipe()?;
        // The child's end blocks, as programs expect.
        let write = write.into_blocking_fd()?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        Ok((Self { from, limit, ended: false, kept: Vec::new(), dropped: 0 }, write))
    }

    /// Waits for more and takes it. Cancelling loses nothing.
    pub async fn more(&mut self) {
        if self.from.readable().await.is_err() {
            self.ended = true;
        }
        self.take();
    }

    /// Takes all that is in the pipe at this moment, without waiting. After a child's end that is all that it wrote and that
    /// was not read before. Somebody else who keeps writing is not waited for.
    ///
    /// Asks the kernel, and not the runtime, which only knows of what it has been told: on a busy machine that is late.
    pub fn rest(&mut self) {
        let mut due = rustix::io::ioctl_fionread(&self.from).unwrap_or(0);
        let mut part = [0; PART];
        loop {
            match rustix::io::read(&self.from, &mut part) {
                Ok(0) => {
                    self.ended = true;
                    return;
                }
                Ok(read) => {
                    self.keep(part.get(..read).unwrap_or_default());
                    due = due.saturating_sub(read as u64);
                    if due == 0 {
                        return;
                    }
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => {
                    self.ended |= error != rustix::io::Errno::AGAIN;
                    return;
                }
            }
        }
    }

    /// Reads on and drops everything, until nobody holds the other end.
    pub async fn discard(mut self) {
        self.limit = 0;
        while !self.ended {
            self.more().await;
        }
    }

    /// One read, once the runtime was told that there is something.
    fn take(&mut self) {
        let mut part = [0; PART];
        match self.from.try_read(&mut part) {
            Ok(0) => self.ended = true,
            Ok(read) => self.keep(part.get(..read).unwrap_or_default()),
            Err(error) => {
                self.ended = error.kind() != io::ErrorKind::WouldBlock && error.kind() != io::ErrorKind::Interrupted;
            }
        }
    }

    fn keep(&mut self, part: &[u8]) {
        let room = self.limit.saturating_sub(self.kept.len());
        let (kept, dropped) = part.split_at(part.len().min(room));
        self.kept.extend_from_slice(kept);
        self.dropped = self.dropped.saturating_add(dropped.len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A runtime with one thread, in which nothing is waited for: it is never told that the pipe has something, as on a machine
    // that is too busy to tell it.

    #[tokio::test]
    async fn what_was_written_before_the_end_is_read_whatever_the_runtime_knows() {
        let (mut capture, write) = Capture::new(1 << 20).unwrap();
        let text = vec![b'x'; PART];
        assert_eq!(rustix::io::write(&write, &text).unwrap(), PART, "as much as a pipe holds");
        drop(write);
        capture.rest();
        assert_eq!(capture.kept, text);
        capture.rest();
        assert!(capture.ended);
    }

    #[tokio::test]
    async fn a_daemon_that_holds_the_pipe_is_not_waited_for() {
        let (mut capture, write) = Capture::new(6).unwrap();
        rustix::io::write(&write, b"out, and more").unwrap();
        capture.rest();
        assert_eq!((capture.kept.as_slice(), capture.dropped, capture.ended), (&b"out, a"[..], 7, false));
        capture.rest();
        assert!(!capture.ended, "somebody may write more");
    }
}
