//! A real cluster for tests: a namespace of the test's own, a look at all objects, and the audit log.

use crate::e2e::{Bench, Done};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A test's part of the cluster that `FOIL_TEST_KUBECONFIG` names.
pub struct Cluster {
    kubeconfig: PathBuf,
    /// Its namespace; deleted with it.
    pub namespace: String,
    /// What its pods run.
    pub image: String,
    /// The UID of `kube-system`.
    pub uid: String,
    context: String,
}

/// Kinds that controllers and nodes write by themselves: they are no trace of anybody.
const RESTLESS: [&str; 6] = ["events", "leases", "endpoints", "componentstatuses", "nodes", "endpointslices"];

impl Cluster {
    /// The cluster, with a namespace for this test; `None`, said, where no cluster is named.
    pub fn new() -> Option<Self> {
        let Some(kubeconfig) = std::env::var_os("FOIL_TEST_KUBECONFIG").map(PathBuf::from) else {
            eprintln!("skipped: FOIL_TEST_KUBECONFIG is not set");
            return None;
        };
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let image = std::env::var("FOIL_TEST_IMAGE").unwrap_or_else(|_| "localhost/busybox:1".to_owned());
        let mut cluster = Self {
            kubeconfig,
            namespace: format!("foil-test-{}-{number}", std::process::id()),
            image,
            uid: String::new(),
            context: String::new(),
        };
        cluster.uid = cluster.kubectl(&["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]);
        cluster.context = cluster.kubectl(&["config", "current-context"]).trim().to_owned();
        cluster.kubectl(&["create", "namespace", &cluster.namespace]);
        // Pods cannot be made before it has its account, and before Kubernetes 1.24 the account's token.
        let mut pod = pod(&cluster, "first");
        pod["apiVersion"] = "v1".into();
        crate::e2e::until(std::time::Duration::from_secs(20), "a pod can be made in the namespace", || {
            let create = ["-n", &cluster.namespace, "create", "--dry-run=server", "-f", "-"];
            cluster.kubectl_with(&create, &pod.to_string()).status.success()
        });
        Some(cluster)
    }

    /// `kubectl` as the kubeconfig's user.
    #[track_caller]
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.try_kubectl(arguments);
        assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// The same, that may fail.
    pub fn try_kubectl(&self, arguments: &[&str]) -> std::process::Output {
        Command::new("kubectl").arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).output().expect("kubectl")
    }

    /// `kubectl` that reads `input`; it may fail.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> std::process::Output {
        use std::io::Write as _;
        use std::process::Stdio;
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&self.kubeconfig).args(arguments).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("kubectl");
        child.stdin.take().expect("piped").write_all(input.as_bytes()).expect("written");
        child.wait_with_output().expect("ended")
    }

    /// Applies YAML.
    #[track_caller]
    pub fn apply(&self, yaml: &str) {
        let output = self.kubectl_with(&["apply", "-f", "-"], yaml);
        assert!(output.status.success(), "{}\n{yaml}", String::from_utf8_lossy(&output.stderr));
    }

    /// A token of a service account of the test's namespace, valid for an hour.
    #[track_caller]
    pub fn token(&self, account: &str) -> String {
        // `kubectl create token` is newer than the oldest kubectl that the tests run with.
        let path = format!("/api/v1/namespaces/{}/serviceaccounts/{account}/token", self.namespace);
        let request = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {} });
        let output = self.kubectl_with(&["create", "--raw", &path, "-f", "-"], &request.to_string());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        answer["status"]["token"].as_str().expect("a token").to_owned()
    }

    /// An object of the test's namespace.
    pub fn object(&self, kind: &str, name: &str) -> Option<Value> {
        let output = self.try_kubectl(&["-n", &self.namespace, "get", kind, name, "-o", "json"]);
        output.status.success().then(|| serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    /// The kubeconfig.
    pub fn kubeconfig(&self) -> &std::path::Path {
        &self.kubeconfig
    }

    /// The folder of `tests/cluster/up.sh` that the kubeconfig lies in.
    pub fn folder(&self) -> &std::path::Path {
        self.kubeconfig.parent().expect("a folder")
    }

    /// `foil.yaml` for a bench; `more` are further lines below `kubernetes:`, indented by two.
    pub fn environment(&self, bench: &Bench, more: &str) {
        self.environment_by(bench, &self.kubeconfig, &format!("  namespace: {}\n{more}", self.namespace));
    }

    /// The same by another kubeconfig, and without a namespace unless `more` says one.
    pub fn environment_by(&self, bench: &Bench, kubeconfig: &std::path::Path, more: &str) {
        let text = format!(
            "environment: e2e\nparallel: 20\nkubernetes:\n  kubeconfig: {}\n  context: {}\n  cluster: {}\n  image: {}\n{more}",
            kubeconfig.display(),
            self.context,
            self.uid,
            self.image
        );
        bench.write("foil.yaml", &text);
    }

    /// Every object of the cluster that somebody made, as `kind namespace/name`, with its content but for what the server keeps of it.
    pub fn objects(&self) -> BTreeMap<String, Value> {
        let kinds = self.kubectl(&["api-resources", "--verbs=list", "-o", "name"]);
        let kinds: Vec<&str> =
            kinds.lines().filter(|kind| !RESTLESS.contains(&kind.split('.').next().unwrap_or_default())).collect();
        self.objects_of(&kinds.join(","))
    }

    /// The same of these kinds only.
    pub fn objects_of(&self, kinds: &str) -> BTreeMap<String, Value> {
        let list = self.kubectl(&["get", kinds, "--all-namespaces", "-o", "json"]);
        let list: Value = serde_json::from_str(&list).expect("JSON");
        let of =
            |item: &Value, pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut all = BTreeMap::new();
        for mut item in list["items"].as_array().expect("items").iter().cloned() {
            let namespace = of(&item, "/metadata/namespace");
            // Other tests have namespaces of their own.
            let others = |name: &str| name.starts_with("foil-") && name != self.namespace;
            let kind = of(&item, "/kind");
            if others(&namespace) || (kind == "Namespace" && others(&of(&item, "/metadata/name"))) {
                continue;
            }
            let key = format!("{kind} {namespace}/{} {}", of(&item, "/metadata/name"), of(&item, "/metadata/uid"));
            for kept in ["resourceVersion", "generation", "managedFields", "selfLink"] {
                item["metadata"].as_object_mut().map(|m| m.remove(kept));
            }
            item.as_object_mut().map(|o| o.remove("status"));
            all.insert(key, item);
        }
        all
    }

    /// Nothing in the cluster differs from before. What other tests make meanwhile bears other runs' ids, and is not compared.
    #[track_caller]
    pub fn is_as(&self, before: &BTreeMap<String, Value>, runs: &[String], when: &str) {
        self.compare(&|| self.objects(), before, runs, when);
    }

    /// The same of these kinds only.
    #[track_caller]
    pub fn is_as_of(&self, kinds: &str, before: &BTreeMap<String, Value>, runs: &[String], when: &str) {
        self.compare(&|| self.objects_of(kinds), before, runs, when);
    }

    #[track_caller]
    fn compare(
        &self,
        look: &dyn Fn() -> BTreeMap<String, Value>,
        before: &BTreeMap<String, Value>,
        runs: &[String],
        when: &str,
    ) {
        let mut last = String::new();
        for _ in 0..50 {
            let now = look();
            let ours = |key: &str| key.contains(&self.namespace) || runs.iter().any(|run| key.contains(run.as_str()));
            let gone: Vec<_> = before.keys().filter(|key| ours(key) && !now.contains_key(*key)).collect();
            let new: Vec<_> = now.keys().filter(|key| ours(key) && !before.contains_key(*key)).collect();
            let changed: Vec<_> = before
                .iter()
                .filter(|(key, value)| ours(key) && now.get(*key).is_some_and(|now| now != *value))
                .collect();
            if gone.is_empty() && new.is_empty() && changed.is_empty() {
                return;
            }
            last = format!("gone: {gone:#?}\nnew: {new:#?}\nchanged: {changed:#?}");
            // Controllers take a moment: a service account's own secret goes after it.
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
        panic!("{when}: the cluster is not as before: {last}");
    }

    /// What the API server's audit log says of the requests of a run: verb and path, in order.
    pub fn audited(&self, run: &str) -> Vec<String> {
        let events = self.audit_lines(run);
        let ours = events
            .iter()
            .filter(|e| e["stage"] == "ResponseComplete" && e["userAgent"].as_str().is_some_and(|a| a.contains(run)));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        ours.map(|e| format!("{} {}", text(&e["verb"]), text(&e["requestURI"]))).collect()
    }

    /// Every event of the audit log that mentions this.
    pub fn audit_lines(&self, about: &str) -> Vec<Value> {
        let log = self.folder().join("run/log/audit.log");
        let text = std::fs::read_to_string(&log).unwrap_or_else(|e| panic!("{}: {e}", log.display()));
        text.lines().filter(|line| line.contains(about)).filter_map(|line| serde_json::from_str(line).ok()).collect()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.try_kubectl(&["delete", "namespace", &self.namespace, "--wait=false"]);
    }
}

/// A bench with the fixture that makes calls; it is granted all that it asks for.
pub fn bench() -> Bench {
    let bench = Bench::new();
    std::fs::write(bench.path("kube.wasm"), super::e2e_fixture::kube()).expect("writable");
    bench.foil(&["grant", "kube.wasm", "--reason", "e2e", "--reviewer", "e2e", "--yes"]).says(0, &["granted"]);
    bench
}

/// Fires the fixture's calls; one report.
#[track_caller]
pub fn fire(bench: &Bench, calls: &Value) -> (Done, Value) {
    let done = bench.foil(&["fire", "kube.wasm", "--with", &format!("calls={calls}"), "--format", "json"]);
    let report = done.report();
    (done, report)
}

/// What came of the calls, in order.
pub fn answers(report: &Value) -> Vec<String> {
    let facts = report["facts"].as_object().unwrap_or_else(|| panic!("{report:#}"));
    facts.values().map(|v| v.as_str().unwrap_or_default().to_owned()).collect()
}

/// A pod of the run's that sleeps.
pub fn pod(cluster: &Cluster, name: &str) -> Value {
    json!({
        "kind": "Pod", "metadata": { "name": name },
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 1, "restartPolicy": "Never",
            "containers": [{ "name": "main", "image": cluster.image, "command": ["/bin/sleep", "600"] }],
        },
    })
}
