//! Experiments that ran on every node: which nodes do not notice.

use foil_record::{LinkVerdict, RunReport, Verdict};
use foil_text::cut;
use std::collections::BTreeMap;

/// Names that a line lists; a cluster may have thousands.
const MOST: usize = 20;

/// A few lines an experiment that ran on nodes, empty where none did: how many notice it, and each node that does not.
pub fn by_node(reports: &[RunReport]) -> Vec<String> {
    let mut experiments: BTreeMap<&str, Vec<(&str, &RunReport)>> = BTreeMap::new();
    for report in reports {
        if let Some(node) = &report.node {
            experiments.entry(&report.experiment).or_default().push((node, report));
        }
    }
    let mut lines = Vec::new();
    for (experiment, runs) in experiments {
        let noticed = runs.iter().filter(|(_, run)| matches!(run.verdict, Verdict::Pass | Verdict::Flaky)).count();
        lines.push(format!("{}: noticed on {noticed} of {} nodes", cut(experiment, 80), runs.len()));
        let mut others: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (node, run) in runs.iter().filter(|(_, run)| !matches!(run.verdict, Verdict::Pass | Verdict::Flaky)) {
            others.entry(what(run)).or_default().push(node);
        }
        for (what, nodes) in others {
            let shown: Vec<String> = nodes.iter().take(MOST).map(|node| cut(node, 253)).collect();
            let more = nodes.len().saturating_sub(MOST);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            lines.push(format!("  {what}: {}{more}", shown.join(", ")));
        }
    }
    lines
}

/// Such as `detection missed`, or the verdict where no link says more.
fn what(run: &RunReport) -> String {
    let broken = run.links.iter().find(|link| !matches!(link.verdict, LinkVerdict::Seen));
    match (run.verdict, broken) {
        (Verdict::Fail, Some(link)) => format!("{} {}", link.link, link.verdict),
        (verdict, _) => format!("{verdict} ({})", cut(&run.reason, 120)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture;

    #[test]
    fn nodes_that_do_not_notice_are_named() {
        let on = |node: &str, verdict, link| {
            let mut run = fixture::report("telemetry=seen");
            (run.experiment, run.node, run.verdict) = ("shell".into(), Some(node.into()), verdict);
            run.links.truncate(1);
            (run.links[0].link, run.links[0].verdict) = ("detection".into(), link);
            run
        };
        let mut runs = vec![fixture::report("telemetry=seen"), on("a", Verdict::Pass, LinkVerdict::Seen)];
        assert_eq!(by_node(&runs[..1]), Vec::<String>::new());
        runs.extend((0..30).map(|n| on(&format!("node-{n:02}"), Verdict::Fail, LinkVerdict::Missed)));
        let lines = by_node(&runs);
        assert_eq!(lines[0], "shell: noticed on 1 of 31 nodes");
        assert!(
            lines[1].starts_with("  detection missed: node-00, node-01,") && lines[1].ends_with("and 10 more"),
            "{lines:?}"
        );
    }
}
