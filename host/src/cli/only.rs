//! `--only`: experiments and campaigns picked by name.

use anyhow::bail;
use foil_text::glob::matches;

/// How many of the known names an error lists.
const MOST_LISTED: usize = 20;

/// The patterns of `--only`; without one, every name is picked.
#[derive(Debug, Default)]
pub(super) struct Only(pub Vec<String>);

impl Only {
    /// Checks that each pattern picks something. Where no name is known, nothing is checked: files with mistakes have none.
    ///
    /// # Errors
    /// The first pattern that picks nothing, with the names that there are.
    pub fn check(&self, names: &[&str]) -> anyhow::Result<()> {
        match self.0.iter().find(|wanted| !names.iter().any(|name| matches(wanted, name))) {
            Some(wanted) if !names.is_empty() => {
                let listed = names.get(..MOST_LISTED).unwrap_or(names).join(", ");
                bail!("`--only {wanted}` names none of these: {listed}")
            }
            _ => Ok(()),
        }
    }

    /// Whether a name is picked.
    pub fn picks(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|wanted| matches(wanted, name))
    }
}
