//! A review for programs. The shape is stable.

use super::Review;
use crate::policy::{Grant, GrantRefusal};
use serde_json::{Value, json};
use std::path::Path;

pub fn render(review: &Review<'_>, file: Option<&Path>) -> Value {
    let (module, manifest) = (&review.module, review.module.manifest);
    json!({
        "id": manifest.id,
        "kind": manifest.kind,
        "title": manifest.title,
        "attack": manifest.attack,
        "impact": manifest.impact,
        "shield": manifest.shields(),
        "root": manifest.root,
        "builtin": module.builtin,
        "digest": module.digest,
        "judged": module.judged,
        "imports": module.imports,
        "requests": manifest.capabilities,
        "limits": manifest.limits,
        "script": review.imported.map(super::script::json),
        "warnings": review.warnings,
        "grants_file": file,
        "grant": {
            "state": state(&review.state),
            "says": review.state.as_ref().err().map(ToString::to_string),
            "compared_with": review.before.map(entry),
        },
        "changes": review.changes,
    })
}

fn state(state: &Result<&Grant, GrantRefusal>) -> &'static str {
    match state {
        Ok(_) => "granted",
        Err(GrantRefusal::NotGranted { .. }) => "not-granted",
        Err(GrantRefusal::Expired { .. }) => "expired",
        Err(GrantRefusal::Revoked { .. }) => "revoked",
        Err(GrantRefusal::Stale { .. }) => "stale",
    }
}

/// A grant, as programs see it.
pub fn entry(grant: &Grant) -> Value {
    json!({
        "module": grant.module,
        "pin": grant.pin.to_string(),
        "granted": grant.granted,
        "reviewer": grant.reviewer,
        "reason": grant.reason,
        "expires": grant.expires,
        "revoked": grant.revoked,
        "shield": grant.shield,
        "impact": grant.impact,
        "limits": grant.limits,
        "capabilities": grant.capabilities,
    })
}
