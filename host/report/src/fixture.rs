//! Reports for tests.

use super::here::Here;
use foil_manifest::TiedBy;
use foil_record::{
    Attribution, Detonation, Evidence, EvidenceEvent, Judged, LinkReport, LinkVerdict, Outcome, RunReport, TestReport,
    UndoOutcome, UndoReport, judge,
};
use std::collections::BTreeMap;

/// A run with this chain, such as `telemetry=seen rule=missed`; `!` after a verdict: contradicted; `+`: it looked at events.
pub fn report(chain: &str) -> RunReport {
    let links = chain.split_whitespace().map(|link| {
        let (name, verdict) = link.split_once('=').expect("hop=verdict");
        let mut report = self::link(name, self::verdict(verdict.trim_end_matches(['!', '+'])));
        report.contradicted = verdict.ends_with('!');
        report.looked_at = if verdict.ends_with('+') { 3 } else { 0 };
        report
    });
    let links: Vec<LinkReport> = links.collect();
    let judged: Vec<_> = links.iter().map(Judged::of).collect();
    let (verdict, reason) = judge(&Detonation::Done, Outcome::Either, &judged);
    RunReport {
        schema: foil_record::SCHEMA,
        run: "01k0000000000000000000000a".into(),
        experiment: "file-delete".into(),
        hypothesis: "The kernel's audit stream shows files being deleted.".into(),
        technique: Some("linux.file-delete".into()),
        attack: vec!["T1070.004".into()],
        digest: Some("sha256:00".into()),
        environment: "staging".into(),
        target: "host-1".into(),
        node: None,
        shield: "overlay".into(),
        gaps: Vec::new(),
        run_as: "root".into(),
        started: "2027-01-31T12:00:00Z".into(),
        detonated: Some("2027-01-31T12:00:01Z".into()),
        duration_ms: 1234,
        verdict,
        reason,
        summary: Some("deleted 3 files".into()),
        facts: BTreeMap::from([("folder".to_owned(), "/tmp/foil-01k".to_owned())]),
        links,
        observed: Vec::new(),
        undo: UndoReport {
            run: "01k0000000000000000000000a".into(),
            effects: vec![("make the scratch folder /tmp/foil-01k".into(), UndoOutcome::Undone)],
        },
        residue: Vec::new(),
        log: Vec::new(),
        earlier: Vec::new(),
        skipped: false,
        control: None,
        campaign: None,
        test: None,
    }
}

/// The same, where a broken or unknown link must not leave the verdict `pass`.
pub fn judged(chain: &str) -> RunReport {
    let mut report = report(chain);
    if report.links.iter().any(|l| matches!(l.verdict, LinkVerdict::Weak | LinkVerdict::Noisy)) {
        report.verdict = foil_record::Verdict::Fail;
    }
    report
}

/// A test that ran and left nothing.
pub fn test() -> TestReport {
    TestReport {
        technique: "T1070.004".into(),
        technique_name: "File Deletion".into(),
        number: 3,
        guid: Some("11111111-2222-4333-8444-555555555555".into()),
        name: "Delete a file, \"quietly\"".into(),
        description: "Removes one file.\nNobody should notice.".into(),
        executor: "sh".into(),
        command: "f=/tmp/art\nrm -f \"$f\"\n".into(),
        elevation: false,
        ran: true,
        cleanup: None,
        left: Vec::new(),
        not_looked: None,
    }
}

/// What a script might say to whoever reads the report.
pub fn evil() -> String {
    "=cmd|'/c calc'!A1, \"quoted\", ä\r\n\t<script>\u{0}\u{1b}[2J\u{7f}\u{9b}\u{202e}pass".to_owned()
}

/// A machine.
pub fn here() -> Here {
    Here {
        ip: "192.0.2.7".into(),
        zone: jiff::tz::TimeZone::fixed(jiff::tz::offset(2)),
        path: "/usr/bin:/bin".into(),
        command: "foil run --attack T1070.004".into(),
    }
}

/// One link.
pub fn link(name: &str, verdict: LinkVerdict) -> LinkReport {
    let seen = !matches!(verdict, LinkVerdict::Missed | LinkVerdict::Unknown);
    let after = if verdict == LinkVerdict::Late { 12_000.0 } else { 2.0 };
    let evidence = Evidence {
        summary: "unlinkat /tmp/foil-01k/a by /usr/bin/rm".into(),
        attribution: Attribution::Tree,
        own_observation: false,
        events: vec![EvidenceEvent {
            collector: "linux.audit".into(),
            sequence: 7,
            kind: "unlinkat".into(),
            at: 1_800_000_001_002_000_000,
            attribution: Attribution::Tree,
            fields: BTreeMap::from([("pid".to_owned(), "4711".to_owned())]),
        }],
        facts: BTreeMap::new(),
    };
    LinkReport {
        link: name.into(),
        check: if name == "telemetry" { "linux.audit-event".into() } else { format!("test.{name}") },
        verdict,
        reason: match verdict {
            LinkVerdict::Unknown => Some("events were lost".into()),
            LinkVerdict::Missed => Some("nothing of this run was recorded".into()),
            _ => None,
        },
        after_ms: seen.then_some(after),
        noticed_ms: seen.then_some(0.5),
        within_ms: 10_000,
        own_rules: false,
        evidence: if seen { vec![evidence] } else { Vec::new() },
        looked_at: 0,
        severity: (verdict == LinkVerdict::Weak).then(|| "informational".to_owned()),
        contradicted: false,
        remark: None,
        tied_by: seen.then_some(TiedBy::Process),
        caution: None,
        uncounted: Vec::new(),
        nearest: None,
        correlation: None,
        sensors: Vec::new(),
    }
}

fn verdict(name: &str) -> LinkVerdict {
    let all = [
        LinkVerdict::Seen,
        LinkVerdict::Late,
        LinkVerdict::Weak,
        LinkVerdict::Missed,
        LinkVerdict::Noisy,
        LinkVerdict::Unknown,
    ];
    all.into_iter().find(|v| v.to_string() == name).unwrap_or_else(|| panic!("no verdict `{name}`"))
}
