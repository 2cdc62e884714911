use super::*;
use foil_sdk::events::Event;
use foil_sdk::{Basis, Value, fake};

const ID: &str = "2f3f1e5a-4c0c-4d8b-9b58-5f3bb0f5a6c1";

fn deletion() -> Event {
    fake::event("sigma")
        .with("rule.id", ID)
        .with("rule.title", "File Deletion in /tmp")
        .with("rule.level", "medium")
        .with("rule.tags", "attack.stealth,attack.t1070.004")
        .with("feed", "linux.audit")
        .with("event", "execve")
        .with("argv", "rm -f /tmp/x")
        .with("pid", 12)
}

fn host(events: impl IntoIterator<Item = Event>) -> fake::Host {
    let host = fake::Host::for_check(include_str!("../check.toml"));
    host.arm("rules");
    for event in events {
        host.event("rules", event);
    }
    host
}

fn count(host: &fake::Host, query: &[(&str, Value)]) -> usize {
    host.probe::<SigmaMatch>(query, 0).unwrap().sightings.len()
}

#[test]
fn a_sighting_says_which_rule_and_what_it_fits() {
    let host = host([deletion()]);
    let seen = host.probe::<SigmaMatch>(&[("rule", ID.into())], 0).unwrap();
    assert_eq!((seen.looked_at, seen.cursor, seen.sightings.len()), (1, 1, 1));
    let sighting = &seen.sightings[0];
    let line = "File Deletion in /tmp (medium) fits execve rm -f /tmp/x by pid 12, from linux.audit";
    assert_eq!(sighting.summary, line);
    assert_eq!(sighting.severity.as_deref(), Some("medium"));
    assert!(
        matches!(&sighting.basis, Basis::Events(events) if events[0].collector == "rules" && events[0].sequence == 1)
    );
}

#[test]
fn every_parameter_narrows() {
    let host = host([deletion()]);
    let upper = ID.to_uppercase();
    for (name, hit, miss) in [
        ("rule", upper.as_str(), "2f3f1e5a"),
        ("rule", "File Deletion in /tmp", "File Deletion"),
        ("rule", "**Deletion**", "*deletion*"),
        ("level", "low", "high"),
        ("level", "medium", "critical"),
        ("tag", "attack.t1070.004", "attack.t1071"),
        ("tag", "attack.t1070.*", "attack.t107"),
    ] {
        assert_eq!(count(&host, &[(name, hit.into())]), 1, "{name} {hit}");
        assert_eq!(count(&host, &[(name, miss.into())]), 0, "{name} {miss}");
    }
    assert_eq!(count(&host, &[("rule", ID.into()), ("level", "high".into())]), 0, "all must fit");
    let unknown = Event { fields: Vec::new(), ..deletion() }.with("rule.level", "dire");
    assert_eq!(count(&self::host([unknown]), &[("level", "informational".into())]), 0);
}

#[test]
fn an_id_takes_its_relatives_along_and_says_so() {
    let host = host([deletion()]);
    let matched = |query: &[(&str, Value)]| {
        let seen = host.probe::<SigmaMatch>(query, 0).unwrap();
        let sighting = seen.sightings.first()?;
        let fact = sighting.facts.iter().find(|fact| fact.name == "matched");
        assert!(
            fact.is_none_or(|fact| sighting.summary.contains(&format!("matched {}", fact.value))),
            "{}",
            sighting.summary
        );
        Some(fact.map(|fact| fact.value.clone()).unwrap_or_default())
    };
    for (tag, how) in [
        ("attack.t1070.004", Some("by its tag T1070.004")),
        ("T1070.004*", Some("by its tag T1070.004")),
        ("attack.t1070", Some("by its tag T1070.004, a sub-technique of T1070")),
        ("attack.t1070.003", Some("by its tag T1070.004, a sibling of T1070.003")),
        ("attack.t1485", None),
        ("attack.stealth", Some("")),
    ] {
        assert_eq!(matched(&[("tag", tag.into())]).as_deref(), how, "{tag}");
    }
    assert_eq!(matched(&[("tag", "attack.t1070".into()), ("exact", true.into())]), None);
    // What Foil tells of the technique, where nothing else says which rule.
    let technique = ("attack", Value::from(&["T1070.005"][..]));
    assert_eq!(
        matched(std::slice::from_ref(&technique)).as_deref(),
        Some("by its tag T1070.004, a sibling of T1070.005")
    );
    assert_eq!(
        matched(&[("attack", Value::from(&["T1485"][..])), ("rule", ID.into())]),
        None,
        "all that is given must fit"
    );
    assert_eq!(matched(&[technique, ("level", "critical".into())]), None);
}

#[test]
fn a_flood_is_told_in_parts_and_a_look_goes_on_where_the_last_one_ended() {
    let host = self::host((0..450).map(|_| deletion()));
    let first = host.probe::<SigmaMatch>(&[("rule", ID.into())], 0).unwrap();
    assert_eq!((first.sightings.len(), first.cursor), (200, 200));
    let second = host.probe::<SigmaMatch>(&[("rule", ID.into())], first.cursor).unwrap();
    assert_eq!((second.sightings.len(), second.cursor), (200, 400));
}

#[test]
fn what_cannot_be_looked_for_is_refused() {
    let host = host([deletion()]);
    for query in [&[][..], &[("rule", " ".into())], &[("level", "severe".into())], &[("collector", "inbox".into())]] {
        assert!(matches!(host.probe::<SigmaMatch>(query, 0), Err(Error::Invalid(_))), "{query:?}");
    }
    host.blind("rules", "dead-collector");
    let error = host.probe::<SigmaMatch>(&[("rule", ID.into())], 0).unwrap_err();
    assert_eq!(error.code(), Some("dead-collector"));
}

#[test]
fn long_matches_stay_one_short_line() {
    let long = deletion().with("argv", "é".repeat(5_000));
    let long = Event { fields: long.fields.into_iter().rev().collect(), ..fake::event("sigma") };
    let seen = host([long]).probe::<SigmaMatch>(&[("rule", ID.into())], 0).unwrap();
    let sighting = &seen.sightings[0];
    assert!(sighting.summary.len() <= 300 && sighting.summary.ends_with("from linux.audit"), "{}", sighting.summary);
}
