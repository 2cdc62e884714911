//! The pod that most techniques begin with.

use super::{Kind, Target, create};
use crate::{Context, Result};
use serde_json::{Value, json};

/// A pod that sleeps, without any privilege: no token, no capability, no way to gain either, a read-only root file system, bounded.
/// A technique sets what it is about, and nothing else, so that nothing else can be what a sensor noticed.
#[derive(Debug, Clone)]
pub struct Pod {
    namespace: String,
    name: String,
    /// Its specification, as the API has it.
    pub spec: Value,
}

/// How long it sleeps, in seconds: longer than any run, and then it ends by itself wherever Foil is.
const LIFETIME: u32 = 3_600;

impl Pod {
    /// A pod in the environment's namespace, named by the run's id and `suffix`.
    ///
    /// # Errors
    /// `other(prerequisite)` where the environment names no cluster.
    pub fn new(context: &Context, suffix: &str) -> Result<Self> {
        let cluster = context.cluster()?;
        let spec = json!({
            "restartPolicy": "Never",
            "activeDeadlineSeconds": LIFETIME,
            "terminationGracePeriodSeconds": 1,
            "automountServiceAccountToken": false,
            "enableServiceLinks": false,
            "containers": [{
                "name": "main",
                "image": cluster.image,
                "imagePullPolicy": "IfNotPresent",
                "command": ["/bin/sleep", LIFETIME.to_string()],
                "resources": {
                    "requests": { "cpu": "10m", "memory": "16Mi" },
                    "limits": { "cpu": "500m", "memory": "64Mi" },
                },
                "securityContext": {
                    "privileged": false,
                    "allowPrivilegeEscalation": false,
                    "readOnlyRootFilesystem": true,
                    "capabilities": { "drop": ["ALL"] },
                },
            }],
        });
        let name = if suffix.is_empty() { context.mark() } else { [&context.mark(), "-", suffix].concat() };
        Ok(Self { namespace: cluster.namespace.clone(), name, spec })
    }

    /// Its only container.
    pub fn container(&mut self) -> &mut Value {
        &mut self.spec["containers"][0]
    }

    /// Where it will be.
    pub fn target(&self) -> Target {
        Kind::core("pods").named(&self.namespace, &self.name)
    }

    /// Creates it; it is not running yet: see [`wait`](super::wait).
    pub fn create(&self) -> Result<Target> {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "spec": self.spec,
        });
        create(&Kind::core("pods"), Some(&self.namespace), &object)?;
        Ok(self.target())
    }
}
