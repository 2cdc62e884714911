//! An API server that serves pods and their logs as a script says, for faults that a real one does not commit when asked.

use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use foil_cluster::Cluster;
use jiff::Timestamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

pub const UID: &str = "6d36c5a4-0c0a-4c4e-9c3e-5f5d2c2f4b11";

/// A pod: its container's number, and the logs of that one and of the one before.
#[derive(Default, Clone)]
pub struct Pod {
    pub node: String,
    pub restarts: u64,
    pub log: String,
    pub previous: Option<String>,
    pub status: Option<StatusCode>,
    /// It crashed, and waits to be started again.
    pub waiting: bool,
}

impl Pod {
    /// A line, written now.
    pub fn write(&mut self, line: &str) {
        self.log.push_str(&format!("{} {line}\n", Timestamp::now()));
    }

    /// Falco ends and is started again.
    pub fn restart(&mut self) {
        self.restarts += 1;
        self.previous = Some(std::mem::take(&mut self.log));
    }
}

#[derive(Default)]
pub struct Script {
    pub pods: BTreeMap<String, Pod>,
    pub list: Option<StatusCode>,
    pub delay: Duration,
    pub lists: usize,
    in_flight: usize,
    pub most_in_flight: usize,
}

type Shared = Arc<Mutex<Script>>;

/// The server, and the cluster that is reached through it.
pub struct Server {
    script: Shared,
    pub cluster: Cluster,
    _folder: tempfile::TempDir,
}

impl Server {
    pub async fn start(uid: &str) -> Self {
        let script = Shared::default();
        let app = axum::Router::new()
            .route("/api/v1/namespaces/kube-system", get(|| async { axum::Json(json!({"metadata": {"uid": UID}})) }))
            .route("/api/v1/namespaces/falco/pods", get(list))
            .route("/api/v1/namespaces/falco/pods/{name}/log", get(log))
            .with_state(Arc::clone(&script));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, app).await });
        let folder = tempfile::tempdir().expect("a folder");
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "users": [{"name": "u", "user": {}}],
            "clusters": [{"name": "c", "cluster": {"server": format!("http://{address}")}}],
            "contexts": [{"name": "t", "context": {"cluster": "c", "user": "u"}}],
        });
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig.to_string()).expect("writable");
        let rule = json!({"kubeconfig": "kubeconfig", "context": "t", "cluster": uid});
        let cluster = Cluster::new(serde_json::from_value(rule).expect("a rule"), folder.path());
        Self { script, cluster, _folder: folder }
    }

    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().expect("not poisoned")
    }

    /// Changes a pod, or makes one.
    pub fn pod(&self, name: &str, change: impl FnOnce(&mut Pod)) {
        change(
            self.script()
                .pods
                .entry(name.to_owned())
                .or_insert_with(|| Pod { node: format!("node-{name}"), ..Pod::default() }),
        );
    }
}

async fn list(State(script): State<Shared>) -> Response {
    let mut script = script.lock().expect("not poisoned");
    script.lists += 1;
    if let Some(status) = script.list {
        return refusal(status);
    }
    let pod = |(name, pod): (&String, &Pod)| {
        let id = format!("containerd://{name}-{}", pod.restarts);
        let state = match pod.waiting {
            false => json!({"running": {}}),
            true => json!({"waiting": {"reason": "CrashLoopBackOff"}}),
        };
        let last = if pod.waiting { json!({"terminated": {"containerID": id}}) } else { json!({}) };
        json!({
            "metadata": {"name": name, "uid": format!("uid-{name}")},
            "spec": {"nodeName": pod.node, "containers": [{"name": "falco"}]},
            "status": {"containerStatuses": [{
                "name": "falco", "restartCount": pod.restarts, "containerID": id, "state": state, "lastState": last,
            }]},
        })
    };
    let items: Vec<Value> = script.pods.iter().map(pod).collect();
    axum::Json(json!({"kind": "PodList", "metadata": {}, "items": items})).into_response()
}

fn refusal(status: StatusCode) -> Response {
    (status, axum::Json(json!({"reason": "Forbidden", "message": "u cannot get pods/log"}))).into_response()
}

/// As a kubelet: lines from a second on, or the last one; cut at a number of bytes.
async fn log(State(shared): State<Shared>, Path(name): Path<String>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let query: HashMap<&str, &str> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let delay = {
        let mut script = shared.lock().expect("not poisoned");
        script.in_flight += 1;
        script.most_in_flight = script.most_in_flight.max(script.in_flight);
        script.delay
    };
    tokio::time::sleep(delay).await;
    let mut script = shared.lock().expect("not poisoned");
    script.in_flight -= 1;
    let Some(pod) = script.pods.get(&name) else { return refusal(StatusCode::NOT_FOUND) };
    if let Some(status) = pod.status {
        return refusal(status);
    }
    let log = match (query.get("previous").copied(), &pod.previous) {
        (Some("true"), None) => return refusal(StatusCode::BAD_REQUEST),
        (Some("true"), Some(previous)) => previous,
        _ => &pod.log,
    };
    let mut text: String = match query.get("sinceTime") {
        None => log.split_inclusive('\n').next_back().unwrap_or_default().to_owned(),
        Some(since) => {
            let since: Timestamp = since.parse().expect("a time");
            let time =
                |line: &&str| line.split(' ').next().and_then(|t| t.parse().ok()).is_none_or(|t: Timestamp| t >= since);
            log.split_inclusive('\n').filter(time).collect()
        }
    };
    text.truncate(query["limitBytes"].parse().expect("a number"));
    text.into_response()
}
