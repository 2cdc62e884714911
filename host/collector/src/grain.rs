//! How exact a source's clock is.

use serde::{Deserialize, Serialize};

/// How much later than its stamp an event may have happened. A property of the source's clock and of how it writes moments:
/// only an event whose stamp is coarse may bear a time before what caused it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockGrain {
    nanoseconds: u64,
}

impl ClockGrain {
    /// Nanoseconds of a precise clock, such as Falco's and the process connector's.
    pub const EXACT: Self = Self { nanoseconds: 0 };
    /// The kernel's audit records: whole milliseconds of its coarse clock, which lags by up to a tick of 10 ms (`CONFIG_HZ=100`).
    pub const COARSE: Self = Self { nanoseconds: 11_000_000 };

    /// A moment written with so many digits behind the second's point.
    pub fn of_digits(digits: usize) -> Self {
        let unit = u32::try_from(digits).ok().and_then(|digits| 10_u64.checked_pow(digits));
        let nanoseconds = unit.and_then(|unit| 1_000_000_000_u64.checked_div(unit)).unwrap_or(0);
        Self { nanoseconds: if nanoseconds > 1 { nanoseconds } else { 0 } }
    }

    /// The latest moment that a stamp may mean, both in nanoseconds since 1970.
    pub fn latest(self, at: u64) -> u64 {
        at.saturating_add(self.nanoseconds)
    }

    /// It is the kernel's coarse clock, or a coarser one.
    pub fn is_coarse(self) -> bool {
        self >= Self::COARSE
    }
}

impl From<ClockGrain> for std::time::Duration {
    fn from(grain: ClockGrain) -> Self {
        Self::from_nanos(grain.nanoseconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_moment_is_as_exact_as_its_digits() {
        let latest = |digits| ClockGrain::of_digits(digits).latest(5);
        assert_eq!([0, 3, 6].map(latest), [1_000_000_005, 1_000_005, 1_005]);
        assert_eq!([9, 12, 40].map(latest), [5, 5, 5]);
        assert!(ClockGrain::COARSE.is_coarse() && !ClockGrain::of_digits(3).is_coarse());
    }
}
