mod server;

use super::super::{Event, LogLimits, ProcessTree};
use super::*;
use axum::http::StatusCode;
use foil_record::Attribution;
use foil_text::RunId;
use server::{Server, UID};
use std::time::Duration;

fn arm(server: &Server) -> (Arc<EventLog>, FalcoLogs) {
    let log = Arc::new(EventLog::new(RunId::new(), Some(ProcessTree::of_nobody()), LogLimits::default()));
    let logs = FalcoLogs::arm(Arc::clone(&log), &server.cluster).expect("armed");
    (log, logs)
}

/// An alert about a pod of a run, as Falco writes it.
fn alert(run: &RunId) -> String {
    let time = jiff::Timestamp::now();
    format!(
        r#"{{"hostname":"x","output":"Sensitive file | pod=foil-{run}","output_fields":{{"k8s.pod.name":"foil-{run}","proc.pid":7}},"priority":"Warning","rule":"Read sensitive file untrusted","time":"{time}"}}"#
    )
}

/// Looks, as a link does at its end; what is read by that look is read by none before, so that it looks twice.
fn settled(logs: &FalcoLogs) -> Option<String> {
    let _ = logs.verify();
    logs.verify().map(|blind| blind.to_string())
}

fn own(log: &EventLog) -> Vec<Event> {
    log.read_own(0, 100).events.into_iter().filter(|event| event.attribution == Attribution::Marker).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_of_all_pods_come_once_and_to_the_run_that_they_name() {
    let server = Server::start(UID).await;
    for name in ["a", "b"] {
        server.pod(name, |pod| pod.log = "2026-01-01T00:00:00Z {\"old\":1}\n".into());
    }
    let ((log, logs), (other, others)) = (arm(&server), arm(&server));
    assert_eq!(settled(&logs), None);
    assert!(log.read_own(0, 10).events.is_empty(), "what was there before is nobody's");
    for name in ["a", "b", "b"] {
        server.pod(name, |pod| pod.write(&alert(log.run())));
    }
    assert!(logs.verify().is_some_and(|blind| blind.to_string().contains("grace")), "they came after the last look");
    assert_eq!(settled(&logs), None);
    let mut nodes: Vec<String> = own(&log).into_iter().map(|event| event.fields["falco.node"].clone()).collect();
    nodes.sort();
    assert_eq!(nodes, ["node-a", "node-b", "node-b"]);
    assert_eq!((own(&log)[0].kind.as_str(), other.newest()), ("falco", 0));
    assert_eq!(settled(&others), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_read_blinds_until_it_can() {
    let server = Server::start(UID).await;
    server.pod("a", |pod| pod.status = Some(StatusCode::FORBIDDEN));
    let (log, logs) = arm(&server);
    let why = settled(&logs).expect("blind");
    assert!(why.contains("Falco's pod a: its log cannot be read") && why.contains("cannot get pods/log"), "{why}");
    server.pod("a", |pod| {
        pod.status = None;
        pod.write(&alert(log.run()));
    });
    assert_eq!(settled(&logs), None);
    assert_eq!(own(&log).len(), 1);
    server.script().list = Some(StatusCode::FORBIDDEN);
    assert!(settled(&logs).is_some_and(|why| why.contains("cannot be listed")));
    server.script().list = None;
    let pod = server.script().pods.remove("a").expect("it is there");
    server.script().pods.insert("b".into(), pod);
    let why = settled(&logs).expect("blind");
    assert!(why.contains("gone, and what falco wrote last with it"), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pods_and_another_cluster_are_said() {
    let server = Server::start(UID).await;
    let (_log, logs) = arm(&server);
    assert!(
        settled(&logs).is_some_and(|why| why.contains("app.kubernetes.io/name=falco") && why.contains("foil.yaml"))
    );
    let server = Server::start("00000000-0c0a-4c4e-9c3e-5f5d2c2f4b11").await;
    server.pod("a", |pod| pod.write("{}"));
    let (log, logs) = arm(&server);
    assert!(settled(&logs).is_some_and(|why| why.contains("another cluster")));
    assert_eq!((log.newest(), server.script().lists), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_container_wrote_before_it_was_started_again_is_read() {
    let server = Server::start(UID).await;
    server.pod("a", |pod| pod.write("Falco starts"));
    let (log, logs) = arm(&server);
    assert_eq!(settled(&logs), None);
    server.pod("a", |pod| {
        pod.write(&alert(log.run()));
        pod.restart();
        pod.write(&alert(log.run()));
    });
    let why = settled(&logs).expect("it noticed nothing meanwhile");
    assert!(why.contains("started again in the pod a, and noticed nothing meanwhile"), "{why}");
    assert_eq!(own(&log).len(), 2);
    let (log, logs) = arm(&server);
    assert_eq!(settled(&logs), None, "who came later is not concerned");
    drop(log);
    server.pod("a", |pod| {
        pod.restart();
        pod.restart();
    });
    assert!(settled(&logs).is_some_and(|why| why.contains("started more than once")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_falco_that_crashes_again_and_again_is_blind_whenever_it_is_looked_at() {
    let server = Server::start(UID).await;
    server.pod("a", |pod| pod.write("Falco starts"));
    server.pod("a", |pod| pod.waiting = true);
    let (_log, logs) = arm(&server);
    for _ in 0..3 {
        let why = settled(&logs).expect("blind");
        assert!(why.contains("does not run (CrashLoopBackOff)"), "{why}");
    }
    server.pod("a", |pod| pod.waiting = false);
    let (_log, logs) = arm(&server);
    assert_eq!(settled(&logs), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_replaced_blinds_and_is_read_on() {
    let server = Server::start(UID).await;
    server.pod("a", |pod| pod.write("one"));
    let (log, logs) = arm(&server);
    assert_eq!(settled(&logs), None);
    server.pod("a", |pod| {
        pod.log.clear();
        pod.write(&alert(log.run()));
    });
    assert!(settled(&logs).is_some_and(|why| why.contains("was replaced between two looks")));
    assert_eq!(own(&log).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn lies_are_no_alerts_of_ours_and_what_was_cut_blinds() {
    let server = Server::start(UID).await;
    server.pod("a", |pod| pod.write("{}"));
    let (log, logs) = arm(&server);
    let stranger = RunId::new();
    server.pod("a", |pod| {
        pod.write("Falco says something that is no JSON");
        pod.write(&alert(&stranger));
        pod.write(r#"{"falco.node":"elsewhere","falco":{"node":"elsewhere"},"rule":"x"}"#);
    });
    assert_eq!(settled(&logs), None);
    assert!(own(&log).is_empty());
    let events = log.read(0, 10).events;
    assert!(events.iter().any(|event| event.kind == "line" && event.fields["unparsed"] == "yes"));
    assert!(events.iter().all(|event| event.fields["falco.node"] == "node-a"));
    server.pod("a", |pod| pod.log.push_str(&format!("{} {}", jiff::Timestamp::now(), alert(log.run()))));
    assert!(settled(&logs).is_some_and(|why| why.contains("no end yet")));
    assert!(own(&log).is_empty(), "half a line");
    server.pod("a", |pod| pod.log.push('\n'));
    assert_eq!(settled(&logs), None);
    assert_eq!(own(&log).len(), 1);
    server.pod("a", |pod| pod.write(&alert(log.run())[..40]));
    assert!(settled(&logs).is_some_and(|why| why.contains("was cut")));
    let (log, logs) = arm(&server);
    server.pod("a", |pod| {
        pod.write(&format!("{{\"x\":\"{}\"}}", "y".repeat(5 << 20)));
        pod.write(&alert(log.run()));
    });
    assert!(settled(&logs).is_some_and(|why| why.contains("more than can be read")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_runs_ask_as_often_as_one_and_no_more_than_half_of_what_is_allowed_at_once() {
    let server = Server::start(UID).await;
    for number in 0..60 {
        server.pod(&format!("p{number}"), |pod| pod.log = "2026-01-01T00:00:00Z Falco starts\n".into());
    }
    server.script().delay = Duration::from_millis(5);
    let armed: Vec<_> = (0..1_000).map(|_| arm(&server)).collect();
    let before = server.script().lists;
    let last = &armed[999];
    server.pod("p7", |pod| pod.write(&alert(last.0.run())));
    let blind = armed.iter().take(3).filter_map(|(_, logs)| logs.verify()).count();
    assert_eq!(blind, 0);
    assert_eq!(own(&last.0).len(), 1);
    let script = server.script();
    assert!(script.lists - before <= 8, "{} lists", script.lists - before);
    assert!((2..=8).contains(&script.most_in_flight), "{} at once", script.most_in_flight);
}
