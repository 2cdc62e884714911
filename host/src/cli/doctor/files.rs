//! The state folder with its journal, and the files that reviewers and operators write.

use super::{Area, Finding};
use crate::cli::discover::{self, Found};
use crate::cli::{Global, cleanup};
use foil_journal::Journal;
use foil_text::Shown as _;
use foil_text::hint::of_state;
use std::path::Path;

/// Pre-images of what a technique changes are kept there.
const ENOUGH: u64 = 256 << 20;

pub(super) fn look(global: &Global) -> Vec<Finding> {
    let mut area = Area::new("state");
    match cleanup::folder(global) {
        Ok(folder) => state(&mut area, &folder),
        Err(error) => area.missing("folder", format!("{error:#}"), "say where with --state or FOIL_STATE"),
    }
    let mut found = area.found;
    let mut area = Area::new("configuration");
    grants(&mut area, global);
    environment(&mut area, global);
    found.append(&mut area.found);
    found
}

fn state(area: &mut Area, folder: &Path) {
    let shown = folder.shown();
    match std::fs::symlink_metadata(folder) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return not_yet(area, folder),
        Err(error) => {
            return area.missing(
                "folder",
                format!("{shown} cannot be looked at: {error}"),
                "choose another with --state",
            );
        }
    }
    if let Err(error) = foil_safe_path::state::check(folder) {
        return area.missing("folder", format!("{error:#}"), "mend that, or choose another with --state");
    }
    if let Err(error) = try_file(folder) {
        return area.missing(
            "folder",
            format!("no file can be made in {shown}: {error}"),
            "mend that, or choose another with --state or FOIL_STATE",
        );
    }
    area.ok("folder", format!("{shown}, ours alone"));
    space(area, folder);
    if folder.join("journal.db").exists() {
        journal(area, folder);
    } else {
        area.ok("journal", "none yet");
    }
}

/// Makes a file and removes it: what a mode promises, a read-only or an artificial file system need not keep.
fn try_file(folder: &Path) -> std::io::Result<()> {
    let file = folder.join(format!(".doctor-{}", std::process::id()));
    std::fs::File::options().write(true).create_new(true).open(&file)?;
    std::fs::remove_file(&file)
}

/// Makes the first of the folders that are not there yet, and removes it.
fn try_folder(folder: &Path, above: &Path) -> std::io::Result<()> {
    let first = folder.strip_prefix(above).ok().and_then(|below| below.components().next());
    let first = first.map_or_else(|| folder.to_owned(), |first| above.join(first));
    std::fs::create_dir(&first)?;
    // The names below it may be too long, or odd in another way.
    let made = std::fs::create_dir_all(folder).and_then(|()| try_file(folder));
    let removed =
        folder.ancestors().take_while(|made| *made != above).try_for_each(|made| match std::fs::remove_dir(made) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        });
    made.and(removed)
}

fn not_yet(area: &mut Area, folder: &Path) {
    let above = folder.ancestors().skip(1).find(|above| above.is_dir()).unwrap_or(Path::new("/"));
    if let Err(error) = foil_safe_path::state::check_way(above) {
        return area.missing("folder", format!("{error:#}"), "mend that, or choose another with --state");
    }
    match try_folder(folder, above) {
        Ok(()) => {
            area.ok("folder", format!("{} will be made by the first run", folder.shown()));
            space(area, above);
        }
        Err(error) => area.missing(
            "folder",
            format!("{} cannot be made in {}: {error}", folder.shown(), above.shown()),
            "choose another with --state or FOIL_STATE",
        ),
    }
}

fn space(area: &mut Area, folder: &Path) {
    let Ok(disk) = rustix::fs::statvfs(folder) else { return };
    let free = disk.f_bavail.saturating_mul(disk.f_frsize);
    let says = format!("{} MiB are free", free >> 20);
    if free < ENOUGH {
        area.warning("space", says, format!("make room for the journal and its pre-images: {} MiB", ENOUGH >> 20));
    } else {
        area.ok("space", says);
    }
}

fn journal(area: &mut Area, folder: &Path) {
    let journal = match Journal::open(folder) {
        Ok(journal) => journal,
        Err(error) => {
            return area.missing(
                "journal",
                format!("{error:#}"),
                "nothing runs without it: mend it, or use another --state",
            );
        }
    };
    let damage = match (journal.check_file(), journal.verify_chain()) {
        (Ok(Some(what)), _) => Some(format!("the file is damaged: {what}")),
        (_, Ok(chain)) if chain.cut.is_some() => chain.cut.map(|cut| format!("the audit chain is cut: {cut}")),
        (Err(error), _) | (_, Err(error)) => Some(error.to_string()),
        _ => None,
    };
    match damage {
        Some(what) => {
            area.missing("journal", what, "keep a copy of it for whoever looks into this, then use another --state")
        }
        None => area.ok("journal", "sound"),
    }
    match (journal.to_recover(), journal.live()) {
        (Ok(left), _) if !left.is_empty() => area.warning(
            "left over",
            format!("{} effects of earlier runs were not undone", left.len()),
            format!("`{}` undoes them, `{}` says which", of_state(["cleanup"]), of_state(["cleanup", "--dry-run"])),
        ),
        (_, Ok(live)) if !live.is_empty() => area.ok("left over", format!("nothing; {} runs are alive", live.len())),
        (Ok(_), Ok(_)) => area.ok("left over", "nothing"),
        (Err(error), _) | (_, Err(error)) => {
            area.warning("left over", error.to_string(), format!("`{}` says more", of_state(["journal", "verify"])));
        }
    }
}

fn grants(area: &mut Area, global: &Global) {
    match discover::grants(global, None) {
        Ok(Found { path: Some(path), value }) => {
            let valid = value.list.iter().filter(|grant| grant.revoked.is_none()).count();
            area.ok("grants.toml", format!("{}, {valid} grants", path.shown()));
        }
        Ok(Found { path: None, .. }) => area.warning(
            "grants.toml",
            "none here or above: nothing may run",
            "`foil list` shows the modules; review and grant those that may run, or name the file with --grants",
        ),
        Err(error) => area.missing("grants.toml", format!("{error:#}"), "mend it at the place that is named"),
    }
}

fn environment(area: &mut Area, global: &Global) {
    match discover::environment(global, None) {
        Ok(Found { path: Some(path), value }) => {
            let (id, name) = discover::this_host();
            let nobody = |user: &&String| !matches!(nix::unistd::User::from_name(user), Ok(Some(_)));
            if let Some(user) = value.run_as.as_ref().filter(nobody) {
                let says = format!("`run-as: {user}` of {}: there is no such user on this host", path.shown());
                return area.missing("foil.yaml", says, "name one that there is, or make it");
            }
            match value.admits_host(id.as_deref(), &name) {
                Ok(()) => area.ok("foil.yaml", format!("{}, `{}`, which admits this host", path.shown(), value.name)),
                Err(refusal) => {
                    area.missing("foil.yaml", refusal.to_string(), "run Foil on one of its hosts, or add this one")
                }
            }
        }
        Ok(Found { path: None, .. }) => area.ok("foil.yaml", "none here or above: the defaults hold, without sensors"),
        Err(error) => area.missing("foil.yaml", format!("{error:#}"), "mend it at the place that is named"),
    }
}
