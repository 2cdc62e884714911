//! A program in a pod, as `kube-exec` starts it (the look whose pod it is, and the exec), beside `kubectl exec` of the same.
//! `FOIL_TEST_KUBECONFIG=… cargo bench --workspace --bench kube`; without a cluster it says that it is skipped.

mod common;

use foil::cluster::{Address, Cluster, Session, exec};
use foil::policy::environment;
use foil::run_id::RunId;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

const ROUNDS: usize = 30;
const PROGRAM: [&str; 2] = ["/bin/echo", "hello"];

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
    let time = |what: &dyn Fn()| {
        let began = Instant::now();
        what();
        began.elapsed()
    };
    // The first connects.
    ours();
    let (mut a, mut b): (Vec<Duration>, Vec<Duration>) = (0..ROUNDS).map(|_| (time(&ours), time(&theirs))).unzip();
    common::line("a program in a pod by kube-exec", &mut a, "kubectl exec", &mut b);
    done(&["delete", "pod", &name, "--grace-period=1"]);
}
