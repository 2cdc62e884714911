//! How a match is told: one line of a bounded length.

use crate::query::Reason;
use foil_sdk::events::Event;
use foil_sdk::{Fact, Sighting};

/// The longest line, in bytes.
const LINE: usize = 300;

pub(crate) fn sighting(event: &Event, reason: Reason) -> Sighting {
    let mut sighting = Sighting::of(event, line(event, reason.as_deref())).severity(event.field("rule.level"));
    sighting.facts.extend(reason.map(|reason| Fact::new("matched", reason)));
    sighting
}

/// Such as `File Deletion (medium) fits execve /usr/bin/rm -f x by pid 12, from linux.audit, matched by its tag T1070.004`.
fn line(event: &Event, reason: Option<&str>) -> String {
    let field = |name: &str| event.field(name).filter(|value| !value.is_empty());
    let what = field("argv").or(field("path")).or(field("address")).or(field("line")).unwrap_or_default();
    let mut line = format!(
        "{} ({}) fits {} {what}",
        field("rule.title").unwrap_or("a rule without a title"),
        field("rule.level").unwrap_or("no level"),
        field("event").unwrap_or("an event"),
    );
    line.truncate(line.trim_end().len());
    let mut end = String::new();
    if let Some(pid) = field("pid") {
        end.extend([" by pid ", pid]);
    }
    end.extend([", from ", field("feed").unwrap_or("?")]);
    end.extend(reason.into_iter().flat_map(|reason| [", matched ", reason]));
    // What was matched may be long; where it was recorded must stay readable.
    cut(&mut end, LINE / 2);
    cut(&mut line, LINE - end.len());
    line + &end
}

/// Cuts a text to at most `most` bytes, at a character's border.
fn cut(text: &mut String, most: usize) {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most.saturating_sub('…'.len_utf8())));
        text.push('…');
    }
}
