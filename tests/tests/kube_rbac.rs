//! Every technique with the rights that `foil show --rbac` prints and no more: they are enough, and the API server's audit log says
//! that each of them was used.

use foil_tests::e2e::Bench;
use foil_tests::e2e_kube::Cluster;
use serde_json::Value;
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is fired: a technique, with parameters as YAML. One that asks for different things by its parameters is there more than once.
const TECHNIQUES: &[(&str, &[&str])] = &[
    ("admin-clusterrole", &["{}", "{ account-namespace: own, token-secret: true }"]),
    ("canary", &["{}"]),
    ("client-certificate", &["{}"]),
    ("clusterrole-pod-exec", &["{}"]),
    ("clusterrole-wildcard", &["{}"]),
    ("clusterrole-write", &["{}"]),
    ("configmap-credentials", &["{}"]),
    ("host-network-pod", &["{}"]),
    ("hostpath-volume", &["{}"]),
    (
        "long-lived-token",
        &[
            "{}",
            "{ by: secret }",
            "{ account: kube-system }",
            "{ account: kube-system, by: secret }",
            "{ account: clusterrole-aggregation-controller }",
        ],
    ),
    ("nodeport-service", &["{}"]),
    ("nodes-proxy", &["{}", "{ as: foil }"]),
    ("pod-host-namespaces", &["{}"]),
    ("pod-network-scan", &["{}"]),
    ("pod-shell", &["{}"]),
    ("pod-token-read", &["{}"]),
    ("privileged-pod", &["{}"]),
    ("secrets-dump", &["{ scope: cluster }", "{ scope: namespace }"]),
    ("sensitive-mount-pod", &["{}"]),
];

/// Whether the API server asks its authoriser for this right beside another, so that the audit log never names it.
fn asked_beside(verb: &str, resource: &str) -> bool {
    matches!(verb, "escalate" | "bind" | "approve" | "impersonate")
        // Over a WebSocket an exec is a GET, for which `create` is asked as well since Kubernetes 1.35.
        || (verb, resource) == ("create", "pods/exec")
}

/// A verb, an API group, a resource with its subresource, a name where the rule has some.
type Right = (String, String, String, Option<String>);

#[test]
fn every_technique_is_there() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../techniques/kubernetes");
    let there: BTreeSet<String> = std::fs::read_dir(folder)
        .expect("there")
        .map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(there, TECHNIQUES.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn the_printed_rights_are_enough_and_each_is_used() {
    let Some(cluster) = Cluster::new() else { return };
    let next = AtomicUsize::new(0);
    let failed = Mutex::new(Vec::new());
    // At once, since most of the time a pod is waited for.
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| {
                while let Some((name, parameters)) = TECHNIQUES.get(next.fetch_add(1, Ordering::SeqCst)) {
                    if let Err(why) = one(&cluster, name, parameters) {
                        failed.lock().expect("no panic").push(format!("{name}: {why}"));
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("no panic");
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

fn one(cluster: &Cluster, name: &str, parameters: &[&str]) -> Result<(), String> {
    let bench = Bench::new();
    let account = format!("foil-{name}");
    let id = format!("kubernetes.{name}");
    let subject = format!("{}/{account}", cluster.namespace);
    cluster.kubectl(&["-n", &cluster.namespace, "create", "serviceaccount", &account]);
    let show = ["show", &id, "--rbac", "--namespace", &cluster.namespace, "--service-account", &subject];
    let printed = bench.foil(&show);
    if printed.code != Some(0) {
        return Err(format!("{printed:#?}"));
    }
    cluster.apply(&printed.out);
    let objects = bench.foil(&[&show[..], &["--format", "json"]].concat()).json();
    let outcome = run(cluster, &bench, &account, &id, parameters);
    for object in objects.as_array().expect("a list") {
        let (kind, name) =
            (object["kind"].as_str().expect("a kind"), object["metadata"]["name"].as_str().expect("a name"));
        // What is in the test's own namespace goes with it.
        match object["metadata"]["namespace"].as_str() {
            None => drop(cluster.try_kubectl(&["delete", kind, name])),
            Some(other) if other != cluster.namespace => {
                drop(cluster.try_kubectl(&["-n", other, "delete", kind, name]))
            }
            Some(_) => {}
        }
    }
    outcome?;
    let used = used(cluster, &account);
    let unused: Vec<Right> =
        rights(&objects).into_iter().filter(|right| !used.iter().any(|u| covers(right, u))).collect();
    if unused.is_empty() { Ok(()) } else { Err(format!("never used: {unused:#?}\nused: {used:#?}")) }
}

/// Fires it and its benign twin, as the account.
fn run(cluster: &Cluster, bench: &Bench, account: &str, id: &str, parameters: &[&str]) -> Result<(), String> {
    let token = cluster.token(account);
    // The same cluster under the same name, by another user.
    let config = cluster.kubectl(&["config", "view", "--raw", "--minify", "-o", "json"]);
    let mut config: Value = serde_json::from_str(&config).expect("JSON");
    config["users"][0]["user"] = serde_json::json!({ "token": token });
    let path = bench.path("kubeconfig");
    std::fs::write(&path, config.to_string()).expect("writable");
    cluster.environment_by(
        bench,
        &path,
        &format!("  namespace: {}\ninbox: {{ listen: '127.0.0.1:0' }}\n", cluster.namespace),
    );
    for with in parameters {
        let experiment = format!(
            "experiment: rights\ntechnique: {id}\nwith: {with}\ncontrol: {{}}\nexpect:\n  - link: detection\n    check: inbox.event\n    with: {{ contains: never }}\n    within: 1ms\n    grace: 1ms\n"
        );
        bench.write("rights.yaml", &experiment);
        let done = bench.foil(&["run", "rights.yaml", "--format", "json"]);
        let report = done.report();
        // Nobody notices, and that is all that is wrong.
        let ran =
            |report: &Value| report["summary"].is_string() && report["residue"].as_array().is_some_and(Vec::is_empty);
        if done.code != Some(1) || !ran(&report) || !ran(&report["control"]) {
            return Err(format!("{with}: {}\n{report:#}", done.err));
        }
    }
    Ok(())
}

fn rights(objects: &Value) -> BTreeSet<Right> {
    let texts = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().filter_map(|v| v.as_str().map(str::to_owned)).collect()
    };
    let mut all = BTreeSet::new();
    for rule in objects.as_array().expect("a list").iter().flat_map(|o| o["rules"].as_array().into_iter().flatten()) {
        let names = texts(&rule["resourceNames"]);
        let names: Vec<Option<String>> =
            if names.is_empty() { vec![None] } else { names.into_iter().map(Some).collect() };
        for verb in texts(&rule["verbs"]) {
            for group in texts(&rule["apiGroups"]) {
                for resource in texts(&rule["resources"]).into_iter().filter(|r| !asked_beside(&verb, r)) {
                    all.extend(names.iter().map(|name| (verb.clone(), group.clone(), resource.clone(), name.clone())));
                }
            }
        }
    }
    all
}

fn covers(right: &Right, used: &Right) -> bool {
    (&right.0, &right.1, &right.2) == (&used.0, &used.1, &used.2) && (right.3.is_none() || right.3 == used.3)
}

/// What the account asked for, by the audit log.
fn used(cluster: &Cluster, account: &str) -> BTreeSet<Right> {
    let user = format!("system:serviceaccount:{}:{account}", cluster.namespace);
    let of =
        |event: &Value, pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    let events = cluster.audit_lines(&user);
    let events = events.iter().filter(|e| e["stage"] == "ResponseComplete" || e["stage"] == "ResponseStarted");
    events
        .filter(|e| of(e, "/user/username") == user)
        .map(|e| {
            let subresource = of(e, "/objectRef/subresource");
            let resource = of(e, "/objectRef/resource");
            let resource = if subresource.is_empty() { resource } else { format!("{resource}/{subresource}") };
            (
                of(e, "/verb"),
                of(e, "/objectRef/apiGroup"),
                resource,
                Some(of(e, "/objectRef/name")).filter(|n| !n.is_empty()),
            )
        })
        .collect()
}
