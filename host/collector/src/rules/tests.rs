//! Reading rules, and evaluating them over a run's feeds.

use super::*;
use crate::{Blindness, Event, EventLog, Interest, LogLimits, Process, ProcessTree, Recorded, audit, observed};
use foil_record::Attribution;
use foil_text::RunId;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

mod correlations;
mod index;
mod missed;

const REMOVAL: &str = "title: Removal\nid: 7d1e3c3e-6a4e-4a62-8a55-9d6a2b1c0f11\nlevel: high\ntags: [attack.t1070.004]\n\
    logsource: { product: linux, category: process_creation }\n\
    detection: { s: { Image|endswith: /rm }, condition: s }\n";
const LOGIN: &str =
    "title: Login\nlogsource: { product: linux, service: sshd }\ndetection: { s: [accepted], condition: s }\n";

fn rules(texts: &[&str]) -> Arc<RuleSet> {
    let files = texts.iter().enumerate().map(|(n, text)| (PathBuf::from(format!("{n}.yml")), Ok((*text).to_owned())));
    let set = RuleSet::of(files);
    assert_eq!(set.problems(), []);
    Arc::new(set)
}

fn removal(pid: u32) -> Recorded {
    let fields = [("exe", "/usr/bin/rm"), ("argv", "rm x"), ("success", "yes"), ("ppid", "4000009")];
    let mut fields: std::collections::BTreeMap<_, _> =
        fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    fields.insert("pid".to_owned(), pid.to_string());
    let process = Some(Process { pid, ppid: Some(4_000_009), start: None });
    Recorded { at: 5, kind: "execve".to_owned(), own_observation: false, process, likeness: None, fields }
}

/// A run with a feed: log of matches, feed, evaluation.
fn armed(run: &RunId, tree: Option<&Arc<ProcessTree>>, feed: &str) -> (Arc<EventLog>, Arc<EventLog>, Evaluation) {
    let log = || Arc::new(EventLog::new(run.clone(), tree.cloned(), LogLimits::default()));
    let (matches, source) = (log(), log());
    let feeds = vec![(feed.to_owned(), Arc::clone(&source))];
    let all = super::feeds(&["sshd".to_owned()]);
    let evaluation =
        Evaluation::arm(Arc::clone(&matches), rules(&[REMOVAL]), &all, feeds, Correlating::default()).unwrap();
    (matches, source, evaluation)
}

fn events(log: &EventLog) -> Vec<Event> {
    log.read(0, usize::MAX).events
}

#[test]
fn files_and_folders_are_read_and_what_is_wrong_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &[u8]| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("a/removal.yml", REMOVAL.as_bytes());
    write("a/b/login.YAML", LOGIN.as_bytes());
    write("twice.yml", b"title: a\ntitle: b");
    write("zz-same-id.yml", REMOVAL.as_bytes());
    write(
        "both.yml",
        format!("{}---\ntitle: Many\ncorrelation: {{ type: event_count }}\n", LOGIN.replace("Login", "Base"))
            .as_bytes(),
    );
    write("broken.yml", b"title: [");
    write("latin1.yml", b"title: \xe9");
    write("large.yml", &vec![b'#'; (1 << 20) + 1]);
    write("readme.md", b"no rule");
    std::os::unix::fs::symlink(folder.path(), folder.path().join("a/again.yml")).unwrap();
    let set = RuleSet::read(&[folder.path().to_owned(), folder.path().join("a/removal.yml")]).unwrap();
    assert_eq!(set.rules().len(), 4, "each file once, and of two documents the one that is a rule");
    let problems: Vec<String> = set
        .problems()
        .iter()
        .map(|p| format!("{}: {}", p.file.file_name().unwrap().to_string_lossy(), p.reason))
        .collect();
    let expected = [
        "both.yml: document 2: ",
        "broken.yml: 1:",
        "large.yml: it is larger",
        "latin1.yml: it is not UTF-8",
        "twice.yml: 2:",
        "zz-same-id.yml: its id",
    ];
    assert_eq!(problems.len(), expected.len(), "{problems:#?}");
    for (problem, start) in problems.iter().zip(expected) {
        assert!(problem.starts_with(start), "{problem}");
    }
    let error = RuleSet::read(&[folder.path().join("nowhere")]).unwrap_err().to_string();
    assert!(error.contains("nowhere"), "{error}");
    let deep = folder.path().join("d/".repeat(20));
    std::fs::create_dir_all(&deep).unwrap();
    assert!(RuleSet::read(&[folder.path().to_owned()]).unwrap_err().to_string().contains("deeper than 16"));
}

#[test]
fn rules_that_no_feed_is_about_are_counted() {
    let set = rules(&[REMOVAL, LOGIN]);
    let idle = |feeds: &[&str]| {
        let feeds: Vec<String> = feeds.iter().map(|feed| (*feed).to_owned()).collect();
        set.idle(&feeds).iter().map(|(source, rules)| format!("{rules} of {source}")).collect::<Vec<_>>()
    };
    assert_eq!(idle(&[audit::NAME]), ["1 of product linux, service sshd"]);
    assert_eq!(idle(&["file.sshd", "inbox"]), ["1 of product linux, category process_creation"]);
    assert_eq!(idle(&[audit::NAME, "file.sshd"]), [""; 0]);
    assert_eq!((set.about(audit::NAME), set.about("file.sshd"), set.about(observed::NAME)), (1, 1, 0));
}

#[test]
fn a_match_says_which_rule_and_is_the_events_own() {
    let tree = ProcessTree::without_connector();
    tree.insert_root(4_000_001, 1);
    let (matches, feed, evaluation) = armed(&RunId::new(), Some(&tree), audit::NAME);
    feed.push(removal(4_000_001));
    feed.push(Recorded { kind: "unlinkat".to_owned(), ..removal(4_000_001) });
    assert_eq!(evaluation.verify_about(&Interest::default()), None);
    let [found] = &events(&matches)[..] else { panic!("one match") };
    assert_eq!((found.kind.as_str(), found.at, found.attribution), ("sigma", 5, Attribution::Tree));
    for (name, value) in [
        ("rule.title", "Removal"),
        ("rule.id", "7d1e3c3e-6a4e-4a62-8a55-9d6a2b1c0f11"),
        ("rule.level", "high"),
        ("rule.tags", "attack.t1070.004"),
        ("rule.file", "0.yml"),
        ("feed", audit::NAME),
        ("event", "execve"),
        ("argv", "rm x"),
    ] {
        assert_eq!(found.fields[name], value, "{name}");
    }
    feed.push(removal(4_000_001));
    assert_eq!(evaluation.finish(), None, "what came last is evaluated first");
    assert_eq!(events(&matches).len(), 2);
}

#[test]
fn strangers_and_own_observations_are_not_evaluated_and_marks_are_kept() {
    let run = RunId::new();
    let (matches, feed, evaluation) = armed(&run, Some(&ProcessTree::without_connector()), "linux.audit");
    let stranger = Recorded { process: None, ..removal(4_000_002) };
    feed.push(stranger.clone());
    feed.push(Recorded { own_observation: true, ..stranger.clone() });
    evaluation.verify_about(&Interest::default());
    assert_eq!(events(&matches), []);
    let mut marked = stranger;
    marked.fields.insert("argv".to_owned(), format!("rm /tmp/foil-{run}"));
    feed.push(marked);
    evaluation.verify_about(&Interest::default());
    assert_eq!(events(&matches)[0].attribution, Attribution::Marker);
}

#[test]
fn what_blinds_a_feed_blinds_the_rules_that_look_at_it() {
    let about = |feed: &str| Interest { feeds: Some([feed.to_owned()].into()), ..Interest::default() };
    let (_, feed, evaluation) = armed(&RunId::new(), None, audit::NAME);
    assert_eq!(evaluation.verify_about(&about(audit::NAME)), None);
    feed.set_blind(Blindness::Lost("3 by the kernel".to_owned()));
    let lost = Some(Blindness::Lost("`linux.audit`: 3 by the kernel".to_owned()));
    assert_eq!(evaluation.verify_about(&about(audit::NAME)), lost);
    assert_eq!(evaluation.verify_about(&about("file.other")), None);
    assert_eq!(evaluation.finish(), lost, "a link that names no rule looks at all of them");
    // What could not be armed, of all that rules look at.
    let (_, _, evaluation) = armed(&RunId::new(), None, "file.sshd");
    let dead = Some(Blindness::Dead("1 rule looks at `linux.audit`, which is not armed".to_owned()));
    assert_eq!(evaluation.verify_about(&about("file.sshd")), None);
    assert_eq!(evaluation.verify_about(&about(audit::NAME)), dead);
    assert_eq!(evaluation.finish(), dead);
    let log = Arc::new(EventLog::new(RunId::new(), None, LogLimits::default()));
    assert!(matches!(
        Evaluation::arm(log, rules(&[REMOVAL]), &[], Vec::new(), Correlating::default()),
        Err(Blindness::Dead(_))
    ));
}

#[test]
fn an_incomplete_event_blinds_rules_of_its_feed_only() {
    let run = RunId::new();
    let (_, feed, evaluation) = armed(&run, Some(&ProcessTree::without_connector()), audit::NAME);
    let mut event = Recorded { process: None, ..removal(4_000_004) };
    event.fields.insert("argv".to_owned(), format!("cat /tmp/foil-{run}"));
    event.fields.insert("incomplete".to_owned(), "yes".to_owned());
    feed.push(event);
    let of = |feed: &str| {
        evaluation.verify_about(&Interest { feeds: Some([feed.to_owned()].into()), ..Interest::default() })
    };
    assert!(matches!(of(audit::NAME), Some(Blindness::Lost(why)) if why.contains("incomplete")));
    assert_eq!(of("file.other"), None);
}

#[test]
fn a_thousand_runs_are_evaluated_by_one_thread_as_events_come() {
    let runs: Vec<_> = (0..1000).map(|_| armed(&RunId::new(), None, audit::NAME)).collect();
    for (_, feed, _) in &runs {
        feed.push(removal(4_000_003));
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while runs.iter().any(|(matches, _, _)| matches.newest() != 1) {
        assert!(Instant::now() < deadline, "every run has its match");
        std::thread::sleep(Duration::from_millis(2));
    }
    let named = |entry: std::io::Result<std::fs::DirEntry>| {
        std::fs::read_to_string(entry.unwrap().path().join("comm")).is_ok_and(|comm| comm.trim() == "foil-rules")
    };
    assert_eq!(std::fs::read_dir("/proc/self/task").unwrap().map(named).filter(|n| *n).count(), 1);
    // Dropped, it no longer looks.
    for (matches, feed, evaluation) in runs {
        drop(evaluation);
        feed.push(removal(4_000_003));
        assert_eq!(matches.newest(), 1);
    }
}
