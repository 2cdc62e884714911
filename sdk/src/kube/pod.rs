//! The pod that most techniques begin with.

use super::{Condition, Kind, Target, create, wait};
use crate::{Context, Error, Evidence, Result};
use serde_json::{Value, json};
use std::time::Duration;

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

/// How long it may take to come up: most of a phase, since a node may have to fetch the image first.
const START: Duration = Duration::from_secs(50);

/// The same where what it looks like is wanted for the evidence, and nothing else waits for it.
const LOOK: Duration = Duration::from_secs(40);

/// Where [`Pod::mount`] puts its volume.
pub const MOUNT: &str = "/foil";

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
        Ok(Self { namespace: cluster.namespace.clone(), name: context.mark_for(suffix), spec })
    }

    /// Its only container.
    pub fn container(&mut self) -> &mut Value {
        &mut self.spec["containers"][0]
    }

    /// Gives it the token of a service account.
    pub fn give_token_of(&mut self, account: &Target) {
        self.spec["serviceAccountName"] = account.name.as_str().into();
        self.spec["automountServiceAccountToken"] = true.into();
    }

    /// Mounts a volume, such as `{"emptyDir": {}}`, at [`MOUNT`], read-only.
    pub fn mount(&mut self, mut volume: Value) {
        volume["name"] = "mounted".into();
        self.spec["volumes"] = json!([volume]);
        self.container()["volumeMounts"] = json!([{ "name": "mounted", "mountPath": MOUNT, "readOnly": true }]);
    }

    /// Where it will be.
    pub fn target(&self) -> Target {
        Kind::core("pods").named(&self.namespace, &self.name)
    }

    /// Creates it; it is not running yet: see [`wait`].
    pub fn create(&self) -> Result<Target> {
        let object = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": self.name, "namespace": self.namespace },
            "spec": self.spec,
        });
        create(&Kind::core("pods"), Some(&self.namespace), &object)?;
        Ok(self.target())
    }

    /// Creates it and waits until it runs.
    ///
    /// # Errors
    /// `other(prerequisite)` where it cannot run, as without its image; `timeout`.
    pub fn start(&self) -> Result<Target> {
        let target = self.create()?;
        wait(&target, Condition::Ready, START)?;
        Ok(target)
    }

    /// Creates it where that alone is the act. Its container is waited for, since sensors of the node see no more than that; where
    /// it does not come up, the act has happened all the same, and the fact `not-started` says why.
    pub fn detonate(&self, what: &str) -> Result<Evidence> {
        let target = self.create()?;
        let evidence = Evidence::new([what, " ", &self.name].concat()).about(&target);
        match wait(&target, Condition::Ready, LOOK) {
            Ok(pod) => Ok(evidence.fact("started", true).fact("node", node_of(&pod))),
            Err(Error::Cancelled) => Err(Error::Cancelled),
            Err(why) => Ok(evidence.fact("started", false).fact("not-started", why)),
        }
    }
}

/// The node that a pod is on, as the API says; empty where it is on none yet.
pub fn node_of(pod: &Value) -> &str {
    pod.pointer("/spec/nodeName").and_then(Value::as_str).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake;

    #[test]
    fn a_pod_that_does_not_come_up_was_created_all_the_same() {
        let host = fake::Host::new();
        host.cluster();
        let pod = |suffix| Pod::new(&host.context(), suffix).unwrap();
        let evidence = pod("a").detonate("created the pod").unwrap();
        assert_eq!((evidence.get("started"), evidence.get("node")), (Some("true"), Some("node-1")));
        host.pods_do_not_start();
        let evidence = pod("b").detonate("created the pod").unwrap();
        assert_eq!(evidence.get("started"), Some("false"));
        assert!(evidence.get("not-started").is_some_and(|why| why.contains("time-out")));
        assert_eq!(evidence.get("name"), Some("foil-01k0000000000000000000test-b"));
        assert_eq!(pod("c").start(), Err(Error::Timeout));
    }
}
