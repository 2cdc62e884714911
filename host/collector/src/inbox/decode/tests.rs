use super::*;

fn decoded(sender: Sender, body: &str) -> Result<Vec<Recorded>, String> {
    decode(sender, body.as_bytes())
        .map(|decoded| decoded.events.into_iter().map(|(event, _)| event).collect())
        .map_err(|e| format!("{} {}", e.status.as_u16(), e.why))
}

#[test]
fn each_alert_of_a_group_is_an_event_with_its_labels_and_time() {
    let body = r#"{"version":"4","groupKey":"{}:{a=\"b\"}","status":"firing","receiver":"foil","alerts":[
        {"status":"firing","labels":{"alertname":"ShadowRead","severity":"critical"},"annotations":{"summary":"read"},
         "startsAt":"2026-11-21T22:03:40.821Z","endsAt":"0001-01-01T00:00:00Z"},
        {"status":"resolved","labels":{"alertname":"Old"},"startsAt":"2026-11-21T21:03:40.5Z"}]}"#;
    let events = decoded(Sender::Alertmanager, body).unwrap();
    assert_eq!((events.len(), events[0].kind.as_str(), events[0].at), (2, "alertmanager", 1_795_298_620_821_000_000));
    let field = |name: &str| events[0].fields.get(name).map(String::as_str);
    assert_eq!(field("labels.alertname"), Some("ShadowRead"));
    assert_eq!((field("annotations.summary"), field("receiver")), (Some("read"), Some("foil")));
    assert_eq!((&*events[1].fields["status"], events[1].kind.as_str()), ("resolved", "alertmanager-resolved"));
    assert!(events[0].process.is_none() && events[0].likeness.as_ref().is_some_and(|l| l.is_silent()));
}

#[test]
fn each_item_of_an_audit_list_is_an_event() {
    let body = r#"{"kind":"EventList","apiVersion":"audit.k8s.io/v1","items":[{"level":"Metadata","verb":"delete",
        "user":{"username":"ann"},"objectRef":{"resource":"secrets","name":"x"},"userAgent":"foil/1",
        "requestReceivedTimestamp":"2026-11-21T22:03:40.821407Z","stageTimestamp":"2026-11-21T22:03:41.821407Z"}]}"#;
    let events = decoded(Sender::KubernetesAudit, body).unwrap();
    assert_eq!((events[0].kind.as_str(), events[0].at), ("kubernetes-audit", 1_795_298_620_821_407_000));
    assert_eq!(events[0].fields["objectRef.resource"], "secrets");
}

#[test]
fn an_alert_in_which_nothing_is_known_is_one() {
    for body in [
        r#"{"output":"x","priority":"INFO","rule":"r","time":"2026-11-28T10:00:00Z","output_fields":{}}"#,
        r#"{"output":"x","priority":"Catastrophic","rule":"r","output_fields":null,"tags":null}"#,
        r#"{"output":"x","priority":5,"rule":null,"time":1795860000,"output_fields":{"evt.time":"1795860000060232001","proc.pid":"77"}}"#,
    ] {
        assert_eq!(decoded(Sender::Falco, body).unwrap().len(), 1, "{body}");
    }
    assert!(decoded(Sender::Falco, r#"{"rule":"r"}"#).is_err());
}

#[test]
fn events_come_alone_in_lists_and_one_a_line() {
    for (body, count) in [(r#"{"a":1}"#, 1), (r#"[{"a":1},{"a":2}]"#, 2), ("{\"a\":1}\n{\"a\":2}\n\n{\"a\":3}\n", 3)] {
        let events = decoded(Sender::Any, body).unwrap();
        assert_eq!((events.len(), events[0].kind.as_str(), events[0].fields["a"].as_str()), (count, "event", "1"));
    }
}

#[test]
fn what_is_not_what_it_should_be_is_told_so() {
    let many = format!("[{}{{}}]", "{},".repeat(MAX_EVENTS));
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (sender, body, expected) in [
        (Sender::Any, "", "400 the body holds no event"),
        (Sender::Any, "nonsense", "400 the body is no JSON: expected ident at line 1 column 2"),
        (Sender::Any, r#"{"a":1}{"#, "400 the body is no JSON"),
        (Sender::Any, "[1]", "400 an event is a JSON object"),
        (Sender::Any, &deep, "400 the body is no JSON: recursion limit"),
        (Sender::Any, &many, "413 a request may hold 10000 events"),
        (Sender::Falco, r#"{"rule":"x"}"#, "400 this is no alert of Falco's"),
        (Sender::Alertmanager, r#"{"alerts":[1]}"#, "400 this is no notification"),
        (Sender::Alertmanager, "[]", "400 this is no notification"),
        (Sender::KubernetesAudit, r#"{"kind":"Event","items":[]}"#, "400 this is no audit"),
        (Sender::KubernetesAudit, r#"{"kind":"EventList"}"#, "400 this is no audit"),
    ] {
        let why = decoded(sender, body).unwrap_err();
        assert!(why.starts_with(expected), "{why}");
    }
}

#[test]
fn what_alertmanager_left_out_is_counted() {
    let body = |n: &str| format!(r#"{{"truncatedAlerts":{n},"alerts":[{{"status":"firing","labels":{{}}}}]}}"#);
    for (n, count) in [("3", 3), ("0", 0), ("null", 0)] {
        assert_eq!(decode(Sender::Alertmanager, body(n).as_bytes()).unwrap().truncated, count);
    }
    assert_eq!(decode(Sender::Any, body("3").as_bytes()).unwrap().truncated, 0);
}
