//! What a reviewer is warned of, riskiest first, and which of two modules is riskier.

use super::Warning;
use foil_manifest::{Impact, Manifest};
use serde::{Serialize, Serializer};
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::fmt;

/// Something that a request makes possible. Their order is that of risk: what nothing holds or undoes comes before what escapes a
/// program or a namespace, that before what reaches further, and that before what the journal undoes or what only looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hazard {
    /// Nothing holds its programs.
    Open,
    /// What it does cannot be undone outside an overlay.
    Destructive,
    /// The module chooses the code that runs.
    ArbitraryCode,
    /// Its programs may gain privileges by set-id programs.
    Privileges,
    /// It may make or change roles and bindings.
    ClusterAdmin,
    /// Its pods may be root on the node.
    PrivilegedPod,
    /// Its pods may change files of the node.
    HostPathWritable,
    /// It may see and change what everybody asks of the cluster.
    Webhooks,
    /// Its pods may see the node's processes.
    HostPid,
    /// Its pods may be in the node's network.
    HostNetwork,
    /// Its containers may have Linux capabilities.
    PodCapability,
    /// Its pods may use the node's shared memory.
    HostIpc,
    /// Its programs run as root.
    Root,
    /// Its programs may use the target's network.
    Network,
    /// It may set variables that make a program run other code.
    Environment,
    /// Its programs may change files of the target.
    ExecWrites,
    /// It may go past the cluster's own rules.
    Proxy,
    /// Its pods may have the token of an account that the run did not make.
    PodToken,
    /// It may ask for tokens.
    Token,
    /// It may have certificates issued.
    Certificate,
    /// It may change objects that the run did not make.
    KubePatch,
    /// It is about the whole cluster.
    WholeCluster,
    /// It is about namespaces that the operator did not choose.
    Namespaces,
    /// It may change files of the target itself.
    FilesWrite,
    /// Its pods may read files of the node.
    HostPath,
    /// Its pods may take ports of the node.
    HostPorts,
    /// Its pods may run an image that the operator did not choose.
    Image,
    /// It may look at Secrets, without their values.
    Secrets,
    /// A path that allows nothing.
    VoidPath,
    /// It asks for what it does not import.
    Unused,
}

impl Hazard {
    /// Its stable name, for programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Destructive => "destructive",
            Self::ArbitraryCode => "arbitrary-code",
            Self::Privileges => "privileges",
            Self::ClusterAdmin => "cluster-admin",
            Self::PrivilegedPod => "privileged-pod",
            Self::HostPathWritable => "host-path-writable",
            Self::Webhooks => "webhooks",
            Self::HostPid => "host-pid",
            Self::HostNetwork => "host-network",
            Self::PodCapability => "pod-capability",
            Self::HostIpc => "host-ipc",
            Self::Root => "root",
            Self::Network => "network",
            Self::Environment => "environment",
            Self::ExecWrites => "exec-writes",
            Self::Proxy => "proxy",
            Self::PodToken => "pod-token",
            Self::Token => "token",
            Self::Certificate => "certificate",
            Self::KubePatch => "kube-patch",
            Self::WholeCluster => "whole-cluster",
            Self::Namespaces => "namespaces",
            Self::FilesWrite => "files-write",
            Self::HostPath => "host-path",
            Self::HostPorts => "host-ports",
            Self::Image => "image",
            Self::Secrets => "secrets",
            Self::VoidPath => "void-path",
            Self::Unused => "unused",
        }
    }

    /// It is a remark on how the request is written, and no risk.
    pub fn is_remark(self) -> bool {
        matches!(self, Self::VoidPath | Self::Unused)
    }
}

impl fmt::Display for Hazard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for Hazard {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// How risky a module is, to be compared: the lesser one is the riskier.
///
/// The worst hazard decides; of two modules with the same worst one, the next, and so on; one that has no more is less risky. Then
/// the impact decides, then whether it asks for what acts, then how many warnings there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Risk {
    /// Each once, worst first.
    pub hazards: Vec<Hazard>,
    impact: Impact,
    acts: bool,
    warnings: usize,
}

impl Risk {
    /// The risk of what a manifest asks for, of which there is this to be warned of.
    pub fn of(manifest: &Manifest, warnings: &[Warning]) -> Self {
        let real = || warnings.iter().filter(|warning| !warning.code.is_remark());
        Self {
            hazards: real().map(|warning| warning.code).collect::<BTreeSet<_>>().into_iter().collect(),
            impact: manifest.impact,
            acts: manifest.capabilities.iter().any(|capability| capability.name().acts()),
            warnings: real().count(),
        }
    }
}

impl Ord for Risk {
    fn cmp(&self, other: &Self) -> Ordering {
        let pairs = self.hazards.iter().zip(&other.hazards);
        let worst = pairs.map(|(a, b)| a.cmp(b)).find(|order| order.is_ne());
        let rest = |risk: &Self| Reverse((risk.hazards.len(), risk.impact, risk.acts, risk.warnings));
        worst.unwrap_or_else(|| rest(self).cmp(&rest(other)))
    }
}

impl PartialOrd for Risk {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use foil_manifest::Kind;

    #[test]
    fn the_riskiest_comes_first() {
        let risk = |impact: &str, hazards: &[Hazard]| {
            let text = format!("id = 'a.b'\ntitle = 't'\nattack = ['T1059']\nimpact = '{impact}'");
            let manifest = Manifest::from_toml(&text, Kind::Technique).expect("well-formed");
            let warnings: Vec<_> = hazards.iter().map(|code| Warning { code: *code, text: String::new() }).collect();
            Risk::of(&manifest, &warnings)
        };
        let sorted = [
            risk("read-only", &[Hazard::Open, Hazard::ArbitraryCode]),
            risk("destructive", &[Hazard::Unused, Hazard::Open, Hazard::Network]),
            risk("destructive", &[Hazard::Open]),
            risk("read-only", &[Hazard::Open]),
            risk("reversible", &[Hazard::ArbitraryCode, Hazard::ArbitraryCode, Hazard::Root]),
            risk("reversible", &[Hazard::ArbitraryCode, Hazard::Root]),
            risk("reversible", &[Hazard::Secrets]),
            risk("reversible", &[]),
            risk("read-only", &[Hazard::Unused]),
        ];
        assert!(sorted.is_sorted(), "{sorted:#?}");
        assert_eq!(sorted.iter().rev().min(), sorted.first());
        assert_eq!(sorted[0].hazards, [Hazard::Open, Hazard::ArbitraryCode]);
    }
}
