//! One record: `audit(1700000000.123:456): key=value key="value" …`.

use super::types;
use super::value::Value;

/// Most fields of one record that are kept. The kernel writes at most 8,970 bytes a record, so real ones stay below.
const MAX_FIELDS: usize = 4096;
/// Most bytes of a field's name: what a fact may carry.
const MAX_NAME: usize = 64;

/// When an event happened and which one it was; all records of an event share it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stamp {
    /// Nanoseconds since 1970, in whole milliseconds, by the kernel's coarse clock: up to 11 ms *early*.
    pub at: u64,
    /// The event's number since boot.
    pub serial: u64,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Its type's number.
    pub kind: u16,
    /// Its event.
    pub stamp: Stamp,
    /// Its fields, in order. A name may be there twice.
    pub fields: Vec<(String, Value)>,
}

impl Record {
    /// The first field of that name.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.iter().find(|(n, _)| n == name).map(|(_, v)| v)
    }

    /// The same, where it says something.
    pub fn known(&self, name: &str) -> Option<&Value> {
        self.get(name).filter(|value| !value.is_null())
    }

    /// Bytes that it takes in memory, about.
    pub fn size(&self) -> usize {
        self.fields.iter().fold(64, |sum, (name, value)| {
            sum.saturating_add(name.len()).saturating_add(value.raw.len()).saturating_add(80)
        })
    }
}

/// Reads a record as netlink carries it: its type stands in the message's header. `None` where it has no stamp.
pub fn parse_message(kind: u16, data: &[u8]) -> Option<Record> {
    let data = data.strip_suffix(b"\0").unwrap_or(data);
    let data = data.trim_ascii_end();
    let (stamp, body) = parse_stamp(data)?;
    Some(Record { kind, stamp, fields: parse_fields(body) })
}

/// Reads a line of an audit daemon's log: `[node=HOST ]type=NAME msg=audit(…): …`.
pub fn parse_line(line: &[u8]) -> Option<Record> {
    let line = match line.strip_prefix(b"node=") {
        Some(rest) => rest.get(rest.iter().position(|b| *b == b' ')?..)?.trim_ascii_start(),
        None => line,
    };
    let rest = line.strip_prefix(b"type=")?;
    let end = rest.iter().position(|b| *b == b' ')?;
    let kind = types::number(rest.get(..end)?)?;
    parse_message(kind, rest.get(end..)?.trim_ascii_start().strip_prefix(b"msg=")?)
}

fn parse_stamp(data: &[u8]) -> Option<(Stamp, &[u8])> {
    let rest = data.strip_prefix(b"audit(")?;
    let end = rest.iter().take(64).position(|b| *b == b')')?;
    let inside = std::str::from_utf8(rest.get(..end)?).ok()?;
    let (time, serial) = inside.split_once(':')?;
    let (seconds, millis) = time.split_once('.')?;
    if millis.len() != 3 {
        return None;
    }
    let seconds = seconds.parse::<u64>().ok()?.checked_mul(1_000_000_000)?;
    let at = seconds.checked_add(millis.parse::<u64>().ok()?.checked_mul(1_000_000)?)?;
    let body = rest.get(end..)?.strip_prefix(b")")?;
    let body = body.strip_prefix(b":").unwrap_or(body);
    Some((Stamp { at, serial: serial.parse().ok()? }, body))
}

/// `key=value key="value" …`. Words without a value are passed over.
pub fn parse_fields(mut rest: &[u8]) -> Vec<(String, Value)> {
    // What follows is an audit daemon's own translation of what stood before (`UID="root"`).
    if let Some(enriched) = rest.iter().position(|b| *b == 0x1d) {
        rest = rest.get(..enriched).unwrap_or_default();
    }
    let mut fields = Vec::new();
    while fields.len() < MAX_FIELDS {
        rest = rest.trim_ascii_start();
        let Some(stop) = rest.iter().position(|b| *b == b'=' || *b == b' ') else { break };
        let (name, after) = rest.split_at(stop);
        let Some(value) = after.strip_prefix(b"=") else {
            // A word without a value, such as `avc:  denied`.
            rest = after;
            continue;
        };
        let (value, after) = parse_value(value);
        rest = after;
        if let Ok(name) = std::str::from_utf8(name)
            && !name.is_empty()
            && name.len() <= MAX_NAME
            && name.bytes().all(|b| b.is_ascii_graphic())
        {
            fields.push((name.to_owned(), value));
        }
    }
    fields
}

fn parse_value(rest: &[u8]) -> (Value, &[u8]) {
    let split = |from: &[u8], at: usize| -> (Vec<u8>, usize) { (from.get(..at).unwrap_or(from).to_vec(), at) };
    let (raw, quoted, used) = match rest.first() {
        Some(b'"') => {
            let inner = rest.get(1..).unwrap_or_default();
            let (raw, end) = split(inner, inner.iter().position(|b| *b == b'"').unwrap_or(inner.len()));
            (raw, true, end.saturating_add(2))
        }
        // `msg='…'` of user space: all of it, quotes inside too, is one value. Whoever may write such messages could
        // otherwise plant a `pid=` of its choice.
        Some(b'\'') => {
            let inner = rest.get(1..).unwrap_or_default();
            let (raw, end) = split(inner, inner.iter().rposition(|b| *b == b'\'').unwrap_or(inner.len()));
            (raw, true, end.saturating_add(2))
        }
        _ => {
            let (raw, end) = split(rest, rest.iter().position(|b| *b == b' ').unwrap_or(rest.len()));
            (raw, false, end)
        }
    };
    (Value { raw, quoted }, rest.get(used..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw<'a>(record: &'a Record, name: &str) -> &'a str {
        std::str::from_utf8(&record.get(name).unwrap().raw).unwrap()
    }

    #[test]
    fn a_message_of_user_space_cannot_plant_fields() {
        let text = b"audit(1700000000.123:9): pid=7 uid=0 msg='op=x pid=1 acct=\"it's\" exe=\"/bin/su\" res=success'\0";
        let record = parse_message(1100, text).unwrap();
        assert_eq!(raw(&record, "pid"), "7");
        assert_eq!(record.fields.len(), 3);
        assert!(raw(&record, "msg").ends_with("res=success"));
    }

    #[test]
    fn enriched_fields_and_node_are_left_out() {
        let line = b"node=h type=SYSCALL msg=audit(1700000000.123:456): arch=c000003e syscall=59\x1dARCH=x86_64 SYSCALL=execve";
        let record = parse_line(line).unwrap();
        assert_eq!(record.stamp, Stamp { at: 1_700_000_000_123_000_000, serial: 456 });
        assert_eq!(record.kind, types::SYSCALL);
        assert_eq!(record.fields.len(), 2);
    }

    #[test]
    fn what_has_no_stamp_is_no_record() {
        for bad in [
            "",
            "audit(",
            "audit(1.123:4",
            "audit(x.123:4): a=b",
            "audit(1.12:4): a",
            "audit(99999999999999999999.123:4):",
            "audit(18446744073709551615.999:4):",
        ] {
            assert_eq!(parse_message(1300, bad.as_bytes()), None, "{bad}");
        }
    }
}
