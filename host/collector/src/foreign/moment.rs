//! When an event happened, in whichever way it says so.

use super::super::ClockGrain;
use std::collections::BTreeMap;

const SECOND: u64 = 1_000_000_000;
/// Moments outside of these are no times but other numbers: 2000-01-01 and 2200-01-01, in seconds.
const PLAUSIBLE: std::ops::Range<u64> = 946_684_800..7_258_118_400;

/// Fields that hold an event's time, most exact first: Falco, Elastic, Kubernetes audit, Alertmanager, CloudTrail, laurel.
const NAMES: [&str; 12] = [
    "output_fields.evt.time",
    "output_fields.evt.time.iso8601",
    "@timestamp",
    "requestReceivedTimestamp",
    "startsAt",
    "time",
    "timestamp",
    "ts",
    "eventTime",
    "datetime",
    "date",
    "ID",
];

/// The moment that the field `named` holds, or the first of the usual ones; else `received`. With how exact it is.
pub fn of(fields: &BTreeMap<String, String>, named: Option<&str>, received: u64) -> (u64, ClockGrain) {
    let read = |name: &str| fields.get(name).and_then(|text| stamp(text, received));
    let found = named.map_or_else(|| NAMES.iter().find_map(|name| read(name)), read);
    found.unwrap_or((received, ClockGrain::EXACT))
}

/// As [`stamp`], the moment alone.
pub fn moment(text: &str, received: u64) -> Option<u64> {
    stamp(text, received).map(|(at, _)| at)
}

/// Nanoseconds since 1970, and how exact they are, from RFC 3339 or a number of seconds (with or without a fraction), milliseconds, microseconds or
/// nanoseconds since then. `None` where it is neither, or not of this century or the next.
///
/// Whole seconds leave open when within the second it was: the latest moment that lies before `received` is taken, or a log with whole
/// seconds would date an event before the detonation that caused it.
pub fn stamp(text: &str, received: u64) -> Option<(u64, ClockGrain)> {
    let text = text.trim();
    let (at, grain) = number(text).or_else(|| rfc3339(text))?;
    if !PLAUSIBLE.contains(&at.checked_div(SECOND)?) {
        return None;
    }
    if grain < ClockGrain::of_digits(0) {
        return Some((at, grain));
    }
    // The latest moment that it may mean stands for it, so that nothing is left open.
    let latest = if at < received { at.saturating_add(SECOND - 1).min(received) } else { at };
    Some((latest, ClockGrain::EXACT))
}

fn rfc3339(text: &str) -> Option<(u64, ClockGrain)> {
    let at: jiff::Timestamp = text.parse().ok()?;
    let fraction = text.split_once(['.', ',']).map_or("", |(_, rest)| rest);
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    Some((u64::try_from(at.as_nanosecond()).ok()?, ClockGrain::of_digits(digits)))
}

/// A number, by its magnitude. Audit's `SECONDS.MILLIS:SERIAL` too, which is of the kernel's coarse clock.
fn number(text: &str) -> Option<(u64, ClockGrain)> {
    let (text, audit) = text.split_once(':').map_or((text, false), |(number, _)| (number, true));
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) {
        return None;
    }
    let value: u64 = whole.parse().ok()?;
    let unit = match value {
        0..100_000_000_000 => SECOND,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        _ => 1,
    };
    let nanos: u64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    let part = nanos.checked_mul(unit)?.checked_div(SECOND)?;
    let digits = match unit {
        SECOND => 0_usize,
        1_000_000 => 3,
        1_000 => 6,
        _ => 9,
    };
    let grain = if audit { ClockGrain::COARSE } else { ClockGrain::of_digits(digits.saturating_add(fraction.len())) };
    Some((value.checked_mul(unit)?.checked_add(part)?, grain))
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: u64 = 1_795_298_620_000_000_000;

    #[test]
    fn every_usual_way_to_say_it() {
        for (text, nanos) in [
            ("2026-11-21T22:03:40.821407465Z", 821_407_465),
            ("2026-11-21T23:03:40.821+01:00", 821_000_000),
            ("1795298620821407465", 821_407_465),
            ("1795298620821407", 821_407_000),
            ("1795298620821", 821_000_000),
            ("1795298620.5", 500_000_000),
            ("1795298620.821:15220", 821_000_000),
            ("1795298620821.25", 821_250_000),
        ] {
            assert_eq!(moment(text, T + 9 * SECOND), Some(T + nanos), "{text}");
        }
        for text in
            ["", "yesterday", "12", "-1795298620", "1e18", "99999999999999999999", "1.795298620821407465e18", "."]
        {
            assert_eq!(moment(text, T), None, "{text}");
        }
    }

    #[test]
    fn whole_seconds_are_the_latest_moment_that_they_may_mean() {
        for text in ["1795298620", "2026-11-21T22:03:40Z"] {
            assert_eq!(moment(text, T + 300), Some(T + 300));
            assert_eq!(moment(text, T + 5 * SECOND), Some(T + SECOND - 1));
            assert_eq!(moment(text, T - 5), Some(T));
        }
    }

    #[test]
    fn a_moment_is_as_exact_as_it_is_written() {
        let grain = |text: &str| stamp(text, T + 9 * SECOND).map(|(_, grain)| grain);
        for (text, digits) in [
            ("2026-11-21T22:03:40.821407465Z", 9),
            ("2026-11-21T23:03:40.821407+01:00", 6),
            ("2026-11-21T22:03:40.821Z", 3),
            ("2026-11-21T22:03:40.8Z", 1),
            ("1795298620821407465", 9),
            ("1795298620821407", 6),
            ("1795298620821", 3),
            ("1795298620.821407", 6),
        ] {
            assert_eq!(grain(text), Some(ClockGrain::of_digits(digits)), "{text}");
        }
        assert_eq!(grain("1795298620.821:15220"), Some(ClockGrain::COARSE));
        // Whole seconds were made the latest moment that they may mean.
        assert_eq!(grain("1795298620"), Some(ClockGrain::EXACT));
        assert_eq!(grain("2026-11-21T22:03:40Z"), Some(ClockGrain::EXACT));
    }

    #[test]
    fn a_named_field_is_the_only_one_asked() {
        let fields = [("time", T.to_string()), ("seen", (T + 1).to_string())].map(|(n, v)| (n.to_owned(), v));
        let fields = BTreeMap::from(fields);
        assert_eq!(of(&fields, None, 7), (T, ClockGrain::EXACT));
        assert_eq!(of(&fields, Some("seen"), 7), (T + 1, ClockGrain::EXACT));
        assert_eq!(of(&fields, Some("absent"), 7), (7, ClockGrain::EXACT));
    }
}
