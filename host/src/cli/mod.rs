//! Arguments in, words out: one file a subcommand.

use crate::console::err;
use clap::error::ErrorKind;
use clap::{CommandFactory as _, Parser, Subcommand};
use foil_record::Exit;
use foil_report as report;
use std::path::PathBuf;
use std::process::ExitCode;

mod abort;
mod attack;
mod build;
mod calibrate;
mod check;
mod cleanup;
mod completions;
pub mod discover;
mod doctor;
mod fire;
mod grant;
mod granted;
mod grants_file;
mod hints;
mod import;
mod journal;
mod list;
mod load;
mod logs;
mod man;
mod matching;
mod mistakes;
mod new;
mod nodes;
mod only;
mod output;
mod pending;
mod plan;
mod rbac;
mod report_file;
mod review;
mod revoke;
mod rules;
mod run;
mod schema;
mod session;
mod show;
mod signals;
mod sources;
mod table;
mod trusted;

pub use grant::offer;
use table::table;

/// Fires ATT&CK techniques in a sandbox, says which link of the detection chain is broken, puts everything back.
#[derive(Debug, Parser)]
#[command(name = "foil", version = version(), max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Flags of every subcommand.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// The state folder: journal, locks, compiled modules [default: /var/lib/foil for root, ~/.local/state/foil]
    #[arg(long, global = true, value_name = "DIR", env = "FOIL_STATE")]
    pub state: Option<PathBuf>,
    /// How to print; all but text and json are for the reports of `run` and `fire`
    #[arg(long = "format", global = true, value_enum, default_value_t)]
    pub report: report::Format,
    /// The same for commands that print no reports; `main` settles it.
    #[arg(skip)]
    pub format: Format,
    /// The grants file [default: grants.toml beside the experiment or in this folder, then upwards]
    #[arg(long, global = true, value_name = "FILE")]
    pub grants: Option<PathBuf>,
    /// The environment: a file, or the name of NAME.yaml or environments/NAME.yaml [default: foil.yaml, looked for likewise]
    #[arg(long, global = true, value_name = "FILE|NAME")]
    pub environment: Option<PathBuf>,
    /// Folders with modules from outside (*.wasm), besides those built in
    #[arg(long = "modules", global = true, value_name = "DIR")]
    pub modules: Vec<PathBuf>,
    /// When to use colour; `auto`: on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: Color,
    /// Log to standard error what Foil does; twice for details, three times for all that it and its libraries log
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Log what this filter says instead: a level (off, error, warn, info, debug, trace), or TARGET=LEVEL,…
    #[arg(long, global = true, value_name = "FILTER", env = "FOIL_LOG", value_parser = logs::filter)]
    pub log: Option<String>,
}

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always, into files and pipes as well.
    Always,
    /// Never.
    Never,
}

impl Color {
    /// Decides for all that is printed from now on.
    fn apply(self) {
        match self {
            Self::Auto => {}
            Self::Always => anstream::ColorChoice::Always.write_global(),
            Self::Never => anstream::ColorChoice::Never.write_global(),
        }
    }
}

/// The version of Foil, and of the ATT&CK that it knows.
fn version() -> &'static str {
    static VERSION: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| {
        format!("{} (ATT&CK {})", env!("CARGO_PKG_VERSION"), foil_manifest::attack::version())
    });
    &VERSION
}

/// How a command that prints no reports prints.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs; the schema is stable.
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fire one technique, or all that match a pattern, without expectations
    Fire(fire::Args),
    /// Run an experiment file
    Run(run::Args),
    /// Look at an experiment's links without firing anything: files that have no technique
    Check(check::Args),
    /// Fire an experiment's technique at every shield level, and show which one its sensors can be trusted with
    Calibrate(calibrate::Args),
    /// Say what an experiment would do, on which target, and how it is undone; touches nothing
    Plan(plan::Args),
    /// List modules
    List(list::Args),
    /// Show what a module says of itself
    Show(show::Args),
    /// Show what a module may do and asks for, for a reviewer; runs nothing
    Review(review::Args),
    /// Allow a module what it asks for, or less
    Grant(grant::Args),
    /// Take a grant back
    Revoke(revoke::Args),
    /// Make modules of tests that others wrote
    #[command(subcommand)]
    Import(import::Command),
    /// Build a module's folder to a .wasm
    Build(build::Args),
    /// Start a technique or a check
    New(new::Args),
    /// Undo what earlier runs left
    Cleanup(cleanup::Args),
    /// Stop every live run on this machine, then clean up
    Abort(abort::Args),
    /// Show runs, effects, undos and residue
    Journal(journal::Args),
    /// Say what this machine can do for Foil, and how to mend what is missing; changes nothing
    Doctor(doctor::Args),
    /// Print the JSON Schema of a file that people write, or of the report
    Schema(schema::Args),
    /// Print a shell's completions
    Completions(completions::Args),
    /// Print the manual, or write a page for each command into a folder
    Man(man::Args),
}

/// An error that is Foil's own fault, not the user's: exit code 5.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
pub struct InternalError(pub anyhow::Error);

/// Runs the command line and returns its exit code.
pub fn main() -> ExitCode {
    foil_panics::hide_messages();
    if let Some(served) = foil_shield::launcher::maybe_serve().or_else(crate::engine::compile::maybe_serve) {
        return served;
    }
    let mut cli = Cli::parse();
    cli.global.color.apply();
    logs::begin(&cli.global);
    foil_text::hint::begin(cli.global.state.as_deref());
    cli.global.format = match (cli.global.report, &cli.command) {
        (report::Format::Text, _) => Format::Text,
        // Those look at `report`.
        (_, Command::Run(_) | Command::Fire(_) | Command::Check(_)) | (report::Format::Json, _) => Format::Json,
        _ => Cli::command()
            .error(
                ErrorKind::InvalidValue,
                "the formats other than text and json are for the reports of `run`, `check` and `fire`: use one of those two here",
            )
            .exit(),
    };
    let global = &cli.global;
    let result = foil_panics::caught(|| match cli.command {
        Command::Fire(args) => fire::run(args, global),
        Command::Run(args) => run::run(args, global),
        Command::Check(args) => check::run(args, global),
        Command::Calibrate(args) => calibrate::run(args, global),
        Command::Plan(args) => plan::run(args, global),
        Command::List(args) => list::run(args, global),
        Command::Show(args) => show::run(args, global),
        Command::Review(args) => review::run(args, global),
        Command::Grant(args) => grant::run(args, global),
        Command::Revoke(args) => revoke::run(args, global),
        Command::Import(command) => import::run(command, global),
        Command::Build(args) => build::run(args, global),
        Command::New(args) => new::run(args, global),
        Command::Cleanup(args) => cleanup::run(args, global),
        Command::Abort(args) => abort::run(args, global),
        Command::Journal(args) => journal::run(args, global),
        Command::Doctor(args) => doctor::run(args, global),
        Command::Schema(args) => schema::run(args),
        Command::Completions(args) => completions::run(args, global),
        Command::Man(args) => man::run(args),
    });
    let result = result.unwrap_or_else(|broken| Err(InternalError(broken.into()).into()));
    let exit = result.unwrap_or_else(|error| {
        match error.downcast_ref::<mistakes::Mistakes>() {
            Some(mistakes) => mistakes.texts().iter().for_each(|text| say_error(text)),
            None => say_error(&format!("{error:#}")),
        }
        if error.is::<InternalError>() { Exit::Internal } else { Exit::Usage }
    });
    let exit = match crate::console::unwritten() {
        Some(why) if matches!(exit, Exit::Success) => {
            say_error(&format!("standard output cannot be written: {why}"));
            Exit::Usage
        }
        _ => exit,
    };
    ExitCode::from(exit as u8)
}

/// Prints an error. Whatever names, files and servers put into its text, no terminal obeys it.
fn say_error(text: &str) {
    err!("foil: {}", foil_text::visible_lines(text));
}

/// Prints a document, in which what a terminal obeys or nobody sees is escaped. A reader that has seen enough is no error.
fn print_json(document: &(impl serde::Serialize + ?Sized)) -> anyhow::Result<()> {
    report::print_json(&mut anstream::stdout().lock(), document).map_err(Into::into)
}
