//! What Foil knows of ATT&CK for Enterprise (MITRE, see NOTICE): its techniques, which ids are checked against, its tactics, and what
//! became of ids that it had once. CONTRIBUTING.md says how the data is brought up to date.

use foil_text::{QUOTE, visible};
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// First the version, then a header, then `id,name,tactics`: the name is quoted where it has a comma, tactics are separated by spaces.
const TECHNIQUES: &str = include_str!("../data/attack.csv");
const TACTICS: &str = include_str!("../data/attack-tactics.csv");
const MOVED: &str = include_str!("../data/attack-moved.csv");

/// How the first line begins; a version and a full stop follow.
const TITLE: &str = "# MITRE ATT&CK for Enterprise ";

static LIST: LazyLock<BTreeMap<&'static str, (String, Vec<&'static str>)>> =
    LazyLock::new(|| TECHNIQUES.lines().skip(2).filter_map(row).collect());

static ALL_TACTICS: LazyLock<Vec<Tactic>> = LazyLock::new(|| TACTICS.lines().skip(1).filter_map(tactic).collect());

static ALL_MOVED: LazyLock<BTreeMap<&'static str, &'static str>> =
    LazyLock::new(|| MOVED.lines().skip(1).filter_map(|line| line.split_once(',')).collect());

fn row(line: &'static str) -> Option<(&'static str, (String, Vec<&'static str>))> {
    let (id, rest) = line.split_once(',')?;
    let (name, tactics) = rest.rsplit_once(',')?;
    Some((id, (name.trim_matches('"').to_owned(), tactics.split_whitespace().collect())))
}

/// A tactic of ATT&CK.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tactic {
    /// `TA0112`.
    pub id: &'static str,
    /// Its short name, such as `defense-impairment`.
    pub short: &'static str,
    /// `Defense Impairment`.
    pub name: &'static str,
    /// What an earlier version of ATT&CK called it, or that of which it is a part now; empty where that is the same.
    pub formerly: &'static str,
}

fn tactic(line: &'static str) -> Option<Tactic> {
    let mut cells = line.split(',');
    Some(Tactic { id: cells.next()?, short: cells.next()?, name: cells.next()?, formerly: cells.next()? })
}

/// The version of ATT&CK, such as `19`.
pub fn version() -> &'static str {
    let title = TECHNIQUES.lines().next().and_then(|line| line.strip_prefix(TITLE));
    title.and_then(|rest| rest.split(". ").next()).unwrap_or_default()
}

/// The technique's name, or nothing where the id is not in the list.
pub fn name(id: &str) -> Option<&'static str> {
    LIST.get(id).map(|(name, _)| name.as_str())
}

/// The technique's tactics by their short names, such as `defense-impairment`; empty where the id is not in the list.
pub fn tactics(id: &str) -> &'static [&'static str] {
    LIST.get(id).map_or(&[], |(_, tactics)| tactics)
}

/// The ids of all techniques and sub-techniques, sorted.
pub fn ids() -> impl Iterator<Item = &'static str> {
    LIST.keys().copied()
}

/// The sub-techniques of a technique, sorted.
pub fn subtechniques(id: &str) -> impl Iterator<Item = &'static str> {
    ids().filter(move |other| other.strip_prefix(id).is_some_and(|rest| rest.starts_with('.')))
}

/// All tactics, in ATT&CK's order.
pub fn all_tactics() -> &'static [Tactic] {
    &ALL_TACTICS
}

/// Returns the tactics that are called so: by id, short name or name, in any case. A name that ATT&CK gave up may stand for several.
pub fn tactics_called(name: &str) -> Vec<&'static Tactic> {
    let plain = |text: &str| text.trim().to_lowercase().replace(['-', '_'], " ");
    let wanted = plain(name);
    let called = |names: fn(&Tactic) -> Vec<&'static str>| -> Vec<&'static Tactic> {
        all_tactics().iter().filter(|tactic| names(tactic).into_iter().any(|name| plain(name) == wanted)).collect()
    };
    let now = called(|tactic| vec![tactic.id, tactic.short, tactic.name]);
    if now.is_empty() && !wanted.is_empty() { called(|tactic| vec![tactic.formerly]) } else { now }
}

/// What an id that ATT&CK revoked is now.
pub fn moved(id: &str) -> Option<&'static str> {
    ALL_MOVED.get(id).copied()
}

/// Says that there is no such technique, and what it is now if ATT&CK revoked it.
pub fn unknown(id: &str) -> String {
    let instead = match moved(id) {
        Some(now) => format!("it is {now} ({}) now", name(now).unwrap_or_default()),
        None => "write an id such as T1059.004".to_owned(),
    };
    format!("`{}` is not in ATT&CK {}: {instead}", visible(id, QUOTE), version())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_names_and_many_tactics_are_read() {
        assert_eq!(name("T1003.008"), Some("OS Credential Dumping: /etc/passwd, /etc/master.passwd and /etc/shadow"));
        assert_eq!(tactics("T1053.003"), ["execution", "persistence", "privilege-escalation"]);
        assert_eq!(tactics("T1001"), ["command-and-control"], "the first row");
        assert!(name("id").is_none());
    }

    #[test]
    fn the_data_says_of_which_version_it_is_and_agrees_with_itself() {
        assert!(version().starts_with(|c: char| c.is_ascii_digit()), "{}", version());
        let known: Vec<&str> = all_tactics().iter().map(|tactic| tactic.short).collect();
        assert!(ids().count() > 600);
        for id in ids() {
            assert!(!tactics(id).is_empty() && tactics(id).iter().all(|tactic| known.contains(tactic)), "{id}");
            assert!(moved(id).is_none(), "{id} is in the list, and said to be revoked");
        }
        for (old, new) in ALL_MOVED.iter() {
            assert!(name(new).is_some(), "{old} is said to be {new}, which is not in the list");
        }
        assert!(all_tactics().iter().all(|tactic| tactics_called(tactic.id) == [tactic]));
    }

    #[test]
    fn a_tactic_has_many_names_and_a_former_one_stands_for_all_that_it_became() {
        let ids = |name: &str| tactics_called(name).iter().map(|tactic| tactic.id).collect::<Vec<_>>();
        for name in ["TA0005", "ta0005", "stealth", "Stealth"] {
            assert_eq!(ids(name), ["TA0005"], "{name}");
        }
        assert_eq!(ids("command_and_control"), ["TA0011"]);
        for name in ["defense-evasion", "Defense Evasion", " DEFENSE EVASION "] {
            assert_eq!(ids(name), ["TA0005", "TA0112"], "{name}");
        }
        assert!(ids("").is_empty() && ids("evasion").is_empty());
    }

    #[test]
    fn a_technique_knows_its_parts_and_what_it_was() {
        assert_eq!(subtechniques("T1053").next(), Some("T1053.002"));
        assert_eq!(subtechniques("T1053.003").count(), 0);
        assert_eq!(moved("T1070.002"), Some("T1685.006"));
    }
}
