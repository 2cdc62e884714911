//! A review for programs. The shape is stable.

use super::Review;
use foil_policy::{Grant, GrantRefusal};
use serde_json::{Value, json};
use std::path::Path;

pub fn render(review: &Review<'_>, file: Option<&Path>) -> Value {
    let (module, manifest) = (review.module.as_ref(), review.manifest);
    let refusal = review.state.as_ref().and_then(|state| state.as_ref().err());
    json!({
        "id": manifest.id,
        "kind": manifest.kind,
        "title": manifest.title,
        "attack": manifest.attack,
        "impact": manifest.impact,
        "shield": manifest.shields(),
        "root": manifest.root,
        "builtin": module.is_some_and(|module| module.builtin),
        "digest": module.map(|module| module.digest),
        "judged": module.map(|module| module.judged),
        "imports": module.map(|module| module.imports),
        "source": review.source.map(|source| json!({ "file": source.path.to_string_lossy(), "lines": source.lines })),
        "requests": manifest.capabilities,
        "limits": manifest.limits,
        "script": review.imported.map(super::script::json),
        "warnings": review.warnings,
        "grants_file": file.map(Path::to_string_lossy),
        "grant": {
            "state": state(review),
            "says": refusal.map(ToString::to_string),
            "granted": review.granted().map(entry),
            "compared_with": review.before.map(entry),
        },
        "changes": review.changes,
    })
}

/// How a module stands with the grants. That of a source, which cannot be granted, is `source`.
pub(super) fn state(review: &Review<'_>) -> &'static str {
    match &review.state {
        None => "source",
        Some(Ok(_)) => "granted",
        Some(Err(GrantRefusal::NotGranted { .. })) => "not-granted",
        Some(Err(GrantRefusal::Expired { .. })) => "expired",
        Some(Err(GrantRefusal::Revoked { .. })) => "revoked",
        Some(Err(GrantRefusal::Stale { .. })) => "stale",
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
