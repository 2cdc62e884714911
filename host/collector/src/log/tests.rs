use super::*;
use foil_text::Shown as _;
use std::time::Duration;

fn recorded(at: u64, pid: Option<u32>, text: &str) -> Recorded {
    Recorded {
        at,
        kind: "execve".into(),
        own_observation: false,
        process: pid.map(|pid| Process { pid, ppid: None, start: None }),
        likeness: None,
        fields: BTreeMap::from([("argv".to_owned(), text.to_owned())]),
    }
}

fn log(limits: LogLimits) -> (Arc<EventLog>, Arc<ProcessTree>) {
    let tree = ProcessTree::without_connector();
    (Arc::new(EventLog::new(RunId::new(), Some(tree.clone()), limits)), tree)
}

#[test]
fn pages_follow_each_other() {
    let (log, _) = log(LogLimits::default());
    for n in 0..5 {
        log.push(recorded(n, None, ""));
    }
    let first = log.read(0, 2);
    assert_eq!((first.events.len(), first.next, first.drained), (2, 2, false));
    let second = log.read(first.next, 100);
    assert_eq!((second.events.len(), second.next, second.drained), (3, 5, true));
    let none = log.read(second.next, 100);
    assert_eq!((none.events.len(), none.next, none.drained), (0, 5, true));
    assert_eq!(log.read(0, 0).next, 0);
    assert_eq!(log.read(u64::MAX, 1).next, u64::MAX);
}

#[test]
fn a_full_log_says_how_many_it_dropped() {
    let (log, _) = log(LogLimits { events: 10, bytes: 1 << 20 });
    for n in 0..13 {
        log.push(recorded(u64::MAX - n, None, ""));
    }
    assert!(matches!(log.blind(), Some(Blindness::Lost(why)) if why.starts_with("3 ")));
    assert_eq!(log.read(0, 100).events[0].sequence, 4);
}

#[test]
fn bytes_count_too() {
    let (log, _) = log(LogLimits { events: 1000, bytes: 4096 });
    for n in 0..5 {
        log.push(recorded(u64::MAX - n, None, &"x".repeat(1000)));
    }
    assert!(log.blind().is_some());
    assert!(log.read(0, 100).events.len() < 5);
}

#[test]
fn old_strangers_make_room_without_blinding() {
    let (log, tree) = log(LogLimits { events: 10, bytes: 1 << 20 });
    tree.insert_root(7, 1);
    // By a process that has no parent known it would be `window`: it may be the run's, and stays. A stranger's parent is 1.
    tree.link(8, 1, 1_000);
    log.push(recorded(1_000, Some(7), "ours"));
    for _ in 0..12 {
        log.push(recorded(2_000, Some(8), "stranger"));
    }
    assert_eq!(log.blind(), None);
    assert_eq!(log.read(0, 1).events[0].attribution, Attribution::Tree);
}

#[test]
fn the_first_reason_for_blindness_stands() {
    let (log, _) = log(LogLimits::default());
    log.set_blind(Blindness::Dead("a".into()));
    log.set_blind(Blindness::Lost("b".into()));
    assert_eq!(log.blind(), Some(Blindness::Dead("a".into())));
}

#[test]
fn without_a_tree_only_time_ties_an_event_to_the_run() {
    let run = RunId::new();
    let log = EventLog::new(run.clone(), None, LogLimits::default());
    log.push(recorded(1, Some(7), "plain"));
    log.push(recorded(2, None, &format!("curl -A {run}")));
    let page = log.read(0, 10);
    assert_eq!(page.events[0].attribution, Attribution::Window);
    assert_eq!(page.events[1].attribution, Attribution::Marker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waiting_ends_with_the_event() {
    let (log, _) = log(LogLimits::default());
    let writer = log.clone();
    let task = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(20)).await;
        writer.push(recorded(1, None, ""));
    });
    tokio::time::timeout(Duration::from_secs(5), log.wait_beyond(0)).await.expect("woken");
    log.wait_beyond(0).await; // It is there already.
    task.await.unwrap();
    let deaf = tokio::time::timeout(Duration::from_millis(20), log.wait_beyond(1)).await;
    assert!(deaf.is_err(), "there is nothing beyond 1");
}

/// What a real Falco says of Foil's own processes, with the times and ids of the test.
fn falco(rule: &str, fields: serde_json::Value, at: u64) -> Recorded {
    let mut alert = serde_json::json!({ "rule": rule, "priority": "Warning", "output_fields": fields });
    alert["output_fields"]["evt.time.iso8601"] = at.into();
    super::super::foreign::event("falco", super::super::foreign::flatten(&alert, b"{}"), None, at)
}

/// Init 4,000,100 with its child 4,000,101, which is `cat /etc/shadow` from `now` on, and 4,000,102, which performs a file effect then.
fn run_of_two(now: u64) -> (Arc<EventLog>, Arc<ProcessTree>) {
    use foil_shield::{Birth, BirthStage};
    let (log, tree) = log(LogLimits::default());
    tree.insert_init(4_000_100);
    for (pid, stage) in [(4_000_101, BirthStage::Program), (4_000_102, BirthStage::Effect)] {
        tree.told(&Birth { pid, at: now - 3_000_000, stage: BirthStage::SetUp });
        tree.told(&Birth { pid, at: now, stage });
    }
    let argv = ["/bin/cat", "/etc/shadow"].map(ToOwned::to_owned).to_vec();
    let image = super::super::tree::Image { exes: vec!["/bin/cat".into()], argv, ..Default::default() };
    tree.started(4_000_101, now..now + 2_000_000, image);
    (log, tree)
}

#[test]
fn alerts_about_foils_own_processes_are_never_the_techniques() {
    let now = clock::realtime() + 1_000_000_000;
    let (log, _tree) = run_of_two(now);
    let own = std::fs::read_link("/proc/self/exe").unwrap().shown();
    let mut told = 0_usize;
    // By the launcher, the init and its children before they act; with ids, as with the marker fields, and without.
    for (rule, name, pname, pid, ppid, at) in [
        ("Read sensitive file untrusted", "foil-launcher", "exe", 4_000_100, 4_000_099, now + 1_000_000),
        ("Read sensitive file untrusted", "foil-init", "foil-launcher", 4_000_101, 4_000_100, now - 1_000_000),
        ("Change thread namespace", "foil-init", "foil-launcher", 4_000_101, 4_000_100, now - 300_000),
        // A clock that is ahead by a moment: the name goes with the program.
        ("Change thread namespace", "foil-init", "foil-launcher", 4_000_101, 4_000_100, now + 100_000),
        ("Change thread namespace", "foil-init", "foil-launcher", 4_000_102, 4_000_100, now - 300_000),
        ("Write below root", "foil-launcher", "exe", 4_000_100, 4_000_099, now + 1_000_000),
        ("Read ssh information", "foil", "bash", 4_000_050, 4_000_049, now + 1_000_000),
        ("Read ssh information", "foil-init", "foil-launcher", 4_000_150, 4_000_100, now - 1_000_000),
    ] {
        let run = log.run().to_string();
        let command = format!("{name} __launcher");
        let all = serde_json::json!({
            "proc.pid": pid, "proc.ppid": ppid, "proc.name": name, "proc.pname": pname, "proc.cmdline": command,
            "proc.exepath": own, "user.uid": 0, "proc.env[FOIL_RUN_ID]": "", "fd.name": format!("/tmp/foil-{run}"),
        });
        let without = |names: &[&str]| {
            let mut fields = all.clone();
            names.iter().for_each(|name| drop(fields.as_object_mut().unwrap().remove(*name)));
            fields
        };
        for fields in [
            all.clone(),
            without(&["proc.ppid"]),
            without(&["proc.name", "proc.exepath", "proc.ppid"]),
            without(&["proc.pid", "proc.ppid"]),
            without(&["proc.pid", "proc.ppid", "proc.name", "proc.exepath"]),
            without(&["proc.pid", "proc.ppid", "proc.cmdline", "proc.exepath"]),
            without(&["proc.pid", "proc.ppid", "proc.name", "proc.cmdline"]),
        ] {
            if name == "foil" && fields.get("proc.exepath").is_none() && fields.get("proc.cmdline").is_none() {
                // The test's own program has another name.
                continue;
            }
            let mut event = falco(rule, fields.clone(), at);
            // The run's id in it ties it no better.
            event.likeness.as_mut().unwrap().mentions.push(run.clone());
            log.push(event);
            told += 1;
            let whose = log.read(0, 1_000).events.last().unwrap().attribution;
            assert_eq!(whose, Attribution::Stranger, "{fields:#}");
        }
    }
    assert!(told > 50);
}

#[test]
fn what_the_same_processes_do_from_then_on_is_the_techniques() {
    let now = clock::realtime() + 1_000_000_000;
    let (log, _tree) = run_of_two(now);
    let read = serde_json::json!({
        "proc.pid": 4_000_101, "proc.ppid": 4_000_100, "proc.name": "cat", "proc.cmdline": "cat /etc/shadow",
    });
    // Falco's name for a process that executed nothing is that of its birth.
    let add = serde_json::json!({
        "proc.pid": 4_000_102, "proc.ppid": 4_000_100, "proc.name": "foil-init", "proc.cmdline": "foil-init __launcher",
    });
    let like = serde_json::json!({ "proc.name": "cat", "proc.cmdline": "cat /etc/shadow" });
    log.push(falco("Read sensitive file untrusted", read, now + 500_000));
    log.push(falco("Adding ssh keys to authorized_keys", add, now + 100_000));
    log.push(falco("Read sensitive file untrusted", like.clone(), now + 500_000));
    // Not before it was `cat`.
    log.push(falco("Read sensitive file untrusted", like, now - 100_000_000));
    let whose: Vec<_> = log.read(0, 10).events.iter().map(|event| event.attribution).collect();
    assert_eq!(whose[..3], [Attribution::Tree, Attribution::Tree, Attribution::Likeness]);
    assert_ne!(whose[3], Attribution::Likeness);
}

#[test]
fn where_the_kernels_clock_is_too_coarse_the_program_tells() {
    let now = clock::realtime();
    let (log, _tree) = run_of_two(now);
    let audit = |pid: u32, at: u64, comm: &str, exe: &str| {
        let mut event = recorded(at, Some(pid), "");
        event.fields.extend([("comm", comm), ("exe", exe)].map(|(name, value)| (name.to_owned(), value.to_owned())));
        event
    };
    for (event, whose) in [
        // Up to 11 ms early: the program's own open, and the set-up just before it.
        (audit(4_000_101, now - 4_000_000, "cat", "/usr/bin/cat"), Attribution::Tree),
        (audit(4_000_101, now - 4_000_000, "foil-init", "/opt/foil"), Attribution::Stranger),
        (audit(4_000_102, now - 4_000_000, "foil-effect", "/opt/foil"), Attribution::Tree),
        (audit(4_000_102, now - 4_000_000, "foil-init", "/opt/foil"), Attribution::Stranger),
        (audit(4_000_100, now + 4_000_000, "foil-init", "/opt/foil"), Attribution::Stranger),
        (audit(4_000_101, now - 20_000_000, "cat", "/usr/bin/cat"), Attribution::Stranger),
    ] {
        log.push(event.clone());
        assert_eq!(log.read(0, 100).events.last().unwrap().attribution, whose, "{event:?}");
    }
}

#[test]
fn what_names_another_run_is_a_strangers_unless_it_names_this_one_too() {
    let (log, _) = log(LogLimits::default());
    let of = |mentions: &[&str]| {
        let mentions = mentions.iter().map(ToString::to_string).collect();
        let likeness = Some(Box::new(Likeness { mentions, ..Likeness::default() }));
        log.judge(&Recorded { likeness, ..recorded(u64::MAX - 1, None, "") })
    };
    let (own, other) = (log.run().as_str(), "01j9z3t0example00000000000");
    assert_eq!(of(&[]), Attribution::Window);
    assert_eq!(of(&[other]), Attribution::Stranger);
    assert_eq!(of(&[other, own]), Attribution::Marker);
}
