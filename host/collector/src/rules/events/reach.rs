//! Rules that can never match, since nothing that is recorded has the fields that they ask for at once: they load, and nobody would
//! be told why they stay silent.

use super::{Stream, auditd, is_about, streams};
use crate::rules::sigma::{Asked, Detection};
use std::collections::BTreeSet;

/// A kind of event that a stream offers, by the fields that it may have.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// One record of the kernel's audit stream, by its type.
    Record(&'static str),
    /// A record of user space, or one that mostly comes alone: its fields are its own.
    OtherRecord,
    /// An event with these fields.
    Event(&'static [&'static str]),
}

const PROCESS: [&str; 9] = [
    "Image",
    "ProcessId",
    "User",
    "CommandLine",
    "CurrentDirectory",
    "LogonId",
    "ParentProcessId",
    "ParentImage",
    "ParentCommandLine",
];
const FILE: [&str; 4] = ["Image", "ProcessId", "User", "TargetFilename"];
const NETWORK: [&str; 6] = ["Image", "ProcessId", "User", "Initiated", "DestinationIp", "DestinationPort"];

/// The shapes of a stream's events; `None`: they may have any field.
fn shapes(stream: Stream) -> Option<Vec<Shape>> {
    match stream {
        Stream::Auditd => Some(auditd::RECORDS.map(Shape::Record).into_iter().chain([Shape::OtherRecord]).collect()),
        Stream::Process => Some(vec![Shape::Event(&PROCESS)]),
        Stream::File => Some(vec![Shape::Event(&FILE)]),
        Stream::Network => Some(vec![Shape::Event(&NETWORK)]),
        Stream::Followed => None,
    }
}

impl Shape {
    /// Whether an event of this shape may have the field with what is asked of it.
    fn may_have(self, asked: &Asked<'_>) -> bool {
        match self {
            Self::Event(fields) => fields.contains(&&*asked.name()),
            Self::Record(kind) if asked.name() == "type" => asked.admits(kind),
            Self::Record(kind) => auditd::has(kind, asked),
            Self::OtherRecord if asked.name() == "type" => auditd::other_types().any(|kind| asked.admits(kind)),
            // Fields of the kernel's records have plain names, and these two are Foil's for a system call.
            Self::OtherRecord => {
                let plain = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
                !matches!(&*asked.name(), "SYSCALL" | "syscall") && asked.name().bytes().all(plain)
            }
        }
    }
}

/// By what types of records the rules about a stream are told apart; `None`: all other events.
pub fn records(stream: Stream) -> impl Iterator<Item = Option<&'static str>> {
    let types: &[&str] = if stream == Stream::Auditd { &auditd::RECORDS } else { &[] };
    types.iter().copied().map(Some).chain([None])
}

/// Whether a rule may match a record of this type of a stream that it is about, one of [`records`].
pub fn may_match(rule: &Detection, stream: Stream, record: Option<&'static str>) -> bool {
    let shape = match (stream, record) {
        (Stream::Auditd, Some(kind)) => Shape::Record(kind),
        (Stream::Auditd, None) => Shape::OtherRecord,
        _ => return true,
    };
    rule.may_match(&|asked| shape.may_have(asked))
}

/// Returns why a rule can never match what these feeds (collectors by full name) record; `None` where it may.
pub fn never(rule: &Detection, feeds: &[String]) -> Option<String> {
    let of = |feed: &String| {
        let about = streams(feed).iter().filter(|stream| is_about(&rule.logsource, **stream, feed));
        about.map(|stream| shapes(*stream)).collect::<Vec<_>>()
    };
    let streams: Vec<Option<Vec<Shape>>> = feeds.iter().flat_map(of).collect();
    let shapes: Vec<Shape> = streams.into_iter().collect::<Option<Vec<_>>>()?.into_iter().flatten().collect();
    let may = |shape: &Shape| rule.may_match(&|asked| shape.may_have(asked));
    if shapes.is_empty() || shapes.iter().any(may) {
        return None;
    }
    let unknown: BTreeSet<String> = rule
        .asked()
        .iter()
        .filter(|asked| !shapes.iter().any(|shape| shape.may_have(asked)))
        .map(|asked| format!("`{}`", foil_text::cut(&asked.name(), 80)))
        .collect();
    if !unknown.is_empty() {
        let list = unknown.into_iter().collect::<Vec<_>>().join(", ");
        return Some(format!("it asks for {list}, which no event of {} has with such a value", rule.logsource));
    }
    let apart = rule.asked_together().into_iter().find_map(|fields| apart(&fields, &shapes));
    let fields =
        apart.map_or_else(|| "all that it asks for".to_owned(), |(one, other)| format!("both `{one}` and `{other}`"));
    Some(format!("no record has {fields} as it asks for them: rules on {} see each record by itself", rule.logsource))
}

/// Two of these fields that no event has at once; `type` only where there is nothing else to name.
fn apart(fields: &[Asked<'_>], shapes: &[Shape]) -> Option<(String, String)> {
    let together = |one: &Asked<'_>, other: &Asked<'_>| shapes.iter().any(|s| s.may_have(one) && s.may_have(other));
    let pairs = || {
        fields
            .iter()
            .enumerate()
            .flat_map(|(n, one)| fields.iter().skip(n.saturating_add(1)).map(move |other| (one, other)))
    };
    let name = |asked: &Asked<'_>| foil_text::cut(&asked.name(), 80);
    let found = pairs().filter(|(one, other)| !together(one, other)).map(|(one, other)| {
        let (one, other) = (name(one), name(other));
        if one <= other { (one, other) } else { (other, one) }
    });
    // The fields come in no certain order.
    found.min_by_key(|(one, other)| (one == "type" || other == "type", one.clone(), other.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::sigma::Rule;

    fn why(logsource: &str, detection: &str) -> Option<String> {
        let text = format!("title: t\nlogsource: {{ product: linux, {logsource} }}\ndetection: {{ {detection} }}\n");
        never(Rule::parse(&text).unwrap().detection().unwrap(), &["linux.audit".to_owned()])
    }

    #[test]
    fn what_no_record_has_at_once_is_named() {
        let auditd = |selection: &str| why("service: auditd", &format!("s: {{ {selection} }}, condition: s"));
        for (selection, named) in [
            ("type: SYSCALL, SYSCALL: execve, a1: '-d'", "both `SYSCALL` and `a1`"),
            ("syscall: execve, a0|endswith: /base64", "both `a0` and `syscall`"),
            ("type: EXECVE, exe|endswith: /base64", "both `exe` and `type`"),
            ("type: PATH, comm: touch", "both `comm` and `type`"),
            ("process.executable|endswith: /base64, process.args: '-d'", "`process.args`, `process.executable`, which"),
            ("type: NOSUCH, a0: x", "`type`, which"),
        ] {
            let why = auditd(selection).unwrap_or_else(|| panic!("{selection} may match"));
            assert!(why.contains(named), "{selection}: {why}");
        }
        for selection in [
            "type: EXECVE, a0|endswith: base64, a1: '-d'",
            "type: PROCTITLE, proctitle|contains: 'base64 -d'",
            "type: SYSCALL, syscall: openat, a2: 241",
            "type: SYSCALL, SYSCALL: ptrace, a0|startswith: '1'",
            "type: USER_CMD, cmd|contains: shadow",
            "type: [SYSCALL, EXECVE], a0: base64",
            "exe|endswith: /x, key: y",
            "unit: x, type: SERVICE_STOP",
            "type: PATH, name|endswith: /shadow, nametype: NORMAL",
            "type|contains: CALL, a3: '?'",
            "a1|re: '^-d'",
        ] {
            assert_eq!(auditd(selection), None, "{selection}");
        }
    }

    #[test]
    fn conditions_and_other_streams() {
        let auditd = |detection: &str| why("service: auditd", detection);
        assert_eq!(auditd("a: { SYSCALL: execve }, b: { a1: '-d' }, condition: a or b"), None);
        assert!(auditd("a: { SYSCALL: execve }, b: { a1: '-d' }, condition: a and b").is_some());
        assert_eq!(auditd("a: { SYSCALL: execve }, b: { a1: '-d' }, condition: a and not b"), None);
        assert_eq!(auditd("a: [x, y], condition: a"), None);
        assert_eq!(auditd("a: [{ SYSCALL: x, a1: '-d' }, { type: EXECVE }], condition: a"), None);
        let process =
            |selection: &str| why("category: process_creation", &format!("s: {{ {selection} }}, condition: s"));
        assert_eq!(process("Image|endswith: /rm, CommandLine|contains: x"), None);
        assert!(process("OriginalFileName: x").is_some_and(|why| why.contains("`OriginalFileName`, which")));
        assert_eq!(process("Image: x, OriginalFileName: null"), None);
        assert_eq!(
            why("category: webserver", "s: { a: b }, condition: s"),
            None,
            "nothing feeds it, which is said elsewhere"
        );
    }

    #[test]
    fn a_log_may_have_any_field() {
        let text = "title: t\nlogsource: { product: linux, service: auditd }\ndetection: { s: { process.args: x }, condition: s }\n";
        let rule = Rule::parse(text).unwrap();
        let rule = rule.detection().unwrap();
        let feeds = ["linux.audit".to_owned(), "file.auditd".to_owned()];
        assert!(never(rule, &feeds[..1]).is_some() && never(rule, &feeds).is_none());
    }
}
