//! The deployment as `deploy/README.md` sets it up, step by step: a job of its CronJob on a real cluster, with an image of this build.
//!
//! There is no Falco in the cluster. A pod that is labelled so says in its log what Falco would.

use foil_tests::e2e::{foil, until};
use foil_tests::e2e_kube::{Cluster, pod};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What the CronJob runs, and what the canary's pod runs.
const IMAGES: [&str; 2] = ["registry.example.org/foil:0.1.0", "docker.io/library/busybox:1.36.1"];
/// The deployment's namespaces, and Falco's.
const NAMESPACES: [&str; 3] = ["foil", "security-testing", "falco"];

const README: &str = include_str!("../../deploy/README.md");

/// The commands of the README's block with this name.
fn steps(name: &str) -> String {
    let (_, block) = README.split_once(&format!("<!-- {name}: ")).unwrap_or_else(|| panic!("no block {name}"));
    let (_, block) = block.split_once("```console\n").expect("a console block");
    let (block, _) = block.split_once("```").expect("its end");
    block
        .lines()
        .map(|line| line.strip_prefix("$ ").unwrap_or_else(|| panic!("`{line}` is no command")))
        .fold(String::from("set -euo pipefail\n"), |all, line| all + line + "\n")
}

/// A checkout as far as the steps need one, and the cluster that they are run on.
struct Deployment<'a> {
    cluster: &'a Cluster,
    checkout: tempfile::TempDir,
}

impl<'a> Deployment<'a> {
    fn new(cluster: &'a Cluster) -> Self {
        let checkout = tempfile::tempdir().expect("a folder");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace").join("deploy");
        let of_cargo = checkout.path().join("target/release");
        std::fs::create_dir_all(&of_cargo).expect("writable");
        std::fs::copy(foil(), of_cargo.join("foil")).expect("copied");
        let copied = Command::new("cp").arg("-r").arg(source).arg(checkout.path()).status().expect("cp");
        assert!(copied.success());
        let deployment = Self { cluster, checkout };
        deployment.remove();
        deployment
    }

    /// Runs the block's commands; returns what they say.
    #[track_caller]
    fn run(&self, block: &str) -> String {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new("bash")
            .args(["-c", &steps(block)])
            .current_dir(self.checkout.path())
            .env("PATH", format!("{}:{path}", self.checkout.path().join("target/release").display()))
            .env("KUBECONFIG", self.cluster.kubeconfig())
            .env("FOIL_STATE", self.checkout.path().join("state"))
            .output()
            .expect("bash");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{block}: {}\n{}", text(&output.stdout), text(&output.stderr));
        text(&output.stdout)
    }

    /// A registry that the node has pulled both images from.
    fn provide_images(&self) {
        self.ctr(&["images", "import", self.checkout.path().join("foil.tar").to_str().expect("UTF-8")]);
        self.ctr(&["images", "tag", "--force", "localhost/busybox:1", IMAGES[1]]);
    }

    fn ctr(&self, arguments: &[&str]) {
        let socket = self.cluster.folder().join("run/containerd/c.sock");
        let programs = ["bin", "root/usr/bin"].map(|folder| self.cluster.folder().join(folder).join("ctr"));
        let ctr = programs.into_iter().find(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("ctr"));
        let output =
            Command::new(ctr).arg("-a").arg(socket).args(["-n", "k8s.io"]).args(arguments).output().expect("ctr");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// What a StorageClass provides: a volume for the journal.
    fn provide_volume(&self) {
        let folder = self.checkout.path().join("volume");
        std::fs::create_dir_all(&folder).expect("writable");
        let node = self.cluster.kubectl(&["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"]);
        let volume = json!({
            "apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": "foil-test-state"},
            "spec": {
                "capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": "foil", "name": "foil-state"}, "local": {"path": folder},
                "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchFields": [
                    {"key": "metadata.name", "operator": "In", "values": [node.trim()]},
                ]}]}},
            },
        });
        self.cluster.apply(&volume.to_string());
    }

    /// How the job's container ended, and its report.
    fn outcome(&self, log: &str) -> (i64, Value) {
        let pods = self.cluster.kubectl(&["-n", "foil", "get", "pods", "-l", "job-name=first", "-o", "json"]);
        let pods: Value = serde_json::from_str(&pods).expect("JSON");
        let status = &pods["items"][0]["status"];
        let code = status["containerStatuses"][0]["state"]["terminated"]["exitCode"].as_i64();
        // What Foil says beside its report is in the log too.
        let report =
            log.lines().position(|line| line == "[").map(|at| log.lines().skip(at).collect::<Vec<_>>().join("\n"));
        let reports = report.map(|text| serde_json::Deserializer::from_str(&text).into_iter::<Value>().next());
        match (code, reports) {
            (Some(code), Some(Some(Ok(reports)))) => (code, reports[0].clone()),
            _ => panic!("{log}\n{status:#}"),
        }
    }

    fn remove(&self) {
        self.cluster.try_kubectl(&["delete", "--ignore-not-found", "clusterrole,clusterrolebinding", "foil"]);
        for name in NAMESPACES {
            self.cluster.try_kubectl(&["delete", "namespace", "--ignore-not-found", "--timeout=120s", name]);
        }
        self.cluster.try_kubectl(&["delete", "persistentvolume", "--ignore-not-found", "foil-test-state"]);
    }
}

impl Drop for Deployment<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A stand-in for Falco, which is ready.
fn stand_in(cluster: &Cluster) {
    let mut object = pod(cluster, "falco-a");
    object["apiVersion"] = "v1".into();
    object["metadata"]["namespace"] = "falco".into();
    object["metadata"]["labels"] = json!({"app.kubernetes.io/name": "falco"});
    object["spec"]["restartPolicy"] = "Always".into();
    object["spec"]["containers"][0]["name"] = "falco".into();
    object["spec"]["containers"][0]["command"] =
        json!(["/bin/sh", "-c", "trap 'exit 0' TERM; echo Falco starts; while :; do sleep 1; done"]);
    cluster.apply(&object.to_string());
    cluster.kubectl(&["-n", "falco", "wait", "--for=condition=Ready", "pod/falco-a", "--timeout=60s"]);
}

/// Says again and again, as Falco would, that a program in the canary's pod read `/etc/shadow`, until `over`.
fn alerts(cluster: &Cluster, over: &AtomicBool) {
    while !over.load(Ordering::SeqCst) {
        std::thread::sleep(Duration::from_millis(300));
        let pods =
            cluster.try_kubectl(&["-n", "security-testing", "get", "pods", "-o", "jsonpath={.items[*].metadata.name}"]);
        let pods = String::from_utf8_lossy(&pods.stdout).into_owned();
        let Some(canary) = pods.split_whitespace().find(|name| name.ends_with("-canary")) else { continue };
        let alert = json!({
            "hostname": "elsewhere", "priority": "Warning", "rule": "Read sensitive file untrusted", "tags": ["T1555"],
            "output": format!("Warning Sensitive file opened | k8s_pod_name={canary}"),
            "output_fields": {"container.name": "main", "evt.type": "openat", "fd.name": "/etc/shadow",
                "k8s.ns.name": "security-testing", "k8s.pod.name": canary, "proc.cmdline": "cat /etc/shadow"},
        });
        let say = format!("printf '%s\\n' '{alert}' > /proc/1/fd/1");
        cluster.try_kubectl(&["-n", "falco", "exec", "falco-a", "--", "/bin/sh", "-c", &say]);
    }
}

#[test]
fn the_documented_steps_end_with_a_job_that_passes_where_falco_notices_and_only_there() {
    let Some(cluster) = Cluster::new() else { return };
    let deployment = Deployment::new(&cluster);
    cluster.kubectl(&["create", "namespace", "falco"]);
    deployment.run("image");
    deployment.provide_images();
    deployment.provide_volume();
    deployment.run("configuration");

    // No Falco at all: nothing is known, and a job that does not end with 0 says so.
    let (code, report) = deployment.outcome(&deployment.run("first run"));
    assert_ne!(code, 0, "{report:#}");
    assert_ne!(report["verdict"], "pass", "{report:#}");

    stand_in(&cluster);
    cluster.kubectl(&["-n", "foil", "delete", "job", "first", "--wait=true"]);
    let over = AtomicBool::new(false);
    let (code, report) = std::thread::scope(|scope| {
        scope.spawn(|| alerts(&cluster, &over));
        let log = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| deployment.run("first run")));
        over.store(true, Ordering::SeqCst);
        deployment.outcome(&log.unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    assert_eq!((code, report["verdict"].as_str()), (0, Some("pass")), "{report:#}");
    // The experiment waits for the rule that the canary raises.
    let rule = report["facts"]["rule"].as_str().expect("the canary's rule");
    let evidence = report["links"][0]["evidence"][0]["summary"].as_str().expect("evidence");
    assert!(evidence.contains(rule), "{evidence} {rule}");
    assert_eq!(report["residue"], json!([]), "{report:#}");
    until(Duration::from_secs(30), "the canary's pod is gone", || {
        let pods = cluster.kubectl(&["-n", "security-testing", "get", "pods", "-o", "name"]);
        pods.trim().is_empty()
    });
}
