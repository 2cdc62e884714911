//! Who refused a request: the cluster's authorisation, which is about who asks, or a control, which is about what is asked.
//!
//! The two have the same status and reason. The cluster itself is asked, by a `SelfSubjectAccessReview`, whether the right is there; the
//! words of a refusal only give a control its name.

use foil_text::visible;
use http::Method;
use serde_json::{Value, json};
use std::fmt;

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// The server does not know who asks.
    Credentials,
    /// The account lacks a right.
    Rights(Right),
    /// The account lacks no right: something looked at what was asked, and said no.
    Control(Control),
    /// The account lacks no right, and no control said no: the cluster does not have what the request needs.
    Unmet(Unmet),
    /// The cluster did not say whether the right is there.
    Unclear,
}

/// A control of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Control {
    /// A ValidatingAdmissionPolicy, and its binding.
    Policy {
        /// The policy.
        name: String,
        /// Its binding.
        binding: String,
    },
    /// Pod Security admission, at this level and version.
    PodSecurity(String),
    /// An admission webhook.
    Webhook(String),
    /// A ResourceQuota that is full, or wants what was not said.
    Quota(String),
    /// A LimitRange.
    Limits,
    /// One that does not give its name.
    Other,
}

/// What the cluster does not have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unmet {
    /// A namespace that stays.
    Terminating,
    /// The account that a pod names.
    Account,
    /// A way to the node: the API server passes nothing on to loopback and link-local addresses.
    NodeAddress,
}

/// A right, as a role gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// Such as `create`.
    pub verb: String,
    /// Empty for the core group.
    pub group: String,
    /// The plural.
    pub resource: String,
    /// Empty for the object itself.
    pub subresource: String,
    /// Empty for those of no namespace.
    pub namespace: String,
    /// Empty for all.
    pub name: String,
    /// What is no object: its path. The rest is empty.
    pub path: String,
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            return write!(f, "`{}` `{}`", self.verb, self.path);
        }
        write!(f, "`{}` `{}", self.verb, self.resource)?;
        for (before, part) in [("/", &self.subresource), (".", &self.group)] {
            if !part.is_empty() {
                write!(f, "{before}{part}")?;
            }
        }
        f.write_str("`")?;
        if self.namespace.is_empty() { Ok(()) } else { write!(f, " in {}", self.namespace) }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Policy { name, binding } => write!(f, "the ValidatingAdmissionPolicy `{name}` (binding `{binding}`)"),
            Self::PodSecurity(level) => write!(f, "Pod Security admission (`{level}`)"),
            Self::Webhook(name) => write!(f, "the admission webhook `{name}`"),
            Self::Quota(name) => write!(f, "the ResourceQuota `{name}`"),
            Self::Limits => f.write_str("a LimitRange of the namespace"),
            Self::Other => f.write_str("an admission control"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials => f.write_str(
                "the cluster does not accept the credentials: they have expired, or are of another cluster; renew them (`kubectl` with the same context tells)",
            ),
            Self::Rights(right) => write!(f, "the account may not {right}"),
            Self::Control(control) => write!(f, "refused by {control}"),
            Self::Unmet(Unmet::Terminating) => f.write_str("the namespace is being deleted: use another"),
            Self::Unmet(Unmet::Account) => f.write_str("the service account that the pod names is not there"),
            Self::Unmet(Unmet::NodeAddress) => f.write_str(
                "the API server passes nothing on to the kubelet of this node, whose address is of the loopback or link-local: give the node an address of its own",
            ),
            Self::Unclear => f.write_str(
                "whether the account lacks a right or a control said no could not be found out: the cluster did not answer a SelfSubjectAccessReview",
            ),
        }
    }
}

impl Control {
    /// The control that a refusal names.
    pub fn named(message: &str) -> Option<Self> {
        let quoted = |after: &str, quote: char| {
            let (_, rest) = message.split_once(after)?;
            let (name, _) = rest.strip_prefix(quote)?.split_once(quote)?;
            Some(visible(name, 120))
        };
        if let (Some(name), Some(binding)) =
            (quoted("ValidatingAdmissionPolicy ", '\''), quoted(" with binding ", '\''))
        {
            return Some(Self::Policy { name, binding });
        }
        if let Some(level) = quoted("violates PodSecurity ", '"') {
            return Some(Self::PodSecurity(level));
        }
        for words in ["exceeded quota: ", "failed quota: "] {
            if let Some((_, rest)) = message.split_once(words) {
                return Some(Self::Quota(visible(rest.split([',', ' ', ':']).next().unwrap_or_default(), 120)));
            }
        }
        let limits = [
            "usage per Container is ",
            "usage per Pod is ",
            "usage per PersistentVolumeClaim is ",
            "limit to request ratio per ",
        ];
        if limits.iter().any(|words| message.contains(words)) {
            return Some(Self::Limits);
        }
        let denied = message.contains(" denied the request");
        quoted("admission webhook ", '"').filter(|_| denied).map(Self::Webhook)
    }
}

impl Unmet {
    /// What a refusal with this status says that is missing, where the account lacks no right.
    pub fn of(message: &str, status: &Value) -> Option<Self> {
        let causes = status.pointer("/details/causes").and_then(Value::as_array).into_iter().flatten();
        if causes.into_iter().any(|cause| cause.get("reason").and_then(Value::as_str) == Some("NamespaceTerminating")) {
            return Some(Self::Terminating);
        }
        message.contains("error looking up service account").then_some(Self::Account)
    }
}

/// The rights that a request needs, the one that the server asks for first.
pub fn needed(method: &Method, path: &str, body: &Value) -> Vec<Right> {
    let path = path.split('?').next().unwrap_or_default();
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let (group, rest) = match parts.as_slice() {
        ["api", _, rest @ ..] if !rest.is_empty() => ("", rest),
        ["apis", group, _, rest @ ..] if !rest.is_empty() => (*group, rest),
        _ => {
            let verb = method.as_str().to_ascii_lowercase();
            return vec![Right { path: path.to_owned(), verb, ..Right::nothing() }];
        }
    };
    let (namespace, rest) = match rest {
        ["namespaces", namespace, rest @ ..] if !rest.is_empty() => (*namespace, rest),
        // The namespace itself is in itself, as the server has it.
        ["namespaces", namespace] => (*namespace, rest),
        rest => ("", rest),
    };
    let [resource, more @ ..] = rest else { return Vec::new() };
    let (name, subresource) = (more.first().copied().unwrap_or_default(), more.get(1).copied().unwrap_or_default());
    let verb = match (method.as_str(), name.is_empty()) {
        ("GET", true) => "list",
        ("GET", false) => "get",
        ("POST", _) => "create",
        ("PUT", _) => "update",
        ("PATCH", _) => "patch",
        ("DELETE", true) => "deletecollection",
        _ => "delete",
    };
    let text = |text: &str| text.to_owned();
    let right = Right {
        verb: text(verb),
        group: text(group),
        resource: text(resource),
        subresource: text(subresource),
        namespace: text(namespace),
        name: text(name),
        path: String::new(),
    };
    let also = also(&right, body);
    std::iter::once(right).chain(also).collect()
}

/// What the server asks for besides, inside of what it does.
fn also(right: &Right, body: &Value) -> Option<Right> {
    let said = |pointer: &str| body.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    match (right.group.as_str(), right.resource.as_str(), right.subresource.as_str()) {
        // Since 1.35 a program started by WebSocket, which is a GET, takes the right of one started by POST too.
        ("", "pods", "exec" | "attach" | "portforward") if right.verb == "get" => {
            Some(Right { verb: "create".into(), ..right.clone() })
        }
        ("certificates.k8s.io", "certificatesigningrequests", "approval") => Some(Right {
            verb: "approve".into(),
            group: right.group.clone(),
            resource: "signers".into(),
            name: said("/spec/signerName"),
            ..Right::nothing()
        }),
        ("rbac.authorization.k8s.io", "roles" | "clusterroles", "") if right.writes() => {
            let name = if right.name.is_empty() { said("/metadata/name") } else { right.name.clone() };
            Some(Right { verb: "escalate".into(), name, ..right.clone() })
        }
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings", "") if right.writes() => {
            let cluster = said("/roleRef/kind") == "ClusterRole";
            Some(Right {
                verb: "bind".into(),
                resource: if cluster { "clusterroles" } else { "roles" }.into(),
                namespace: if cluster { String::new() } else { right.namespace.clone() },
                name: said("/roleRef/name"),
                ..right.clone()
            })
        }
        _ => None,
    }
}

impl Right {
    fn nothing() -> Self {
        let nothing = String::new;
        Self {
            verb: nothing(),
            group: nothing(),
            resource: nothing(),
            subresource: nothing(),
            namespace: nothing(),
            name: nothing(),
            path: nothing(),
        }
    }

    fn writes(&self) -> bool {
        matches!(self.verb.as_str(), "create" | "update" | "patch")
    }

    /// What asks the cluster whether the account has it.
    pub fn review(&self) -> Value {
        let spec = if self.path.is_empty() {
            json!({ "resourceAttributes": {
                "verb": self.verb, "group": self.group, "resource": self.resource, "subresource": self.subresource,
                "namespace": self.namespace, "name": self.name,
            } })
        } else {
            json!({ "nonResourceAttributes": { "verb": self.verb, "path": self.path } })
        };
        json!({ "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": spec })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rights(method: &str, path: &str, body: &Value) -> Vec<String> {
        needed(&method.parse().unwrap(), path, body).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_request_needs_the_rights_that_the_server_asks_for() {
        let none = Value::Null;
        for (method, path, wanted) in [
            ("GET", "/version", &["`get` `/version`"][..]),
            ("GET", "/api/v1/nodes?limit=5", &["`list` `nodes`"]),
            ("GET", "/api/v1/namespaces/kube-system", &["`get` `namespaces` in kube-system"]),
            ("POST", "/api/v1/namespaces/a/pods", &["`create` `pods` in a"]),
            (
                "GET",
                "/api/v1/namespaces/a/pods/p/exec?command=x",
                &["`get` `pods/exec` in a", "`create` `pods/exec` in a"],
            ),
            ("GET", "/api/v1/nodes/n/proxy/pods/", &["`get` `nodes/proxy`"]),
            ("PATCH", "/apis/apps/v1/namespaces/a/deployments/d", &["`patch` `deployments.apps` in a"]),
            ("DELETE", "/api/v1/namespaces/a", &["`delete` `namespaces` in a"]),
        ] {
            assert_eq!(rights(method, path, &none), wanted, "{method} {path}");
        }
        let role = json!({"metadata": {"name": "r"}});
        let both = [
            "`create` `clusterroles.rbac.authorization.k8s.io`",
            "`escalate` `clusterroles.rbac.authorization.k8s.io`",
        ];
        assert_eq!(rights("POST", "/apis/rbac.authorization.k8s.io/v1/clusterroles", &role), both);
        let binding = json!({"roleRef": {"kind": "ClusterRole", "name": "cluster-admin"}});
        let bind = needed(&Method::POST, "/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings", &binding);
        assert_eq!(
            (bind[1].verb.as_str(), bind[1].resource.as_str(), bind[1].name.as_str()),
            ("bind", "clusterroles", "cluster-admin")
        );
        let csr = json!({"spec": {"signerName": "kubernetes.io/kube-apiserver-client"}});
        let approve = needed(&Method::PUT, "/apis/certificates.k8s.io/v1/certificatesigningrequests/x/approval", &csr);
        assert_eq!(
            (approve[1].verb.as_str(), approve[1].name.as_str()),
            ("approve", "kubernetes.io/kube-apiserver-client")
        );
    }

    #[test]
    fn controls_give_their_names() {
        for (message, wanted) in [
            (
                "pods \"x\" is forbidden: ValidatingAdmissionPolicy 'no-root' with binding 'all' denied request: no",
                Some("the ValidatingAdmissionPolicy `no-root` (binding `all`)"),
            ),
            (
                " \"x\" is invalid: : ValidatingAdmissionPolicy 'p' with binding 'b' denied request: no",
                Some("the ValidatingAdmissionPolicy `p` (binding `b`)"),
            ),
            (
                "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": privileged",
                Some("Pod Security admission (`restricted:latest`)"),
            ),
            (
                "admission webhook \"validate.kyverno.svc\" denied the request: no",
                Some("the admission webhook `validate.kyverno.svc`"),
            ),
            ("admission webhook \"a\" denied the request without explanation", Some("the admission webhook `a`")),
            ("pods \"x\" is forbidden: exceeded quota: few, requested: pods=1", Some("the ResourceQuota `few`")),
            ("pods \"x\" is forbidden: failed quota: few: must specify cpu", Some("the ResourceQuota `few`")),
            (
                "pods \"x\" is forbidden: maximum cpu usage per Container is 1, but limit is 2",
                Some("a LimitRange of the namespace"),
            ),
            ("failed calling webhook \"a\": refused", None),
            ("pods \"x\" is forbidden: ", None),
        ] {
            assert_eq!(Control::named(message).map(|control| control.to_string()).as_deref(), wanted, "{message}");
        }
    }

    #[test]
    fn a_namespace_that_ends_and_an_account_that_is_not_there_are_no_controls() {
        let ending = json!({"details": {"causes": [{"reason": "NamespaceTerminating"}]}});
        assert_eq!(Unmet::of("unable to create", &ending), Some(Unmet::Terminating));
        let account = "pods \"x\" is forbidden: error looking up service account a/b: serviceaccount \"b\" not found";
        assert_eq!(Unmet::of(account, &Value::Null), Some(Unmet::Account));
        assert_eq!(Unmet::of("pods \"x\" is forbidden: ", &Value::Null), None);
    }
}
