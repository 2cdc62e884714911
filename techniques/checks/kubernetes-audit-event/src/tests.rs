use super::*;
use foil_sdk::{Value, fake};

const LOG: &str = "file.audit";

fn host() -> fake::Host {
    let host = fake::Host::for_check(include_str!("../check.toml"));
    host.arm(LOG);
    host
}

/// An event as the API server writes it, of a request of this run.
fn event(host: &fake::Host) -> Event {
    let run = host.context().run_id;
    fake::event("line")
        .with("auditID", "b7016fab")
        .with("stage", "ResponseComplete")
        .with("verb", "create")
        .with("user.username", "kubernetes-admin")
        .with("userAgent", format!("foil/0.1.0 (run {run})"))
        .with("objectRef.resource", "pods")
        .with("objectRef.namespace", "security-testing")
        .with("objectRef.name", format!("foil-{run}-p"))
        .with("responseStatus.code", 201)
}

fn lines(host: &fake::Host, query: &[(&str, Value)]) -> Vec<String> {
    let query: Vec<_> = query.iter().cloned().chain([("collector", LOG.into())]).collect();
    host.probe::<AuditEvent>(&query, 0).unwrap().sightings.into_iter().map(|s| s.summary).collect()
}

/// Without the fields of these names.
fn without(mut event: Event, names: &[&str]) -> Event {
    event.fields.retain(|field| !names.contains(&field.name.as_str()));
    event
}

#[test]
fn the_evidence_says_what_was_done_by_whom_and_what_came_of_it() {
    let host = host();
    let run = host.context().run_id;
    host.event(LOG, event(&host));
    host.event(
        LOG,
        event(&host)
            .with("objectRef.subresource", "exec")
            .with("auditID2", "")
            .with("impersonatedUser.username", "ann"),
    );
    assert_eq!(
        lines(&host, &[("verb", "create".into())]),
        [format!("create pods security-testing/foil-{run}-p by kubernetes-admin (201)")],
        "both have one id"
    );
    host.event(LOG, without(event(&host), &["auditID", "objectRef.namespace", "objectRef.name"]).with("auditID", "2"));
    let other = without(
        event(&host),
        &["auditID", "objectRef.resource", "objectRef.namespace", "objectRef.name", "responseStatus.code"],
    );
    host.event(LOG, other.with("auditID", "3").with("requestURI", "/healthz"));
    host.event(
        LOG,
        without(event(&host), &["auditID"])
            .with("auditID", "4")
            .with("objectRef.subresource", "exec")
            .with("impersonatedUser.username", "ann"),
    );
    assert_eq!(
        lines(&host, &[("verb", "create".into())])[1..],
        [
            "create pods by kubernetes-admin (201)".to_owned(),
            "create /healthz by kubernetes-admin".to_owned(),
            format!("create pods/exec security-testing/foil-{run}-p by kubernetes-admin as ann (201)"),
        ]
    );
}

#[test]
fn every_parameter_narrows() {
    let host = host();
    host.event(LOG, event(&host));
    for (name, hit, miss) in [
        ("verb", "cr*", "get"),
        ("resource", "pods", "secrets"),
        ("subresource", "", "exec"),
        ("namespace", "security-*", ""),
        ("name", "foil-*", "web"),
        ("user", "kubernetes-*", "system:*"),
        ("code", "2??", "403"),
        ("stage", "ResponseComplete", "RequestReceived"),
    ] {
        let query = |value: &str| {
            if name == "verb" { vec![(name, value.into())] } else { vec![("verb", "*".into()), (name, value.into())] }
        };
        assert_eq!((lines(&host, &query(hit)).len(), lines(&host, &query(miss)).len()), (1, 0), "{name}");
    }
    let fields = |text: &str| [("fields", Value::from(&[text][..]))];
    assert_eq!(lines(&host, &fields("responseStatus.code=2*")).len(), 1);
    assert_eq!(lines(&host, &fields("responseStatus.code=4*")).len(), 0);
}

#[test]
fn what_others_did_counts_only_where_anyone_does_and_the_run_is_named() {
    let host = host();
    let controller = || without(event(&host), &["userAgent"]).with("userAgent", "kube-scheduler/v1.20");
    host.event(LOG, controller());
    let anyone = |anyone: bool| [("verb", Value::from("create")), ("anyone", anyone.into())];
    assert_eq!((lines(&host, &anyone(false)).len(), lines(&host, &anyone(true)).len()), (0, 1));
}

#[test]
fn what_is_no_audit_is_passed_over_and_a_query_for_anything_is_refused() {
    let host = host();
    host.event(LOG, without(event(&host), &["auditID"]));
    assert!(lines(&host, &[("verb", "*".into())]).is_empty());
    for query in [vec![], vec![("code", "2??".into())], vec![("namespace", "a".into())]] {
        let query: Vec<_> = query.into_iter().chain([("collector", LOG.into())]).collect();
        assert!(matches!(host.probe::<AuditEvent>(&query, 0), Err(Error::Invalid(_))));
    }
}

#[test]
fn what_an_object_lacked_that_was_cut_is_not_known() {
    let probe = |truncated: bool, field: &str| {
        let host = host();
        let event = event(&host).with("annotations.audit.k8s.io/truncated", truncated);
        host.event(LOG, event);
        let query = [("collector", LOG.into()), ("verb", "create".into()), ("fields", Value::from(&[field][..]))];
        host.probe::<AuditEvent>(&query, 0).map(|seen| seen.sightings.len()).map_err(|e| e.code().map(str::to_owned))
    };
    let cut = Err(Some("incomplete".to_owned()));
    assert_eq!(probe(true, "requestObject.spec.hostNetwork=true"), cut);
    assert_eq!(probe(false, "requestObject.spec.hostNetwork=true"), Ok(0));
    assert_eq!((probe(true, "objectRef.name=other"), probe(true, "objectRef.resource=pods")), (Ok(0), Ok(1)));
    // Another request's object says nothing.
    let host = host();
    host.event(LOG, event(&host).with("annotations.audit.k8s.io/truncated", true));
    let query =
        [("collector", LOG.into()), ("verb", "delete".into()), ("fields", Value::from(&["requestObject.a=1"][..]))];
    assert_eq!(host.probe::<AuditEvent>(&query, 0).unwrap().sightings.len(), 0);
}
