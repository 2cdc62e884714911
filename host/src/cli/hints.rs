//! What is not granted, and the commands that look at it and grant it.

use super::{Global, discover};
use crate::module::Module;
use foil_manifest::ShieldLevel;
use foil_policy::GrantRefusal;
use foil_text::hint::foil;
use std::io::IsTerminal as _;
use std::path::Path;

/// `: look at it with …, then grant it with …`, for the experiment (`None`: for this folder) that needs the module. A revoked grant
/// is not offered again: whoever took it back meant it.
pub(super) fn then(module: &Module, refusal: &GrantRefusal, global: &Global, experiment: Option<&Path>) -> String {
    let look = format!(": look at it with `{}`", review(module, global, experiment));
    match refusal {
        GrantRefusal::Revoked { .. } => look + "; where the reason is settled, it can be granted anew",
        _ => format!("{look}, then `{}`", grant(module, global, experiment)),
    }
}

/// The command that shows a module.
pub(super) fn review(module: &Module, global: &Global, experiment: Option<&Path>) -> String {
    let file = grants(global, experiment).filter(|file| Path::new(file).exists());
    let name = module.called();
    let mut arguments = vec!["review", &name];
    if let Some(file) = &file {
        arguments.extend(["--grants", file]);
    }
    foil(arguments)
}

/// The command that grants a module what it asks for.
pub(super) fn grant(module: &Module, global: &Global, experiment: Option<&Path>) -> String {
    let (file, name) = (grants(global, experiment), module.called());
    let mut arguments = vec!["grant", &name, "--reason", "say why"];
    if let Some(file) = &file {
        arguments.extend(["--grants", file]);
    }
    if module.manifest.shields().iter().all(|level| *level == ShieldLevel::Open) {
        arguments.extend(["--shield", "open"]);
    }
    // Nobody is asked where there is no terminal.
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        arguments.push("--yes");
    }
    foil(arguments)
}

/// The grants file, where a command in this folder would take another one.
fn grants(global: &Global, experiment: Option<&Path>) -> Option<String> {
    let file = discover::grants_to_write(global, experiment).ok()?;
    let here = discover::grants_to_write(&Global { grants: None, ..global.clone() }, None).ok();
    (here.as_deref() != Some(file.as_path())).then(|| file.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, error::ErrorKind};
    use std::path::{Path, PathBuf};

    fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in std::fs::read_dir(folder).expect("readable").flatten() {
            match entry.path() {
                path if path.is_dir() => sources(&path, found),
                path if path.extension().is_some_and(|extension| extension == "rs") => found.push(path),
                _ => {}
            }
        }
    }

    /// What stands between back-ticks in the strings of a source and begins with `foil`; what is filled in later is an id here.
    fn commands(source: &str) -> Vec<String> {
        let code = source.split("#[cfg(test)]").next().unwrap_or_default();
        let lines: Vec<&str> = code.lines().map(str::trim).filter(|line| !line.starts_with("//")).collect();
        // A string that goes on on the next line.
        let text = lines.join("\n").replace("\\\n", "");
        let command = regex::Regex::new("`(foil [^`\n]*)`").expect("valid");
        let place = regex::Regex::new(r"\{[^}]*\}").expect("valid");
        command.captures_iter(&text).map(|found| place.replace_all(&found[1], "linux.x").into_owned()).collect()
    }

    #[test]
    fn every_command_in_a_message_is_one_that_foil_takes() {
        let mut files = Vec::new();
        for folder in ["src", "../manifest/src", "../atomic/src", "../techniques"] {
            sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(folder), &mut files);
        }
        let mut looked_at = 0;
        for file in files {
            for command in commands(&std::fs::read_to_string(&file).expect("readable")) {
                looked_at += 1;
                let words = shell_words::split(&command).expect("balanced");
                let wrong = crate::cli::Cli::command().try_get_matches_from(words).err();
                let wrong =
                    wrong.filter(|error| !matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion));
                assert!(
                    wrong.is_none(),
                    "{}: `{command}` does not work when it is pasted: {wrong:?}",
                    file.to_string_lossy()
                );
            }
        }
        assert!(looked_at >= 5, "{looked_at}");
    }
}
