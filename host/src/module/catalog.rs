//! All modules that this invocation knows: the built-in pack, and `*.wasm` and imported tests in folders that the operator named.

use super::pack::{Builtin, listed};
use super::{LoadError, Module, Origin, load_file, script};
use foil_manifest::{AttackId, Kind, attack};
use foil_text::{Shown as _, glob};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How many files are looked at in one folder of modules. More is a wrong folder.
const MAX_FILES: usize = 10_000;

/// Something in a folder of modules that could not be used. The other modules are there all the same.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A file was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A folder could not be listed.
    #[error("cannot list the folder of modules {}: {error}", folder.shown())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// Two modules claim one name. A built-in one keeps it; of two files neither is used, since a name that
    /// the order of files decides is no name.
    #[error("duplicate id: `{name}` is claimed by {first} and by {second}; rename one, or take it out of its folder")]
    Duplicate {
        /// The id or alias.
        name: String,
        /// One claimant.
        first: String,
        /// The other.
        second: String,
    },
}

impl Problem {
    /// The rule's stable name.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Load(error) => error.code(),
            Self::Folder { .. } => "unreadable",
            Self::Duplicate { .. } => "duplicate-id",
        }
    }
}

/// No module can be had by that name.
#[derive(Debug, thiserror::Error)]
pub enum NotFound {
    /// Neither an id, an alias nor a file.
    #[error("no module is called `{name}`{hint}; `foil list` shows all")]
    Unknown {
        /// What was asked for.
        name: String,
        /// The nearest id, in words, or nothing.
        hint: String,
    },
    /// Two files claim it.
    #[error("{0}")]
    Duplicate(String),
    /// The file of that name was refused.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Which modules to list. Every field that is set must hold.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Techniques or checks only.
    pub kind: Option<Kind>,
    /// The first part of the id.
    pub platform: Option<String>,
    /// This ATT&CK id or one of its sub-techniques.
    pub attack: Option<AttackId>,
    /// Of this origin.
    pub origin: Option<Origin>,
    /// With a technique of one of these tactics, by their short names.
    pub tactics: Option<Vec<&'static str>>,
    /// With each of these in its id, title, aliases, or ATT&CK ids and names; one with a `*` is a pattern of the whole of one of them.
    /// In lower case.
    pub words: Vec<String>,
}

impl Filter {
    /// Whether a module is to be listed.
    pub fn admits(&self, module: &Module) -> bool {
        let manifest = &module.manifest;
        self.kind.is_none_or(|kind| kind == manifest.kind)
            && self.platform.as_deref().is_none_or(|platform| platform == manifest.id.platform())
            && self.attack.as_ref().is_none_or(|wanted| manifest.attack.iter().any(|id| id.is_within(wanted)))
            && self.origin.is_none_or(|origin| origin == module.source.origin())
            && self.tactics.as_ref().is_none_or(|wanted| {
                let mut of = manifest.attack.iter().flat_map(|id| attack::tactics(id.as_str()));
                of.any(|tactic| wanted.contains(tactic))
            })
            && self.has_words(module)
    }

    fn has_words(&self, module: &Module) -> bool {
        if self.words.is_empty() {
            return true;
        }
        let manifest = &module.manifest;
        let attack = manifest.attack.iter().map(|id| [id.as_str(), attack::name(id.as_str()).unwrap_or_default()]);
        let texts = names(module).chain([manifest.title.as_str()]).chain(attack.flatten());
        let texts: Vec<String> = texts.map(str::to_lowercase).collect();
        let has = |text: &String, word: &String| match word.contains('*') {
            true => glob::matches(word, text),
            false => text.contains(word.as_str()),
        };
        self.words.iter().all(|word| texts.iter().any(|text| has(text, word)))
    }
}

/// The built-in modules and those of the folders given. A file is loaded when its module, or a list, is asked for.
#[derive(Debug, Default)]
pub struct Catalog {
    files: BTreeSet<PathBuf>,
    unlisted: Vec<Problem>,
    loaded: OnceLock<Loaded>,
    /// Imported tests that were found by the names of their files.
    named: Mutex<BTreeMap<PathBuf, Module>>,
}

/// What the files hold.
#[derive(Debug, Default)]
struct Loaded {
    modules: Vec<Module>,
    problems: Vec<Problem>,
}

impl Catalog {
    /// Lists `*.wasm` and `atomic.*.json` of the folders; the built-in modules are there anyway, and cost nothing until they are asked for.
    pub fn open(folders: &[PathBuf]) -> Self {
        let mut catalog = Self::default();
        for folder in folders {
            match module_files(folder) {
                Ok(found) => catalog.files.extend(found),
                Err(error) => catalog.unlisted.push(Problem::Folder { folder: folder.clone(), error }),
            }
        }
        catalog
    }

    fn loaded(&self) -> &Loaded {
        self.loaded.get_or_init(|| {
            let mut loaded = Loaded::default();
            for file in &self.files {
                match load_file(file) {
                    Ok(module) => loaded.modules.push(module),
                    Err(error) => loaded.problems.push(error.into()),
                }
            }
            loaded.drop_duplicates();
            loaded
        })
    }

    /// What could not be used. Loads every file.
    pub fn problems(&self) -> impl Iterator<Item = &Problem> {
        self.unlisted.iter().chain(&self.loaded().problems)
    }

    /// What could not be used of the files that were loaded so far.
    pub fn known_problems(&self) -> impl Iterator<Item = &Problem> {
        self.unlisted.iter().chain(self.loaded.get().into_iter().flat_map(|loaded| &loaded.problems))
    }

    /// All modules that the filter admits, by id.
    pub fn modules(&self, filter: &Filter) -> Vec<Module> {
        let builtin =
            listed().filter(|_| filter.origin.is_none_or(|origin| origin == Origin::Builtin)).map(Builtin::module);
        let mut all: Vec<_> =
            builtin.chain(self.loaded().modules.iter().cloned()).filter(|m| filter.admits(m)).collect();
        all.sort_by(|a, b| a.manifest.id.cmp(&b.manifest.id));
        all
    }

    /// Finds a module by id, by alias, or by the path of a file (which has a `/` in it or ends in `.wasm` or `.json`). An imported test
    /// that is in the file of its name is found by that alone; else every file is loaded.
    pub fn find(&self, name: &str) -> Result<Module, NotFound> {
        if name.contains('/') || name.ends_with(".wasm") || name.ends_with(".json") {
            return Ok(load_file(Path::new(name))?);
        }
        if let Some(builtin) = listed().find(|b| b.id == name || b.aliases.contains(&name)) {
            return Ok(builtin.module());
        }
        if let Some(module) = self.named(name) {
            return Ok(module);
        }
        if let Some(module) = self.loaded().modules.iter().find(|m| names(m).any(|n| n == name)) {
            return Ok(module.clone());
        }
        let claimed = |p: &&Problem| matches!(p, Problem::Duplicate { name: claimed, .. } if claimed == name);
        if let Some(problem) = self.problems().find(claimed) {
            return Err(NotFound::Duplicate(problem.to_string()));
        }
        Err(NotFound::Unknown { name: name.shown(), hint: self.hint(name) })
    }

    /// The imported test in the one file that is named after it. Where several folders have such a file, none is preferred.
    fn named(&self, name: &str) -> Option<Module> {
        let file = format!("{name}.json");
        let mut files = self.files.iter().filter(|path| path.file_name().is_some_and(|found| *found == *file));
        let (path, None) = (files.next()?, files.next()) else { return None };
        if !script::is_script(path) {
            return None;
        }
        let mut known = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(module) = known.get(path) {
            return Some(module.clone());
        }
        let module = load_file(path).ok().filter(|module| module.id() == name)?;
        known.insert(path.clone(), module.clone());
        Some(module)
    }

    fn hint(&self, name: &str) -> String {
        let outside = &self.loaded().modules;
        let ids = || listed().map(|b| b.id).chain(outside.iter().map(Module::id));
        let near = match self.of_attack(name) {
            Some(near) => near,
            // What the platform was left out of: `shadow-read`.
            None if !name.contains('.') => {
                let ends = ids().filter_map(|id| id.split_once('.').map(|(_, end)| end));
                let whole = foil_text::suggest::nearest(name, ends)
                    .and_then(|end| ids().find(|id| id.split_once('.').is_some_and(|(_, own)| own == end)));
                foil_text::suggest::hint(whole.unwrap_or(name), ids())
            }
            None if self.files.is_empty() && self.unlisted.is_empty() => {
                foil_text::suggest::hint(name, ids()) + " (those of other folders are named by `--modules`)"
            }
            None => foil_text::suggest::hint(name, ids()),
        };
        match self.problems().count() {
            0 => near,
            n => format!("{near} ({n} in the folders of modules could not be used)"),
        }
    }

    /// Where the name is that of a technique of ATT&CK: which modules have it.
    fn of_attack(&self, name: &str) -> Option<String> {
        let asked = name.to_ascii_uppercase();
        let now = attack::moved(&asked).unwrap_or(&asked);
        let called = attack::name(now)?;
        let filter = Filter {
            attack: Some(AttackId::try_from(now.to_owned()).ok()?),
            kind: Some(Kind::Technique),
            ..Filter::default()
        };
        let modules = self.modules(&filter);
        let ids: Vec<String> = modules.iter().take(5).map(|module| format!("`{}`", module.id())).collect();
        Some(match (ids.is_empty(), modules.len() > ids.len()) {
            (true, _) => format!(" ({now} is a technique of ATT&CK, {called}, which no module has)"),
            (_, more) => format!(
                " ({now} is a technique of ATT&CK, {called}, which {}{} {})",
                ids.join(", "),
                if more { " and others" } else { "" },
                if modules.len() == 1 { "has" } else { "have" }
            ),
        })
    }
}

impl Loaded {
    /// Takes out every file whose id or alias somebody else claims too.
    fn drop_duplicates(&mut self) {
        let mut claims: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, module) in self.modules.iter().enumerate() {
            for name in names(module) {
                claims.entry(name).or_default().push(index);
            }
        }
        let mut dropped: BTreeSet<usize> = BTreeSet::new();
        let mut problems = Vec::new();
        let claimant = |index: usize| self.modules.get(index).map(describe).unwrap_or_default();
        for (name, claimants) in &claims {
            let builtin = listed().find(|b| b.id == *name || b.aliases.contains(name));
            let first = match (builtin, claimants.as_slice()) {
                (Some(builtin), _) => format!("the built-in {}", builtin.id),
                (None, [first, _, ..]) => claimant(*first),
                (None, _) => continue,
            };
            let others = if builtin.is_some() { claimants.as_slice() } else { claimants.get(1..).unwrap_or_default() };
            for index in others {
                problems.push(Problem::Duplicate {
                    name: (*name).to_owned(),
                    first: first.clone(),
                    second: claimant(*index),
                });
            }
            dropped.extend(claimants);
        }
        let mut index = 0..;
        self.modules.retain(|_| index.next().is_some_and(|i: usize| !dropped.contains(&i)));
        self.problems.extend(problems);
    }
}

fn names(module: &Module) -> impl Iterator<Item = &str> {
    std::iter::once(module.id()).chain(module.manifest.aliases.iter().map(String::as_str))
}

fn describe(module: &Module) -> String {
    format!("{} ({})", module.id(), module.source)
}

/// `*.wasm` directly in a folder.
fn module_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (count, entry) in std::fs::read_dir(folder)?.enumerate() {
        if count >= MAX_FILES {
            return Err(std::io::Error::other(format!("it has more than {MAX_FILES} entries")));
        }
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "wasm") || script::is_script(&path) {
            files.push(path);
        }
    }
    Ok(files)
}
