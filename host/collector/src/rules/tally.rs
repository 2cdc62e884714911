//! How far a correlation got that did not match.

use super::correlator::Correlator;
use super::set::Loaded;
use super::sigma::Correlation;
use foil_record::Tally;
use foil_text::cut;

/// Returns how far a correlation of this number in its set got.
pub(super) fn tally(number: usize, loaded: &Loaded, correlation: &Correlation, correlator: &Correlator) -> Tally {
    let (counted, group) = correlator.fullest(number, correlation).unwrap_or_default();
    Tally {
        rule: cut(&loaded.rule.head.title, 200),
        kind: correlation.kind().to_owned(),
        counted,
        wants: cut(&correlation.wants(), 200),
        span: correlation.timespan().as_secs(),
        group,
        incomplete: correlator.incomplete(number),
    }
}
