//! Roles and accounts, which are objects like others.

use super::{Kind, Target, create};
use crate::{Context, Result};
use serde_json::json;

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
    let namespace = &context.cluster()?.namespace;
    let account = Kind::core("serviceaccounts").named(namespace, &context.mark_for(suffix));
    let object = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": { "name": account.name, "namespace": namespace },
    });
    create(&account.kind, Some(namespace), &object)?;
    Ok(account)
}
