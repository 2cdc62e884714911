use super::{links, plain, whole};
use crate::fixture::{evil as said, judged, report, test};
use crate::text::paint::Page;
use foil_record::{CleanupReport, RunReport, UndoOutcome, Verdict};

/// With colour, as a terminal of 80 columns gets it.
fn raw(write: impl FnOnce(&mut Page<'_>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut Page::new(&mut out, 80)).expect("memory");
    String::from_utf8(out).expect("UTF-8")
}

fn summary(reports: &[RunReport]) -> String {
    anstream::adapter::strip_str(&raw(|page| links::summary(page, reports))).to_string()
}

#[test]
fn a_broken_rule_is_read_at_a_glance() {
    let mut run = judged("telemetry=seen rule=missed detection=missed");
    run.observed = (0..12).map(|i| format!("execve /usr/bin/rm {i}")).collect();
    run.gaps = vec!["no user namespaces".into()];
    run.undo.effects.push(("append to /etc/x".into(), UndoOutcome::Conflict("somebody changed it".into())));
    insta::assert_snapshot!(plain(&run));
}

#[test]
fn every_line_fits_80_columns() {
    let mut run = judged("telemetry=missed! rule=seen detection=weak alert=noisy page=late runbook=unknown");
    let long = format!("{} {}", "word ".repeat(60), "x".repeat(200));
    run.experiment = "e".repeat(80);
    run.attack = vec!["T1070.004".into(), "T1059.004".into(), "T1003.008".into()];
    run.links.iter_mut().for_each(|link| {
        link.check = format!("/home/somebody/modules/{}/check.wasm", "deep/".repeat(30));
        link.reason = Some(long.clone());
        link.own_rules = true;
        let many = link.evidence.iter().cycle().take(8).cloned().collect();
        link.evidence = many;
        link.evidence.iter_mut().for_each(|e| e.summary = long.clone());
    });
    (run.hypothesis, run.reason, run.summary) = (long.clone(), long.clone(), Some(long.clone()));
    (run.residue, run.gaps, run.observed) = (vec![long.clone()], vec![long.clone()], vec![long.clone()]);
    run.earlier = vec![judged("telemetry=missed")];
    let mut of_it = test();
    (of_it.left, of_it.not_looked) = (vec![long.clone()], Some(long.clone()));
    of_it.cleanup = Some(CleanupReport { summary: long.clone(), exit: None, stderr: long });
    let mut tested = run.clone();
    tested.test = Some(of_it);
    tested.facts.insert("exit".into(), "255".into());
    tested.duration_ms = 200_000;
    let tests = plain(&tested) + &summary(&[tested.clone(), tested]);
    let shown = plain(&run) + &summary(&[run.clone(), run]) + &tests;
    for line in shown.lines() {
        assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
    }
}

#[test]
fn several_runs_end_with_a_table_and_counts() {
    let one = report("telemetry=seen");
    assert_eq!(summary(std::slice::from_ref(&one)), "");
    let mut left = report("telemetry=seen rule=missed detection=missed");
    left.residue = vec!["/etc/x".into()];
    insta::assert_snapshot!(summary(&[one, left]));
}

#[test]
fn tests_say_whether_they_ran_and_what_they_forgot() {
    let mut left = report("telemetry=seen rule=missed");
    let mut forgetful = test();
    forgetful.left = (0..12).map(|i| format!("file /tmp/art-{i}")).collect();
    forgetful.cleanup = Some(CleanupReport {
        summary: "the cleanup ended with 1".into(),
        exit: Some(1),
        stderr: "rm: cannot remove '/tmp/art': No such file\n".into(),
    });
    left.facts.insert("exit".into(), "0".into());
    left.test = Some(forgetful);
    let mut refused = report("");
    (refused.verdict, refused.summary, refused.detonated) = (Verdict::Inconclusive, None, None);
    refused.reason = "refused: `halt` stops the machine".into();
    let mut of_it = test();
    (of_it.ran, of_it.not_looked) = (false, None);
    refused.test = Some(of_it);
    let mut blind = report("telemetry=seen");
    let mut of_it = test();
    of_it.not_looked = Some("the shield was gone".into());
    blind.test = Some(of_it);
    insta::assert_snapshot!([plain(&left), plain(&blind), summary(&[left, refused, blind])].join("\n=====\n"));
}

#[test]
fn no_guest_paints_the_terminal() {
    let evil = "\u{1b}[2J\u{7}\r\npass         forged\u{202e}".to_owned();
    let mut run = report("telemetry=seen");
    (run.verdict, run.summary, run.reason) = (Verdict::Error, Some(evil.clone()), evil.clone());
    run.facts.insert(evil.clone(), evil.clone());
    run.links[0].evidence[0].summary = evil.clone();
    run.observed = vec![evil.clone()];
    let mut of_it = test();
    (of_it.left, of_it.not_looked) = (vec![evil.clone(), said()], Some(evil.clone()));
    of_it.cleanup = Some(CleanupReport { summary: evil.clone(), exit: None, stderr: said() });
    run.test = Some(of_it);
    run.undo.effects.push((evil.clone(), UndoOutcome::Failed(evil)));
    let raw = raw(|page| whole(page, &run));
    assert!(!raw.contains("\u{1b}[2J") && !raw.contains(['\u{7}', '\r', '\u{202e}', '\0', '\u{9b}']), "{raw:?}");
    assert!(!raw.lines().any(|line| line.starts_with("pass")), "{raw}");
}

#[test]
fn colour_is_only_beside_words() {
    let run = judged("telemetry=seen rule=missed");
    let coloured = raw(|page| whole(page, &run));
    assert!(coloured.contains('\u{1b}'));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain(&run));
}
