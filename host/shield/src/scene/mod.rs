//! What there is in a run's overlay at one moment ([`Scene`]), and what is left of two moments' difference ([`Left`]). Pure:
//! init looks (`init/look`), the host compares.

mod left;
#[cfg(test)]
mod tests;

pub use left::{Left, LeftAccount, LeftFile, LeftListener, LeftMount, LeftProcess};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a run's children have made of the machine that they see. Names are text for people: what is no UTF-8 and control
/// characters are escaped.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scene {
    /// Files that are not as on the machine, by path. Of a removed folder only itself.
    pub files: Vec<File>,
    /// Living processes, without init and its helpers.
    pub processes: Vec<Process>,
    /// Sockets that others can reach.
    pub listeners: Vec<Listener>,
    /// All mounts.
    pub mounts: Vec<Mount>,
    /// All users and groups. No secret is among it. Of `/etc/shadow` see [`passwords`](Self::passwords).
    pub accounts: Vec<Account>,
    /// Whose passwords `/etc/shadow` has, where it is not the machine's file any more. Otherwise it is not read: to read it is what
    /// sensors watch for.
    pub passwords: Option<Passwords>,
    /// There is more than was looked at: a bound was met.
    pub more: bool,
}

/// What became of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// It was not there.
    Made,
    /// It was, and is another.
    Changed,
    /// It is not there any more.
    Removed,
}

/// What kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FileKind {
    /// With content.
    File,
    /// A folder.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A named pipe.
    Fifo,
    /// A Unix socket.
    Socket,
    /// A device node.
    Device,
}

/// A file that is not as on the machine; what it was, where it was removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Where.
    pub path: String,
    /// Compared with the machine's.
    pub change: Change,
    /// What it is.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Bytes; 0 for a directory.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i128,
    /// Inode.
    pub ino: u64,
    /// SHA-256 of the content (of the target for a symlink), access list and file capabilities. Where that could not be
    /// read, inode and times. Empty for other kinds, and where it was removed.
    pub content: String,
}

/// A process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// As the run sees it.
    pub pid: i32,
    /// 1 is the run's init, to which orphans fall.
    pub parent: i32,
    /// Ticks after boot.
    pub start: u64,
    /// Its command line.
    pub command: String,
}

/// A listening socket; for UDP, one that is bound and not connected.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Listener {
    /// `tcp`, `tcp6`, `udp`, `udp6` or `unix`.
    pub protocol: String,
    /// Address and port; for `unix` a path, or a name that begins with `@`.
    pub address: String,
}

/// A mount.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mount {
    /// The kernel's number of it.
    pub id: u64,
    /// Where.
    pub point: String,
    /// The file system, such as `tmpfs`.
    pub kind: String,
}

/// Whose passwords there are, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Passwords {
    /// In the machine's own list.
    pub machine: Vec<String>,
    /// In the list as children see it.
    pub now: Vec<String>,
}

/// In which list an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum AccountKind {
    /// `/etc/passwd`.
    User,
    /// `/etc/group`.
    Group,
    /// `/etc/shadow`.
    Password,
}

/// A line of a list of accounts, without what may be secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Account {
    /// Which list.
    pub kind: AccountKind,
    /// Whose.
    pub name: String,
    /// Its other fields but the password; empty for a line of `/etc/shadow`.
    pub fields: String,
}
