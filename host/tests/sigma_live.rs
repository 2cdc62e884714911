//! The rules of `examples/rules` against the real kernel's audit stream, as root: each matches what its technique does and not
//! what the benign twin does. With `FOIL_RECORD=FILE` the events are written down, as `tests/fixtures/sigma` has them.

mod sigma_support;
#[path = "audit_live/support.rs"]
#[allow(dead_code, reason = "not all of it is needed here")]
mod support;

use foil_collector::rules::{self, RuleSet};
use foil_collector::{ArmOptions, Armed, Event, ProcessTree, arm, audit};
use foil_record::Attribution;
use foil_text::RunId;
use std::io::Write;
use std::sync::Arc;
use support::{Init, Machine};

/// Technique, what it does as a shell would, what its twin does. `$T` is a folder of the test's own.
const ACTS: &[(&str, &str, &str)] = &[
    ("authorized-key", "mkdir -p $T/.ssh; echo x >>$T/.ssh/authorized_keys", "echo x >>$T/authorized_keys"),
    (
        "clear-logs",
        "/bin/cp /dev/null /var/log/foil-sigma.log; /bin/rm -f /var/log/foil-sigma.log",
        "/bin/cp /dev/null $T/twin.log; /bin/rm -f $T/twin.log.old",
    ),
    (
        "cron-persistence",
        "echo '# nothing' >/etc/cron.d/foil-sigma; rm /etc/cron.d/foil-sigma",
        "echo '# nothing' >$T/foil-sigma",
    ),
    (
        "dev-shm-exec",
        "cp /bin/true /dev/shm/foil-sigma; /dev/shm/foil-sigma; rm /dev/shm/foil-sigma",
        "cp /bin/true /dev/shm/foil-sigma; rm /dev/shm/foil-sigma",
    ),
    (
        "file-delete",
        "echo x >$T/tool; /bin/rm -f $T/tool; echo x >$T/tool; /usr/bin/shred -u $T/tool",
        "echo x | /usr/bin/tee $T/tool",
    ),
    (
        "ingress-transfer",
        "/bin/bash -c 'exec 3<>\"/dev/tcp/127.0.0.1/1\"'; command -v curl && curl -fsS -o $T/tool http://127.0.0.1:1/foil-tool",
        "/bin/true",
    ),
    (
        "private-key-search",
        "/usr/bin/find $T -type f '(' -name id_rsa -o -name '*.pem' ')'; /bin/grep -rlIs -e 'BEGIN OPENSSH PRIVATE KEY' $T",
        "/usr/bin/find $T -maxdepth 1 -name foil-nothing",
    ),
    ("proc-memory-write", "/bin/dd if=/dev/null of=/proc/$$/mem bs=1 conv=notrunc", "/bin/dd if=/dev/null of=$T/mem"),
    ("process-discovery", "/bin/ps aux; /usr/bin/find /proc -maxdepth 1 -name cmdline", "/bin/true"),
    ("shadow-read", "/bin/sh -c 'cat /etc/shadow | wc -c'", "/bin/sh -c 'cat /etc/passwd | wc -c'"),
    (
        "shell-unexpected-parent",
        "cp /bin/sh $T/httpd; $T/httpd -c '/bin/sh -c \"echo foil\"; /bin/uname -s; exit 0'",
        "/bin/sh -c 'echo foil'",
    ),
    ("system-info", "/bin/uname -a; /bin/cat /etc/os-release", "/bin/true"),
];

/// Arms audit and, over it, the rules; runs the script as a tree of the run's; returns the tree's events and the rules that matched.
fn act(script: &str, rules: &Arc<RuleSet>) -> (Vec<Event>, Vec<Event>) {
    let (run, tree) = (RunId::new(), ProcessTree::new());
    let (audit, _own) = support::armed(&run, &tree, &["execve", "execveat", "openat", "openat2", "connect"]);
    let feeds = vec![(audit::NAME.to_owned(), Arc::clone(&audit.log))];
    let options = ArmOptions { rules: Some(Arc::clone(rules)), feeds, ..ArmOptions::new(run, Arc::clone(&tree)) };
    let armed: Armed = arm(rules::NAME, &options).expect("armed");
    let init = Init::start(&format!("{{ {script}; }} >/dev/null 2>&1; true"));
    tree.feed(&init.tree());
    init.go();
    let (log, matches) = (Arc::clone(&audit.log), Arc::clone(&armed.log));
    assert_eq!(audit.finish(), None);
    assert_eq!(armed.finish(), None);
    (log.read_own(0, usize::MAX).events, matches.read(0, usize::MAX).events)
}

#[test]
fn each_rule_matches_its_technique_and_not_its_twin() {
    let Some(_machine) = Machine::take() else { return };
    let rules = Arc::new(sigma_support::examples());
    assert_eq!(rules.rules().len(), ACTS.len());
    let mut record =
        std::env::var_os("FOIL_RECORD").map(|path| std::fs::File::create(path).expect("a file to record into"));
    for (technique, does, twin) in ACTS {
        if *technique == "cron-persistence" && !std::path::Path::new("/etc/cron.d").is_dir() {
            println!("skipped: {technique}, since /etc/cron.d is not there");
            continue;
        }
        for (is_twin, script) in [(false, does), (true, twin)] {
            let folder = tempfile::Builder::new().prefix("foil-sigma-").tempdir_in("/tmp").unwrap();
            let script = format!("T={}; {script}", folder.path().display());
            let (events, matches) = act(&script, &rules);
            let file = format!("{technique}.yml");
            let found = matches.iter().find(|event| event.fields["rule.file"] == file);
            assert_eq!(found.is_some(), !is_twin, "{technique}, twin {is_twin}: {matches:#?}");
            assert!(matches.iter().all(|event| event.attribution == Attribution::Tree), "{matches:#?}");
            if let Some(file) = &mut record {
                for event in events.iter().filter(|event| worth_recording(event)) {
                    // Where this was built is nobody's business.
                    let line = serde_json::json!({ "technique": technique, "twin": is_twin, "event": event });
                    let line = line.to_string().replace(env!("CARGO_MANIFEST_DIR"), "/srv/foil");
                    writeln!(file, "{line}").expect("a line");
                }
            }
        }
    }
}

/// Not the files that every program opens, nor the shell that waits for its script.
fn worth_recording(event: &Event) -> bool {
    if event.fields.get("argv").is_some_and(|argv| argv.contains("read go;")) {
        return false;
    }
    event.kind == "execve" || event.fields.get("nametype").is_some_and(|nametype| nametype == "CREATE")
}
