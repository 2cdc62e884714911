//! Roles and accounts, which are objects like others.

use super::{Condition, Kind, Target, create, wait};
use crate::{Context, Result};
use serde_json::json;
use std::time::Duration;

/// How long the cluster may take to put a token into a Secret.
const FILLED: Duration = Duration::from_secs(20);

/// What a role allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleRule<'a> {
    /// API groups; the core group is the empty text.
    pub groups: &'a [&'a str],
    /// Resources and subresources, such as `pods/exec`.
    pub resources: &'a [&'a str],
    /// Verbs, as the API has them.
    pub verbs: &'a [&'a str],
}

impl RoleRule<'static> {
    /// Reading ConfigMaps: a role that no sensor should mind, for benign twins.
    pub const ORDINARY: Self = Self { groups: &[""], resources: &["configmaps"], verbs: &["get", "list"] };
}

/// Creates a ClusterRole of one rule, named by the run's id and `suffix`. It is nobody's until it is bound.
pub fn create_cluster_role(context: &Context, suffix: &str, rule: RoleRule<'_>) -> Result<Target> {
    let role = Kind::rbac("clusterroles").of_cluster(&context.mark_for(suffix));
    let object = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
        "metadata": { "name": role.name },
        "rules": [{ "apiGroups": rule.groups, "resources": rule.resources, "verbs": rule.verbs }],
    });
    create(&role.kind, None, &object)?;
    Ok(role)
}

/// Creates a service account in the environment's namespace, named by the run's id and `suffix`.
pub fn create_service_account(context: &Context, suffix: &str) -> Result<Target> {
    create_service_account_in(context, &context.cluster()?.namespace, suffix)
}

/// Creates a service account in this namespace, named by the run's id and `suffix`.
pub fn create_service_account_in(context: &Context, namespace: &str, suffix: &str) -> Result<Target> {
    let account = Kind::core("serviceaccounts").named(namespace, &context.mark_for(suffix));
    let object = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": account.name, "namespace": namespace },
    });
    create(&account.kind, Some(namespace), &object)?;
    Ok(account)
}

/// Creates a ClusterRoleBinding that gives an account a ClusterRole, named by the run's id and `suffix`.
pub fn bind_cluster_role(context: &Context, suffix: &str, role: &Target, account: &Target) -> Result<Target> {
    let binding = Kind::rbac("clusterrolebindings").of_cluster(&context.mark_for(suffix));
    let object = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
        "metadata": { "name": binding.name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role.name },
        "subjects": [{ "kind": "ServiceAccount", "name": account.name, "namespace": account.namespace }],
    });
    create(&binding.kind, None, &object)?;
    Ok(binding)
}

/// Creates a Secret that the cluster fills with a token of an account, named by the run's id and `suffix`, and waits until the token is
/// in it. The token is valid until the Secret is deleted. Its value never reaches a module.
///
/// # Errors
/// `other(prerequisite)` where the cluster puts no token into it.
pub fn create_token_secret(context: &Context, suffix: &str, account: &Target) -> Result<Target> {
    let namespace = account.namespace.as_deref().unwrap_or_default();
    let secret = Kind::core("secrets").named(namespace, &context.mark_for(suffix));
    let object = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": {
            "name": secret.name, "namespace": namespace,
            "annotations": { "kubernetes.io/service-account.name": account.name },
        },
    });
    create(&secret.kind, Some(namespace), &object)?;
    wait(&secret, Condition::Ready, FILLED)?;
    Ok(secret)
}
