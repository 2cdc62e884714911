//! Two moments compared, and the difference in words.

use super::{Account, AccountKind, Change, File, FileKind, Scene};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::hash::Hash;

/// What is left behind since an earlier moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct Left {
    /// Files, by path.
    pub files: Vec<LeftFile>,
    /// Processes that live.
    pub processes: Vec<LeftProcess>,
    /// Sockets that listen.
    pub listeners: Vec<LeftListener>,
    /// Mounts made or taken away.
    pub mounts: Vec<LeftMount>,
    /// Users and groups.
    pub users: Vec<LeftAccount>,
    /// There may be more: a bound was met at one of the two moments.
    pub more: bool,
}

/// A file that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LeftFile {
    /// What became of it.
    pub change: Change,
    /// Where.
    pub path: String,
    /// What it is, or was.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes.
    pub size: u64,
    /// It tells cron what to do.
    pub cron: bool,
}

/// A process that lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LeftProcess {
    /// As the run sees it.
    pub pid: i32,
    /// 1 is the run's init, to which orphans fall.
    pub parent: i32,
    /// Its command line.
    pub command: String,
}

/// A socket that listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LeftListener {
    /// `tcp`, `tcp6`, `udp`, `udp6` or `unix`.
    pub protocol: String,
    /// Address and port, or a Unix socket's name.
    pub address: String,
}

/// A mount that was made or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LeftMount {
    /// Which of the two.
    pub change: Change,
    /// Where.
    pub point: String,
    /// The file system.
    pub kind: String,
}

/// A user, group or password that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub struct LeftAccount {
    /// What became of it.
    pub change: Change,
    /// Which list it stands in.
    pub kind: AccountKind,
    /// Whose.
    pub name: String,
}

impl Scene {
    /// What is here and was not `before`. What is again as on the machine is not left, nor what was made before and is gone;
    /// neither are processes and listeners that ended.
    pub fn left(&self, before: &Self) -> Left {
        let known: HashSet<_> = before.processes.iter().map(|process| (process.pid, process.start)).collect();
        let fresh = self.processes.iter().filter(|process| !known.contains(&(process.pid, process.start)));
        Left {
            files: self.left_files(before),
            processes: fresh
                .map(|process| LeftProcess {
                    pid: process.pid,
                    parent: process.parent,
                    command: process.command.clone(),
                })
                .collect(),
            listeners: new(&self.listeners, &before.listeners)
                .map(|listener| LeftListener { protocol: listener.protocol.clone(), address: listener.address.clone() })
                .collect(),
            mounts: self.left_mounts(before),
            users: self.left_accounts(before),
            more: self.more || before.more,
        }
    }

    fn left_files(&self, before: &Self) -> Vec<LeftFile> {
        let known: HashSet<_> = before.files.iter().map(state).collect();
        let earlier: HashMap<_, _> = before.files.iter().map(|file| (&*file.path, file.change)).collect();
        let mut left: Vec<_> = (self.files.iter().filter(|file| !known.contains(&state(file))))
            .map(|file| {
                let change = match (earlier.get(&*file.path), file.change) {
                    (None, change) => change,
                    (Some(_), Change::Removed) => Change::Removed,
                    (Some(Change::Removed), _) => Change::Made,
                    (Some(_), _) => Change::Changed,
                };
                LeftFile::new(file, change)
            })
            .collect();
        left.sort_by(|a, b| a.path.cmp(&b.path));
        left
    }

    fn left_mounts(&self, before: &Self) -> Vec<LeftMount> {
        let told = |change| {
            move |mount: &super::Mount| LeftMount { change, point: mount.point.clone(), kind: mount.kind.clone() }
        };
        let made = new(&self.mounts, &before.mounts).map(told(Change::Made));
        made.chain(new(&before.mounts, &self.mounts).map(told(Change::Removed))).collect()
    }

    fn left_accounts(&self, before: &Self) -> Vec<LeftAccount> {
        let named = |accounts: &[Account]| accounts.iter().map(|a| (a.kind, a.name.clone())).collect::<HashSet<_>>();
        let told = |other: HashSet<(AccountKind, String)>, change| {
            move |account: &Account| {
                let there = other.contains(&(account.kind, account.name.clone()));
                let change = if there { Change::Changed } else { change };
                LeftAccount { change, kind: account.kind, name: account.name.clone() }
            }
        };
        let made = new(&self.accounts, &before.accounts).map(told(named(&before.accounts), Change::Made));
        let gone = new(&before.accounts, &self.accounts).map(told(named(&self.accounts), Change::Removed));
        let mut left: Vec<LeftAccount> = made.collect();
        // A changed line is in both.
        left.extend(gone.filter(|account| account.change == Change::Removed));
        left.extend(self.left_passwords(before));
        left
    }

    fn left_passwords(&self, before: &Self) -> Vec<LeftAccount> {
        // At a moment at which the list was the machine's, its names were those that the other moment says of the machine's.
        let names = |scene: &Self, other: &Self| match (&scene.passwords, &other.passwords) {
            (Some(own), _) => own.now.clone(),
            (None, Some(other)) => other.machine.clone(),
            (None, None) => Vec::new(),
        };
        let (now, was) = (names(self, before), names(before, self));
        let told =
            |change| move |name: &String| LeftAccount { change, kind: AccountKind::Password, name: name.clone() };
        let made = new(&now, &was).map(told(Change::Made));
        made.chain(new(&was, &now).map(told(Change::Removed))).collect()
    }
}

/// What is in `now` only.
fn new<'a, T: Eq + Hash>(now: &'a [T], before: &'a [T]) -> impl Iterator<Item = &'a T> {
    let known: HashSet<_> = before.iter().collect();
    now.iter().filter(move |item| !known.contains(item))
}

/// What a file must share with an earlier one to be the same still: not its times, nor its inode, which editing back leaves.
fn state(file: &File) -> impl Eq + Hash + '_ {
    (&*file.path, file.change, file.kind, (file.mode, file.uid, file.gid), file.size, &*file.content)
}

impl LeftFile {
    fn new(file: &File, change: Change) -> Self {
        let File { path, kind, mode, uid, gid, size, .. } = file.clone();
        let cron = kind != FileKind::Directory && is_cron(&path);
        Self { change, path, kind, mode, uid, gid, size, cron }
    }
}

/// Does cron read it? `/etc/cron.allow` and `/etc/cron.deny` are lists of users.
fn is_cron(path: &str) -> bool {
    let in_etc = path.strip_prefix("/etc/cron.").is_some_and(|rest| rest.contains('/'));
    in_etc || matches!(path, "/etc/crontab" | "/etc/anacrontab") || path.starts_with("/var/spool/cron/")
}

impl Left {
    /// Nothing was found. Where [`more`](Self::more), that proves nothing.
    pub fn is_empty(&self) -> bool {
        self.lines().next().is_none()
    }

    /// A line for each.
    pub fn lines(&self) -> impl Iterator<Item = String> + '_ {
        let files = self.files.iter().map(ToString::to_string);
        let processes = self.processes.iter().map(ToString::to_string);
        let listeners = self.listeners.iter().map(ToString::to_string);
        let mounts = self.mounts.iter().map(ToString::to_string);
        files.chain(processes).chain(listeners).chain(mounts).chain(self.users.iter().map(ToString::to_string))
    }
}

impl fmt::Display for LeftFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.change {
            Change::Made if self.cron => "added",
            Change::Made => "made",
            Change::Changed => "changed",
            Change::Removed => "removed",
        };
        write!(f, "{verb} {}{}", if self.cron { "the cron job " } else { "" }, self.path)
    }
}

impl fmt::Display for LeftProcess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} `{}`", self.pid, self.command)
    }
}

impl fmt::Display for LeftListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listens on {} {}", self.protocol, self.address)
    }
}

impl fmt::Display for LeftMount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            Change::Removed => write!(f, "unmounted {} from {}", self.kind, self.point),
            Change::Made | Change::Changed => write!(f, "mounted {} on {}", self.kind, self.point),
        }
    }
}

impl fmt::Display for LeftAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.change {
            Change::Made => "added",
            Change::Changed => "changed",
            Change::Removed => "removed",
        };
        let what = match self.kind {
            AccountKind::User => "user",
            AccountKind::Group => "group",
            AccountKind::Password => "password of",
        };
        write!(f, "{verb} the {what} {}", self.name)
    }
}
