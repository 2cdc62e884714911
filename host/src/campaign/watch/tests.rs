use super::super::attest::Cited;
use super::*;
use foil_collector::{Judged, Recorded};
use foil_record::{Attribution, CautionKind};
use std::collections::BTreeMap;
use std::sync::Arc;

struct Script {
    looks: Vec<Result<Seen, PhaseError>>,
    blind: Option<Blindness>,
    rest: Vec<Passed>,
}

impl Sight for Script {
    async fn look(&mut self, cursor: u64) -> Result<Seen, PhaseError> {
        if self.looks.is_empty() {
            return Ok(Seen { cursor, ..Seen::default() });
        }
        self.looks.remove(0)
    }
    async fn look_at_the_rest(&mut self) -> Rest {
        Rest { passed: self.rest.clone(), more: false }
    }
    async fn news(&self) {
        std::future::pending().await
    }
    fn lacking(&self) -> Lacking {
        Lacking::default()
    }
    fn blind(&self) -> Option<Blindness> {
        self.blind.clone()
    }
}

const ZERO_NS: u64 = 1_000_000_000_000;

/// A sighting of an alert of Falco's.
fn alert(after_ms: i64, attribution: Attribution, own_observation: bool) -> Attested {
    let at = ZERO_NS.saturating_add_signed(after_ms * 1_000_000);
    let fields = [("rule", "r"), ("priority", "Warning"), ("output", "o")].map(|(n, v)| (n.to_owned(), v.to_owned()));
    let event = Recorded {
        at,
        kind: "falco".into(),
        own_observation,
        process: None,
        likeness: None,
        fields: BTreeMap::from(fields),
    };
    let judged = Judged { sequence: 7, attribution, event: Arc::new(event) };
    Attested {
        at,
        attribution,
        own_observation,
        events: vec![Cited { collector: "inbox".into(), judged }],
        summary: "an alert".into(),
        severity: None,
        facts: BTreeMap::new(),
    }
}

/// What a check saw elsewhere, by its word.
fn word(at: u64) -> Attested {
    Attested { at, events: Vec::new(), ..alert(0, Attribution::Window, false) }
}

/// A line that is dated into the future does not make the link late, and hides nothing that comes after it.
#[tokio::test]
async fn a_clock_that_is_ahead_makes_nothing_late() {
    use Attribution::Tree;
    let now = crate::capability::unix_nanos();
    let ahead = |hours: u64| Attested { at: now.saturating_add(hours * 3_600_000_000_000), ..alert(0, Tree, false) };
    let script = Script { looks: vec![seen([ahead(1), ahead(24)])], blind: None, rest: Vec::new() };
    let report = watched(&mut { script }, TiedBy::Time, now).await;
    assert_eq!(report.verdict, LinkVerdict::Seen, "{:?}", report.reason);
}

fn seen(sightings: impl IntoIterator<Item = Attested>) -> Result<Seen, PhaseError> {
    Ok(Seen { sightings: sightings.into_iter().collect(), cursor: 1, looked_at: 1, remark: None })
}

fn one(after_ms: i64, attribution: Attribution, own_observation: bool) -> Result<Seen, PhaseError> {
    seen([alert(after_ms, attribution, own_observation)])
}

async fn watched(sight: &mut impl Sight, demanded: TiedBy, zero_ns: u64) -> LinkReport {
    let text = "experiment: x\ntechnique: a.b\nexpect: [{ link: detection, check: c.d, within: 100ms, grace: 100ms }]";
    let experiment = super::super::experiment::parse(text).expect("valid");
    let zero = Zero { instant: Instant::now(), unix_ns: zero_ns };
    watch(&experiment.expect[0], zero, demanded, sight).await
}

async fn verdict(looks: Vec<Result<Seen, PhaseError>>, blind: Option<Blindness>) -> LinkReport {
    watched(&mut Script { looks, blind, rest: Vec::new() }, TiedBy::Time, ZERO_NS).await
}

#[tokio::test]
async fn verdicts() {
    use Attribution::Tree;
    assert_eq!(verdict(vec![one(5, Tree, false)], None).await.verdict, LinkVerdict::Seen);
    assert_eq!(verdict(vec![one(150, Tree, false)], None).await.verdict, LinkVerdict::Late);
    assert_eq!(verdict(vec![], None).await.verdict, LinkVerdict::Missed);
    // No look shows one; if one did, it would not count.
    assert_eq!(verdict(vec![one(5, Attribution::Stranger, false)], None).await.verdict, LinkVerdict::Missed);
}

#[tokio::test]
async fn what_could_not_be_looked_at_is_unknown_and_never_missed() {
    use Attribution::Tree;
    let lost = Blindness::Lost("3 by the kernel".into());
    assert_eq!(verdict(vec![], Some(lost.clone())).await.verdict, LinkVerdict::Unknown);
    // Lost events make an absence worthless, not a sighting.
    assert_eq!(verdict(vec![one(5, Tree, false)], Some(lost)).await.verdict, LinkVerdict::Seen);
    assert_eq!(verdict(vec![Err(PhaseError::Trap("unreachable".into()))], None).await.verdict, LinkVerdict::Unknown);
    let own = verdict(vec![one(5, Tree, true)], None).await;
    assert_eq!((own.verdict, own.evidence.len()), (LinkVerdict::Unknown, 1));
}

#[tokio::test]
async fn a_check_that_refers_to_what_it_did_not_read_is_not_believed() {
    let lie = PhaseError::Unfounded("event 9 of `inbox`, which it did not read in this look".into());
    let report = verdict(vec![Err(lie), one(5, Attribution::Tree, false)], None).await;
    assert_eq!(report.verdict, LinkVerdict::Unknown);
    assert!(report.reason.is_some_and(|why| why.contains("not believed") && why.contains("event 9 of `inbox`")));
}

#[tokio::test]
async fn nobody_looks_again_where_nothing_is_recorded() {
    struct Empty(u32);
    impl Sight for Empty {
        async fn look(&mut self, cursor: u64) -> Result<Seen, PhaseError> {
            self.0 += 1;
            Ok(Seen { cursor, ..Seen::default() })
        }
        async fn look_at_the_rest(&mut self) -> Rest {
            Rest::default()
        }
        async fn news(&self) {
            std::future::pending().await
        }
        fn lacking(&self) -> Lacking {
            Lacking::default()
        }
        fn is_worth_a_look(&self) -> bool {
            false
        }
        fn blind(&self) -> Option<Blindness> {
            None
        }
    }
    let mut sight = Empty(0);
    assert_eq!(watched(&mut sight, TiedBy::Time, ZERO_NS).await.verdict, LinkVerdict::Missed);
    // At the beginning, once the time is over, and from the beginning once more.
    assert!((2..=3).contains(&sight.0), "{} looks", sight.0);
}

#[tokio::test]
async fn what_is_known_late_to_be_this_runs_is_seen_in_the_end() {
    // Looks until the deadline show nothing; the one from the beginning does.
    struct Late(bool);
    impl Sight for Late {
        async fn look(&mut self, cursor: u64) -> Result<Seen, PhaseError> {
            let first = !std::mem::replace(&mut self.0, true);
            if cursor == 0 && !first { one(5, Attribution::Likeness, false) } else { seen([]) }
        }
        async fn look_at_the_rest(&mut self) -> Rest {
            panic!("it was seen")
        }
        async fn news(&self) {
            std::future::pending().await
        }
        fn lacking(&self) -> Lacking {
            Lacking::default()
        }
        fn blind(&self) -> Option<Blindness> {
            Some(Blindness::Lost("2".into()))
        }
    }
    let text = "experiment: x\ntechnique: a.b\nexpect: [{ link: detection, check: c.d, within: 50ms, grace: 50ms }]";
    let experiment = super::super::experiment::parse(text).expect("valid");
    let zero = Zero { instant: Instant::now(), unix_ns: ZERO_NS };
    let report = watch(&experiment.expect[0], zero, TiedBy::Time, &mut Late(false)).await;
    assert_eq!(report.verdict, LinkVerdict::Seen);
}

#[tokio::test]
async fn a_weak_tie_is_said_and_a_better_one_preferred() {
    use Attribution::{Likeness, Marker, Tree, Window};
    for (attribution, tied_by, kind) in [
        (Tree, TiedBy::Process, None),
        (Marker, TiedBy::Marker, None),
        (Likeness, TiedBy::Likeness, Some(CautionKind::Likeness)),
        (Window, TiedBy::Time, Some(CautionKind::TimeOnly)),
    ] {
        let report = verdict(vec![one(5, attribution, false)], None).await;
        assert_eq!((report.verdict, report.tied_by), (LinkVerdict::Seen, Some(tied_by)));
        assert_eq!(report.caution.as_ref().map(|caution| caution.kind), kind, "{attribution:?}");
        for field in ["proc.pid,", "proc.ppid", "proc.pid.ts", "proc.env[FOIL_RUN_ID]"] {
            assert_eq!(report.caution.as_ref().is_some_and(|caution| caution.text.contains(field)), kind.is_some());
        }
    }
    let both = verdict(vec![seen([alert(5, Window, false), alert(9, Tree, false)])], None).await;
    assert_eq!((both.caution, both.after_ms), (None, Some(9.0)));
    // In time by a weak tie is in time: the caution says how little that is.
    let late = verdict(vec![seen([alert(5, Window, false), alert(190, Tree, false)])], None).await;
    assert_eq!((late.verdict, late.tied_by), (LinkVerdict::Seen, Some(TiedBy::Time)));
}

#[tokio::test]
async fn a_checks_word_lies_between_the_detonation_and_now_and_is_tied_by_time() {
    let zero = crate::capability::unix_nanos();
    let of = async |at, demanded| {
        let mut script = Script { looks: vec![seen([word(at)])], blind: None, rest: Vec::new() };
        watched(&mut script, demanded, zero).await
    };
    let report = of(zero, TiedBy::Time).await;
    assert_eq!(report.verdict, LinkVerdict::Seen);
    assert_eq!(report.caution.map(|caution| caution.kind), Some(CautionKind::CheckWord));
    for at in [0, zero - 1, zero + 60_000_000_000, u64::MAX] {
        assert_eq!(of(at, TiedBy::Time).await.verdict, LinkVerdict::Missed, "{at}");
    }
    let report = of(zero, TiedBy::Likeness).await;
    assert_eq!((report.verdict, report.uncounted.len()), (LinkVerdict::Missed, 1));
    assert!(report.reason.is_some_and(|why| why.contains("`tied-by: likeness` is demanded")));
}

#[tokio::test]
async fn what_arrived_and_does_not_count_is_said_with_the_reason() {
    let late = NotCounted::BeforeDetonation { by_ns: 700_000_000 };
    for (rest, verdict, words) in [
        (
            vec![NotCounted::OtherProcess],
            LinkVerdict::Missed,
            "1 matching alert arrived and was not counted, because another process",
        ),
        (
            vec![late, NotCounted::BeforeDetonation { by_ns: 900_000_000 }],
            LinkVerdict::Missed,
            "2 matching alerts arrived and were not counted, because the nearest is dated 700 ms before",
        ),
        (vec![NotCounted::OtherRun, NotCounted::Foil], LinkVerdict::Missed, "not counted, because Foil itself"),
        (
            vec![NotCounted::WeakTie { tied_by: TiedBy::Time, demanded: TiedBy::Marker }],
            LinkVerdict::Missed,
            "by `time` only, and `tied-by: marker`",
        ),
        (
            vec![NotCounted::OtherProcess, NotCounted::Untold],
            LinkVerdict::Unknown,
            "whether that is this run's cannot be told",
        ),
    ] {
        let passed = rest.iter().map(|why| Passed { why: *why, falco: true });
        let script = Script { looks: Vec::new(), blind: None, rest: passed.collect() };
        let report = watched(&mut { script }, TiedBy::Time, ZERO_NS).await;
        assert_eq!(report.verdict, verdict, "{rest:?}");
        let why = report.reason.unwrap_or_default();
        assert!(why.contains(words), "{rest:?}: {why}");
        // What would tie it better is said where it was tied too weakly.
        let loose = |why: &NotCounted| matches!(why, NotCounted::Untold | NotCounted::WeakTie { .. });
        assert_eq!(why.contains("proc.env[FOIL_RUN_ID]"), rest.iter().any(loose), "{why}");
    }
}
