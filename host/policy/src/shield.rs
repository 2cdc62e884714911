//! Which shield holds a run's children.

use super::Refusal;
use foil_manifest::ShieldLevel;

/// The level: `requested`, or the first in the manifest's order of preference that grant and guardrail allow.
///
/// `open` is only taken where all three layers name it, and even then only where it was requested or is all that is
/// left: a module that prefers to be held by nothing does not get its way while something else works for it.
/// An empty grant list means `confined`; `guardrail` is the environment's list.
pub fn choose_shield(
    manifest: &[ShieldLevel],
    grant: &[ShieldLevel],
    guardrail: &[ShieldLevel],
    requested: Option<ShieldLevel>,
) -> Result<ShieldLevel, Refusal> {
    let confined = [ShieldLevel::Confined];
    let grant = if grant.is_empty() { &confined } else { grant };
    let layers =
        [("the module works in", manifest), ("the grant allows", grant), ("the environment allows", guardrail)];
    if let Some(level) = requested {
        return match layers.into_iter().find(|(_, list)| !list.contains(&level)) {
            None => Ok(level),
            Some((who, list)) => Err(Refusal(format!("the shield `{level}` is refused: {who} {} only", named(list)))),
        };
    }
    let allowed = || manifest.iter().filter(|l| grant.contains(l) && guardrail.contains(l));
    allowed().find(|l| **l != ShieldLevel::Open).or_else(|| allowed().next()).copied().ok_or_else(|| {
        let all: Vec<String> = layers.iter().map(|(who, list)| format!("{who} {}", named(list))).collect();
        Refusal(format!(
            "there is no shield that all agree to: {}; widen the grant (option `--shield`) or `shield` in foil.yaml",
            all.join(", ")
        ))
    })
}

fn named(list: &[ShieldLevel]) -> String {
    let names: Vec<String> = list.iter().map(|l| format!("`{l}`")).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ShieldLevel::{Confined, Open, Overlay};

    #[test]
    fn the_modules_preference_counts_within_what_is_allowed() {
        assert_eq!(choose_shield(&[Overlay, Confined], &[Confined, Overlay], &[Confined, Overlay], None), Ok(Overlay));
        assert_eq!(choose_shield(&[Overlay, Confined], &[Confined], &[Confined, Overlay], None), Ok(Confined));
        assert_eq!(choose_shield(&[Confined], &[], &[Confined], None), Ok(Confined));
    }

    #[test]
    fn open_needs_all_three_by_name_and_comes_last() {
        let all = [Open, Overlay, Confined];
        assert_eq!(choose_shield(&all, &all, &all, None), Ok(Overlay));
        assert_eq!(choose_shield(&all, &all, &all, Some(Open)), Ok(Open));
        assert_eq!(choose_shield(&[Open], &all, &all, None), Ok(Open));
        for (manifest, grant, guardrail, who) in [
            (&all[1..], &all[..], &all[..], "the module works in"),
            (&all[..], &all[1..], &all[..], "the grant allows"),
            (&all[..], &[][..], &all[..], "the grant allows"),
            (&all[..], &all[..], &all[1..], "the environment allows"),
        ] {
            let refusal = choose_shield(manifest, grant, guardrail, Some(Open)).unwrap_err().0;
            assert!(refusal.contains(who), "{refusal}");
            assert_ne!(choose_shield(manifest, grant, guardrail, None), Ok(Open));
        }
    }

    #[test]
    fn no_common_level_says_what_each_wants() {
        assert_eq!(
            choose_shield(&[Overlay], &[Overlay], &[Confined], None).unwrap_err().0,
            "there is no shield that all agree to: the module works in `overlay`, the grant allows `overlay`, the environment allows `confined`; widen the grant (option `--shield`) or `shield` in foil.yaml"
        );
    }
}
