//! `--each-node` on a thousand nodes: a fake of the API, since no machine here has so many, which counts what is asked of it at once.

use foil_tests::e2e::Bench;
use foil_tests::e2e_api::{self, UID};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Nodes on which no container ever starts.
const DEAD: usize = 3;

#[derive(Default)]
struct Fake {
    nodes: usize,
    pods: Mutex<BTreeMap<String, Value>>,
    now: AtomicUsize,
    most: AtomicUsize,
    on: Mutex<BTreeMap<String, usize>>,
}

impl Fake {
    fn start(nodes: usize) -> (Arc<Self>, u16) {
        let fake = Arc::new(Self { nodes, ..Self::default() });
        let of_server = Arc::clone(&fake);
        (fake, e2e_api::serve(move |method, path, body| of_server.counted(method, path, body)))
    }

    fn counted(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(now, Ordering::SeqCst);
        // Long enough that requests which are not held back would pile up.
        std::thread::sleep(Duration::from_millis(3));
        let answer = self.answer(method, path, body);
        self.now.fetch_sub(1, Ordering::SeqCst);
        answer
    }

    fn answer(&self, method: &str, path: &str, body: &[u8]) -> (u16, Value) {
        let missing = || (404, json!({"kind": "Status", "reason": "NotFound", "message": "no", "code": 404}));
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if path == "/api/v1/namespaces/kube-system" {
            return (200, json!({"metadata": {"name": "kube-system", "uid": UID}}));
        }
        if path == "/api/v1/nodes" {
            let from: usize =
                query.split('&').find_map(|q| q.strip_prefix("continue=")).map_or(0, |c| c.parse().expect("ours"));
            let end = (from + 500).min(self.nodes);
            let items: Vec<Value> =
                (from..end).map(|n| json!({"metadata": {"name": format!("node-{n:04}")}})).collect();
            let more = if end < self.nodes { end.to_string() } else { String::new() };
            return (200, json!({"metadata": {"continue": more}, "items": items}));
        }
        let Some(rest) = path.strip_prefix("/api/v1/namespaces/security-testing/pods") else { return missing() };
        let name = rest.trim_start_matches('/').to_owned();
        let mut pods = self.pods.lock().expect("no panic");
        match method {
            "POST" => {
                let mut pod: Value = serde_json::from_slice(body).expect("JSON");
                let node = pod.pointer("/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms/0/matchFields/0/values/0");
                let node = node.and_then(Value::as_str).expect("pinned").to_owned();
                assert_eq!(pod["spec"]["tolerations"], json!([{"operator": "Exists"}]));
                *self.on.lock().expect("no panic").entry(node.clone()).or_default() += 1;
                let dead = node.trim_start_matches("node-").parse::<usize>().expect("a number") < DEAD;
                let name = pod["metadata"]["name"].as_str().expect("a name").to_owned();
                pod["metadata"]["uid"] = json!(format!("uid-{name}"));
                pod["spec"]["nodeName"] = json!(node);
                pod["status"] = if dead {
                    json!({"phase": "Pending", "containerStatuses": [{"state": {"waiting": {"reason": "ImagePullBackOff", "message": "no"}}}]})
                } else {
                    json!({"phase": "Running", "containerStatuses": [{"ready": true, "containerID": format!("containerd://{}", "a".repeat(64))}]})
                };
                pods.insert(name, pod.clone());
                (201, pod)
            }
            "GET" => pods.get(&name).map_or_else(missing, |pod| (200, pod.clone())),
            "DELETE" => pods.remove(&name).map_or_else(missing, |pod| (200, pod)),
            _ => missing(),
        }
    }
}

#[test]
fn a_thousand_nodes_with_few_requests_at_once() {
    let (fake, port) = Fake::start(1_000);
    let bench = Bench::new();
    e2e_api::environment(&bench, port, "  requests: 12\n");
    bench.write("shell.yaml", "experiment: privileged\ntechnique: kubernetes.privileged-pod\n");
    let done = bench.foil(&["run", "--each-node", "shell.yaml"]);
    let summary =
        done.out.lines().filter(|line| line.contains("noticed on") || line.contains("node-0000")).collect::<Vec<_>>();
    assert!(done.out.contains("privileged: noticed on"), "{summary:?} {}", done.err);
    assert!(done.out.contains("privileged on node-0999"));
    let on = fake.on.lock().expect("no panic");
    eprintln!("{summary:#?}");
    for line in done.out.lines().rev().take(12) {
        eprintln!("{line}");
    }
    assert_eq!((on.len(), on.values().max()), (1_000, Some(&1)), "each node once");
    assert!(fake.pods.lock().expect("no panic").is_empty(), "all pods are gone again");
    // Each run's undo has a connection of its own beside the runs', and is as bounded.
    let most = fake.most.load(Ordering::SeqCst);
    assert!(most <= 12 + 16, "{most} requests at once");
    println!("at most {most} requests at once; exit {:?}", done.code);
}
