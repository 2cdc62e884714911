//! The fake host's cluster: objects in memory, which keep to names and to what was made by the run.

use super::host::Host;
use super::world::World;
use crate::__bindings::host::kube_exec::{Command, Output as WireOutput};
use crate::__bindings::host::kube_read::{Condition, Page};
use crate::__bindings::host::kube_types::{Kind, Target};
use crate::__bindings::host::kube_write::Credential;
use crate::__bindings::host::types::{Denial, Error, Failure};
use crate::Cluster;
use crate::kube::Output;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

type Result<T> = std::result::Result<T, Error>;

/// Group, plural, namespace, name.
type Key = (String, String, String, String);

/// The answer of a scripted pod.
pub(super) type PodAnswer = Rc<dyn Fn(&PodCall) -> crate::Result<Output>>;

/// What is in the cluster.
#[derive(Default)]
pub(super) struct Objects {
    pub(super) all: BTreeMap<Key, Value>,
    made: Vec<Key>,
    pub(super) exec: Option<PodAnswer>,
    pub(super) proxies: BTreeMap<String, Vec<u8>>,
    pub(super) calls: Vec<String>,
    pub(super) stuck: bool,
}

/// A program that a module started in a pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodCall {
    /// The pod.
    pub pod: String,
    /// Its container, where the module said one.
    pub container: Option<String>,
    /// The program and its arguments, with a space between each.
    pub line: String,
    /// Its output is a secret.
    pub discarded: bool,
}

impl Host {
    /// A cluster with the namespace `security-testing` and nothing else, which the environment names. Pods run on its node `node-1`.
    pub fn cluster(&self) -> &Self {
        self.0.borrow_mut().context.cluster =
            Some(Cluster { namespace: "security-testing".into(), image: "busybox:1.36".into(), node: None });
        self
    }

    /// Puts an object there that the run did not make.
    pub fn object(&self, kind: &Kind, namespace: Option<&str>, object: Value) -> &Self {
        let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default();
        let key = key(kind, namespace, name);
        self.0.borrow_mut().kube.all.insert(key, object);
        self
    }

    /// Scripts every program in every pod.
    pub fn on_pod_exec(&self, answer: impl Fn(&PodCall) -> crate::Result<Output> + 'static) -> &Self {
        self.0.borrow_mut().kube.exec = Some(Rc::new(answer));
        self
    }

    /// What a GET through a proxy of this path answers.
    pub fn on_proxy(&self, path: &str, body: impl AsRef<[u8]>) -> &Self {
        self.0.borrow_mut().kube.proxies.insert(path.to_owned(), body.as_ref().to_vec());
        self
    }

    /// From now on pods are made, and do not come up.
    pub fn pods_do_not_start(&self) -> &Self {
        self.0.borrow_mut().kube.stuck = true;
        self
    }

    /// What was asked of the cluster, in order, such as `create pods security-testing/foil-x` or
    /// `exec pods security-testing/foil-x: /bin/sh -c id`.
    pub fn kube_calls(&self) -> Vec<String> {
        self.0.borrow().kube.calls.clone()
    }

    /// An object as it is now; `None` where there is none.
    pub fn object_now(&self, kind: &Kind, namespace: Option<&str>, name: &str) -> Option<Value> {
        self.0.borrow().kube.all.get(&key(kind, namespace, name)).cloned()
    }
}

/// What a program in a pod says that writes `stdout` and ends with status 0.
pub fn pod_output(stdout: impl AsRef<[u8]>) -> Output {
    Output {
        program: String::new(),
        status: 0,
        stdout: stdout.as_ref().to_vec(),
        stderr: Vec::new(),
        stdout_dropped: 0,
        stderr_dropped: 0,
    }
}

fn key(kind: &Kind, namespace: Option<&str>, name: &str) -> Key {
    (kind.group.clone(), kind.plural.clone(), namespace.unwrap_or_default().to_owned(), name.to_owned())
}

fn key_of(target: &Target) -> Key {
    key(&target.kind, target.namespace.as_deref(), &target.name)
}

fn failure(code: &str, message: &str) -> Error {
    Error::Other(Failure { code: code.to_owned(), message: message.to_owned(), retryable: false })
}

/// A call in words and data, for the manifest's rules.
#[cfg_attr(not(feature = "manifest"), expect(dead_code, reason = "only a manifest's rules look at all of it"))]
pub(super) struct Asked<'a> {
    pub verb: &'static str,
    pub kind: &'a Kind,
    pub subresource: &'a str,
    pub namespace: Option<&'a str>,
    pub name: Option<&'a str>,
    pub path: Option<&'a str>,
    pub command: Option<(&'a str, &'a [String])>,
    pub object: Option<&'a Value>,
}

impl<'a> Asked<'a> {
    fn new(verb: &'static str, kind: &'a Kind, namespace: Option<&'a str>, name: Option<&'a str>) -> Self {
        Self { verb, kind, subresource: "", namespace, name, path: None, command: None, object: None }
    }

    fn of(verb: &'static str, target: &'a Target) -> Self {
        Self::new(verb, &target.kind, target.namespace.as_deref(), Some(&target.name))
    }

    pub(super) fn capability(&self) -> &'static str {
        match self.verb {
            "get" | "list" | "proxy" => "kube-read",
            "exec" | "logs" => "kube-exec",
            _ => "kube-write",
        }
    }

    fn line(&self) -> String {
        let mut line = [self.verb, " ", &self.kind.plural].concat();
        for (before, part) in [(" ", self.namespace), (if self.namespace.is_some() { "/" } else { " " }, self.name)] {
            line.push_str(&part.map(|part| [before, part].concat()).unwrap_or_default());
        }
        if let Some(path) = self.path {
            line.push_str(&[" at ", path].concat());
        }
        if let Some((program, args)) = self.command {
            line.push_str(": ");
            line.push_str(&[&[program.to_owned()], args].concat().join(" "));
        }
        line
    }
}

fn allowed(world: &mut World, asked: &Asked<'_>) -> Result<()> {
    if world.context.cluster.is_none() {
        return Err(failure("cluster", "the test has no cluster: `host.cluster()`"));
    }
    let denied = |rule: String| Error::Denied(Denial { capability: asked.capability().to_owned(), rule });
    if world.denied.contains(asked.capability()) {
        return Err(denied(format!("the test denies `{}`", asked.line())));
    }
    #[cfg(feature = "manifest")]
    if let Some(manifest) = &world.manifest {
        super::manifest::allows_kube(manifest, &world.context, asked).map_err(denied)?;
    }
    world.kube.calls.push(asked.line());
    Ok(())
}

pub(crate) fn kube_get(target: &Target, subresource: Option<&str>) -> Result<String> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    let asked = Asked { subresource: subresource.unwrap_or_default(), ..Asked::of("get", target) };
    allowed(&mut world, &asked)?;
    world.kube.all.get(&key_of(target)).map(Value::to_string).ok_or_else(|| Error::NotFound(target.name.clone()))
}

pub(crate) fn kube_list(
    kind: &Kind,
    namespace: Option<&str>,
    _labels: &str,
    _fields: &str,
    limit: u32,
    more: Option<&str>,
) -> Result<Page> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&mut world, &Asked::new("list", kind, namespace, None))?;
    let from: usize = more.and_then(|more| more.parse().ok()).unwrap_or_default();
    let wanted =
        |key: &Key| key.0 == kind.group && key.1 == kind.plural && namespace.is_none_or(|namespace| key.2 == namespace);
    let items: Vec<String> = world.kube.all.iter().filter(|(key, _)| wanted(key)).map(|(_, v)| v.to_string()).collect();
    let end = from.saturating_add(limit as usize).min(items.len());
    Ok(Page { items: items[from.min(end)..end].to_vec(), more: (end < items.len()).then(|| end.to_string()) })
}

pub(crate) fn kube_wait(target: &Target, until: Condition, _timeout_ms: u32) -> Result<String> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&mut world, &Asked::of("get", target))?;
    match (world.kube.all.get(&key_of(target)), until) {
        (Some(_), Condition::Ready) if world.kube.stuck => Err(Error::Timeout),
        (None, Condition::Absent) => Ok("{}".to_owned()),
        (Some(object), Condition::Present | Condition::Ready | Condition::Ended) => Ok(object.to_string()),
        _ => Err(Error::Timeout),
    }
}

pub(crate) fn kube_proxy(target: &Target, path: &str) -> Result<Vec<u8>> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&mut world, &Asked { path: Some(path), ..Asked::of("proxy", target) })?;
    world.kube.proxies.get(path).cloned().ok_or_else(|| Error::NotFound(path.to_owned()))
}

pub(crate) fn kube_create(kind: &Kind, namespace: Option<&str>, object: &str) -> Result<String> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    let mut object: Value = serde_json::from_str(object).map_err(|e| Error::Invalid(e.to_string()))?;
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    allowed(&mut world, &Asked { object: Some(&object), ..Asked::new("create", kind, namespace, Some(&name)) })?;
    if !name.contains(&world.context.run_id) {
        return Err(Error::Invalid(format!("the name `{name}` does not have the run's id in it")));
    }
    let key = key(kind, namespace, &name);
    if object["type"] == "kubernetes.io/service-account-token" {
        // What a module sees of it: the length.
        object["data"] = json!({ "token": "1024 bytes" });
    }
    if world.kube.all.contains_key(&key) {
        return Err(failure("conflict", "there is one of this name"));
    }
    object["metadata"]["labels"]["foil.dev/run"] = json!(world.context.run_id);
    object["metadata"]["uid"] = json!(format!("uid-{}", world.kube.all.len()));
    if kind.plural == "pods" {
        let node = world.context.cluster.as_ref().and_then(|cluster| cluster.node.as_deref()).unwrap_or("node-1");
        object["spec"]["nodeName"] = node.into();
        object["status"] = json!({ "phase": "Running", "podIP": format!("10.0.0.{}", world.kube.all.len()) });
    }
    world.kube.all.insert(key.clone(), object.clone());
    world.kube.made.push(key);
    Ok(object.to_string())
}

pub(crate) fn kube_patch(target: &Target, patch: &str) -> Result<String> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    let patch: Value = serde_json::from_str(patch).map_err(|e| Error::Invalid(e.to_string()))?;
    let mut object =
        world.kube.all.get(&key_of(target)).cloned().ok_or_else(|| Error::NotFound(target.name.clone()))?;
    merge(&mut object, &patch);
    allowed(&mut world, &Asked { object: Some(&object), ..Asked::of("patch", target) })?;
    world.kube.all.insert(key_of(target), object.clone());
    Ok(object.to_string())
}

/// RFC 7396.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        if value.is_null() {
            target.as_object_mut().map(|target| target.remove(key));
        } else {
            merge(&mut target[key], value);
        }
    }
}

pub(crate) fn kube_delete(target: &Target) -> Result<()> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&mut world, &Asked::of("delete", target))?;
    let key = key_of(target);
    if !world.kube.made.contains(&key) {
        return Err(failure("not-ours", "this run did not make it"));
    }
    world.kube.all.remove(&key).map(drop).ok_or_else(|| Error::NotFound(target.name.clone()))
}

fn csr() -> Kind {
    Kind::new("certificates.k8s.io", "v1", "certificatesigningrequests")
}

pub(crate) fn kube_request_certificate(
    name: &str,
    signer: &str,
    common_name: &str,
    _organizations: &[String],
    _expiration_seconds: u32,
) -> Result<()> {
    let object = json!({"metadata": {"name": name}, "spec": {"signerName": signer, "username": common_name}});
    kube_create(&csr(), None, &object.to_string()).map(drop)
}

pub(crate) fn kube_approve(name: &str) -> Result<Credential> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    let kind = csr();
    allowed(&mut world, &Asked::new("approve", &kind, None, Some(name)))?;
    let object = world.kube.all.get(&key(&kind, None, name)).ok_or_else(|| Error::NotFound(name.to_owned()))?;
    let subject = object["spec"]["username"].as_str().unwrap_or_default().to_owned();
    Ok(Credential { subject, expires_at: 1_800_000_000_000_000_000 })
}

pub(crate) fn kube_request_token(
    namespace: &str,
    account: &str,
    _audiences: &[String],
    _expiration_seconds: u32,
) -> Result<Credential> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    let kind = Kind::core("serviceaccounts");
    allowed(&mut world, &Asked::new("token", &kind, Some(namespace), Some(account)))?;
    let subject = format!("system:serviceaccount:{namespace}:{account}");
    Ok(Credential { subject, expires_at: 1_800_000_000_000_000_000 })
}

pub(crate) fn kube_proxy_as(namespace: &str, account: &str, target: &Target, path: &str) -> Result<Vec<u8>> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    let kind = Kind::core("serviceaccounts");
    allowed(&mut world, &Asked::new("token", &kind, Some(namespace), Some(account)))?;
    allowed(&mut world, &Asked { path: Some(path), ..Asked::of("proxy", target) })?;
    if !world.kube.made.contains(&key(&kind, Some(namespace), account)) {
        return Err(failure("not-ours", "this run did not make the account"));
    }
    world.kube.proxies.get(path).cloned().ok_or_else(|| Error::NotFound(path.to_owned()))
}

pub(crate) fn kube_exec(command: &Command) -> Result<WireOutput> {
    let host = Host::current();
    let answer = {
        let mut world = host.0.borrow_mut();
        let kind = Kind::core("pods");
        let asked = Asked::new("exec", &kind, Some(&command.namespace), Some(&command.pod));
        allowed(&mut world, &Asked { command: Some((&command.program, &command.args)), ..asked })?;
        if !world.kube.all.contains_key(&key(&kind, Some(&command.namespace), &command.pod)) {
            return Err(Error::NotFound(command.pod.clone()));
        }
        world.kube.exec.clone().ok_or_else(|| failure("not-executable", "the test scripts no pod"))?
    };
    let call = PodCall {
        pod: command.pod.clone(),
        container: command.container.clone(),
        line: [std::slice::from_ref(&command.program), command.args.as_slice()].concat().join(" "),
        discarded: command.discard_output,
    };
    // The script may itself change the world: it is not borrowed here.
    let output = answer(&call).map_err(Error::from)?;
    let thrown = if command.discard_output { output.stdout.len() as u64 } else { output.stdout_dropped };
    Ok(WireOutput {
        status: output.status,
        stdout: if command.discard_output { Vec::new() } else { output.stdout },
        stderr: output.stderr,
        stdout_dropped: thrown,
        stderr_dropped: output.stderr_dropped,
    })
}

pub(crate) fn kube_logs(namespace: &str, pod: &str, _container: Option<&str>, _lines: u32) -> Result<Vec<u8>> {
    let host = Host::current();
    let mut world = host.0.borrow_mut();
    allowed(&mut world, &Asked::new("logs", &Kind::core("pods"), Some(namespace), Some(pod)))?;
    Ok(Vec::new())
}
