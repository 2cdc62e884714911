//! What `foil.yaml` says of the environment's Kubernetes cluster.

use foil_manifest::NamePattern;
use foil_manifest::pattern::Variables;
use foil_text::quote;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The image that pods of techniques run, where the environment says none.
pub const IMAGE: &str = "docker.io/library/busybox:1.36.1";

/// The cluster, and how it is reached.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClusterRule {
    /// The kubeconfig file, relative to `foil.yaml`; `KUBECONFIG`, then `~/.kube/config`, where it is left out.
    #[serde(default)]
    pub kubeconfig: Option<String>,
    /// The context of the kubeconfig. Never the current one: that changes without this file.
    #[serde(default)]
    pub context: Option<String>,
    /// Foil runs in a pod of the cluster, and uses that pod's service account.
    #[serde(default)]
    pub in_cluster: bool,
    /// The UID of the cluster's namespace `kube-system`, which no other cluster has; `foil doctor` prints it.
    #[serde(default)]
    pub cluster: Option<String>,
    /// The namespace that techniques work in. Where it is left out, each run makes one of its own.
    #[serde(default)]
    pub namespace: Option<String>,
    /// The image that pods of techniques run: it needs a shell and the usual small programs.
    #[serde(default = "image")]
    pub image: String,
    /// Pods that no run made and programs may be started in all the same, each as NAMESPACE/NAME, patterns both.
    #[serde(default)]
    pub pods: Vec<PodName>,
    /// Techniques act as this user; Foil itself, when it verifies and undoes, does not.
    #[serde(default)]
    pub impersonate: Option<Impersonate>,
    /// Where Falco's own pods are.
    #[serde(default)]
    pub falco: FalcoPods,
    /// Requests on their way at once, of all runs together.
    #[serde(default = "requests")]
    #[schemars(range(min = 1, max = 256))]
    pub requests: u16,
}

fn image() -> String {
    IMAGE.to_owned()
}

fn requests() -> u16 {
    16
}

/// Whom techniques act as.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Impersonate {
    /// The user, such as `system:serviceaccount:NAMESPACE:NAME`.
    pub user: String,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<String>,
}

/// Falco's pods.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct FalcoPods {
    /// Their namespace.
    pub namespace: String,
    /// The label selector that finds them.
    pub selector: String,
    /// The container whose log has the alerts.
    pub container: String,
}

impl Default for FalcoPods {
    /// As Falco's Helm chart has them.
    fn default() -> Self {
        Self { namespace: "falco".into(), selector: "app.kubernetes.io/name=falco".into(), container: "falco".into() }
    }
}

/// `NAMESPACE/NAME`, patterns both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
#[schemars(with = "String", extend("pattern" = "^[^/]+/[^/]+$"))]
pub struct PodName {
    namespace: NamePattern,
    name: NamePattern,
}

impl TryFrom<String> for PodName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let wrong = || format!("{} is no pod: write NAMESPACE/NAME, patterns both", quote(&text));
        let (namespace, name) =
            text.split_once('/').filter(|(a, b)| !a.is_empty() && !b.is_empty()).ok_or_else(wrong)?;
        let pattern = |part: &str| part.parse::<NamePattern>().map_err(|e| e.to_string());
        Ok(Self { namespace: pattern(namespace)?, name: pattern(name)? })
    }
}

impl ClusterRule {
    /// As a journal knows a cluster: only for putting things back.
    pub fn again(context: Option<String>, uid: String) -> Self {
        Self {
            kubeconfig: None,
            in_cluster: context.is_none(),
            context,
            cluster: Some(uid),
            namespace: None,
            image: image(),
            pods: Vec::new(),
            impersonate: None,
            falco: FalcoPods::default(),
            requests: requests(),
        }
    }

    /// Whether it can be used.
    ///
    /// # Errors
    /// A sentence about the field that is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        match (&self.context, self.in_cluster) {
            (None, false) => {
                return Err("`kubernetes` needs the `context` of the kubeconfig, or `in-cluster: true`".into());
            }
            (Some(_), true) => return Err("`context` and `in-cluster` exclude each other".into()),
            (None, true) if self.kubeconfig.is_some() => {
                return Err("`kubeconfig` and `in-cluster` exclude each other".into());
            }
            _ => {}
        }
        let uid = |uid: &str| {
            let digits = |part: &str| part.bytes().all(|b| b.is_ascii_hexdigit());
            uid.split('-').map(str::len).eq([8, 4, 4, 4, 12]) && uid.split('-').all(digits)
        };
        if let Some(wrong) = self.cluster.as_deref().filter(|given| !uid(given)) {
            return Err(format!(
                "`cluster` is {}, and not the UID of a namespace: `foil doctor` prints it",
                quote(wrong)
            ));
        }
        let label = |name: &str| {
            let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
            (1..=63).contains(&name.len()) && name.chars().all(plain) && !name.starts_with('-') && !name.ends_with('-')
        };
        for (field, name) in [("namespace", self.namespace.as_ref()), ("falco: namespace", Some(&self.falco.namespace))]
        {
            if let Some(name) = name.filter(|name| !label(name)) {
                return Err(format!("`{field}` is {}, which is no name of a namespace", quote(name)));
            }
        }
        if self.namespace.as_deref().is_some_and(|name| name.starts_with("kube-") || name == "default") {
            return Err("`namespace` is one of the cluster's own: give techniques one of their own".into());
        }
        if self.image.is_empty() || self.image.contains(['*', '?', '{', '}', ' ']) {
            return Err(format!("`image` is {}, which is no reference of an image", quote(&self.image)));
        }
        if !(1..=256).contains(&self.requests) {
            return Err("`requests` must be 1 to 256".into());
        }
        Ok(())
    }

    /// The namespace of a run.
    pub fn namespace_of(&self, run: &str) -> String {
        self.namespace.clone().unwrap_or_else(|| format!("foil-{run}"))
    }

    /// Whether programs may be started in a pod that no run made.
    pub fn names_pod(&self, namespace: &str, name: &str) -> bool {
        let none = Variables::default();
        self.pods.iter().any(|pod| pod.namespace.matches(namespace, &none) && pod.name.matches(name, &none))
    }
}

#[cfg(test)]
mod tests {
    use super::super::environment::parse;

    fn read(kubernetes: &str) -> Result<super::ClusterRule, String> {
        let text = format!("environment: x\nkubernetes: {kubernetes}\n");
        parse(&text).map(|e| e.cluster.expect("given")).map_err(|e| e.0)
    }

    #[test]
    fn a_cluster_is_named_by_context_and_uid() {
        let rule =
            read("{ context: staging, cluster: 6d36c5a4-0c0a-4c4e-9c3e-5f5d2c2f4b11, pods: [web/front-*] }").unwrap();
        assert_eq!((rule.image.as_str(), rule.requests), (super::IMAGE, 16));
        assert!(
            rule.names_pod("web", "front-1") && !rule.names_pod("web", "back") && !rule.names_pod("webs", "front-1")
        );
        assert_eq!(rule.namespace_of("r"), "foil-r");
    }

    #[test]
    fn mistakes_have_a_place_and_a_reason() {
        for (wrong, word) in [
            ("{}", "context"),
            ("{ context: a, in-cluster: true }", "exclude"),
            ("{ kubeconfig: a, in-cluster: true }", "exclude"),
            ("{ context: a, cluster: staging }", "UID"),
            ("{ context: a, namespace: kube-system }", "own"),
            ("{ context: a, namespace: Foo }", "namespace"),
            ("{ context: a, image: '*' }", "image"),
            ("{ context: a, requests: 0 }", "requests"),
            ("{ context: a, pods: [web] }", "NAMESPACE/NAME"),
            ("{ context: a, contxt: b }", "contxt"),
        ] {
            let error = read(wrong).expect_err(wrong);
            assert!(error.starts_with("2:") && error.contains(word), "{wrong}: {error}");
        }
    }
}
