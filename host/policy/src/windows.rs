//! When Foil may act: hours of the week, and blackout windows.

use foil_text::Shown as _;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};
use schemars::JsonSchema;
use serde::Deserialize;

/// When experiments may run. Undo is never held back by it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Windows {
    /// Any of these; none: at any hour.
    pub hours: Vec<Hours>,
    /// In none of these.
    pub blackout: Vec<Blackout>,
}

/// Hours of a week.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Hours {
    /// Days of the week; all where none is named.
    #[serde(default)]
    pub days: Vec<Day>,
    /// From this time of the day on, such as `09:00`.
    #[schemars(with = "String", regex(pattern = r"^\d\d:\d\d"))]
    pub from: civil::Time,
    /// Up to this time of the day; earlier than `from`: up to it on the next day.
    #[schemars(with = "String", regex(pattern = r"^\d\d:\d\d"))]
    pub to: civil::Time,
    /// The time zone by its IANA name, such as `Europe/Berlin`.
    #[serde(default)]
    #[schemars(with = "String", default)]
    pub zone: Zone,
}

/// A time in which nothing runs.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Blackout {
    /// RFC 3339, with its offset.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub from: Timestamp,
    /// RFC 3339, with its offset.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub to: Timestamp,
    /// Said to whoever is refused.
    #[serde(default)]
    pub reason: String,
}

/// A day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Day {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A time zone; UTC where none is named.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        TimeZone::get(&name).map(Self).map_err(|_| {
            format!("`{}` is no time zone that this machine knows: write one as Europe/Berlin, or UTC", name.shown())
        })
    }
}

impl Windows {
    /// Why nothing may run at that moment, or nothing.
    pub fn closed(&self, now: Timestamp) -> Option<String> {
        if let Some(blackout) = self.blackout.iter().find(|b| b.from <= now && now < b.to) {
            let reason = if blackout.reason.is_empty() { String::new() } else { format!(" ({})", blackout.reason) };
            return Some(format!("`blackout` of foil.yaml forbids it until {}{reason}", blackout.to));
        }
        (!self.hours.is_empty() && !self.hours.iter().any(|hours| hours.admit(now))).then(|| {
            "it is outside of the `hours` of foil.yaml: run it within them, or change them if you mean it".to_owned()
        })
    }
}

impl Hours {
    fn admit(&self, now: Timestamp) -> bool {
        let now = now.to_zoned(self.zone.0.clone());
        let (date, time) = (now.date(), now.time());
        let on = |date: civil::Date| {
            let day = match date.weekday() {
                civil::Weekday::Monday => Day::Mon,
                civil::Weekday::Tuesday => Day::Tue,
                civil::Weekday::Wednesday => Day::Wed,
                civil::Weekday::Thursday => Day::Thu,
                civil::Weekday::Friday => Day::Fri,
                civil::Weekday::Saturday => Day::Sat,
                civil::Weekday::Sunday => Day::Sun,
            };
            self.days.is_empty() || self.days.contains(&day)
        };
        if self.from <= self.to {
            return on(date) && self.from <= time && time < self.to;
        }
        // Past midnight: the window belongs to the day that it began on.
        (on(date) && time >= self.from) || (date.yesterday().is_ok_and(on) && time < self.to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_and_blackouts() {
        let hours = |text: &str| -> Hours { serde_json::from_str(text).expect(text) };
        let office = hours(r#"{"days":["mon","fri"],"from":"09:00","to":"17:00","zone":"UTC"}"#);
        let night = hours(r#"{"days":["fri"],"from":"22:00","to":"04:00"}"#);
        let at = |text: &str| -> Timestamp { text.parse().expect(text) };
        // 2026-11-20 is a Friday.
        for (moment, by_day, by_night) in [
            ("2026-11-20T09:00:00Z", true, false),
            ("2026-11-20T16:59:59Z", true, false),
            ("2026-11-20T17:00:00Z", false, false),
            ("2026-11-20T23:00:00Z", false, true),
            ("2026-11-21T03:59:00Z", false, true),
            ("2026-11-21T23:00:00Z", false, false),
            ("2026-11-22T10:00:00Z", false, false),
            ("2026-11-23T10:00:00Z", true, false),
        ] {
            assert_eq!((office.admit(at(moment)), night.admit(at(moment))), (by_day, by_night), "{moment}");
        }
        let blackout =
            Blackout { from: at("2026-11-20T10:00:00Z"), to: at("2026-11-20T11:00:00Z"), reason: "freeze".into() };
        let windows = Windows { hours: vec![office], blackout: vec![blackout] };
        assert!(windows.closed(at("2026-11-20T10:30:00Z")).is_some_and(|why| why.contains("freeze")));
        assert!(windows.closed(at("2026-11-20T11:00:00Z")).is_none());
        assert!(windows.closed(at("2026-11-21T11:00:00Z")).is_some_and(|why| why.contains("`hours`")));
        assert!(Windows::default().closed(at("2026-11-21T11:00:00Z")).is_none());
    }
}
