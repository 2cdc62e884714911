//! What the verdicts of a chain mean, in sentences that say where to look. Pure.
//!
//! The words follow from the verdicts of the chain alone: a link that was missed is blamed on the hop between it and the
//! nearest one before it that was seen, never on what could not be looked at.

mod missed;

use super::words::{chain, hop, lacking, span, span_ms, uncounted};
use foil_record::{Hop, LinkReport, LinkVerdict, RunReport, Severity, Verdict};
use foil_text::cut;

/// The longest reason that is repeated in a sentence, in bytes.
const LONGEST: usize = 600;

/// Sentences, the most important first. Empty where all is well and there is nothing to add.
pub fn explain(report: &RunReport) -> Vec<String> {
    let unknown = report.links.iter().any(|link| link.verdict == LinkVerdict::Unknown);
    let why = sentence_end(&report.reason);
    let mut said = match report.verdict {
        Verdict::Error => vec![format!("The technique broke: {why} Its chain was not judged.")],
        Verdict::Blocked => vec![format!(
            "A control prevented the technique: {why} Whether anything would have noticed it was not judged."
        )],
        Verdict::Inconclusive if !unknown => {
            vec![format!("It could not be judged: {why} That says nothing of the chain.")]
        }
        _ => links(report),
    };
    // The reason is something that no link says, such as a technique that ran where it was to be prevented.
    if said.is_empty() && report.verdict == Verdict::Fail {
        said.push(why);
    }
    said.extend(failed_test(report));
    said.extend(flaky(report));
    said.extend(control(report));
    said.extend(own_rules(report));
    said
}

fn links(report: &RunReport) -> Vec<String> {
    let chain = chain(report);
    let mut said = Vec::new();
    let mut behind: Vec<&str> = Vec::new();
    for link in &chain {
        match link.verdict {
            LinkVerdict::Seen => {}
            LinkVerdict::Missed if link.contradicted => said.push(contradicted(link, &chain)),
            LinkVerdict::Missed => {
                match missed::sentence(link, &chain) {
                    Some(sentence) => said.push(sentence),
                    None => behind.push(&link.link),
                }
                said.extend(arrived(link));
                said.extend(closest(link));
            }
            LinkVerdict::Late => said.push(late(link)),
            LinkVerdict::Weak => said.push(weak(link)),
            LinkVerdict::Noisy => said.push(format!(
                "The benign twin raised `{}` too (by {}), so that it says nothing of the attack: the rule must tell the two \
                 apart.",
                link.link, link.check
            )),
            LinkVerdict::Unknown => {
                let same = |other: &&&LinkReport| other.verdict == link.verdict && other.reason == link.reason;
                let alike: Vec<&LinkReport> = chain.iter().filter(same).copied().collect();
                // At the first of them.
                said.extend(alike.first().filter(|first| std::ptr::eq(**first, *link)).and_then(|_| unknown(&alike)));
                // The reason is the canary's; alerts that did arrive are where to look first.
                if link.sensors.iter().any(|proof| proof.blinds().is_some()) {
                    said.extend(arrived(link));
                }
            }
        }
    }
    if !behind.is_empty() {
        behind.dedup();
        let (verb, follows) = if behind.len() == 1 { ("was", "follows") } else { ("were", "follow") };
        said.push(format!("{} {verb} missed too, which {follows} from it.", list(&behind)));
    }
    said
}

/// A link that was seen behind a missed one: not the sensor is wrong, but who looked.
fn contradicted(link: &LinkReport, chain: &[&LinkReport]) -> String {
    let later = chain.iter().find(|other| hop(other) > hop(link) && recorded(other));
    let later = later.map_or("a link behind it".to_owned(), |later| format!("`{}` behind it", later.link));
    format!(
        "`{}` was missed, but {later} was seen, which is not possible where the check is right: look at what {} asks for and \
         at what it reads, not at the sensor.",
        link.link, link.check
    )
}

fn late(link: &LinkReport) -> String {
    let came = link.after_ms.map_or("too late".to_owned(), |ms| format!("after {}", span(ms)));
    let look = match hop(link) {
        Some(Hop::Telemetry) => "the sensor holds events back: look at its buffering",
        Some(Hop::Rule) => "the rule is evaluated too rarely",
        Some(Hop::Ingestion) => "shipping or indexing lags: look at the agent's and the queue's delay",
        Some(Hop::Detection) => "look at the rule's schedule and at what it waits for",
        Some(Hop::Alert) => "look at the routing's grouping and waiting times",
        Some(Hop::Page) => "look at the escalation's delays",
        Some(Hop::Runbook) | None => "look at what delays it",
    };
    format!("`{}` came {came}, and {} were allowed: {look}.", link.link, span_ms(link.within_ms))
}

fn weak(link: &LinkReport) -> String {
    let why =
        link.reason.as_ref().map_or("its severity is lower than was asked for".to_owned(), |why| cut(why, LONGEST));
    let mend = match link.severity.as_deref().map(Severity::of) {
        Some(Some(_)) => "raise it where the rule sets it, or nobody will read it",
        Some(None) => "let the rule or what sends it say one of informational, low, medium, high or critical",
        None => "set one where the rule is, or nobody will read it",
    };
    format!("`{}` came, but not as it should: {why}; {mend}.", link.link)
}

/// What arrived and was not counted.
fn arrived(link: &LinkReport) -> Option<String> {
    let arrived = uncounted(link)?;
    Some(format!("`{}`: {}.", link.link, cut(&arrived, LONGEST)))
}

/// What was lacking to a rule that matched nothing.
fn closest(link: &LinkReport) -> Option<String> {
    Some(format!("`{}`: {}.", link.link, cut(&lacking(link)?, LONGEST)))
}

/// Links that could not be looked at for one reason, which is told once.
fn unknown(links: &[&LinkReport]) -> Option<String> {
    let why = links.first()?.reason.as_deref().map_or("no reason was given.".to_owned(), sentence_end);
    let names: Vec<String> = links.iter().map(|link| format!("`{}` ({})", link.link, link.check)).collect();
    let (is, it_was) = if links.len() == 1 { ("is", "it was") } else { ("are", "they were") };
    if links.iter().any(|link| link.sensors.iter().any(|proof| proof.blinds().is_some())) {
        return Some(format!(
            "{} {is} unknown: {why} Look whether the sensor runs, and whether what it records comes to Foil, before you look \
             at any rule; foil.yaml names another `canary` where this sensor is not to notice this one.",
            names.join(", ")
        ));
    }
    Some(format!(
        "{} {is} unknown: {why} Whether {it_was} there is not known, so that this says nothing of a sensor or a rule.",
        names.join(", ")
    ))
}

/// A test that failed may not have done what was to be noticed.
fn failed_test(report: &RunReport) -> Option<String> {
    let status = report.facts.get("exit").filter(|status| *status != "0" && report.test.is_some())?;
    (report.verdict == Verdict::Fail).then(|| {
        format!("The test's own command ended with {}: it may not have done what was to be noticed.", cut(status, 40))
    })
}

fn flaky(report: &RunReport) -> Option<String> {
    let attempt = report.earlier.len().checked_add(1)?;
    (report.verdict == Verdict::Flaky).then(|| {
        let missed: Vec<&str> = report.earlier.iter().filter_map(first_broken).collect();
        let what =
            if missed.is_empty() { "it did not".to_owned() } else { format!("broken was {}", list_once(&missed)) };
        format!(
            "It passed at attempt {attempt} only; before, {what}. What notices an attack sometimes misses it sometimes."
        )
    })
}

fn first_broken(report: &RunReport) -> Option<&str> {
    let broken = |v| !matches!(v, LinkVerdict::Seen | LinkVerdict::Unknown);
    chain(report).into_iter().find(|link| broken(link.verdict)).map(|link| link.link.as_str())
}

fn control(report: &RunReport) -> Option<String> {
    let control = report.control.as_ref()?;
    matches!(control.verdict, Verdict::Error | Verdict::Inconclusive | Verdict::Blocked).then(|| {
        format!(
            "The benign twin could not be judged ({}): whether the same is raised without an attack is not known.",
            cut(&control.reason, LONGEST)
        )
    })
}

fn own_rules(report: &RunReport) -> Option<String> {
    let fed: Vec<&str> = report.links.iter().filter(|l| l.own_rules && recorded(l)).map(|l| l.link.as_str()).collect();
    (!fed.is_empty()).then(|| {
        format!(
            "What {} saw was recorded by audit rules that Foil added: the kernel can see it, which does not prove that this \
             machine's own rules do.",
            list_once(&fed)
        )
    })
}

/// Whether something of the link is there, good enough or not.
fn recorded(link: &LinkReport) -> bool {
    matches!(link.verdict, LinkVerdict::Seen | LinkVerdict::Late | LinkVerdict::Weak | LinkVerdict::Noisy)
}

fn list_once(names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_by_key(|name| hop_of(name));
    names.dedup();
    list(&names)
}

fn hop_of(name: &str) -> usize {
    const ORDER: [&str; 7] = ["telemetry", "rule", "ingestion", "detection", "alert", "page", "runbook"];
    ORDER.iter().position(|hop| *hop == name).unwrap_or(ORDER.len())
}

/// `a`, `b` and `c`.
fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, first)) => format!("{} and {last}", first.join(", ")),
        None => String::new(),
    }
}

/// A foreign sentence, with a full stop.
fn sentence_end(text: &str) -> String {
    let text = cut(text.trim_end_matches(['.', ' ', '\n']), LONGEST);
    match text.chars().next_back() {
        None => "no reason was given.".to_owned(),
        Some('?' | '!') => text,
        Some(_) => format!("{text}."),
    }
}

#[cfg(test)]
mod tests;
