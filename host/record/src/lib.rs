//! What a run came to, as data: the hops of the chain and what is known of each, the verdict, what it rests on, what was undone. Nothing
//! here renders (`report` does) or looks (`campaign` does).
//!
//! ```
//! use foil_record::{Detonation, Hop, Judged, LinkVerdict, Outcome, Verdict, judge};
//! let missed = Judged { link: "rule", verdict: LinkVerdict::Missed, reason: None, caution: None };
//! let (verdict, why) = judge(&Detonation::Done, Outcome::Either, &[missed]);
//! assert_eq!(verdict, Verdict::Fail, "{why}");
//! assert!(Hop::Rule < Hop::Alert);
//! ```

mod attribution;
mod exit;
mod hop;
mod lacking;
mod report;
mod sensor;
mod severity;
mod tie;
mod undo;
mod verdict;

pub use attribution::{Attribution, NotCounted};
pub use exit::Exit;
pub use hop::{Hop, Outcome};
pub use lacking::{Nearest, Tally, Unmatched};
pub use report::{CleanupReport, Evidence, LinkReport, LogLine, RunReport, SCHEMA, StepOf, TestReport};
pub use sensor::{SensorProof, Unproved};
pub use severity::{Severity, Weight};
pub use tie::{Caution, CautionKind, EvidenceEvent, Uncounted};
pub use undo::{UndoOutcome, UndoReport};
pub use verdict::{Detonation, Judged, LinkVerdict, Verdict, contradicted, judge};
