//! The index finds what each rule by itself finds.

use super::super::events::views;
use super::*;
use proptest::prelude::*;
use std::sync::LazyLock;

const FEED: &str = "file.t";

/// Selections and conditions of each kind that the index takes for a reason to leave a rule out, or must not.
const RULES: [&str; 23] = [
    "s: { a|contains: key }, condition: s",
    "s: { a|startswith: [Key, 'x y'] }, condition: s",
    "s: { a|endswith: straße }, condition: s",
    "s: { a|contains|all: [key, ÖL], b: x }, condition: s",
    "s: { a|contains|cased: KEY }, condition: s",
    "s: { a|endswith|cased: 'ÖL' }, condition: s",
    "s: { a: 'k*y?' }, condition: s",
    "s: { a: [key, 'x y'] }, condition: s",
    "s: { a|re: 'ke+y$' }, condition: s",
    "s: { a|windash|contains: ' -key ' }, condition: s",
    "s: { a|contains: key }, f: { b|contains: straße }, condition: s and not f",
    "s: { a|contains: key }, f: { b|startswith: x }, condition: not s and f",
    "s: { a|contains: key }, f: { b|startswith: x }, condition: s or f",
    "s_1: { a|contains: öl }, s_2: { b|contains: key }, condition: 1 of s_*",
    "s_1: { a|contains: öl }, s_2: { b|contains: key }, condition: all of s_*",
    "s: [key, straße], condition: s",
    "s: [{ a|contains: key }, { b: null }], condition: s",
    "s: { a|exists: true, b|contains: '' }, condition: s",
    "s: { a|contains: [yek, key] }, condition: s",
    "s: [{ a|startswith: key, b: x }, { a|endswith: [y, xyz] }], condition: s",
    "s: { a|gt: 3 }, condition: s",
    "s: { a|fieldref: b }, condition: s",
    "s: { a|contains: '\\*key' }, condition: s",
];

/// What each text has.
const FOR_NOTHING: [&str; 3] = [
    "s: { a|contains: ['', key] }, condition: s",
    "s: { a|endswith: ['', key], b|contains: key }, condition: s",
    "s: [{ a|startswith|cased: '' }, { b|contains: key }], condition: s",
];

static SET: LazyLock<Arc<RuleSet>> = LazyLock::new(|| set(&RULES));
static SET_FOR_NOTHING: LazyLock<Arc<RuleSet>> = LazyLock::new(|| set(&[&RULES[..], &FOR_NOTHING].concat()));

fn set(of: &[&str]) -> Arc<RuleSet> {
    let text = |(n, rule): (usize, &&str)| {
        format!("title: '{n}'\nlogsource: {{ product: linux, service: t }}\ndetection: {{ {rule} }}\n")
    };
    let texts: Vec<String> = of.iter().enumerate().map(text).collect();
    let set = rules(&texts.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(set.rules().len(), of.len());
    set
}

/// What a value is made of: parts of what rules ask for, and letters that become others in lower case.
fn value() -> impl Strategy<Value = String> {
    let part = prop::sample::select(vec![
        "key",
        "KEY",
        "ke",
        "y",
        "Key",
        "x y",
        "straße",
        "STRASSE",
        "STRAßE",
        "öl",
        "ÖL",
        "ÖL",
        "\u{212a}ey",
        "İ",
        " -key ",
        " /key ",
        " –key ",
        "*key",
        "x",
        "5",
        "",
    ]);
    prop::collection::vec(part, 0..4).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn it_finds_what_each_rule_finds(a in prop::option::of(value()), b in prop::option::of(value())) {
        let fields = [("a", a), ("b", b)].into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
        let kind = "line".to_owned();
        let event = Event { sequence: 1, at: 1, kind, attribution: Attribution::Tree, own_observation: false, fields };
        let programs = Programs::default();
        let views = views(&event, events::Stream::Followed, &programs);
        for set in [&SET, &SET_FOR_NOTHING] {
            let title = |loaded: &Loaded| loaded.rule.head.title.clone();
            let mut found: Vec<String> = set.matching(&event, &set.plan(FEED), &programs).into_iter().map(title).collect();
            let matches = |loaded: &&Loaded| loaded.rule.detection().is_some_and(|rule| views.iter().any(|view| rule.matches(view)));
            let mut alone: Vec<String> = set.rules().iter().filter(matches).map(title).collect();
            found.sort_unstable();
            alone.sort_unstable();
            prop_assert_eq!(found, alone);
        }
    }
}
