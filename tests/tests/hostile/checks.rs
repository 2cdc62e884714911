//! Checks that lie. What they say is believed only where it can be true.

use foil_tests::hostile::{Ended, Guest, Stage};

/// One sighting: when, how it is tied to the run, whether only Foil saw it.
fn sighting(guest: &mut Guest, at: &str, attribution: u8, own: u8) -> String {
    let [summary, length] = guest.string("seen, honestly");
    let record = guest.words(&[0, 0, summary, length, u32::from(attribution) | u32::from(own) << 8, 0, 0, 0, 0, 0]);
    format!(
        "(call $now (i32.const 640)) (local.set $n (i64.load (i32.const 648)))
        (i64.store (i32.const {record}) {at}) (call $sightings (i32.const {record}) (i32.const 1))"
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

fn claims(at: &str, attribution: u8, own: u8) -> Ended {
    let mut check = Guest::check("test.claims");
    let act = sighting(&mut check, at, attribution, own);
    watched_by(&check.act(&act))
}

#[track_caller]
fn link(ended: &Ended, verdict: &str) {
    assert_eq!(ended.report()["links"][0]["verdict"], verdict, "{}", ended.stdout);
}

const NOW: &str = "(local.get $n)";

#[test]
fn what_can_be_true_is_believed() {
    let ended = claims(NOW, 0, 0);
    ended.is("pass", 0, "");
    link(&ended, "seen");
}

#[test]
fn an_event_of_a_stranger() {
    let ended = claims(NOW, 4, 0);
    ended.is("fail", 1, "telemetry (missed)");
    link(&ended, "missed");
}

#[test]
fn an_event_from_before_the_detonation() {
    for at in ["(i64.const 0)", "(i64.const 1000000000)", "(i64.sub (local.get $n) (i64.const 60000000000))"] {
        let ended = claims(at, 0, 0);
        ended.is("fail", 1, "telemetry (missed)");
    }
}

#[test]
fn an_event_from_the_future() {
    for at in ["(i64.const -1)", "(i64.add (local.get $n) (i64.const 3600000000000))"] {
        let ended = claims(at, 0, 0);
        assert_ne!(ended.report()["links"][0]["verdict"], "seen", "{}", ended.stdout);
        assert_ne!(ended.code, 0);
    }
}

#[test]
fn an_event_that_only_foil_saw() {
    let ended = claims(NOW, 0, 1);
    ended.is("inconclusive", 3, "telemetry is unknown");
    link(&ended, "unknown");
}

#[test]
fn an_attribution_that_does_not_exist() {
    let ended = claims(NOW, 9, 0);
    ended.is("inconclusive", 3, "could not look");
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
    // 40 bytes each, of which the host makes larger things of its own.
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
