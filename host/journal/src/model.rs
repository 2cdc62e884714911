//! What the journal holds.

use super::family::{Families, FamilyUndo};
use foil_safe_path::Fingerprint;
use foil_text::RunId;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value};

/// How to reverse an effect: data, never guest code.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, remote = "Self")]
pub enum Undo {
    /// Nothing to do: it was in the run's overlay, which vanished with its namespace.
    Vanished {
        /// The path as the run saw it.
        path: String,
    },
    /// Give a file its pre-image back, unless somebody else changed it meanwhile.
    RestoreFile {
        /// Absolute.
        path: String,
        /// What it was; its content, owner, times and attributes are in the journal's pre-images.
        before: Fingerprint,
        /// The pre-image's row.
        preimage: i64,
        /// What the effect was to leave there.
        after: After,
    },
    /// Remove a file or an empty directory that the run made.
    Remove {
        /// Absolute.
        path: String,
        /// It was a directory.
        directory: bool,
        /// The row with the content that the run was to write; `None` for a directory.
        content: Option<i64>,
    },
    /// Remove the run's scratch folder with all in it.
    RemoveScratch {
        /// Absolute; its last part has the run's id in it.
        path: String,
        /// Owner that the run's children have; a folder of anybody else (but root) is left alone.
        owner: u32,
    },
    /// Take kernel audit rules away that Foil added, and switch auditing off where Foil switched it on.
    AuditRules {
        /// The rules in the kernel's binary form (`struct audit_rule_data`), in hexadecimal.
        rules: Vec<String>,
        /// Auditing was off before.
        disable: bool,
    },
    /// Take back what a capability family did.
    #[serde(skip)]
    Family(FamilyUndo),
}

/// The names of the journal's own undos; any other name is a family's.
const OWN: [&str; 5] = ["vanished", "restore-file", "remove", "remove-scratch", "audit-rules"];

impl Serialize for Undo {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Family(undo) => serializer.collect_map([(&undo.family, &undo.data)]),
            own => Self::serialize(own, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Undo {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let tagged = Map::<String, Value>::deserialize(deserializer)?;
        if tagged.keys().all(|name| OWN.contains(&name.as_str())) {
            return Self::deserialize(Value::Object(tagged)).map_err(D::Error::custom);
        }
        match <[(String, Value); 1]>::try_from(tagged.into_iter().collect::<Vec<_>>()) {
            Ok([(family, Value::Object(data))]) => Ok(Self::Family(FamilyUndo { family, data })),
            _ => Err(D::Error::custom("it is not the name of a family with its data")),
        }
    }
}

impl Undo {
    /// The path that it changes, where it is about one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Vanished { .. } | Self::AuditRules { .. } | Self::Family(_) => None,
            Self::RestoreFile { path, .. } | Self::Remove { path, .. } | Self::RemoveScratch { path, .. } => Some(path),
        }
    }

    /// What it does, in words.
    pub fn in_words(&self, families: &dyn Families) -> String {
        match self {
            Self::Vanished { path } => format!("{path} vanished with the run's overlay"),
            Self::RestoreFile { path, .. } => format!("give {path} its earlier content, owner, times and attributes"),
            Self::Remove { path, .. } => format!("remove {path}"),
            Self::RemoveScratch { path, .. } => format!("remove {path} with all in it"),
            Self::AuditRules { rules, disable } => {
                let off = if *disable { ", switch auditing off" } else { "" };
                format!("take {} audit rule(s) away{off}", rules.len())
            }
            Self::Family(undo) => families.in_words(undo),
        }
    }
}

/// What an effect was to leave at a path. After a crash between effect and `applied` it tells our own half-finished
/// write, which is undone, from somebody else's change, which is not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum After {
    /// This whole content, kept in a row beside the pre-image.
    Content {
        /// The row.
        row: i64,
    },
    /// The content before, and behind it what this row keeps.
    Appended {
        /// The row.
        row: i64,
    },
    /// Nothing: it is deleted.
    Nothing,
    /// Not known before, such as what a child does to a file that it may write. Until `applied` says what came of it, any
    /// change there is a conflict.
    Unknown,
}

/// An effect that is about to happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// The capability, or `host` for Foil's own.
    pub capability: String,
    /// What is done, in one line: `write /etc/cron.d/foil-… (122 bytes)`.
    pub what: String,
    /// How to reverse it.
    pub undo: Undo,
}

/// Where an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EffectState {
    /// Written down; may or may not have happened.
    Intended,
    /// Happened.
    Applied,
    /// Did not happen; there is nothing to undo.
    Refused,
    /// Reversed, and looked at.
    Undone,
    /// Could not be reversed or verified.
    Residue,
    /// Residue that somebody accepted (`foil cleanup --forget`).
    Accepted,
}

impl EffectState {
    /// The word in the journal.
    pub fn word(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Applied => "applied",
            Self::Refused => "refused",
            Self::Undone => "undone",
            Self::Residue => "residue",
            Self::Accepted => "accepted",
        }
    }

    /// The other way round. A word that nobody wrote counts as residue: something that a person has to look at.
    pub(super) fn of_word(word: &str) -> Self {
        let all = [Self::Intended, Self::Applied, Self::Refused, Self::Undone, Self::Accepted];
        all.into_iter().find(|state| state.word() == word).unwrap_or(Self::Residue)
    }
}

/// A run, as it stands in the history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Its id.
    pub run: RunId,
    /// RFC 3339.
    pub started: String,
    /// The experiment's name, or `fire`.
    pub experiment: String,
    /// The technique's id.
    pub technique: String,
    /// Digest of the technique's module.
    pub digest: String,
    /// The environment's name.
    pub environment: String,
    /// Host name and machine id of the target.
    pub target: String,
    /// The shield's level.
    pub shield: String,
    /// Process id of the `foil` that runs it.
    pub pid: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_name_that_is_not_the_journals_is_a_familys() {
        let of_version_1 = json!({ "kube": { "cluster": { "uid": "u" }, "act": "x" } });
        let undo: Undo = serde_json::from_value(of_version_1.clone()).unwrap();
        let Undo::Family(family) = &undo else { panic!("{undo:?}") };
        assert_eq!((family.family.as_str(), family.data.len()), ("kube", 2));
        assert_eq!(serde_json::to_value(&undo).unwrap(), of_version_1);
        let own = Undo::Remove { path: "/x".into(), directory: true, content: None };
        let written = serde_json::to_value(&own).unwrap();
        assert_eq!(written, json!({ "remove": { "path": "/x", "directory": true, "content": null } }));
        assert_eq!(serde_json::from_value::<Undo>(written).unwrap(), own);
        for wrong in
            [json!({}), json!({ "kube": 1 }), json!({ "a": {}, "b": {} }), json!({ "remove": {} }), json!("kube")]
        {
            assert!(serde_json::from_value::<Undo>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
