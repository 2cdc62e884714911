//! Credentials: asked for, and thrown away. What cannot be recalled is said when it ends.

use super::certificate::{read_certificate, signing_request};
use super::read::bounded;
use super::write::{create, intend};
use super::{effect, not_done};
use crate::capability::files_write::from_journal;
use crate::capability::guest::failure;
use crate::capability::{Guest, World, unix_nanos};
use crate::engine::bindings::imports::kube_types::Target;
use crate::engine::bindings::imports::kube_write::Credential;
use crate::engine::bindings::types::Error;
use foil_cluster::object::{self, merged};
use foil_cluster::undo::Act;
use foil_cluster::wait::Pauses;
use foil_cluster::{Address, Session, Token};
use foil_journal::{Learned, fault};
use foil_manifest::KubeVerb;
use foil_manifest::kube::KubeCall;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long the signer may take after an approval.
const ISSUED: Duration = Duration::from_secs(15);
/// How long the authoriser may take to see a binding that was just made.
const BOUND: Duration = Duration::from_secs(3);
/// The shortest that the API takes for a credential, in seconds.
const SHORTEST: u32 = 600;
/// The longest text of an identity.
const MAX_NAME: usize = 256;

/// What a certificate is asked for.
#[derive(Debug)]
pub(super) struct Request {
    pub name: String,
    pub signer: String,
    pub common_name: String,
    pub organizations: Vec<String>,
    pub seconds: u32,
}

fn requests(name: &str) -> Result<Address, Error> {
    Ok(Address::new("certificates.k8s.io", "v1", "certificatesigningrequests", None, Some(name))?)
}

impl Guest {
    pub(super) async fn request_a_certificate(&mut self, request: Request) -> Result<(), Error> {
        let address = requests(&request.name)?;
        let session = self.cluster()?;
        let names = request.organizations.iter().chain([&request.common_name]);
        if request.organizations.len() > 8 || names.into_iter().any(|name| name.is_empty() || name.len() > MAX_NAME) {
            return Err(Error::Invalid(format!(
                "names in a certificate have 1 to {MAX_NAME} bytes, and it has at most 8 organizations"
            )));
        }
        let object = json!({
            "kind": "CertificateSigningRequest", "metadata": { "name": request.name },
            "spec": { "signerName": request.signer, "usages": ["client auth"], "expirationSeconds": request.seconds.max(SHORTEST) },
        });
        let Value::Object(object) = object else { return Err(Error::Invalid("no object".into())) };
        let object = super::made::marked(object, &address, &session)?;
        self.decide_kube(&KubeCall { object: Some(&object), ..address.call(KubeVerb::Create) })?;
        let object = merged(&object, &json!({ "spec": { "request": signing_request(&request)? } }));
        let world = Arc::clone(&self.world);
        effect(&self.world, async move { create(&world, &session, address, object).await }).await.map(drop)
    }

    pub(super) async fn approve_request(&mut self, name: &str) -> Result<Credential, Error> {
        let address = requests(name)?;
        self.decide_kube(&address.call(KubeVerb::Approve))?;
        let session = self.cluster()?;
        if session.made.uid(&address).is_none() {
            return Err(failure("not-ours", format!("this run did not make {address}")));
        }
        let world = Arc::clone(&self.world);
        effect(&self.world, async move { approve(&world, &session, &address).await }).await
    }

    pub(super) async fn request_a_token(
        &mut self,
        namespace: &str,
        account: &str,
        audiences: &[String],
        seconds: u32,
    ) -> Result<Credential, Error> {
        let address = account_of(namespace, account)?;
        self.decide_kube(&address.call(KubeVerb::Token))?;
        if audiences.len() > 8 || audiences.iter().any(|a| a.is_empty() || a.len() > MAX_NAME) {
            return Err(Error::Invalid(format!("at most 8 audiences of 1 to {MAX_NAME} bytes")));
        }
        let session = self.cluster()?;
        let seconds = seconds.max(SHORTEST);
        // No audience is the API server's own.
        let audiences = (!audiences.is_empty()).then_some(audiences);
        let spec = merged(&json!({ "expirationSeconds": seconds }), &json!({ "audiences": audiences }));
        let request = token_request(&spec);
        let world = Arc::clone(&self.world);
        let issued = effect(&self.world, async move { token(&world, &session, &address, &request, seconds).await });
        issued.await.map(|(credential, _)| credential)
    }

    pub(super) async fn get_behind_as(
        &mut self,
        namespace: &str,
        account: &str,
        target: &Target,
        path: &str,
    ) -> Result<Vec<u8>, Error> {
        let address = account_of(namespace, account)?;
        self.decide_kube(&address.call(KubeVerb::Token))?;
        let path = self.behind(target, path)?;
        let session = self.cluster()?;
        // Anybody else's account would let a module act with rights that the environment did not give it.
        if session.made.uid(&address).is_none() {
            return Err(failure("not-ours", format!("this run did not make {address}")));
        }
        let seconds = SHORTEST;
        let request = token_request(&json!({ "expirationSeconds": seconds }));
        let world = Arc::clone(&self.world);
        effect(&self.world, async move {
            let (_, token) = token(&world, &session, &address, &request, seconds).await?;
            let session = session.by_token(token);
            let end = tokio::time::Instant::now() + BOUND;
            let mut pauses = Pauses::default();
            loop {
                match session.raw(&path).await {
                    Err(error) if error.code() == Some(403) && tokio::time::Instant::now() < end => {
                        tokio::time::sleep(pauses.next_pause()).await;
                    }
                    answer => return bounded(answer?),
                }
            }
        })
        .await
    }
}

fn account_of(namespace: &str, name: &str) -> Result<Address, Error> {
    Ok(Address::new("", "v1", "serviceaccounts", Some(namespace), Some(name))?)
}

fn token_request(spec: &Value) -> Value {
    json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec })
}

async fn approve(world: &World, session: &Session, address: &Address) -> Result<Credential, Error> {
    let request = session.get(address).await?;
    let seconds = request.pointer("/spec/expirationSeconds").and_then(Value::as_u64).unwrap_or(365 * 86_400);
    let act = issued("a client certificate with its key".into(), seconds, None);
    let id = intend(world, session, format!("approve {address}"), act)?;
    let approved = json!({
        "type": "Approved", "status": "True", "reason": "FoilRun", "message": "approved by a Foil run; deleted when it ends",
    });
    let request = merged(&request, &json!({ "status": { "conditions": [approved] } }));
    fault::point("effect.before");
    let answer = session.put_to(address, "approval", &request).await;
    fault::point("effect.after");
    if let Err(error) = answer {
        not_done(world, id, &error)?;
        return Err(error.into());
    }
    let end = tokio::time::Instant::now() + ISSUED;
    let mut pauses = Pauses::default();
    let certificate = loop {
        let now = session.get(address).await?;
        let issued = object::text(&now, "/status/certificate");
        if !issued.is_empty() {
            break issued.to_owned();
        }
        if tokio::time::Instant::now() >= end {
            return Err(failure(
                "prerequisite",
                format!("{address} was approved, and no signer issued a certificate within {ISSUED:?}"),
            ));
        }
        tokio::time::sleep(pauses.next_pause()).await;
    };
    let credential = read_certificate(&certificate)?;
    world
        .journal
        .applied(id, Learned::Object(&json!({ "expires-at": credential.expires_at })))
        .map_err(from_journal)?;
    Ok(credential)
}

async fn token(
    world: &World,
    session: &Session,
    account: &Address,
    request: &Value,
    seconds: u32,
) -> Result<(Credential, Token), Error> {
    let with = session.made.uid(account).map(|_| "its account".to_owned());
    let act = issued("a token".into(), u64::from(seconds), with);
    let id = intend(world, session, format!("request a token of {account}"), act)?;
    fault::point("effect.before");
    let answer = session.post_to(account, "token", request).await;
    fault::point("effect.after");
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            not_done(world, id, &error)?;
            return Err(error.into());
        }
    };
    let token = Token::new(object::text(&answer, "/status/token").to_owned());
    let expires = object::text(&answer, "/status/expirationTimestamp").parse::<jiff::Timestamp>();
    let expires_at =
        expires.ok().and_then(|t| u64::try_from(t.as_nanosecond()).ok()).unwrap_or_else(|| ends(u64::from(seconds)));
    world.journal.applied(id, Learned::Object(&json!({ "expires-at": expires_at }))).map_err(from_journal)?;
    let of = |part: &Option<String>| part.clone().unwrap_or_default();
    let subject = format!("system:serviceaccount:{}:{}", of(&account.namespace), of(&account.name));
    Ok((Credential { subject, expires_at }, token))
}

fn issued(what: String, seconds: u64, with: Option<String>) -> Act {
    Act::Issued { what, until: ends(seconds), with }
}

fn ends(seconds: u64) -> u64 {
    unix_nanos().saturating_add(seconds.saturating_mul(1_000_000_000))
}
