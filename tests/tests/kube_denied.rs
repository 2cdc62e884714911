//! What a grant does not allow is refused by name, and no request of it leaves the process: the API server's audit log says so.

use foil_tests::e2e::Bench;
use foil_tests::e2e_kube::{Cluster, answers, fire, pod};
use serde_json::{Value, json};

/// A bench whose only grant has these capabilities, as `grants.toml` has them.
fn narrowed(capabilities: &str) -> Bench {
    let bench = Bench::bare(None);
    std::fs::write(bench.path("kube.wasm"), foil_tests::e2e_fixture::kube()).expect("writable");
    bench.foil(&["grant", "kube.wasm", "--reason", "e2e", "--reviewer", "e2e", "--yes"]).says(0, &["granted"]);
    let text = std::fs::read_to_string(bench.path("grants.toml")).expect("written");
    let (head, _) = text.split_once("[[grant.capability]]").expect("capabilities");
    bench.write("grants.toml", &format!("{head}{capabilities}"));
    bench
}

/// All three capabilities, or the module would not load; what each allows is the case's.
fn grant(read: &str, write: &str, exec: &str) -> String {
    [("kube-read", read), ("kube-write", write), ("kube-exec", exec)]
        .map(|(name, rules)| format!("[[grant.capability]]\nname = \"{name}\"\nallow = [{rules}]\n"))
        .join("\n")
}

const POD: &str = "{ verbs = ['create'], resource = 'pods', namespace = '{namespace}', name = 'foil-{run}-*', pod = { images = ['{image}'] } }";

/// A pod with more in it than a pod of [`pod`].
fn with(cluster: &Cluster, spec: Value, container: Value) -> Value {
    let mut pod = pod(cluster, "foil-RUN-p");
    let extend = |to: &mut Value, more: Value| {
        if let (Some(to), Value::Object(more)) = (to.as_object_mut(), more) {
            to.extend(more);
        }
    };
    extend(&mut pod["spec"]["containers"][0], container);
    extend(&mut pod["spec"], spec);
    pod
}

/// Fires the calls, each of which must be refused with its word, and sends nothing.
#[track_caller]
fn refused(cluster: &Cluster, bench: &Bench, cases: &[(Value, &str)]) {
    let calls: Vec<&Value> = cases.iter().map(|(call, _)| call).collect();
    let (done, report) = fire(bench, &json!(calls));
    assert_eq!(done.code, Some(0), "{report:#}");
    let said = answers(&report);
    assert_eq!(said.len(), cases.len());
    for (answer, (call, word)) in said.iter().zip(cases) {
        assert!(
            answer.starts_with("denied: kube-") && answer.contains(word),
            "{call}\nsaid: {answer}\nwithout: {word}"
        );
    }
    let run = report["run"].as_str().expect("a run");
    // Verifying the cluster is Foil's own.
    let requests: Vec<String> =
        cluster.audited(run).into_iter().filter(|r| r != "get /api/v1/namespaces/kube-system").collect();
    assert!(requests.is_empty(), "{requests:#?}");
}

#[test]
fn pods_beyond_the_grant() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = narrowed(&grant("", POD, ""));
    cluster.environment(&bench, "");
    let create = |object: Value| json!({"op": "create", "kind": "pods", "namespace": "NS", "object": object});
    let host = json!({"volumes": [{"name": "h", "hostPath": {"path": "/etc"}}]});
    let context = |context: Value| json!({"securityContext": context});
    let mut other = pod(&cluster, "foil-RUN-p");
    other["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "b", "image": "evil:1"}));
    let mut init = pod(&cluster, "foil-RUN-p");
    init["spec"]["initContainers"] =
        json!([{"name": "b", "image": cluster.image, "securityContext": {"privileged": true}}]);
    let cases = [
        (create(pod(&cluster, "foil-RUN")), "name"),
        (create(with(&cluster, json!({}), json!({"image": "evil:1"}))), "image `evil:1`"),
        (create(other), "image `evil:1`"),
        (create(init), "privileged"),
        (create(with(&cluster, json!({}), context(json!({"privileged": true})))), "privileged"),
        (create(with(&cluster, json!({}), context(json!({"capabilities": {"add": ["SYS_ADMIN"]}})))), "SYS_ADMIN"),
        (create(with(&cluster, json!({}), context(json!({"procMount": "Unmasked"})))), "procMount"),
        (create(with(&cluster, json!({"hostPID": true}), json!({}))), "hostPID"),
        (create(with(&cluster, json!({"hostIPC": true}), json!({}))), "hostIPC"),
        (create(with(&cluster, json!({"hostNetwork": true}), json!({}))), "hostNetwork"),
        (create(with(&cluster, json!({}), json!({"ports": [{"containerPort": 80, "hostPort": 80}]}))), "hostPort"),
        (create(with(&cluster, host, json!({}))), "hostPath"),
        (
            create(with(&cluster, json!({"volumes": [{"name": "s", "secret": {"secretName": "x"}}]}), json!({}))),
            "secret",
        ),
        (create(with(&cluster, json!({"automountServiceAccountToken": true}), json!({}))), "service account"),
        (create(with(&cluster, json!({"serviceAccountName": "admin"}), json!({}))), "service account"),
        (create(with(&cluster, json!({"priorityClassName": "system-node-critical"}), json!({}))), "priorityClassName"),
        (
            create(with(&cluster, json!({}), json!({"env": [{"name": "x", "valueFrom": {"secretKeyRef": {}}}]}))),
            "valueFrom",
        ),
        (create(with(&cluster, json!({}), json!({"lifecycle": {}}))), "lifecycle"),
        (
            json!({"op": "create", "kind": "pods", "namespace": "default", "object": pod(&cluster, "foil-RUN-p")}),
            "namespace",
        ),
        (
            json!({"op": "create", "kind": "pods", "namespace": "kube-system", "object": pod(&cluster, "foil-RUN-p")}),
            "namespace",
        ),
        (
            json!({"op": "create", "kind": "pods", "version": "v2", "namespace": "other", "object": pod(&cluster, "foil-RUN-p")}),
            "namespace",
        ),
        (
            json!({"op": "create", "kind": "secrets", "namespace": "NS", "object": {"kind": "Secret", "metadata": {"name": "foil-RUN-p"}}}),
            "resource",
        ),
        (
            json!({"op": "create", "group": "apps", "kind": "pods", "namespace": "NS", "object": pod(&cluster, "foil-RUN-p")}),
            "group",
        ),
        (
            json!({"op": "patch", "kind": "pods", "namespace": "NS", "name": "foil-RUN-p", "patch": {"metadata": {"labels": {"a": "b"}}}}),
            "verb",
        ),
        (json!({"op": "delete", "kind": "pods", "namespace": "NS", "name": "foil-RUN-p"}), "verb"),
        (json!({"op": "get", "kind": "pods", "namespace": "NS", "name": "foil-RUN-p"}), "lists nothing"),
        (json!({"op": "exec", "namespace": "NS", "name": "foil-RUN-p", "program": "/bin/id"}), "lists nothing"),
    ];
    refused(&cluster, &bench, &cases);
}

#[test]
fn reads_and_programs_beyond_the_grant() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = narrowed(&grant(
        "{ verbs = ['get'], resource = 'configmaps', namespace = '{namespace}', name = 'foil-*' }, { verbs = ['list'], resource = 'pods', namespace = '{namespace}' }, { verbs = ['proxy'], resource = 'nodes', path = '/metrics' }",
        "{ verbs = ['token'], resource = 'serviceaccounts', namespace = '{namespace}', name = 'foil-{run}' }, { verbs = ['create'], group = 'rbac.authorization.k8s.io', resource = 'roles', namespace = '{namespace}' }",
        "{ verbs = ['exec'], resource = 'pods', namespace = '{namespace}', name = 'foil-{run}', commands = ['/bin/id', '/bin/sh -c id'] }",
    ));
    cluster.environment(&bench, "");
    let of = |op: &str, kind: &str, namespace: Option<&str>, name: &str| json!({"op": op, "kind": kind, "namespace": namespace, "name": name});
    let run = |program: &str, args: &[&str]| json!({"op": "exec", "namespace": "NS", "name": "foil-RUN", "program": program, "args": args});
    let role = json!({"kind": "ClusterRole", "metadata": {"name": "foil-RUN"}});
    let cases = [
        (of("get", "secrets", Some("NS"), "foil-x"), "resource"),
        (of("list", "secrets", None, ""), "resource"),
        (of("list", "secrets", Some("NS"), ""), "resource"),
        (of("list", "pods", None, ""), "whole cluster"),
        (of("list", "pods", Some("kube-system"), ""), "namespace"),
        (of("list", "configmaps", Some("NS"), ""), "verb"),
        (of("get", "configmaps", Some("NS"), "other"), "name"),
        (of("get", "configmaps", Some("default"), "foil-x"), "namespace"),
        (
            json!({"op": "get", "kind": "configmaps", "namespace": "NS", "name": "foil-x", "subresource": "status"}),
            "subresource",
        ),
        (of("get", "nodes", None, "x"), "verb"),
        (json!({"op": "proxy", "kind": "nodes", "name": "x", "path": "/pods"}), "path"),
        (json!({"op": "proxy", "kind": "nodes", "name": "x", "path": "/metrics/cadvisor"}), "path"),
        (of("wait", "pods", Some("NS"), "foil-RUN"), "verb"),
        (of("token", "serviceaccounts", Some("NS"), "default"), "name"),
        (of("token", "serviceaccounts", Some("kube-system"), "foil-RUN"), "namespace"),
        (
            json!({"op": "create", "group": "rbac.authorization.k8s.io", "kind": "clusterroles", "object": role}),
            "resource",
        ),
        (
            json!({"op": "certificate", "name": "foil-RUN", "signer": "kubernetes.io/kube-apiserver-client", "common-name": "x", "args": ["system:masters"]}),
            "resource",
        ),
        (of("approve", "", None, "foil-RUN"), "resource"),
        (run("/bin/sh", &["-c", "id; id"]), "command"),
        (run("/bin/sh", &[]), "command"),
        (run("/bin/cat", &["/etc/shadow"]), "command"),
        (json!({"op": "exec", "namespace": "NS", "name": "other", "program": "/bin/id"}), "name"),
        (json!({"op": "exec", "namespace": "default", "name": "foil-RUN", "program": "/bin/id"}), "namespace"),
        (json!({"op": "logs", "namespace": "NS", "kind": "pods", "name": "foil-RUN"}), "verb"),
    ];
    refused(&cluster, &bench, &cases);
}

#[test]
fn the_environment_is_the_outer_limit() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = foil_tests::e2e_kube::bench();
    cluster.environment(
        &bench,
        "capabilities:\n  - name: kube-read\n    allow: [{ verbs: [get], resource: configmaps, namespace: default }]\n  - name: kube-write\n    allow: [{ verbs: [create], resource: configmaps, namespace: '{namespace}', name: 'foil-{run}' }]\n  - name: kube-exec\n    allow: []\n",
    );
    let map = |name: &str| json!({"kind": "ConfigMap", "metadata": {"name": name}});
    let create = |kind: &str, namespace: &str, name: &str| json!({"op": "create", "kind": kind, "namespace": namespace, "object": map(name)});
    let cases = [
        (create("configmaps", "default", "foil-RUN"), "the guardrail"),
        (create("secrets", "NS", "foil-RUN"), "the guardrail"),
        (create("configmaps", "NS", "foil-RUN-b"), "the guardrail"),
        (json!({"op": "get", "kind": "secrets", "namespace": "default", "name": "x"}), "the guardrail"),
        (json!({"op": "exec", "namespace": "NS", "name": "x", "program": "/bin/id"}), "the guardrail"),
    ];
    refused(&cluster, &bench, &cases);
}

#[test]
fn a_module_that_is_not_granted_what_it_imports_does_not_start() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = narrowed("[[grant.capability]]\nname = \"kube-read\"\nallow = []\n");
    cluster.environment(&bench, "");
    bench.foil(&["fire", "kube.wasm", "--with", "calls=[]"]).says(2, &["imports `kube-write`"]);
    let bare = Bench::bare(None);
    cluster.environment(&bare, "");
    bare.foil(&["fire", "kubernetes.secrets-dump"]).says(2, &["not granted"]);
}

#[test]
fn names_that_are_paths_are_invalid() {
    let Some(cluster) = Cluster::new() else { return };
    let bench = foil_tests::e2e_kube::bench();
    cluster.environment(&bench, "");
    let get = |kind: &str, namespace: &str, name: &str| json!({"op": "get", "kind": kind, "namespace": namespace, "name": name});
    let calls = [
        get("pods", "NS", "../../secrets/x"),
        get("pods", "NS", ".."),
        get("pods/exec", "NS", "x"),
        get("pods", "default/pods/x", "y"),
        json!({"op": "get", "group": "apps/v1/../..", "kind": "pods", "name": "x"}),
        json!({"op": "get", "kind": "pods", "namespace": "NS", "name": "x", "subresource": "exec"}),
        json!({"op": "get", "kind": "pods", "namespace": "NS", "name": "x", "subresource": "../y"}),
        json!({"op": "proxy", "kind": "nodes", "name": "x", "path": "/a/../../b"}),
        json!({"op": "proxy", "kind": "nodes", "name": "x", "path": "a"}),
        json!({"op": "proxy", "kind": "secrets", "name": "x", "path": "/"}),
        json!({"op": "create", "kind": "configmaps", "namespace": "NS", "object": {"kind": "ConfigMap", "metadata": {"name": "x"}}}),
    ];
    let (_, report) = fire(&bench, &json!(calls));
    for (answer, call) in answers(&report).iter().zip(&calls) {
        assert!(answer.starts_with("invalid: "), "{call}: {answer}");
    }
    let requests = cluster.audited(report["run"].as_str().unwrap());
    assert!(requests.iter().all(|r| r == "get /api/v1/namespaces/kube-system"), "{requests:#?}");
}
