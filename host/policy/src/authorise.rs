//! May this module run here at all, and how? Asked once a run, after the grant was found and the target verified.

use super::{
    ChildScope, EffectiveLimits, Environment, Grant, Permission, Refusal, UNDOABLE_FILE, choose_shield, covering_rule,
};
use foil_manifest::pattern::Variables;
use foil_manifest::{Impact, Kind, Manifest, ShieldLevel};
use foil_text::quote;

/// What is decided on.
pub struct Case<'a> {
    /// The module's own words.
    pub manifest: &'a Manifest,
    /// What the reviewer allowed: the answer of [`super::Grants::find`].
    pub grant: &'a Grant,
    /// What the operator allows.
    pub environment: &'a Environment,
    /// The level that the user or the experiment asks for.
    pub shield: Option<ShieldLevel>,
    /// What `{run}` and `{scratch}` stand for in this run.
    pub variables: Variables,
    /// Foil's own folders and files: state, compiled modules, the grants file. Absolute.
    pub own: &'a [String],
    /// The logs that Foil follows. Absolute.
    pub logs: &'a [String],
    /// Whether an absolute path is an existing folder (the caller looks: this module does no I/O).
    pub is_folder: &'a dyn Fn(&str) -> bool,
}

/// How it may run.
#[derive(Debug, Clone)]
pub struct Authorised {
    /// Asked at every call.
    pub permission: Permission,
    /// What children may touch.
    pub children: ChildScope,
    /// What holds them.
    pub shield: ShieldLevel,
    /// How much of everything.
    pub limits: EffectiveLimits,
}

/// Decides. The refusal is a sentence that names the rule and what would help.
pub fn authorise(case: Case<'_>) -> Result<Authorised, Refusal> {
    let Case { manifest, grant, environment, .. } = case;
    let id = &manifest.id;
    if let Some(most) = grant.impact.filter(|most| manifest.impact > *most) {
        return Err(Refusal(format!(
            "{id} is `{}`, and the grant allows at most `{most}`: review it again",
            manifest.impact
        )));
    }
    // A check starts nothing, so that nothing has to be held.
    let shield = if manifest.kind == Kind::Check { ShieldLevel::Confined } else { shield(&case)? };
    if let Some(rule) = covering_rule(&grant.capabilities, case.own) {
        return Err(Refusal(format!(
            "the grant of {id} lets it change Foil's own files by the rule {}: grant less (option `--narrow`), or keep \
             Foil's state elsewhere (`--state`)",
            quote(&rule)
        )));
    }
    let permission = Permission {
        request: manifest.capabilities.clone(),
        grant: grant.capabilities.clone(),
        guardrail: environment.capabilities.clone(),
        variables: case.variables,
        own: case.own.to_vec(),
    };
    let children = permission.children();
    if shield != ShieldLevel::Overlay {
        if let Some(rule) = covering_rule(&grant.capabilities, case.logs) {
            return Err(Refusal(format!(
                "the grant of {id} lets it change, by the rule {}, a log that Foil follows (`files` of foil.yaml): what it \
                 writes there would pass for the sensor's, and the undo would take the sensor's lines away. Use the shield \
                 `overlay`, or grant less (option `--narrow`)",
                quote(&rule)
            )));
        }
        // The journal can take the pre-image of a named file; it cannot of all that a child may do to a folder.
        if let Some(path) = children.writes.iter().find(|p| (case.is_folder)(p)) {
            return Err(Refusal(format!(
                "{id} may let programs change all of the folder {}, which cannot be undone in the shield `{shield}`: \
                 use `overlay`, or grant single files",
                quote(path)
            )));
        }
    }
    let mut limits = EffectiveLimits::of(&manifest.limits, &grant.limits, &environment.limits);
    // A named file that a child made larger than a pre-image could not be put back.
    if shield == ShieldLevel::Confined && !children.writes.is_empty() {
        limits.child_file = limits.child_file.min(UNDOABLE_FILE);
    }
    Ok(Authorised { permission, children, shield, limits })
}

/// The shield, seen together with the impact. What happens in an overlay vanishes with it, so that the environment's
/// ceiling sees a destructive technique in there as a reversible one; anywhere else it is what it is.
fn shield(case: &Case<'_>) -> Result<ShieldLevel, Refusal> {
    let Case { manifest, grant, environment, .. } = case;
    let impact_in = |level: ShieldLevel| match (manifest.impact, level) {
        (Impact::Destructive, ShieldLevel::Overlay) => Impact::Reversible,
        (impact, _) => impact,
    };
    let refused = |level: ShieldLevel| {
        let help = if manifest.impact == Impact::Destructive && environment.impact >= Impact::Reversible {
            ": it may run in the shield `overlay` only"
        } else {
            ": raise `impact` in foil.yaml if you mean it"
        };
        Refusal(format!(
            "{} is `{}` in the shield `{level}`, and {} allows at most `{}`{help}",
            manifest.id,
            impact_in(level),
            environment.title(),
            environment.impact
        ))
    };
    let bearable: Vec<ShieldLevel> =
        manifest.shields().iter().copied().filter(|l| impact_in(*l) <= environment.impact).collect();
    if let Some(level) = case.shield.filter(|l| manifest.shields().contains(l) && !bearable.contains(l)) {
        return Err(refused(level));
    }
    match (bearable.is_empty(), manifest.shields().first()) {
        (true, Some(level)) => Err(refused(*level)),
        // The module's own list is kept in the message where it names a level that nobody can have.
        _ if case.shield.is_some() => {
            choose_shield(manifest.shields(), &grant.shield, &environment.shield, case.shield)
        }
        _ => choose_shield(&bearable, &grant.shield, &environment.shield, None),
    }
}

#[cfg(test)]
mod tests;
