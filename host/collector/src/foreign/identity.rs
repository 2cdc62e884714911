//! Which process an event is about, by the names that sensors have for it.

use super::super::Process;
use super::{Likeness, moment};
use std::collections::BTreeMap;

/// Deepest ancestor that is read: Falco's `proc.aname[N]`.
const MAX_PARENTS: usize = 8;

type Fields = BTreeMap<String, String>;

// Each list: Falco's name by HTTP or file, Elastic's (ECS), laurel's, Falco's as a regular expression's group may be called.
const PID: [&str; 4] = ["output_fields.proc.pid", "process.pid", "SYSCALL.pid", "proc.pid"];
const START: [&str; 3] = ["output_fields.proc.pid.ts", "process.start", "proc.pid.ts"];
const PPID: [&str; 4] = ["output_fields.proc.ppid", "process.parent.pid", "SYSCALL.ppid", "proc.ppid"];
const COMMAND_LINE: [&str; 7] = [
    "output_fields.proc.cmdline",
    "process.command_line",
    "process.args",
    "EXECVE.ARGV",
    "PROCTITLE.ARGV",
    "SYSCALL.ARGV",
    "proc.cmdline",
];
const EXE: [&str; 4] = ["output_fields.proc.exepath", "process.executable", "SYSCALL.exe", "proc.exepath"];
const NAME: [&str; 4] = ["output_fields.proc.name", "process.name", "SYSCALL.comm", "proc.name"];
const PARENT: [&str; 3] = ["output_fields.proc.pname", "process.parent.name", "proc.pname"];
const UID: [&str; 5] = ["output_fields.user.uid", "process.user.id", "user.id", "SYSCALL.uid", "user.uid"];
const RUN: [&str; 2] = ["output_fields.proc.env[FOIL_RUN_ID]", "process.env.FOIL_RUN_ID"];

/// Names so plain that they may mean anything, such as the daemon that wrote the line: they count only together, two of them, or one
/// with a `pid`.
const PLAIN_PROGRAM: [&str; 4] = ["cmdline", "command_line", "exe", "comm"];

/// The process, where its id is said, and all else by which it may be told.
pub fn identify(fields: &Fields, received: u64) -> (Option<Process>, Likeness) {
    let programs = PLAIN_PROGRAM.iter().filter(|name| fields.contains_key(**name)).count();
    let plain = programs >= if fields.contains_key("pid") { 1 } else { 2 };
    let every = |names: &[&'static str], bare: &[&'static str]| {
        let bare = bare.iter().filter(|_| plain);
        names.iter().chain(bare).copied().collect::<Vec<_>>()
    };
    let of = |names: &[&'static str], bare: &[&'static str]| {
        every(names, bare).into_iter().find_map(|name| said(fields, name))
    };
    let id = |names: &[&'static str], bare: &[&'static str]| {
        every(names, bare).into_iter().find_map(|name| said(fields, name)?.parse::<u32>().ok())
    };
    let pid = id(&PID, &["pid"]).filter(|pid| *pid > 0);
    let process = pid.map(|pid| Process {
        pid,
        ppid: id(&PPID, &["ppid"]).filter(|pid| *pid > 0),
        start: START.iter().find_map(|name| moment(said(fields, name)?, received)),
    });
    let owned = |text: &str| text.to_owned();
    let ancestor = |n: usize| said(fields, &format!("output_fields.proc.aname[{n}]")).map(owned);
    let mut parents = vec![of(&PARENT, &[]).map(owned).or_else(|| ancestor(1))];
    parents.extend((2..=MAX_PARENTS).map(ancestor));
    let likeness = Likeness {
        command_line: of(&COMMAND_LINE, &["cmdline", "command_line", "argv"]).map(owned),
        exe: of(&EXE, &["exe"]).map(owned),
        name: of(&NAME, &["comm"]).map(owned),
        parents,
        uid: id(&UID, &["uid"]),
        run: RUN.iter().find_map(|name| said(fields, name)).map(str::to_ascii_lowercase),
        ..Likeness::default()
    };
    (process, likeness)
}

/// Words for what a sensor does not know, in small letters: Falco's `<NA>`, audit's `(null)`, `?` and `unset`, others' `null`, `n/a`. The
/// kernel has -1 for an id that is not set, which sensors print as the largest number of 32 or 64 bits as well.
const NOT_SAID: [&str; 11] =
    ["", "<na>", "-", "null", "(null)", "n/a", "?", "unset", "-1", "4294967295", "18446744073709551615"];

/// What a field says, if anything: what is not known neither ties an event to a run nor speaks against it.
fn said<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    let text = fields.get(name)?.trim();
    (!NOT_SAID.iter().any(|word| word.eq_ignore_ascii_case(text))).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::super::flatten;
    use super::*;

    fn identified(json: &str) -> (Option<Process>, Likeness) {
        identify(&flatten(&serde_json::from_str(json).unwrap(), b""), u64::MAX)
    }

    #[test]
    fn falco_elastic_and_laurel_say_the_same_in_their_own_words() {
        let at = 1_795_300_626_312_799_672;
        let falco = r#"{"output_fields":{"proc.pid":29440,"proc.pid.ts":1795300626312799672,"proc.ppid":29429,"proc.cmdline":
            "cat /etc/shadow","proc.exepath":"/usr/bin/cat","proc.name":"cat","proc.pname":"bash","proc.aname[2]":"<NA>","user.uid":0,
            "proc.env[FOIL_RUN_ID]":"01J9Z3T0EXAMPLE"}}"#;
        let elastic = r#"{"process":{"pid":29440,"start":"2026-11-21T22:37:06.312799672Z","command_line":"cat /etc/shadow","name":"cat",
            "executable":"/usr/bin/cat","parent":{"pid":29429,"name":"bash"}},"user":{"id":"0"}}"#;
        let laurel = r#"{"ID":"1795300626.314:1","SYSCALL":{"pid":29440,"ppid":29429,"uid":0,"comm":"cat","exe":"/usr/bin/cat"},
            "EXECVE":{"argc":2,"ARGV":["cat","/etc/shadow"]}}"#;
        for (json, start, parent) in
            [(falco, Some(at), Some("bash")), (elastic, Some(at), Some("bash")), (laurel, None, None)]
        {
            let (process, likeness) = identified(json);
            assert_eq!(process, Some(Process { pid: 29440, ppid: Some(29429), start }), "{json}");
            assert_eq!(likeness.command_line.as_deref(), Some("cat /etc/shadow"));
            assert_eq!(likeness.exe.as_deref(), Some("/usr/bin/cat"));
            assert_eq!((likeness.name.as_deref(), likeness.uid), (Some("cat"), Some(0)));
            assert_eq!((likeness.parents[0].as_deref(), &likeness.parents[1]), (parent, &None));
        }
        assert_eq!(identified(falco).1.run.as_deref(), Some("01j9z3t0example"));
    }

    #[test]
    fn a_daemons_own_pid_is_not_the_one_that_its_line_is_about() {
        let (process, likeness) = identified(r#"{"pid":812,"msg":"login failed","uid":7}"#);
        assert!(process.is_none() && likeness.is_silent() && likeness.uid.is_none());
        assert_eq!(identified(r#"{"pid":812,"exe":"/bin/su"}"#).0.map(|p| p.pid), Some(812));
        assert_eq!(identified(r#"{"process":{"pid":-1}}"#).0, None);
        let (process, likeness) = identified(r#"{"exe":"/usr/bin/vim","cmdline":"vim /etc/shadow"}"#);
        assert_eq!((process, likeness.exe.as_deref()), (None, Some("/usr/bin/vim")));
        assert!(identified(r#"{"exe":"/usr/sbin/sshd","msg":"x"}"#).1.is_silent());
    }

    #[test]
    fn what_is_not_known_is_not_said() {
        for unset in
            ["4294967295", "-1", "null", "\"<NA>\"", "\"<na>\"", "\"\"", "\" \"", "\"(null)\"", "\"N/A\"", "\"-1\""]
        {
            let falco = format!(
                r#"{{"output_fields":{{"proc.pid":{unset},"proc.ppid":{unset},"proc.pid.ts":{unset},"user.uid":{unset}}}}}"#
            );
            let (process, likeness) = identified(&falco);
            assert!(process.is_none() && likeness.is_silent() && likeness.uid.is_none(), "{unset}: {likeness:?}");
            let known = format!(
                r#"{{"output_fields":{{"proc.pid":77,"proc.ppid":{unset},"proc.pid.ts":{unset},"user.uid":{unset}}},"user":{{"id":"7"}}}}"#
            );
            let (process, likeness) = identified(&known);
            assert_eq!(process, Some(Process { pid: 77, ppid: None, start: None }), "{unset}");
            assert_eq!(likeness.uid, Some(7), "another field may say it: {unset}");
        }
        for unset in ["null", "\"<NA>\"", "\"\"", "\"-\"", "\"(null)\""] {
            let falco = format!(
                r#"{{"output_fields":{{"proc.cmdline":{unset},"proc.exepath":{unset},"proc.name":{unset},"proc.pname":{unset},
                "proc.aname[2]":{unset},"proc.env[FOIL_RUN_ID]":{unset}}}}}"#
            );
            let (_, likeness) = identified(&falco);
            assert!(likeness.is_silent() && likeness.run.is_none(), "{unset}: {likeness:?}");
            assert!(likeness.parents.iter().all(Option::is_none), "{unset}: {likeness:?}");
        }
    }
}
