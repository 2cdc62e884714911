//! One test, as a module's data.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// One test of Atomic Red Team that Foil can run: all that its module is, beside the interpreter. As canonical JSON (of
/// `serde_json`, keys in this order, no spaces) its SHA-256 is what a grant pins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Script {
    /// [`FORMAT`].
    pub foil_atomic: u32,
    /// The ATT&CK id that the file is about, such as `T1059.004`.
    pub technique: String,
    /// ATT&CK's name for it, as the file says.
    pub technique_name: String,
    /// Its place among all tests of its file, from 1, as Invoke-AtomicRedTeam's `-TestNumbers` count.
    pub number: u32,
    /// `auto_generated_guid`, in lower case, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guid: Option<String>,
    /// Its name.
    pub name: String,
    /// What it does.
    pub description: String,
    /// `input_arguments`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arguments: BTreeMap<String, Argument>,
    /// What must hold before it runs, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Dependency>,
    /// What runs the dependencies' commands.
    pub dependency_executor: Shell,
    /// What runs the command and the clean-up.
    pub executor: Shell,
    /// It needs root.
    pub elevation: bool,
    /// The script.
    pub command: String,
    /// The script that takes back what it did, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<String>,
    /// The absolute path of the folder `atomics`, for `PathToAtomicsFolder`.
    pub atomics: String,
}

/// An input argument.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Argument {
    /// What it is.
    pub description: String,
    /// Its type.
    pub kind: Kind,
    /// Its default, as text; an argument without one must be given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
}

/// An argument's type. Upper and lower case are the same in the YAML.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A path.
    Path,
    /// A URL.
    Url,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Float,
}

impl Kind {
    /// Whether a value is of this type. Anything is a path, a URL or text: what it means is the script's business.
    ///
    /// # Errors
    /// Why not, as a sentence.
    pub fn takes(self, value: &str) -> Result<(), String> {
        let digits = value.strip_prefix(['-', '+']).unwrap_or(value);
        match self {
            Self::Integer if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) => {
                Err(format!("`{value}` is no integer"))
            }
            Self::Float if !value.parse::<f64>().is_ok_and(f64::is_finite) => Err(format!("`{value}` is no number")),
            _ => Ok(()),
        }
    }
}

/// Something that must hold before the test runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dependency {
    /// What, for people.
    pub description: String,
    /// A script that ends with 0 where it holds.
    pub check: String,
    /// A script that makes it hold, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub obtain: Option<String>,
}

/// What a script is written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shell {
    /// `/bin/sh`.
    Sh,
    /// `/bin/bash`.
    Bash,
}

impl Shell {
    /// Its absolute path.
    pub fn program(self) -> &'static str {
        match self {
            Self::Sh => "/bin/sh",
            Self::Bash => "/bin/bash",
        }
    }

    /// Its name in Atomic Red Team.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sh => "sh",
            Self::Bash => "bash",
        }
    }
}

impl Script {
    /// The module's id, such as `atomic.T1059.004-1`.
    pub fn id(&self) -> String {
        format!("atomic.{}-{}", self.technique, self.number)
    }

    /// As it stands in the module's file, and as its hash is taken of.
    ///
    /// # Errors
    /// None in practice: every field is text.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string(self)
    }

    /// Reads a module's file.
    ///
    /// # Errors
    /// A sentence: no JSON, unknown keys, another version, or not the canonical form, so that what was hashed, shown and granted is
    /// one text.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let script: Self = serde_json::from_str(text).map_err(|error| format!("it is no imported test: {error}"))?;
        if script.foil_atomic != FORMAT {
            return Err(format!(
                "it has the format {}, and this Foil reads {FORMAT}: import it again",
                script.foil_atomic
            ));
        }
        match script.to_json() {
            Ok(canonical) if canonical == text.trim_end_matches('\n') => Ok(script),
            _ => Err("it was changed since it was imported, or by another program: import it again".to_owned()),
        }
    }
}
