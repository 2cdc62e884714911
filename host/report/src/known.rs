//! Whether a file is an earlier report, which a new one may replace.

use super::Format;
use clap::ValueEnum as _;
use foil_record::Verdict;

/// How much of a file's beginning tells, in bytes.
pub const HEAD: usize = 4096;

/// Returns whether this beginning of a file is that of a report, in any format. Nothing is a report too.
pub fn is_report(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head.get(..HEAD).unwrap_or(head));
    text.trim().is_empty() || Format::value_variants().iter().any(|format| begins(*format, &text))
}

fn begins(format: Format, text: &str) -> bool {
    let trimmed = text.trim_start();
    match format {
        Format::Text => {
            let word = trimmed.split_whitespace().next().unwrap_or_default();
            word == "VERDICT" || Verdict::ALL.iter().any(|verdict| verdict.to_string() == word)
        }
        Format::Json => trimmed.starts_with('[') && (text.contains("\"schema\"") || trimmed.trim_end() == "[]"),
        Format::Junit => trimmed.starts_with("<?xml") && text.contains("<testsuites name=\"foil\""),
        Format::Markdown => trimmed.starts_with("## Foil"),
        Format::Csv => trimmed.starts_with("\"Execution Time (UTC)\""),
        Format::Attire => trimmed.starts_with('{') && text.contains("\"attire-version\""),
        Format::Navigator => trimmed.starts_with('{') && text.contains("\"domain\": \"enterprise-attack\""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{self as report, fixture};

    #[test]
    fn every_report_is_known_and_nothing_else() {
        let skipped = fixture::judged("telemetry=seen").skip();
        let reports = [fixture::judged("telemetry=seen"), fixture::judged("telemetry=missed"), skipped];
        for format in Format::value_variants() {
            let mut written = Vec::new();
            report::write(&mut anstream::StripStream::new(&mut written), *format, &reports).unwrap();
            assert!(is_report(&written), "{format:?}: {}", String::from_utf8_lossy(&written));
        }
        for report in &reports {
            assert!(is_report(report::plain(report).as_bytes()), "{}", report::plain(report));
            let mut brief = Vec::new();
            report::brief(&mut anstream::StripStream::new(&mut brief), std::slice::from_ref(report)).unwrap();
            assert!(is_report(&brief), "{}", String::from_utf8_lossy(&brief));
        }
        assert!(is_report(b"") && is_report(b"\n") && is_report(b"[]\n"));
        for other in [
            &b"SQLite format 3\0"[..],
            b"experiment: pass\n",
            b"{\"id\": \"atomic.T1082-3\"}",
            b"[[grant]]\nschema = 1\n",
            b"\0asm",
            b"passive",
            b"[1, 2]",
            b"Nov 30 sshd",
        ] {
            assert!(!is_report(other), "{}", String::from_utf8_lossy(other));
        }
    }
}
