//! Foil's own processes, by what a sensor says of them: the host, the launcher, an init and what it forks, until that executes
//! another program.

use super::super::Recorded;
use super::Image;
use foil_shield::{EFFECT_NAME, INIT_NAME, LAUNCHER_ARGUMENT, LAUNCHER_NAME};

/// What an event says of the program of the process that it is about.
#[derive(Debug, Clone, Copy, Default)]
pub struct Actor<'a> {
    pub name: Option<&'a str>,
    pub exe: Option<&'a str>,
    pub command_line: Option<&'a str>,
}

impl<'a> Actor<'a> {
    /// The kernel's audit says it in its own fields, a foreign sensor in those that were read already.
    pub fn of(event: &'a Recorded) -> Self {
        if let Some(likeness) = event.likeness.as_deref() {
            return Self {
                name: likeness.name.as_deref(),
                exe: likeness.exe.as_deref(),
                command_line: likeness.command_line.as_deref(),
            };
        }
        let field = |name: &str| event.fields.get(name).map(String::as_str);
        // Not `proctitle`: the kernel keeps that of the first event of a process, and tells it of the program that it executed later.
        Self { name: field("comm"), exe: field("exe"), command_line: None }
    }

    /// Whether it bears the name or the command line of a process of Foil's that has executed nothing since.
    pub fn title(&self) -> Option<Title> {
        match self.name {
            Some(EFFECT_NAME) => return Some(Title::Effect),
            Some(INIT_NAME | LAUNCHER_NAME) => return Some(Title::SetUp),
            _ => {}
        }
        let mut words = self.command_line?.split_ascii_whitespace().skip(1);
        let launcher = words.next() == Some(LAUNCHER_ARGUMENT) && words.next().is_none();
        launcher.then_some(Title::SetUp)
    }
}

/// Whose title a process bears.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Title {
    /// The launcher, an init, or a process of an init that executed nothing. A sensor that reads names only when a process is made
    /// says so of one that performs a file effect, too.
    SetUp,
    /// A process that performs a file effect.
    Effect,
}

/// Foil's processes above the run's init.
#[derive(Debug, Default)]
pub struct Own {
    launcher: Option<u32>,
    images: Vec<Image>,
}

impl Own {
    /// Takes in what the host, the launcher and the init are.
    pub fn know(&mut self, launcher: u32, images: Vec<Image>) {
        // 0: it could not be asked. 1: an init whose launcher is gone.
        self.launcher = (launcher > 1).then_some(launcher);
        self.images = images;
    }

    /// The host, or its launcher.
    pub fn is(&self, pid: u32) -> bool {
        pid == std::process::id() || self.launcher == Some(pid)
    }

    /// Whether an event is about Foil's program, by its path, or by its name where nothing else is said.
    pub fn looks_like(&self, actor: &Actor<'_>) -> bool {
        if let Some(exe) = actor.exe {
            return self.images.iter().any(|image| image.exes.iter().any(|own| own == exe));
        }
        let named = |name: &str| self.images.iter().any(|image| image.comm.as_deref() == Some(name));
        actor.command_line.is_none() && actor.name.is_some_and(named)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Own {
        let image = |exe: &str, comm: &str| Image {
            exes: vec![exe.to_owned()],
            comm: Some(comm.to_owned()),
            ..Image::default()
        };
        let mut own = Own::default();
        own.know(77, vec![image("/opt/foil", "foil"), image("/opt/foil", "foil-launcher")]);
        own
    }

    #[test]
    fn foils_processes_bear_its_titles_until_they_execute() {
        let title = |name, command_line| Actor { name, command_line, exe: None }.title();
        assert_eq!(title(Some("foil-init"), None), Some(Title::SetUp));
        assert_eq!(title(Some("foil-launcher"), Some("foil-launcher __launcher")), Some(Title::SetUp));
        assert_eq!(title(Some("exe"), Some("/proc/self/exe __launcher")), Some(Title::SetUp));
        assert_eq!(title(Some("foil-effect"), Some("foil-init __launcher")), Some(Title::Effect));
        // Programs of a technique that are called alike.
        assert_eq!(title(Some("foil-01m8h71w4y"), Some("foil-01m8h71w4y")), None);
        assert_eq!(title(Some("bash"), Some("bash -c __launcher")), None);
        assert_eq!(title(Some("cat"), Some("cat __launcher x")), None);
        assert_eq!(title(None, None), None);
    }

    #[test]
    fn foils_program_is_known_by_its_path_and_by_its_name_alone() {
        let own = own();
        let looks = |name, exe, command_line| own.looks_like(&Actor { name, exe, command_line });
        assert!(looks(None, Some("/opt/foil"), None) && looks(Some("foil"), None, None));
        assert!(!looks(Some("foil"), Some("/usr/bin/foil"), None) && !looks(Some("foil"), None, Some("foil --help")));
        assert!(!looks(None, None, None) && !looks(Some("foil-x"), None, None));
        assert!(own.is(77) && own.is(std::process::id()) && !own.is(78));
    }
}
