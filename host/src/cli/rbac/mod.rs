//! `foil show ID… --rbac`: the least that the cluster's authorisation must allow, as objects to apply.
//!
//! It is worked out of the rules that modules ask for, and of the requests that the host makes for each (`capability/kube`,
//! `campaign/cluster.rs`), its undo (`cluster/undo.rs`) included. What RBAC cannot say, patterns first of all, stands beside it as a
//! comment: there the rights are wider than the request, and Foil's own policy holds the difference.

mod needs;
mod print;

use anyhow::bail;
use foil_manifest::{Capability, Manifest};
use foil_policy::cluster::Impersonate;
use needs::Needs;
use print::Document;

/// Whom the rights are for, and where.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// What `{namespace}` stands for; `None`: each run makes one of its own.
    pub namespace: Option<String>,
    /// Foil's service account: its namespace and name.
    pub account: (String, String),
    /// Where Falco's pods are, whose logs the collector `kubernetes.falco` reads.
    pub falco: String,
    /// As whom techniques act, where that is not Foil itself.
    pub impersonate: Option<Impersonate>,
}

/// The objects' texts.
#[derive(Debug)]
pub(super) struct Rbac(Vec<Document>);

impl Rbac {
    /// What these modules need together.
    ///
    /// # Errors
    /// None of them is about a cluster.
    pub fn of(manifests: &[&Manifest], settings: &Settings) -> anyhow::Result<Self> {
        let about = |c: &Capability| !c.kube_rules().is_empty() || needs::reads_falco(c);
        if !manifests.iter().any(|manifest| manifest.capabilities.iter().any(about)) {
            bail!("nothing of this asks for anything of a cluster: it needs no rights there");
        }
        let needs = Needs::of(manifests, settings);
        let name = match manifests {
            [one] => format!("foil-{}", one.id),
            _ => "foil".to_owned(),
        };
        Ok(Self(print::documents(&name, needs, settings)))
    }

    /// As YAML, with comments.
    pub fn yaml(&self) -> String {
        self.0.iter().map(Document::yaml).collect()
    }

    /// As a list of objects.
    pub fn json(&self) -> serde_json::Value {
        self.0.iter().map(Document::json).collect()
    }
}

/// Reads `NAMESPACE/NAME` of a service account.
pub(super) fn account(text: &str) -> Result<(String, String), String> {
    let label = |part: &str| {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
        (1..=253).contains(&part.len()) && part.chars().all(plain)
    };
    match text.split_once('/') {
        Some((namespace, name)) if label(namespace) && label(name) => Ok((namespace.to_owned(), name.to_owned())),
        _ => Err("write it as NAMESPACE/NAME, such as foil/foil".into()),
    }
}

/// Reads a namespace's name.
pub(super) fn namespace(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match (1..=63).contains(&text.len()) && text.chars().all(plain) {
        true => Ok(text.to_owned()),
        false => Err("it is no name of a namespace: small letters, digits and dashes, at most 63".into()),
    }
}

#[cfg(test)]
mod tests;
