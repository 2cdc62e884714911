//! Whose an event of a real Falco's is, by file and by HTTP. Its recorded lines are told again with the process ids, times and
//! run ids of processes that run here; the process connector (root) hears of them as it does in a run.

use super::support::{Client, events, inbox, log_of, now, source};
use foil_collector::file::Follower;
use foil_collector::{ArmOptions, Armed, EventLog, LogLimits, ProcessTree, arm, observed};
use foil_policy::sources::FileFormat;
use foil_record::Attribution;
use foil_shield::Tree;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;

const STOCK: &str = include_str!("../fixtures/falco/stock.jsonl");
const MARKED: &str = include_str!("../fixtures/falco/with-marker.jsonl");

/// A process as the test started it, and what it was.
#[derive(Clone, Copy)]
struct Done {
    pid: u32,
    /// Just after it was forked.
    started: u64,
    /// Just after its end: one at which it certainly was its program already.
    at: u64,
}

/// A shell that does what it is told, and says who did it. One stands for the run's init, another for a stranger.
struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    fn start(name: &str) -> Self {
        let mut child = Command::new("/bin/bash")
            .args(["-c", "while read -r line; do eval \"$line\"; done", name])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash");
        let (input, output) = (child.stdin.take().expect("stdin"), child.stdout.take().expect("stdout"));
        Self { child, input, output: BufReader::new(output) }
    }

    /// Runs a script of bash's in a bash of its own, as the recorded one was, which prints a process id and its moment once
    /// it is done: an alert comes after what it is about.
    fn run(&mut self, script: &str) -> Done {
        writeln!(self.input, "/bin/bash -c '{script}'").expect("told");
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        let mut words = line.split_whitespace();
        let micros = |word: Option<&str>| Some(word?.replace('.', "").parse::<u64>().ok()? * 1000);
        let said = (|| {
            let pid = words.next()?.parse().ok()?;
            Some(Done { pid, started: micros(words.next())?, at: micros(words.next())? })
        })();
        said.unwrap_or_else(|| panic!("no process id and moment: {line}"))
    }

    /// `cat /etc/shadow`, by a bash that stays for long enough to be asked what it is.
    fn cat(&mut self) -> Done {
        self.run("cat /etc/shadow >/dev/null & from=$EPOCHREALTIME; wait; at=$EPOCHREALTIME; read -r -t 0.05; echo $! $from $at")
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A run whose init is a shell, and its logs: of a file and of the inbox.
struct Run {
    tree: Arc<ProcessTree>,
    init: Shell,
    file: Arc<EventLog>,
    inbox: Arc<EventLog>,
    path: std::path::PathBuf,
    follower: Follower,
    client: Client,
    _observed: Armed,
    _subscription: foil_collector::inbox::Subscription,
    _folder: tempfile::TempDir,
}

impl Run {
    /// `None`, with a word, where there is no process connector.
    fn start() -> Option<Self> {
        let tree = ProcessTree::new();
        if !tree.is_exact() {
            println!("skipped: no process connector");
            return None;
        }
        let file = log_of(&tree, LogLimits::default());
        let options = ArmOptions::new(file.run().clone(), Arc::clone(&tree));
        let observed = arm(observed::NAME, &options).expect("armed");
        let init = Shell::start("init");
        tree.feed(&Tree { init: init.child.id(), children: Vec::new() });
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("falco.jsonl");
        std::fs::write(&path, STOCK).expect("what was there before");
        let follower = Follower::arm(Arc::clone(&file), &source(&path, FileFormat::Json)).expect("armed");
        let log = Arc::new(EventLog::new(file.run().clone(), Some(Arc::clone(&tree)), LogLimits::default()));
        let (server, subscription) = inbox(&log);
        let client = Client::to(server.address());
        Some(Self {
            tree,
            init,
            file,
            inbox: log,
            path,
            follower,
            client,
            _observed: observed,
            _subscription: subscription,
            _folder: folder,
        })
    }

    /// Tells a line both ways; whose it is.
    fn tell(&mut self, line: &str) -> Attribution {
        let mut file = std::fs::OpenOptions::new().append(true).open(&self.path).expect("the log");
        writeln!(file, "{line}").expect("written");
        assert_eq!(self.follower.verify(), None);
        let (status, answer) = self.client.post("/falco", line);
        assert_eq!(status, 200, "{answer}");
        let last = |log: &EventLog| events(log).last().expect("an event").attribution;
        let (by_file, by_http) = (last(&self.file), last(&self.inbox));
        assert_eq!(by_file, by_http);
        by_file
    }
}

/// A recorded alert, told of another process at another time. `change` sees the alert's fields.
fn retold(
    recorded: &str,
    rule: &str,
    at: u64,
    change: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>),
) -> String {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("JSON");
    let mut alert =
        recorded.lines().map(parse).find(|alert| alert["rule"] == rule).expect("a recorded alert of that rule");
    let time = jiff::Timestamp::from_nanosecond(i128::from(at)).expect("a time").to_string();
    alert["time"] = time.into();
    let fields = alert["output_fields"].as_object_mut().expect("fields");
    fields.insert("evt.time.iso8601".into(), at.into());
    fields.insert("user.uid".into(), rustix::process::geteuid().as_raw().into());
    change(fields);
    alert.to_string()
}

const SHADOW: &str = "Read sensitive file untrusted";

fn stock(at: u64) -> String {
    // The recorded one's grandparents were those of the recording.
    retold(STOCK, SHADOW, at, |fields| fields.retain(|name, _| !name.starts_with("proc.aname")))
}

fn with_pid(done: Done, start: u64, run: &str) -> String {
    retold(MARKED, SHADOW, done.at, |fields| {
        fields.retain(|name, _| !name.starts_with("proc.aname"));
        fields.insert("proc.pid".into(), done.pid.into());
        fields.insert("proc.pid.ts".into(), start.into());
        fields.remove("proc.ppid");
        fields.insert("proc.env[FOIL_RUN_ID]".into(), run.into());
    })
}

#[test]
fn a_stock_falco_is_tied_by_likeness_and_a_stranger_who_does_the_same_elsewhere_is_not() {
    let Some(mut run) = Run::start() else { return };
    assert!(events(&run.file).is_empty(), "what was there before arming is not read");
    // Now and then a program is gone before anybody could ask what it was: then whatever happens at that moment may have been its
    // doing, and is the window's. One of twenty is known in whole.
    let done = (0..20).find_map(|_| {
        let done = run.init.cat();
        let at = done.at;
        let mut known = run.tell(&stock(at)) == Attribution::Likeness;
        // The same by another user, another parent, another command, at another time.
        for change in [
            retold(STOCK, SHADOW, at, |f| drop(f.insert("user.uid".into(), 54321.into()))),
            retold(STOCK, SHADOW, at, |f| drop(f.insert("proc.pname".into(), "sshd".into()))),
            retold(STOCK, SHADOW, at, |f| drop(f.insert("proc.cmdline".into(), "cat /etc/shadow-".into()))),
            retold(STOCK, SHADOW, at, |f| drop(f.insert("proc.exepath".into(), "/opt/cat".into()))),
            stock(at + 3_000_000_000),
            stock(at - 600_000_000_000),
        ] {
            match run.tell(&change) {
                Attribution::Stranger => {}
                Attribution::Window => known = false,
                other => panic!("{other:?}: {change}"),
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(if known { 0 } else { 200 }));
        known.then_some(done)
    });
    let at = done.expect("one of twenty is known in whole").at;
    // Nothing of ours is like this.
    let anothers = retold(STOCK, "Clear Log Activities", at, |_| ());
    assert_eq!(run.tell(&anothers), Attribution::Stranger);
}

#[test]
fn with_its_pid_an_event_is_ours_by_the_tree_and_the_same_act_of_a_stranger_at_the_same_moment_is_not() {
    let Some(mut run) = Run::start() else { return };
    let mut stranger = Shell::start("stranger");
    // At the same moment: both have started before either is told.
    let ours = run.init.cat();
    let theirs = stranger.cat();
    assert_eq!(run.tell(&with_pid(ours, ours.started, "<NA>")), Attribution::Tree);
    assert_eq!(run.tell(&with_pid(theirs, theirs.started, "<NA>")), Attribution::Stranger);
    // Alike in every word, and told by its id all the same.
    assert_eq!(run.tell(&with_pid(theirs, theirs.started, "")), Attribution::Stranger);
    // An id of ours, of a process that began long before: it is used again.
    assert_eq!(run.tell(&with_pid(ours, ours.started - 90_000_000_000, "")), Attribution::Stranger);
    // Another run's.
    assert_eq!(run.tell(&with_pid(ours, ours.started, "01j9z3t0example00000000000")), Attribution::Stranger);
}

#[test]
fn the_runs_id_ties_an_event_whatever_process_it_names() {
    let Some(mut run) = Run::start() else { return };
    let id = run.file.run().to_string();
    let stranger = Done { pid: 1, started: now(), at: now() };
    for id in [id.clone(), id.to_uppercase()] {
        assert_eq!(run.tell(&with_pid(stranger, stranger.at, &id)), Attribution::Marker);
    }
    // Even where it is long past the fields that are kept.
    let far =
        retold(STOCK, SHADOW, now(), |f| drop(f.insert("x".into(), format!("{}{id}", "y".repeat(100_000)).into())));
    assert_eq!(run.tell(&far), Attribution::Marker);
    let early = with_pid(Done { at: now() - 60_000_000_000, ..stranger }, now(), &id);
    assert_eq!(run.tell(&early), Attribution::Stranger, "what happened before arming never counts");
}

#[test]
fn an_alert_that_says_nothing_of_a_process_is_tied_by_its_time_only() {
    let Some(mut run) = Run::start() else { return };
    let body = format!(r#"{{"alerts":[{{"status":"firing","labels":{{"alertname":"a"}},"startsAt":{}}}]}}"#, now());
    assert_eq!(run.client.post("/alertmanager", body).0, 200);
    assert_eq!(events(&run.inbox)[0].attribution, Attribution::Window);
}

#[test]
fn short_lived_programs_of_ours_are_never_strangers() {
    let Some(mut run) = Run::start() else { return };
    // Each is gone within a millisecond or so; now and then before anybody could ask what it was.
    for n in 0..200 {
        let done = run.init.run("/bin/true & from=$EPOCHREALTIME; wait; echo $! $from $EPOCHREALTIME");
        let alert = retold(STOCK, SHADOW, done.at, |fields| {
            fields.retain(|name, _| !name.starts_with("proc.aname"));
            for (name, value) in [("proc.cmdline", "true"), ("proc.exepath", "/usr/bin/true"), ("proc.name", "true")] {
                fields.insert(name.into(), value.into());
            }
        });
        let whose = run.tell(&alert);
        assert!(matches!(whose, Attribution::Likeness | Attribution::Window), "{n}: {whose:?} {:?}", run.tree);
    }
}

#[test]
fn without_the_connector_what_cannot_be_told_is_no_strangers() {
    let tree = ProcessTree::without_connector();
    let log = log_of(&tree, LogLimits::default());
    let (inbox, _subscription) = inbox(&log);
    let mut client = Client::to(inbox.address());
    let began = now();
    assert_eq!(client.post("/falco", stock(now())).0, 200);
    assert_eq!(events(&log)[0].attribution, Attribution::Window);
    // What the launcher has started is known.
    let options = ArmOptions::new(log.run().clone(), Arc::clone(&tree));
    let observed = arm(observed::NAME, &options).expect("armed");
    let args = ["/etc/shadow".to_owned()];
    observed.observed().expect("it is").push_exec("/bin/cat", &args, 99_999, began, None);
    assert_eq!(events(&log)[0].attribution, Attribution::Likeness);
}
