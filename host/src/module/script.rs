//! An imported test as a module: its file holds the test alone, what runs it is the interpreter inside this binary, and what it
//! asks for is read off its text each time, so that no file can ask for less than it does.

use super::pack::interpreter;
use super::{LoadError, Module, Source, file};
use foil_atomic::judge::{Judgement, judge};
use foil_atomic::{Argument, Script};
use foil_manifest::{
    AttackId, Capability, Digest, Impact, Kind, Manifest, ModuleId, Network, Parameter, ParameterType, ShieldLevel,
};
use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

/// The longest file of an imported test, in bytes: scripts of a megabyte, as JSON.
const MAX_FILE: u64 = 8 << 20;
/// Whether prerequisites that are not met are obtained.
pub const OBTAIN: &str = "get-prereqs";

/// The facts that a test may report, and what each is.
const FACTS: [(&str, &str); 3] = [
    ("exit", "The exit status of its command"),
    ("stderr", "The end of what its command wrote to standard error, where it wrote any"),
    ("stdout", "The end of what its command wrote to standard output, where it wrote any"),
];

/// A script and what was read off it.
#[derive(Debug)]
pub struct Imported {
    /// The test.
    pub script: Script,
    /// What its text asks for.
    pub judgement: Judgement,
}

/// Whether a file's name is that of an imported test.
pub(super) fn is_script(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| name.starts_with("atomic.") && name.ends_with(".json"))
}

/// Loads an imported test. The bytes are read once; what is hashed is what is run.
pub(super) fn load(path: &Path) -> Result<Module, LoadError> {
    let io = |error| LoadError::Io { path: path.to_owned(), error };
    let mut text = String::new();
    let read = file::open(path).and_then(|file| file.take(MAX_FILE).read_to_string(&mut text)).map_err(io)?;
    if read as u64 == MAX_FILE {
        return Err(io(std::io::Error::other(format!("it has more than {MAX_FILE} bytes"))));
    }
    let wrong = |why: String| LoadError::Script { path: path.to_owned(), why };
    let script = Script::from_json(&text).map_err(wrong)?;
    let judgement = judge(&script);
    let manifest = manifest(&script, &judgement).map_err(wrong)?;
    Ok(Module {
        manifest: Arc::new(manifest),
        digest: Digest::of(text.trim_end_matches('\n').as_bytes()),
        source: Source::Atomic(std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
        imported: Some(Arc::new(Imported { script, judgement })),
        ..interpreter()
    })
}

/// What the test says of itself, and the request that follows from it.
fn manifest(script: &Script, judgement: &Judgement) -> Result<Manifest, String> {
    let mut capabilities = interpreter().manifest.capabilities.clone();
    let shells = [script.executor.program(), script.dependency_executor.program()];
    for capability in &mut capabilities {
        if let Capability::Exec(scope) = capability {
            scope.allow.retain(|pattern| shells.contains(&pattern.program().as_str()));
            if judgement.fetches.is_some() || judgement.obtaining_fetches.is_some() {
                scope.network = Network::Host;
            }
        }
    }
    let mut parameters: BTreeMap<String, Parameter> =
        script.arguments.iter().map(|(name, argument)| (name.clone(), parameter(argument))).collect();
    let about = "Obtain the prerequisites that are not met, as the test says how".to_owned();
    let obtain = declared(ParameterType::Boolean, about, Some(false.into()));
    if parameters.insert(OBTAIN.to_owned(), obtain).is_some() {
        return Err(format!("its argument `{OBTAIN}` has the name of one of Foil's own"));
    }
    let id = ModuleId::try_from(script.id()).map_err(|error| error.to_string())?;
    let manifest = Manifest {
        kind: Kind::Technique,
        id,
        aliases: script.guid.iter().cloned().collect(),
        title: title(&script.technique_name, &script.name),
        about: plain(&script.description),
        attack: vec![AttackId::try_from(script.technique.clone()).map_err(|error| error.to_string())?],
        impact: if judgement.destructive.is_some() { Impact::Destructive } else { Impact::Reversible },
        idempotent: false,
        expected: Vec::new(),
        events: Vec::new(),
        shield: vec![ShieldLevel::Overlay],
        root: script.elevation,
        programs: Vec::new(),
        parameters,
        one_of: Vec::new(),
        facts: Some(FACTS.iter().map(|(name, about)| ((*name).to_owned(), (*about).to_owned())).collect()),
        capabilities,
        tied_by: None,
        limits: Default::default(),
    };
    manifest.checked().map_err(|error| error.to_string())
}

/// An argument, typed where its default is of that type: some are not.
fn parameter(argument: &Argument) -> Parameter {
    let default = argument.default.as_deref();
    let of = |parsed: Option<serde_json::Value>| default.is_none() || parsed.is_some();
    let integer = default.and_then(|text| text.parse::<i64>().ok()).map(Into::into);
    let number = default.and_then(|text| text.parse::<f64>().ok()).filter(|n| n.is_finite()).map(Into::into);
    let (kind, default) = match argument.kind {
        foil_atomic::Kind::Integer if of(integer.clone()) => (ParameterType::Integer, integer),
        foil_atomic::Kind::Float if of(number.clone()) => (ParameterType::Number, number),
        _ => (ParameterType::String, default.map(|text| plain(text).into())),
    };
    declared(kind, plain(&argument.description), default)
}

fn declared(kind: ParameterType, about: String, default: Option<serde_json::Value>) -> Parameter {
    Parameter { required: default.is_none(), default, ..Parameter::new(kind, about) }
}

/// The technique's name, as the test's file says it, and the test's own, which is kept whole as far as one line has room.
fn title(technique: &str, test: &str) -> String {
    let (technique, test) = (line(technique), line(test));
    let room = 120_usize.saturating_sub(test.len()).saturating_sub(": ".len());
    match technique.get(..technique.floor_char_boundary(room.saturating_sub('…'.len_utf8()))) {
        _ if technique.len() <= room => format!("{technique}: {test}"),
        Some(cut) if !cut.trim().is_empty() => format!("{}…: {test}", cut.trim()),
        _ => test,
    }
}

/// One line of at most 120 bytes.
fn line(text: &str) -> String {
    let text = plain(text).split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = text.get(..text.floor_char_boundary(120)).unwrap_or_default().trim();
    if cut.is_empty() { "a test without a name".to_owned() } else { cut.to_owned() }
}

/// Without characters that deceive whoever reads it on a terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if foil_text::deceives(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::title;

    #[test]
    fn a_title_has_the_tests_name_whole_and_the_files_display_name_as_far_as_it_goes() {
        assert_eq!(title("Unix Shell", "Create a script"), "Unix Shell: Create a script");
        let long = title(&"é".repeat(200), "Create a script");
        assert!(long.len() <= 120 && long.starts_with('é') && long.ends_with("…: Create a script"), "{long}");
        let test = "x".repeat(118);
        assert_eq!((title("Unix Shell", &test), title("Unix\u{202e}", "a")), (test.clone(), "Unix: a".to_owned()));
    }
}
