//! Which grant holds for a module, now.

use super::{Grant, Grants, Pin, When};
use crate::Judged;
use foil_manifest::ModuleId;
use foil_text::quote;
use jiff::Timestamp;

/// Why no grant holds. What to do next depends on where the module and the grants are, and is said where that is known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GrantRefusal {
    /// Nobody ever granted it.
    #[error("{module} is not granted")]
    NotGranted {
        /// The module.
        module: ModuleId,
    },
    /// The grant has ended.
    #[error("the grant of {module} expired on {expired}")]
    Expired {
        /// The module.
        module: ModuleId,
        /// When.
        expired: When,
    },
    /// The grant was taken back.
    #[error("the grant of {module} was revoked on {when} by {}: {}", quote(who), quote(why))]
    Revoked {
        /// The module.
        module: ModuleId,
        /// When.
        when: When,
        /// Who.
        who: String,
        /// Why.
        why: String,
    },
    /// Another version was granted.
    #[error("{module} is not what was granted: the grant is for {granted}, this is {present}")]
    Stale {
        /// The module.
        module: ModuleId,
        /// What was granted, latest.
        granted: Box<Pin>,
        /// What is there.
        present: Box<Pin>,
    },
}

impl Grants {
    /// The grant that holds for `module` at `now`.
    ///
    /// A `judged` pin only ever holds for a built-in module: a module from outside cannot borrow the grant of one by
    /// taking its name.
    pub fn find(&self, module: &Judged<'_>, now: Timestamp) -> Result<&Grant, GrantRefusal> {
        let id = &module.manifest.id;
        let fits = |grant: &&Grant| match grant.pin {
            Pin::Bytes(digest) => !module.script && digest == module.digest,
            Pin::Judged(judged) => module.builtin && judged == module.judged,
            Pin::Script(script, interpreter) => {
                module.script && script == module.digest && interpreter == module.judged
            }
        };
        let all = || self.of(id);
        let live = || all().filter(|g| g.revoked.is_none());
        // More than one can only fit where a built-in is granted by its bytes as well: one that holds is enough.
        if let Some(grant) = live().filter(fits).find(|g| g.expires.is_none_or(|e| now < e.end())) {
            return Ok(grant);
        }
        if let Some((grant, expired)) = live().filter(fits).find_map(|g| g.expires.map(|e| (g, e))) {
            return Err(GrantRefusal::Expired { module: grant.module.clone(), expired });
        }
        let revoked = |g: &Grant| {
            g.revoked.clone().map(|r| GrantRefusal::Revoked {
                module: id.clone(),
                when: r.when,
                who: r.who,
                why: r.why,
            })
        };
        if let Some(refusal) = all().filter(fits).filter_map(revoked).last() {
            return Err(refusal);
        }
        if let Some(grant) = live().max_by_key(|g| g.granted.start()) {
            return Err(GrantRefusal::Stale {
                module: id.clone(),
                granted: Box::new(grant.pin),
                present: Box::new(present(module)),
            });
        }
        // Another version was revoked, and this one was never granted: the revocation is what the reader must know.
        Err(all().filter_map(revoked).last().unwrap_or(GrantRefusal::NotGranted { module: id.clone() }))
    }

    /// All entries of a module, in the file's order.
    pub fn of<'a>(&'a self, id: &ModuleId) -> impl Iterator<Item = &'a Grant> {
        self.list.iter().filter(move |g| g.module == *id)
    }

    /// The latest entry of a module, preferring those that were not revoked: what a review compares with.
    pub fn latest(&self, id: &ModuleId) -> Option<&Grant> {
        self.of(id).max_by_key(|g| (g.revoked.is_none(), g.granted.start()))
    }
}

/// What a new grant of `module` is pinned to.
pub fn present(module: &Judged<'_>) -> Pin {
    match module {
        _ if module.script => Pin::Script(module.digest, module.judged),
        _ if module.builtin => Pin::Judged(module.judged),
        _ => Pin::Bytes(module.digest),
    }
}
