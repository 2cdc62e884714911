//! The ATT&CK list that ids are checked against: id, name and tactics (MITRE ATT&CK for Enterprise, see NOTICE).

use std::collections::BTreeMap;
use std::sync::LazyLock;

static LIST: LazyLock<BTreeMap<&'static str, (String, Vec<&'static str>)>> =
    LazyLock::new(|| include_str!("../data/attack.csv").lines().skip(1).filter_map(row).collect());

/// `id,name,tactics`; the name is quoted where it has a comma; tactics are separated by spaces.
fn row(line: &'static str) -> Option<(&'static str, (String, Vec<&'static str>))> {
    let (id, rest) = line.split_once(',')?;
    let (name, tactics) = rest.rsplit_once(',')?;
    Some((id, (name.trim_matches('"').to_owned(), tactics.split_whitespace().collect())))
}

/// The technique's name, or nothing where the id is not in the list.
pub fn name(id: &str) -> Option<&'static str> {
    LIST.get(id).map(|(name, _)| name.as_str())
}

/// The technique's tactics by their short names, such as `defense-impairment`; empty where the id is not in the list.
pub fn tactics(id: &str) -> &'static [&'static str] {
    LIST.get(id).map_or(&[], |(_, tactics)| tactics)
}

#[cfg(test)]
mod tests {
    #[test]
    fn quoted_names_and_many_tactics_are_read() {
        assert_eq!(
            super::name("T1003.008"),
            Some("OS Credential Dumping: /etc/passwd, /etc/master.passwd and /etc/shadow")
        );
        assert_eq!(super::tactics("T1053.003"), ["execution", "persistence", "privilege-escalation"]);
        assert!(super::name("id").is_none());
    }
}
