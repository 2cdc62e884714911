//! What senders may do to the inbox, and what it says to them.

use super::support::{Client, events, inbox, log, log_of, until, values};
use foil_collector::inbox::Inbox;
use foil_collector::{Blindness, LogLimits, ProcessTree};
use foil_policy::sources::InboxSource;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

#[test]
fn each_sender_has_its_place_and_its_kind() {
    let log = log();
    let (inbox, subscription) = inbox(&log);
    let mut client = Client::to(inbox.address());
    for (path, body) in [
        ("/falco", r#"{"rule":"r","priority":"Warning"}"#),
        ("/falcosidekick", r#"{"rule":"r","priority":"Warning","uuid":"u"}"#),
        ("/alertmanager", r#"{"alerts":[{"status":"firing","labels":{"alertname":"a"}}]}"#),
        ("/kubernetes-audit", r#"{"kind":"EventList","items":[{"verb":"get"},{"verb":"list"}]}"#),
        ("/events", "{\"a\":1}\n{\"a\":2}\n"),
    ] {
        let (status, answer) = client.post(path, body);
        assert_eq!(status, 200, "{answer}");
    }
    let kinds: Vec<String> = events(&log).into_iter().map(|e| e.kind).collect();
    assert_eq!(kinds, ["falco", "falco", "alertmanager", "kubernetes-audit", "kubernetes-audit", "event", "event"]);
    assert_eq!(client.send("GET /healthz", "", b"").0, 200);
    assert_eq!(subscription.verify(), None);
    drop(subscription);
    assert_eq!(client.post("/events", r#"{"a":3}"#).0, 200, "nobody listens, and that is no fault of the sender's");
    assert_eq!(log.newest(), 7);
}

#[test]
fn whatever_is_wrong_is_told_in_a_sentence() {
    let log = log();
    let (inbox, _subscription) = inbox(&log);
    let json = "Content-Type: application/json\r\n";
    for (first, heads, body, status, says) in [
        ("GET /falco", json, "", 405, "by POST, not by GET"),
        ("POST /nowhere", json, "{}", 404, "POST /falco"),
        ("POST /events/below", json, "{}", 404, "no `token-file`"),
        ("POST /events", "", "{}", 415, "Content-Type: application/json"),
        ("POST /falco", "Content-Type: text/plain\r\n", "x", 415, "json_output: true"),
        ("POST /events", "Content-Type: application/json\r\nContent-Encoding: gzip\r\n", "x", 415, "compressed"),
        ("POST /events", json, "{\"a\":", 400, "is no JSON: EOF"),
        ("POST /events", json, "\x00\u{fffd}", 400, "is no JSON"),
        ("POST /falco", json, "{\"a\":1}", 400, "no alert of Falco's"),
    ] {
        let (got, answer) = Client::to(inbox.address()).send(first, heads, body.as_bytes());
        assert_eq!(got, status, "{first} {heads}: {answer}");
        assert!(answer.contains(says), "{answer}");
    }
    assert_eq!(Client::to(inbox.address()).send("POST /events", json, &[0xff; 100]).0, 400);
    assert_eq!(log.newest(), 0);
}

#[test]
fn the_token_is_asked_for_before_anything_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let token = "a-token-of-some-length";
    let path = folder.path().join("token");
    std::fs::write(&path, format!("{token}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    let source =
        InboxSource { listen: "127.0.0.1:0".into(), token_file: Some("token".into()), ..InboxSource::default() };
    let log = log();
    let inbox = Inbox::open(&source, folder.path()).unwrap();
    let _subscription = inbox.subscribe(&log);
    let send = |path: &str, authorization: &str| {
        let heads = format!("Content-Type: application/json\r\n{authorization}");
        Client::to(inbox.address()).send(&format!("POST {path}"), &heads, b"{\"a\":1}").0
    };
    assert_eq!(send("/events", &format!("Authorization: Bearer {token}\r\n")), 200);
    assert_eq!(send("/events", &format!("Authorization: bearer {token}\r\n")), 200);
    assert_eq!(send(&format!("/events/{token}"), ""), 200);
    for (path, authorization) in [
        ("/events", ""),
        ("/events/", ""),
        ("/events/a-token-of-some-lengtH", ""),
        ("/events", "Authorization: Bearer \r\n"),
        ("/events", "Authorization: Bearer a-token-of-some-length2\r\n"),
        ("/events", "Authorization: Basic a-token-of-some-length\r\n"),
        ("/events", "Authorization: é\r\n"),
    ] {
        assert_eq!(send(path, authorization), 401, "{path} {authorization}");
    }
    assert_eq!(log.newest(), 3);
    // A body of 4 MiB is announced and never sent: the answer comes all the same.
    let mut client = Client::to(inbox.address());
    write!(
        client.0,
        "POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 4194304\r\n\r\n"
    )
    .unwrap();
    assert_eq!(client.answer().0, 401);
}

#[test]
fn one_address_is_one_server_and_another_programs_is_said_to_be_in_use() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    let source = InboxSource { listen: address.to_string(), ..InboxSource::default() };
    let error = format!("{:#}", Inbox::open(&source, Path::new("/")).unwrap_err());
    assert!(error.contains(&format!("cannot listen on {address}")) && error.contains("in use"), "{error}");
    drop(free);
    let first = Inbox::open(&source, Path::new("/")).unwrap();
    let second = Inbox::open(&source, Path::new("/elsewhere")).unwrap();
    assert!(std::sync::Arc::ptr_eq(&first, &second));
    let other = InboxSource { token_file: Some("t".into()), ..source.clone() };
    assert!(Inbox::open(&other, Path::new("/")).unwrap_err().to_string().contains("another `token-file`"));
    drop((first, second));
    drop(Inbox::open(&source, Path::new("/")).expect("the address is free again"));
}

#[test]
fn a_gigabyte_is_refused_early_and_memory_stays_flat() {
    let log = log();
    let (inbox, _subscription) = inbox(&log);
    let resident = || {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap().to_owned();
        line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() >> 10
    };
    let before = resident();
    for heads in ["Content-Length: 1073741824\r\n", "Transfer-Encoding: chunked\r\n"] {
        let mut stream = TcpStream::connect(inbox.address()).unwrap();
        write!(stream, "POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n{heads}\r\n").unwrap();
        let chunk = [b"100000\r\n".to_vec(), vec![b' '; 1 << 20], b"\r\n".to_vec()].concat();
        let mut sent = 0;
        while sent < 1 << 30 && stream.write_all(&chunk).is_ok() {
            sent += 1 << 20;
        }
        assert!(sent < 64 << 20, "{sent} bytes were taken");
        let mut answer = String::new();
        // What is still on its way makes the kernel reset the connection, sometimes before the answer is read.
        if stream.read_to_string(&mut answer).is_ok() || !answer.is_empty() {
            assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
        }
    }
    assert!(resident() < before + 64, "{before} MiB became {} MiB", resident());
    // Announced only: the answer is read for certain.
    let mut client = Client::to(inbox.address());
    write!(
        client.0,
        "POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n"
    )
    .unwrap();
    let (status, answer) = client.answer();
    assert!(status == 413 && answer.contains("send fewer events"), "{answer}");
    assert_eq!(log.newest(), 0);
}

#[test]
fn connections_that_say_nothing_do_not_keep_others_out() {
    let log = log();
    let (inbox, _subscription) = inbox(&log);
    // Some say nothing, some stop in the head, some in the body.
    let halves = [
        "",
        "POST /events HTTP/1.1\r\nHo",
        "POST /events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{",
    ];
    let open: Vec<TcpStream> = (0..400)
        .map(|n| {
            let mut stream = TcpStream::connect(inbox.address()).unwrap();
            stream.write_all(halves[n % 3].as_bytes()).unwrap();
            stream
        })
        .collect();
    let began = Instant::now();
    assert_eq!(Client::to(inbox.address()).post("/events", r#"{"a":1}"#).0, 200);
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    // They end by themselves.
    for (n, mut stream) in open.into_iter().enumerate().skip(394) {
        stream.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the connection is closed");
        assert!(n % 3 != 2 || answer.starts_with("HTTP/1.1 408"), "{answer}");
    }
}

#[test]
fn a_full_log_refuses_and_says_so_and_nothing_that_was_accepted_is_lost() {
    let tree = ProcessTree::without_connector();
    let (small, large) = (log_of(&tree, LogLimits { events: 10, bytes: 1 << 20 }), log_of(&tree, LogLimits::default()));
    let (inbox, subscription) = inbox(&small);
    let other = inbox.subscribe(&large);
    let mut client = Client::to(inbox.address());
    for n in 0..10 {
        assert_eq!(client.post("/events", format!(r#"{{"n":{n}}}"#)).0, 200);
    }
    let (status, answer) = client.post("/events", r#"{"n":10}"#);
    assert!(status == 503 && answer.to_ascii_lowercase().contains("retry-after: 1"), "{answer}");
    // All or nothing, for the other run too: it would have it twice once it is sent again.
    assert_eq!((small.newest(), large.newest()), (10, 10));
    assert!(matches!(subscription.verify(), Some(Blindness::Lost(why)) if why.contains("503")));
    // Not every sender comes again: what was refused was for the other as well.
    assert!(matches!(other.verify(), Some(Blindness::Lost(why)) if why.contains("503")));
    // An event for one run is not held up by another's.
    let (status, _) = client.post("/events", format!(r#"{{"id":"{}"}}"#, large.run()));
    assert_eq!((status, small.newest(), large.newest()), (200, 10, 11));
    assert_eq!(values(&small, "n"), (0..10).map(|n| n.to_string()).collect::<Vec<_>>());
    drop(subscription);
    until("room", || client.post("/events", r#"{"n":10}"#).0 == 200);
}
