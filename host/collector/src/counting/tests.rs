use super::*;
use crate::foreign::Likeness;
use crate::{ClockGrain, LogLimits, Process, ProcessTree, Recorded};
use foil_record::Attribution;
use foil_text::RunId;
use std::collections::BTreeMap;
use std::sync::Arc;

const ZERO: u64 = 1_700_000_000_000_000_000;
const MS: u64 = 1_000_000;

fn counting(tied_by: TiedBy) -> Counting {
    Counting { detonated: ZERO, tied_by }
}

/// An event of a foreign sensor.
fn foreign(at: u64, pid: Option<u32>, likeness: Likeness) -> Recorded {
    Recorded {
        at,
        kind: "falco".into(),
        own_observation: false,
        process: pid.map(|pid| Process { pid, ppid: None, start: None }),
        likeness: Some(Box::new(likeness)),
        fields: BTreeMap::new(),
    }
}

fn judged(attribution: Attribution, event: Recorded) -> Judged {
    Judged { sequence: 1, attribution, event: Arc::new(event) }
}

/// A log of a run in which every fork is known, with the process 7.
fn log() -> EventLog {
    let tree = ProcessTree::of_nobody();
    tree.insert_root(7, ZERO + 100 * MS);
    EventLog::new(RunId::new(), Some(tree), LogLimits::default())
}

fn why(log: &EventLog, attribution: Attribution, event: Recorded) -> Option<NotCounted> {
    counting(TiedBy::Time).why_not(&judged(attribution, event), log, ZERO + 1_000 * MS)
}

#[test]
fn a_tie_counts_from_the_demanded_strength_on() {
    use Attribution::{Likeness as Alike, Marker, Tree, Window};
    let ties = [(Tree, TiedBy::Process), (Marker, TiedBy::Marker), (Alike, TiedBy::Likeness), (Window, TiedBy::Time)];
    for (demanded, counted) in [(TiedBy::Process, 1), (TiedBy::Marker, 2), (TiedBy::Likeness, 3), (TiedBy::Time, 4)] {
        for (n, (attribution, tied_by)) in ties.into_iter().enumerate() {
            let event = foreign(ZERO, None, Likeness::default());
            let reason = counting(demanded).why_not(&judged(attribution, event), &log(), ZERO);
            let expected = (n >= counted).then_some(NotCounted::WeakTie { tied_by, demanded });
            assert_eq!(reason, expected, "{attribution:?} {demanded}");
        }
    }
}

#[test]
fn time_is_never_enough_where_a_process_is_named() {
    let named = Likeness { name: Some("cat".into()), ..Likeness::default() };
    let by_nobody = Likeness { uid: Some(0), parents: vec![Some("sh".into())], ..Likeness::default() };
    for (event, expected) in [
        (foreign(ZERO, None, named), Some(NotCounted::Untold)),
        (foreign(ZERO, Some(9), Likeness::default()), Some(NotCounted::Untold)),
        (foreign(ZERO, None, by_nobody), None),
        (foreign(ZERO, None, Likeness::default()), None),
        // The kernel always names one.
        (Recorded { likeness: None, ..foreign(ZERO, None, Likeness::default()) }, Some(NotCounted::Untold)),
    ] {
        assert_eq!(why(&log(), Attribution::Window, event.clone()), expected, "{event:?}");
    }
}

#[test]
fn times_outside_of_the_run_do_not_count() {
    let log = log();
    let at = |at| why(&log, Attribution::Marker, foreign(at, None, Likeness::default()));
    assert_eq!(at(ZERO - 700 * MS), Some(NotCounted::BeforeDetonation { by_ns: 700 * MS }));
    assert_eq!((at(ZERO), at(ZERO + 900 * MS)), (None, None));
    assert_eq!(at(ZERO + 121_000 * MS), Some(NotCounted::Future { by_ns: 120_000 * MS }));
}

#[test]
fn a_stranger_is_told_from_a_clock_that_differs() {
    let log = log();
    let run = log.run().to_string();
    let of_run =
        |run: &str| Likeness { run: Some(run.to_owned()), mentions: vec![run.to_owned()], ..Likeness::default() };
    let mentioning = |run: &str| Likeness { mentions: vec![run.to_owned()], ..Likeness::default() };
    let early = ZERO - 700 * MS;
    let before = Some(NotCounted::BeforeDetonation { by_ns: 700 * MS });
    for (event, expected) in [
        (foreign(ZERO, Some(9), Likeness::default()), Some(NotCounted::OtherProcess)),
        (foreign(early, Some(9), Likeness::default()), Some(NotCounted::OtherProcess)),
        (foreign(ZERO, Some(7), of_run("01j9z3t0example00000000000")), Some(NotCounted::OtherRun)),
        (foreign(ZERO, None, mentioning("01j9z3t0example00000000000")), Some(NotCounted::OtherRun)),
        (foreign(early, None, of_run(&run)), before),
        (foreign(early, Some(7), Likeness::default()), before),
        (foreign(early, None, Likeness::default()), before),
        (foreign(ZERO + 10 * MS, Some(7), Likeness::default()), Some(NotCounted::OutOfTime)),
        (foreign(ZERO, Some(std::process::id()), Likeness::default()), Some(NotCounted::Foil)),
        (Recorded { likeness: None, ..foreign(ZERO, Some(9), Likeness::default()) }, Some(NotCounted::OtherProcess)),
    ] {
        assert_eq!(why(&log, Attribution::Stranger, event.clone()), expected, "{event:?}");
    }
}

#[test]
fn only_a_coarse_clock_may_date_an_event_before_the_detonation() {
    let log = log();
    let dated = |grain, ms: u64| {
        let event = foreign(ZERO - ms * MS, None, Likeness { grain, ..Likeness::default() });
        why(&log, Attribution::Marker, event).is_none()
    };
    // Falco stamps nanoseconds: what comes before the detonation is set-up.
    assert!(!dated(ClockGrain::EXACT, 1) && dated(ClockGrain::EXACT, 0));
    assert!(dated(ClockGrain::COARSE, 10) && !dated(ClockGrain::COARSE, 12));
    assert!(dated(ClockGrain::of_digits(3), 1) && !dated(ClockGrain::of_digits(3), 2));
    let kernels = |ms: u64| Recorded { likeness: None, ..foreign(ZERO - ms * MS, Some(7), Likeness::default()) };
    assert_eq!(why(&log, Attribution::Tree, kernels(10)), None);
    assert_eq!(why(&log, Attribution::Tree, kernels(12)), Some(NotCounted::BeforeDetonation { by_ns: 12 * MS }));
}
