//! The programs that the run's processes became, by which an event that says no process id may be told. Pure, no system calls.

use super::super::foreign::Likeness;
use foil_record::Attribution;
use std::collections::HashMap;

/// How far an event may lie behind a program's end: some sensors stamp what they report when they report it.
const ABOUT: u64 = 1_000_000_000;
/// How far a sensor's precise clock and ours may differ.
const SKEW: u64 = 1_000_000;
/// The same for a program of which only the moment is known, so that nothing but the moment speaks for it.
const AT_ONCE: u64 = 100_000_000;
/// Most programs remembered.
const MAX_PROGRAMS: usize = 20_000;
/// The kernel cuts a process's short name at so many bytes.
const COMM: usize = 15;
/// Sensors cut long command lines: one of this length is compared as far as it goes.
const LONG: usize = 1_000;

/// What is known of a program. Empty: not known, since the process was gone before it could be asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Image {
    /// Its paths: as it was started, and what that resolved to.
    pub exes: Vec<String>,
    /// Its arguments, the first being its own word for itself.
    pub argv: Vec<String>,
    /// Its short name.
    pub comm: Option<String>,
    /// The users that it ran as: real, effective, saved, for files.
    pub uids: Vec<u32>,
}

impl Image {
    /// All short names under which a sensor may know it.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let base = |path: &'_ str| -> usize { path.rfind('/').map_or(0, |at| at.saturating_add(1)) };
        let words = self.exes.iter().chain(self.argv.first());
        words.filter_map(move |path| path.get(base(path)..)).chain(self.comm.as_deref())
    }
}

#[derive(Debug)]
struct Program {
    pid: u32,
    from: u64,
    until: Option<u64>,
    /// Processes that are it: forks go on being it when the first has ended.
    living: usize,
    image: Image,
    /// The program of the parent; `None`: the run's init.
    parent: Option<usize>,
}

/// The programs of a run.
#[derive(Debug, Default)]
pub struct Programs {
    list: Vec<Program>,
    by_pid: HashMap<u32, usize>,
    /// The names of the run's init and of Foil's processes above it.
    above: Vec<String>,
    full: bool,
}

impl Programs {
    /// The names under which sensors may know the run's init.
    pub fn above(&mut self, names: Vec<String>) {
        self.above = names;
    }

    /// A process of the run forked, or another's, which is passed over.
    pub fn fork(&mut self, parent: u32, child: u32) {
        match self.by_pid.get(&parent).copied() {
            Some(index) => {
                if let Some(program) = self.list.get_mut(index) {
                    program.living = program.living.saturating_add(1);
                }
                self.by_pid.insert(child, index);
            }
            // An id that is used again is nobody's of ours.
            None => drop(self.by_pid.remove(&child)),
        }
    }

    /// A process of the run became another program.
    pub fn exec(&mut self, pid: u32, at: u64, image: Image) {
        // What it was before is its parent's program, if it was born as that; else both have the same parent.
        let before = self.by_pid.get(&pid).and_then(|index| Some((*index, self.list.get(*index)?)));
        let parent = before.and_then(|(index, program)| if program.pid == pid { program.parent } else { Some(index) });
        self.exit(pid, at);
        self.add(Program { pid, from: at, until: None, living: 1, image, parent });
    }

    /// A process ended.
    pub fn exit(&mut self, pid: u32, at: u64) {
        let Some(program) = self.by_pid.remove(&pid).and_then(|index| self.list.get_mut(index)) else { return };
        program.living = program.living.saturating_sub(1);
        if program.living == 0 {
            program.until = Some(at);
        }
    }

    /// A program that the launcher started and that has ended by now. Fills in what was not known of it.
    pub fn ended(&mut self, pid: u32, from: u64, until: u64, image: Image) {
        let known = self.list.iter_mut().rev().find(|p| p.pid == pid && p.from.abs_diff(from) < ABOUT);
        match known {
            // What it became first was the launcher's program; later ones are their own.
            Some(program) if program.image.argv.is_empty() => {
                program.image = Image { uids: program.image.uids.clone(), ..image }
            }
            Some(_) => {}
            None => self.add(Program { pid, from, until: Some(until), living: 0, image, parent: None }),
        }
    }

    fn add(&mut self, program: Program) {
        if self.list.len() >= MAX_PROGRAMS {
            self.full = true;
            return;
        }
        if program.living > 0 {
            self.by_pid.insert(program.pid, self.list.len());
        }
        self.list.push(program);
    }

    /// Whether what an event says of a process is like one of the run's. `exact`: every program of the run is known.
    pub fn judge(&self, likeness: &Likeness, at: u64, exact: bool) -> Attribution {
        let judged = self.list.iter().filter_map(|program| self.alike(program, likeness, at));
        let best = judged.min().unwrap_or(Attribution::Stranger);
        // Where programs may have been missed, one that is not known may still be the run's.
        if exact && !self.full { best } else { best.min(Attribution::Window) }
    }

    /// Whether a program of the run is like what an event says, whatever the time. Its moment alone says nothing then.
    pub fn has_one_like(&self, likeness: &Likeness) -> bool {
        let alike = |program: &Program| self.alike(program, likeness, program.from) == Some(Attribution::Likeness);
        self.list.iter().any(alike)
    }

    fn alike(&self, program: &Program, likeness: &Likeness, at: u64) -> Option<Attribution> {
        // Not before it was this program: until then Foil's own code ran, or another program of the run's.
        let begun = likeness.grain.latest(at).saturating_add(SKEW) >= program.from;
        let lies_within = |slack: u64| begun && program.until.is_none_or(|until| at <= until.saturating_add(slack));
        let image = &program.image;
        if !lies_within(ABOUT) || !self.parents_agree(program, likeness) {
            return None;
        }
        // `None`: not said, or not known.
        let agree = |said: bool, known: bool, test: &dyn Fn() -> bool| (said && known).then(test);
        let command_line = agree(likeness.command_line.is_some(), !image.argv.is_empty(), &|| {
            likeness.command_line.as_deref().is_some_and(|line| same_command(image, line))
        });
        let exe = agree(likeness.exe.is_some(), !image.exes.is_empty(), &|| {
            likeness.exe.as_ref().is_some_and(|exe| image.exes.contains(exe))
        });
        let name = agree(likeness.name.is_some(), image.names().next().is_some(), &|| {
            likeness.name.as_deref().is_some_and(|name| image.names().any(|own| same_name(own, name)))
        });
        let uid = agree(likeness.uid.is_some(), !image.uids.is_empty(), &|| {
            likeness.uid.is_some_and(|uid| image.uids.contains(&uid))
        });
        if [command_line, exe, name, uid].contains(&Some(false)) {
            return None;
        }
        if command_line.or(exe).is_some() {
            return Some(Attribution::Likeness);
        }
        // Only its moment is known, or its name.
        (name.is_some() || lies_within(AT_ONCE)).then_some(Attribution::Window)
    }

    /// Whether the ancestors that an event names may be this program's. Ours may stand in any place, since others move up when
    /// one between them ends; orphans fall to the run's init, and what is above that is the machine's.
    fn parents_agree(&self, program: &Program, likeness: &Likeness) -> bool {
        if self.above.is_empty() {
            return true;
        }
        let mut ours: Vec<&str> = Vec::new();
        let mut next = program.parent.and_then(|index| self.list.get(index));
        let mut places = 1_usize;
        // A parent was added before its children, so this ends.
        while let Some(parent) = next {
            let before = ours.len();
            ours.extend(parent.image.names());
            if ours.len() == before {
                return true;
            }
            places = places.saturating_add(1);
            next = parent.parent.and_then(|index| self.list.get(index));
        }
        for name in likeness.parents.iter().take(places).flatten() {
            if self.above.iter().any(|own| same_name(own, name)) {
                return true;
            }
            if !ours.iter().any(|own| same_name(own, name)) {
                return false;
            }
        }
        true
    }
}

fn same_name(own: &str, other: &str) -> bool {
    let cut = |name: &'_ str| -> usize { name.floor_char_boundary(COMM) };
    own.get(..cut(own)) == other.get(..cut(other))
}

/// Whether a command line is this program's: its arguments, behind any of its names or paths.
fn same_command(image: &Image, line: &str) -> bool {
    let line = folded(line);
    let arguments = image.argv.get(1..).unwrap_or_default();
    let plain = folded(&arguments.join(" "));
    let quoted = folded(&super::super::audit::parse::shell_join(arguments.iter().map(String::as_bytes)));
    let firsts =
        image.names().chain(image.exes.iter().map(String::as_str)).chain(image.argv.first().map(String::as_str));
    firsts.map(folded).any(|first| {
        // Short names are cut.
        let cut = first.get(..first.floor_char_boundary(COMM)).unwrap_or_default();
        [first.as_str(), cut].iter().any(|first| {
            [&plain, &quoted].iter().any(|arguments| {
                let own = if arguments.is_empty() { (*first).to_owned() } else { format!("{first} {arguments}") };
                own == line || (line.len() >= LONG && own.starts_with(&line))
            })
        })
    })
}

/// One space for whatever is between words: sensors differ in what they make of a line's end and of other control characters.
fn folded(text: &str) -> String {
    let between = |c: char| c.is_whitespace() || c.is_control();
    text.replace(r"\x0a", " ").split(between).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
