//! Events of a real kernel (6.18), as rules see them.

use super::super::sigma::Rule;
use super::*;
use crate::audit::parse::{Assembler, parse_line};
use foil_record::Attribution;
use foil_text::Shown as _;

const RECORDED: &str = include_str!("../../audit/parse/fixtures/kernel-6.18.log");

/// No kernel gives this process id (`PID_MAX_LIMIT` is 4,194,304): that of a recorded parent may be anybody's on this machine.
const NOBODY: &str = "4194305";

fn recorded(serial: u64) -> Event {
    let mut assembler = Assembler::default();
    let events = RECORDED.lines().flat_map(|line| assembler.push(parse_line(line.as_bytes()).unwrap(), 0));
    let event = events.into_iter().find(|e| e.stamp.serial == serial).expect("it was recorded");
    let mut fields = event.fields;
    fields.entry("ppid".to_owned()).and_modify(|ppid| NOBODY.clone_into(ppid));
    Event {
        sequence: 1,
        at: event.stamp.at,
        kind: event.kind,
        attribution: Attribution::Tree,
        own_observation: false,
        fields,
    }
}

fn with(mut event: Event, fields: &[(&str, &str)]) -> Event {
    event.fields.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    event
}

/// Does a selection hold for one of the views?
fn sees(event: &Event, stream: Stream, programs: &Programs, selection: &str) -> bool {
    let text = format!("title: t\nlogsource: {{ product: x }}\ndetection: {{ s: {selection}, condition: s }}");
    let rule = Rule::parse(&text).unwrap();
    views(event, stream, programs).iter().any(|view| rule.detection().unwrap().matches(view))
}

#[test]
fn records_are_looked_at_one_by_one() {
    let (exec, rename, denied) = (recorded(671), recorded(673), recorded(690));
    for (event, selection, expected) in [
        (&exec, "{ type: EXECVE, a0: touch, a1: 'a b', argc: 4 }", true),
        (&exec, "{ type: SYSCALL, SYSCALL: execve, syscall: 59, exe|endswith: /touch, success: 'yes' }", true),
        (&exec, "{ type: SYSCALL, syscall: execve, key: foil-demo, euid: 0 }", true),
        (&exec, "{ type: PATH, name: /usr/bin/touch, nametype: NORMAL }", true),
        (&exec, "{ type: PATH, name|startswith: /lib64/ld }", true),
        (&exec, "{ type: CWD, cwd: /tmp/foil-demo }", true),
        (&exec, "{ type: PROCTITLE, proctitle: touch a b x y }", true),
        // What another record says does not count.
        (&exec, "{ type: SYSCALL, a0: '*' }", false),
        (&exec, "{ type: EXECVE, exe: '*' }", false),
        (&exec, "{ type: PATH, comm: touch }", false),
        (&exec, "{ type: EXECVE, argc: 3 }", false),
        (&rename, "{ type: PATH, nametype: CREATE, name: /tmp/foil-demo/z }", true),
        (&rename, "{ type: PATH, nametype: CREATE, name: z }", true),
        (&rename, "{ type: PATH, name: /tmp/foil-demo/x }", true),
        (&rename, "{ type: SYSCALL, a0: ffffff9c }", true),
        (&denied, "{ type: SYSCALL, SYSCALL: openat, exit: -13, success: 'no' }", true),
        (&denied, "{ type: PATH, name: /etc/shadow }", true),
        (&recorded(680), "{ type: SOCKADDR, laddr: 127.0.0.1, lport: 1 }", true),
        // Keywords look at a record, arguments together too.
        (&exec, "['touch ''a b'' x']", true),
        (&exec, "[nothing-of-it]", false),
    ] {
        assert_eq!(sees(event, Stream::Auditd, &Programs::default(), selection), expected, "{selection}");
    }
}

#[test]
fn a_message_of_user_space_is_taken_apart() {
    let msg = r#"op=login acct="it is" exe="/usr/sbin/sshd" hostname=? res=failed"#;
    let event = with(recorded(671), &[("records", "USER_LOGIN"), ("msg", msg)]);
    for selection in ["{ type: USER_LOGIN, acct: it is, res: failed, op: login }", "{ exe: /usr/sbin/sshd }"] {
        assert!(sees(&event, Stream::Auditd, &Programs::default(), selection), "{selection}");
    }
    // What it says in hexadecimal is decoded.
    let msg = "cwd=\"/root\" cmd=636174202F6574632F736861646F77 uid=7 acct=63 exe=\"/usr/bin/sudo\" res=success";
    let event = with(recorded(671), &[("records", "USER_CMD"), ("msg", msg)]);
    let selection = "{ type: USER_CMD, cmd: cat /etc/shadow, acct: c, uid: 7 }";
    assert!(sees(&event, Stream::Auditd, &Programs::default(), selection));
}

#[test]
fn a_process_and_its_parent() {
    let (exec, mut programs) = (recorded(677), Programs::default());
    let selection = r"{ Image: /usr/bin/echo, CommandLine|startswith: '/bin/echo it''s  ', CurrentDirectory: /tmp/foil-demo,
        User: [root], ProcessId: 15389, ParentProcessId: 4194305, LogonId: null, ParentImage: null }";
    assert!(sees(&exec, Stream::Process, &programs, selection));
    assert!(sees(&exec, Stream::Process, &programs, "{ User: 0 }"));
    let parent = with(recorded(671), &[("pid", NOBODY), ("exe", "/opt/httpd"), ("argv", "httpd -k 'start now'")]);
    programs.note(&parent);
    let selection = "{ ParentImage|endswith: /httpd, ParentCommandLine: httpd -k start now }";
    assert!(sees(&exec, Stream::Process, &programs, selection));
    assert!(sees(&with(exec.clone(), &[("auid", "1000")]), Stream::Process, &programs, "{ LogonId: 1000 }"));
    // A parent that said nothing, but still runs.
    let ours = std::process::id().to_string();
    let child = with(exec, &[("ppid", &ours)]);
    let me = std::env::current_exe().unwrap().shown();
    assert!(sees(&child, Stream::Process, &programs, &format!("{{ ParentImage: '{me}', ParentCommandLine: '*' }}")));
    // A program that is not there is no process.
    assert!(views(&recorded(678), Stream::Process, &programs).is_empty());
    assert!(views(&recorded(673), Stream::Process, &programs).is_empty());
}

#[test]
fn programs_are_forgotten_oldest_first() {
    let mut programs = Programs::default();
    for pid in 0..10_000u32 {
        programs.note(&with(recorded(671), &[("pid", &pid.to_string())]));
    }
    assert!(programs.by_pid.len() <= process::MOST && programs.by_pid.contains_key("9999"));
}

#[test]
fn files_that_are_made_or_emptied() {
    let none = Programs::default();
    let rename = recorded(673);
    assert!(sees(&rename, Stream::File, &none, "{ TargetFilename: /tmp/foil-demo/z, Image: /usr/bin/mv, User: root }"));
    assert!(views(&recorded(675), Stream::File, &none).is_empty(), "a deletion");
    let open = |fields: &[(&str, &str)], kind: &str| {
        let event = Event { kind: kind.to_owned(), ..with(recorded(690), &[("success", "yes")]) };
        !views(&with(event, fields), Stream::File, &none).is_empty()
    };
    assert!(!open(&[("a2", "0")], "openat") && !open(&[("success", "no"), ("a2", "41")], "openat"));
    assert!(open(&[("a2", "241")], "openat") && open(&[("a2", "201")], "openat") && open(&[("a1", "40")], "open"));
    assert!(open(&[("oflag", "0101")], "openat2") && !open(&[("oflag", "01")], "openat2"));
    assert!(!open(&[("a2", "no number")], "openat") && !open(&[("a2", "41")], "read"));
}

#[test]
fn connections_to_the_internet() {
    let none = Programs::default();
    let made = |serial| with(recorded(serial), &[("exit", "-115")]);
    let selection = "{ DestinationIp|cidr: 127.0.0.0/8, DestinationPort: 1, Initiated: true, Image|endswith: /perl,
        DestinationHostname: null }";
    assert!(sees(&made(680), Stream::Network, &none, selection));
    assert!(sees(&made(683), Stream::Network, &none, "{ DestinationIp: '::1' }"));
    assert!(views(&recorded(680), Stream::Network, &none).is_empty(), "refused");
    assert!(views(&made(681), Stream::Network, &none).is_empty(), "a unix socket");
}

#[test]
fn log_sources() {
    use Stream::{Auditd, Followed, Process};
    let about = |text: &str, stream, feed| {
        let rule = format!("title: t\nlogsource: {{ {text} }}\ndetection: {{ s: [a], condition: s }}");
        is_about(&Rule::parse(&rule).unwrap().detection().unwrap().logsource, stream, feed)
    };
    for (text, stream, feed, expected) in [
        ("product: linux, service: auditd", Auditd, audit::NAME, true),
        ("product: linux", Auditd, audit::NAME, true),
        ("product: linux, service: sshd", Auditd, audit::NAME, false),
        ("product: windows", Auditd, audit::NAME, false),
        ("product: linux, category: process_creation", Process, audit::NAME, true),
        ("category: process_creation", Process, audit::NAME, true),
        ("product: linux", Process, audit::NAME, false),
        ("product: windows, category: process_creation", Process, audit::NAME, false),
        ("product: linux, service: sshd", Followed, "file.sshd", true),
        ("product: linux, service: sshd", Followed, "file.syslog", false),
        ("product: linux", Followed, "file.anything", true),
        ("product: linux, service: auditd", Followed, "file.auditd", true),
        ("category: webserver", Followed, "file.webserver", true),
        ("product: nginx", Followed, "file.nginx", true),
        ("product: nginx", Followed, "file.syslog", false),
        ("product: linux, category: process_creation", Followed, "file.falco", false),
    ] {
        assert_eq!(about(text, stream, feed), expected, "{text} {feed}");
    }
    assert!(streams("inbox").is_empty() && streams("foil.observed").is_empty());
}

/// Rules are asked only about records that may have what they ask for: one for each field of each view of what was recorded.
#[test]
fn no_rule_is_kept_from_a_record_that_it_matches() {
    use crate::rules::RuleSet;
    use rsigma_eval::event::Event as _;
    let (programs, mut texts) = (Programs::default(), std::collections::BTreeSet::new());
    let serials: std::collections::BTreeSet<u64> =
        RECORDED.lines().filter_map(|line| parse_line(line.as_bytes()).map(|record| record.stamp.serial)).collect();
    let all: Vec<Event> = serials.iter().map(|serial| recorded(*serial)).collect();
    for (event, stream) in all.iter().flat_map(|event| AUDIT.map(|stream| (event, stream))) {
        let source = match stream {
            Stream::Auditd => "service: auditd",
            Stream::Process => "category: process_creation",
            Stream::File => "category: file_event",
            Stream::Network | Stream::Followed => "category: network_connection",
        };
        for view in views(event, stream, &programs) {
            for name in view.field_keys() {
                let value = view.first(&name).unwrap_or_default();
                if !value.contains(['*', '?', '\\']) {
                    let value = serde_json::Value::from(value);
                    texts.insert(format!(
                        "title: t\nlogsource: {{ product: linux, {source} }}\ndetection: {{ s: {{ {name}: {value} }}, condition: s }}\n"
                    ));
                }
            }
        }
    }
    let set = RuleSet::of(texts.iter().map(|text| (std::path::PathBuf::new(), Ok(text.clone()))));
    assert_eq!((set.problems(), set.rules().len()), (&[][..], texts.len()));
    assert!(texts.len() > 200, "{}", texts.len());
    let plan = set.plan(crate::audit::NAME);
    for event in &all {
        let mut indexed: Vec<String> =
            set.matching(event, &plan, &programs).iter().map(|l| format!("{:?}", l.rule.detection())).collect();
        let matches = |rule: &Rule| {
            let detection = rule.detection().expect("a detection");
            let about = AUDIT.into_iter().filter(|stream| is_about(&detection.logsource, *stream, "linux.audit"));
            about.flat_map(|stream| views(event, stream, &programs)).any(|view| detection.matches(&view))
        };
        let each = set.rules().iter().map(|loaded| &loaded.rule).filter(|rule| matches(rule));
        let mut each: Vec<String> = each.map(|rule| format!("{:?}", rule.detection())).collect();
        indexed.sort();
        each.sort();
        assert_eq!(indexed.len(), each.len(), "{event:?}");
        assert_eq!(indexed, each);
    }
}
