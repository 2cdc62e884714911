//! Checks that lie. What they say is believed only where it can be true.

use foil_tests::hostile::{Ended, Guest, Stage};

/// What a sighting says it rests on.
enum Basis<'a> {
    /// The moment, as instructions, of what the check saw elsewhere.
    Elsewhere(&'a str),
    /// Events: a collector and instructions for a number each.
    Events(&'a [(&'a str, &'a str)]),
}

/// One sighting.
fn sighting(guest: &mut Guest, basis: &Basis<'_>) -> String {
    let [summary, length] = guest.string("seen, honestly");
    let (kind, stores) = match basis {
        Basis::Elsewhere(at) => (1, format!("(i64.store (i32.add (local.get $i) (i32.const 8)) {at})")),
        Basis::Events(events) => {
            let words = events.iter().flat_map(|(name, _)| [&guest.string(name)[..], &[0, 0]].concat());
            let words: Vec<u32> = words.collect();
            let list = guest.words(&words);
            let numbers = events
                .iter()
                .enumerate()
                .map(|(n, (_, number))| format!("(i64.store (i32.const {}) {number})", list as usize + n * 16 + 8));
            let place = format!(
                "(i32.store (i32.add (local.get $i) (i32.const 8)) (i32.const {list}))
                (i32.store (i32.add (local.get $i) (i32.const 12)) (i32.const {}))",
                events.len()
            );
            (0, numbers.collect::<String>() + &place)
        }
    };
    let record = guest.words(&[kind, 0, 0, 0, summary, length, 0, 0, 0, 0, 0, 0]);
    format!(
        "(call $now (i32.const 640)) (local.set $n (i64.load (i32.const 648))) (local.set $i (i32.const {record}))
        {stores} (call $sightings (i32.const {record}) (i32.const 1))"
    )
}

/// Runs a harmless technique that this check watches.
fn watched_by(check: &Guest) -> Ended {
    let stage = Stage::new();
    let technique = Guest::technique("test.harmless");
    stage.add(&technique).add(check).grant(&technique.id).grant(&check.id);
    let file = stage.experiment(
        "watched",
        &format!(
            "technique: test.harmless\nexpect: [{{ link: telemetry, check: {}, within: 300ms, grace: 100ms }}]\n",
            check.id
        ),
    );
    stage.foil(&["run", &file, "--format", "json"])
}

/// `looks`: it may look at files, so that it can have seen something elsewhere.
fn claims(basis: &Basis<'_>, looks: bool) -> Ended {
    let mut check = Guest::check("test.claims");
    if looks {
        check = check.asks("files-read", "allow = [\"/nowhere/*\"]");
    }
    let act = sighting(&mut check, basis);
    watched_by(&check.act(&act))
}

/// A check that may read what Foil observed, and does so before it refers to something.
fn reads_and_claims(events: &[(&str, &str)], reads: bool) -> Ended {
    let mut check = Guest::check("test.reads").asks("events-read", "allow = [\"foil.observed\"]");
    let name = check.text("foil.observed");
    let act = sighting(&mut check, &Basis::Events(events));
    let read = format!("(call $events {name} (i64.const 0) (i32.const 10) (i32.const 512))");
    watched_by(&check.act(&if reads { format!("{read} {act}") } else { act }))
}

#[track_caller]
fn link(ended: &Ended, verdict: &str) {
    assert_eq!(ended.report()["links"][0]["verdict"], verdict, "{}", ended.stdout);
}

const NOW: &str = "(local.get $n)";

#[test]
fn a_check_without_a_collector_gives_its_word_and_no_more() {
    let ended = claims(&Basis::Elsewhere(NOW), true);
    ended.is("pass", 0, "check's word");
    link(&ended, "seen");
    let report = ended.report();
    let link = &report["links"][0];
    assert_eq!((&link["tied-by"], &link["caution"]["kind"]), (&"time".into(), &"check-word".into()));
    let evidence = &link["evidence"][0];
    assert_eq!((&evidence["attribution"], &evidence["events"]), (&"window".into(), &serde_json::json!([])));
}

#[test]
fn a_check_that_may_look_at_nothing_has_seen_nothing() {
    claims(&Basis::Elsewhere(NOW), false).is("inconclusive", 3, "may look at nothing");
}

#[test]
fn a_word_about_another_time_than_the_runs_own() {
    for at in [
        "(i64.const 0)",
        "(i64.const -1)",
        "(i64.sub (local.get $n) (i64.const 60000000000))",
        "(i64.add (local.get $n) (i64.const 1000000000))",
        "(i64.add (local.get $n) (i64.const 3600000000000))",
    ] {
        claims(&Basis::Elsewhere(at), true).is("fail", 1, "telemetry (missed)");
    }
}

#[test]
fn an_event_of_a_collector_that_it_was_not_granted() {
    for number in ["(i64.const 0)", "(i64.const 1)", "(i64.const -1)"] {
        let ended = claims(&Basis::Events(&[("linux.audit", number)]), false);
        ended.is("inconclusive", 3, "not believed");
        link(&ended, "unknown");
    }
}

#[test]
fn an_event_that_it_did_not_read() {
    for (events, reads) in [
        (&[("foil.observed", "(i64.const 1)")][..], false),
        (&[("foil.observed", "(i64.const 999999)")], true),
        (&[("foil.observed", "(i64.const 0)")], true),
        (&[("linux.audit", "(i64.const 1)")], true),
        (&[("foil.observed\u{1b}[2Jx", "(i64.const 1)")], true),
    ] {
        let ended = reads_and_claims(events, reads);
        ended.is("inconclusive", 3, "not believed");
        link(&ended, "unknown");
    }
}

#[test]
fn a_sighting_that_rests_on_nothing_or_on_a_heap() {
    reads_and_claims(&[], true).is("inconclusive", 3, "not believed");
    reads_and_claims(&vec![("foil.observed", "(i64.const 1)"); 17], true).is("inconclusive", 3, "not believed");
}

#[test]
fn a_basis_that_does_not_exist() {
    let mut check = Guest::check("test.claims");
    let act = sighting(&mut check, &Basis::Elsewhere(NOW));
    let act = act.replace("(call $sightings", "(i32.store (local.get $i) (i32.const 7)) (call $sightings");
    watched_by(&check.act(&act)).is("inconclusive", 3, "could not look");
}

#[test]
fn a_check_that_traps_loops_or_lies_about_its_size() {
    for (act, word) in [
        ("unreachable", "trapped"),
        ("(loop $l (br $l)) unreachable", "`cpu-ms`"),
        ("(call $sightings (i32.const 0) (i32.const 0x10000000))", "trapped"),
        ("(call $sightings (i32.const -8) (i32.const 1))", "trapped"),
        ("(i32.const 513)", "trapped"),
    ] {
        let ended = watched_by(&Guest::check("test.broken").act(act));
        ended.is("inconclusive", 3, word);
        link(&ended, "unknown");
    }
}

#[test]
fn fifty_thousand_sightings() {
    // 48 bytes each, of which the host makes larger things of its own.
    let act = "(call $sightings (i32.const 4096) (i32.const 50000))";
    let ended = watched_by(&Guest::check("test.flood").memory("40").act(act));
    assert_ne!(ended.report()["verdict"], "pass", "{}", ended.stdout);
    assert!(ended.stdout.len() < 100_000, "{} bytes", ended.stdout.len());
}

#[test]
fn a_collector_that_was_not_asked_for() {
    let mut check = Guest::check("test.curious").asks("events-read", "allow = [\"foil.observed\"]");
    let name = check.text("linux.audit");
    let call = format!(
        "(call $events {name} (i64.const 0) (i32.const 10) (i32.const 512))
        (if (result i32) (i32.load8_u (i32.const 512)) (then (i32.const 512)) (else (call $nothing)))"
    );
    watched_by(&check.act(&call)).is("inconclusive", 3, "denied: `events-read`");
}

#[test]
fn a_cursor_that_runs_backwards() {
    let act = "(drop (call $nothing)) (i64.store (i32.const 528) (i64.const -1)) (i32.const 512)";
    watched_by(&Guest::check("test.cursor").act(act)).is("fail", 1, "telemetry (missed)");
}
