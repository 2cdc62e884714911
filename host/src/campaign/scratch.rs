//! A run's scratch folder, written down before it is made.

use anyhow::Context as _;
use foil_journal::{Effect, Learned, RunJournal, Undo};
use foil_manifest::ShieldLevel;
use foil_shield::Identity;
use foil_text::Shown as _;
use std::fs::Permissions;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;

/// Makes the run's folder, and the scratch folder in it.
///
/// The outer one is for nobody but whoever runs Foil, so that nothing that a child makes can be reached from outside,
/// whatever modes it gives it. `confined` opens a way for a run of another user in its own mounts. `open` cannot, and
/// holds nothing in anyway; what children of an overlay do to a folder stays in it.
///
/// `identity`: who children run as, where it is not Foil's user.
pub(super) fn make(
    journal: &RunJournal,
    scratch: &Path,
    identity: Option<&Identity>,
    level: ShieldLevel,
) -> anyhow::Result<()> {
    let own = scratch.parent().context("the scratch folder has no parent")?;
    let path = own.to_string_lossy().into_owned();
    let owner = identity.map_or_else(|| rustix::process::geteuid().as_raw(), |i| i.uid);
    let effect = Effect {
        capability: "host".into(),
        what: format!("make the scratch folder {path}"),
        undo: Undo::RemoveScratch { path, owner },
    };
    let id = journal.intend(&effect)?;
    let make = |folder: &Path, mode| {
        let made = std::fs::DirBuilder::new().mode(mode).create(folder);
        made.with_context(|| format!("cannot make the scratch folder {}", folder.shown()))
    };
    make(own, 0o700)?;
    if identity.is_some() && level != ShieldLevel::Confined {
        // Not at its making, where the umask has a say.
        std::fs::set_permissions(own, Permissions::from_mode(0o711))
            .with_context(|| format!("cannot open the way to {}", scratch.shown()))?;
    }
    make(scratch, 0o700)?;
    if let Some(identity) = identity {
        std::os::unix::fs::lchown(scratch, Some(identity.uid), Some(identity.gid))
            .with_context(|| format!("cannot give {} to {}", scratch.shown(), identity.name))?;
    }
    Ok(journal.applied(id, Learned::Nothing)?)
}
