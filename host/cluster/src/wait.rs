//! Waiting for an object, by looking again and again: a watch would be one more thing to be allowed.

use super::{Address, KubeError, Session};
use serde_json::Value;
use std::time::Duration;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// It is there.
    Present,
    /// Of a pod: every container is ready; of a Secret for an account's token: the token is in it; of anything else: its condition
    /// `Ready` or `Available` is true.
    Ready,
    /// Of a pod: it ran to its end.
    Ended,
    /// It is gone.
    Absent,
}

/// What came of waiting.
#[derive(Debug)]
pub enum Waited {
    /// It is so.
    Met(Value),
    /// It cannot be any more, or was not in time; what it looks like, in words.
    Unmet(String),
}

/// The type of Secrets that the cluster fills with a token of an account.
const TOKEN_SECRET: &str = "kubernetes.io/service-account-token";

/// Pauses between looks: each half as long again as the one before, so that what comes is seen within a third of the time that it took,
/// and within a tenth of a second in the first seconds.
#[derive(Debug)]
pub struct Pauses {
    next: Duration,
    waited: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { next: Duration::from_millis(10), waited: Duration::ZERO }
    }
}

impl Pauses {
    /// The next pause.
    pub fn next_pause(&mut self) -> Duration {
        let longest = if self.waited < Duration::from_secs(5) { 100 } else { 1000 };
        let pause = self.next.min(Duration::from_millis(longest));
        self.waited = self.waited.saturating_add(pause);
        self.next = self.next.saturating_mul(3) / 2;
        pause
    }
}

/// Looks until the condition holds, for at most `most`.
///
/// # Errors
/// Those of a look but `not found`, which is an answer.
pub async fn wait(session: &Session, address: &Address, until: Condition, most: Duration) -> Result<Waited, KubeError> {
    let end = tokio::time::Instant::now() + most;
    let mut pauses = Pauses::default();
    loop {
        let seen = match session.get(address).await {
            Err(error) if error.is_not_found() => None,
            other => Some(other?),
        };
        let state = match (&seen, until) {
            (None, Condition::Absent) => return Ok(Waited::Met(Value::Object(serde_json::Map::new()))),
            (None, _) => "it is not there".to_owned(),
            (Some(_), Condition::Absent) => "it is still there".to_owned(),
            (Some(object), condition) => match holds(&address.plural, object, condition) {
                State::Yes => return Ok(Waited::Met(object.clone())),
                State::Never(why) => return Ok(Waited::Unmet(why)),
                State::NotYet(why) => why,
            },
        };
        let now = tokio::time::Instant::now();
        if now >= end {
            return Ok(Waited::Unmet(format!("{state} after {most:?}")));
        }
        tokio::time::sleep(pauses.next_pause().min(end - now)).await;
    }
}

enum State {
    Yes,
    NotYet(String),
    Never(String),
}

fn holds(plural: &str, object: &Value, condition: Condition) -> State {
    match condition {
        Condition::Present => State::Yes,
        Condition::Absent => State::NotYet("it is still there".into()),
        _ if plural == "pods" => pod(object, condition),
        // The token controller fills it in a moment after it was made.
        _ if plural == "secrets" && super::object::text(object, "/type") == TOKEN_SECRET => {
            let filled = !super::object::text(object, "/data/token").is_empty();
            if filled { State::Yes } else { State::NotYet("it has no token".into()) }
        }
        _ => {
            let met = |kind: &str| {
                let all = object.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
                all.into_iter()
                    .any(|c| super::object::text(c, "/type") == kind && super::object::text(c, "/status") == "True")
            };
            if met("Ready") || met("Available") { State::Yes } else { State::NotYet("it is not ready".into()) }
        }
    }
}

fn pod(pod: &Value, condition: Condition) -> State {
    let phase = super::object::text(pod, "/status/phase");
    let containers = || {
        let of = |list: &str| pod.pointer(list).and_then(Value::as_array).into_iter().flatten();
        of("/status/initContainerStatuses").chain(of("/status/containerStatuses"))
    };
    let stuck = containers().find_map(|container| {
        let reason = super::object::text(container, "/state/waiting/reason");
        let hopeless = [
            "ErrImageNeverPull",
            "InvalidImageName",
            "ImagePullBackOff",
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
            "CrashLoopBackOff",
        ];
        hopeless.contains(&reason).then(|| {
            let message = super::object::text(container, "/state/waiting/message");
            format!("its container does not start: {reason}: {}", foil_text::cut(message, 200))
        })
    });
    if let Some(why) = stuck {
        return State::Never(why);
    }
    match (phase, condition) {
        ("Succeeded" | "Failed", Condition::Ended) => State::Yes,
        ("Succeeded" | "Failed", _) => State::Never(format!("the pod has ended ({phase})")),
        ("Running", Condition::Ready)
            if containers()
                .all(|c| c.get("ready") == Some(&Value::Bool(true)) || c.pointer("/state/terminated").is_some()) =>
        {
            State::Yes
        }
        _ => {
            let conditions = pod.pointer("/status/conditions").and_then(Value::as_array).into_iter().flatten();
            let why = conditions
                .filter(|c| super::object::text(c, "/status") == "False")
                .map(|c| super::object::text(c, "/message"))
                .find(|message| !message.is_empty())
                .unwrap_or_default();
            State::NotYet(
                format!("the pod is {} {}", if phase.is_empty() { "new" } else { phase }, foil_text::cut(why, 200))
                    .trim()
                    .to_owned(),
            )
        }
    }
}
