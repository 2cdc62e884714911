//! Techniques that Stratus Red Team has too do what it does, as the API server's audit log shows, and leave nothing.

use foil_tests::e2e::Bench;
use foil_tests::e2e_kube::Cluster;
use serde_json::Value;

/// Fires a technique, which must pass and put everything back. Returns the run's id and its report.
#[track_caller]
fn fire(cluster: &Cluster, bench: &Bench, technique: &str, with: &[&str]) -> (String, Value) {
    let before = cluster.objects();
    let with: Vec<&str> = with.iter().flat_map(|given| ["--with", given]).collect();
    let done = bench.foil(&[&["fire", technique, "--format", "json"], &with[..]].concat());
    let report = done.report();
    assert_eq!((done.code, report["verdict"].as_str()), (Some(0), Some("pass")), "{report:#}");
    let run = report["run"].as_str().expect("a run").to_owned();
    cluster.is_as(&before, std::slice::from_ref(&run), technique);
    (run, report)
}

/// Every request that the audit log has of the run, as `user: verb namespace/resource[/subresource] name code`.
fn requests(cluster: &Cluster, run: &str) -> Vec<String> {
    let text = |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or("-").to_owned();
    let of_run = cluster.audit_lines(run).into_iter().filter(|event| {
        let agent = event["userAgent"].as_str().unwrap_or_default();
        event["stage"] == "ResponseComplete" && agent.contains(run)
    });
    of_run
        .map(|event| {
            let sub = event.pointer("/objectRef/subresource").and_then(Value::as_str);
            let sub = sub.map(|sub| ["/", sub].concat()).unwrap_or_default();
            format!(
                "{}: {} {}/{}{sub} {} {}",
                text(&event, "/user/username"),
                text(&event, "/verb"),
                text(&event, "/objectRef/namespace"),
                text(&event, "/objectRef/resource"),
                text(&event, "/objectRef/name"),
                event["responseStatus"]["code"]
            )
        })
        .collect()
}

#[track_caller]
fn has(requests: &[String], wanted: &str) {
    assert!(requests.iter().any(|request| request.ends_with(wanted)), "{wanted}: {requests:#?}");
}

#[test]
fn an_admin_account_in_kube_system_and_its_token() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = Bench::new();
    cluster.environment(&bench, "");
    let (run, report) = fire(&cluster, &bench, "k8s.persistence.create-admin-clusterrole", &[]);
    let name = format!("foil-{run}-admin");
    let requests = requests(&cluster, &run);
    has(&requests, &format!("create -/clusterroles {name} 201"));
    has(&requests, &format!("create kube-system/serviceaccounts {name} 201"));
    has(&requests, &format!("create -/clusterrolebindings {name} 201"));
    has(&requests, &format!("create kube-system/secrets {name} 201"));
    has(&requests, &format!("get kube-system/secrets {name} 200"));
    assert!(!report.to_string().contains("eyJ"), "a token is in the report: {report:#}");
}

#[test]
fn a_token_of_the_controllers_account_for_thirty_years() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = Bench::new();
    cluster.environment(&bench, "");
    let with = ["account=clusterrole-aggregation-controller", "lifetime=946080000"];
    let (run, report) = fire(&cluster, &bench, "k8s.persistence.create-token", &with);
    has(&requests(&cluster, &run), "create kube-system/serviceaccounts/token clusterrole-aggregation-controller 201");
    let undone = report["undo"]["effects"].to_string();
    assert!(undone.contains("a token") && report["residue"] == serde_json::json!([]), "{report:#}");
    let (run, _) = fire(&cluster, &bench, "k8s.persistence.create-token", &["by=secret"]);
    has(&requests(&cluster, &run), &format!("create {}/secrets foil-{run}-long-lived 201", cluster.namespace));
}

#[test]
fn a_kubelet_is_asked_with_the_token_of_an_account_of_the_runs_own() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = Bench::new();
    cluster.environment(&bench, "");
    let (run, report) = fire(&cluster, &bench, "k8s.privilege-escalation.nodes-proxy", &[]);
    let node = report["facts"]["name"].as_str().expect("a node");
    let requests = requests(&cluster, &run);
    let account = format!("system:serviceaccount:{}:foil-{run}-proxy", cluster.namespace);
    assert!(requests.contains(&format!("{account}: get -/nodes/proxy {node} 200")), "{requests:#?}");
    // Nothing else is done as the account.
    assert!(requests.iter().filter(|r| r.starts_with(&account)).all(|r| r.contains("nodes/proxy")), "{requests:#?}");
}

#[test]
fn a_container_reads_the_nodes_passwd_from_a_writable_mount() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = Bench::new();
    cluster.environment(&bench, "");
    for (with, read_only) in [(&[][..], false), (&["read-only=true"][..], true)] {
        let (run, report) = fire(&cluster, &bench, "k8s.privilege-escalation.hostpath-volume", with);
        assert_eq!(report["facts"]["read"], "/etc/passwd", "{report:#}");
        let pod = format!("foil-{run}-hostpath");
        let created = cluster.audit_lines(&run).into_iter().find(|event| {
            event["verb"] == "create"
                && event["objectRef"]["name"] == pod.as_str()
                && event["stage"] == "ResponseComplete"
        });
        let spec = created.expect("audited")["requestObject"]["spec"].clone();
        assert_eq!(spec["volumes"][0]["hostPath"]["path"], "/", "{spec:#}");
        let mount = &spec["containers"][0]["volumeMounts"][0];
        assert_eq!(mount["readOnly"].as_bool().unwrap_or(false), read_only, "{mount:#}");
    }
}

#[test]
fn a_command_of_the_experiments_is_started_in_the_pod() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = Bench::new();
    cluster.environment(&bench, "");
    let (_, report) = fire(&cluster, &bench, "kubernetes.pod-shell", &["command=echo hello; exit 3"]);
    assert_eq!((&report["facts"]["status"], &report["facts"]["ended"]), (&"3".into(), &"true".into()), "{report:#}");
    // A shell that waits for input was started all the same.
    let (_, report) = fire(&cluster, &bench, "kubernetes.pod-shell", &["command=exec /bin/sh", "seconds=3"]);
    assert_eq!(report["facts"]["ended"], "false", "{report:#}");
    // The image of these tests has no Python: that is no control that stops anybody.
    let done = bench.foil(&["fire", "kubernetes.pod-shell", "--with", "program=/usr/bin/python3", "--format", "json"]);
    let report = done.report();
    assert_eq!((done.code, report["verdict"].as_str()), (Some(3), Some("inconclusive")), "{report:#}");
    assert!(report["reason"].as_str().expect("text").contains("/usr/bin/python3"), "{report:#}");
}
