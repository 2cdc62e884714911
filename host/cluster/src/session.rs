//! One run's requests: its user agent, its identity, its marks, and what it made.

use super::access::{Access, Client, Facts, Ready, send};
use super::refusal::{Control, Refusal, Right, Unmet, needed};
use super::{Address, Cluster, KubeError, Token, object};
use foil_policy::cluster::Impersonate;
use foil_text::{RunId, visible};
use http::{HeaderValue, Method, Request};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a request that was not carried out is sent again, and what the server may ask to wait.
const TRIES: u32 = 4;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// A content type, and how a body is meant.
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";

/// The right that is lacking; `Err`: the cluster did not say.
type Lacks = Result<Option<Right>, ()>;

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

    /// Deletes the object of this UID, and what belongs to it. Returns once the server has taken it up: whether it is gone by then.
    pub async fn delete(&self, address: &Address, uid: &str) -> Result<bool, KubeError> {
        // In the foreground the server's garbage collector goes through every object that may have dependents, a tenth of a second each.
        let propagation = if address.owns_nothing() { "Background" } else { "Foreground" };
        let options = json!({
            "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation,
            "gracePeriodSeconds": 1, "preconditions": { "uid": uid },
        });
        let answer = self.send(Method::DELETE, &address.path(), JSON, options.to_string().into_bytes()).await?;
        // An object that stays for a while, for its grace period or its finalizers, is the answer itself.
        let answer: Value = serde_json::from_slice(&answer).unwrap_or_default();
        let of = object::text(&answer, "/details/uid");
        Ok(object::text(&answer, "/kind") == "Status" && object::text(&answer, "/status") == "Success" && of == uid)
    }

    /// The way to the cluster.
    pub(super) async fn access(&self) -> Result<Arc<Access>, KubeError> {
        self.cluster.access().await.map(Arc::clone)
    }

    /// The client through which this session's requests go, and the credentials that they show.
    pub(super) async fn ready(&self, access: &Access) -> Result<Ready, KubeError> {
        let ready = match &self.token {
            None => access.ready().await,
            // Foil's own credentials, a client certificate above all, would outweigh the token.
            Some(token) => access.by_token(token.secret()).await,
        };
        ready.map_err(KubeError::Access)
    }

    /// The headers of every request.
    pub(super) fn decorate(
        &self,
        headers: &mut http::HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<(), KubeError> {
        if let Some(authorization) = authorization {
            headers.insert(http::header::AUTHORIZATION, authorization.clone());
        }
        let value = |text: &str| {
            HeaderValue::from_str(text).map_err(|_| KubeError::Invalid("a header cannot hold the identity".into()))
        };
        headers.insert(http::header::USER_AGENT, value(&self.agent)?);
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
        let mut renewed = false;
        let access = self.access().await?;
        loop {
            let Ready { client, authorization } = self.ready(&access).await?;
            let sent =
                self.once(&client, authorization.as_ref(), (method.clone(), path, kind, body.clone()), &access.facts);
            let error = match sent.await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            // A token that ended early; nothing was carried out.
            if error.code() == Some(401) && !renewed && access.refused(authorization.as_ref()).await {
                renewed = true;
                continue;
            }
            let error = self.explained(error, (&method, path, &body), &access).await;
            let again = error.is_transient() && (safe || error.is_refusal());
            if !again || tries >= TRIES {
                return Err(error);
            }
            tries = tries.saturating_add(1);
            tokio::time::sleep(error.retry_after().unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause = pause.saturating_mul(2);
        }
    }

    /// The refusal with the word of who refused.
    pub(super) async fn explained(
        &self,
        mut error: KubeError,
        (method, path, body): (&Method, &str, &[u8]),
        access: &Access,
    ) -> KubeError {
        let KubeError::Status { code, message, refused, .. } = &mut error else { return error };
        let named = || Control::named(message).map(Refusal::Control);
        *refused = match *code {
            401 => Some(Refusal::Credentials),
            403 => {
                let body = serde_json::from_slice(body).unwrap_or_default();
                let unmet = refused.take().map(|known| *known);
                let (first, also) = self.lacks(&needed(method, path, &body), access).await;
                Some(match (first, also) {
                    (Err(()), _) => Refusal::Unclear,
                    (Ok(Some(right)), _) => Refusal::Rights(right),
                    // The right is there: whoever names itself said no, or something is missing, or a further right.
                    (Ok(None), also) => named().or(unmet).unwrap_or(match also {
                        Ok(Some(right)) => Refusal::Rights(right),
                        Ok(None) => Refusal::Control(Control::Other),
                        Err(()) => Refusal::Unclear,
                    }),
                })
            }
            // What is not allowed was told by then.
            400 if path.contains("/proxy") && message.contains("address not allowed") => {
                Some(Refusal::Unmet(Unmet::NodeAddress))
            }
            _ => named(),
        }
        .map(Box::new);
        error
    }

    /// The first of the rights that the account lacks: of the one that is asked for first, and of the others.
    async fn lacks(&self, rights: &[Right], access: &Access) -> (Lacks, Lacks) {
        let Some((first, also)) = rights.split_first() else { return (Err(()), Ok(None)) };
        let missing = |right: &Right, answer: Result<bool, KubeError>| match answer {
            Ok(true) => Ok(None),
            Ok(false) => Ok(Some(right.clone())),
            // Even that may not be asked as somebody else: whoever may not act as them is not refused by a control.
            Err(KubeError::Status { code: 403, .. }) if self.impersonate.is_some() => {
                Ok(Some(self.right_to_impersonate()))
            }
            Err(_) => Err(()),
        };
        let of_first = missing(first, self.has(first, access).await);
        if !matches!(of_first, Ok(None)) {
            return (of_first, Ok(None));
        }
        for right in also {
            match missing(right, self.has(right, access).await) {
                Ok(None) => {}
                other => return (Ok(None), other),
            }
        }
        (Ok(None), Ok(None))
    }

    fn right_to_impersonate(&self) -> Right {
        let user = self.impersonate.as_ref().map(|whom| whom.user.clone()).unwrap_or_default();
        let nothing = String::new;
        let (verb, resource) = ("impersonate".to_owned(), "users".to_owned());
        Right {
            verb,
            resource,
            name: user,
            group: nothing(),
            subresource: nothing(),
            namespace: nothing(),
            path: nothing(),
        }
    }

    /// Asks the cluster whether the account has a right, as Foil and not as a run: it is no trace of one.
    async fn has(&self, right: &Right, access: &Access) -> Result<bool, KubeError> {
        let asker = Self { agent: Self::of_foil(Arc::clone(&self.cluster)).agent, ..self.clone() };
        let Ready { client, authorization } = self.ready(access).await?;
        let body = right.review().to_string().into_bytes();
        let call = (Method::POST, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", JSON, body);
        let answer = parse(&asker.once(&client, authorization.as_ref(), call, &access.facts).await?)?;
        Ok(answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
    }

    async fn once(
        &self,
        client: &Client,
        authorization: Option<&HeaderValue>,
        (method, path, kind, body): (Method, &str, &str, Vec<u8>),
        facts: &Facts,
    ) -> Result<Vec<u8>, KubeError> {
        // Never closed; and a request without a turn would be no reason not to send it.
        let _turn = self.cluster.turns.acquire().await;
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header(http::header::CONTENT_TYPE, kind)
            .header(http::header::ACCEPT, JSON)
            .body(body)
            .map_err(|_| KubeError::Invalid("the path cannot be written as HTTP".into()))?;
        self.decorate(request.headers_mut(), authorization)?;
        let (parts, body) = tokio::time::timeout(super::REQUEST, send(client, request, facts))
            .await
            .map_err(|_| KubeError::Unanswered(format!("{}: nothing within {:?}", facts.server, super::REQUEST)))??;
        if parts.status.is_success() {
            return Ok(body.to_vec());
        }
        Err(status(&parts, &body))
    }
}

fn status(parts: &http::response::Parts, body: &[u8]) -> KubeError {
    let value: Value = serde_json::from_slice(body).unwrap_or_default();
    let said = |name: &str| value.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let reason = said("reason").unwrap_or_else(|| parts.status.canonical_reason().unwrap_or("Error"));
    // Whatever is no `Status` of the API may be anybody's page; one line of plain text is a kubelet's or the server's own.
    let kind = parts.headers.get(http::header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let plain = || {
        let text = String::from_utf8_lossy(body.get(..200).unwrap_or(body)).into_owned();
        let line = text.lines().next().unwrap_or_default().to_owned();
        if kind.starts_with("text/plain") { line } else { "the answer is not one of a Kubernetes API".to_owned() }
    };
    let message = said("message").map_or_else(plain, str::to_owned);
    let header = parts.headers.get(http::header::RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse().ok());
    let seconds = header.or_else(|| value.pointer("/details/retryAfterSeconds").and_then(Value::as_u64));
    let unmet = Unmet::of(&message, &value).map(Refusal::Unmet);
    KubeError::Status {
        code: parts.status.as_u16(),
        reason: visible(reason, 80),
        message: visible(message.trim(), 600),
        retry_after: seconds.map(Duration::from_secs),
        refused: unmet.map(Box::new),
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
