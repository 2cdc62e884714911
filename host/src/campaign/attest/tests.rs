use super::*;
use crate::capability::View;
use foil_collector::tree::ProcessTree;
use foil_collector::{Counting, EventLog, LogLimits, Process, Recorded};
use foil_manifest::TiedBy;
use foil_text::RunId;
use std::sync::Arc;

const ZERO: u64 = 1_700_000_000_000_000_000;

fn event(at: u64, pid: u32, own_observation: bool) -> Recorded {
    Recorded {
        at,
        kind: "execve".into(),
        own_observation,
        process: Some(Process { pid, ppid: None, start: None }),
        likeness: None,
        fields: BTreeMap::new(),
    }
}

/// A log with four events of a process of the run's, of which one is only Foil's, and one of a stranger's. Numbers 1 to 4.
fn log() -> EventLog {
    let tree = ProcessTree::without_connector();
    tree.insert_root(7, ZERO);
    tree.link(8, 1, ZERO);
    let log = EventLog::new(RunId::new(), Some(tree), LogLimits::default());
    for (at, pid, own) in [(ZERO + 1, 7, false), (ZERO + 9, 7, false), (ZERO + 5, 7, true), (ZERO + 3, 8, false)] {
        log.push(event(at, pid, own));
    }
    log
}

fn reading() -> Reading {
    let reading = Reading::new(View::Counting(Counting { detonated: ZERO, tied_by: TiedBy::Time }));
    reading.read("a", &log(), 0, 100);
    reading
}

fn says(basis: Basis) -> Observation {
    let sighting = Sighting { basis, summary: "s".into(), severity: None, facts: Vec::new() };
    Observation { sightings: vec![sighting], cursor: 3, looked_at: 4, remark: None }
}

fn events(list: &[(&str, u64)]) -> Basis {
    let reference = |(collector, sequence): &(&str, u64)| EventReference {
        collector: (*collector).to_owned(),
        sequence: *sequence,
    };
    Basis::Events(list.iter().map(reference).collect())
}

fn attested(basis: Basis) -> Result<Attested, PhaseError> {
    let mut seen = attest(says(basis), &reading(), &BTreeSet::from(["a".to_owned()]), true)?;
    Ok(seen.sightings.remove(0))
}

#[test]
fn of_several_events_the_latest_moment_and_the_weakest_tie_count() {
    let one = attested(events(&[("a", 1)])).expect("it was read");
    assert_eq!((one.at, one.attribution, one.own_observation), (ZERO + 1, Attribution::Tree, false));
    let two = attested(events(&[("a", 2), ("a", 1)])).expect("both were read");
    assert_eq!((two.at, two.events.len(), two.own_observation), (ZERO + 9, 2, false));
    assert!(attested(events(&[("a", 1), ("a", 3)])).expect("both were read").own_observation);
}

#[test]
fn what_was_not_read_in_this_look_makes_nothing_believed() {
    let many = vec![("a", 1); MAX_EVENTS + 1];
    // The fourth is a stranger's, and was never handed out.
    for list in [&[("a", 4)][..], &[("a", 0)], &[("a", u64::MAX)], &[("b", 1)], &[], &[("a", 1), ("a", 4)], &many] {
        assert!(matches!(attested(events(list)), Err(PhaseError::Unfounded(_))), "{list:?}");
    }
    let unread = Reading::new(View::Counting(Counting { detonated: ZERO, tied_by: TiedBy::Time }));
    assert!(attest(says(events(&[("a", 1)])), &unread, &BTreeSet::new(), true).is_err());
    // It was read, and is not what this link looks at.
    let other = BTreeSet::from(["b".to_owned()]);
    let error = attest(says(events(&[("a", 1)])), &reading(), &other, true).expect_err("another collector's");
    assert!(error.to_string().contains("does not look at"), "{error}");
    assert!(attest(says(events(&[("a", 1)])), &reading(), &BTreeSet::new(), true).is_ok());
}

#[test]
fn what_was_seen_elsewhere_is_tied_by_time_whatever_the_check_says() {
    let word = attested(Basis::Elsewhere(42)).expect("its word");
    assert_eq!((word.at, word.attribution, word.events.len()), (42, Attribution::Window, 0));
}

#[test]
fn the_rest_is_shown_to_the_look_at_the_rest_alone() {
    let reading = Reading::new(View::Rest(Counting { detonated: ZERO, tied_by: TiedBy::Time }));
    let (events, ..) = reading.read("a", &log(), 0, 100);
    assert_eq!(events.iter().map(|judged| judged.sequence).collect::<Vec<_>>(), [4]);
    let nothing = Reading::new(View::Nothing);
    assert!(nothing.read("a", &Arc::new(log()), 0, 100).0.is_empty());
}

#[test]
fn what_a_check_cannot_have_seen_is_not_believed() {
    let elsewhere = || says(Basis::Elsewhere(7));
    assert!(attest(elsewhere(), &reading(), &BTreeSet::new(), true).is_ok());
    let error = attest(elsewhere(), &reading(), &BTreeSet::new(), false).expect_err("nothing to look at");
    assert!(error.to_string().contains("may look at nothing"), "{error}");
    assert!(attest(says(events(&[("a", 1)])), &reading(), &BTreeSet::new(), false).is_ok());
}
