//! What a pod may be. Fields that are not known here are refused: a rule cannot have meant what it does not know.

use super::PodScope;
use super::call::usable;
use crate::pattern::{NamePattern, PathPattern, Variables};
use serde_json::{Map, Value};

type Judged = Result<(), String>;

/// Where a kind of objects keeps a pod's specification; `None`: it makes no pods.
pub(super) fn place(group: &str, resource: &str) -> Option<&'static str> {
    match (group, resource) {
        ("", "pods") => Some("/spec"),
        ("", "podtemplates") => Some("/template/spec"),
        ("", "replicationcontrollers")
        | ("apps" | "extensions", "deployments" | "daemonsets" | "statefulsets" | "replicasets")
        | ("batch", "jobs") => Some("/spec/template/spec"),
        ("batch", "cronjobs") => Some("/spec/jobTemplate/spec/template/spec"),
        _ => None,
    }
}

/// The specification of the pods that an object makes; `None` where it makes none.
pub(super) fn spec<'a>(group: &str, resource: &str, object: &'a Value) -> Option<Result<&'a Value, String>> {
    let place = place(group, resource)?;
    Some(
        object
            .pointer(place)
            .ok_or_else(|| format!("`{}` is missing", place.trim_start_matches('/').replace('/', "."))),
    )
}

/// Holds a specification to what is allowed. The error names the field.
pub(super) fn judge(spec: &Value, scope: &PodScope, variables: &Variables) -> Judged {
    Judge { scope, variables }.pod(object(spec, "spec")?)
}

struct Judge<'a> {
    scope: &'a PodScope,
    variables: &'a Variables,
}

impl Judge<'_> {
    fn pod(&self, spec: &Map<String, Value>) -> Judged {
        for (key, value) in spec {
            match key.as_str() {
                "containers" | "initContainers" => {
                    each(value, key, |container, at| self.container(object(container, at)?, at))?;
                }
                "volumes" => each(value, key, |volume, at| self.volume(object(volume, at)?, at))?,
                "hostNetwork" => flag(value, key, self.scope.host_network, "host-network")?,
                "hostPID" => flag(value, key, self.scope.host_pid, "host-pid")?,
                "hostIPC" => flag(value, key, self.scope.host_ipc, "host-ipc")?,
                "securityContext" => known(
                    object(value, key)?,
                    key,
                    &["runAsUser", "runAsGroup", "runAsNonRoot", "fsGroup", "supplementalGroups", "seccompProfile"],
                )
                .and_then(|()| self.seccomp(value, key))?,
                "serviceAccountName" | "serviceAccount" => {
                    let name = text(value, key)?;
                    if !(name == "default" && spec.get("automountServiceAccountToken") == Some(&Value::Bool(false))) {
                        self.named(&self.scope.service_accounts, name, "service account")?;
                    }
                }
                "affinity"
                | "tolerations"
                | "nodeSelector"
                | "nodeName"
                | "restartPolicy"
                | "hostname"
                | "dnsPolicy"
                | "terminationGracePeriodSeconds"
                | "activeDeadlineSeconds"
                | "automountServiceAccountToken"
                | "enableServiceLinks"
                | "shareProcessNamespace" => {}
                other => return unknown(&format!("spec.{other}")),
            }
        }
        if !spec.contains_key("containers") {
            return Err("`spec.containers` is missing".into());
        }
        // Every pod has a token of its account unless it says that it wants none.
        let account = ["serviceAccountName", "serviceAccount"].iter().find_map(|key| spec.get(*key));
        if account.is_none() && spec.get("automountServiceAccountToken") != Some(&Value::Bool(false)) {
            self.named(&self.scope.service_accounts, "default", "service account").map_err(|why| {
                format!("{why}: the pod would have its token, unless `automountServiceAccountToken` is false")
            })?;
        }
        // What a writable mount of the node's files may be is said by the volume and by the mount together.
        self.mounts(spec)
    }

    fn container(&self, container: &Map<String, Value>, at: &str) -> Judged {
        let known_keys = [
            "name",
            "image",
            "imagePullPolicy",
            "command",
            "args",
            "env",
            "workingDir",
            "ports",
            "resources",
            "volumeMounts",
            "securityContext",
            "stdin",
            "tty",
        ];
        known(container, at, &known_keys)?;
        let image = container.get("image").ok_or(format!("`{at}.image` is missing"))?;
        self.named(&self.scope.images, text(image, &format!("{at}.image"))?, "image")?;
        for variable in list(container.get("env"), &format!("{at}.env"))? {
            let variable = object(variable, &format!("{at}.env"))?;
            // `valueFrom` reads Secrets and ConfigMaps by way of the pod.
            known(variable, &format!("{at}.env"), &["name", "value"])?;
        }
        for port in list(container.get("ports"), &format!("{at}.ports"))? {
            let port = object(port, &format!("{at}.ports"))?;
            known(port, &format!("{at}.ports"), &["name", "containerPort", "protocol", "hostPort"])?;
            if port.contains_key("hostPort") && !self.scope.host_ports {
                return Err(format!("`{at}.ports.hostPort` is not allowed: `host-ports` is not set"));
            }
        }
        match container.get("securityContext") {
            Some(context) => self.context(context, &format!("{at}.securityContext")),
            None => Ok(()),
        }
    }

    fn context(&self, context: &Value, at: &str) -> Judged {
        let keys = object(context, at)?;
        let known_keys = [
            "privileged",
            "capabilities",
            "runAsUser",
            "runAsGroup",
            "runAsNonRoot",
            "readOnlyRootFilesystem",
            "allowPrivilegeEscalation",
            "seccompProfile",
        ];
        known(keys, at, &known_keys)?;
        if let Some(value) = keys.get("privileged") {
            flag(value, &format!("{at}.privileged"), self.scope.privileged, "privileged")?;
        }
        if let Some(capabilities) = keys.get("capabilities") {
            let capabilities = object(capabilities, &format!("{at}.capabilities"))?;
            known(capabilities, &format!("{at}.capabilities"), &["add", "drop"])?;
            for added in list(capabilities.get("add"), &format!("{at}.capabilities.add"))? {
                self.named(&self.scope.capabilities, text(added, &format!("{at}.capabilities.add"))?, "capability")?;
            }
        }
        self.seccomp(context, at)
    }

    fn seccomp(&self, context: &Value, at: &str) -> Judged {
        match context.pointer("/seccompProfile/type").map(|kind| kind.as_str()) {
            None | Some(Some("RuntimeDefault")) => Ok(()),
            _ if self.scope.privileged => Ok(()),
            _ => Err(format!("`{at}.seccompProfile` is not allowed: without `privileged` it is `RuntimeDefault`")),
        }
    }

    fn volume(&self, volume: &Map<String, Value>, at: &str) -> Judged {
        for (key, value) in volume {
            match key.as_str() {
                "name" | "emptyDir" => {}
                "hostPath" => {
                    let path = host_path(value, at)?;
                    let all = self.scope.host_paths.iter().chain(&self.scope.host_paths_writable);
                    if !self.path(all, path) {
                        return Err(format!("`{at}.hostPath` `{path}` is none of `host-paths`"));
                    }
                }
                other => return unknown(&format!("{at}.{other}")),
            }
        }
        Ok(())
    }

    /// Mounts of the node's files are read-only, unless the rule says otherwise.
    fn mounts(&self, spec: &Map<String, Value>) -> Judged {
        let host: Vec<(&str, &str)> = list(spec.get("volumes"), "volumes")?
            .iter()
            .filter_map(|volume| Some((volume.get("name")?.as_str()?, volume.pointer("/hostPath/path")?.as_str()?)))
            .collect();
        for key in ["containers", "initContainers"] {
            for (number, container) in list(spec.get(key), key)?.iter().enumerate() {
                let at = format!("{key}[{number}].volumeMounts");
                for mount in list(container.get("volumeMounts"), &at)? {
                    let mount = object(mount, &at)?;
                    known(mount, &at, &["name", "mountPath", "readOnly", "subPath"])?;
                    let read_only = mount.get("readOnly") == Some(&Value::Bool(true));
                    let named = mount.get("name").and_then(Value::as_str).unwrap_or_default();
                    let Some((_, path)) = host.iter().find(|(name, _)| *name == named) else { continue };
                    if !read_only && !self.path(self.scope.host_paths_writable.iter(), path) {
                        return Err(format!(
                            "`{at}` can write to `{path}` of the node: set `readOnly`, or allow it by `host-paths-writable`"
                        ));
                    }
                }
            }
        }
        Ok(())
    }

    fn path<'p>(&self, mut patterns: impl Iterator<Item = &'p PathPattern>, path: &str) -> bool {
        patterns.any(|p| usable(p.as_str(), self.variables) && p.matches(path, self.variables))
    }

    fn named(&self, patterns: &[NamePattern], name: &str, what: &str) -> Judged {
        if patterns.iter().any(|p| usable(p.as_str(), self.variables) && p.matches(name, self.variables)) {
            return Ok(());
        }
        let listed: Vec<String> = patterns.iter().take(4).map(|p| format!("`{p}`")).collect();
        let listed = if listed.is_empty() { "none is".to_owned() } else { format!("only {}", listed.join(", ")) };
        Err(format!("the {what} `{name}` is not allowed ({listed})"))
    }
}

fn host_path<'a>(value: &'a Value, at: &str) -> Result<&'a str, String> {
    let at = format!("{at}.hostPath");
    known(object(value, &at)?, &at, &["path", "type"])?;
    // Types such as `DirectoryOrCreate` make what is not there, which nobody would undo.
    match value.get("type").map(|kind| kind.as_str()) {
        None | Some(Some("" | "Directory" | "File" | "Socket" | "CharDevice" | "BlockDevice")) => {}
        _ => return Err(format!("`{at}.type` may make files of the node, which nobody would take away")),
    }
    text(value.get("path").unwrap_or(&Value::Null), &at)
}

fn each(value: &Value, at: &str, judge: impl Fn(&Value, &str) -> Judged) -> Judged {
    let list = list(Some(value), at)?;
    list.iter().enumerate().try_for_each(|(number, item)| judge(item, &format!("{at}[{number}]")))
}

fn list<'a>(value: Option<&'a Value>, at: &str) -> Result<&'a [Value], String> {
    match value {
        None | Some(Value::Null) => Ok(&[]),
        Some(Value::Array(list)) => Ok(list),
        Some(_) => Err(format!("`{at}` is no list")),
    }
}

fn object<'a>(value: &'a Value, at: &str) -> Result<&'a Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("`{at}` is no object"))
}

fn text<'a>(value: &'a Value, at: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("`{at}` is no text"))
}

/// `null` counts as left out, as it does for the API server; anything that is neither true nor false does not.
fn flag(value: &Value, at: &str, allowed: bool, name: &str) -> Judged {
    match value {
        Value::Null | Value::Bool(false) => Ok(()),
        Value::Bool(true) if allowed => Ok(()),
        Value::Bool(true) => Err(format!("`{at}` is not allowed: `{name}` is not set")),
        _ => Err(format!("`{at}` is neither true nor false")),
    }
}

fn known(keys: &Map<String, Value>, at: &str, all: &[&str]) -> Judged {
    match keys.keys().find(|key| !all.contains(&key.as_str())) {
        Some(key) => unknown(&format!("{at}.{key}")),
        None => Ok(()),
    }
}

fn unknown(field: &str) -> Judged {
    Err(format!("the field `{field}` is none that a rule can allow"))
}
