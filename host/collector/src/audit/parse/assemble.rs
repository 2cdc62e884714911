//! Records to events: the records of one event share a serial number and may be interleaved with those of others.

use super::merge::{Assembled, merge};
use super::record::{Record, Stamp};
use super::types;
use std::collections::BTreeMap;

/// Most events that are incomplete at once. Each CPU has one at a time, so it takes many CPUs or a liar to fill it.
const MAX_PENDING: usize = 512;
/// Most bytes of records kept of one event: 128 KiB of arguments in hexadecimal, and some more.
const MAX_BYTES: usize = 1 << 20;
/// Most records of one event.
const MAX_RECORDS: usize = 1024;
/// An event whose end does not come is taken as it is after this long, in nanoseconds. The kernel writes all records
/// of an event at once.
pub const PATIENCE: u64 = 30_000_000;

#[derive(Debug, Default)]
struct Pending {
    records: Vec<Record>,
    bytes: usize,
    since: u64,
    cut: bool,
}

/// Puts records together. Times are nanoseconds of a monotonic clock, handed in so that tests need none.
#[derive(Debug, Default)]
pub struct Assembler {
    pending: BTreeMap<Stamp, Pending>,
}

impl Assembler {
    /// Takes a record and returns the events that it completes: none, one, or two where the oldest had to make room.
    pub fn push(&mut self, record: Record, now: u64) -> Vec<Assembled> {
        let mut done = Vec::new();
        let stamp = record.stamp;
        let ends = matches!(record.kind, types::EOE | types::PROCTITLE);
        if record.kind == types::EOE && !self.pending.contains_key(&stamp) {
            return done; // Its PROCTITLE ended it already.
        }
        if types::stands_alone(record.kind) && !self.pending.contains_key(&stamp) {
            done.push(merge(stamp, &[record], true));
            return done;
        }
        if self.pending.len() >= MAX_PENDING && !self.pending.contains_key(&stamp) {
            let oldest = self.pending.iter().min_by_key(|(_, p)| p.since).map(|(stamp, _)| *stamp);
            done.extend(oldest.and_then(|oldest| self.finish(oldest, false)));
        }
        let pending = self.pending.entry(stamp).or_insert_with(|| Pending { since: now, ..Pending::default() });
        let size = record.size();
        if pending.records.len() < MAX_RECORDS && pending.bytes.saturating_add(size) <= MAX_BYTES {
            pending.bytes = pending.bytes.saturating_add(size);
            pending.records.push(record);
        } else {
            pending.cut = true;
        }
        if ends {
            done.extend(self.finish(stamp, true));
        }
        done
    }

    /// Events whose end did not come within [`PATIENCE`]; all of them where `all` is set.
    pub fn flush(&mut self, now: u64, all: bool) -> Vec<Assembled> {
        let due = |p: &Pending| all || now.saturating_sub(p.since) >= PATIENCE;
        let stamps: Vec<Stamp> = self.pending.iter().filter(|(_, p)| due(p)).map(|(stamp, _)| *stamp).collect();
        stamps.into_iter().filter_map(|stamp| self.finish(stamp, false)).collect()
    }

    /// Something waits for its end.
    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty()
    }

    fn finish(&mut self, stamp: Stamp, complete: bool) -> Option<Assembled> {
        let pending = self.pending.remove(&stamp)?;
        // Only a system call's event has an end mark; other records of the kernel come alone.
        let complete = complete || !pending.records.iter().any(|r| r.kind == types::SYSCALL);
        Some(merge(stamp, &pending.records, complete && !pending.cut))
    }
}
