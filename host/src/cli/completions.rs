//! `foil completions`: what a shell needs to complete Foil's command line, from its own definition and the modules that there are.

use super::{Cli, Exit, Global, discover};
use crate::console::err;
use crate::module::{Catalog, Filter, Module};
use clap::builder::PossibleValuesParser;
use clap::{Command, CommandFactory as _};
use clap_complete::Shell;
use foil_manifest::{AttackId, CapabilityName, Kind, ShieldLevel, attack};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Its arguments.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

pub(super) fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let catalog = Catalog::open(&global.modules);
    catalog.problems().for_each(|problem| err!("foil: {problem}"));
    let mut foil = with_values(Cli::command(), &catalog.modules(&Filter::default()), &granted(global));
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut foil, "foil", &mut script);
    match args.shell {
        Shell::Fish => script.extend_from_slice(positionals_of_fish(&foil).as_bytes()),
        Shell::Zsh => script = files_of_zsh(&String::from_utf8(script)?).into_bytes(),
        _ => {}
    }
    super::man::print(&script)?;
    Ok(Exit::Success)
}

/// Modules that have a grant, of which some may not be there any more.
fn granted(global: &Global) -> BTreeSet<String> {
    let grants = discover::grants(global, None).map(|found| found.value).unwrap_or_default();
    grants.list.iter().map(|grant| grant.module.to_string()).collect()
}

/// The command line, with the values that an argument may take in this installation. Its own parsers stay more generous: a path is a
/// module too.
fn with_values(foil: Command, modules: &[Module], granted: &BTreeSet<String>) -> Command {
    let of = |kind: Option<Kind>| -> Vec<String> {
        let some = modules.iter().filter(|module| kind.is_none_or(|kind| module.manifest.kind == kind));
        some.map(|module| module.id().to_owned()).collect()
    };
    let attack: BTreeSet<String> =
        modules.iter().flat_map(|module| &module.manifest.attack).map(AttackId::to_string).collect();
    let platforms: BTreeSet<String> = modules.iter().map(|module| module.manifest.id.platform().to_owned()).collect();
    let attack: Vec<String> = attack.into_iter().collect();
    let shields = ShieldLevel::ALL.map(|level| level.to_string()).to_vec();
    let tactics = attack::all_tactics().iter().map(|tactic| tactic.short.to_owned()).collect();
    let capabilities = CapabilityName::ALL.map(|name| name.interface().to_owned()).to_vec();
    let revocable = of(None).into_iter().chain(granted.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect();
    let values: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::from([
        (("show", "ids"), [of(None), attack.clone()].concat()),
        (("review", "module"), of(None)),
        (("grant", "module"), of(None)),
        (("revoke", "module"), revocable),
        (("fire", "technique"), of(Some(Kind::Technique))),
        (("calibrate", "what"), of(Some(Kind::Technique))),
        (("fire", "shield"), shields.clone()),
        (("grant", "shield"), shields),
        (("grant", "only"), capabilities),
        (("list", "tactic"), tactics),
        (("list", "attack"), attack.clone()),
        (("list", "platform"), platforms.into_iter().collect()),
        (("run", "attack"), attack),
    ]);
    let names: BTreeSet<String> = foil.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    values.into_iter().fold(foil, |foil, ((command, argument), values)| {
        // Another helper's command may call its argument otherwise: then that alone is not completed.
        let known = names.contains(command)
            && foil.find_subcommand(command).is_some_and(|c| c.get_arguments().any(|a| a.get_id() == argument));
        if !known {
            return foil;
        }
        // Once, for as long as the process lives: clap keeps borrowed names only.
        let values: Vec<&'static str> = values.into_iter().map(|value| &*value.leak()).collect();
        foil.mut_subcommand(command, |command| {
            command.mut_arg(argument, |argument| argument.value_parser(PossibleValuesParser::new(values)))
        })
    })
}

/// What `clap_complete` leaves out for zsh: an argument that takes a module's id takes the path of one too.
fn files_of_zsh(script: &str) -> String {
    let both = |line: &str| {
        let (head, ids) = line.strip_suffix(")' \\")?.rsplit_once(":(")?;
        let is_argument = head.starts_with("':") || head.starts_with("'*:");
        // An id has parts, as an ATT&CK id has, which is written in capitals.
        let is_id = |word: &str| word.contains('.') && word.starts_with(|c: char| c.is_ascii_lowercase());
        (is_argument && ids.split(' ').any(is_id))
            .then(|| format!("{head}:{{_alternative \"modules:module:({ids})\" \"files:file:_files\"}}' \\"))
    };
    script.lines().map(|line| both(line).unwrap_or_else(|| line.to_owned()) + "\n").collect()
}

/// What `clap_complete` leaves out for fish: the values of arguments without a name.
fn positionals_of_fish(foil: &Command) -> String {
    let mut script = String::new();
    for command in foil.get_subcommands() {
        for argument in command.get_positionals() {
            let values: Vec<String> =
                argument.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            if !values.is_empty() {
                let _ = writeln!(
                    script,
                    "complete -c foil -n \"__fish_seen_subcommand_from {}\" -a \"{}\"",
                    command.get_name(),
                    values.join(" ")
                );
            }
        }
    }
    script
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_argument_that_is_given_values_is_there() {
        let foil = with_values(Cli::command(), &Catalog::open(&[]).modules(&Filter::default()), &BTreeSet::new());
        for (command, argument, value) in [
            ("show", "ids", "linux.file-delete"),
            ("show", "ids", "T1070.004"),
            ("review", "module", "linux.audit-event"),
            ("grant", "module", "linux.file-delete"),
            ("revoke", "module", "linux.file-delete"),
            ("fire", "technique", "linux.file-delete"),
            ("calibrate", "what", "linux.file-delete"),
            ("fire", "shield", "overlay"),
            ("grant", "shield", "overlay"),
            ("grant", "only", "files-read"),
            ("list", "tactic", "stealth"),
            ("list", "attack", "T1070.004"),
            ("list", "platform", "kubernetes"),
            ("run", "attack", "T1070.004"),
        ] {
            let found = foil.find_subcommand(command).expect(command);
            let found = found.get_arguments().find(|a| a.get_id() == argument).expect(argument);
            let values = found.get_possible_values();
            assert!(values.iter().any(|known| known.get_name() == value), "{command} {argument}");
        }
        let fire = foil.find_subcommand("fire").expect("fire").get_positionals().next().expect("technique");
        assert!(fire.get_possible_values().iter().all(|value| value.get_name() != "linux.audit-event"));
    }
}
