//! Why a module is refused: one variant a rule, each with a stable code for programs and a sentence for people.

use crate::manifest::Kind;
use foil_text::visible;

/// A module was refused. The text names the rule and says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// More bytes than [`crate::section::MAX_MODULE`].
    #[error("the module is larger than {limit} bytes: make it smaller; nothing that large is read")]
    TooLarge {
        /// The bound, in bytes.
        limit: usize,
    },
    /// A core module, something else altogether, or a component that is cut off or invalid.
    #[error("not a component: {0}")]
    NotAComponent(String),
    /// Modules or components within one another, deeper than [`crate::section::MAX_DEPTH`].
    #[error("modules are nested deeper than {limit} levels: flatten the component")]
    TooDeep {
        /// The bound.
        limit: usize,
    },
    /// No `foil:manifest` section at the root.
    #[error("no manifest: the component has no `foil:manifest` section; foil build adds it")]
    NoManifest,
    /// More than one `foil:manifest` section at the root.
    #[error(
        "two manifests: the component has more than one `foil:manifest` section, so that it is unclear which one counts"
    )]
    TwoManifests,
    /// A `foil:manifest` section inside a nested module or component.
    #[error(
        "nested manifest: a `foil:manifest` section is planted {depth} level(s) below the root; only one at the root counts"
    )]
    NestedManifest {
        /// How deep it is: 1 is directly inside the root.
        depth: usize,
    },
    /// The manifest is no canonical JSON, has unknown keys, or breaks a rule of its own.
    #[error("malformed manifest: {0}")]
    ManifestMalformed(String),
    /// The manifest names an ATT&CK id that does not exist.
    #[error("unknown ATT&CK id: {}", crate::attack::unknown(.0))]
    AttackIdUnknown(String),
    /// Its id or an alias is one that Foil itself works under.
    #[error(
        "reserved id: `{0}` is one that Foil itself works under (`foil.*`, `interpreter.*`, `atomic.*`); call the module otherwise"
    )]
    ReservedId(String),
    /// It imports something that Foil does not offer.
    #[error("unknown import: {0}")]
    UnknownImport(String),
    /// It imports an interface that modules of its kind never get.
    #[error("import not allowed: a {kind} cannot import `{interface}`{}", because(*kind))]
    ImportNotAllowed {
        /// The module's kind.
        kind: Kind,
        /// The interface.
        interface: String,
    },
    /// It imports an interface that its manifest does not request.
    #[error(
        "import not requested: it imports `{interface}` ({functions}), but its manifest has no [[capability]] named `{capability}`"
    )]
    ImportNotRequested {
        /// The interface.
        interface: String,
        /// The functions of it that are imported.
        functions: String,
        /// What to request.
        capability: String,
    },
    /// It does not export what its kind must.
    #[error("wrong export: a {kind} must export `{interface}` with {functions}; this one {found}")]
    WrongExport {
        /// The module's kind.
        kind: Kind,
        /// The interface.
        interface: String,
        /// Its functions.
        functions: String,
        /// What is there instead.
        found: String,
    },
}

fn because(kind: Kind) -> &'static str {
    match kind {
        Kind::Check => ": a check looks and cannot act",
        Kind::Technique => "",
    }
}

impl Refusal {
    /// The rule's stable name, for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::TooLarge { .. } => "too-large",
            Self::NotAComponent(_) => "not-a-component",
            Self::TooDeep { .. } => "too-deep",
            Self::NoManifest => "no-manifest",
            Self::TwoManifests => "two-manifests",
            Self::NestedManifest { .. } => "nested-manifest",
            Self::ManifestMalformed(_) => "manifest-malformed",
            Self::AttackIdUnknown(_) => "attack-id-unknown",
            Self::ReservedId(_) => "reserved-id",
            Self::UnknownImport(_) => "unknown-import",
            Self::ImportNotAllowed { .. } => "import-not-allowed",
            Self::ImportNotRequested { .. } => "import-not-requested",
            Self::WrongExport { .. } => "wrong-export",
        }
    }
}

/// Text that quotes a module's own names, fit for a terminal: one line, nothing that moves the cursor or turns the
/// direction of writing, at most 400 characters.
pub(crate) fn plain(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    visible(&line.chars().take(400).collect::<String>(), usize::MAX)
}
