//! What the API says of one of Falco's pods, and how far its log was read.

use super::text::Place;
use foil_cluster::object::text;
use serde_json::Value;

/// A pod as a list has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Whatever is of this name later is another.
    pub uid: String,
    /// Its node; empty where it has none yet.
    pub node: String,
    /// Falco's container; `None`: it has none of that name.
    pub container: Option<Container>,
    /// It ended for good, as an evicted one: another takes its place.
    pub ended: bool,
}

/// Falco's container in a pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Container {
    /// The id of the container that the API gives the log of; empty where none was ever started.
    pub id: String,
    /// How often it was started again.
    pub restarts: u64,
    /// It writes nothing any more.
    pub over: bool,
    /// Why it does not run, such as `CrashLoopBackOff`.
    pub reason: String,
}

impl Pod {
    /// Reads a pod of the API; `None` where it has no name or UID.
    pub fn of(object: &Value, container: &str) -> Option<Self> {
        let said = |pointer: &str| text(object, pointer).to_owned();
        let (name, uid) = (said("/metadata/name"), said("/metadata/uid"));
        if name.is_empty() || uid.is_empty() {
            return None;
        }
        let all = |pointer: &str| object.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        let named = |entry: &&Value| text(entry, "/name") == container;
        let declared = all("/spec/containers").any(|entry| named(&entry));
        let status = all("/status/containerStatuses").find(named).map(Container::of);
        let container = declared.then(|| status.unwrap_or_default());
        let ended = matches!(text(object, "/status/phase"), "Succeeded" | "Failed");
        Some(Self { name, uid, node: said("/spec/nodeName"), container, ended })
    }
}

impl Container {
    fn of(status: &Value) -> Self {
        let running = status.pointer("/state/running").is_some();
        // While it waits to be started again, the log is that of the one before.
        let ids = ["/state/terminated/containerID", "/lastState/terminated/containerID"];
        let ended = || ids.iter().map(|pointer| text(status, pointer)).find(|id| !id.is_empty()).unwrap_or_default();
        let id = if running { text(status, "/containerID") } else { ended() };
        let restarts = status.get("restartCount").and_then(Value::as_u64).unwrap_or_default();
        let reasons = ["/state/waiting/reason", "/state/terminated/reason"];
        let reason = reasons.iter().map(|pointer| text(status, pointer)).find(|reason| !reason.is_empty());
        let reason = foil_text::visible(reason.unwrap_or("not started"), 60);
        Self { id: id.to_owned(), restarts, over: !running, reason: if running { String::new() } else { reason } }
    }
}

/// How far a pod's log was read.
#[derive(Debug)]
pub struct Followed {
    /// The pod as it was last listed.
    pub pod: Pod,
    /// Of which container; empty where none was started so far.
    pub id: String,
    /// How often it had been started again by then.
    pub restarts: u64,
    /// Where reading stopped; `None` before the first look.
    pub place: Option<Place>,
    /// The log was not the one that was read before: what happened is known when the pod is listed again.
    pub torn: bool,
    /// Its container was over when its log was last read to the end.
    pub done: bool,
    /// Why its log is not known to the end, for now.
    pub trouble: Option<String>,
}

impl Followed {
    /// A pod that is new to us.
    pub fn new(pod: Pod) -> Self {
        Self { pod, id: String::new(), restarts: 0, place: None, torn: false, done: false, trouble: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(status: Value) -> Option<Container> {
        let object = json!({
            "metadata": {"name": "falco-a", "uid": "u"}, "spec": {"nodeName": "n", "containers": [{"name": "falco"}, {"name": "x"}]},
            "status": {"containerStatuses": [{"name": "x", "containerID": "containerd://x"}, status]},
        });
        let pod = Pod::of(&object, "falco").expect("a pod");
        assert_eq!((pod.name.as_str(), pod.node.as_str()), ("falco-a", "n"));
        assert_eq!(Pod::of(&object, "other").expect("a pod").container, None);
        pod.container
    }

    #[test]
    fn a_container_is_the_one_whose_log_the_api_gives() {
        let running = pod(json!({"name": "falco", "containerID": "containerd://b", "restartCount": 1,
            "state": {"running": {}}, "lastState": {"terminated": {"containerID": "containerd://a"}}}));
        assert_eq!(running, Some(Container { id: "containerd://b".into(), restarts: 1, ..Container::default() }));
        let waiting = pod(json!({"name": "falco", "containerID": "containerd://a", "restartCount": 1,
            "state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": {"containerID": "containerd://a"}}}));
        let reason = || "CrashLoopBackOff".to_owned();
        assert_eq!(waiting, Some(Container { id: "containerd://a".into(), restarts: 1, over: true, reason: reason() }));
        let new = pod(json!({"name": "falco", "containerID": "", "state": {"waiting": {}}, "lastState": {}}));
        assert_eq!(new, Some(Container { over: true, reason: "not started".into(), ..Container::default() }));
        assert_eq!(pod(json!({"name": "y"})), Some(Container::default()));
    }
}
