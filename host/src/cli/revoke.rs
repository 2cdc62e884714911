//! `foil revoke`: take a grant back. The entry stays in the file and says by whom and why.

use super::{Exit, Format, Global, discover, grants_file};
use crate::console::out;
use crate::module::Catalog;
use anyhow::bail;
use foil_manifest::ModuleId;
use foil_policy::grants::{Revocation, When, revoke};
use foil_text::Shown as _;
use jiff::Timestamp;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A module's id or one of its aliases; the module itself need not be there any more
    #[arg(value_name = "MODULE")]
    module: String,
    /// Why it is taken back
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who takes it back [default: git's user.name, else your login name]
    #[arg(long, value_name = "NAME")]
    reviewer: Option<String>,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let grants = discover::grants(global, None)?;
    let Some(file) = grants.path else {
        bail!("there is no grants.toml here or above, so that nothing is granted; name one with --grants");
    };
    // The id itself first: a module that was deleted can be revoked all the same.
    let named = args.module.parse::<ModuleId>().ok().filter(|id| grants.value.of(id).next().is_some());
    let id = match named {
        Some(id) => id,
        None => Catalog::open(&global.modules).find(&args.module)?.manifest.id.clone(),
    };
    let who = grants_file::decided(args.reviewer, &args.reason, "takes this back", "taken back")?;
    let now = Timestamp::now();
    let when = When::Moment(now.round(jiff::Unit::Second).unwrap_or(now));
    let revocation = Revocation { when, who, why: args.reason };
    let mut count = 0;
    grants_file::update(&file, |text| {
        let (new, revoked) = revoke(text, &id, &revocation)?;
        count = revoked;
        Ok(new)
    })?;
    if count == 0 {
        bail!("{id} has no grant in {} that could be taken back", file.shown());
    }
    match global.format {
        Format::Json => {
            super::print_json(
                &serde_json::json!({ "file": file.to_string_lossy(), "module": id, "revoked": revocation }),
            )?;
        }
        Format::Text => out!("{id}: revoked; written to {}", file.shown()),
    }
    Ok(Exit::Success)
}
