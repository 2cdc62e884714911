//! EXECVE records: the arguments of a new program, in their places.

use super::record::Record;
use super::types;
use super::value::{MAX_VALUE, Value, join, text};
use std::collections::BTreeMap;

/// Most arguments that become fields of their own (`a0` …); `argv` has them all.
const MAX_FIELDS: u32 = 64;

/// Most arguments that are not there and are written as empty ones. A record may claim any number of them.
const MAX_MISSING: u32 = 4096;

/// Most bytes of arguments that are looked at.
const MAX_BYTES: usize = 4 * MAX_VALUE;

/// An argument as the records have it: whole, or in pieces by their number.
#[derive(Debug, Default)]
struct Argument {
    pieces: BTreeMap<u32, Vec<u8>>,
    /// `a1_len`: its length as the kernel counted it.
    length: Option<usize>,
    /// Bytes of all pieces as they stand in the records, which may be hexadecimal.
    written: usize,
}

impl Argument {
    /// Every piece is there, and as long together as the kernel said. Some kernels count what they wrote and some what they read.
    fn is_whole(&self) -> bool {
        let in_order = (0..).zip(self.pieces.keys()).all(|(place, number)| place == *number);
        let read = self.pieces.values().map(Vec::len).sum::<usize>();
        in_order && !self.pieces.is_empty() && self.length.is_none_or(|length| length == read || length == self.written)
    }
}

/// Adds `argc`, `argv` and `a0` …. An argument of which nothing is there is an empty one where `argc` says that there is one, so that
/// those behind it keep their places. `false`: not all is there that the records say.
pub fn describe(records: &[Record], fields: &mut BTreeMap<String, String>) -> bool {
    let mut records = records.iter().filter(|r| r.kind == types::EXECVE).peekable();
    if records.peek().is_none() {
        return true;
    }
    let mut arguments: BTreeMap<u32, Argument> = BTreeMap::new();
    let (mut bytes, mut whole, mut claimed) = (0usize, true, None);
    for record in records {
        if let Some(count) = record.get("argc") {
            fields.insert("argc".into(), text(&count.raw));
            claimed = count.number::<u32>();
        }
        for (name, value) in &record.fields {
            let Some((index, part)) = name_of(name) else { continue };
            if let Part::Length = part {
                arguments.entry(index).or_default().length = value.number();
                continue;
            }
            let read = value.untrusted();
            bytes = bytes.saturating_add(read.len());
            if bytes > MAX_BYTES {
                whole = false;
                break;
            }
            whole &= !put(arguments.entry(index).or_default(), part, value, read);
        }
    }
    // EXECVE's arguments, not SYSCALL's registers of the same names.
    for register in ["a0", "a1", "a2", "a3"] {
        fields.remove(register);
    }
    whole &= arguments.values().all(Argument::is_whole);
    let last = arguments.last_key_value().map_or(0, |(index, _)| index.saturating_add(1));
    let there = u32::try_from(arguments.len()).unwrap_or(u32::MAX);
    whole &= claimed == Some(there) && last == there;
    let words = in_place(arguments, claimed.unwrap_or(0));
    for (index, value) in words.iter().enumerate().take(MAX_FIELDS as usize) {
        whole &= value.len() <= MAX_VALUE;
        fields.insert(format!("a{index}"), text(value));
    }
    let (argv, all) = join(words.iter().map(Vec::as_slice));
    fields.insert("argv".into(), argv);
    whole && all
}

/// Adds a piece; `true` where it was there already.
fn put(argument: &mut Argument, part: Part, value: &Value, read: Vec<u8>) -> bool {
    let number = if let Part::Piece(number) = part { number } else { 0 };
    argument.written = argument.written.saturating_add(value.raw.len());
    let twice = argument.pieces.contains_key(&number);
    argument.pieces.entry(number).or_default().extend(read);
    twice
}

/// The arguments in order, with empty ones for those that are not there: as many as claimed, within bounds.
fn in_place(arguments: BTreeMap<u32, Argument>, claimed: u32) -> Vec<Vec<u8>> {
    let mut missing = 0;
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut next = 0;
    let mut fill = |words: &mut Vec<Vec<u8>>, many: u32| {
        let many = many.min(MAX_MISSING.saturating_sub(missing));
        missing = missing.saturating_add(many);
        words.extend((0..many).map(|_| Vec::new()));
    };
    for (index, argument) in arguments {
        fill(&mut words, index.saturating_sub(next));
        words.push(argument.pieces.into_values().flatten().collect());
        next = index.saturating_add(1);
    }
    fill(&mut words, claimed.saturating_sub(next));
    words
}

/// What a field of an EXECVE record is of its argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// `a1`
    Whole,
    /// `a1[2]`
    Piece(u32),
    /// `a1_len`
    Length,
}

/// The number in `a12`, `a12[3]` and `a12_len`, and which of these it is.
fn name_of(name: &str) -> Option<(u32, Part)> {
    let rest = name.strip_prefix('a')?;
    let (digits, part) = if let Some(digits) = rest.strip_suffix("_len") {
        (digits, Part::Length)
    } else if let Some((digits, piece)) = rest.split_once('[') {
        (digits, Part::Piece(number(piece.strip_suffix(']')?)?))
    } else {
        (rest, Part::Whole)
    };
    Some((number(digits)?, part))
}

fn number(digits: &str) -> Option<u32> {
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::super::record::parse_message;
    use super::*;

    #[test]
    fn names() {
        assert_eq!(name_of("a0"), Some((0, Part::Whole)));
        assert_eq!(name_of("a12[3]"), Some((12, Part::Piece(3))));
        assert_eq!(name_of("a1_len"), Some((1, Part::Length)));
        for no in ["argc", "a", "a_len", "a1[", "a1[x]", "a1[+1]", "a-1", "a+1", "a99999999999"] {
            assert_eq!(name_of(no), None, "{no}");
        }
    }

    /// `argv`, and whether all is there.
    fn described(bodies: &[&str]) -> (String, bool, BTreeMap<String, String>) {
        let record = |body: &&str| parse_message(types::EXECVE, format!("audit(1.000:1): {body}").as_bytes()).unwrap();
        let records: Vec<Record> = bodies.iter().map(record).collect();
        let mut fields = BTreeMap::new();
        let whole = describe(&records, &mut fields);
        (fields["argv"].clone(), whole, fields)
    }

    #[test]
    fn arguments_keep_their_places() {
        for (bodies, argv, whole) in [
            (&[r#"argc=3 a0="ls" a1="-l" a2="/etc""#][..], "ls -l /etc", true),
            (&[r#"argc=3 a0="ls" a2="/etc""#], "ls '' /etc", false),
            (&[r#"argc=4 a0="true" a3="end""#], "true '' '' end", false),
            (&[r#"argc=3 a0="true""#], "true '' ''", false),
            (&[r#"argc=2 a1="x""#], "'' x", false),
            (&[r#"argc=1 a0="""#], "''", true),
            (&["argc=0"], "", true),
            (&[r#"argc=1 a0="ls" a1="more""#], "ls more", false),
            (&[r#"a0="ls""#], "ls", false),
            (&[r#"argc=x a0="ls""#], "ls", false),
            (&[r#"argc=1 a0="ls" a0="id""#], "lsid", false),
            (&[r#"argc=3 a0="ls""#, r#"a1="a" a2="b""#], "ls a b", true),
            // In pieces: one is lost, in the middle or at the end, or all of them.
            (&[r#"argc=2 a0="x" a1_len=4 a1[0]="ab""#, r#"a1[1]="cd""#], "x abcd", true),
            (&[r#"argc=2 a0="x" a1_len=4 a1[0]=6162"#, "a1[1]=6364"], "x abcd", true),
            (&[r#"argc=2 a0="x" a1_len=8 a1[0]=6162"#, "a1[1]=6364"], "x abcd", true),
            (&[r#"argc=2 a0="x" a1_len=4 a1[1]="cd""#, r#"a1[0]="ab""#], "x abcd", true),
            (&[r#"argc=2 a0="x" a1_len=6 a1[0]="ab""#, r#"a1[2]="ef""#], "x abef", false),
            (&[r#"argc=2 a0="x" a1_len=4 a1[0]="ab""#], "x ab", false),
            (&[r#"argc=3 a0="x" a1_len=9000"#, r#"a2="y""#], "x '' y", false),
        ] {
            let (got, all, _) = described(bodies);
            assert_eq!((got.as_str(), all), (argv, whole), "{bodies:?}");
        }
    }

    #[test]
    fn a_claim_costs_no_memory() {
        for body in [r#"argc=4000000000 a0="x""#, r#"argc=4000000000 a0="x" a3999999999="y""#, r#"a4294967295="z""#] {
            let (argv, whole, fields) = described(&[body]);
            assert!(argv.len() <= 3 * (MAX_MISSING as usize + 2) && !whole, "{body}");
            assert!(fields.len() <= MAX_FIELDS as usize + 2);
        }
        let (_, _, fields) = described(&[r#"argc=4000000000 a0="x" a2="y""#]);
        assert_eq!((fields["argc"].as_str(), fields["a1"].as_str(), fields["a2"].as_str()), ("4000000000", "", "y"));
    }

    #[test]
    fn what_is_cut_is_not_whole() {
        let long = "x".repeat(40_000);
        let (argv, whole, _) = described(&[&format!(r#"argc=2 a0="{long}" a1="{long}""#)]);
        assert!(argv.len() <= MAX_VALUE && !whole);
        let flood = format!("argc=9 {}", (0..9).map(|n| format!(r#"a{n}="{long}" "#)).collect::<String>());
        assert!(!described(&[&flood]).1);
    }
}
