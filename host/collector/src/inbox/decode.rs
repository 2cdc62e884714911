//! What each kind of sender sends becomes events.

use super::super::foreign::{self, flatten};
use super::super::{Recorded, clock};
use axum::http::StatusCode;
use serde_json::Value;

/// Most events of one request.
const MAX_EVENTS: usize = 10_000;

/// Who sends, by the first part of the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    Falco,
    Alertmanager,
    KubernetesAudit,
    Any,
}

impl Sender {
    pub fn of(path: &str) -> Option<Self> {
        match path {
            // The same body: falcosidekick's webhook passes on what Falco says.
            "falco" | "falcosidekick" => Some(Self::Falco),
            "alertmanager" => Some(Self::Alertmanager),
            "kubernetes-audit" => Some(Self::KubernetesAudit),
            "events" => Some(Self::Any),
            _ => None,
        }
    }

    /// The kind of its events.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Falco => "falco",
            Self::Alertmanager => "alertmanager",
            Self::KubernetesAudit => "kubernetes-audit",
            Self::Any => "event",
        }
    }
}

/// Why a body was not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct Undecodable {
    pub status: StatusCode,
    pub why: String,
}

fn bad(why: impl Into<String>) -> Undecodable {
    Undecodable { status: StatusCode::BAD_REQUEST, why: why.into() }
}

/// What a body holds.
#[derive(Debug)]
pub struct Decoded {
    /// The events, each with its text.
    pub events: Vec<(Recorded, Vec<u8>)>,
    /// How many the sender says that it left out.
    pub truncated: u64,
}

/// The events of a body. All of them or none: a body that is half right is wrong.
pub fn decode(sender: Sender, body: &[u8]) -> Result<Decoded, Undecodable> {
    let received = clock::realtime();
    let mut values = Vec::new();
    for value in serde_json::Deserializer::from_slice(body).into_iter::<Value>() {
        let value = value.map_err(|error| bad(format!("the body is no JSON: {error}")))?;
        values.push(value);
        if values.len() > MAX_EVENTS {
            return Err(too_many());
        }
    }
    // Mostly it is one, which is its body: that spares writing it again.
    let whole = matches!(values.as_slice(), [Value::Object(_)]).then_some(body);
    let left_out = |value: &Value| value.get("truncatedAlerts").and_then(Value::as_u64).unwrap_or_default();
    let truncated = match sender {
        Sender::Alertmanager => values.iter().map(left_out).fold(0, u64::saturating_add),
        _ => 0,
    };
    let items = match sender {
        Sender::Falco | Sender::Any => plain(values)?,
        Sender::Alertmanager => alerts(values)?,
        Sender::KubernetesAudit => audit(values)?,
    };
    if items.len() > MAX_EVENTS {
        return Err(too_many());
    }
    if items.is_empty() && matches!(sender, Sender::Falco | Sender::Any) {
        return Err(bad("the body holds no event"));
    }
    let alone = items.len() == 1;
    let event = |mut item: Value| {
        // Falco writes `null` and numbers where it has no text.
        let has = |name: &str| item.get(name).is_some();
        if sender == Sender::Falco && !(has("rule") && has("priority")) {
            return Err(bad(
                "this is no alert of Falco's: it has no `rule` and `priority`; other events go to /events",
            ));
        }
        let redacted = foreign::redact_audit(&mut item);
        let raw = whole.filter(|_| alone && !redacted).map_or_else(|| item.to_string().into_bytes(), <[u8]>::to_vec);
        let kind = match item.get("status").and_then(Value::as_str) {
            // That an alert is over is no alert.
            Some("resolved") if sender == Sender::Alertmanager => "alertmanager-resolved",
            _ => sender.kind(),
        };
        Ok((foreign::event(kind, flatten(&item, &raw), None, received), raw))
    };
    Ok(Decoded { events: items.into_iter().map(event).collect::<Result<_, _>>()?, truncated })
}

fn too_many() -> Undecodable {
    let why = format!("a request may hold {MAX_EVENTS} events: send fewer at once");
    Undecodable { status: StatusCode::PAYLOAD_TOO_LARGE, why }
}

/// Objects, one after the other or in lists.
fn plain(values: Vec<Value>) -> Result<Vec<Value>, Undecodable> {
    let mut items = Vec::new();
    for value in values {
        match value {
            Value::Array(list) => items.extend(list),
            value => items.push(value),
        }
    }
    match items.iter().find(|item| !item.is_object()) {
        Some(_) => Err(bad("an event is a JSON object; a body holds one, a list of them, or one a line")),
        None => Ok(items),
    }
}

/// Alertmanager's webhook: each alert is an event, with what the group says of all of them.
fn alerts(values: Vec<Value>) -> Result<Vec<Value>, Undecodable> {
    let no = || bad("this is no notification of Alertmanager's: it has no list `alerts` of objects");
    let mut all = Vec::new();
    for mut value in values {
        let Some(Value::Array(alerts)) = value.get_mut("alerts").map(Value::take) else { return Err(no()) };
        for mut alert in alerts {
            let Value::Object(fields) = &mut alert else { return Err(no()) };
            for name in ["receiver", "groupKey", "externalURL"] {
                let said = value.get(name).filter(|said| said.is_string());
                fields.extend(said.map(|said| (name.to_owned(), said.clone())));
            }
            all.push(alert);
        }
    }
    Ok(all)
}

/// The API server's audit webhook: each item is an event.
fn audit(values: Vec<Value>) -> Result<Vec<Value>, Undecodable> {
    let no =
        || bad("this is no audit of a Kubernetes API server's: it is no `EventList` with a list `items` of objects");
    let mut all = Vec::new();
    for mut value in values {
        if value.get("kind").and_then(Value::as_str) != Some("EventList") {
            return Err(no());
        }
        let Some(Value::Array(items)) = value.get_mut("items").map(Value::take) else { return Err(no()) };
        if !items.iter().all(Value::is_object) {
            return Err(no());
        }
        all.extend(items);
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
