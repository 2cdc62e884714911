use super::*;
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
