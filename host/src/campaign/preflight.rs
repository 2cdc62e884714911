//! What is looked at before anything happens: a technique that cannot run here is inconclusive, not failed.

use foil_manifest::Manifest;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Why the technique cannot run on this target, or nothing.
pub(super) fn unmet(manifest: &Manifest, root: bool) -> Option<String> {
    if manifest.root && !root {
        return Some("it needs root on the target: run foil as root, and without `run-as` in foil.yaml".to_owned());
    }
    // `a|b`: any of them will do.
    let missing = |need: &&String| !need.split('|').any(executable);
    manifest
        .programs
        .iter()
        .find(missing)
        .map(|need| format!("the target has no {}: install it, or choose another technique", need.replace('|', " or ")))
}

fn executable(program: &str) -> bool {
    std::fs::metadata(Path::new(program)).is_ok_and(|m| m.is_file() && m.permissions().mode() & 0o111 != 0)
}
