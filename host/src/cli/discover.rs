//! Finds and reads `grants.toml` and `foil.yaml`: beside the experiment, then upwards. The only I/O that policy has.

use super::Global;
pub use super::trusted::read_trusted;
use crate::campaign::experiment::Expectations;
use anyhow::{Context as _, bail};
use foil_collector::audit::check_request;
use foil_policy::{Environment, Grants, Refusal, environment, grants};
use foil_text::Shown as _;
use std::path::{Path, PathBuf};

/// The grants file's name.
pub const GRANTS: &str = "grants.toml";
/// The environment file's name.
pub const ENVIRONMENT: &str = "foil.yaml";

/// What a file says, and where it is.
#[derive(Debug, Clone)]
pub struct Found<T> {
    /// The file; `None` where there is none and the default holds.
    pub path: Option<PathBuf>,
    /// What it says.
    pub value: T,
}

/// The grants that hold for an experiment (`None`: for this folder). No file: nothing is granted.
pub fn grants(global: &Global, experiment: Option<&Path>) -> anyhow::Result<Found<Grants>> {
    load(global.grants.as_deref(), GRANTS, experiment, grants::parse, grants::MAX_FILE)
}

/// The environment that holds for an experiment (`None`: for this folder). No file: [`Environment::default`].
pub fn environment(global: &Global, experiment: Option<&Path>) -> anyhow::Result<Found<Environment>> {
    // What is expected is read by those who want it, and a mistake in it is one for everybody.
    let parse = |text: &str| Ok(with_expectations(text)?.0);
    let mut found = load(global.environment.as_deref(), ENVIRONMENT, experiment, parse, environment::MAX_FILE)?;
    if let Some(path) = &found.path {
        let path = path.canonicalize().with_context(|| format!("cannot look at {}", path.shown()))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        found.value.file = path.to_string_lossy().into_owned();
        found.value.folder = folder.to_str().context("the folder of foil.yaml has a name that is no UTF-8")?.to_owned();
    }
    Ok(found)
}

/// What that environment expects of a technique by itself. No file: nothing.
pub fn expectations(global: &Global, experiment: Option<&Path>) -> anyhow::Result<Found<Expectations>> {
    let parse = |text: &str| Ok(with_expectations(text)?.1.unwrap_or_default());
    load(global.environment.as_deref(), ENVIRONMENT, experiment, parse, environment::MAX_FILE)
}

/// Both, with what can be told of the second before any technique is named.
fn with_expectations(text: &str) -> Result<(Environment, Option<Expectations>), Refusal> {
    let read = environment::parse_with::<Expectations>(text)?;
    let request = read.1.as_ref().and_then(|expected| expected.audit.own_rules.as_ref());
    let wrong = request.map(check_request).unwrap_or_default().into_iter().map(|(below, why)| {
        let path = ["default", "audit", "own-rules"].map(str::to_owned).into_iter().chain(below).collect::<Vec<_>>();
        format!("{}: `default: audit: own-rules`: {why}", foil_yaml::locate(text, &path).unwrap_or("1:1".to_owned()))
    });
    let wrong: Vec<String> = wrong.collect();
    if wrong.is_empty() { Ok(read) } else { Err(Refusal(wrong.join("; and at "))) }
}

/// The file that a new grant is written to: the one in force, else a new one beside the experiment (`None`: in this folder).
pub fn grants_to_write(global: &Global, experiment: Option<&Path>) -> anyhow::Result<PathBuf> {
    match &global.grants {
        Some(path) => std::path::absolute(path).with_context(|| format!("{} is no usable path", path.shown())),
        None => {
            let folder = start(experiment)?;
            Ok(upwards(&folder, GRANTS)?.unwrap_or_else(|| folder.join(GRANTS)))
        }
    }
}

/// What this host says of itself: its machine id, where it has one, and its host name.
pub fn this_host() -> (Option<String>, String) {
    // Both are kernel and distribution facts of a few bytes; what cannot be read admits nothing by itself.
    let id = std::fs::read_to_string("/etc/machine-id").ok().map(|id| id.trim().to_owned()).filter(|id| !id.is_empty());
    (id, rustix::system::uname().nodename().to_string_lossy().into_owned())
}

fn load<T: Default>(
    given: Option<&Path>,
    name: &str,
    experiment: Option<&Path>,
    parse: impl Fn(&str) -> Result<T, foil_policy::Refusal>,
    most: usize,
) -> anyhow::Result<Found<T>> {
    let path = match given {
        // A file that the user named must be there; one that is looked for need not.
        Some(path) => Some(named(path, experiment)?),
        None => upwards(&start(experiment)?, name)?,
    };
    let Some(path) = path else { return Ok(Found { path: None, value: T::default() }) };
    let text = read_trusted(&path, most)?;
    let value = parse(&text).map_err(|refusal| anyhow::anyhow!("{}:{refusal}", path.shown()))?;
    Ok(Found { path: Some(path), value })
}

/// A file, or an environment by its name: `staging` is `staging.yaml` or `environments/staging.yaml`, looked for upwards.
fn named(given: &Path, experiment: Option<&Path>) -> anyhow::Result<PathBuf> {
    let is_name = given.extension().is_none() && given.components().count() == 1 && !given.exists();
    let Some(name) = given.to_str().filter(|_| is_name) else { return Ok(given.to_owned()) };
    let folder = start(experiment)?;
    for file in [format!("{name}.yaml"), format!("environments/{name}.yaml")] {
        if let Some(path) = upwards(&folder, &file)? {
            return Ok(path);
        }
    }
    bail!(
        "there is no environment `{name}`: neither {name}.yaml nor environments/{name}.yaml is in {} or above",
        folder.shown()
    )
}

/// The folder where the search begins, with links resolved, so that "upwards" means what the file system means.
fn start(experiment: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = match experiment {
        Some(file) => match file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        },
        None => PathBuf::from("."),
    };
    folder.canonicalize().with_context(|| format!("cannot look into the folder {}", folder.shown()))
}

/// The nearest file of that name, up to the root.
fn upwards(folder: &Path, name: &str) -> anyhow::Result<Option<PathBuf>> {
    for above in folder.ancestors() {
        let path = above.join(name);
        match std::fs::symlink_metadata(&path) {
            Ok(_) => return Ok(Some(path)),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
            // A file that may be there but cannot be seen must not be skipped for a laxer one above it.
            Err(e) => return Err(e).with_context(|| format!("cannot look at {}", path.shown())),
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn global() -> Global {
        use clap::Parser as _;
        #[derive(clap::Parser)]
        struct Flags {
            #[command(flatten)]
            global: Global,
        }
        Flags::parse_from(["foil"]).global
    }

    fn write(path: &Path, text: &str, mode: u32) {
        std::fs::write(path, text).expect("writable");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    }

    #[test]
    fn the_nearest_file_upwards_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let deep = folder.path().join("a/b");
        std::fs::create_dir_all(&deep).expect("writable");
        let experiment = deep.join("x.yaml");
        assert_eq!(environment(&global(), Some(&experiment)).expect("no file").path, None);
        write(&folder.path().join(ENVIRONMENT), "environment: far\n", 0o644);
        assert_eq!(environment(&global(), Some(&experiment)).expect("readable").value.name, "far");
        write(&folder.path().join("a").join(ENVIRONMENT), "environment: near\n", 0o644);
        assert_eq!(environment(&global(), Some(&experiment)).expect("readable").value.name, "near");
        write(&deep.join(ENVIRONMENT), "environment: x\nimpakt: none\n", 0o644);
        let error = format!("{:#}", environment(&global(), Some(&experiment)).expect_err("a mistake"));
        assert!(error.contains("/a/b/foil.yaml:2:1: "), "{error}");
        let named = Global { environment: Some(folder.path().join("missing.yaml")), ..global() };
        assert!(environment(&named, Some(&experiment)).is_err());
    }
}
