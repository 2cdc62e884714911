//! Reading a child's output: as much as is kept, and the rest so that the child does not block.

use std::io;
use std::os::fd::OwnedFd;
use tokio::net::unix::pipe::{Receiver, pipe};

/// Read at once: what a pipe holds.
const PART: usize = 64 * 1024;
/// After the child's end this many reads at most take what is there: somebody else who keeps writing is not waited for.
const LAST_READS: u32 = 64;

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

    /// Takes what is there, without waiting.
    pub fn rest(&mut self) {
        for _ in 0..LAST_READS {
            if self.ended || !self.take() {
                return;
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

    /// One read. False where there was nothing.
    fn take(&mut self) -> bool {
        let room = self.limit.saturating_sub(self.kept.len());
        let mut part = [0; PART];
        match self.from.try_read(&mut part) {
            Ok(0) => {
                self.ended = true;
                false
            }
            Ok(read) => {
                self.kept.extend_from_slice(part.get(..read.min(room)).unwrap_or_default());
                self.dropped = self.dropped.saturating_add(read.saturating_sub(room) as u64);
                true
            }
            Err(error) => {
                self.ended = error.kind() != io::ErrorKind::WouldBlock && error.kind() != io::ErrorKind::Interrupted;
                false
            }
        }
    }
}
