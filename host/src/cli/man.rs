//! `foil man`: manual pages, from the command line's own definition.

use super::{Cli, Exit};
use anyhow::Context as _;
use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use foil_text::Shown as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A folder for `foil.1`, `foil-run.1` and so on [default: print foil's own page]
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(super) fn run(args: Args) -> anyhow::Result<Exit> {
    let mut foil = Cli::command().disable_help_subcommand(true);
    // Sub-commands get their full names and the global flags.
    foil.build();
    match args.folder {
        None => print(&page(&foil)?)?,
        Some(folder) => {
            std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.shown()))?;
            write(&foil, &folder)?;
        }
    }
    Ok(Exit::Success)
}

fn write(command: &Command, folder: &Path) -> anyhow::Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    let path = folder.join(format!("{name}.1"));
    std::fs::write(&path, page(command)?).with_context(|| format!("cannot write {}", path.shown()))?;
    command.get_subcommands().filter(|command| !command.is_hide_set()).try_for_each(|command| write(command, folder))
}

fn page(command: &Command) -> anyhow::Result<Vec<u8>> {
    let mut page = Vec::new();
    Man::new(command.clone()).render(&mut page).context("a manual page cannot be rendered")?;
    Ok(page)
}

/// To standard output as it is. A reader that has seen enough, such as `head`, is no error.
pub(super) fn print(text: &[u8]) -> anyhow::Result<()> {
    match std::io::stdout().lock().write_all(text) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(()),
    }
}
