//! From text to grants.

use super::{Entry, Grant, Grants, MAX_FILE, Pin};
use crate::{Refusal, environment::check_capabilities};
use foil_text::{deceives_a_reviewer, one_line, place};
use schemars::JsonSchema;
use serde::Deserialize;

/// `grants.toml`: what reviewers allowed.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Grants, each of one module in one version.
    #[serde(default, rename = "grant")]
    #[schemars(with = "Vec<Entry>")]
    grants: Vec<toml::Spanned<Entry>>,
}

/// Reads a grants file. Errors begin with `line:column: `.
pub fn parse(text: &str) -> Result<Grants, Refusal> {
    if text.len() > MAX_FILE {
        return Err(Refusal(format!("1:1: the file has {} bytes, more than {MAX_FILE}", text.len())));
    }
    if let Some(why) = deceives_a_reviewer(text) {
        return Err(Refusal(why));
    }
    let file: File = toml::from_str(text).map_err(|e| {
        let at = e.span().map_or(0, |span| span.start);
        Refusal(format!("{}: {}", place(text, at), one_line(e.message())))
    })?;
    let mut grants = Grants::default();
    for entry in file.grants {
        let at = place(text, entry.span().start);
        let grant = grant(entry.into_inner()).map_err(|why| Refusal(format!("{at}: {why}")))?;
        let twin = |other: &&Grant| {
            other.module == grant.module && other.pin == grant.pin && other.revoked.is_none() && grant.revoked.is_none()
        };
        if grants.list.iter().find(twin).is_some() {
            return Err(Refusal(format!(
                "{at}: {} is granted twice with the same {}: keep one",
                grant.module, grant.pin
            )));
        }
        grants.list.push(grant);
    }
    Ok(grants)
}

fn grant(entry: Entry) -> Result<Grant, String> {
    let module = &entry.module;
    let pin = match (entry.digest, entry.judged) {
        (Some(digest), None) => Pin::Bytes(digest),
        (None, Some(judged)) => Pin::Judged(judged),
        (Some(script), Some(interpreter)) if module.platform() == "atomic" => Pin::Script(script, interpreter),
        _ => {
            return Err(format!(
                "the grant of {module} needs either `digest` (the SHA-256 of the module's bytes) or `judged` (built-in \
                 modules); imported tests need both: foil grant writes them"
            ));
        }
    };
    for (name, value) in [("reviewer", &entry.reviewer), ("reason", &entry.reason)] {
        if value.trim().is_empty() {
            return Err(format!("the grant of {module} needs a `{name}` that is not empty"));
        }
    }
    check_capabilities(&entry.capabilities).map_err(|why| format!("the grant of {module}: {why}"))?;
    Ok(Grant {
        pin,
        module: entry.module,
        granted: entry.granted,
        reviewer: entry.reviewer,
        reason: entry.reason,
        expires: entry.expires,
        revoked: entry.revoked,
        shield: entry.shield,
        impact: entry.impact,
        limits: entry.limits,
        capabilities: entry.capabilities,
    })
}
