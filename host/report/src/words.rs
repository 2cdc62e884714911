//! Small words that all forms of the report share.

use foil_record::{
    Attribution, Evidence, Hop, LinkReport, Nearest, NotCounted, RunReport, Tally, Uncounted, Unmatched,
};
use foil_text::cut;
use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};

/// What people call the run: the experiment, with the campaign before it, or the technique where it was fired alone.
pub fn title(report: &RunReport) -> String {
    let name = if report.experiment == "fire" { report.about() } else { &report.experiment };
    let node = report.node.as_ref().map(|node| format!(" on {}", cut(node, 80))).unwrap_or_default();
    match &report.campaign {
        Some(step) => format!("{}/{} {}{node}", cut(&step.campaign, 80), cut(&step.step, 80), cut(name, 80)),
        None => format!("{}{node}", cut(name, 80)),
    }
}

/// ATT&CK ids with their names.
pub fn attack(report: &RunReport) -> Vec<String> {
    // A test's file says what ATT&CK called its technique when the test was written.
    let of_file =
        |id: &String| report.test.as_ref().filter(|test| test.technique == *id).map(|test| &test.technique_name);
    let own = |id: &String| foil_manifest::attack::name(id).unwrap_or_default().to_owned();
    let name = |id: &String| {
        let name = of_file(id).map(|name| cut(name, 120)).filter(|name| !name.is_empty()).unwrap_or_else(|| own(id));
        format!("{} {name}", cut(id, 20))
    };
    report.attack.iter().map(|id| name(id).trim_end().to_owned()).collect()
}

/// A span of time in one unit, or two from a minute on: `0.4 ms`, `12 ms`, `1.5 s`, `3 min 20 s`, `1 h 5 min`.
pub fn span(ms: f64) -> String {
    let trim = |text: String| text.strip_suffix(".0").map_or(text.clone(), str::to_owned);
    // Of a number that is none as well.
    let ms = ms.max(0.0);
    // Each bound rounds up to the next unit: 59.96 s is a minute, not 60.0 s.
    if ms < 9.95 {
        return format!("{} ms", trim(format!("{ms:.1}")));
    }
    if ms < 999.5 {
        return format!("{ms:.0} ms");
    }
    if ms < 59_950.0 {
        return format!("{} s", trim(format!("{:.1}", ms / 1000.0)));
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates; beyond a day nobody counts")]
    let seconds = (ms / 1000.0).round() as u64;
    let two = |big: u64, unit: &str, small: u64, less: &str| {
        if small == 0 { format!("{big} {unit}") } else { format!("{big} {unit} {small} {less}") }
    };
    match seconds {
        ..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        _ => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
    }
}

/// The same for whole milliseconds.
pub fn span_ms(ms: u64) -> String {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    span(ms as f64)
}

/// How evidence was tied to the run.
pub fn tied(evidence: &Evidence) -> &'static str {
    match evidence.attribution {
        // No sensor's word, however it was tied.
        _ if evidence.own_observation => "Foil itself",
        Attribution::Tree => "process tree",
        Attribution::Marker => "run's mark",
        Attribution::Likeness => "likeness",
        Attribution::Window => "time only",
        Attribution::Stranger => "not tied",
    }
}

/// The events that evidence rests on, as the second part of a list: `; falco of inbox`. What a check shows must be of the right kind.
pub fn rests_on(evidence: &Evidence) -> String {
    let mut kinds: Vec<String> = Vec::new();
    for event in &evidence.events {
        let kind = format!("; {} of {}", cut(&event.kind, 40), cut(&event.collector, 60));
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    if evidence.events.is_empty() { "; by the check's word".to_owned() } else { kinds.concat() }
}

/// Returns how far the correlation of a missed link got, and which event came nearest to a rule that matched nothing, with what it
/// lacked, in a sentence without a full stop.
pub fn lacking(link: &LinkReport) -> Option<String> {
    let said = [link.correlation.as_ref().map(tally), link.nearest.as_ref().map(nearest)];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join("; "))
}

fn nearest(nearest: &Nearest) -> String {
    let Nearest { rule, collector, sequence, kind, satisfied, items, unmatched } = nearest;
    let which = format!("event {sequence} of `{collector}` ({kind})");
    if unmatched.is_empty() {
        return format!("nearest to `{rule}`: {which}, which satisfies all that it asks for");
    }
    let wants = unmatched.iter().map(|Unmatched { field, value, wants }| match (field, value) {
        (Some(field), Some(value)) => format!("`{field}` is `{value}`, the rule wants `{wants}`"),
        (Some(field), None) => format!("`{field}` is not there, the rule wants `{wants}`"),
        (None, _) => format!("no field has what the rule wants: `{wants}`"),
    });
    let wants = wants.collect::<Vec<_>>().join("; ");
    format!("nearest to `{rule}`: {which}, which satisfies {satisfied} of {items} items: {wants}")
}

fn tally(Tally { rule, kind, counted, wants, span, group, incomplete }: &Tally) -> String {
    let group = if group.is_empty() { String::new() } else { format!(" for {group}") };
    let plural = if *counted == 1 { "" } else { "s" };
    let what = match kind.as_str() {
        "value_count" => format!("value{plural}"),
        "temporal" => format!("rule{plural}"),
        "temporal_ordered" => format!("rule{plural} in their order"),
        _ => format!("event{plural}"),
    };
    let lack = match incomplete {
        0 => String::new(),
        1 => ", and 1 match lacks a field that it groups by or counts".to_owned(),
        many => format!(", and {many} matches lack a field that it groups by or counts"),
    };
    format!("`{rule}` counted {counted} {what}{group} within {span} s, and its condition is `{wants}`{lack}")
}

/// What arrived and was not counted, and why, in a sentence without a full stop; `None` where there was nothing.
pub fn uncounted(link: &LinkReport) -> Option<String> {
    let what = if hop(link).is_some_and(|hop| hop >= Hop::Detection) { "alert" } else { "event" };
    let group = |Uncounted { count, why, at_least }: &Uncounted| match (count, at_least) {
        (1, false) => format!("1 matching {what} arrived and was not counted, because {}", why_not(*why, true)),
        _ => format!(
            "{}{count} matching {what}s arrived and were not counted, because {}",
            if *at_least { "at least " } else { "" },
            why_not(*why, false)
        ),
    };
    let groups: Vec<String> = link.uncounted.iter().map(group).collect();
    (!groups.is_empty()).then(|| groups.join("; "))
}

fn why_not(why: NotCounted, one: bool) -> String {
    #[allow(clippy::cast_precision_loss, reason = "for people")]
    let dated = |ns: u64, place: &str| {
        let nearest = if one { "it" } else { "the nearest" };
        format!("{nearest} is dated {} {place}: {}", span(ns as f64 / 1e6), misdated(ns))
    };
    let it = |one_does: &'static str, they_do: &'static str| if one { one_does } else { they_do };
    match why {
        NotCounted::Untold => {
            format!("{} a process, and whether that is this run's cannot be told", it("it names", "they name"))
        }
        NotCounted::WeakTie { tied_by, demanded } => format!(
            "{} tied to this run by `{tied_by}` only, and `tied-by: {demanded}` is demanded",
            it("it is", "they are")
        ),
        NotCounted::BeforeDetonation { by_ns } => dated(by_ns, "before the detonation"),
        NotCounted::OutOfTime => format!(
            "{} a process of this run at a moment when that did not run: the clocks of the sensor and of this machine may differ",
            it("it names", "they name")
        ),
        NotCounted::Future { by_ns } => dated(by_ns, "in the future"),
        NotCounted::OtherProcess => format!("another process of the machine did {}", it("it", "what they are about")),
        NotCounted::OtherRun => format!("{} of another run", it("it is", "they are")),
        NotCounted::Foil => format!("Foil itself, and not the technique, did {}", it("it", "what they are about")),
    }
}

/// Why a time may be off by so much.
fn misdated(ns: u64) -> &'static str {
    const MINUTE: u64 = 60_000_000_000;
    const DRIFT: u64 = 10 * MINUTE;
    const ZONES: u64 = 14 * 60 * MINUTE + MINUTE;
    // Zones differ from UTC by quarters of an hour, up to 14 hours.
    let from_quarter = (ns % (15 * MINUTE)).min(15 * MINUTE - ns % (15 * MINUTE));
    match ns {
        ..=DRIFT => "the clocks of the sensor and of this machine may differ",
        ..=ZONES if from_quarter <= MINUTE => "the sensor may write times of another zone",
        _ => "the sensor's clock is wrong, or this is not its time",
    }
}

/// The evidence that ties a link best.
pub fn best(link: &LinkReport) -> Option<&Evidence> {
    link.evidence.iter().min_by_key(|e| (e.own_observation, e.attribution))
}

/// Fields in which sensors name the rule that raised an event, and checks the one of what they saw: Falco's and other sensors', Sigma's, Alertmanager's, Elastic's.
const RULE: [&str; 5] = ["rule", "rule.title", "labels.alertname", "kibana.alert.rule.name", "signal.rule.name"];

/// Most rules that are named of a link.
const MAX_RULES: usize = 5;

/// The rules that noticed a link's event, each once, and by what they were taken for the technique's where the check says it:
/// `Clear Log Activities (matched by the rule map for T1685.006)`.
pub fn rules(link: &LinkReport) -> Vec<String> {
    let mut rules: Vec<String> = Vec::new();
    for evidence in link.evidence.iter().filter(|evidence| !evidence.own_observation) {
        let fact = |name: &str| evidence.facts.get(name).filter(|value| !value.trim().is_empty());
        // What the host recorded goes before what the check says.
        let recorded = |name: &str| {
            let mut fields = evidence.events.iter().filter_map(|event| event.fields.get(name));
            fields.find(|value| !value.trim().is_empty())
        };
        let rule = RULE.iter().find_map(|name| recorded(name)).or_else(|| RULE.iter().find_map(|name| fact(name)));
        let Some(rule) = rule else { continue };
        let how = fact("matched").map(|how| format!(" (matched {})", cut(how, 120))).unwrap_or_default();
        let rule = format!("{}{how}", cut(rule, 120));
        if !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    if let more @ 1.. = rules.len().saturating_sub(MAX_RULES) {
        rules.truncate(MAX_RULES);
        rules.push(format!("and {more} more"));
    }
    rules
}

/// The link's place in the chain; `None` for a word that this version does not know.
pub fn hop(link: &LinkReport) -> Option<Hop> {
    let name: StrDeserializer<'_, Error> = link.link.as_str().into_deserializer();
    Hop::deserialize(name).ok()
}

/// The links in the chain's order, whatever the file's.
pub fn chain(report: &RunReport) -> Vec<&LinkReport> {
    let mut links: Vec<&LinkReport> = report.links.iter().collect();
    // An unknown word comes last.
    links.sort_by_key(|link| hop(link).map_or((true, None), |hop| (false, Some(hop))));
    links
}

/// A text of at most about `limit` bytes, made fit to be printed. Of a longer one the beginning and, three times as long, the end:
/// that is where programs say what came of it.
pub fn ends(text: &str, limit: usize) -> String {
    let head = text.floor_char_boundary(limit / 4);
    let tail = text.ceil_char_boundary(text.len().saturating_sub(limit.saturating_sub(limit / 4)));
    match (text.get(..head), text.get(tail..)) {
        (Some(first), Some(last)) if text.len() > limit && head < tail => {
            let dropped = tail.saturating_sub(head);
            format!("{} … {dropped} bytes left out … {}", cut(first, limit), cut(last, limit))
        }
        _ => cut(text, limit),
    }
}

/// Lines of at most `width` characters; a word that is longer is broken, so that nothing leaves the page.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(10);
    let (mut lines, mut line, mut length) = (Vec::new(), String::new(), 0_usize);
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let letters: Vec<char> = word.chars().collect();
        for (index, piece) in letters.chunks(width).enumerate() {
            let room = if line.is_empty() { width } else { width.saturating_sub(length).saturating_sub(1) };
            if index > 0 || piece.len() > room {
                lines.push(std::mem::take(&mut line));
                length = 0;
            }
            if !line.is_empty() {
                line.push(' ');
                length = length.saturating_add(1);
            }
            line.extend(piece);
            length = length.saturating_add(piece.len());
        }
    }
    lines.push(line);
    lines.retain(|line| !line.is_empty());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_at_a_glance() {
        for (ms, words) in [
            (-1.0, "0 ms"),
            (0.44, "0.4 ms"),
            (2.0, "2 ms"),
            (9.96, "10 ms"),
            (999.6, "1 s"),
            (1_530.0, "1.5 s"),
            (59_960.0, "1 min"),
            (200_000.0, "3 min 20 s"),
            (3_900_000.0, "1 h 5 min"),
            (f64::NAN, "0 ms"),
        ] {
            assert_eq!(span(ms), words);
        }
    }

    #[test]
    fn a_time_that_is_off_is_explained_by_how_much() {
        let minutes = |minutes: u64| misdated(minutes * 60_000_000_000);
        for (off, word) in [(0, "clocks"), (9, "clocks"), (11, "wrong"), (60, "zone"), (61, "zone"), (50, "wrong")] {
            assert!(minutes(off).contains(word), "{off}: {}", minutes(off));
        }
        assert!(minutes(5 * 60 + 45).contains("zone") && minutes(15 * 60).contains("wrong"));
        assert!(misdated(u64::MAX).contains("wrong"));
    }

    #[test]
    fn the_end_of_a_long_text_is_shown_escaped_and_whole_characters_only() {
        assert_eq!(ends("short\n", 100), "short\\n");
        let long = format!("first {} é\u{1b}[31mLAST", "é".repeat(1000));
        let shown = ends(&long, 100);
        assert!(shown.starts_with("first é") && shown.ends_with("é\\u{1b}[31mLAST"), "{shown}");
        assert!(shown.contains("bytes left out") && shown.len() < 160, "{shown}");
        for limit in 0..40 {
            ends(&long, limit);
        }
    }

    #[test]
    fn the_rules_that_noticed_are_named_once() {
        let mut link = crate::fixture::report("detection=seen").links.remove(0);
        let evidence = link.evidence.remove(0);
        let with = |facts: &[(&str, &str)], own_observation: bool| Evidence {
            facts: facts.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            own_observation,
            ..evidence.clone()
        };
        link.evidence = vec![
            with(&[("rule", "Clear Log Activities"), ("matched", "by the rule map for T1685.006")], false),
            with(&[("rule", "Clear Log Activities"), ("matched", "by the rule map for T1685.006")], false),
            with(&[("rule.title", "Removal\u{1b}[31m"), ("feed", "linux.audit")], false),
            with(&[("labels.alertname", "Shadow")], true),
            with(&[("rule", " ")], false),
        ];
        let named = ["Clear Log Activities (matched by the rule map for T1685.006)", r"Removal\u{1b}[31m"];
        assert_eq!(rules(&link), named);
        link.evidence = (0..9).map(|n| with(&[("rule", &n.to_string())], false)).collect();
        assert_eq!(rules(&link).last().map(String::as_str), Some("and 4 more"));
    }

    #[test]
    fn nothing_leaves_the_page() {
        assert_eq!(wrap("a tired engineer reads", 10), ["a tired", "engineer", "reads"]);
        assert_eq!(wrap("x 123456789012345 y", 10), ["x", "1234567890", "12345 y"]);
        assert_eq!(wrap("  ", 10), Vec::<String>::new());
        for text in ["ä".repeat(95), "wort ".repeat(40), format!("{} b", "a".repeat(20))] {
            assert!(wrap(&text, 20).iter().all(|line| line.chars().count() <= 20), "{text}");
        }
    }
}
