//! The rules of `examples/rules` over events that a real kernel (6.18) recorded; `sigma_live` wrote them down.

mod sigma_support;

use foil_collector::Event;
use std::collections::BTreeMap;

const RECORDED: &str = include_str!("fixtures/sigma/techniques.jsonl");

#[derive(serde::Deserialize)]
struct Line {
    technique: String,
    twin: bool,
    event: Event,
}

#[test]
fn each_rule_matches_its_technique_and_not_its_twin() {
    let rules = sigma_support::examples();
    let mut runs: BTreeMap<(String, bool), Vec<Event>> = BTreeMap::new();
    for line in RECORDED.lines() {
        let line: Line = serde_json::from_str(line).expect("a line");
        runs.entry((line.technique, line.twin)).or_default().push(line.event);
    }
    assert_eq!(runs.keys().filter(|(_, twin)| !twin).count(), rules.rules().len());
    for ((technique, twin), events) in &runs {
        let names = sigma_support::matching(&rules, events);
        assert_eq!(names.contains(technique), !twin, "{technique}, twin {twin}: {names:?}");
    }
}

#[test]
fn the_rules_are_valid_sigma() {
    for loaded in sigma_support::examples().rules() {
        let (rule, name) = (&loaded.rule, loaded.file_name());
        let text = std::fs::read_to_string(&loaded.file).expect("the rule");
        let id = rule.head.id.as_deref().expect("an id");
        assert!(id.len() == 36 && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()), "{name}: {id}");
        assert!(rule.head.tags.iter().any(|tag| tag.starts_with("attack.t")), "{name}: {:?}", rule.head.tags);
        for key in ["status:", "description:", "author:", "date:", "falsepositives:", "level:"] {
            assert!(text.lines().any(|line| line.starts_with(key)), "{name} has no {key}");
        }
    }
}
