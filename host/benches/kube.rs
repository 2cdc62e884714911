//! A program in a pod, as `kube-exec` starts it (the look whose pod it is, and the exec), beside `kubectl exec` of the same; whole acts with
//! their clean-up beside Stratus Red Team where that is in PATH; five pods at once beside `kubectl`. `FOIL_TEST_KUBECONFIG=… cargo xtask bench
//! kube`; without a cluster it says that it is skipped.

mod common;

use foil_cluster::{Address, Cluster, Session, exec};
use foil_policy::environment;
use foil_text::RunId;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 30;
const PROGRAM: [&str; 2] = ["/bin/echo", "hello"];

/// Where acts make what has a namespace.
const NAMESPACE: &str = "foil-bench";

/// Rounds of whole acts.
const ACTS: usize = 8;
/// A technique, and what Stratus calls it. Its `create-admin-clusterrole` waits for a Secret that Kubernetes does not make since 1.24: it
/// gives up after more than 40 s, leaves three objects, and fails at once the next time.
const PAIRS: [(&str, &str); 3] = [
    ("kubernetes.secrets-dump", "k8s.credential-access.dump-secrets"),
    ("kubernetes.client-certificate", "k8s.persistence.create-client-certificate"),
    ("kubernetes.long-lived-token", "k8s.persistence.create-token"),
];

/// What `kubernetes.admin-clusterrole` makes.
const ADMIN: &str = "apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: foil-bench-admin }
rules: [{ apiGroups: ['*'], resources: ['*'], verbs: ['*'] }]
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: foil-bench-admin, namespace: kube-system }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: foil-bench-admin }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: foil-bench-admin }
subjects: [{ kind: ServiceAccount, name: foil-bench-admin, namespace: kube-system }]
---
apiVersion: v1
kind: Secret
type: kubernetes.io/service-account-token
metadata:
  name: foil-bench-admin
  namespace: kube-system
  annotations: { kubernetes.io/service-account.name: foil-bench-admin }
";

fn main() {
    let Some(kubeconfig) = std::env::var_os("FOIL_TEST_KUBECONFIG").map(PathBuf::from) else {
        println!("skipped: FOIL_TEST_KUBECONFIG is not set");
        return;
    };
    let image = std::env::var("FOIL_TEST_IMAGE").unwrap_or_else(|_| "localhost/busybox:1".into());
    let kubectl = |arguments: &[&str]| {
        let mut command = Command::new("kubectl");
        command.arg("--kubeconfig").arg(&kubeconfig).args(arguments);
        command
    };
    let done = |arguments: &[&str]| {
        let output = kubectl(arguments).output().expect("kubectl");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8").trim().to_owned()
    };
    let run = RunId::new();
    let name = format!("foil-{run}");
    let context = done(&["config", "current-context"]);
    done(&[
        "run",
        &name,
        "--image",
        &image,
        "--restart=Never",
        "--labels",
        &format!("foil.dev/run={run}"),
        "--command",
        "--",
        "/bin/sleep",
        "600",
    ]);
    done(&["wait", "--for=condition=Ready", &format!("pod/{name}"), "--timeout=60s"]);

    let text =
        format!("environment: bench\nkubernetes: {{ kubeconfig: {}, context: {context} }}\n", kubeconfig.display());
    let rule = environment::parse(&text).expect("valid").cluster.expect("given");
    let session = Session::of_run(Arc::new(Cluster::new(rule, Path::new("/"))), &run);
    let pod = Address::new("", "v1", "pods", Some("default"), Some(&name)).expect("a name");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let ours = || {
        runtime.block_on(async {
            session.get(&pod).await.expect("the pod");
            let command = exec::Exec {
                pod: pod.clone(),
                container: name.clone(),
                command: PROGRAM.map(str::to_owned).to_vec(),
                tty: false,
                timeout: Duration::from_secs(30),
                keep: 1 << 20,
            };
            let ended = exec::run(&session, command).await.expect("it runs");
            assert_eq!((ended.status, ended.stdout.bytes.as_slice()), (Some(0), b"hello\n".as_slice()));
        });
    };
    let theirs = || {
        let mut command = kubectl(&["exec", &name, "--"]);
        assert!(command.args(PROGRAM).stdout(Stdio::null()).status().expect("kubectl").success());
    };
    // The first connects.
    ours();
    let (mut a, mut b): (Vec<Duration>, Vec<Duration>) = (0..ROUNDS).map(|_| (timed(ours), timed(theirs))).unzip();
    common::line("a program in a pod by kube-exec", &mut a, "kubectl exec", &mut b);
    done(&["delete", "pod", &name, "--grace-period=1"]);
    let uid = done(&["get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}"]);
    acts(&kubeconfig, &format!("context: {context}, cluster: {uid}"), &image);
}

fn timed(what: impl Fn()) -> Duration {
    let began = Instant::now();
    what();
    began.elapsed()
}

/// Whole acts, from the start of the program to its end, when all is put back.
fn acts(kubeconfig: &Path, cluster: &str, image: &str) {
    let stage = tempfile::tempdir().expect("a folder");
    let stage = stage.path();
    let environment = format!(
        "environment: bench\nparallel: 5\nkubernetes: {{ kubeconfig: {}, {cluster}, image: {image}, namespace: {NAMESPACE} }}\n",
        kubeconfig.display()
    );
    std::fs::write(stage.join("foil.yaml"), environment).expect("written");
    let done = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.args(arguments).current_dir(stage).env("FOIL_STATE", stage.join("state")).env("KUBECONFIG", kubeconfig);
        let output = command.stdin(Stdio::null()).output().expect("it starts");
        output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let foil = |arguments: &[&str]| done(&common::program(), arguments).expect("foil");
    foil(&["grant", "--builtin", "--yes", "--reviewer", "bench", "--reason", "is measured"]);
    let kubectl = |arguments: &[&str]| done(Path::new("kubectl"), arguments).expect("kubectl");
    kubectl(&["create", "namespace", NAMESPACE]);
    let stratus = done(Path::new("stratus"), &["version"]).is_ok();
    if !stratus {
        println!("skipped: the acts beside Stratus: `stratus` is not in PATH");
    }
    for (ours, theirs) in PAIRS.iter().filter(|_| stratus) {
        let fire = || foil(&["fire", ours, "--quiet"]);
        let detonate = || done(Path::new("stratus"), &["detonate", theirs, "--cleanup"]).expect("stratus");
        beside(ours, fire, "Stratus", detonate);
    }
    std::fs::write(stage.join("admin.yaml"), ADMIN).expect("written");
    let by_kubectl = || {
        kubectl(&["create", "-f", "admin.yaml"]);
        let secret = ["secret/foil-bench-admin", "--namespace", "kube-system"];
        kubectl(&[&["wait", "--for=jsonpath={.data.token}"], &secret[..]].concat());
        // The Secret goes with its account.
        kubectl(&["delete", "-f", "admin.yaml", "--ignore-not-found"]);
    };
    let admin = "kubernetes.admin-clusterrole";
    beside(admin, || foil(&["fire", admin, "--quiet"]), "kubectl", by_kubectl);
    let names: Vec<String> = (0..5).map(|number| format!("bench-{number}")).collect();
    let pods = || {
        let manifest: Vec<String> = names.iter().map(|name| pod(name, image)).collect();
        std::fs::write(stage.join("pods.yaml"), manifest.join("---\n")).expect("written");
        kubectl(&["create", "-f", "pods.yaml"]);
        kubectl(&["wait", "--for=condition=Ready", "-f", "pods.yaml", "--timeout=60s"]);
        kubectl(&["delete", "-f", "pods.yaml", "--grace-period=0"]);
    };
    std::fs::write(stage.join("pod.yaml"), "experiment: pod\ntechnique: kubernetes.privileged-pod\n").expect("written");
    let privileged = || foil(&["run", "pod.yaml", "--repeat", "5", "--quiet"]);
    beside("five pods at once, made and deleted", privileged, "kubectl", pods);
    kubectl(&["delete", "namespace", NAMESPACE]);
}

fn beside(name: &str, ours: impl Fn(), than: &str, theirs: impl Fn()) {
    // The first round fills the caches.
    let mut rounds: Vec<_> = (0..=ACTS).map(|_| (timed(&ours), timed(&theirs))).collect();
    rounds.remove(0);
    let (mut ours, mut theirs): (Vec<Duration>, Vec<Duration>) = rounds.into_iter().unzip();
    common::line(name, &mut ours, than, &mut theirs);
}

/// A pod as the technique makes it.
fn pod(name: &str, image: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{ name: {name}, namespace: {NAMESPACE} }}\nspec:\n  terminationGracePeriodSeconds: 0\n  containers:\n  - name: c\n    \
         image: {image}\n    command: [/bin/sleep, '600']\n    securityContext: {{ privileged: true }}\n"
    )
}
