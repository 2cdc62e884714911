//! Correlations over the matches of a run, and of the steps of a campaign.

use super::*;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

const FAIL: &str = "title: One failed login\nname: failed_login\nlogsource: { product: linux, service: sshd }\n\
    detection: { s: { event: fail }, condition: s }\n---\n\
    title: One login\nid: b0b0b0b0-0000-4000-8000-000000000001\nlogsource: { product: linux, service: sshd }\n\
    detection: { s: { event: login }, condition: s }\n---\n";

fn correlation(title: &str, inner: &str) -> String {
    format!("title: {title}\nname: {}\ncorrelation: {{ {inner} }}\n", title.to_lowercase())
}

/// A run whose feed is `file.sshd`, with these rules.
struct Run {
    id: RunId,
    matches: Arc<EventLog>,
    feed: Arc<EventLog>,
    evaluation: Evaluation,
}

impl Run {
    fn new(text: &str, counting: Correlating) -> Self {
        Self::with(&rules(&[text]), counting)
    }

    fn with(rules: &Arc<RuleSet>, counting: Correlating) -> Self {
        let id = RunId::new();
        let tree = ProcessTree::without_connector();
        tree.insert_root(4_000_001, 1);
        let log = || Arc::new(EventLog::new(id.clone(), Some(Arc::clone(&tree)), LogLimits::default()));
        let (matches, feed) = (log(), log());
        let feeds = vec![("file.sshd".to_owned(), Arc::clone(&feed))];
        let evaluation = Evaluation::arm(Arc::clone(&matches), Arc::clone(rules), &[], feeds, counting).expect("armed");
        Self { id, matches, feed, evaluation }
    }

    /// Records events of the run's own process, `fields` being `name=value` words; the first word is the second they happened at.
    fn own(&self, events: &[&str]) {
        events.iter().for_each(|event| self.feed.push(recorded(event, Some(4_000_001))));
    }

    /// The matches of the correlations: title, value, group, attribution, events.
    fn correlated(&self) -> Vec<Event> {
        self.evaluation.verify_about(&Interest::default());
        events(&self.matches).into_iter().filter(|event| event.fields.contains_key("correlation.type")).collect()
    }

    fn titles(&self) -> Vec<String> {
        self.correlated().iter().map(|event| event.fields["rule.title"].clone()).collect()
    }
}

/// `pid`: `None` is a stranger's.
fn recorded(event: &str, pid: Option<u32>) -> Recorded {
    let mut words = event.split(' ');
    let seconds: u64 = words.next().and_then(|word| word.parse().ok()).expect("a second");
    let fields: BTreeMap<String, String> = words
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let process = pid.map(|pid| Process { pid, ppid: None, start: None });
    let at = 1_000_000_000_000 + seconds * 1_000_000_000;
    Recorded { at, kind: "line".to_owned(), own_observation: false, process, likeness: None, fields }
}

#[test]
fn events_are_counted_by_group_within_the_span() {
    let text = FAIL.to_owned()
        + &correlation(
            "Many",
            "type: event_count, rules: [failed_login], group-by: [user], timespan: 10s, condition: { gte: 3 }",
        );
    let run = Run::new(&text, Correlating::default());
    run.own(&["1 event=fail user=a", "2 event=fail user=b", "3 event=fail user=a", "4 event=fail", "5 event=fail"]);
    assert_eq!(run.titles(), [""; 0], "two of one group, one of another, and two of none");
    run.own(&["30 event=fail user=a"]);
    assert_eq!(run.titles(), [""; 0], "too late");
    run.own(&["33 event=fail user=a", "35 event=fail user=a", "36 event=fail user=a"]);
    let [found] = &run.correlated()[..] else { panic!("told once: {:?}", run.correlated()) };
    assert_eq!((found.at, found.attribution), (1_035_000_000_000, Attribution::Tree));
    for (name, value) in [
        ("correlation.type", "event_count"),
        ("correlation.value", "3"),
        ("correlation.group", "user=a"),
        ("correlation.count", "3"),
        ("correlation.events", "file.sshd 6, file.sshd 7, file.sshd 8"),
        ("feed", "file.sshd"),
        ("rule.title", "Many"),
        ("user", "a"),
    ] {
        assert_eq!(found.fields[name], value, "{name}");
    }
    // An event that comes late is counted where it belongs.
    run.own(&["100 event=fail user=c", "105 event=fail user=c", "103 event=fail user=c"]);
    assert_eq!(run.correlated().len(), 2);
}

#[test]
fn values_are_counted_once() {
    let text = FAIL.to_owned()
        + &correlation(
            "Spray",
            "type: value_count, rules: [failed_login], group-by: [src], timespan: 1m, condition: { field: user, gte: 3 }",
        );
    let run = Run::new(&text, Correlating::default());
    run.own(&[
        "1 event=fail src=x user=a",
        "2 event=fail src=x user=b",
        "3 event=fail src=x user=b",
        "4 event=fail src=x",
    ]);
    assert_eq!(run.titles(), [""; 0]);
    run.own(&["5 event=fail src=y user=c", "6 event=fail src=x user=c"]);
    assert_eq!(run.titles(), ["Spray"]);
}

/// rsigma 0.23 takes one of the rules for enough where a `temporal` has no condition, and finds no rule by its name alone.
#[test]
fn rules_that_match_together_or_in_order() {
    let text = FAIL.to_owned()
        + &correlation(
            "Together",
            "type: temporal, rules: [failed_login, b0b0b0b0-0000-4000-8000-000000000001], timespan: 10s",
        )
        + "---\n"
        + &correlation(
            "Ordered",
            "type: temporal_ordered, rules: [failed_login, b0b0b0b0-0000-4000-8000-000000000001], timespan: 10s",
        )
        + "---\n"
        + &correlation(
            "Both",
            "type: temporal, rules: [failed_login, b0b0b0b0-0000-4000-8000-000000000001], timespan: 10s, condition: failed_login and not b0b0b0b0-0000-4000-8000-000000000001",
        )
        + "---\n"
        + &correlation("Above", "type: event_count, rules: [together], timespan: 1m, condition: { gte: 2 }");
    let text =
        text.replace("b0b0b0b0-0000-4000-8000-000000000001", "logged_in").replace("id: logged_in", "name: logged_in");
    let run = Run::new(&text, Correlating::default());
    run.own(&["1 event=login"]);
    assert_eq!(run.titles(), [""; 0]);
    run.own(&["2 event=fail"]);
    assert_eq!(run.titles(), ["Together"]);
    run.own(&["9 event=login"]);
    assert_eq!(run.titles(), ["Together", "Ordered"]);
    run.own(&["30 event=fail"]);
    assert_eq!(run.titles(), ["Together", "Ordered", "Both"], "a failed login, and none that went well");
    run.own(&["31 event=login"]);
    assert_eq!(run.titles(), ["Together", "Ordered", "Both", "Above", "Together", "Ordered"], "a correlation over one");
}

#[test]
fn only_what_is_the_runs_own_and_after_the_detonation_is_counted() {
    let text = FAIL.to_owned()
        + &correlation("Many", "type: event_count, rules: [failed_login], timespan: 1m, condition: { gte: 2 }");
    let detonated = Arc::new(AtomicU64::new(u64::MAX));
    let run = Run::new(&text, Correlating { detonated: Arc::clone(&detonated), history: None });
    run.own(&["1 event=fail"]);
    assert_eq!(run.titles(), [""; 0]);
    detonated.store(1_002_000_000_000, std::sync::atomic::Ordering::Release);
    run.own(&["1 event=fail", "3 event=fail"]);
    run.feed.push(recorded("4 event=fail", None));
    assert_eq!(run.titles(), [""; 0], "one before the detonation, one of a stranger");
    // Tied by the run's id: the match is tied as weakly as its weakest event.
    run.feed.push(recorded(&format!("5 event=fail note=foil-{}", run.id), None));
    assert_eq!(run.correlated()[0].attribution, Attribution::Marker);
    // Once the better tied ones are enough, this is told too.
    run.own(&["6 event=fail"]);
    let found = run.correlated();
    assert_eq!(
        found.iter().map(|event| event.attribution).collect::<Vec<_>>(),
        [Attribution::Marker, Attribution::Tree]
    );
}

#[test]
fn the_steps_of_a_campaign_are_counted_together() {
    let text = FAIL.to_owned()
        + &correlation("Many", "type: event_count, rules: [failed_login], timespan: 1m, condition: { gte: 3 }");
    let (rules, history) = (rules(&[&text]), History::default());
    let run = || Run::with(&rules, Correlating { history: Some(history.clone()), ..Correlating::default() });
    let step = |event: &str| {
        let run = run();
        run.own(&[event]);
        (run.titles(), run)
    };
    let (titles, attempt) = step("1 event=fail");
    assert_eq!(titles, [""; 0]);
    drop(attempt);
    // The attempt is repeated: what the first one did does not count.
    let (_, first) = step("2 event=fail");
    history.accept(first.id.as_str(), "first");
    let (titles, second) = step("3 event=fail");
    assert_eq!(titles, [""; 0]);
    history.accept(second.id.as_str(), "second");
    let (titles, third) = step("4 event=fail");
    assert_eq!(titles, ["Many"]);
    let events = third.correlated()[0].fields["correlation.events"].clone();
    assert_eq!(events, "file.sshd 1 of the step first, file.sshd 1 of the step second, file.sshd 1");
    history.accept(third.id.as_str(), "third");
    // A step that adds nothing tells nothing, and the benign twin has no history.
    assert_eq!(run().titles(), [""; 0]);
    let twin = Run::with(&rules, Correlating::default());
    twin.own(&["5 event=fail"]);
    assert_eq!(twin.titles(), [""; 0]);
}

#[test]
fn matches_that_were_dropped_blind() {
    let text = FAIL.to_owned()
        + &correlation(
            "Spray",
            "type: value_count, rules: [failed_login], timespan: 1h, condition: { field: user, gte: 2048 }",
        );
    let run = Run::new(&text, Correlating::default());
    for number in 0..2100 {
        run.own(&[&format!("{} event=fail user={}", number / 10, number % 7)]);
    }
    assert_eq!(run.titles(), [""; 0]);
    assert!(
        matches!(run.evaluation.verify_about(&Interest::default()), Some(Blindness::Lost(why)) if why.contains("dropped"))
    );
}

#[test]
fn references_and_filters_that_stand_for_nothing_are_problems() {
    let problems = |text: &str| {
        let set = RuleSet::of([(PathBuf::from("a.yml"), Ok(text.to_owned()))]);
        (set.rules().len(), set.problems().iter().map(|problem| problem.reason.clone()).collect::<Vec<_>>())
    };
    let many = |rules: &str| correlation("Many", &format!("type: temporal, rules: [{rules}], timespan: 1m"));
    let (rules, why) = problems(&(FAIL.to_owned() + &many("failed_login, nosuch")));
    assert_eq!(rules, 2);
    assert!(why[0].contains("the correlation `Many` refers to `nosuch`, which no rule"), "{why:?}");
    let (_, why) = problems(
        &(many("other") + "---\n" + &many("many").replace("Many", "Other").replace("name: many", "name: other")),
    );
    assert!(why.len() == 2 && why.iter().all(|why| why.contains("refers back")), "{why:?}");
    let filter = |names: &str| {
        format!("{FAIL}title: Backup\nfilter: {{ rules: {names}, s: {{ user: backup }}, condition: not s }}\n")
    };
    let (_, why) = problems(&filter("[nosuch]"));
    assert!(why[0].contains("the filter `Backup` names `nosuch`"), "{why:?}");
    for (names, both) in [("[failed_login]", false), ("any", true)] {
        let set = rules_of(&filter(names));
        let run = Run::with(&set, Correlating::default());
        run.own(&["1 event=fail user=backup", "2 event=login user=backup", "3 event=fail user=a"]);
        run.evaluation.verify_about(&Interest::default());
        assert_eq!(events(&run.matches).len(), if both { 1 } else { 2 }, "{names}");
    }
}

fn rules_of(text: &str) -> Arc<RuleSet> {
    rules(&[text])
}

#[test]
fn a_correlation_looks_at_what_its_rules_look_at() {
    let base = FAIL.replace(
        "service: sshd }\ndetection: { s: { event: login",
        "category: process_creation }\ndetection: { s: { OriginalFileName: login",
    );
    let both = "failed_login, b0b0b0b0-0000-4000-8000-000000000001";
    let text = |kind: &str| {
        let condition = if kind == "temporal" { "" } else { ", condition: { gte: 1 }" };
        base.clone() + &correlation("Both", &format!("type: {kind}, rules: [{both}], timespan: 1m{condition}"))
    };
    let is_idle = |kind: &str, feed: &str| {
        let set = rules(&[&text(kind)]);
        let idle = set.named("Both").next().map(|loaded| loaded.is_idle(&[feed.to_owned()]));
        idle.expect("a rule")
    };
    assert!(
        is_idle("temporal", "file.sshd") && !is_idle("event_count", "file.sshd") && is_idle("event_count", "inbox")
    );
    let set = rules(&[&text("temporal")]);
    let never = |feeds: &[&str]| {
        let feeds: Vec<String> = feeds.iter().map(|feed| (*feed).to_owned()).collect();
        set.never(set.named("Both").next().expect("a rule"), &feeds)
    };
    let why = never(&[audit::NAME, "file.sshd"]).expect("never");
    assert!(why.contains("counts matches of `b0b0b0b0-") && why.contains("`OriginalFileName`"), "{why}");
}

#[test]
fn events_of_one_moment_are_in_the_order_of_their_log() {
    let ordered = correlation("Ordered", "type: temporal_ordered, rules: [failed_login, logged_in], timespan: 10s");
    let text = format!("{FAIL}{ordered}").replace("id: b0b0b0b0-0000-4000-8000-000000000001", "name: logged_in");
    for (events, found) in
        [(["5 event=fail", "5 event=login"], &["Ordered"][..]), (["5 event=login", "5 event=fail"], &[])]
    {
        let run = Run::new(&text, Correlating::default());
        run.own(&events);
        assert_eq!(run.titles(), found, "{events:?}");
        let tally = run.evaluation.lacking("Ordered", &|_| true).correlation.expect("a tally");
        assert_eq!(tally.counted, found.len() + 1, "in their order");
    }
}
