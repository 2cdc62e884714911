//! `foil build`: a module's folder to a `.wasm` with its manifest.

use super::{Exit, Format, Global};
use crate::console::out;
use anyhow::Context as _;
use foil_manifest::build::{self, Options};
use foil_text::Shown as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The module's folder, with its Cargo.toml and its technique.toml or check.toml
    #[arg(value_name = "DIR")]
    dir: PathBuf,
    /// Where to write the module [default: ID.wasm in its folder]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let built = build::folder(&args.dir, &Options::default())?;
    let inspection = &built.inspection;
    let id = inspection.manifest.id.as_str();
    let out = args.out.unwrap_or_else(|| args.dir.join(format!("{id}.wasm")));
    write(&out, &built.bytes).with_context(|| format!("cannot write {}", out.shown()))?;
    match global.format {
        Format::Json => {
            let json = serde_json::json!({
                "id": id, "digest": inspection.digest, "size": built.bytes.len(),
                "imports": inspection.imports.interfaces, "file": out.to_string_lossy(),
            });
            super::print_json(&json)?;
        }
        Format::Text => {
            out!("{id}\n  file    {}", out.shown());
            out!("  size    {} bytes\n  digest  {}", built.bytes.len(), inspection.digest);
            super::show::print_imports(&inspection.imports);
        }
    }
    Ok(Exit::Success)
}

/// Whole or not at all: a module that is cut off must not lie where the next run looks.
fn write(out: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = out.file_name().context("it names no file")?.to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}", std::process::id()));
    let write = || -> std::io::Result<()> {
        let mut file = std::fs::File::create(&temporary)?;
        file.write_all(bytes)?;
        std::fs::rename(&temporary, out)
    };
    write().inspect_err(|_| _ = std::fs::remove_file(&temporary)).map_err(Into::into)
}
