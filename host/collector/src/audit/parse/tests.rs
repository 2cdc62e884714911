//! Against records of a real kernel (6.18, x86_64, listened to on its multicast group), and against noise.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

const RECORDED: &str = include_str!("fixtures/kernel-6.18.log");

fn events_of<'a>(lines: impl IntoIterator<Item = &'a str>) -> Vec<Assembled> {
    let mut assembler = Assembler::default();
    let mut events: Vec<Assembled> = Vec::new();
    for line in lines {
        let record = parse_line(line.as_bytes()).unwrap_or_else(|| panic!("no record: {line}"));
        events.extend(assembler.push(record, 0));
    }
    assert!(!assembler.is_waiting());
    events
}

fn event(serial: u64) -> Assembled {
    let events = events_of(RECORDED.lines());
    events.into_iter().find(|e| e.stamp.serial == serial).expect("it was recorded")
}

fn shown(event: &Assembled, names: &[&str]) -> Vec<String> {
    names.iter().map(|n| event.fields.get(*n).cloned().unwrap_or_else(|| "-".into())).collect()
}

#[test]
fn a_program_with_an_argument_that_has_a_space() {
    let e = event(671);
    assert_eq!(e.kind, "execve");
    assert_eq!(e.stamp.at, 1_795_305_453_930_000_000);
    let names = ["argv", "a0", "a1", "argc", "exe", "comm", "cwd", "path", "nametype", "success", "exit", "key"];
    let values = [
        "touch 'a b' x y",
        "touch",
        "a b",
        "4",
        "/usr/bin/touch",
        "touch",
        "/tmp/foil-demo",
        "/usr/bin/touch",
        "NORMAL",
        "yes",
        "0",
        "foil-demo",
    ];
    assert_eq!(shown(&e, &names), values);
    assert_eq!(e.fields["paths"], "/usr/bin/touch /lib64/ld-linux-x86-64.so.2");
    assert_eq!(e.fields["proctitle"], "touch a b x y");
    assert_eq!(e.fields["records"], "SYSCALL BPRM_FCAPS EXECVE CWD PATH PATH PROCTITLE");
    assert_eq!(e.fields["pid"], e.pid.unwrap().to_string());
    assert_eq!(e.fields["ppid"], e.ppid.unwrap().to_string());
    assert!(!e.fields.contains_key("incomplete"));
}

#[test]
fn arguments_that_need_quotes_or_are_no_text() {
    assert_eq!(event(677).fields["argv"], "/bin/echo 'it'\\''s' '' \u{fffd} 'two words'");
}

#[test]
fn a_program_that_is_not_there_has_no_arguments_but_a_path() {
    let e = event(678);
    assert_eq!(e.kind, "execve");
    let names = ["argv", "path", "nametype", "success", "exit"];
    assert_eq!(shown(&e, &names), ["-", "/nonexistent", "UNKNOWN", "no", "-2"]);
    assert!(e.fields["a0"].len() > 8, "the register, since there are no arguments");
}

#[test]
fn a_rename_is_about_its_new_name() {
    let e = event(673);
    assert_eq!(e.kind, "renameat2");
    let names = ["path", "name", "nametype", "paths"];
    assert_eq!(shown(&e, &names), ["/tmp/foil-demo/z", "z", "CREATE", "/tmp/foil-demo/x /tmp/foil-demo/z"]);
}

#[test]
fn a_deletion_is_about_the_file_and_not_its_folder() {
    let e = event(675);
    assert_eq!(e.kind, "unlinkat");
    assert_eq!(shown(&e, &["path", "name", "nametype"]), ["/tmp/foil-demo/a b", "a b", "DELETE"]);
}

#[test]
fn a_name_below_an_open_folder_stays_relative() {
    let below = |line: &&str| line.contains(":675)");
    let lines: Vec<String> = RECORDED.lines().filter(below).map(|l| l.replace("a0=ffffff9c", "a0=5")).collect();
    let e = &events_of(lines.iter().map(String::as_str))[0];
    assert_eq!(e.fields["path"], "a b");
}

#[test]
fn addresses() {
    let of = |serial| shown(&event(serial), &["family", "address", "port"]);
    assert_eq!(of(680), ["inet", "127.0.0.1", "1"]);
    assert_eq!(of(681), ["unix", "/run/nope", "-"]);
    assert_eq!(of(682), ["unix", "@abs", "-"]);
    assert_eq!(of(683), ["inet6", "::1", "1"]);
    assert_eq!(event(680).fields["a0"].parse::<u32>(), Ok(3), "the register");
}

#[test]
fn an_argument_in_pieces() {
    let e = event(685);
    assert_eq!(e.fields["argc"], "3");
    assert_eq!(e.fields["a1"], "x".repeat(9000));
    assert_eq!(e.fields["argv"], format!("/bin/true {} 'b c'", "x".repeat(9000)));
}

#[test]
fn a_rule_with_two_keys() {
    let e = event(690);
    assert_eq!((e.kind.as_str(), e.fields["key"].as_str()), ("openat", "k1,k2"));
    assert_eq!(shown(&e, &["path", "exit", "uid"]), ["/etc/shadow", "-13", "65534"]);
}

#[test]
fn events_may_be_interleaved() {
    let of = |serial: &str| RECORDED.lines().filter(|l| l.contains(serial)).collect::<Vec<_>>();
    let (first, second) = (of(":671)"), of(":690)"));
    let mut mixed = Vec::new();
    for place in 0..first.len().max(second.len()) {
        mixed.extend(first.get(place));
        mixed.extend(second.get(place));
    }
    let mixed = events_of(mixed);
    assert_eq!(mixed.len(), 2);
    assert!(mixed.contains(&event(671)) && mixed.contains(&event(690)));
}

#[test]
fn an_event_without_an_end_is_taken_as_it_is() {
    let mut assembler = Assembler::default();
    let line = RECORDED.lines().find(|l| l.contains(":690)")).expect("recorded");
    assert!(assembler.push(parse_line(line.as_bytes()).unwrap(), 5).is_empty());
    assert!(assembler.flush(6, false).is_empty());
    let late = assembler.flush(5 + assemble::PATIENCE, false);
    assert_eq!((late.len(), late[0].fields["incomplete"].as_str()), (1, "yes"));
}

#[test]
fn what_an_event_and_a_crowd_may_take_is_bounded() {
    let mut assembler = Assembler::default();
    let part = format!("audit(1.000:1): a0=\"{}\"", "x".repeat(8000));
    for _ in 0..5_000 {
        assembler.push(parse_message(1309, part.as_bytes()).unwrap(), 0);
    }
    let end = assembler.push(parse_message(1320, b"audit(1.000:1): ").unwrap(), 0);
    assert_eq!(end[0].fields["incomplete"], "yes");
    assert!(end[0].fields.values().map(String::len).sum::<usize>() <= 3 * MAX_VALUE);
    let crowd = (0..10_000u32).flat_map(|serial| {
        let text = format!("audit(1.000:{serial}): arch=c000003e syscall=59");
        assembler.push(parse_message(1300, text.as_bytes()).unwrap(), u64::from(serial))
    });
    assert_eq!(crowd.count(), 10_000 - 512);
}

#[test]
fn messages_of_user_space_and_of_the_kernel_alone() {
    let text = b"audit(1.500:7): pid=42 uid=0 auid=1000 ses=1 msg='op=PAM:authentication acct=\"root\" exe=\"/usr/bin/su\" res=failed'";
    let event = Assembler::default().push(parse_message(1100, text).unwrap(), 0).remove(0);
    assert_eq!((event.kind.as_str(), event.pid, event.ppid), ("user_auth", Some(42), None));
    assert!(event.fields["msg"].contains("res=failed"));
    let text = b"audit(1.500:8): op=remove_rule key=\"foil-x\" list=4 res=1";
    let mut assembler = Assembler::default();
    assert!(assembler.push(parse_message(1305, text).unwrap(), 0).is_empty());
    let event = assembler.flush(0, true).remove(0);
    assert_eq!((event.kind.as_str(), event.fields["op"].as_str()), ("config_change", "remove_rule"));
    assert!(!event.fields.contains_key("incomplete"));
}

/// The event of these records, each a line without its stamp.
fn made(records: &[(&str, &str)]) -> Assembled {
    let lines: Vec<String> =
        records.iter().map(|(kind, body)| format!("type={kind} msg=audit(1700000000.123:9): {body}")).collect();
    let mut assembler = Assembler::default();
    let mut events = Vec::new();
    for line in &lines {
        events.extend(assembler.push(parse_line(line.as_bytes()).expect("a record"), 0));
    }
    events.extend(assembler.flush(0, true));
    events.remove(0)
}

#[test]
fn what_the_kernel_does_not_know_is_no_text() {
    let call =
        ("SYSCALL", "arch=c000003e syscall=91 success=yes exit=0 items=1 comm=(null) exe=\"/bin/chmod\" key=(null)");
    let e = made(&[
        call,
        ("CWD", "cwd=(null)"),
        ("PATH", "item=0 name=(null) inode=7 nametype=NORMAL"),
        ("PROCTITLE", "proctitle=(null)"),
    ]);
    for name in ["path", "name", "cwd", "comm", "key", "proctitle"] {
        assert_eq!(e.fields.get(name), None, "{name}");
    }
    assert_eq!((e.fields["paths"].as_str(), e.fields["inode"].as_str()), ("", "7"));
    assert!(!e.fields.values().any(|value| value.contains("(null)")), "{:?}", e.fields);
    // A file of that name, which stands in quotes.
    let e = made(&[call, ("CWD", "cwd=\"/tmp\""), ("PATH", "item=0 name=\"(null)\" nametype=NORMAL"), ("EOE", "")]);
    assert_eq!(shown(&e, &["path", "name", "paths"]), ["/tmp/(null)", "(null)", "'/tmp/(null)'"]);
    assert!(!e.fields.contains_key("incomplete"));
}

#[test]
fn odd_values_are_decoded_or_kept() {
    let call =
        ("SYSCALL", "arch=c000003e syscall=42 success=yes exit=0 subj==unconfined comm=\"a\" exe=2F746D702F6120622F78");
    let e = made(&[
        call,
        ("SOCKADDR", "saddr=zz"),
        ("CWD", "cwd=2F746D702F612062"),
        ("PATH", "item=0 name=6120620A09 nametype=CREATE"),
        ("PROCTITLE", "proctitle=6C73002D6C002F746D702F61206200"),
    ]);
    let names = ["subj", "exe", "cwd", "path", "proctitle", "saddr", "family"];
    assert_eq!(
        shown(&e, &names),
        ["=unconfined", "/tmp/a b/x", "/tmp/a b", "/tmp/a b/a b\n\t", "ls -l /tmp/a b", "zz", "-"]
    );
    let e = made(&[call, ("SOCKADDR", "saddr=01"), ("EOE", "")]);
    assert_eq!(shown(&e, &["saddr", "family"]), ["01", "-"]);
}

#[test]
fn messages_are_decoded_and_cannot_say_who_sent_them() {
    let msg = "pid=42 uid=1000 auid=1000 ses=1 msg='cwd=2F746D702F6120622F cmd=7375646F202D69 exe=\"/usr/bin/sudo\" \
        terminal=pts/0 pid=1 auid=0 key=666F696C2D78 res=success'";
    let e = made(&[("USER_CMD", msg)]);
    assert_eq!((e.kind.as_str(), e.pid), ("user_cmd", Some(42)));
    let names = ["cwd", "cmd", "exe", "res", "pid", "auid", "key"];
    assert_eq!(shown(&e, &names), ["/tmp/a b/", "sudo -i", "/usr/bin/sudo", "success", "42", "1000", "-"]);
}

#[test]
fn missing_arguments_are_said_to_be_missing() {
    let call = ("SYSCALL", "arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 exe=\"/bin/ls\"");
    let e = made(&[call, ("EXECVE", "argc=3 a0=\"ls\" a2=\"/etc\""), ("EOE", "")]);
    assert_eq!(
        shown(&e, &["argv", "a0", "a1", "a2", "a3", "argc", "incomplete"]),
        ["ls '' /etc", "ls", "", "/etc", "-", "3", "yes"]
    );
    let e = made(&[call, ("EXECVE", "argc=0"), ("EOE", "")]);
    assert_eq!(shown(&e, &["argv", "a0", "argc", "incomplete"]), ["", "-", "0", "-"]);
}

#[test]
fn foreign_and_unknown_calls_have_their_numbers() {
    let kind = |body: &str| {
        let mut assembler = Assembler::default();
        assembler.push(parse_message(1300, format!("audit(1.000:1): {body}").as_bytes()).unwrap(), 0);
        assembler.flush(0, true).remove(0).kind
    };
    assert_eq!(kind("arch=40000003 syscall=11"), "syscall-11-40000003");
    assert_eq!(kind("arch=c00000b7 syscall=221"), "execve");
    assert_eq!(kind("syscall=59"), "syscall-59");
    assert_eq!(kind("arch=zz syscall=-1"), "syscall");
}

/// Everything that comes out fits the contract.
fn holds(event: &Assembled) {
    let fields: &BTreeMap<String, String> = &event.fields;
    for (name, value) in fields {
        assert!(name.len() <= 64 && value.len() <= MAX_VALUE, "{name}: {}", value.len());
    }
}

proptest! {
    #[test]
    fn noise_is_harmless(kind: u16, data in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let mut assembler = Assembler::default();
        for data in [data.clone(), [b"audit(1.000:1): ".as_slice(), &data].concat()] {
            parse_line(&data);
            let events = parse_message(kind, &data).map(|r| assembler.push(r, 0));
            events.into_iter().flatten().for_each(|e| holds(&e));
        }
        assembler.flush(0, true).iter().for_each(holds);
    }

    #[test]
    fn bent_records_are_harmless(line in 0usize..64, at in 0usize..4000, byte: u8, cut in 0usize..4000) {
        let lines: Vec<&str> = RECORDED.lines().collect();
        let mut bent = lines[line % lines.len()].as_bytes().to_vec();
        let place = at % bent.len();
        bent[place] = byte;
        bent.truncate(bent.len() - cut % bent.len());
        let mut assembler = Assembler::default();
        if let Some(record) = parse_line(&bent) {
            assembler.push(record, 0).iter().for_each(holds);
        }
        assembler.flush(0, true).iter().for_each(holds);
    }
}
