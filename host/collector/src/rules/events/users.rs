//! User names, as `/etc/passwd` has them. Not by the name service, which may ask a server and wait.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::OnceLock;

/// Most bytes of the file that are read.
const MOST: u64 = 4 << 20;

/// The name of a user, if the machine's own file has it. Read once.
pub(super) fn name(uid: &str) -> Option<&'static str> {
    static NAMES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    NAMES.get_or_init(read).get(uid).map(String::as_str)
}

fn read() -> BTreeMap<String, String> {
    let mut bytes = Vec::new();
    // Without the file, users are known by number only.
    let _ = std::fs::File::open("/etc/passwd").map(|file| file.take(MOST).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    let entry = |line: &str| {
        let mut parts = line.split(':');
        let (name, _, uid) = (parts.next()?, parts.next()?, parts.next()?);
        Some((uid.to_owned(), name.to_owned()))
    };
    // The first of several names of a user is the one that tools print.
    let mut names = BTreeMap::new();
    for (uid, name) in text.lines().filter_map(entry) {
        names.entry(uid).or_insert(name);
    }
    names
}
