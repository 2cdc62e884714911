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
    assert_eq!((rank("Info"), rank("Informational"), rank("loud")), (Some(6), Some(6), None));
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
