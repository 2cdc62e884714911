//! `foil new`: the folder of a technique or a check that builds, passes its test and can be filled in.

use super::{Exit, Format, Global};
use crate::console::out;
use anyhow::{Context as _, bail};
use clap::ValueEnum;
use foil_manifest::{Kind, ModuleId};
use foil_text::Shown as _;
use std::path::{Path, PathBuf};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What to start
    #[arg(value_enum)]
    kind: KindArg,
    /// The module's id: platform.name, such as linux.file-delete
    #[arg(value_name = "NAME")]
    id: ModuleId,
    /// The folder to make [default: techniques/PLATFORM/NAME in a checkout of Foil, else PLATFORM-NAME here]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Outside a checkout of Foil: where one is (the SDK is not on crates.io yet)
    #[arg(long, value_name = "PATH")]
    sdk: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    Technique,
    Check,
}

/// One file of a template: where it goes, and its text with `@PLACEHOLDERS@`.
type File = (&'static str, &'static str);

const TECHNIQUE: [File; 2] = [
    ("technique.toml", include_str!("../../../sdk/template/technique/technique.toml")),
    ("src/lib.rs", include_str!("../../../sdk/template/technique/src/lib.rs")),
];
const CHECK: [File; 2] = [
    ("check.toml", include_str!("../../../sdk/template/check/check.toml")),
    ("src/lib.rs", include_str!("../../../sdk/template/check/src/lib.rs")),
];
/// A member of Foil's workspace.
const INSIDE: [File; 1] = [("Cargo.toml", include_str!("new/member.toml.in"))];
/// A workspace of its own, with Foil's compiler: digests depend on it.
fn outside(kind: Kind) -> [File; 2] {
    let package = match kind {
        Kind::Technique => include_str!("../../../sdk/template/technique/Cargo.toml.in"),
        Kind::Check => include_str!("../../../sdk/template/check/Cargo.toml.in"),
    };
    [("Cargo.toml", package), ("rust-toolchain.toml", include_str!("../../../rust-toolchain.toml"))]
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let kind = match args.kind {
        KindArg::Technique => Kind::Technique,
        KindArg::Check => Kind::Check,
    };
    if args.id.is_reserved() {
        bail!(
            "`{}` is one of Foil's own ids (`foil.*`, `interpreter.*`, `atomic.*`): choose another platform",
            args.id
        );
    }
    let package = args.id.as_str().replace('.', "-");
    let place = place(&args, kind, &package)?;
    let sdk = place.sdk.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default();
    let title = title(&args.id);
    let fill = |text: &str| {
        text.replace("@ID@", args.id.as_str())
            .replace("@NAME@", &title)
            .replace("@PACKAGE@", &package)
            // It stands inside a TOML string.
            .replace("@SDK@", &sdk.replace('\\', "\\\\").replace('"', "\\\""))
    };
    let template = match kind {
        Kind::Technique => &TECHNIQUE,
        Kind::Check => &CHECK,
    };
    let outside = outside(kind);
    let around: &[File] = if place.sdk.is_some() { &outside } else { &INSIDE };
    write(&place.folder, template.iter().chain(around).map(|(name, text)| (*name, fill(text))))?;
    let folder = place.folder.shown();
    match global.format {
        Format::Json => {
            let files: Vec<_> = template.iter().chain(around).map(|(name, _)| name).collect();
            let json = serde_json::json!({ "id": args.id, "kind": kind, "folder": place.folder.to_string_lossy(), "files": files });
            super::print_json(&json)?;
        }
        Format::Text => {
            out!("{folder} is a {kind} that builds and passes its test; now make it yours:");
            out!("  {folder}/{:<16} what it is and what it asks for", kind.file_name());
            out!("  {folder}/{:<16} what it does, and its test", "src/lib.rs");
            out!("  cargo test --manifest-path {folder}/Cargo.toml");
            out!("  foil build {folder}");
        }
    }
    Ok(Exit::Success)
}

/// `linux.my-thing` is titled "My thing", until its author says better.
fn title(id: &ModuleId) -> String {
    let name = id.as_str().split_once('.').map_or("", |(_, name)| name).replace(['.', '-'], " ");
    let mut letters = name.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}

/// Where the folder goes.
struct Place {
    folder: PathBuf,
    /// Where the SDK is; `None` in Foil's own workspace, which knows.
    sdk: Option<PathBuf>,
}

fn place(args: &Args, kind: Kind, package: &str) -> anyhow::Result<Place> {
    let here = std::env::current_dir().context("this folder does not exist any more")?;
    let asked = args.dir.as_ref().map(|dir| here.join(dir));
    // Where it will lie decides, not where the command was typed.
    let near = asked.as_deref().and_then(Path::parent).unwrap_or(&here);
    if let Some(checkout) = near.ancestors().find(|dir| is_checkout(dir)) {
        let (platform, name) = args.id.as_str().split_once('.').context("an id has a platform and a name")?;
        let family = if kind == Kind::Check { "checks" } else { platform };
        let usual = checkout.join("techniques").join(family).join(name.replace('.', "-"));
        let folder = asked.clone().unwrap_or_else(|| usual.clone());
        let techniques = checkout.join("techniques");
        let is_member = folder.parent().and_then(Path::parent) == Some(techniques.as_path());
        if !is_member {
            bail!(
                "in a checkout of Foil a module's folder is techniques/PLATFORM/NAME, where it belongs to the workspace: \
                 leave --dir out (it would be {}), or name a folder outside {}",
                usual.shown(),
                checkout.shown()
            );
        }
        if args.sdk.is_some() {
            bail!(
                "--sdk is for folders outside a checkout of Foil; {} is inside one, which knows its SDK",
                folder.shown()
            );
        }
        return Ok(Place { folder, sdk: None });
    }
    let Some(sdk) = &args.sdk else {
        bail!(
            "this is no checkout of Foil, and the SDK is not on crates.io yet: say where a checkout is with --sdk PATH, or \
             run this inside one"
        )
    };
    let found = [sdk.join("sdk"), sdk.clone()].into_iter().find(|dir| is_sdk(dir));
    let Some(found) = found else {
        bail!("there is no foil-sdk in {}: name a checkout of Foil, or its sdk folder", sdk.shown())
    };
    let found = found.canonicalize().with_context(|| format!("cannot find {}", found.shown()))?;
    Ok(Place { folder: asked.unwrap_or_else(|| here.join(package)), sdk: Some(found) })
}

fn is_checkout(dir: &Path) -> bool {
    dir.join("techniques").is_dir() && is_sdk(&dir.join("sdk"))
}

fn is_sdk(dir: &Path) -> bool {
    let text = std::fs::read_to_string(dir.join("Cargo.toml")).unwrap_or_default();
    let package: Option<toml::Table> = text.parse().ok();
    package.is_some_and(|p| p.get("package").and_then(|p| p.get("name")).and_then(|n| n.as_str()) == Some("foil-sdk"))
}

/// Makes the folder with its files; nothing is left where that fails half-way.
fn write<'a>(folder: &Path, files: impl Iterator<Item = (&'a str, String)>) -> anyhow::Result<()> {
    if let Some(parent) = folder.parent() {
        std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.shown()))?;
    }
    match std::fs::create_dir(folder) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            bail!("{} is there already: choose another name, or another folder with --dir", folder.shown())
        }
        Err(error) => return Err(error).with_context(|| format!("cannot make {}", folder.shown())),
    }
    let fill = || -> anyhow::Result<()> {
        for (name, text) in files {
            let path = folder.join(name);
            let parent = path.parent().unwrap_or(folder);
            std::fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.shown()))?;
            std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.shown()))?;
        }
        Ok(())
    };
    fill().inspect_err(|_| _ = std::fs::remove_dir_all(folder))
}
