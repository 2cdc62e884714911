//! Changes the grants file: one writer at a time, all or nothing.

use super::Global;
use super::discover::Found;
use super::trusted::read_trusted;
use crate::module::{Module, Source};
use anyhow::{Context as _, bail};
use foil_manifest::Digest;
use foil_policy::{Environment, Judged, Refusal, grants};
use foil_safe_path::trust::check_owner;
use foil_text::Shown as _;
use rustix::fs::{FlockOperation, flock};
use std::fs::{File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// A module as a reviewer sees it.
pub fn judged(module: &Module) -> Judged<'_> {
    Judged {
        manifest: &module.manifest,
        digest: module.digest,
        judged: module.judged(),
        builtin: module.source == Source::Builtin,
        script: module.imported.is_some(),
        imports: &module.imports.interfaces,
    }
}

/// Applies `change` to the text of the file (empty where there is none yet) and puts the result in its place: written
/// beside it, made durable, renamed. Mode and owner stay. Other writers wait meanwhile.
pub fn update(path: &Path, change: impl FnOnce(&str) -> Result<String, Refusal>) -> anyhow::Result<()> {
    // The link stays a link; what it points to is replaced.
    let path = match path.canonicalize() {
        Ok(real) => real,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => path.to_owned(),
        Err(e) => return Err(e).with_context(|| format!("cannot look at {}", path.shown())),
    };
    let folder = path.parent().with_context(|| format!("{} is no file in a folder", path.shown()))?;
    let open = || -> anyhow::Result<(File, std::fs::Metadata)> {
        let open = File::open(folder)?;
        let meta = open.metadata()?;
        Ok((open, meta))
    };
    let (lock, meta) = open().with_context(|| format!("cannot open the folder {}", folder.shown()))?;
    check_owner(folder, &meta, meta.mode() & 0o1000 != 0)?;
    flock(&lock, FlockOperation::LockExclusive)
        .with_context(|| format!("cannot lock the folder {}", folder.shown()))?;

    let old = match std::fs::metadata(&path) {
        Ok(meta) => Some(meta),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => None,
        Err(e) => return Err(e).with_context(|| format!("cannot look at {}", path.shown())),
    };
    let text = if old.is_some() { read_trusted(&path, grants::MAX_FILE)? } else { String::new() };
    let new = change(&text).map_err(|refusal| anyhow::anyhow!("{}: {refusal}", path.shown()))?;

    let temporary = temporary(&path);
    let result = replace(&path, &temporary, &new, old.as_ref());
    if result.is_err() {
        // What could not be put in place must not lie around; where even that fails the first error says more.
        _ = std::fs::remove_file(&temporary);
    }
    result.with_context(|| format!("cannot write {}", path.shown()))?;
    lock.sync_all().with_context(|| format!("cannot make the change to {} durable", path.shown()))
}

fn temporary(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{}.new", std::process::id()))
}

fn replace(path: &Path, temporary: &Path, text: &str, old: Option<&std::fs::Metadata>) -> anyhow::Result<()> {
    // A new one may be read by all, as the repository it lives in; nobody else may write it.
    let mut file = File::options().write(true).create_new(true).mode(0o644).open(temporary)?;
    if let Some(old) = old {
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
    }
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(temporary, path)?;
    Ok(())
}

/// Foil's own folders and files, which no grant may reach: the state folder, and what decides what Foil does, that is grants,
/// environment, experiment, folders of modules, rules, and the inbox's token. Each as it is named and as it really is, since a rule
/// may use either.
pub fn own(
    global: &Global,
    grants: Option<&Path>,
    environment: &Found<Environment>,
    experiment: Option<&Path>,
) -> anyhow::Result<Vec<String>> {
    let mut files = vec![match &global.state {
        Some(path) => path.to_owned(),
        None => foil_safe_path::state::default_folder()?,
    }];
    files.extend([grants, environment.path.as_deref(), experiment].into_iter().flatten().map(Path::to_owned));
    files.extend(global.modules.iter().cloned());
    let Environment { folder, sources, .. } = &environment.value;
    let token = sources.inbox.iter().filter_map(|inbox| inbox.token_file.as_ref());
    files.extend(sources.rules.iter().chain(token).map(|path| Path::new(folder).join(path)));
    let mut own = Vec::new();
    for path in files {
        let path = std::path::absolute(&path).with_context(|| format!("{} is no usable path", path.shown()))?;
        own.extend(
            path.canonicalize().ok().filter(|real| *real != path).map(|real| real.to_string_lossy().into_owned()),
        );
        own.push(path.to_string_lossy().into_owned());
    }
    Ok(own)
}

/// Who decides, and why, as the command line or the machine says it. `act`: what is done, such as `grants this`.
///
/// # Errors
/// Nobody, no reason, or characters that deceive whoever reads the file.
pub fn decided(reviewer: Option<String>, reason: &str, act: &str, done: &str) -> anyhow::Result<String> {
    let who = match reviewer.or_else(self::reviewer) {
        Some(who) if !who.trim().is_empty() => who,
        _ => bail!("nobody says who {act}: name the reviewer with --reviewer"),
    };
    if reason.trim().is_empty() {
        bail!("the reason is empty: say why this is {done}");
    }
    for (what, text) in [("--reviewer", &*who), ("--reason", reason)] {
        if let Some((_, c)) = foil_text::first_deceiving(text) {
            bail!(
                "`{what}` has the invisible or control character {c}, which deceives whoever reads grants.toml: take it out"
            );
        }
    }
    Ok(who)
}

/// Who is at the keyboard: `git config user.name`, else the login name; `None` where nobody knows.
pub fn reviewer() -> Option<String> {
    let said = |mut command: std::process::Command| {
        command.output().ok().filter(|o| o.status.success()).and_then(|o| String::from_utf8(o.stdout).ok())
    };
    let mut command = std::process::Command::new("git");
    command.args(["config", "--get", "user.name"]).stderr(std::process::Stdio::null());
    let named = |name: &str| std::env::var(name).ok();
    [said(command), named("SUDO_USER"), named("USER"), named("LOGNAME")]
        .into_iter()
        .flatten()
        .chain(nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name))
        .map(|name| name.trim().to_owned())
        .find(|name| !name.is_empty())
}

/// The pin's digest, in short.
pub fn short(pin: grants::Pin) -> String {
    let (kind, digest): (_, Digest) = match pin {
        grants::Pin::Bytes(digest) => ("digest", digest),
        grants::Pin::Judged(digest) => ("judged", digest),
        grants::Pin::Script(digest, _) => ("script", digest),
    };
    format!("{kind} {}…", digest.short())
}
