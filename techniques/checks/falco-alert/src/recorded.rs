//! The rule map held against what a real Falco (0.44.1, rules 5.1) raised: which rules which tests and techniques raised, and the tags
//! of those rules, typed anew from recorded alerts.

use super::expected::{Expected, Reason};
use foil_sdk::fake;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Falco's rules and their tags that matter here.
const TAGS: [(&str, &str); 17] = [
    ("Adding ssh keys to authorized_keys", "T1098.004 maturity_incubating mitre_persistence"),
    ("Clear Log Activities", "NIST_800-53_AU-10 T1070 container filesystem host maturity_stable"),
    ("Delete or rename shell history", "T1070 container host mitre_defense_evasion process"),
    ("Execution from /dev/shm", "T1059.004 container host mitre_execution"),
    ("Modify Shell Configuration File", "T1546.004 container filesystem host"),
    ("Program run with disallowed http proxy env", "T1204 container host users"),
    ("Read sensitive file untrusted", "T1555 container filesystem mitre_credential_access"),
    ("Read ssh information", "T1005 container filesystem host mitre_collection"),
    ("Remove Bulk Data from Disk", "T1485 container filesystem host mitre_impact"),
    ("Run shell untrusted", "T1059.004 container host process shell"),
    ("Schedule Cron Jobs", "T1053.003 container filesystem host mitre_execution"),
    ("Search Private Keys or Passwords", "T1552.001 container filesystem process"),
    ("Set Setuid or Setgid bit", "T1548.001 container host users"),
    ("User mgmt binaries", "T1098 host mitre_persistence software_mgmt users"),
    ("Web Server Spawned Suspicious Child Process", "T1059 container host mitre_execution"),
    ("Write below etc", "T1098 container filesystem host mitre_persistence"),
    ("Write below root", "TA0003 container filesystem host mitre_persistence"),
];

/// An Atomic Red Team test by technique and GUID, and the rule that it raised.
#[rustfmt::skip]
const TESTS: [(&str, &str, &str); 23] = [
    ("T1036.005", "812c3ab8-94b0-4698-a9bf-9420af23ce24", "Write below root"),
    ("T1059.004", "c7ac59cb-13cc-4622-81dc-6d2fee9bfac7", "User mgmt binaries"),
    ("T1059.004", "bcd4c2bc-490b-4f91-bd31-3709fe75bbdf", "Write below root"),
    ("T1070.003", "a934276e-2be5-4a36-93fd-98adbb5bd4fc", "Delete or rename shell history"),
    ("T1070.003", "cbf506a5-dd78-43e5-be7e-a46b7c7a0a11", "Delete or rename shell history"),
    ("T1070.003", "b1251c35-dcd3-4ea1-86da-36d27b54f31f", "Delete or rename shell history"),
    ("T1070.003", "47966a1d-df4f-4078-af65-db6d9aa20739", "Modify Shell Configuration File"),
    ("T1070.003", "784e4011-bd1a-4ecd-a63a-8feb278512e6", "Write below root"),
    ("T1070.003", "5f8abd62-f615-43c5-b6be-f780f25790a1", "User mgmt binaries"),
    ("T1070.004", "039b4b10-2900-404b-b67f-4b6d49aa6499", "Remove Bulk Data from Disk"),
    ("T1136.001", "40d8eabd-e394-46f6-8785-b9bfa1d011d2", "User mgmt binaries"),
    ("T1136.001", "a1040a30-d28b-4eda-bd99-bb2861a4616c", "User mgmt binaries"),
    ("T1548.001", "9be9b827-ff47-4e1b-bef8-217db6fb7283", "Set Setuid or Setgid bit"),
    ("T1548.001", "1f73af33-62a8-4bf1-bd10-3bea931f2c0d", "Set Setuid or Setgid bit"),
    ("T1552.001", "bd4cf0d1-7646-474e-8610-78ccf5a097c4", "Read sensitive file untrusted"),
    ("T1552.004", "46959285-906d-40fa-9437-5a439accd878", "Search Private Keys or Passwords"),
    ("T1552.004", "7c247dc7-5128-4643-907b-73a76d9135c3", "Search Private Keys or Passwords"),
    ("T1552.004", "864bb0b2-6bb5-489a-b43b-a77b3a16d68a", "Search Private Keys or Passwords"),
    ("T1560.001", "c51cec55-28dd-4ad2-9461-1eacbc82c3a0", "Write below root"),
    ("T1560.001", "cde3c2af-3485-49eb-9c1f-0ed60e9cc0af", "Write below root"),
    ("T1685.006", "11cb8ee1-97fb-4960-8587-69b8388ee9d9", "Clear Log Activities"),
    ("T1685.006", "d304b2dc-90b4-4465-a650-16ddd503f7b5", "Clear Log Activities"),
    ("T1685.006", "369878c6-fb04-48d6-8fc2-da9d97b3e054", "Clear Log Activities"),
];

/// Techniques of Foil's own, and of tests whose files are not at hand, and the rule that they raised.
const TECHNIQUES: [(&str, &str); 13] = [
    ("T1003.008", "Read sensitive file untrusted"),
    ("T1027.011", "Execution from /dev/shm"),
    ("T1053.003", "Schedule Cron Jobs"),
    ("T1059.004", "Run shell untrusted"),
    ("T1059.004", "Web Server Spawned Suspicious Child Process"),
    ("T1070.004", "Remove Bulk Data from Disk"),
    ("T1078.003", "User mgmt binaries"),
    ("T1090.001", "Program run with disallowed http proxy env"),
    ("T1098.004", "Adding ssh keys to authorized_keys"),
    ("T1098.004", "Read ssh information"),
    ("T1546.004", "Write below etc"),
    ("T1552.004", "Search Private Keys or Passwords"),
    ("T1685.006", "Clear Log Activities"),
];

/// How an alert of the rule counts for a technique or test; the outer `None`: not at all.
fn reason(attack: &str, test: Option<&str>, rule: &str, tags: &str) -> Option<Option<Reason>> {
    let expected = Expected::new(None, false, &[attack.to_owned()], test);
    expected.fits(&fake::event("falco").with("tags", tags), rule)
}

fn tags(rule: &str) -> &'static str {
    TAGS.iter().find(|(name, _)| *name == rule).unwrap_or_else(|| panic!("{rule} has no tags here")).1
}

#[test]
fn what_falco_raised_is_taken_for_the_test_that_raised_it() {
    for (attack, guid, rule) in TESTS {
        let counts = reason(attack, Some(guid), rule, tags(rule));
        assert!(matches!(counts, Some(Some(_))), "{attack} {guid} raised {rule}");
    }
    for (attack, rule) in TECHNIQUES {
        assert!(matches!(reason(attack, None, rule, tags(rule)), Some(Some(_))), "{attack} raised {rule}");
    }
    let exact = TESTS.iter().filter(|(attack, _, rule)| {
        let tag = Expected::new(Some(attack), true, &[], None);
        tag.fits(&fake::event("falco").with("tags", tags(rule)), rule).is_some()
    });
    assert_eq!(exact.count(), 2, "what an exact tag would find");
}

/// What one test does besides says nothing of its technique, and a rule that is about something else counts for nobody.
#[test]
fn the_map_is_no_wider_than_what_was_seen() {
    for (attack, rule) in [
        ("T1036.005", "Write below root"),
        ("T1059.004", "User mgmt binaries"),
        ("T1059.004", "Write below root"),
        ("T1560.001", "Write below root"),
        ("T1082", "Read sensitive file untrusted"),
        ("T1105", "Write below root"),
        ("T1611", "Read sensitive file untrusted"),
        ("T1070.004", "Write below etc"),
    ] {
        assert_eq!(reason(attack, None, rule, tags(rule)), None, "{attack} {rule}");
        let another = Some("11111111-2222-4333-8444-555555555555");
        assert_eq!(reason(attack, another, rule, tags(rule)), None, "{attack} {rule}");
    }
}

/// Rows that nobody would miss are none: each says what the tags do not.
#[test]
fn every_row_that_was_seen_is_needed() {
    for row in foil_sdk::falco::rule_map() {
        let Some((_, tags)) = TAGS.iter().find(|(rule, _)| *rule == row.rule) else { continue };
        let ids = [row.attack];
        let by_tag = foil_sdk::attack::closest(tags.split(' '), &ids).map(|(_, relation, _)| relation);
        assert!(
            by_tag.is_none_or(|relation| relation > foil_sdk::attack::Relation::Parent),
            "{} {}: its tags say so",
            row.attack,
            row.rule
        );
    }
}

/// Against the recordings themselves: `FOIL_FALCO` names the folder with `atomics-fired.csv` (`test,"rule; rule"`) and alerts as JSON
/// lines, `FOIL_ATOMICS` that of the tests.
#[test]
fn recorded_tests_are_matched() {
    let folder = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let (Some(falco), Some(atomics)) = (folder("FOIL_FALCO"), folder("FOIL_ATOMICS")) else {
        eprintln!("skipped: FOIL_FALCO and FOIL_ATOMICS name no folders of recordings");
        return;
    };
    let tags = recorded_tags(&falco);
    let fired = std::fs::read_to_string(falco.join("atomics-fired.csv")).unwrap();
    let (mut all, mut exact, mut missed) = (0, 0, Vec::new());
    for (test, rules) in fired.lines().skip(1).filter_map(|line| line.split_once(',')) {
        let (attack, number) = test.strip_prefix("atomic.").unwrap().rsplit_once('-').unwrap();
        let guid = guid(&atomics, attack, number.parse().unwrap());
        let rules: Vec<&str> = rules.trim_matches('"').split(';').map(str::trim).collect();
        let of = |rule: &str| tags.get(rule).cloned().unwrap_or_default();
        all += 1;
        exact += usize::from(rules.iter().any(|rule| of(rule).split(' ').any(|tag| tag == attack)));
        if !rules.iter().any(|rule| reason(attack, guid.as_deref(), rule, &of(rule)).is_some()) {
            missed.push(format!("{test} raised {}", rules.join(", ")));
        }
    }
    eprintln!("{} of {all} tests that raised an alert are matched; {exact} by an exact tag", all - missed.len());
    assert!(all > 0 && missed.is_empty(), "{missed:#?}");
}

/// The tags of every rule in the recorded alerts.
fn recorded_tags(folder: &Path) -> BTreeMap<String, String> {
    let mut tags = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "jsonl") {
            continue;
        }
        for line in std::fs::read_to_string(&path).unwrap().lines().filter(|line| !line.trim().is_empty()) {
            let alert: serde_json::Value = serde_json::from_str(line).unwrap();
            let list = alert["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str());
            tags.insert(alert["rule"].as_str().unwrap_or_default().to_owned(), list.collect::<Vec<_>>().join(" "));
        }
    }
    tags
}

/// The GUID of a test by its place in its file.
fn guid(atomics: &Path, attack: &str, number: usize) -> Option<String> {
    let text = std::fs::read_to_string(atomics.join(attack).join(format!("{attack}.yaml"))).ok()?;
    let guids = text.lines().filter_map(|line| line.trim().strip_prefix("auto_generated_guid:"));
    guids.map(|guid| guid.trim().to_owned()).nth(number.checked_sub(1)?)
}
