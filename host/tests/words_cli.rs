//! `foil completions`, `foil man` and `--format`, as a shell and a packager meet them.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

fn foil(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_foil")).args(arguments).output().expect("foil starts")
}

fn stdout(arguments: &[&str]) -> String {
    let output = foil(arguments);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Every sub-command, as `--help` lists them.
fn commands() -> Vec<String> {
    let help = stdout(&["--help"]);
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    let names: Vec<String> = names
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect();
    assert!(names.len() > 15 && names.iter().any(|name| name == "doctor"), "{names:?}");
    names
}

#[test]
fn every_command_is_completed_in_every_shell() {
    let commands = commands();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = stdout(&["completions", shell]);
        for command in &commands {
            assert!(script.contains(command.as_str()), "{shell} does not complete `{command}`");
        }
        assert!(script.contains("--environment") || script.contains("l environment"), "{shell}");
    }
    let mut bash = Command::new("bash").arg("-n").stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bash");
    let script = stdout(&["completions", "bash"]);
    bash.stdin.take().expect("piped").write_all(script.as_bytes()).expect("written");
    let output = bash.wait_with_output().expect("it ends");
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    // Not only valid: it completes.
    let complete =
        format!("{script}\nCOMP_WORDS=(foil doc); COMP_CWORD=1; _foil foil doc foil; echo \"${{COMPREPLY[*]}}\"");
    let output = Command::new("bash").args(["-c", &complete]).output().expect("bash");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "doctor");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().expect("a folder");
    let pages = folder.path().join("man/man1");
    stdout(&["man", pages.to_str().expect("UTF-8")]);
    for command in commands() {
        let page = std::fs::read_to_string(pages.join(format!("foil-{command}.1"))).expect(&command);
        assert!(page.contains(".TH") && page.contains("SYNOPSIS"), "{command}: {page}");
    }
    assert!(std::fs::read_to_string(pages.join("foil-journal-verify.1")).expect("a page").contains(".TH"));
    assert!(!pages.join("foil-help.1").exists());
    let own = stdout(&["man"]);
    assert!(own.contains(".TH foil 1") && own.contains("doctor"), "{own}");
}

#[test]
fn formats_of_reports_are_for_commands_that_report() {
    for format in ["junit", "markdown", "csv", "attire", "navigator"] {
        for command in [&["list"][..], &["doctor"], &["plan", "x.yaml"], &["cleanup"]] {
            let output = foil(&[command, &["--format", format]].concat());
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(
                output.status.code() == Some(2) && said.contains("are for the reports of `run`, `check` and `fire`"),
                "{output:?}"
            );
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let in_folder = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_foil"));
        command.args(arguments).current_dir(folder.path()).env("FOIL_STATE", folder.path().join("state"));
        command.env("TMPDIR", folder.path()).output().expect("foil starts")
    };
    let granted = in_folder(&["grant", "--builtin", "--reason", "test", "--reviewer", "test", "--yes"]);
    assert!(granted.status.success(), "{granted:?}");
    for (format, words) in [
        ("junit", vec!["<?xml", "<testsuite name=\"foil\" tests=\"1\"", "classname=\"linux.system-info\""]),
        ("markdown", vec!["## Foil", "| Experiment |", "linux.system-info"]),
        ("csv", vec!["\"Execution Time (UTC)\",", "\"linux.system-info\""]),
        ("attire", vec!["\"attire-version\": \"1.1\"", "foil fire linux.system-info"]),
        ("navigator", vec!["\"layer\": \"4.5\"", "\"techniqueID\": \"T1082\""]),
        ("text", vec!["linux.system-info", "  run  "]),
    ] {
        let output = in_folder(&["fire", "linux.system-info", "--format", format]);
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        assert!(words.iter().all(|word| text.contains(word)), "{format}: {text}");
    }
}

/// What bash offers for a line that ends where the cursor is.
fn bash_completes(script: &str, line: &str) -> Vec<String> {
    let words: Vec<&str> = line.split(' ').collect();
    let (word, before) = match words.as_slice() {
        [.., before, word] => (*word, *before),
        _ => unreachable!("a command and a word"),
    };
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let command = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={}; _foil foil '{word}' '{before}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" "),
        words.len() - 1
    );
    let output = Command::new("bash").args(["-c", &command]).output().expect("bash");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Typed in a shell, and what it makes of that; where a module's id may stand, a file may.
const TYPED: [(&str, &str); 6] = [
    ("foil fire linux.file-del", "linux.file-delete"),
    ("foil fire ./my-mo", "my-module.wasm"),
    ("foil review my-mo", "my-module.wasm"),
    ("foil calibrate linux.shadow-r", "linux.shadow-read"),
    ("foil fire linux.file-delete --shield ov", "overlay"),
    ("foil list --tactic defense-imp", "defense-impairment"),
];

/// Runs a script in a shell with no configuration, in a folder with a module and the shell's completions, and returns what it printed;
/// `None` where there is no such shell.
fn in_a_shell(shell: &str, file: &str, arguments: &[&str], script: &str) -> Option<String> {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("my-module.wasm"), "").expect("written");
    std::fs::write(folder.path().join(file), stdout(&["completions", shell])).expect("written");
    let mut command = Command::new("timeout");
    command.args(["60", shell]).args(arguments).args(["-c", script]).current_dir(folder.path());
    let output = command.env("HOME", folder.path()).env("TERM", "dumb").output().expect("timeout is there");
    if output.status.code() == Some(127) {
        println!("skipped: there is no {shell}");
        return None;
    }
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[test]
fn a_real_zsh_completes() {
    let lines: String = TYPED.iter().map(|(typed, wanted)| format!("try '{typed}' '{wanted}'\n")).collect();
    // A shell on a terminal of its own: what is typed ends with a tab, and the line is erased before the next.
    let script = format!(
        "zmodload zsh/zpty; zpty z zsh -f -i\n\
         zpty -w z 'fpath=($PWD $fpath); autoload -U compinit; compinit -u -D; print -r -- set''up'; zpty -r -m z out '*setup*'\n\
         try() {{ zpty -n -w z $'\\x15'\"$1\"$'\\t'; zpty -r -m z out \"*${{2}}*\"; print -r -- \"$1 -> $2\" }}\n{lines}"
    );
    let Some(said) = in_a_shell("zsh", "_foil", &["-f"], &script) else { return };
    for (typed, wanted) in TYPED {
        assert!(said.contains(&format!("{typed} -> {wanted}")), "`{typed}` is not completed: {said}");
    }
}

#[test]
fn a_real_fish_completes() {
    for (typed, wanted) in TYPED {
        let script = format!("source foil.fish; complete -C '{typed}'");
        let Some(said) = in_a_shell("fish", "foil.fish", &["--no-config"], &script) else { return };
        assert!(said.lines().any(|line| line.contains(wanted)), "`{typed}`: {said}");
    }
}

#[test]
fn completions_know_modules_and_values() {
    let bash = stdout(&["completions", "bash"]);
    for (line, offered, not) in [
        ("foil show lin", "linux.file-delete", "kubernetes.canary"),
        ("foil show T1070", "T1070.004", "linux.file-delete"),
        ("foil fire linux.fi", "linux.file-delete", "linux.audit-event"),
        ("foil grant linux.au", "linux.audit-event", "linux.file-delete"),
        ("foil review kubernetes.", "kubernetes.canary", "linux.file-delete"),
        ("foil fire linux.file-delete --shield ", "overlay", "linux.file-delete"),
        ("foil run --format j", "junit", "csv"),
        ("foil list --tactic ", "defense-impairment", "linux"),
        ("foil list --kind ", "check", "linux"),
        ("foil list --color ", "never", "linux"),
    ] {
        let found = bash_completes(&bash, line);
        assert!(found.iter().any(|word| word == offered), "`{line}`: {found:?}");
        assert!(found.iter().all(|word| word != not), "`{line}`: {found:?}");
    }
    // Modules from outside, where their folder is named.
    let folder = tempfile::tempdir().expect("a folder");
    let none = stdout(&["completions", "bash", "--modules", folder.path().to_str().expect("UTF-8")]);
    assert_eq!(none, bash);
}
