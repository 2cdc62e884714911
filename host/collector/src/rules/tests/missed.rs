//! What a rule that matched nothing lacked.

use super::*;
use crate::Judged;
use foil_record::{Nearest, Unmatched};

const REMOVES_ALL: &str = "title: Removes all\nlogsource: { product: linux, category: process_creation }\ndetection:\n  \
    s: { Image|endswith: [/rm, /unlink], CommandLine|contains|all: [' -rf', /tmp] }\n  f: { User: backup }\n  \
    condition: s and not f\n";

fn program(run: &RunId, argv: &str) -> Recorded {
    let mut event = removal(4_000_001);
    event.fields.insert("argv".to_owned(), argv.to_owned());
    event.fields.insert("exe".to_owned(), format!("/usr/bin/{}", argv.split(' ').next().unwrap_or_default()));
    event.fields.insert("note".to_owned(), run.to_string());
    event
}

fn nearest(text: &str, wanted: &str, programs: &[&str], counts: &dyn Fn(&Judged) -> bool) -> Option<Nearest> {
    lacking(text, wanted, programs, counts).nearest
}

fn lacking(text: &str, wanted: &str, programs: &[&str], counts: &dyn Fn(&Judged) -> bool) -> Lacking {
    let run = RunId::new();
    let log = || Arc::new(EventLog::new(run.clone(), None, LogLimits::default()));
    let (matches, feed) = (log(), log());
    let feeds = vec![(audit::NAME.to_owned(), Arc::clone(&feed))];
    let evaluation = Evaluation::arm(matches, rules(&[text]), &[], feeds, Correlating::default()).expect("armed");
    programs.iter().for_each(|argv| feed.push(program(&run, argv)));
    assert_eq!(evaluation.verify_about(&Interest::default()), None);
    evaluation.lacking(wanted, counts)
}

#[test]
fn the_event_that_satisfies_most_is_named_with_what_it_lacks() {
    let programs = ["true", "rm -f /tmp/x", "cat /tmp/y", "rm x"];
    let found = nearest(REMOVES_ALL, "Removes*", &programs, &|_| true).expect("an event");
    let unmatched = Unmatched {
        field: Some("CommandLine".into()),
        value: Some("rm -f /tmp/x".into()),
        wants: "contains ' -rf'".into(),
    };
    let expected = Nearest {
        rule: "Removes all".into(),
        collector: audit::NAME.into(),
        sequence: 2,
        kind: "execve".into(),
        satisfied: 2,
        items: 3,
        unmatched: vec![unmatched],
    };
    assert_eq!(found, expected);
    assert_eq!(nearest(REMOVES_ALL, "Removes*", &programs, &|judged| judged.sequence == 4).expect("one").sequence, 4);
    assert_eq!(nearest(REMOVES_ALL, "Removes*", &["true"], &|_| true), None, "nothing of it");
    assert_eq!(nearest(REMOVES_ALL, "Another", &programs, &|_| true), None);
}

#[test]
fn what_is_excluded_is_named_and_texts_are_bounded() {
    let excluded = REMOVES_ALL.replace("User: backup", "CommandLine|endswith: keep");
    let found = nearest(&excluded, "Removes*", &["rm -rf /tmp/keep"], &|_| true).expect("an event");
    let [unmatched] = &found.unmatched[..] else { panic!("one: {found:?}") };
    assert_eq!(
        (unmatched.field.as_deref(), unmatched.wants.as_str()),
        (Some("CommandLine"), "not to be excluded by `f`")
    );
    let long = format!("rm {}", "\u{1b}x".repeat(10_000));
    let found = nearest(REMOVES_ALL, "Removes*", &[&long], &|_| true).expect("an event");
    assert!(found.unmatched.iter().all(|unmatched| unmatched.value.as_ref().is_some_and(|value| value.len() < 700)));
}

#[test]
fn of_a_correlation_the_rule_without_a_match_is_told() {
    let other = REMOVES_ALL
        .replace("Removes all", "Reads")
        .replace("logsource", "name: reads\nlogsource")
        .replace("[/rm, /unlink]", "/cat");
    let removal = REMOVAL.replace("title: Removal\n", "title: Removal\nname: removal\n");
    let text = format!(
        "{removal}---\n{other}---\ntitle: Both\ncorrelation: {{ type: temporal, rules: [removal, reads], timespan: 1m }}\n"
    );
    let found = lacking(&text, "Both", &["rm x", "cat /tmp/z"], &|_| true);
    assert_eq!(found.nearest.map(|nearest| (nearest.rule, nearest.sequence)), Some(("Reads".to_owned(), 2)));
    let tally = found.correlation.expect("it counted one");
    assert_eq!((tally.counted, tally.wants.as_str(), tally.span), (1, "gte 2", 60));
    // No event has anything of the other rule.
    let found = lacking(&text, "Both", &["rm x"], &|_| true);
    assert_eq!((found.nearest, found.correlation.map(|tally| tally.counted)), (None, Some(1)));
}

#[test]
fn how_far_a_correlation_got_is_told() {
    let removal = REMOVAL.replace("title: Removal\n", "title: Removal\nname: removal\n");
    let many = |kind: &str, by: &str, condition: &str| {
        format!(
            "{removal}---\ntitle: Many\ncorrelation: {{ type: {kind}, rules: [removal], group-by: [{by}], timespan: 1m, \
             condition: {{ {condition} }} }}\n"
        )
    };
    let programs = ["rm x", "rm y", "rm x"];
    let tally =
        |counted, wants: &str, group: &str, incomplete| (counted, wants.to_owned(), group.to_owned(), incomplete);
    for (kind, by, condition, expected) in [
        ("event_count", "ParentProcessId", "gte: 100", tally(3, "gte 100", "ParentProcessId=4000009", 0)),
        (
            "value_count",
            "ParentProcessId",
            "field: CommandLine, gt: 4, lt: 9",
            tally(2, "lt 9, gt 4", "ParentProcessId=4000009", 0),
        ),
        ("event_count", "Nope", "gte: 2", tally(0, "gte 2", "", 3)),
    ] {
        let found = lacking(&many(kind, by, condition), "Many", &programs, &|_| true);
        let told = found.correlation.expect("a tally");
        assert_eq!((told.counted, told.wants, told.group, told.incomplete), expected, "{kind}");
        // What is counted lacks nothing.
        assert_eq!(found.nearest.is_some(), by == "Nope", "{kind}");
    }
    let found = lacking(&many("event_count", "User", "gte: 100"), "Many", &["true"], &|_| true);
    assert_eq!((found.nearest, found.correlation.map(|tally| tally.counted)), (None, Some(0)));
}
