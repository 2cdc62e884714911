//! Whether an event counts for a link, and why not.

use super::EventLog;
use super::log::Judged;
use foil_manifest::TiedBy;
use foil_record::NotCounted;
use std::time::Duration;

/// How far a sensor's clock may be ahead of ours.
const AHEAD: Duration = Duration::from_secs(60);

/// What counts for a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counting {
    /// The moment of detonation, nanoseconds since 1970: what happened before it, as in the warm-up, is not the technique.
    pub detonated: u64,
    /// The weakest tie that counts.
    pub tied_by: TiedBy,
}

impl Counting {
    /// Whether an event counts, as far as its log has judged it by now. `now`: nanoseconds since 1970.
    pub fn counts(&self, judged: &Judged, now: u64) -> bool {
        self.weigh(judged, now).is_ok()
    }

    /// Why an event of this log does not count; `None` where it does.
    pub fn why_not(&self, judged: &Judged, log: &EventLog, now: u64) -> Option<NotCounted> {
        let why = self.weigh(judged, now).err()?;
        Some(why.unwrap_or_else(|| log.why_stranger(&judged.event, self.detonated)))
    }

    /// `Err(None)`: it is a stranger's, which takes a closer look to explain.
    fn weigh(&self, judged: &Judged, now: u64) -> Result<(), Option<NotCounted>> {
        let at = judged.event.at;
        // Only a coarse clock may date an event before what caused it.
        let before = judged.event.grain().latest(at) < self.detonated;
        let ahead = at.saturating_sub(now);
        let tied_by = match judged.attribution.tied_by() {
            None => return Err(None),
            _ if before => {
                return Err(Some(NotCounted::BeforeDetonation { by_ns: self.detonated.saturating_sub(at) }));
            }
            _ if ahead > nanos(AHEAD) => return Err(Some(NotCounted::Future { by_ns: ahead })),
            // Who did it can be told or should be: that it happened at that time says nothing.
            Some(TiedBy::Time) if judged.event.names_a_process() => return Err(Some(NotCounted::Untold)),
            Some(tied_by) => tied_by,
        };
        if tied_by > self.tied_by {
            return Err(Some(NotCounted::WeakTie { tied_by, demanded: self.tied_by }));
        }
        Ok(())
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
