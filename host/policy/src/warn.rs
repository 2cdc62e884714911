//! What a reviewer must not overlook in a request.

mod kube;

use super::Hazard;
use super::paths::check_literal;
use super::permission::exec_scopes;
use foil_manifest::{Capability, CapabilityName, CommandPattern, Impact, Manifest, Network, ShieldLevel};
use std::collections::{BTreeMap, BTreeSet};

/// Something to be said in red.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Warning {
    /// What it makes possible.
    pub code: Hazard,
    /// A sentence. May quote the module: escape before printing.
    pub text: String,
}

/// Programs that run code which they are given, or start another program. After <https://gtfobins.github.io/>
/// ("shell" and "command"), the common ones: the list cannot be complete, and SECURITY.md says so.
const INTERPRETERS: [&str; 53] = [
    "ash", "awk", "bash", "busybox", "chroot", "csh", "dash", "doas", "ed", "emacs", "env", "expect", "find", "fish",
    "flock", "gawk", "gdb", "git", "ionice", "java", "ksh", "lua", "make", "mawk", "nawk", "nice", "node", "nohup",
    "nsenter", "perl", "php", "pkexec", "python", "rbash", "ruby", "runuser", "script", "setpriv", "setsid", "sh",
    "sqlite3", "ssh", "stdbuf", "strace", "su", "sudo", "tclsh", "timeout", "unshare", "vi", "vim", "xargs", "zsh",
];

/// All that a reviewer should stop at. `imports`: the functions that the module imports, by interface; `None` where no code was
/// built yet.
pub fn warnings(manifest: &Manifest, imports: Option<&BTreeMap<String, BTreeSet<String>>>) -> Vec<Warning> {
    let mut list = Vec::new();
    let mut warn = |code, text: String| list.push(Warning { code, text });
    for scope in exec_scopes(&manifest.capabilities) {
        for rule in &scope.allow {
            if let Some(why) = arbitrary(rule) {
                warn(Hazard::ArbitraryCode, format!("`{rule}` is arbitrary code: {why}"));
            }
        }
        if scope.network == Network::Host {
            warn(Hazard::Network, "programs may use the target's network: they can reach whatever it reaches".into());
        }
        if scope.privileges {
            warn(Hazard::Privileges, "programs may gain privileges by set-id programs such as `sudo`".into());
        }
        for path in &scope.writes {
            warn(Hazard::ExecWrites, format!("programs may change `{path}` and all below it"));
        }
        for path in scope.reads.iter().chain(&scope.writes).filter(|p| check_literal(p).is_err()) {
            warn(Hazard::VoidPath, format!("`{path}` is no absolute path without patterns: it will allow nothing"));
        }
        for name in scope.env.iter().filter(|n| hijacks(n)) {
            warn(Hazard::Environment, format!("the variable `{name}` can make a harmless program run other code"));
        }
    }
    for capability in &manifest.capabilities {
        if let Capability::FilesWrite(scope) = capability {
            for rule in scope.allow.iter().filter(|r| !r.as_str().starts_with("{scratch}")) {
                warn(Hazard::FilesWrite, format!("it may change files that match `{rule}`"));
            }
        }
        kube::warn(capability, &mut warn);
        let name = capability.name();
        let unused = |imports: &BTreeMap<String, BTreeSet<String>>| {
            !imports.keys().any(|interface| interface_name(interface) == name.interface())
        };
        if imports.is_some_and(unused) {
            warn(Hazard::Unused, format!("it asks for `{name}` but does not import it: grant without it (`--only`)"));
        }
    }
    if manifest.shields().contains(&ShieldLevel::Open) {
        warn(Hazard::Open, "it works in the shield `open`, where nothing holds the programs that it starts".into());
    }
    if manifest.impact == Impact::Destructive {
        warn(Hazard::Destructive, "its impact is `destructive`: outside an overlay it cannot be undone".into());
    }
    if manifest.root && manifest.request(CapabilityName::Exec).is_some() {
        warn(Hazard::Root, "the programs that it starts run as root".into());
    }
    list
}

/// `exec` of `foil:host/exec@0.1.0`, or of `exec`.
pub fn interface_name(interface: &str) -> &str {
    let name = interface.strip_prefix("foil:host/").unwrap_or(interface);
    name.split('@').next().unwrap_or_default()
}

/// Variables by which a loader, a shell or an interpreter is told to run something.
fn hijacks(name: &str) -> bool {
    name.starts_with("LD_")
        || name.starts_with("GIT_")
        || [
            "PATH",
            "IFS",
            "ENV",
            "BASH_ENV",
            "PYTHONPATH",
            "PYTHONSTARTUP",
            "PERL5LIB",
            "PERL5OPT",
            "RUBYOPT",
            "RUBYLIB",
            "NODE_OPTIONS",
            "JAVA_TOOL_OPTIONS",
            "EDITOR",
            "VISUAL",
            "PAGER",
            "LESSOPEN",
        ]
        .contains(&name)
}

/// Why a command pattern lets the module choose the code that runs, if it does.
fn arbitrary(rule: &CommandPattern) -> Option<&'static str> {
    let program = rule.program();
    if !program.is_literal() {
        return Some("the program itself is a pattern");
    }
    if program.as_str().contains("{scratch}") || program.as_str().contains("{run}") {
        return Some("the program is a file that the module may write itself");
    }
    let name = program.as_str().rsplit('/').next().unwrap_or_default();
    let base = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let known = |n: &str| INTERPRETERS.binary_search(&n).is_ok();
    if !known(name) && !known(base) {
        return None;
    }
    // What cannot be split was refused when the pattern was read.
    let words = shell_words::split(rule.as_str()).unwrap_or_default();
    let arguments = words.get(1..).unwrap_or_default();
    if arguments.last().is_some_and(|w| w == "...") || arguments.iter().any(|w| w.contains(['*', '?'])) {
        return Some("it is an interpreter, or starts other programs, and the module chooses its arguments");
    }
    if arguments.iter().any(|w| w.contains("{scratch}")) {
        return Some("it is an interpreter, or starts other programs, and the module may write what it is given");
    }
    if arguments.iter().all(|w| w.starts_with('-') && w != "-c" && w != "-e") {
        return Some("it is an interpreter without a script, so that it runs what it is fed on standard input");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_sorted_for_the_search() {
        assert!(INTERPRETERS.is_sorted());
    }

    #[test]
    fn interpreters_are_told_from_plain_programs() {
        let why = |text: &str| arbitrary(&text.parse().expect(text));
        for text in [
            "/bin/sh -c ...",
            "/bin/sh",
            "/bin/bash -s",
            "/usr/bin/python3 *",
            "/usr/bin/python3.12 -c **",
            "/bin/sh {scratch}/x",
            "/usr/bin/env ...",
            "/usr/bin/find / -name ? -exec id",
            "/usr/bin/* -a",
            "{scratch}/tool",
            "/dev/shm/foil-{run}",
            "/usr/bin/perl5.36 ...",
        ] {
            assert!(why(text).is_some(), "{text}");
        }
        for text in [
            "/bin/sh -c 'echo hello'",
            "/usr/bin/uname -a",
            "/bin/cat **",
            "/usr/bin/python3 /opt/tool.py",
            "/usr/bin/shred ...",
        ] {
            assert!(why(text).is_none(), "{text}");
        }
    }
}
