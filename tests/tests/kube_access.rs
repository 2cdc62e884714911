//! The way to a cluster goes wrong: malformed kubeconfigs, plugins that hang, files that others wrote, and servers that refuse. An API
//! server is faked.

use foil_tests::e2e::{Bench, Done, is_root, until};
use foil_tests::e2e_api::{self, UID};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

const SYSTEM: &str = "/api/v1/namespaces/kube-system";

fn system() -> (u16, Value) {
    (200, json!({"metadata": {"name": "kube-system", "uid": UID}}))
}

fn missing() -> (u16, Value) {
    (404, json!({"kind": "Status", "reason": "NotFound", "message": "no", "code": 404}))
}

/// A kubeconfig whose user is this, beside a `foil.yaml` that uses it.
fn with_user(bench: &Bench, port: u16, user: &str) {
    e2e_api::environment(bench, port, "");
    let text = format!(
        "clusters: [{{name: f, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\ncontexts: [{{name: f, context: {{cluster: f, user: u}}}}]\n\
         users:\n- name: u\n  user: {user}\n"
    );
    bench.write("kubeconfig", &text);
}

fn script(bench: &Bench, name: &str, text: &str) {
    bench.write(name, &format!("#!/bin/sh\ncd {}\n{text}\n", bench.path(".").display()));
    std::fs::set_permissions(bench.path(name), std::fs::Permissions::from_mode(0o755)).expect("ours");
}

fn secretless(done: &Done) {
    for text in [&done.out, &done.err] {
        assert!(!text.contains("S3CR3T"), "{done:#?}");
    }
}

/// The processes whose numbers a plugin wrote down are gone.
fn plugin_is_gone(bench: &Bench) {
    until(Duration::from_secs(5), "the plugin is gone", || {
        let pids = std::fs::read_to_string(bench.path("pids")).unwrap_or_default();
        pids.split_whitespace().all(|pid| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        })
    });
}

const HANGS: &str = "sleep 600 & echo $$ $! > pids\nsleep 601";

#[test]
fn a_malformed_token_ends_its_own_run_and_nothing_else() {
    let bench = Bench::new();
    let port = e2e_api::serve(|_, _, _| missing());
    bench.write("cluster.yaml", "experiment: cluster\ntechnique: kubernetes.privileged-pod\n");
    bench.write("local.yaml", "experiment: local\ntechnique: linux.system-info\n");
    for token in ["\"S3CR3T\\n\"", "\"S3CR3T\\x01\"", "\"S3CR3T\\u00e9\"", "[S3CR3T]", "{S3CR3T"] {
        with_user(&bench, port, &format!("{{token: {token}}}"));
        let done = bench.foil(&["run", "cluster.yaml", "local.yaml", "--format", "json"]);
        secretless(&done);
        let reports = done.json();
        assert_eq!(reports[0]["verdict"], "inconclusive", "{token}: {reports:#}");
        assert_eq!(reports[1]["verdict"], "pass", "{token}: {reports:#}");
        let doctor = bench.foil(&["doctor"]);
        assert!(doctor.out.contains("kubeconfig"), "{doctor:#?}");
        secretless(&doctor);
        let sweep = bench.foil(&["cleanup", "--sweep"]);
        assert_eq!(sweep.code, Some(2), "{sweep:#?}");
        secretless(&sweep);
    }
    bench.is_clean();
}

#[test]
fn a_panic_is_the_error_of_its_own_run_and_everything_is_put_back() {
    let bench = Bench::new();
    let names = ["a", "b", "c"].map(|name| format!("{name}.yaml"));
    for name in &names {
        bench.write(name, &format!("experiment: {name}\ntechnique: linux.file-delete\n"));
    }
    let mut arguments = vec!["run", "--format", "json"];
    arguments.extend(names.iter().map(String::as_str));
    for (point, nth) in [
        ("begin.after", 2),
        ("intend.before", 2),
        ("intend.before-commit", 1),
        ("intend.after-commit", 2),
        ("undo.step.before", 2),
        ("finish.before", 2),
    ] {
        let output =
            bench.command(&arguments).env("FOIL_FAULT", format!("{point}:{nth}:panic")).output().expect("foil starts");
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(
            !out.contains("a secret of a library") && !err.contains("a secret of a library"),
            "{point}: {out} {err}"
        );
        assert!(err.contains("broke off at "), "{point}: {err}");
        let reports: Value = serde_json::from_str(&out).unwrap_or_else(|e| panic!("{point}: {e} {out} {err}"));
        let reports = reports.as_array().expect("reports");
        let whole =
            reports.iter().filter(|report| report["verdict"] == "pass" && report["residue"] == json!([])).count();
        assert_eq!((reports.len(), whole >= 2), (3, true), "{point}: {out}");
        bench.foil(&["cleanup"]).says(0, &[]);
        bench.is_clean();
    }
}

#[test]
fn a_plugin_that_hangs_defeats_no_limit_and_outlives_nothing() {
    let bench = Bench::new();
    let port = e2e_api::serve(|_, _, _| missing());
    with_user(
        &bench,
        port,
        "{exec: {apiVersion: client.authentication.k8s.io/v1, command: ./hang.sh, interactiveMode: IfAvailable}}",
    );
    script(&bench, "hang.sh", HANGS);
    let begun = Instant::now();
    let doctor = bench.foil(&["doctor"]);
    assert!(doctor.out.contains("hang.sh") && doctor.out.contains("did not answer within"), "{doctor:#?}");
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
    plugin_is_gone(&bench);
    let waits = || {
        let _ = std::fs::remove_file(bench.path("pids"));
        let live = bench.spawn(&["fire", "kubernetes.privileged-pod", "--format", "json"]);
        until(Duration::from_secs(20), "the plugin runs", || bench.path("pids").exists());
        live
    };
    let mut live = waits();
    live.signal(Signal::SIGINT);
    let done = live.ends_within(Duration::from_secs(5));
    assert_eq!(done.report()["verdict"], "inconclusive", "{done:#?}");
    plugin_is_gone(&bench);
    let mut live = waits();
    live.kill();
    plugin_is_gone(&bench);
    bench.foil(&["cleanup"]).says(0, &[]);
}

#[test]
fn a_plugin_is_found_beside_its_kubeconfig_and_what_it_says_is_in_no_output() {
    let bench = Bench::new();
    let port = e2e_api::serve(|_, path, _| match path {
        SYSTEM => system(),
        "/version" => (200, json!({"gitVersion": "v1.37.2"})),
        _ => missing(),
    });
    std::fs::create_dir(bench.path("bin")).expect("made");
    let user =
        "{exec: {command: ./bin/token.sh, args: [--a, 'b c'], env: [{name: FLD, value: S3CR3T}], installHint: x}}";
    with_user(&bench, port, user);
    let answer = r#"echo S3CR3T >&2; [ "$FLD" = S3CR3T ] && [ "$2" = 'b c' ] || exit 3
        echo '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"S3CR3T-FLD"}}'"#;
    script(&bench, "bin/token.sh", answer);
    let elsewhere = bench.command(&["doctor", "--environment", bench.path("foil.yaml").to_str().expect("UTF-8")]);
    let mut elsewhere = elsewhere;
    let output = elsewhere.current_dir("/").output().expect("foil starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("is reached: Kubernetes v1.37.2") && !text.contains("S3CR3T"), "{text}");
    script(&bench, "bin/token.sh", "echo S3CR3T; echo S3CR3T >&2; exit 3");
    let done = bench.foil(&["fire", "kubernetes.privileged-pod", "--format", "json"]);
    secretless(&done);
    assert!(done.report()["reason"].as_str().is_some_and(|why| why.contains("exit status 3")), "{done:#?}");
}

#[test]
fn kubeconfig_lists_are_read_as_kubectl_reads_them() {
    let bench = Bench::new();
    let port = e2e_api::serve(|_, path, _| match path {
        SYSTEM => system(),
        "/version" => (200, json!({"gitVersion": "v1.37.2"})),
        _ => missing(),
    });
    bench.write("foil.yaml", &format!("environment: x\nkubernetes: {{context: staging, cluster: {UID}}}\n"));
    bench.write("a.yaml", "current-context: prod\nusers: [{name: other, user: {}}]\n");
    bench.write("empty.yaml", "");
    bench.write("b.yaml", &format!("clusters: [{{name: c, cluster: {{server: 'http://127.0.0.1:{port}'}}}}]\ncontexts: [{{name: staging, context: {{cluster: c, user: u}}}}]\n"));
    bench.write("c.yaml", "users: [{name: u, user: {}}]\n");
    let doctor = |list: &str| {
        let output = bench.command(&["doctor"]).env("KUBECONFIG", list).output().expect("foil starts");
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let said = doctor("a.yaml:gone.yaml:empty.yaml:b.yaml:c.yaml");
    assert!(said.contains("it is the cluster that foil.yaml names"), "{said}");
    let said = doctor("a.yaml:gone.yaml");
    assert!(said.contains("is in none of the kubeconfig files") && said.contains("(missing)"), "{said}");
    if is_root() {
        std::os::unix::fs::chown(bench.path("c.yaml"), Some(65534), None).expect("root");
        let said = doctor("b.yaml:c.yaml");
        assert!(said.contains("belongs to uid 65534"), "{said}");
    }
}

/// An API server that refuses to make pods with this, and says whether the account has the right.
fn refuses(code: u16, reason: &'static str, message: &'static str, allowed: Option<bool>) -> u16 {
    e2e_api::serve(move |method, path, _| match (method, path) {
        (_, SYSTEM) => system(),
        ("POST", path) if path.contains("selfsubjectaccessreviews") => match allowed {
            Some(allowed) => (201, json!({"status": {"allowed": allowed}})),
            None => missing(),
        },
        ("POST", _) => (code, json!({"kind": "Status", "reason": reason, "message": message, "code": code})),
        _ => missing(),
    })
}

#[test]
fn the_cluster_itself_says_whether_a_right_or_a_control_refused() {
    let bench = Bench::new();
    let security = "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged";
    let policy = "Pod \"x\" is invalid: : ValidatingAdmissionPolicy 'no-root' with binding 'all' denied request: no";
    // The words of an authoriser, said by a control, and the other way round.
    let words = "pods \"x\" is forbidden: User \"a\" cannot create resource \"pods\"";
    for (code, reason, message, allowed, verdict, says) in [
        (
            403,
            "Forbidden",
            "pods \"x\" is forbidden: ",
            Some(false),
            "inconclusive",
            "may not `create` `pods` in security-testing",
        ),
        (403, "Forbidden", security, Some(false), "inconclusive", "may not `create` `pods`"),
        (403, "Forbidden", words, Some(true), "blocked", "refused by an admission control"),
        (403, "Forbidden", "pods \"x\" is forbidden: ", Some(true), "blocked", "refused by an admission control"),
        (403, "Forbidden", security, Some(true), "blocked", "Pod Security admission (`restricted:latest`)"),
        (422, "Invalid", policy, Some(true), "blocked", "the ValidatingAdmissionPolicy `no-root` (binding `all`)"),
        (
            400,
            "BadRequest",
            "admission webhook \"a.b\" denied the request: no",
            Some(true),
            "blocked",
            "the admission webhook `a.b`",
        ),
        (
            403,
            "Forbidden",
            "pods \"x\" is forbidden: exceeded quota: few, requested",
            Some(true),
            "blocked",
            "the ResourceQuota `few`",
        ),
        (403, "Forbidden", "pods \"x\" is forbidden: ", None, "inconclusive", "could not be found out"),
        (401, "Unauthorized", "Unauthorized", Some(false), "inconclusive", "does not accept the credentials"),
        (
            500,
            "InternalError",
            "failed calling webhook \"a.b\": refused",
            Some(true),
            "inconclusive",
            "failed calling webhook",
        ),
    ] {
        e2e_api::environment(&bench, refuses(code, reason, message, allowed), "");
        let done = bench.foil(&["fire", "kubernetes.privileged-pod", "--format", "json"]);
        let report = done.report();
        let why = report["reason"].as_str().unwrap_or_default();
        assert_eq!(report["verdict"], verdict, "{code} {message} {allowed:?}: {report:#}");
        assert!(why.contains(says), "{code} {message} {allowed:?}: {why}");
        assert_eq!(why.contains("--rbac"), says.contains("may not"), "{why}");
    }
}

#[test]
fn objects_that_are_too_young_to_sweep_are_left_and_said() {
    let bench = Bench::new();
    let run = foil_text::RunId::new();
    let port = e2e_api::serve(move |_, path, _| {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        match path {
            SYSTEM => system(),
            "/apis" => (200, json!({"groups": []})),
            "/api/v1" => (200, json!({"resources": [{"name": "configmaps", "verbs": ["list"]}]})),
            "/api/v1/configmaps" if query.contains("dev%2Frun") => {
                let metadata = json!({"name": format!("foil-{run}"), "namespace": "a", "uid": "u", "creationTimestamp": "2999-01-01T00:00:00Z",
                    "labels": {"foil.dev/run": run.to_string()}});
                (200, json!({"items": [{"metadata": metadata}]}))
            }
            "/api/v1/configmaps" => (200, json!({"items": []})),
            _ => missing(),
        }
    });
    e2e_api::environment(&bench, port, "");
    let done = bench.foil(&["cleanup", "--sweep"]);
    done.says(4, &["young", "1 object(s) were left"]);
    assert!(!done.out.contains("Nothing to sweep"), "{done:#?}");
}
