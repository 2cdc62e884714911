use super::*;
use foil_sdk::{Value, fake};

fn alert() -> Event {
    fake::event("falco")
        .with("rule", "Read sensitive file untrusted")
        .with("priority", "Warning")
        .with("output_fields.proc.cmdline", "cat /etc/shadow")
        .with("output_fields.fd.name", "/etc/shadow")
        .with("tags", "T1555 container maturity_stable")
        .with("output_fields.k8s.ns.name", "security-testing")
        .with("output_fields.k8s.pod.name", "foil-x-shell")
        .with("output_fields.container.name", "main")
        .with("output_fields.container.id", "0b9b1c5f4f7e")
        .with("hostname", "node-7")
}

fn host(event: Event) -> fake::Host {
    let host = fake::Host::for_check(include_str!("../check.toml"));
    host.event("inbox", event);
    host
}

fn count(event: Event, query: &[(&str, Value)]) -> usize {
    host(event).probe::<FalcoAlert>(query, 0).unwrap().sightings.len()
}

#[test]
fn the_evidence_says_rule_priority_and_command() {
    let seen = host(alert()).probe::<FalcoAlert>(&[("rule", "Read sensitive file untrusted".into())], 0).unwrap();
    let sighting = &seen.sightings[0];
    assert_eq!(sighting.summary, "Read sensitive file untrusted (Warning), cat /etc/shadow");
    assert_eq!(sighting.severity.as_deref(), Some("Warning"));
}

#[test]
fn every_parameter_narrows() {
    for (name, hit, miss) in [
        ("rule", Value::from("Read sensitive *"), Value::from("Clear Log Activities")),
        ("tag", Value::from("T1555*"), Value::from("T155")),
        ("namespace", Value::from("security-*"), Value::from("default")),
        ("pod", Value::from("foil-*"), Value::from("web-*")),
        ("container", Value::from("main"), Value::from("sidecar")),
        ("container", Value::from("0b9b*"), Value::from("1b9b*")),
        ("node", Value::from("node-7"), Value::from("node-8")),
        ("fields", Value::from(&["fd.name=/etc/*"][..]), Value::from(&["fd.name=/usr/*"][..])),
        ("fields", Value::from(&["output_fields.proc.cmdline=cat **"][..]), Value::from(&["proc.pid=*"][..])),
    ] {
        // What says where does not say which.
        let which = [("rule", Value::from("**"))].into_iter().filter(|(which, _)| *which != name);
        let count = |value| count(alert(), &which.clone().chain([(name, value)]).collect::<Vec<_>>());
        assert_eq!((count(hit), count(miss)), (1, 0), "{name}");
    }
}

#[test]
fn a_priority_counts_from_there_upwards() {
    let rule = || ("rule", Value::from("**"));
    for (asked, expected) in
        [("emergency", 0), ("error", 0), ("warning", 1), ("notice", 1), ("informational", 1), ("debug", 1)]
    {
        assert_eq!(count(alert(), &[rule(), ("priority", asked.into())]), expected, "{asked}");
    }
    assert!(PRIORITIES.iter().all(|word| include_str!("../check.toml").contains(&format!("\"{word}\""))));
}

#[test]
fn a_priority_that_falco_does_not_have_is_said_and_passed_over_by_nobody() {
    let with = |priority: &str| {
        let event = Event { fields: alert().fields.into_iter().filter(|f| f.name != "priority").collect(), ..alert() };
        event.with("priority", priority).with("output", "x")
    };
    for (priority, severity) in [("INFO", "INFO"), ("Catastrophic", "Catastrophic"), ("5", "notice")] {
        let seen = host(with(priority)).probe::<FalcoAlert>(&[("rule", "**".into())], 0).unwrap();
        assert_eq!(seen.sightings[0].severity.as_deref(), Some(severity));
    }
    let query = [("rule", Value::from("**")), ("priority", "critical".into())];
    assert_eq!((count(with("INFO"), &query), count(with("Catastrophic"), &query)), (0, 1));
    let seen = host(with("Catastrophic")).probe::<FalcoAlert>(&query, 0).unwrap();
    assert!(seen.sightings[0].summary.contains("(Catastrophic, which is no priority of Falco's)"));
}

#[test]
fn an_alert_that_names_no_rule_is_found_by_what_else_it_says() {
    let event = fake::event("falco").with("output", "x").with("priority", "5").with("output_fields.proc.pid", 77);
    assert_eq!(count(event.clone(), &[("fields", Value::from(&["proc.pid=77"][..]))]), 1);
    assert_eq!(count(event, &[("rule", "Read*".into())]), 0);
}

#[test]
fn why_an_alert_counts_is_said() {
    let seen = |query: &[(&str, Value)]| {
        let seen = host(alert()).probe::<FalcoAlert>(query, 0).unwrap();
        seen.sightings.first().map(|sighting| {
            let matched = sighting.facts.iter().find(|fact| fact.name == "matched").map(|fact| fact.value.clone());
            (sighting.summary.clone(), matched)
        })
    };
    let (summary, matched) = seen(&[("tag", "T1003.008".into())]).unwrap();
    let line = "Read sensitive file untrusted (Warning), cat /etc/shadow, matched by the rule map for T1003.008";
    assert_eq!(summary, line);
    assert_eq!(matched.as_deref(), Some("by the rule map for T1003.008"));
    assert_eq!(seen(&[("tag", "T1003.008".into()), ("exact", true.into())]), None);
    // What Foil tells of the technique, where the experiment does not say which alert.
    let technique = ("attack", Value::from(&["T1555.001"][..]));
    assert_eq!(
        seen(std::slice::from_ref(&technique)).unwrap().1.as_deref(),
        Some("by its tag T1555, the parent of T1555.001")
    );
    let other = ("attack", Value::from(&["T1070.004"][..]));
    assert_eq!(seen(std::slice::from_ref(&other)), None);
    assert_eq!(seen(&[other, ("rule", "Read*".into())]), None, "all that is given must fit");
    assert!(seen(&[technique, ("rule", "Read*".into())]).is_some());
}

#[test]
fn long_texts_leave_room_for_why() {
    let event =
        Event { fields: alert().fields.into_iter().filter(|f| !f.name.ends_with("cmdline")).collect(), ..alert() };
    let event = event.with("output_fields.proc.cmdline", "é".repeat(5_000));
    let seen = host(event).probe::<FalcoAlert>(&[("tag", "T1003.008".into())], 0).unwrap();
    assert!(seen.sightings[0].summary.contains("matched by the rule map for T1003.008"));
}

#[test]
fn a_followed_log_serves_as_well_and_other_lines_in_it_do_not_count() {
    let host = host(alert());
    host.event("file.falco", fake::event("line").with("line", "Events detected: 0").with("unparsed", "yes"));
    host.event("file.falco", Event { kind: "line".to_owned(), ..alert() });
    let query = [("rule", Value::from("**")), ("collector", "file.falco".into())];
    assert_eq!(host.probe::<FalcoAlert>(&query, 0).unwrap().sightings.len(), 1);
    host.event("kubernetes.falco", alert());
    let query = [("rule", Value::from("**")), ("collector", "kubernetes.falco".into())];
    assert_eq!(host.probe::<FalcoAlert>(&query, 0).unwrap().sightings.len(), 1);
    let denied = host.probe::<FalcoAlert>(&[("rule", "**".into()), ("collector", "linux.audit".into())], 0);
    assert!(matches!(denied, Err(Error::Denied(_))));
}

#[test]
fn a_query_that_any_alert_matches_is_refused() {
    for query in [&[][..], &[("priority", "debug".into())], &[("rule", " ".into())]] {
        assert!(matches!(host(alert()).probe::<FalcoAlert>(query, 0), Err(Error::Invalid(_))), "{query:?}");
    }
}
