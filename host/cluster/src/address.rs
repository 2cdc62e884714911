//! Names that are valid, and the paths made of them. A path is made of checked parts only: a module chooses names, never paths.

use super::KubeError;
use foil_manifest::kube::{KubeCall, KubeVerb};
use serde::{Deserialize, Serialize};
use std::fmt;

/// An object, or (without a name) all objects of a kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Empty for the core group.
    pub group: String,
    /// The group's version.
    pub version: String,
    /// The plural.
    pub plural: String,
    /// `None` for what belongs to no namespace, and lists over all of them.
    pub namespace: Option<String>,
    /// `None` for all of a kind.
    pub name: Option<String>,
}

impl Address {
    /// An address of checked parts.
    ///
    /// # Errors
    /// `Invalid`: a part is no name of its sort.
    pub fn new(
        group: &str,
        version: &str,
        plural: &str,
        namespace: Option<&str>,
        name: Option<&str>,
    ) -> Result<Self, KubeError> {
        // RFC 1123: labels of letters, digits and dashes; names of RBAC and CSRs may have colons and more.
        let label = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let segment = |c: char| c.is_ascii_graphic() && !matches!(c, '/' | '%' | '?' | '#' | '\\' | '"' | '\'');
        check("group", group, 253, true, |c| label(c) || c == '.')?;
        check("version", version, 63, false, label)?;
        check("plural", plural, 63, false, |c| label(c) || c == '.')?;
        if let Some(namespace) = namespace {
            check("namespace", namespace, 63, false, label)?;
        }
        if let Some(name) = name {
            check("name", name, 253, false, segment)?;
            if name == "." || name == ".." {
                return Err(KubeError::Invalid("the name is a path".into()));
            }
        }
        let owned = |part: Option<&str>| part.map(str::to_owned);
        Ok(Self {
            group: group.into(),
            version: version.into(),
            plural: plural.into(),
            namespace: owned(namespace),
            name: owned(name),
        })
    }

    /// The same kind and namespace, without a name.
    pub fn all(&self) -> Self {
        Self { name: None, ..self.clone() }
    }

    /// The object of this name.
    pub fn named(&self, name: &str) -> Result<Self, KubeError> {
        Self::new(&self.group, &self.version, &self.plural, self.namespace.as_deref(), Some(name))
    }

    /// `apps/v1`, or `v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// The path of the API.
    pub fn path(&self) -> String {
        let mut path = if self.group.is_empty() { "/api/".to_owned() } else { format!("/apis/{}/", self.group) };
        path.push_str(&self.version);
        if let Some(namespace) = &self.namespace {
            path.push_str("/namespaces/");
            path.push_str(namespace);
        }
        path.push('/');
        path.push_str(&self.plural);
        if let Some(name) = &self.name {
            path.push('/');
            path.push_str(name);
        }
        path
    }

    /// Its kind is one that no other object belongs to, so that nothing else goes with it.
    pub fn owns_nothing(&self) -> bool {
        match self.group.as_str() {
            "" => matches!(self.plural.as_str(), "configmaps" | "pods" | "secrets" | "serviceaccounts"),
            "rbac.authorization.k8s.io" | "certificates.k8s.io" => true,
            _ => false,
        }
    }

    /// What the policy is asked about it.
    pub fn call(&self, verb: KubeVerb) -> KubeCall<'_> {
        KubeCall::new(verb, (&self.group, &self.version, &self.plural))
            .of(self.namespace.as_deref(), self.name.as_deref())
    }
}

impl fmt::Display for Address {
    /// Such as `pods security-testing/foil-x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.plural)?;
        if !self.group.is_empty() {
            write!(f, ".{}", self.group)?;
        }
        match (&self.namespace, &self.name) {
            (Some(namespace), Some(name)) => write!(f, " {namespace}/{name}"),
            (Some(namespace), None) => write!(f, " in {namespace}"),
            (None, Some(name)) => write!(f, " {name}"),
            (None, None) => Ok(()),
        }
    }
}

/// A name's part of the path.
fn check(
    what: &str,
    text: &str,
    longest: usize,
    may_be_empty: bool,
    fits: impl Fn(char) -> bool,
) -> Result<(), KubeError> {
    let whole = text.len() <= longest && (may_be_empty || !text.is_empty()) && text.chars().all(fits);
    if whole {
        return Ok(());
    }
    Err(KubeError::Invalid(format!("the {what} {} is none that Kubernetes has", foil_text::quote(text))))
}

/// A subresource's name.
///
/// # Errors
/// `Invalid`.
pub fn check_subresource(text: &str) -> Result<(), KubeError> {
    check("subresource", text, 63, false, |c| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_made_of_checked_parts() {
        let of = |group, plural, namespace, name| Address::new(group, "v1", plural, namespace, name).map(|a| a.path());
        assert_eq!(of("", "pods", Some("a"), Some("b")).unwrap(), "/api/v1/namespaces/a/pods/b");
        assert_eq!(of("apps", "deployments", None, None).unwrap(), "/apis/apps/v1/deployments");
        let roles = of("rbac.authorization.k8s.io", "clusterroles", None, Some("system:node")).unwrap();
        assert_eq!(roles, "/apis/rbac.authorization.k8s.io/v1/clusterroles/system:node");
    }

    /// What others may belong to is deleted in the foreground, so that they are gone when it is.
    #[test]
    fn only_of_kinds_that_own_nothing_is_a_deletion_its_own_proof() {
        let of = |group, plural| Address::new(group, "v1", plural, Some("a"), Some("b")).unwrap().owns_nothing();
        let nothing = [("", "pods"), ("", "secrets"), ("rbac.authorization.k8s.io", "clusterroles")];
        assert!(nothing.into_iter().all(|(group, plural)| of(group, plural)));
        let others =
            [("", "namespaces"), ("", "replicationcontrollers"), ("apps", "deployments"), ("x.example", "pods")];
        assert!(!others.into_iter().any(|(group, plural)| of(group, plural)));
    }

    #[test]
    fn names_that_would_be_paths_are_refused() {
        for name in ["", ".", "..", "a/b", "a?b", "a#b", "a%2fb", "a\\b", "a b", "a\nb", "é", &"a".repeat(254)] {
            assert!(Address::new("", "v1", "pods", Some("a"), Some(name)).is_err(), "{name:?}");
        }
        for (group, plural, namespace) in
            [("a/b", "pods", None), ("", "pods/exec", None), ("", "", None), ("", "pods", Some("A"))]
        {
            assert!(Address::new(group, "v1", plural, namespace, Some("a")).is_err());
        }
    }
}
