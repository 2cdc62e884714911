//! Falco's messages about itself, which are no alerts: that it lost events, and how it is.
//!
//! They come in the same stream as alerts, as `Falco internal: …`, at a priority of the operator's choice. Numbers stand in quotes.

use super::super::loss::{Cause, Loss, Origin};
use std::collections::BTreeMap;

/// What the rule of such a message begins with.
const PREFIX: &str = "Falco internal:";

/// What Falco says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Internal {
    /// It lost something.
    Lost(Loss),
    /// How many events it has lost since its start.
    Total(Option<String>, u64),
    /// Anything else, such as that its rules were loaded anew.
    Other,
}

/// Reads an event's fields; `None`: it is no message of Falco's about itself.
pub fn of(fields: &BTreeMap<String, String>) -> Option<Internal> {
    let said = |name: &str| fields.get(name).map(String::as_str);
    let rule = said("rule").unwrap_or_default();
    let name = rule.strip_prefix(PREFIX).map(str::trim);
    if name.is_none() && !(said("source") == Some("internal") && said("priority").is_some()) {
        return None;
    }
    let host = said("hostname").filter(|host| !host.is_empty()).map(ToOwned::to_owned);
    let number = |name: &str| said(name).and_then(|text| text.trim().parse::<u64>().ok());
    let drops = number("output_fields.n_drops");
    let lost = |cause: Cause, count: u64| {
        Internal::Lost(Loss { origin: Origin { host: host.clone(), ..Origin::default() }, cause, count })
    };
    Some(match name.unwrap_or_default().to_ascii_lowercase().as_str() {
        "syscall event drop" => match drops {
            Some(0) => Internal::Other,
            // It says so because something was lost, whether or not the number can be read.
            drops => lost(Cause::FalcoDropped, drops.unwrap_or_default()),
        },
        "outputs queue drop" | "output queue drop" => lost(Cause::FalcoOutputs, drops.unwrap_or_default()),
        "timeouts notification" => {
            let text = said("output").unwrap_or_default();
            let count = text.split(' ').find_map(|word| word.parse().ok());
            lost(Cause::FalcoDeaf, count.unwrap_or_default())
        }
        "metrics snapshot" => {
            let total = ["scap.n_drops", "falco.n_drops", "n_drops"];
            let total = total.iter().find_map(|name| number(&format!("output_fields.{name}")));
            total.map_or(Internal::Other, |total| Internal::Total(host.clone(), total))
        }
        _ => match drops {
            Some(count) if count > 0 => lost(Cause::FalcoDropped, count),
            _ => Internal::Other,
        },
    })
}

/// The same of a line that Falco wrote as text (`json_output: false`).
pub fn of_text(line: &[u8]) -> Option<Internal> {
    let at = line.windows(PREFIX.len()).position(|window| window == PREFIX.as_bytes())?;
    let text = String::from_utf8_lossy(line.get(at..)?);
    let (rule, rest) = text.split_once(". ").unwrap_or((&text, ""));
    let mut fields = BTreeMap::from([("rule", rule), ("output", rest)]);
    let number = rest.split_once("n_drops=").map(|(_, after)| after);
    // Before the fields of a text there may be a sentence only: `8121 system calls dropped in last second`.
    let number = number.or(Some(rest).filter(|rest| rest.contains("dropped")));
    let digits = number.map(|text| text.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default());
    fields.extend(digits.filter(|digits| !digits.is_empty()).map(|digits| ("output_fields.n_drops", digits)));
    of(&fields.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[cfg(test)]
mod tests {
    use super::super::flatten;
    use super::*;

    fn said(json: &str) -> Option<Internal> {
        of(&flatten(&serde_json::from_str(json).unwrap(), json.as_bytes()))
    }

    fn loss(internal: Option<Internal>) -> String {
        match internal {
            Some(Internal::Lost(loss)) => loss.to_string(),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn a_drop_is_a_loss_of_its_host_whatever_its_priority() {
        let drop = |n: &str, more: &str| {
            said(&format!(
                r#"{{"output":"x","output_fields":{{"n_drops":{n},"n_evts":"9"}},"priority":"Debug",
                    "rule":"Falco internal: syscall event drop","time":"2026-11-28T10:00:00Z"{more}}}"#
            ))
        };
        assert_eq!(loss(drop("\"8121\"", r#","source":"internal","hostname":"db7""#)), "Falco lost 8121 events on db7");
        assert_eq!(loss(drop("1", "")), "Falco lost 1 event");
        assert_eq!(loss(drop("\"many\"", "")), "Falco lost events");
        assert_eq!(drop("\"0\"", ""), Some(Internal::Other));
    }

    #[test]
    fn other_messages_of_falcos_are_told_apart() {
        let deaf = said(
            r#"{"output":"Falco internal: timeouts notification. 1000 consecutive timeouts without event.",
                "output_fields":{"last_event_time":"none"},"priority":"Debug","rule":"Falco internal: timeouts notification"}"#,
        );
        assert_eq!(loss(deaf), "Falco received no events from the kernel for 1000 time-outs in a row");
        let queue = said(r#"{"rule":"Falco internal: outputs queue drop","priority":"Critical","output_fields":{}}"#);
        assert_eq!(loss(queue), "Falco lost alerts before its outputs");
        let metrics = said(
            r#"{"rule":"Falco internal: metrics snapshot","source":"internal","priority":"Informational",
                "hostname":"a","output_fields":{"scap.n_drops":12,"scap.n_evts":1}}"#,
        );
        assert_eq!(metrics, Some(Internal::Total(Some("a".into()), 12)));
        let restart =
            said(r#"{"rule":"Falco internal: hot restart failure","priority":"Critical","source":"internal"}"#);
        assert_eq!(restart, Some(Internal::Other));
        // An alert may well speak of drops.
        for alert in [
            r#"{"rule":"Packet drop","priority":"Notice","source":"syscall","output_fields":{"n_drops":"4"}}"#,
            r#"{"output":"Falco internal: syscall event drop","rule":"x","priority":"Notice"}"#,
            r#"{"source":"internal","message":"a backend's own line"}"#,
        ] {
            assert_eq!(said(alert), None, "{alert}");
        }
    }

    #[test]
    fn the_same_is_read_of_text() {
        let line = b"18:25:22.1: Debug Falco internal: syscall event drop. 42 system calls dropped in last second. (ebpf_enabled=1 n_drops=42 n_evts=7)";
        assert_eq!(loss(of_text(line)), "Falco lost 42 events");
        assert_eq!(
            loss(of_text(b"Falco internal: syscall event drop. 7 system calls dropped in last second.")),
            "Falco lost 7 events"
        );
        assert_eq!(of_text(b"Falco internal: syscall event drop. n_drops=0"), Some(Internal::Other));
        assert_eq!(of_text(b"18:25:22.1: Notice A shell was spawned"), None);
    }
}
