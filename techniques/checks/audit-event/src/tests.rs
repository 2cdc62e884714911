use super::*;
use foil_sdk::events::Event;
use foil_sdk::{Basis, EventReference, Value, fake};

fn uname() -> Event {
    fake::event("execve")
        .with("exe", "/usr/bin/uname")
        .with("comm", "uname")
        .with("argv", "uname -a")
        .with("paths", "/bin/uname '/odd name'\\''s/x' /lib64/ld.so")
        .with("pid", 123)
        .with("uid", 0)
        .with("key", r"foil\x01exec")
        .with("success", "yes")
}

fn host(events: impl IntoIterator<Item = Event>) -> fake::Host {
    let host = fake::Host::for_check(include_str!("../check.toml"));
    host.arm("linux.audit");
    for event in events {
        host.event("linux.audit", event);
    }
    host
}

fn count(host: &fake::Host, query: &[(&str, Value)]) -> usize {
    host.probe::<AuditEvent>(query, 0).unwrap().sightings.len()
}

#[test]
fn a_sighting_says_what_when_and_who() {
    let host = host([fake::event("exit_group"), uname()]);
    let seen = host.probe::<AuditEvent>(&[("event", "execve".into())], 0).unwrap();
    assert_eq!((seen.looked_at, seen.cursor, seen.sightings.len()), (2, 2, 1));
    let sighting = &seen.sightings[0];
    assert_eq!(sighting.summary, "execve /usr/bin/uname -a by pid 123 (uid 0)");
    let reference = EventReference { collector: "linux.audit".to_owned(), sequence: 2 };
    assert_eq!(sighting.basis, Basis::Events(vec![reference]));
}

#[test]
fn every_parameter_narrows() {
    let host = host([uname()]);
    for (name, hit, miss) in [
        ("event", "openat, execve", "execveat"),
        ("exe", "**/uname", "/usr/*"),
        ("comm", "un?me", "uname2"),
        ("path", "/bin/*", "/etc/*"),
        ("argv", "-a", "-r"),
        ("key", "exec", "exe"),
    ] {
        assert_eq!(count(&host, &[(name, hit.into())]), 1, "{name} {hit}");
        assert_eq!(count(&host, &[(name, miss.into())]), 0, "{name} {miss}");
    }
    // All of them must fit.
    assert_eq!(count(&host, &[("event", "execve".into()), ("exe", "**/id".into())]), 0);
    assert_eq!(count(&host, &[("path", "/odd name's/x".into())]), 1);
    assert_eq!(count(&host, &[("path", "/lib64/*".into())]), 1);
    assert_eq!(count(&host, &[("event", "execve".into()), ("success", true.into())]), 1);
    assert_eq!(count(&host, &[("event", "execve".into()), ("success", false.into())]), 0);
}

#[test]
fn what_foil_saw_itself_is_looked_at_where_it_is_asked_for() {
    let host = host([]);
    host.event("foil.observed", uname());
    let query = [("event", "execve".into()), ("collector", "foil.observed".into())];
    assert_eq!(count(&host, &query), 1);
    assert_eq!(count(&host, &[("event", "execve".into())]), 0, "the audit stream has none");
}

#[test]
fn a_look_goes_on_where_the_last_one_ended() {
    let host = host([uname()]);
    let query = [("event", Value::from("execve"))];
    let first = host.probe::<AuditEvent>(&query, 0).unwrap();
    assert!(host.probe::<AuditEvent>(&query, first.cursor).unwrap().sightings.is_empty());
    host.event("linux.audit", uname());
    assert_eq!(host.probe::<AuditEvent>(&query, first.cursor).unwrap().sightings.len(), 1);
}

#[test]
fn a_flood_is_read_to_its_end_and_told_in_parts() {
    let noise = (0..450).map(|_| fake::event("openat"));
    let host = self::host(noise.chain([uname()]));
    let seen = host.probe::<AuditEvent>(&[("event", "execve".into())], 0).unwrap();
    assert_eq!((seen.looked_at, seen.sightings.len()), (451, 1));

    let host = self::host((0..1_000).map(|_| uname()));
    let first = host.probe::<AuditEvent>(&[("event", "execve".into())], 0).unwrap();
    assert_eq!((first.sightings.len(), first.cursor), (200, 200));
    let second = host.probe::<AuditEvent>(&[("event", "execve".into())], first.cursor).unwrap();
    assert_eq!(second.cursor, 400, "nothing is skipped");
}

#[test]
fn a_collector_that_could_not_listen_is_no_empty_answer() {
    let host = host([uname()]);
    host.blind("linux.audit", "dead-collector");
    let error = host.probe::<AuditEvent>(&[("event", "execve".into())], 0).unwrap_err();
    assert_eq!(error.code(), Some("dead-collector"));
}

#[test]
fn a_query_that_everything_matches_is_refused() {
    let host = host([uname()]);
    for query in [
        &[][..],
        &[("success", true.into())],
        &[("event", " ".into())],
        &[("event", "execve".into()), ("argv", "".into())],
    ] {
        assert!(matches!(host.probe::<AuditEvent>(query, 0), Err(Error::Invalid(_))), "{query:?}");
    }
}

#[test]
fn other_calls_are_told_by_what_they_touch() {
    for (exit, words) in
        [("-13", "refused with -13"), ("-115", "not finished when it returned: -115"), ("-2", "failed with -2")]
    {
        let event = fake::event("openat")
            .with("path", "/etc/shadow")
            .with("exe", "/usr/bin/cat")
            .with("comm", "cat")
            .with("pid", 124)
            .with("uid", 65534)
            .with("success", "no")
            .with("exit", exit);
        let host = host([event]);
        let seen = host.probe::<AuditEvent>(&[("path", "/etc/shadow".into()), ("success", false.into())], 0).unwrap();
        assert_eq!(seen.sightings[0].summary, format!("openat /etc/shadow by cat, pid 124 (uid 65534), {words}"));
    }
}

#[test]
fn long_lines_are_cut_between_characters() {
    let long = format!("uname {}", "é".repeat(5_000));
    let host = host([fake::event("execve").with("exe", "/bin/uname").with("argv", long)]);
    let seen = host.probe::<AuditEvent>(&[("exe", "**/uname".into())], 0).unwrap();
    let sighting = &seen.sightings[0];
    assert!(sighting.summary.len() <= 300 && sighting.summary.ends_with('…'));
}

#[test]
fn an_incomplete_event_is_a_doubt_where_it_could_match() {
    let doubtful = |event: Event, query: &[(&str, Value)]| {
        host([event.with("incomplete", "yes")])
            .probe::<AuditEvent>(query, 0)
            .is_err_and(|e| e.code() == Some("incomplete"))
    };
    let cut = || uname().with("records", "SYSCALL EXECVE PROCTITLE");
    assert!(doubtful(cut(), &[("argv", "--the-end".into())]) && doubtful(cut(), &[("path", "/etc/shadow".into())]));
    for other in [("event", "openat"), ("exe", "/bin/cat"), ("key", "other")] {
        assert!(!doubtful(cut(), &[(other.0, other.1.into()), ("argv", "--the-end".into())]), "{other:?}");
    }
    assert!(!doubtful(cut(), &[("argv", "uname".into())]), "it was found");
    let torn = fake::event("path").with("records", "PATH").with("path", "/x");
    assert!(doubtful(torn, &[("event", "openat".into()), ("key", "k".into())]));
    assert!(host([cut()]).probe::<AuditEvent>(&[("argv", "--the-end".into())], 0).is_ok());
}
