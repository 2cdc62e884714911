//! `foil list`.

use super::attack::{self, Tactics};
use super::granted::Granted;
use super::{Exit, Format, Global, discover};
use crate::console::{err, out};
use crate::module::{Catalog, Filter, Module, Origin, Source};
use clap::ValueEnum;
use comfy_table::Table;
use foil_manifest::{AttackId, Kind};
use foil_text::Shown as _;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only modules with this text in their id, title, aliases, or ATT&CK ids and names; with a `*`, as in 'linux.*', those that match as
    /// a whole; of several words, those with all of them
    #[arg(value_name = "TEXT")]
    text: Vec<String>,
    /// Techniques or checks only
    #[arg(long, value_enum)]
    kind: Option<KindArg>,
    /// One platform only: the first part of the id, such as linux
    #[arg(long, value_name = "NAME")]
    platform: Option<String>,
    /// One ATT&CK technique with its sub-techniques, such as T1059
    #[arg(long, value_name = "ID")]
    attack: Option<AttackId>,
    /// One ATT&CK tactic, by its id, short name or name, such as TA0005, stealth, or "Credential Access"
    #[arg(long, value_name = "NAME", value_parser = attack::tactics)]
    tactic: Option<Tactics>,
    /// Built-in modules only, or those of --modules: components, or imported tests
    #[arg(long, value_enum)]
    source: Option<SourceArg>,
    /// Only modules that a grant lets run
    #[arg(long)]
    granted: bool,
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
    let tactics = args.tactic.map(|tactics| {
        tactics.renamed().iter().for_each(|line| err!("foil: {line}"));
        tactics.0.iter().map(|tactic| tactic.short).collect()
    });
    let filter = Filter {
        tactics,
        words: args.text.iter().flat_map(|text| text.split_whitespace()).map(word).collect(),
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
    let grants = discover::grants(global, None);
    let (grants, unread) = match grants {
        Ok(found) => (Some(found.value), None),
        Err(error) => (None, Some(error)),
    };
    let modules: Vec<(&Module, Granted)> =
        modules.iter().map(|module| (module, Granted::of(module, grants.as_ref()))).collect();
    let modules: Vec<_> = modules.into_iter().filter(|(_, granted)| !args.granted || granted.lets_run()).collect();
    match global.format {
        Format::Json => {
            let rows: Vec<_> = modules.iter().map(json).collect();
            super::print_json(&rows)?;
        }
        Format::Text if modules.is_empty() => out!("no module matches"),
        Format::Text => out!("{}", rows(&modules)),
    }
    let problems: Vec<String> = catalog.problems().map(ToString::to_string).collect();
    let problems: Vec<String> = problems.into_iter().chain(unread.map(|error| format!("{error:#}"))).collect();
    problems.iter().for_each(|problem| err!("foil: {problem}"));
    Ok(if problems.is_empty() { Exit::Success } else { Exit::Usage })
}

/// A word to look for. A former id of ATT&CK is what it is now, which is said.
fn word(text: &str) -> String {
    let id = attack::id(text);
    let Some((asked, now)) = id.as_deref().and_then(|id| Some((id, foil_manifest::attack::moved(id)?))) else {
        return text.to_lowercase();
    };
    err!("foil: {asked} is {now} in ATT&CK {}", foil_manifest::attack::version());
    now.to_lowercase()
}

/// One row for programs. Fields are added, never renamed.
fn json((module, granted): &(&Module, Granted)) -> serde_json::Value {
    let manifest = &module.manifest;
    let capabilities: Vec<_> = manifest.capabilities.iter().map(foil_manifest::Capability::name).collect();
    serde_json::json!({
        "id": manifest.id, "kind": manifest.kind, "platform": manifest.id.platform(), "title": manifest.title,
        "aliases": manifest.aliases, "attack": manifest.attack, "impact": manifest.impact,
        "shield": manifest.shields(), "root": manifest.root, "capabilities": capabilities,
        "digest": module.digest, "source": module.source.raw(), "granted": granted.to_string(),
    })
}

/// What fits into a line of a terminal; `foil show` and `--format json` say the rest.
fn rows(modules: &[(&Module, Granted)]) -> Table {
    let outside = modules.iter().any(|(module, _)| module.source != Source::Builtin);
    let mut table =
        super::table(["id", "ATT&CK", "impact", "grant", "title"].into_iter().chain(outside.then_some("source")));
    for (module, granted) in modules {
        let manifest = &module.manifest;
        let attack: Vec<_> = manifest.attack.iter().map(AttackId::as_str).collect();
        let kind = if manifest.kind == Kind::Check { "(check)".to_owned() } else { attack.join(" ") };
        let source = match &module.source {
            Source::Builtin => "builtin".to_owned(),
            Source::File(path) | Source::Atomic(path) => path.shown(),
        };
        let (impact, title) = (manifest.impact.to_string(), manifest.title.clone());
        let row = [manifest.id.to_string(), kind, impact, granted.to_string(), title];
        table.add_row(row.into_iter().chain(outside.then_some(source)));
    }
    table
}
