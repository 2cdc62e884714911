//! What was lost or refused on the way in counts against every absence that it may explain, and against no other.

use super::support::{Client, events, inbox, log, source, until};
use foil_collector::file::Follower;
use foil_collector::inbox::Inbox;
use foil_collector::{Blindness, Interest};
use foil_policy::sources::{FileFormat, InboxSource};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const JSON: &str = "Content-Type: application/json\r\n";

/// A link that looks for events of this kind.
fn of(kind: &str) -> Interest {
    Interest { kinds: Some([kind.to_owned()].into()), ..Interest::default() }
}

#[track_caller]
fn lost(blind: Option<Blindness>) -> String {
    match blind {
        Some(Blindness::Lost(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_refused_request_blinds_links_of_its_kind() {
    for (first, heads, body, status, kind) in [
        ("POST /falco", "Content-Type: text/plain\r\n", "10:00: Notice A shell", 415, "falco"),
        ("POST /falco", JSON, "{\"rule\":", 400, "falco"),
        ("POST /falcosidekick", JSON, "{\"a\":1}", 400, "falco"),
        ("POST /alertmanager", JSON, "{}", 400, "alertmanager"),
        ("POST /kubernetes-audit", JSON, "[]", 400, "kubernetes-audit"),
        ("PUT /events", JSON, "{}", 405, "event"),
        ("POST /events/token", JSON, "{}", 404, "event"),
    ] {
        let log = log();
        let (inbox, subscription) = inbox(&log);
        assert_eq!(Client::to(inbox.address()).send(first, heads, body.as_bytes()).0, status, "{first}");
        let why = lost(subscription.verify_about(&of(kind)));
        assert!(why.contains("127.0.0.1") && why.contains(&format!("HTTP {status}")), "{why}");
        assert!(!why.contains("/token"), "{why}");
        assert_eq!(subscription.verify_about(&of("another")), None, "{first}");
        assert!(subscription.verify().is_some(), "a link that says no kind may look for it");
    }
}

#[test]
fn a_place_that_is_not_there_may_have_been_meant_for_anybody() {
    let log = log();
    let (inbox, subscription) = inbox(&log);
    for looks in ["GET /", "GET /healthz", "GET /falco", "OPTIONS /events"] {
        Client::to(inbox.address()).send(looks, "", b"");
    }
    assert_eq!(subscription.verify(), None, "load balancers look, and say nothing");
    assert_eq!(Client::to(inbox.address()).post("/flaco", "{}").0, 404);
    assert!(lost(subscription.verify_about(&of("falco"))).contains("/flaco"));
}

#[test]
fn what_comes_without_the_token_is_a_loss_and_after_the_run_is_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let token = folder.path().join("token");
    std::fs::write(&token, "a-token-of-some-length").expect("writable");
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).expect("ours");
    let source =
        InboxSource { listen: "127.0.0.1:0".into(), token_file: Some("token".into()), ..InboxSource::default() };
    let inbox = Inbox::open(&source, folder.path()).expect("an inbox");
    let (before, now) = (log(), log());
    drop(inbox.subscribe(&before));
    let subscription = inbox.subscribe(&now);
    assert_eq!(Client::to(inbox.address()).post("/falco/wrong", "{}").0, 401);
    assert!(lost(subscription.verify()).contains("HTTP 401") && before.blind().is_none());
    assert_eq!(inbox.subscribe(&log()).verify(), None, "a run that began later");
}

#[test]
fn a_sender_that_speaks_tls_is_told_apart_from_one_that_only_looks() {
    let log = log();
    let (inbox, subscription) = inbox(&log);
    drop(Client::to(inbox.address()));
    std::thread::sleep(std::time::Duration::from_millis(50));
    assert_eq!(subscription.verify(), None);
    let mut client = Client::to(inbox.address());
    client.0.write_all(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").expect("sent");
    until("the loss", || subscription.verify().is_some());
    assert!(lost(subscription.verify()).contains("is it TLS?"));
}

#[test]
fn alerts_that_alertmanager_left_out_are_lost() {
    let log = log();
    let (inbox, subscription) = inbox(&log);
    let body =
        |n: u32| format!(r#"{{"truncatedAlerts":{n},"alerts":[{{"status":"firing","labels":{{"alertname":"a"}}}}]}}"#);
    assert_eq!(Client::to(inbox.address()).post("/alertmanager", body(0)).0, 200);
    assert_eq!(subscription.verify(), None);
    assert_eq!(Client::to(inbox.address()).post("/alertmanager", body(3)).0, 200);
    assert!(lost(subscription.verify_about(&of("alertmanager"))).contains("3 alerts"));
    assert_eq!((subscription.verify_about(&of("falco")), events(&log).len()), (None, 2));
}

/// Falco's word that it lost so many events.
fn dropped(count: &str, host: &str) -> String {
    format!(
        r#"{{"output":"Falco internal: syscall event drop. {count} system calls dropped in last second.","hostname":"{host}",
           "output_fields":{{"n_drops":"{count}","n_evts":"9000"}},"priority":"Debug","source":"internal",
           "rule":"Falco internal: syscall event drop","time":"2026-11-28T10:00:00.946068858Z"}}"#
    )
    .replace('\n', "")
}

#[test]
fn what_falco_dropped_blinds_its_host_and_is_no_alert() {
    let (folder, pushed, followed) = (tempfile::tempdir().expect("a folder"), log(), log());
    let path = folder.path().join("falco.jsonl");
    std::fs::write(&path, "").expect("writable");
    let follower = Follower::arm(followed.clone(), &source(&path, FileFormat::Json)).expect("followed");
    let (inbox, subscription) = inbox(&pushed);
    let mut file = std::fs::OpenOptions::new().append(true).open(&path).expect("there");
    let mut say = |line: &str| {
        writeln!(file, "{line}").expect("written");
        assert_eq!(Client::to(inbox.address()).post("/falco", line).0, 200);
    };
    say(&dropped("0", "web1"));
    assert_eq!((follower.verify(), subscription.verify()), (None, None), "nothing was lost");
    say(&dropped("17", "web1"));
    say(&dropped("3", "web1"));
    for blind in [follower.verify(), subscription.verify_about(&of("falco"))] {
        assert_eq!(lost(blind), "Falco lost 20 events on web1");
    }
    assert_eq!((events(&followed), events(&pushed)), (vec![], vec![]), "it would be a match of some other rule");
    assert_eq!(subscription.verify_about(&of("alertmanager")), None);

    // Another host's Falco is told apart once this one's is known by its name.
    let here = Interest { host: Some("db2".into()), ..Interest::default() };
    assert!(follower.verify_about(&here).is_some());
    say(
        r#"{"rule":"Terminal shell in container","priority":"Notice","hostname":"db2","output_fields":{"proc.name":"sh"}}"#,
    );
    assert_eq!((follower.verify_about(&here), subscription.verify_about(&here)), (None, None));
    let elsewhere = |named: &str| Interest { named: Some(named.into()), ..Interest::default() };
    assert!(follower.verify_about(&elsewhere("web*")).is_some() && follower.verify_about(&elsewhere("db*")).is_none());
}

#[test]
fn lines_that_are_not_json_blind_and_those_behind_a_head_do_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("alerts.jsonl");
    let write = |bytes: &[u8]| {
        std::fs::OpenOptions::new().append(true).create(true).open(&path).and_then(|mut f| f.write_all(bytes))
    };
    for (bytes, blind) in [
        (&b"{\"n\":1}\n"[..], false),
        (b"\xef\xbb\xbf{\"n\":1}\r\n", false),
        (b"2026-11-28T10:00:00.1Z stdout F {\"n\":1}\n", false),
        (b"Nov 28 10:00:00 web1 falco[8]: {\"n\":1}\n", false),
        (b"{\"n\":1,\"cmd\":\"\xff\"}\n", true),
        (b"2026-11-28T10:00:00.1Z stdout P {\"n\":1}\n", true),
        (b"10:00:00.1: Notice A shell was spawned\n", true),
        (b"{\"torn\":\n", true),
        (b"[1]\n", true),
    ] {
        write(b"").expect("there");
        let log = log();
        let follower = Follower::arm(log.clone(), &source(Path::new(&path), FileFormat::Json)).expect("followed");
        write(bytes).expect("written");
        let shown = String::from_utf8_lossy(bytes);
        if blind {
            let why = lost(follower.verify());
            assert!(why.contains("1 line of") && why.contains("was not JSON (first: `"), "{shown}: {why}");
        } else {
            assert_eq!(follower.verify(), None, "{shown}");
            assert_eq!(events(&log)[0].fields["n"], "1", "{shown}");
        }
        assert_eq!(events(&log).len(), 1);
        let text = log_as_text(&path, bytes);
        assert_eq!(text, None, "only a source that says that it has JSON must have it");
    }
}

/// What blinds a follower that takes the same bytes for text.
fn log_as_text(path: &Path, bytes: &[u8]) -> Option<Blindness> {
    let log = log();
    let follower = Follower::arm(log.clone(), &source(path, FileFormat::Text)).expect("followed");
    std::fs::OpenOptions::new().append(true).open(path).and_then(|mut f| f.write_all(bytes)).expect("written");
    follower.verify()
}
