//! Nodes, Falco's pods and their DaemonSets, as the API has them.

use serde_json::Value;

/// Taints that the controller lets every DaemonSet's pods tolerate.
/// <https://kubernetes.io/docs/concepts/workloads/controllers/daemonset/#taints-and-tolerations>
const TOLERATED: [&str; 6] =
    ["not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"];

/// A node.
#[derive(Debug)]
pub struct Node {
    pub name: String,
    /// When it joined, nanoseconds since 1970; 0 where that cannot be read, which is long ago.
    pub born: u64,
    pub cordoned: bool,
    taints: Vec<Value>,
}

impl Node {
    pub fn of(node: &Value) -> Self {
        Self {
            name: text(node, "/metadata/name").to_owned(),
            born: moment(text(node, "/metadata/creationTimestamp")).unwrap_or_default(),
            cordoned: node.pointer("/spec/unschedulable") == Some(&Value::Bool(true)),
            taints: list(node, "/spec/taints").to_vec(),
        }
    }

    /// Whether its taints let pods of the DaemonSet be there.
    pub fn is_tolerated_by(&self, set: &DaemonSet) -> bool {
        let hard = |taint: &&Value| text(taint, "/effect") != "PreferNoSchedule";
        self.taints.iter().filter(hard).all(|taint| set.tolerates(taint))
    }
}

/// A DaemonSet.
#[derive(Debug)]
pub struct DaemonSet {
    pub uid: String,
    pub name: String,
    /// The labels of its pods.
    labels: Value,
    /// The hash of its newest revision; `None`: the controller has not taken up its latest change.
    hash: Option<String>,
    tolerations: Vec<Value>,
    on_host_network: bool,
}

impl DaemonSet {
    pub fn of(set: &Value, revisions: &[Value]) -> Self {
        let uid = text(set, "/metadata/uid");
        let number =
            |object: &Value, pointer: &str| object.pointer(pointer).and_then(Value::as_i64).unwrap_or_default();
        let own = revisions.iter().filter(|revision| owner(revision) == Some(uid));
        let newest = own.max_by_key(|revision| number(revision, "/revision"));
        let taken_up = number(set, "/status/observedGeneration") >= number(set, "/metadata/generation");
        let hash = newest.map(|revision| text(revision, "/metadata/labels/controller-revision-hash").to_owned());
        Self {
            uid: uid.to_owned(),
            name: text(set, "/metadata/name").to_owned(),
            labels: set.pointer("/spec/template/metadata/labels").cloned().unwrap_or_default(),
            hash: hash.filter(|hash| taken_up && !hash.is_empty()),
            tolerations: list(set, "/spec/template/spec/tolerations").to_vec(),
            on_host_network: set.pointer("/spec/template/spec/hostNetwork") == Some(&Value::Bool(true)),
        }
    }

    /// Whether its pods bear labels that a selector of equalities finds. One with other operators says nothing here.
    pub fn is_found_by(&self, selector: &str) -> bool {
        selector.split(',').all(|part| {
            let (key, value) = part.split_once("==").or_else(|| part.split_once('=')).unwrap_or((part, ""));
            let label = self.labels.get(key.trim()).and_then(Value::as_str);
            !key.contains(['!', ' ', '(']) && label.is_some_and(|label| !part.contains('=') || label == value.trim())
        })
    }

    fn tolerates(&self, taint: &Value) -> bool {
        let key = text(taint, "/key");
        let by_itself = key
            .strip_prefix("node.kubernetes.io/")
            .is_some_and(|name| TOLERATED.contains(&name) || (name == "network-unavailable" && self.on_host_network));
        by_itself
            || self.tolerations.iter().any(|toleration| {
                let same = |field: &str| text(toleration, field) == text(taint, field);
                let (effect, wanted) = (text(toleration, "/effect"), text(toleration, "/key"));
                let value = match text(toleration, "/operator") {
                    "Exists" => wanted.is_empty() || same("/key"),
                    _ => same("/key") && same("/value"),
                };
                value && (effect.is_empty() || same("/effect"))
            })
    }
}

/// One of Falco's pods.
#[derive(Debug)]
pub struct Pod {
    pub node: String,
    /// The UID of its DaemonSet.
    pub set: Option<String>,
    /// Why it does not count.
    pub lack: Option<&'static str>,
}

impl Pod {
    pub fn of(pod: &Value, sets: &[DaemonSet]) -> Self {
        let set = owner(pod).and_then(|uid| sets.iter().find(|set| set.uid == uid));
        let conditions = list(pod, "/status/conditions");
        let ready = conditions.iter().any(|c| text(c, "/type") == "Ready" && text(c, "/status") == "True");
        let going = pod.pointer("/metadata/deletionTimestamp").is_some();
        let hash = text(pod, "/metadata/labels/controller-revision-hash");
        let lack = match set {
            _ if going => Some("going"),
            _ if !ready => Some("not ready"),
            None => Some("of no DaemonSet"),
            Some(set) if set.hash.as_deref() != Some(hash) => Some("out of date"),
            Some(_) => None,
        };
        Self { node: text(pod, "/spec/nodeName").to_owned(), set: set.map(|set| set.uid.clone()), lack }
    }
}

/// The UID of the DaemonSet that an object belongs to.
fn owner(object: &Value) -> Option<&str> {
    let owners = list(object, "/metadata/ownerReferences").iter();
    owners.filter(|owner| text(owner, "/kind") == "DaemonSet").map(|owner| text(owner, "/uid")).next()
}

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, pointer: &str) -> &'a [Value] {
    value.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Nanoseconds since 1970 of `2026-11-22T08:35:38Z`, as the API writes times.
fn moment(text: &str) -> Option<u64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let numbers = |text: &str, between: char| -> Option<[u64; 3]> {
        let all: Vec<u64> = text.split(between).map(|part| part.parse().ok()).collect::<Option<_>>()?;
        all.try_into().ok()
    };
    let ([year, month, day], [hour, minute, second]) = (numbers(date, '-')?, numbers(time, ':')?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days since 0000-03-01, with years that begin in March: a leap day is then the last of its year.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1;
    let seconds = days.checked_sub(719_468)? * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::moment;

    #[test]
    fn the_apis_times_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2024-02-29T23:59:59Z", Some(1_709_251_199)),
            ("2024-03-01T00:00:00Z", Some(1_709_251_200)),
            ("2026-11-22T08:35:38Z", Some(1_795_336_538)),
            ("yesterday", None),
            ("2026-13-22T08:35:38Z", None),
            ("2026-11-22T08:35Z", None),
            ("9999-12-31T23:59:59Z", None),
        ] {
            assert_eq!(moment(text), seconds.map(|s: u64| s * 1_000_000_000), "{text}");
        }
    }
}
