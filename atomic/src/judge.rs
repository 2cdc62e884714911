//! What a script asks for, read off its text: for the reviewer who grants it, and the **second** line of defence. A script can
//! hide what it does (a variable, `base64 -d | sh`, a compiled program), so the shield must hold without this.

mod network;
mod rules;
mod shell;
mod wrap;

use crate::{Script, substitute};
use shell::{Command, commands};
use std::collections::{BTreeMap, BTreeSet};

/// What a script asks for. Every text is a part of a sentence that begins with the words that it was recognised by.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Judgement {
    /// It uses the network, beyond the loopback interface: the command, its clean-up, or the check of a prerequisite.
    pub fetches: Option<String>,
    /// Obtaining a prerequisite uses the network.
    pub obtaining_fetches: Option<String>,
    /// It stops the machine or destroys what is on it.
    pub destructive: Option<String>,
    /// It needs what a layer over the file system cannot carry, apart from obtaining a prerequisite.
    pub beyond_overlay: Option<String>,
    /// The programs that it names, as it names them.
    pub programs: BTreeSet<String>,
}

/// Judges all scripts of a test with its arguments' defaults filled in.
pub fn judge(script: &Script) -> Judgement {
    let values = script.arguments.iter().filter_map(|(name, argument)| Some((name.clone(), argument.default.clone()?)));
    judge_with(script, &values.collect())
}

/// Judges all scripts of a test with these values of its arguments.
pub fn judge_with(script: &Script, values: &BTreeMap<String, String>) -> Judgement {
    let mut found = Judgement::default();
    let mut read = |text: &str, part: &str, obtaining: bool| {
        let read = commands(&substitute(text, values, &script.atomics));
        for command in &read.list {
            let first = |slot: &mut Option<String>, why: Option<String>| {
                if let Some(why) = why.filter(|_| slot.is_none()) {
                    *slot = Some(format!("`{}` {why}{part}", shown(command)));
                }
            };
            first(&mut found.destructive, rules::destructive(command));
            if obtaining {
                first(&mut found.obtaining_fetches, network::fetches(command));
            } else {
                first(&mut found.fetches, network::fetches(command));
                first(&mut found.beyond_overlay, rules::beyond_overlay(command));
            }
            let named = command.under.iter().chain(command.words.first());
            found.programs.extend(named.filter(|word| is_program(word) && !read.functions.contains(*word)).cloned());
        }
    };
    read(&script.command, "", false);
    read(script.cleanup.as_deref().unwrap_or_default(), ", in the clean-up", false);
    for (number, dependency) in (1..).zip(&script.dependencies) {
        read(&dependency.check, &format!(", to check prerequisite {number}"), false);
        read(dependency.obtain.as_deref().unwrap_or_default(), &format!(", to obtain prerequisite {number}"), true);
    }
    found
}

/// A command in a sentence: on one line, and not too long.
fn shown(command: &Command) -> String {
    const LONGEST: usize = 80;
    let mut text = String::new();
    let from = command.reads.iter().flat_map(|file| ["<", file.as_str()]);
    let to = command.writes.iter().flat_map(|file| [">", file.as_str()]);
    for word in command.words.iter().map(String::as_str).chain(from).chain(to) {
        if !text.is_empty() {
            text.push(' ');
        }
        text.extend(word.chars().take(LONGEST).map(|c| if c.is_control() || c == '`' { ' ' } else { c }));
        if text.chars().count() > LONGEST {
            return text.chars().take(LONGEST).chain(['…']).collect();
        }
    }
    text
}

/// A word that names a program: no built-in of the shell, and nothing that is known only when it runs.
fn is_program(word: &str) -> bool {
    const BUILT_IN: [&str; 51] = [
        ".", ":", "[", "alias", "bg", "break", "builtin", "caller", "cd", "command", "compgen", "continue", "declare",
        "dirs", "disown", "echo", "enable", "eval", "exec", "exit", "export", "false", "fc", "fg", "getopts", "hash",
        "history", "jobs", "let", "local", "logout", "mapfile", "popd", "printf", "pushd", "pwd", "read", "readonly",
        "return", "set", "shift", "shopt", "source", "test", "times", "trap", "true", "type", "ulimit", "umask",
        "unset",
    ];
    let plain = |c: char| c.is_alphanumeric() || "/._+-~".contains(c);
    !BUILT_IN.contains(&word)
        && word != "wait"
        && word != "unalias"
        && word.chars().all(plain)
        && word.contains(char::is_alphanumeric)
}

#[cfg(test)]
mod tests;
