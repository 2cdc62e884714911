//! `foil list`.

use super::{Exit, Format, Global};
use crate::module::{Catalog, Filter, Module, Origin, Source};
use clap::ValueEnum;
use comfy_table::Table;
use foil_manifest::Shown as _;
use foil_manifest::{AttackId, Kind};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Techniques or checks only
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// One platform only: the first part of the id, such as linux
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// One ATT&CK technique with its sub-techniques, such as T1059
    #[arg(long, value_name = "ID")]
    attack: Option<AttackId>,
    /// Built-in modules only, or those of --modules: components, or imported tests
    #[arg(long, value_enum)]
    source: Option<SourceArg>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KindArg {
    Technique,
    Check,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum SourceArg {
    Builtin,
    File,
    Atomic,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let filter = Filter {
        kind: args.kind.map(|kind| match kind {
            KindArg::Technique => Kind::Technique,
            KindArg::Check => Kind::Check,
        }),
        platform: args.platform,
        attack: args.attack,
        origin: args.source.map(|source| match source {
            SourceArg::Builtin => Origin::Builtin,
            SourceArg::File => Origin::File,
            SourceArg::Atomic => Origin::Atomic,
        }),
    };
    let catalog = Catalog::open(&global.modules);
    let modules = catalog.modules(&filter);
    match global.format {
        Format::Json => {
            let rows: Vec<_> = modules.iter().map(json).collect();
            super::print_json(&rows)?;
        }
        Format::Text if modules.is_empty() => anstream::println!("no module matches"),
        Format::Text => anstream::println!("{}", rows(&modules)),
    }
    for problem in catalog.problems() {
        anstream::eprintln!("foil: {problem}");
    }
    Ok(if catalog.problems().is_empty() { Exit::Success } else { Exit::Usage })
}

/// One row for programs. Fields are added, never renamed.
fn json(module: &Module) -> serde_json::Value {
    let manifest = &module.manifest;
    let capabilities: Vec<_> = manifest.capabilities.iter().map(foil_manifest::Capability::name).collect();
    serde_json::json!({
        "id": manifest.id, "kind": manifest.kind, "platform": manifest.id.platform(), "title": manifest.title,
        "aliases": manifest.aliases, "attack": manifest.attack, "impact": manifest.impact,
        "shield": manifest.shields(), "root": manifest.root, "capabilities": capabilities,
        "digest": module.digest, "source": module.source.raw(),
    })
}

/// What fits into a line of a terminal; `foil show` and `--format json` say the rest.
fn rows(modules: &[Module]) -> Table {
    let outside = modules.iter().any(|module| module.source != Source::Builtin);
    let mut table = super::table(["id", "ATT&CK", "impact", "title"].into_iter().chain(outside.then_some("source")));
    for module in modules {
        let manifest = &module.manifest;
        let attack: Vec<_> = manifest.attack.iter().map(AttackId::as_str).collect();
        let kind = if manifest.kind == Kind::Check { "(check)".to_owned() } else { attack.join(" ") };
        let source = match &module.source {
            Source::Builtin => "builtin".to_owned(),
            Source::File(path) | Source::Atomic(path) => path.shown(),
        };
        let row = [manifest.id.to_string(), kind, manifest.impact.to_string(), manifest.title.clone()];
        table.add_row(row.into_iter().chain(outside.then_some(source)));
    }
    table
}
