//! A link that was missed: what stands before it says where to look.

use super::recorded;
use crate::words::{hop, span, span_ms};
use foil_record::{Hop, LinkReport, LinkVerdict, SensorProof};
use foil_text::cut;

/// What is known of the chain before a link.
enum Before<'a> {
    /// It was there.
    Recorded(Hop, &'a LinkReport),
    /// Nobody could look.
    Unknown(&'a LinkReport),
    /// It was missed itself: that is what is broken.
    Missed,
    /// The experiment expects nothing before it.
    Nothing,
}

/// Where to look; `None` where the link only follows from a missed one before it.
pub(super) fn sentence(link: &LinkReport, chain: &[&LinkReport]) -> Option<String> {
    let own = hop(link)?;
    let by = source(link);
    let text = match before(own, chain) {
        Before::Missed => return None,
        Before::Unknown(unknown) => format!(
            "{}, but whether `{}` before it was there could not be looked at: settle that first.",
            capital(&absence(own, &by)),
            unknown.link
        ),
        // The check knows why.
        Before::Nothing if link.remark.is_some() => {
            format!("`{}` was missed within {}.", link.link, span_ms(link.within_ms))
        }
        Before::Nothing => nothing_before(own, link, &by),
        Before::Recorded(at, seen) => {
            let rule_matched = chain.iter().any(|l| hop(l) == Some(Hop::Rule) && recorded(l));
            format!("{}{}", capital(&presence(at, seen)), after(own, at, rule_matched))
        }
    };
    let text = text + &others(own, link) + &alive(link);
    // What the check knows better: which nodes have no sensor, from where an alert came instead.
    let said = link
        .remark
        .as_ref()
        .map(|remark| format!(" `{}` says: {}.", cut(&link.check, 80), remark.trim_end_matches('.')));
    Some(text + &said.unwrap_or_default())
}

/// What came and is not what the check asks for, as a sentence of its own: a rule's name may be misspelt.
fn others(own: Hop, link: &LinkReport) -> String {
    match link.looked_at {
        1 if own >= Hop::Detection => {
            " 1 other came that counts as this run's: look first at what the check asks for.".to_owned()
        }
        2.. if own >= Hop::Detection => {
            format!(" {} others came that count as this run's: look first at what the check asks for.", link.looked_at)
        }
        _ => String::new(),
    }
}

/// Whether the sensors were shown to be alive, as a sentence of its own.
fn alive(link: &LinkReport) -> String {
    let said: Vec<String> = link
        .sensors
        .iter()
        .map(|proof| match proof {
            SensorProof::Answered { feed, after_ms } => {
                format!(" `{}` noticed a canary after {}, so its sensor is alive.", cut(feed, 80), span(*after_ms))
            }
            SensorProof::None { feed, reason } => {
                format!(" Whether the sensor of `{}` is alive was not shown: {reason}.", cut(feed, 80))
            }
            SensorProof::Silent { .. } | SensorProof::Unwell { .. } => String::new(),
        })
        .collect();
    said.concat()
}

/// The nearest hop before `own` that says something.
fn before<'a>(own: Hop, chain: &[&'a LinkReport]) -> Before<'a> {
    let mut unknown = None;
    // From the nearest to the farthest; of one hop, what was there first, then what was not.
    let mut links: Vec<(Hop, &LinkReport)> = chain.iter().filter_map(|l| Some((hop(l)?, *l))).collect();
    links.retain(|(at, _)| *at < own);
    links.sort_by_key(|(at, link)| (std::cmp::Reverse(*at), !recorded(link), link.verdict != LinkVerdict::Missed));
    for (at, link) in links {
        match link.verdict {
            _ if recorded(link) => return unknown.map_or(Before::Recorded(at, link), Before::Unknown),
            // Something behind it was seen, so that it says nothing.
            LinkVerdict::Missed if link.contradicted => {}
            LinkVerdict::Missed => return Before::Missed,
            _ => unknown = unknown.or(Some(link)),
        }
    }
    unknown.map_or(Before::Nothing, Before::Unknown)
}

/// That a link was there, as the first half of a sentence.
fn presence(at: Hop, link: &LinkReport) -> String {
    let after = link.after_ms.map(|ms| format!(" after {}", span(ms))).unwrap_or_default();
    match at {
        Hop::Telemetry => format!("{} recorded it{after}", source(link)),
        Hop::Rule => "the rule's logic matches what was recorded".to_owned(),
        Hop::Ingestion => format!("it was searchable{after}"),
        Hop::Detection => format!("an alert was there{after}"),
        Hop::Alert => format!("the alert was routed{after}"),
        Hop::Page => format!("somebody was called{after}"),
        Hop::Runbook => "the runbook was there".to_owned(),
    }
}

/// That a link was not there.
fn absence(own: Hop, by: &str) -> String {
    match own {
        Hop::Telemetry => format!("{by} did not record it"),
        Hop::Rule => "no rule matched".to_owned(),
        Hop::Ingestion => "it is not searchable".to_owned(),
        Hop::Detection => "no alert exists".to_owned(),
        Hop::Alert => "no alert was routed".to_owned(),
        Hop::Page => "nobody was called".to_owned(),
        Hop::Runbook => "there is no runbook with it".to_owned(),
    }
}

/// The second half: what is missing behind `at`, and where to look.
fn after(own: Hop, at: Hop, rule_matched: bool) -> &'static str {
    match (own, at) {
        (Hop::Rule, _) => "; no rule matched: look at the rule, not at the sensor.",
        (Hop::Ingestion, _) => {
            ", but it is not searchable: look at what ships it (agent, queue, parser, index), not at the sensor."
        }
        (Hop::Detection, Hop::Rule) => ", but no alert exists: is the rule deployed and enabled?",
        (Hop::Detection, _) if rule_matched => {
            " and the rule's logic matches, but no alert exists: is the rule deployed and enabled, and does it search there?"
        }
        (Hop::Detection, _) => {
            ", but no alert exists: is there a rule for it, deployed and enabled? A `rule` link would tell whether its logic \
             matches."
        }
        (Hop::Alert, Hop::Detection) => {
            ", but was not routed: look at the routing (receivers, grouping, silences), not at the rule."
        }
        (Hop::Alert, _) => {
            ", but no alert was routed. A `detection` link would tell whether one exists: look at the rule first, then at the \
             routing."
        }
        (Hop::Page, Hop::Alert) => {
            ", but nobody was called: look at the pager (service, urgency, escalation), not at the routing."
        }
        (Hop::Page, Hop::Detection) => {
            ", but nobody was called: look at the routing and the pager, not at the rule. An `alert` link would tell which."
        }
        (Hop::Page, _) => {
            ", but nobody was called. A `detection` link would tell whether an alert exists: look at the rule first, then at \
             the routing and the pager."
        }
        (Hop::Runbook, _) => ", but there is no runbook with it: put its address into the rule or the alert.",
        // Nothing stands before it in a chain.
        (Hop::Telemetry, _) => ", but it was not recorded.",
    }
}

fn nothing_before(own: Hop, link: &LinkReport, by: &str) -> String {
    let within = span_ms(link.within_ms);
    let absence = capital(&absence(own, by));
    match own {
        // It recorded other things that the run did: it lives, and is told to record something else.
        Hop::Telemetry if link.looked_at > 0 => format!(
            "{absence} within {within}, but {} other event{} of this run: it works, so look at what it is told to record, and \
             at what the check asks for.",
            link.looked_at,
            if link.looked_at == 1 { "" } else { "s" }
        ),
        Hop::Telemetry => format!(
            "{absence} within {within}, nor anything else of this run: look at the sensor's configuration (does it run, does \
             it record such acts?)."
        ),
        Hop::Rule => format!(
            "{absence} within {within}. A `telemetry` link would tell whether there was anything to match: without it this may \
             be the sensor or the rule."
        ),
        _ => format!(
            "{absence} within {within}. Nothing before `{own}` was looked at: links for `telemetry` and `rule` would tell \
             where the chain breaks."
        ),
    }
}

/// What a check reads, in words.
fn source(link: &LinkReport) -> String {
    match link.check.as_str() {
        "linux.audit-event" => "the audit log".to_owned(),
        "falco.alert" => "Falco".to_owned(),
        "file.line" => "the followed log".to_owned(),
        "inbox.event" => "what pushes to the inbox".to_owned(),
        check => format!("what `{}` reads", cut(check, 80)),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect()
}
