//! ATT&CK ids as rules bear them in their tags, and how they are related: sensors tag by technique where a test is about a
//! sub-technique, or by a neighbour of it.

use std::fmt;

/// A technique's id, such as `T1070`, or a sub-technique's, such as `T1070.004`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttackId {
    technique: u16,
    sub: Option<u16>,
}

/// What one id is to another, closest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Relation {
    /// The same id.
    Same,
    /// The technique of which the other is a sub-technique.
    Parent,
    /// A sub-technique of the other.
    SubTechnique,
    /// Another sub-technique of the same technique.
    Sibling,
}

impl fmt::Display for Relation {
    /// In words that stand before the other id: `its parent`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "the same as",
            Self::Parent => "the parent of",
            Self::SubTechnique => "a sub-technique of",
            Self::Sibling => "a sibling of",
        })
    }
}

impl AttackId {
    /// Reads a tag that is an id, as Falco (`T1070.004`) and Sigma (`attack.t1070.004`) write it, in small letters or capitals.
    pub fn of_tag(tag: &str) -> Option<Self> {
        let tag = tag.trim();
        let id = match tag.split_at_checked("attack.".len()) {
            Some((prefix, id)) if prefix.eq_ignore_ascii_case("attack.") => id,
            _ => tag,
        };
        let digits = id.strip_prefix(['T', 't'])?;
        let (technique, sub) = match digits.split_once('.') {
            Some((technique, sub)) => (technique, Some(number(sub, 3)?)),
            None => (digits, None),
        };
        Some(Self { technique: number(technique, 4)?, sub })
    }

    /// Reads what an experiment asks for: an id, also with a star behind it, as in `T1070.004*`.
    pub fn of_query(text: &str) -> Option<Self> {
        let text = text.trim();
        Self::of_tag(text.strip_suffix('*').unwrap_or(text))
    }

    /// What this id is to `other`; nothing where they are of different techniques.
    pub fn relation_to(self, other: Self) -> Option<Relation> {
        (self.technique == other.technique).then_some(match (self.sub, other.sub) {
            (own, others) if own == others => Relation::Same,
            (None, _) => Relation::Parent,
            (_, None) => Relation::SubTechnique,
            _ => Relation::Sibling,
        })
    }
}

impl fmt::Display for AttackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "T{:04}", self.technique)?;
        self.sub.map_or(Ok(()), |sub| write!(f, ".{sub:03}"))
    }
}

fn number(digits: &str, length: usize) -> Option<u16> {
    (digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok())?
}

/// The closest that any of `tags` is to any of the ids that were asked for: the tag's id, what it is, and to which.
pub fn closest<'a>(tags: impl Iterator<Item = &'a str>, asked: &[AttackId]) -> Option<(AttackId, Relation, AttackId)> {
    let of = |tag| asked.iter().filter_map(move |id| Some((tag, AttackId::relation_to(tag, *id)?, *id)));
    tags.filter_map(AttackId::of_tag).flat_map(of).min_by_key(|(_, relation, _)| *relation)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> AttackId {
        AttackId::of_tag(text).unwrap()
    }

    #[test]
    fn tags_of_every_sensor_are_read() {
        for (tag, shown) in [
            ("T1070", "T1070"),
            ("t1070.004", "T1070.004"),
            ("attack.t1070.004", "T1070.004"),
            ("ATTACK.T1003", "T1003"),
        ] {
            assert_eq!(id(tag).to_string(), shown);
        }
        for no in [
            "",
            "T",
            "1070",
            "T107",
            "T10700",
            "T1070.",
            "T1070.4",
            "T1070.0004",
            "attack.",
            "attack.persistence",
            "TA0003",
            "mitre_execution",
            "T1070*",
            "T+070",
            "é1070é.004",
            "attacé.t1070",
        ] {
            assert_eq!(AttackId::of_tag(no), None, "{no}");
        }
        assert_eq!(AttackId::of_query("T1070.004*"), Some(id("T1070.004")));
        assert_eq!(
            (AttackId::of_query("T1070.*"), AttackId::of_query("T10*"), AttackId::of_query("*")),
            (None, None, None)
        );
    }

    #[test]
    fn relations() {
        for (one, other, relation) in [
            ("T1070.004", "T1070.004", Some(Relation::Same)),
            ("T1070", "T1070", Some(Relation::Same)),
            ("T1070", "T1070.004", Some(Relation::Parent)),
            ("T1070.004", "T1070", Some(Relation::SubTechnique)),
            ("T1070.002", "T1070.004", Some(Relation::Sibling)),
            ("T1071.004", "T1070.004", None),
        ] {
            assert_eq!(id(one).relation_to(id(other)), relation, "{one} {other}");
        }
        let tags = ["container", "T1070.002", "T1070", "T1485"];
        let asked = [id("T1070.004"), id("T1059")];
        let (tag, relation, of) = closest(tags.into_iter(), &asked).unwrap();
        assert_eq!(format!("{tag} {relation} {of}"), "T1070 the parent of T1070.004");
        assert_eq!(closest(["T1485"].into_iter(), &asked), None);
    }
}
