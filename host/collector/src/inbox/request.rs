//! One request: who sends it, whether it may, what it holds, and the answer, which is a sentence.

use super::super::loss::{Cause, Loss, Origin, shown};
use super::decode::{Sender, decode};
use super::{Full, Shared};
use axum::body::Body;
use axum::extract::Request;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use foil_text::Shown as _;
use futures_util::StreamExt as _;
use std::net::IpAddr;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Longest body, in bytes.
pub const MAX_BODY: usize = 4 << 20;
/// Bodies in memory at once, in KiB; more wait.
const MAX_BODIES: usize = 64 << 10;
/// How long a body may take.
const BODY: Duration = Duration::from_secs(20);
/// How much of a path's first part is shown, in bytes.
const PATH: usize = 40;
/// When a sender that was refused for want of room may come again, in seconds.
const AGAIN: &str = "1";

/// The room for bodies, in KiB.
pub fn bodies() -> Semaphore {
    Semaphore::new(MAX_BODIES)
}

type Refusal = (StatusCode, Option<(HeaderName, &'static str)>, String);

fn refuse(status: StatusCode, why: impl Into<String>) -> Refusal {
    (status, None, why.into())
}

/// The answer. What is refused is told to the runs that listen.
pub async fn answer(shared: &Shared, bodies: &Semaphore, peer: IpAddr, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches('/').to_owned();
    let (first, rest) = path.split_once('/').unwrap_or((&path, ""));
    let sender = Sender::of(first);
    // Others look whether somebody is there, and have nothing to say.
    let speaks = matches!(head.method, Method::POST | Method::PUT | Method::PATCH);
    match accept(shared, bodies, first, rest, &head, body).await {
        Ok(body) => ([(header::CONTENT_TYPE, "application/json")], body).into_response(),
        Err((status, extra, why)) => {
            // Where there was no room, the runs that it was for were told.
            if speaks && status != StatusCode::SERVICE_UNAVAILABLE {
                // Not what stands behind it, which may be a token.
                let path = format!("/{}", shown(first.get(..PATH).unwrap_or(first).as_bytes()));
                let cause = Cause::Refused { status: status.as_u16(), path, from: peer, why: shown(why.as_bytes()) };
                let origin = Origin { kind: sender.map(Sender::kind), ..Origin::default() };
                shared.lose(Loss { origin, cause, count: 1 });
            }
            let mut response = (status, why + "\n").into_response();
            if let Some((name, value)) = extra {
                response.headers_mut().insert(name, HeaderValue::from_static(value));
            }
            response
        }
    }
}

async fn accept(
    shared: &Shared,
    bodies: &Semaphore,
    first: &str,
    rest: &str,
    head: &Parts,
    body: Body,
) -> Result<String, Refusal> {
    if first == "healthz" && rest.is_empty() && matches!(head.method, Method::GET | Method::HEAD) {
        return Ok(r#"{"status":"ok"}"#.to_owned());
    }
    let Some(sender) = Sender::of(first) else {
        let there = "POST /falco, /falcosidekick, /alertmanager, /kubernetes-audit and /events, and GET /healthz";
        return Err(refuse(StatusCode::NOT_FOUND, format!("there is nothing here; there are {there}")));
    };
    if head.method != Method::POST {
        let why = format!("events come by POST, not by {}", head.method);
        return Err((StatusCode::METHOD_NOT_ALLOWED, Some((header::ALLOW, "POST")), why));
    }
    authorise(shared, &head.headers, rest)?;
    check_type(&head.headers)?;
    let body = read(bodies, &head.headers, body).await?;
    let decoded = decode(sender, &body).map_err(|error| refuse(error.status, error.why))?;
    let count = decoded.events.len();
    if decoded.truncated > 0 {
        let origin = Origin { kind: Some(sender.kind()), ..Origin::default() };
        shared.lose(Loss { origin, cause: Cause::Truncated, count: decoded.truncated });
    }
    shared.deliver(sender.kind(), decoded.events).map_err(|Full| {
        let why = "a run's log is full, so nothing was taken: send it again";
        (StatusCode::SERVICE_UNAVAILABLE, Some((header::RETRY_AFTER, AGAIN)), why.to_owned())
    })?;
    Ok(format!(r#"{{"accepted":{count}}}"#))
}

/// The token, by header or, since not every sender can set one, as the rest of the path.
fn authorise(shared: &Shared, headers: &HeaderMap, rest: &str) -> Result<(), Refusal> {
    let Some(token) = &shared.token else {
        return if rest.is_empty() {
            Ok(())
        } else {
            Err(refuse(StatusCode::NOT_FOUND, "there is nothing below this path: the inbox has no `token-file`"))
        };
    };
    let bearer = headers.get(header::AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(7));
    let bearer = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer ")).map(|(_, token)| token);
    if token.is(bearer.unwrap_or(rest.as_bytes())) {
        return Ok(());
    }
    let why = "the inbox asks for its token: send `Authorization: Bearer TOKEN`, or put it behind the path, as in /falco/TOKEN";
    Err((StatusCode::UNAUTHORIZED, Some((header::WWW_AUTHENTICATE, "Bearer")), why.to_owned()))
}

/// JSON, and said to be so: a page in somebody's browser can send other types here without asking.
fn check_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let of = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = of(header::CONTENT_TYPE);
    let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let json = matches!(essence.as_str(), "application/json" | "application/x-ndjson" | "application/jsonl")
        || (essence.starts_with("application/") && essence.ends_with("+json"));
    if !json {
        let why = format!(
            "events are JSON (Content-Type: application/json), not `{}`; in falco.yaml that takes `json_output: true`",
            kind.shown()
        );
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, why));
    }
    if !matches!(of(header::CONTENT_ENCODING), "" | "identity") {
        return Err(refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not taken"));
    }
    Ok(())
}

async fn read(bodies: &Semaphore, headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refusal> {
    let too_long = || {
        refuse(StatusCode::PAYLOAD_TOO_LARGE, format!("a request may hold {MAX_BODY} bytes: send fewer events at once"))
    };
    let said = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if said.is_some_and(|said| said > MAX_BODY) {
        return Err(too_long());
    }
    let collect = async {
        let room = u32::try_from(said.unwrap_or(MAX_BODY) / 1024 + 1).unwrap_or(u32::MAX);
        // Never closed.
        let _room = bodies.acquire_many(room).await.ok();
        let mut whole = Vec::with_capacity(said.unwrap_or(0));
        let mut chunks = body.into_data_stream();
        while let Some(chunk) = chunks.next().await {
            let chunk =
                chunk.map_err(|error| refuse(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
            if whole.len().saturating_add(chunk.len()) > MAX_BODY {
                return Err(too_long());
            }
            whole.extend_from_slice(&chunk);
        }
        Ok(whole)
    };
    let late = |_| refuse(StatusCode::REQUEST_TIMEOUT, format!("the body did not come within {} s", BODY.as_secs()));
    tokio::time::timeout(BODY, collect).await.map_err(late)?
}
