use super::explain;
use crate::fixture::{judged, link, report};
use foil_manifest::TiedBy;
use foil_record::{LinkVerdict, NotCounted, SensorProof, Uncounted, Verdict};

/// A chain such as `telemetry=seen rule=missed`; `!` after a verdict: contradicted; `+`: it looked at events of the run.
fn of(chain: &str) -> String {
    explain(&judged(chain)).join("\n")
}

#[test]
fn the_broken_hop_is_named_and_nothing_else_is_blamed() {
    for (chain, words) in [
        ("", ""),
        ("telemetry=seen", ""),
        ("telemetry=seen rule=seen detection=seen alert=seen page=seen runbook=seen", ""),
        (
            "telemetry=missed",
            "The audit log did not record it within 10 s, nor anything else of this run: look at the sensor's configuration",
        ),
        ("telemetry=missed+", "but 3 other events of this run: it works, so look at what it is told to record"),
        (
            "telemetry=seen rule=missed",
            "The audit log recorded it after 2 ms; no rule matched: look at the rule, not at the sensor.",
        ),
        ("telemetry=late rule=missed", "no rule matched: look at the rule"),
        ("rule=missed", "this may be the sensor or the rule"),
        ("detection=missed+", "3 others came that count as this run's: look first at what the check asks for."),
        (
            "telemetry=unknown rule=missed",
            "No rule matched, but whether `telemetry` before it was there could not be looked at: settle that first",
        ),
        ("telemetry=seen ingestion=missed", "recorded it after 2 ms, but it is not searchable: look at what ships it"),
        (
            "rule=seen detection=missed",
            "The rule's logic matches what was recorded, but no alert exists: is the rule deployed and enabled?",
        ),
        ("telemetry=seen rule=seen detection=missed", "is the rule deployed and enabled?"),
        (
            "telemetry=seen rule=seen ingestion=seen detection=missed",
            "It was searchable after 2 ms and the rule's logic matches, but no alert exists",
        ),
        ("telemetry=seen detection=missed", "A `rule` link would tell"),
        ("telemetry=seen ingestion=unknown detection=missed", "No alert exists, but whether `ingestion` before it"),
        ("detection=missed", "links for `telemetry` and `rule` would tell"),
        ("detection=seen alert=missed", "An alert was there after 2 ms, but was not routed: look at the routing"),
        ("telemetry=seen alert=missed", "A `detection` link would tell"),
        (
            "detection=seen alert=seen page=missed",
            "The alert was routed after 2 ms, but nobody was called: look at the pager",
        ),
        ("detection=seen page=missed", "look at the routing and the pager, not at the rule"),
        ("telemetry=seen page=missed", "look at the rule first, then at the routing"),
        ("page=seen runbook=missed", "Somebody was called after 2 ms, but there is no runbook"),
        // What follows from the break is said apart, and not explained again.
        (
            "telemetry=missed rule=missed detection=missed",
            "`rule` and `detection` were missed too, which follow from it.",
        ),
        ("telemetry=seen rule=missed detection=missed", "`detection` was missed too, which follows from it."),
        // In the file's order or not.
        ("rule=missed telemetry=seen", "no rule matched: look at the rule"),
        // Two sensors: each is judged, and one of them is enough for the rule.
        ("telemetry=seen telemetry=missed", "did not record it"),
        ("telemetry=missed telemetry=seen rule=missed", "no rule matched: look at the rule"),
        ("telemetry=late", "`telemetry` came after 12 s, and 10 s were allowed: the sensor holds events back"),
        ("rule=late", "evaluated too rarely"),
        ("ingestion=late", "shipping or indexing lags"),
        ("detection=late", "the rule's schedule"),
        ("alert=late", "grouping"),
        ("page=late", "escalation"),
        ("runbook=late", "what delays it"),
        ("detection=weak", "`detection` came, but not as it should: "),
        ("detection=weak page=missed", "nobody was called: look at the routing and the pager"),
        ("detection=noisy", "The benign twin raised `detection` too"),
        (
            "telemetry=missed! rule=seen",
            "`telemetry` was missed, but `rule` behind it was seen, which is not possible where the check is right",
        ),
        ("telemetry=missed! rule=seen detection=missed", "is the rule deployed and enabled?"),
        (
            "telemetry=unknown",
            "`telemetry` (linux.audit-event) is unknown: events were lost. Whether it was there is not known, so that this says nothing of a sensor or a rule",
        ),
        ("telemetry=unknown rule=unknown", "`rule` (test.rule) are unknown: events were lost. Whether they were there"),
    ] {
        let said = of(chain);
        assert!(if words.is_empty() { said.is_empty() } else { said.contains(words) }, "{chain}: {said}");
    }
}

#[test]
fn what_is_not_known_is_never_blamed() {
    for chain in ["telemetry=unknown", "telemetry=unknown rule=missed", "telemetry=missed! rule=seen"] {
        let said = of(chain);
        assert!(!said.contains("sensor's configuration") && !said.contains("did not record"), "{chain}: {said}");
    }
    // One that follows is not explained as a break of its own.
    assert!(!of("telemetry=missed rule=missed").contains("look at the rule"));
}

#[test]
fn a_technique_that_did_not_run_says_nothing_of_the_chain() {
    for (verdict, words) in [
        (Verdict::Error, "The technique broke: EPERM. Its chain was not judged."),
        (Verdict::Blocked, "A control prevented the technique: EPERM."),
        (Verdict::Inconclusive, "It could not be judged: EPERM. That says nothing of the chain."),
    ] {
        let mut run = report("telemetry=missed");
        (run.verdict, run.reason) = (verdict, "EPERM.".to_owned());
        let said = explain(&run).join("\n");
        assert!(said.contains(words) && !said.contains("did not record"), "{said}");
    }
}

#[test]
fn a_failure_that_no_link_explains_gives_its_reason() {
    let mut run = report("telemetry=seen");
    (run.verdict, run.reason) = (Verdict::Fail, "it was to be prevented, and ran".to_owned());
    assert_eq!(explain(&run), ["it was to be prevented, and ran."]);
}

#[test]
fn attempts_controls_and_own_rules_are_said() {
    let mut run = report("detection=seen");
    run.verdict = Verdict::Flaky;
    run.earlier = vec![report("telemetry=seen detection=missed"), report("telemetry=missed detection=missed")];
    assert_eq!(
        explain(&run),
        [
            "It passed at attempt 3 only; before, broken was `telemetry` and `detection`. What notices an attack sometimes \
          misses it sometimes."
        ]
    );

    let mut run = report("detection=seen");
    let mut twin = report("");
    (twin.verdict, twin.reason) = (Verdict::Inconclusive, "no root".to_owned());
    run.control = Some(Box::new(twin));
    assert!(explain(&run).join("").contains("benign twin could not be judged (no root)"));

    let mut run = report("telemetry=seen rule=seen");
    run.links.iter_mut().for_each(|link| link.own_rules = true);
    assert!(
        explain(&run)
            .join("")
            .starts_with("What `telemetry` and `rule` saw was recorded by audit rules that Foil added")
    );
}

#[test]
fn what_guests_say_cannot_forge_lines() {
    let mut run = report("");
    run.links = vec![link("telemetry", LinkVerdict::Unknown)];
    run.verdict = Verdict::Inconclusive;
    run.links[0].reason = Some("x\n\u{1b}[31mpass\u{202e}".to_owned());
    let said = explain(&run).join("");
    assert!(said.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{said:?}");
}

#[test]
fn what_a_check_says_of_how_things_are_is_shown() {
    let mut run = judged("telemetry=missed");
    run.links[0].remark = Some("2 of 3 nodes; not on node-7".into());
    let said = explain(&run).join(" ");
    assert!(said.ends_with("`linux.audit-event` says: 2 of 3 nodes; not on node-7."), "{said}");
}

#[test]
fn alerts_that_arrived_are_told_beside_a_silent_canary_and_once() {
    let mut report = judged("detection=unknown");
    let weak = NotCounted::WeakTie { tied_by: TiedBy::Time, demanded: TiedBy::Likeness };
    report.links[0].uncounted = Uncounted::group([weak, weak]);
    assert!(!explain(&report).join(" ").contains("matching alerts"), "the reason says it already");
    report.links[0].uncounted[0].at_least = true;
    report.links[0].sensors = vec![SensorProof::Silent { feed: "inbox".into(), canary: "x".into() }];
    let said = explain(&report).join(" ");
    assert!(said.contains("at least 2 matching alerts arrived and were not counted"), "{said}");
}

#[test]
fn a_test_that_failed_may_not_have_done_it() {
    let mut report = judged("telemetry=missed");
    report.facts.insert("exit".into(), "3".into());
    assert!(!explain(&report).join(" ").contains("ended with 3"), "it is no imported test");
    report.test = Some(crate::fixture::test());
    assert!(explain(&report).join(" ").contains("The test's own command ended with 3"));
    report.facts.insert("exit".into(), "0".into());
    assert!(!explain(&report).join(" ").contains("own command ended"));
}
