//! `foil review`: all that a reviewer must know of a module to decide. Nothing of it is run.

mod json;
mod page;
mod script;
mod text;

use super::{Exit, Format, Global, discover, grants_file};
use crate::module::{Catalog, Imported, Module};
use crate::policy::{Change, Grant, GrantRefusal, Grants, Judged, Warning, compare, warnings};
use jiff::Timestamp;

pub(super) use json::entry;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A module's id, one of its aliases, or a .wasm file
    #[arg(value_name = "MODULE")]
    module: String,
}

/// A module, what there is to be warned of, and how it stands with the grants.
pub(super) struct Review<'a> {
    module: Judged<'a>,
    warnings: Vec<Warning>,
    state: Result<&'a Grant, GrantRefusal>,
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
            warnings: warnings(module.manifest, module.imports),
            changes: before.map(|grant| compare(grant, module.manifest)).unwrap_or_default(),
            imported: None,
            module,
            state,
            before,
        }
    }

    /// Of a module as it was loaded.
    pub(super) fn of_module(module: &'a Module, grants: &'a Grants, now: Timestamp) -> Self {
        Self { imported: module.imported.as_deref(), ..Self::of(grants_file::judged(module), grants, now) }
    }

    /// For people, at most 80 columns, with colour codes.
    pub(super) fn text(&self) -> String {
        text::render(self)
    }
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let module = Catalog::open(&global.modules).find(&args.module)?;
    let grants = discover::grants(global, None)?;
    let review = Review::of_module(&module, &grants.value, Timestamp::now());
    match global.format {
        Format::Json => anstream::println!("{:#}", json::render(&review, grants.path.as_deref())),
        Format::Text => anstream::print!("{}", review.text()),
    }
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests;
