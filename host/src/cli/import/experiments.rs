//! An experiment for each imported test, with its links to fill in.

use anyhow::Context as _;
use clap::ValueEnum;
use foil_atomic::Script;
use foil_atomic::judge::judge;
use foil_text::Shown as _;
use std::fmt::Write as _;
use std::path::Path;

/// What is expected to notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Expect {
    /// An alert of Falco's about the technique or a relative of it, by tag or by the rule map, pushed to the inbox
    Falco,
    /// The test's programs in the kernel's audit log: rules on system calls only, since watches do not see through an overlay
    Audit,
}

/// Writes the experiment of a test; what is there already is somebody's work, and stays. Whether it was written.
pub(super) fn write(folder: &Path, script: &Script, expect: Option<Expect>) -> anyhow::Result<bool> {
    let path = folder.join(format!("{}.yaml", script.id()));
    let file = std::fs::File::options().write(true).create_new(true).open(&path);
    match file.and_then(|mut file| std::io::Write::write_all(&mut file, text(script, expect).as_bytes())) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error).with_context(|| format!("cannot write {}", path.shown())),
    }
}

fn text(script: &Script, expect: Option<Expect>) -> String {
    let id = script.id();
    let hypothesis = format!("{} ({} {}) is noticed.", script.name, script.technique, script.technique_name);
    let mut text = format!("experiment: {id}\nhypothesis: {}\ntechnique: {id}\n", quoted(&hypothesis));
    if !script.arguments.is_empty() {
        text.push_str("# Its arguments, with their defaults:\n# with:\n");
        for (name, argument) in &script.arguments {
            // A line each: a default may have several.
            let default = quoted(argument.default.as_deref().unwrap_or_default());
            let _ = writeln!(text, "#   {name}: {default}");
        }
    }
    match expect {
        None => text.push_str(
            "# The chain that is to notice it, in order. `foil list --kind check` shows the checks.\nexpect: []\n#   - link: \
             telemetry\n#     check: linux.audit-event\n#     with: { event: execve }\n#     within: 10s\n",
        ),
        Some(Expect::Falco) => {
            // Falco's rules rarely bear a test's own id: relatives count, and rules that are known to notice it.
            let test = script.guid.as_ref().map(|guid| format!(", test: {guid}")).unwrap_or_default();
            let _ = write!(
                text,
                "expect:\n  - link: detection\n    check: falco.alert\n    with: {{ attack: [{}]{test}, collector: inbox }}\n    within: 30s\n",
                script.technique
            );
        }
        Some(Expect::Audit) => {
            // Of the command alone: what prepares it is not what is to be noticed.
            let alone = Script { dependencies: Vec::new(), cleanup: None, ..script.clone() };
            let program = judge(&alone).programs.into_iter().find_map(|program| {
                let name = program.rsplit('/').next().unwrap_or_default().to_owned();
                let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
                (!name.is_empty() && name.chars().all(plain)).then_some(name)
            });
            let program = program.map(|name| format!(", exe: '**/{name}'")).unwrap_or_default();
            let _ = write!(
                text,
                "expect:\n  - link: telemetry\n    check: linux.audit-event\n    with: {{ event: 'execve,execveat'{program} }}\n    within: \
                 10s\naudit:\n  own-rules: {{ syscalls: [execve, execveat] }}\n"
            );
        }
    }
    text
}

/// As a YAML text in double quotes, on one line: JSON's are.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
