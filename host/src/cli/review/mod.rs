//! `foil review`: all that a reviewer must know of a module to decide. Nothing of it is run.
//!
//! | file | shows |
//! |---|---|
//! | `text`, `json`, `script` | one module, or the source of one that was not built |
//! | `versions` | what changed from one version of a module to another |
//! | `all` | all modules, riskiest first |
//! | `subject` | finds what is reviewed |
//! | `page` | wraps, colours and escapes |

mod all;
mod json;
mod page;
mod request;
mod script;
mod subject;
mod text;
mod versions;

use super::{Exit, Format, Global, discover, grants_file, hints};
use crate::console::{out, out_text};
use crate::module::{Catalog, Imported, Module};
use foil_manifest::build::Source;
use foil_manifest::{Kind, Manifest};
use foil_policy::{Change, Grant, GrantRefusal, Grants, Judged, Warning, compare, warnings};
use jiff::Timestamp;
use subject::Subject;

pub(super) use json::entry;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A module's id, one of its aliases, a .wasm file, or the folder of its source, which need not be built
    #[arg(value_name = "MODULE", required_unless_present = "all")]
    module: Option<String>,
    /// A newer version of MODULE, named likewise: show what changed in what it asks for; exit code 1 where it asks for more
    #[arg(value_name = "NEW")]
    newer: Option<String>,
    /// All modules in a table, riskiest first
    #[arg(long, conflicts_with_all = ["module", "newer"])]
    all: bool,
    /// With --all: techniques or checks only
    #[arg(long, requires = "all", value_parser = clap::builder::PossibleValuesParser::new(["technique", "check"]))]
    kind: Option<String>,
}

/// A module, what there is to be warned of, and how it stands with the grants.
pub(super) struct Review<'a> {
    manifest: &'a Manifest,
    /// What was built; `None`: only its source is there.
    module: Option<Judged<'a>>,
    /// Its source, where that is what is reviewed.
    source: Option<&'a Source>,
    warnings: Vec<Warning>,
    /// The grant that holds for it, or why none does; `None` of a source, for which none can.
    state: Option<Result<&'a Grant, GrantRefusal>>,
    /// The grant that `changes` compares with: the one that holds, else the latest.
    before: Option<&'a Grant>,
    changes: Vec<Change>,
    /// What it is, if it is an imported test.
    imported: Option<&'a Imported>,
}

impl<'a> Review<'a> {
    /// Looks at a module.
    pub(super) fn of(module: Judged<'a>, grants: &'a Grants, now: Timestamp) -> Self {
        let state = grants.find(&module, now);
        let before = state.as_ref().ok().copied().or_else(|| grants.latest(&module.manifest.id));
        Self {
            manifest: module.manifest,
            warnings: warnings(module.manifest, Some(module.imports)),
            changes: before.map(|grant| compare(grant, module.manifest)).unwrap_or_default(),
            imported: None,
            module: Some(module),
            source: None,
            state: Some(state),
            before,
        }
    }

    /// Of a module as it was loaded.
    pub(super) fn of_module(module: &'a Module, grants: &'a Grants, now: Timestamp) -> Self {
        Self { imported: module.imported.as_deref(), ..Self::of(grants_file::judged(module), grants, now) }
    }

    /// Looks at a source, of which nothing was built.
    fn of_source(source: &'a Source, grants: &'a Grants) -> Self {
        let manifest = &source.manifest;
        let before = grants.latest(&manifest.id);
        Self {
            manifest,
            module: None,
            source: Some(source),
            warnings: warnings(manifest, None),
            state: None,
            before,
            changes: before.map(|grant| compare(grant, manifest)).unwrap_or_default(),
            imported: None,
        }
    }

    /// For people, at most 80 columns, with colour codes.
    pub(super) fn text(&self) -> String {
        text::render(self)
    }

    /// The grant that holds.
    fn granted(&self) -> Option<&'a Grant> {
        self.state.as_ref()?.as_ref().ok().copied()
    }
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let catalog = Catalog::open(&global.modules);
    let Some(name) = &args.module else {
        let kind = args.kind.map(|kind| if kind == "check" { Kind::Check } else { Kind::Technique });
        return all::run(&catalog, kind, global);
    };
    let subject = Subject::find(&catalog, name)?;
    if let Some(newer) = &args.newer {
        return versions::run(&subject, &Subject::find(&catalog, newer)?, global.format);
    }
    let grants = discover::grants(global, None)?;
    let review = match &subject {
        Subject::Module(module) => Review::of_module(module, &grants.value, Timestamp::now()),
        Subject::Source(source) => Review::of_source(source, &grants.value),
    };
    match global.format {
        Format::Json => super::print_json(&json::render(&review, grants.path.as_deref()))?,
        Format::Text => {
            out_text!("{}", review.text());
            if let Subject::Module(module) = &subject
                && matches!(&review.state, Some(Err(refusal)) if !matches!(refusal, GrantRefusal::Revoked { .. }))
            {
                out!("  To grant it: `{}`", hints::grant(module, global, None));
            }
        }
    }
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests;
