//! One run's requests: its user agent, its identity, its marks, and what it made.

use super::{Address, Cluster, KubeError, Token, object};
use crate::policy::cluster::Impersonate;
use crate::run_id::RunId;
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt as _;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The largest answer that is read, in bytes: a page of 500 objects of some size.
const MAX_ANSWER: usize = 8 << 20;
/// How often a request that was not carried out is sent again, and what the server may ask to wait.
const TRIES: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A content type, and how a body is meant.
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// What a run made, by address: the UIDs.
#[derive(Debug, Default)]
pub struct Made(Mutex<BTreeMap<Address, String>>);

impl Made {
    /// The UID of what the run made there.
    pub fn uid(&self, address: &Address) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(address).cloned()
    }

    /// It made this.
    pub fn add(&self, address: Address, uid: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(address, uid);
    }
}

/// A part of a list.
#[derive(Debug)]
pub struct Page {
    /// The objects.
    pub items: Vec<Value>,
    /// Where the next part begins.
    pub more: Option<String>,
}

/// Which objects of a list.
#[derive(Debug, Default, Clone, Copy)]
pub struct Selection<'a> {
    /// A label selector; empty for all.
    pub labels: &'a str,
    /// A field selector; empty for all.
    pub fields: &'a str,
    /// At most so many.
    pub limit: u32,
    /// Where to go on.
    pub more: Option<&'a str>,
}

/// Requests of one run, or of Foil itself.
#[derive(Debug, Clone)]
pub struct Session {
    pub(super) cluster: Arc<Cluster>,
    agent: String,
    pub(super) impersonate: Option<Impersonate>,
    /// As whom requests are sent, where that is not whom the environment's credentials name.
    pub(super) token: Option<Token>,
    /// What the run made.
    pub made: Arc<Made>,
    /// The node that this run is about.
    pub node: Option<String>,
    /// The run.
    pub run: Option<RunId>,
}

impl Session {
    /// Foil's own: to verify, to look, to put back.
    pub fn of_foil(cluster: Arc<Cluster>) -> Self {
        let agent = format!("foil/{}", env!("CARGO_PKG_VERSION"));
        Self { cluster, agent, impersonate: None, token: None, made: Arc::default(), node: None, run: None }
    }

    /// A run's own, for what Foil itself does for it.
    pub fn of_run(cluster: Arc<Cluster>, run: &RunId) -> Self {
        let agent = format!("foil/{} (run {run})", env!("CARGO_PKG_VERSION"));
        Self { agent, run: Some(run.clone()), ..Self::of_foil(cluster) }
    }

    /// What the run's checks look at: no trace of the technique, so that no sensor's word for one is taken for the other.
    pub fn of_check(cluster: Arc<Cluster>, run: &RunId) -> Self {
        let agent = format!("foil/{} (check of {run})", env!("CARGO_PKG_VERSION"));
        Self { agent, ..Self::of_run(cluster, run) }
    }

    /// What the run's technique does: as whom the environment says, on the node that it is about.
    pub fn of_technique(cluster: Arc<Cluster>, run: &RunId, node: Option<String>) -> Self {
        let impersonate = cluster.rule.impersonate.clone();
        Self { impersonate, node, ..Self::of_run(cluster, run) }
    }

    /// The cluster.
    pub fn cluster(&self) -> &Arc<Cluster> {
        &self.cluster
    }

    /// The technique acts as somebody else than Foil.
    pub fn impersonates(&self) -> bool {
        self.impersonate.is_some()
    }

    /// One object.
    pub async fn get(&self, address: &Address) -> Result<Value, KubeError> {
        self.get_path(&address.path()).await
    }

    /// What is at a path of the API.
    pub(super) async fn get_path(&self, path: &str) -> Result<Value, KubeError> {
        parse(&self.send(Method::GET, path, JSON, Vec::new()).await?)
    }

    /// The bytes at a path of the API, with its query.
    pub async fn raw(&self, path: &str) -> Result<Vec<u8>, KubeError> {
        self.send(Method::GET, path, JSON, Vec::new()).await
    }

    /// A subresource of an object.
    pub async fn get_subresource(&self, address: &Address, subresource: &str) -> Result<Value, KubeError> {
        self.get_path(&format!("{}/{subresource}", address.path())).await
    }

    /// A part of a list.
    pub async fn list(&self, address: &Address, selection: Selection<'_>) -> Result<Page, KubeError> {
        let mut query = url_query([("labelSelector", selection.labels), ("fieldSelector", selection.fields)]);
        query.push_str(&format!("limit={}", selection.limit));
        if let Some(more) = selection.more {
            query.push('&');
            query.push_str(url_query([("continue", more)]).trim_end_matches('&'));
        }
        let mut list = self.get_path(&format!("{}?{query}", address.all().path())).await?;
        let more = object::text(&list, "/metadata/continue").to_owned();
        match list.get_mut("items").map(Value::take) {
            Some(Value::Array(items)) => Ok(Page { items, more: (!more.is_empty()).then_some(more) }),
            // An empty list may come as `null`.
            Some(Value::Null) => Ok(Page { items: Vec::new(), more: None }),
            _ => Err(KubeError::Malformed("a list without `items`".into())),
        }
    }

    /// All of a list, at most `most` objects.
    pub async fn list_all(&self, address: &Address, labels: &str, most: usize) -> Result<Vec<Value>, KubeError> {
        let (mut items, mut more) = (Vec::new(), None);
        loop {
            let page = self.list(address, Selection { labels, fields: "", limit: 500, more: more.as_deref() }).await?;
            items.extend(page.items);
            more = page.more;
            if more.is_none() || items.len() >= most {
                items.truncate(most);
                return Ok(items);
            }
        }
    }

    /// Creates an object.
    pub async fn create(&self, address: &Address, object: &Value) -> Result<Value, KubeError> {
        parse(&self.send(Method::POST, &address.all().path(), JSON, object.to_string().into_bytes()).await?)
    }

    /// Posts to a subresource of an object.
    pub async fn post_to(&self, address: &Address, subresource: &str, object: &Value) -> Result<Value, KubeError> {
        let path = format!("{}/{subresource}", address.path());
        parse(&self.send(Method::POST, &path, JSON, object.to_string().into_bytes()).await?)
    }

    /// Replaces a subresource of an object.
    pub async fn put_to(&self, address: &Address, subresource: &str, object: &Value) -> Result<Value, KubeError> {
        let path = format!("{}/{subresource}", address.path());
        parse(&self.send(Method::PUT, &path, JSON, object.to_string().into_bytes()).await?)
    }

    /// Applies a merge patch.
    pub async fn patch(&self, address: &Address, patch: &Value) -> Result<Value, KubeError> {
        parse(&self.send(Method::PATCH, &address.path(), MERGE, patch.to_string().into_bytes()).await?)
    }

    /// Deletes the object of this UID, and what belongs to it. Returns once the server has taken it up.
    pub async fn delete(&self, address: &Address, uid: &str) -> Result<(), KubeError> {
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Foreground",
            "gracePeriodSeconds": 1, "preconditions": { "uid": uid },
        });
        self.send(Method::DELETE, &address.path(), JSON, options.to_string().into_bytes()).await.map(drop)
    }

    /// The headers of every request.
    pub(super) fn decorate(&self, headers: &mut http::HeaderMap) -> Result<(), KubeError> {
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| KubeError::Invalid("a header cannot hold the identity".into()))
        };
        headers.insert(http::header::USER_AGENT, value(&self.agent)?);
        if let Some(token) = &self.token {
            headers.insert(http::header::AUTHORIZATION, token.header()?);
        }
        if let Some(Impersonate { user, groups }) = &self.impersonate {
            headers.insert("Impersonate-User", value(user)?);
            for group in groups {
                headers.append("Impersonate-Group", value(group)?);
            }
        }
        Ok(())
    }

    /// Sends a request. One that was certainly not carried out, and may be later, is sent again.
    async fn send(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Vec<u8>, KubeError> {
        let safe = method == Method::GET;
        let mut pause = Duration::from_millis(200);
        let mut tries = 1;
        loop {
            let error = match self.once(method.clone(), path, kind, body.clone()).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let again = error.is_transient() && (safe || error.is_refusal());
            if !again || tries >= TRIES {
                return Err(error);
            }
            tries = tries.saturating_add(1);
            tokio::time::sleep(error.retry_after().unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = pause.saturating_mul(2);
        }
    }

    async fn once(&self, method: Method, path: &str, kind: &str, body: Vec<u8>) -> Result<Vec<u8>, KubeError> {
        let client = self.client().await?;
        // Never closed; and a request without a turn would be no reason not to send it.
        let _turn = self.cluster.turns.acquire().await;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, kind)
            .header(http::header::ACCEPT, JSON)
            .body(Body::from(body))
            .map_err(|e| KubeError::Invalid(e.to_string()))?;
        self.decorate(request.headers_mut())?;
        let answered = async {
            let response = client.send(request).await.map_err(|e| unanswered(&e))?;
            let (parts, body) = response.into_parts();
            let body = http_body_util::Limited::new(body, MAX_ANSWER).collect().await.map_err(|error| {
                if error.is::<http_body_util::LengthLimitError>() {
                    KubeError::TooLarge(MAX_ANSWER)
                } else {
                    KubeError::Unanswered(error.to_string())
                }
            })?;
            Ok((parts, body.to_bytes()))
        };
        let (parts, body) = tokio::time::timeout(super::REQUEST, answered)
            .await
            .map_err(|_| KubeError::Unanswered(format!("nothing within {:?}", super::REQUEST)))??;
        if parts.status.is_success() {
            return Ok(body.to_vec());
        }
        Err(status(&parts, &body))
    }
}

/// An error of the client: nothing arrived, or perhaps it did.
fn unanswered(error: &kube::Error) -> KubeError {
    let text = crate::engine::cut(&chain(error), 400);
    // A connection that was refused carried nothing; of anything else that is not known.
    let refused = std::iter::successors(Some(error as &dyn std::error::Error), |e| e.source()).any(|e| {
        let kind = e.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        matches!(kind, Some(std::io::ErrorKind::ConnectionRefused | std::io::ErrorKind::NotFound))
    });
    let auth = matches!(error, kube::Error::Auth(_));
    if refused || auth { KubeError::Unreachable(text) } else { KubeError::Unanswered(text) }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        next = error.source();
    }
    text
}

fn status(parts: &http::response::Parts, body: &[u8]) -> KubeError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let reason = said("reason").unwrap_or_else(|| parts.status.canonical_reason().unwrap_or("Error"));
    let message =
        said("message").map_or_else(|| String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into(), str::to_owned);
    let header = parts.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let seconds = header.or_else(|| value.pointer("/details/retryAfterSeconds").and_then(Value::as_u64));
    KubeError::Status {
        code: parts.status.as_u16(),
        reason: crate::engine::cut(reason, 80),
        message: crate::engine::cut(message.trim(), 600),
        retry_after: seconds.map(Duration::from_secs),
    }
}

fn parse(body: &[u8]) -> Result<Value, KubeError> {
    serde_json::from_slice(body).map_err(|_| KubeError::Malformed("no JSON".into()))
}

/// `name=value&` for each that has a value.
pub(super) fn url_query<const N: usize>(pairs: [(&str, &str); N]) -> String {
    let mut query = String::new();
    for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => query.push(char::from(byte)),
                other => query.push_str(&format!("%{other:02X}")),
            }
        }
        query.push('&');
    }
    query
}

#[cfg(test)]
mod tests {
    use super::url_query;

    #[test]
    fn what_a_module_says_stays_one_value() {
        assert_eq!(
            url_query([("labelSelector", "a=b&limit=1"), ("fieldSelector", "")]),
            "labelSelector=a%3Db%26limit%3D1&"
        );
    }
}
