//! ATTiRe 1.1, as Invoke-AtomicRedTeam's Attire-ExecutionLogger writes it and VECTR reads it.
//!
//! It has no place for what noticed a run: each step's last output, of level `INFO`, says exit status and verdict.

use super::here::Here;
use super::json;
use super::outcome::runs;
use foil_record::RunReport;
use foil_text::cut;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::io::{Result, Write};

/// Writes one document of all runs whose technique was started.
pub fn write(out: &mut dyn Write, reports: &[RunReport]) -> Result<()> {
    json::write(out, &document(reports, &Here::now(), Timestamp::now()))
}

fn document(reports: &[RunReport], here: &Here, now: Timestamp) -> Value {
    let ran: Vec<&RunReport> =
        runs(reports).filter(|report| report.detonated.is_some() && report.technique.is_some()).collect();
    let first = ran.first().copied().or(reports.first());
    let of_first = |text: fn(&RunReport) -> &String| first.map(text).cloned().unwrap_or_default();
    let art = ran.iter().any(|report| report.test.is_some());
    let (name, abbreviation) = if art { ("Atomic Red Team", "ART") } else { ("Foil", "FOIL") };
    json!({
        "attire-version": "1.1",
        "execution-data": {
            "execution-source": "Foil",
            // Readers tell logs apart by it, and Foil's journal knows it.
            "execution-id": of_first(|report| &report.run),
            "execution-category": { "name": name, "abbreviation": abbreviation },
            "execution-command": here.command,
            "target": {
                "host": of_first(|report| &report.target),
                "ip": here.ip,
                "path": here.path,
                "user": of_first(|report| &report.run_as),
            },
            "time-generated": time(now),
        },
        "procedures": ran.iter().map(|report| procedure(report)).collect::<Vec<_>>(),
    })
}

fn procedure(report: &RunReport) -> Value {
    let start = report.detonated.as_ref().unwrap_or(&report.started);
    let step = |executor: &str, command: &str| {
        json!({
            "order": 1,
            "time-start": moment(start, 0),
            "time-stop": moment(&report.started, report.duration_ms),
            "executor": executor,
            "command": command,
            "output": output(report),
        })
    };
    match &report.test {
        Some(test) => json!({
            "mitre-technique-id": test.technique,
            "procedure-name": test.name,
            "procedure-id": { "type": "guid", "id": test.guid.clone().unwrap_or_else(|| guid(report.about())) },
            "procedure-description": test.description,
            "order": test.number,
            "steps": [step(&test.executor, &test.command)],
        }),
        None => json!({
            "mitre-technique-id": report.attack.first(),
            "procedure-name": report.about(),
            "procedure-id": { "type": "guid", "id": guid(report.about()) },
            "procedure-description": report.hypothesis,
            "order": 1,
            "steps": [step("foil", &format!("foil fire {}", report.about()))],
        }),
    }
}

/// What was said, as the report has it: its end.
fn output(report: &RunReport) -> Vec<Value> {
    let entry = |level: &str, content: &str| json!({ "content": content, "level": level, "type": "console" });
    let said = [("STDOUT", "stdout"), ("STDERR", "stderr")].into_iter();
    let mut output: Vec<Value> = said.filter_map(|(level, fact)| Some(entry(level, report.facts.get(fact)?))).collect();
    if output.is_empty() {
        output.push(entry("STDOUT", ""));
    }
    let exit = report.facts.get("exit").map(|exit| format!("exit status {exit}; ")).unwrap_or_default();
    output.push(entry("INFO", &format!("{exit}{}: {}", report.verdict, cut(&report.reason, 2000))));
    output
}

/// Where there is no GUID, one that is the same in each log, since readers know procedures by it: a hash of the module's id, as a
/// UUID of version 8 (RFC 9562).
fn guid(id: &str) -> String {
    let hash = Sha256::digest(format!("foil:{id}"));
    let bytes = hash.iter().take(16).fold(0_u128, |all, byte| (all << 8) | u128::from(*byte));
    let bits = bytes & !(0xf << 76) & !(0b11 << 62) | (8 << 76) | (0b10 << 62);
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn moment(rfc3339: &str, and_ms: u64) -> String {
    let span = SignedDuration::from_millis(i64::try_from(and_ms).unwrap_or(i64::MAX));
    let time = rfc3339.parse::<Timestamp>().ok().and_then(|time| time.checked_add(span).ok());
    time.map_or_else(|| rfc3339.to_owned(), self::time)
}

fn time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{evil, here, report, test};

    fn of(reports: &[RunReport]) -> Value {
        document(reports, &here(), "2027-01-31T13:00:00.5Z".parse().expect("RFC 3339"))
    }

    #[test]
    fn a_test_and_a_technique_are_procedures() {
        let mut run = report("telemetry=seen rule=missed");
        run.test = Some(test());
        run.facts.extend([("exit".to_owned(), "1".to_owned()), ("stderr".to_owned(), "no such file".to_owned())]);
        insta::assert_json_snapshot!(of(&[run, report("telemetry=seen")]));
    }

    #[test]
    fn what_did_not_run_is_no_procedure_and_each_attempt_is_one() {
        let mut refused = report("");
        refused.detonated = None;
        let mut again = report("telemetry=seen");
        again.earlier = vec![report("telemetry=missed")];
        let log = of(&[refused.clone(), again]);
        assert_eq!(log["procedures"].as_array().expect("a list").len(), 2);
        let none = of(&[refused]);
        assert_eq!((&none["procedures"], &none["execution-data"]["target"]["host"]), (&json!([]), &json!("host-1")));
        assert_eq!(of(&[])["execution-data"]["execution-id"], "");
    }

    #[test]
    fn foreign_text_arrives_as_it_is() {
        let mut run = report("telemetry=seen");
        let mut test = test();
        (test.guid, test.command, test.name) = (None, evil(), evil());
        run.test = Some(test);
        (run.started, run.duration_ms) = (evil(), u64::MAX);
        run.facts.insert("stdout".into(), evil());
        let mut out = Vec::new();
        write(&mut out, &[run]).expect("memory");
        let text = String::from_utf8(out).expect("UTF-8");
        assert!(!text.contains(['\0', '\u{1b}', '\u{202e}', '\r', '\t']), "{text:?}");
        let log: Value = serde_json::from_str(&text).expect("JSON");
        let procedure = &log["procedures"][0];
        let step = &procedure["steps"][0];
        for said in [&procedure["procedure-name"], &step["command"], &step["output"][0]["content"], &step["time-stop"]]
        {
            assert_eq!(said, &json!(evil()));
        }
        assert_eq!(log["execution-data"]["execution-category"]["abbreviation"], "ART");
    }

    #[test]
    fn a_guid_of_our_own_is_stable_and_well_formed() {
        let guid = super::guid("linux.file-delete");
        assert_eq!(guid, super::guid("linux.file-delete"));
        assert_ne!(guid, super::guid("linux.cron-persistence"));
        let lengths: Vec<usize> = guid.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12]);
        assert_eq!((&guid[14..15], "89ab".contains(&guid[19..20])), ("8", true), "{guid}");
    }
}
