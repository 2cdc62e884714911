//! A piece of a container's log, as the API gives it with `timestamps=true`: `TIME TEXT`, a line each.

use jiff::{SignedDuration, Timestamp};

/// So much of the last line that was read is remembered, in bytes; it begins with its time, to the nanosecond.
const ANCHOR: usize = 256;

/// Lines of standard output and standard error may stand in a log in another order than their times say: the API is asked for what
/// was written up to this long before the last line.
const DISORDER: SignedDuration = SignedDuration::from_secs(1);

/// Where reading stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    since: Timestamp,
    anchor: Option<Vec<u8>>,
}

/// What there was to a piece.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// All new lines were handed on.
    Read {
        /// How many.
        lines: usize,
        /// The last line has no end yet, and was left for later.
        open: bool,
    },
    /// The line that was read last is not in it.
    Torn,
    /// It is no log but what a kubelet says instead of one.
    Foreign(String),
}

impl Place {
    /// Before all that was written from this moment on.
    pub fn at(moment: Timestamp) -> Self {
        Self { since: moment, anchor: None }
    }

    /// Behind this line, where it was written before `moment`; else as [`Place::at`]. `Err`: it is no line of a log.
    pub fn behind(line: &[u8], moment: Timestamp) -> Result<Self, String> {
        let mut place = Self::at(moment);
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        if !line.is_empty() {
            let (time, _) = split(line).ok_or_else(|| said(line))?;
            if time < moment {
                place.moved_behind(line, time);
            }
        }
        Ok(place)
    }

    /// The same in a log that was replaced.
    pub fn without_anchor(self) -> Self {
        Self { anchor: None, ..self }
    }

    /// For `sinceTime`, which knows whole seconds.
    pub fn since(&self) -> String {
        let moment = self.since.checked_sub(DISORDER).unwrap_or(self.since);
        moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    fn moved_behind(&mut self, line: &[u8], time: Timestamp) {
        self.since = time;
        self.anchor = Some(line.get(..ANCHOR).unwrap_or(line).to_vec());
    }

    /// Hands on what is new in a piece, with the moment that it was written, and moves on. `over`: nothing will be added to it, so that a line without an
    /// end is whole.
    pub fn read(&mut self, piece: &[u8], over: bool, mut each: impl FnMut(Timestamp, &[u8])) -> Piece {
        let mut lines = piece.split_inclusive(|byte| *byte == b'\n');
        if let Some(anchor) = &self.anchor {
            let known = |line: &[u8]| line.starts_with(anchor);
            if !lines.by_ref().any(known) {
                // An empty answer of a log that was not empty is one that was replaced, too.
                return said_instead(piece).map_or(Piece::Torn, Piece::Foreign);
            }
        }
        let mut count = 0_usize;
        for line in lines {
            let (bare, whole) = line.strip_suffix(b"\n").map_or((line, over), |bare| (bare, true));
            if !whole {
                return Piece::Read { lines: count, open: true };
            }
            let Some((time, text)) = split(bare) else { return Piece::Foreign(said(bare)) };
            self.moved_behind(bare, time);
            each(time, text);
            count = count.saturating_add(1);
        }
        Piece::Read { lines: count, open: false }
    }
}

/// What stands there where the first line is none of a log.
fn said_instead(piece: &[u8]) -> Option<String> {
    let first = piece.split(|byte| *byte == b'\n').next().unwrap_or_default();
    (!first.is_empty() && split(first).is_none()).then(|| said(first))
}

fn split(line: &[u8]) -> Option<(Timestamp, &[u8])> {
    let end = line.iter().take(64).position(|byte| *byte == b' ').unwrap_or(line.len());
    let (time, rest) = line.split_at_checked(end)?;
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    Some((time, rest.strip_prefix(b" ").unwrap_or(rest)))
}

fn said(line: &[u8]) -> String {
    format!("it is no log: {}", foil_text::printable(line, 200))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn read(place: &mut Place, piece: &str, over: bool) -> (Piece, Vec<String>) {
        let mut all = Vec::new();
        let piece = place.read(piece.as_bytes(), over, |_, line| all.push(String::from_utf8_lossy(line).into_owned()));
        (piece, all)
    }

    const A: &str = "2026-11-22T09:00:00.100000001Z a\n";
    const B: &str = "2026-11-22T09:00:00.100000001Z b\n";
    const C: &str = "2026-11-22T09:00:03.5+01:00 c\n";

    #[test]
    fn every_line_is_read_once_whatever_the_api_repeats() {
        let mut place = Place::at(moment("2026-11-22T09:00:00.7Z"));
        assert_eq!(place.since(), "2026-11-22T08:59:59Z");
        let (piece, lines) = read(&mut place, &[A, B].concat(), false);
        assert_eq!((piece, lines), (Piece::Read { lines: 2, open: false }, vec!["a".into(), "b".into()]));
        assert_eq!(read(&mut place, &[A, B].concat(), false).1, Vec::<String>::new());
        assert_eq!(read(&mut place, &[A, B, C, "2026-11-22T09:00:04Z  d"].concat(), false).1, ["c"]);
        assert_eq!(place.since(), "2026-11-22T08:00:02Z");
        let (piece, lines) = read(&mut place, &[C, "2026-11-22T09:00:04Z  d"].concat(), true);
        assert_eq!((piece, lines), (Piece::Read { lines: 1, open: false }, vec![" d".to_owned()]));
    }

    #[test]
    fn a_log_that_was_replaced_is_noticed() {
        let mut place = Place::behind(A.as_bytes(), moment("2026-11-22T10:00:00Z")).unwrap();
        assert_eq!(read(&mut place, "", false).0, Piece::Torn);
        assert_eq!(read(&mut place, C, false), (Piece::Torn, vec![]));
        assert_eq!(read(&mut place, &[A, C].concat(), false).1, ["c"]);
    }

    #[test]
    fn what_was_written_after_the_beginning_is_no_anchor() {
        let armed = moment("2026-11-22T08:59:00Z");
        assert_eq!(Place::behind(A.as_bytes(), armed), Ok(Place::at(armed)));
        assert_eq!(Place::behind(b"", armed), Ok(Place::at(armed)));
    }

    #[test]
    fn what_a_kubelet_says_instead_of_a_log_is_none() {
        let mut place = Place::at(moment("2026-11-22T09:00:00Z"));
        let text = "unable to retrieve container logs for containerd://0b9b";
        assert!(matches!(read(&mut place, text, true).0, Piece::Foreign(why) if why.contains(text)));
        assert!(Place::behind(text.as_bytes(), moment("2026-11-22T09:00:00Z")).is_err());
        let mut place = Place::behind(A.as_bytes(), moment("2026-11-22T10:00:00Z")).unwrap();
        assert!(matches!(read(&mut place, text, true).0, Piece::Foreign(_)));
    }
}
