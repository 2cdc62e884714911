//! `foil:host/kube-read`.

use super::{address, from_kube, of_target, shown, timely};
use crate::capability::Guest;
use crate::capability::guest::failure;
use crate::engine::bindings::imports::kube_read::{Condition, Host, Page};
use crate::engine::bindings::imports::kube_types::{Kind, Target};
use crate::engine::bindings::types::Error;
use foil_cluster::{Selection, check_subresource, wait};
use foil_manifest::KubeVerb;
use foil_manifest::kube::KubeCall;

/// Objects of one page, and their bytes together.
const MAX_ITEMS: u32 = 500;
const MAX_PAGE: usize = 4 << 20;
/// Bytes behind a proxy.
const MAX_PROXY: usize = 1 << 20;
/// The longest path behind a proxy.
const MAX_PATH: usize = 1024;

impl Host for Guest {
    async fn get(&mut self, target: Target, subresource: Option<String>) -> wasmtime::Result<Result<String, Error>> {
        self.begin()?;
        Ok(self.get_object(&target, subresource.as_deref()).await)
    }

    async fn list(
        &mut self,
        kind: Kind,
        namespace: Option<String>,
        labels: String,
        fields: String,
        limit: u32,
        more: Option<String>,
    ) -> wasmtime::Result<Result<Page, Error>> {
        self.begin()?;
        let selection = Selection { labels: &labels, fields: &fields, limit, more: more.as_deref() };
        Ok(self.list_objects(&kind, namespace.as_deref(), selection).await)
    }

    async fn wait(
        &mut self,
        target: Target,
        until: Condition,
        timeout_ms: u32,
    ) -> wasmtime::Result<Result<String, Error>> {
        self.begin()?;
        Ok(self.wait_for(&target, until, timeout_ms).await)
    }

    async fn proxy(&mut self, target: Target, path: String) -> wasmtime::Result<Result<Vec<u8>, Error>> {
        self.begin()?;
        Ok(self.get_behind(&target, &path).await)
    }
}

impl Guest {
    async fn get_object(&mut self, target: &Target, subresource: Option<&str>) -> Result<String, Error> {
        let address = of_target(target)?;
        if let Some(subresource) = subresource {
            check_subresource(subresource)?;
        }
        let call = KubeCall { subresource: subresource.unwrap_or_default(), ..address.call(KubeVerb::Get) };
        self.decide_kube(&call)?;
        let session = self.cluster()?;
        let within = self.patience(None);
        let object = match subresource {
            None => timely(within, &call.to_string(), session.get(&address)).await,
            // Those that are more than a part of the object have functions, and verbs, of their own.
            Some(name @ ("proxy" | "log" | "exec" | "attach" | "portforward")) => {
                return Err(Error::Invalid(format!("`{name}` is no subresource to get")));
            }
            Some(name) => timely(within, &call.to_string(), session.get_subresource(&address, name)).await,
        };
        let object = object?;
        self.note_pod(&session, &address, &object);
        shown(&address.plural, object)
    }

    async fn list_objects(
        &mut self,
        kind: &Kind,
        namespace: Option<&str>,
        selection: Selection<'_>,
    ) -> Result<Page, Error> {
        let address = address(kind, namespace, None)?;
        self.decide_kube(&address.call(KubeVerb::List))?;
        if !(1..=MAX_ITEMS).contains(&selection.limit) {
            return Err(Error::Invalid(format!("`limit` is {}; it must be 1 to {MAX_ITEMS}", selection.limit)));
        }
        let (call, session) = (address.call(KubeVerb::List).to_string(), self.cluster()?);
        let page = timely(self.patience(None), &call, session.list(&address, selection)).await?;
        let (mut items, mut bytes) = (Vec::new(), 0_usize);
        for item in page.items {
            let item = shown(&address.plural, item)?;
            bytes = bytes.saturating_add(item.len());
            items.push(item);
        }
        if bytes > MAX_PAGE {
            return Err(Error::Limit(format!(
                "the objects have {bytes} bytes, more than {MAX_PAGE}: ask for fewer at once"
            )));
        }
        Ok(Page { items, more: page.more })
    }

    async fn wait_for(&mut self, target: &Target, until: Condition, timeout_ms: u32) -> Result<String, Error> {
        let address = of_target(target)?;
        self.decide_kube(&address.call(KubeVerb::Get))?;
        let session = self.cluster()?;
        let condition = match until {
            Condition::Present => wait::Condition::Present,
            Condition::Ready => wait::Condition::Ready,
            Condition::Ended => wait::Condition::Ended,
            Condition::Absent => wait::Condition::Absent,
        };
        let most = self.patience(Some(timeout_ms));
        match wait::wait(&session, &address, condition, most).await.map_err(from_kube)? {
            wait::Waited::Met(object) => {
                self.note_pod(&session, &address, &object);
                shown(&address.plural, object)
            }
            // The cluster does not give what the technique needs: no failure of the technique, and none of Foil.
            wait::Waited::Unmet(why) => Err(failure("prerequisite", format!("{address}: {why}"))),
        }
    }

    async fn get_behind(&mut self, target: &Target, path: &str) -> Result<Vec<u8>, Error> {
        let path = self.behind(target, path)?;
        let (session, call) = (self.cluster()?, format!("get {path}"));
        bounded(timely(self.patience(None), &call, session.raw(&path)).await?)
    }

    /// The path of a request through a proxy, once it is allowed.
    pub(super) fn behind(&self, target: &Target, path: &str) -> Result<String, Error> {
        let address = of_target(target)?;
        let whole = path.starts_with('/') && path.len() <= MAX_PATH && path.bytes().all(|b| b.is_ascii_graphic());
        let (plain, _) = path.split_once('?').unwrap_or((path, ""));
        // A dot or an escape could lead out of what the rule's pattern means.
        if !whole || plain.contains(['%', '\\', '#']) || plain.split('/').any(|part| part == "." || part == "..") {
            return Err(Error::Invalid("the path behind a proxy is absolute, without escapes, `.` and `..`".into()));
        }
        if !matches!(address.plural.as_str(), "nodes" | "pods" | "services") || !address.group.is_empty() {
            return Err(Error::Invalid("only nodes, pods and services have a proxy".into()));
        }
        self.decide_kube(&KubeCall { path: Some(path), ..address.call(KubeVerb::Proxy) })?;
        Ok(format!("{}/proxy{path}", address.path()))
    }
}

/// What is behind a proxy, where it is not too much.
pub(super) fn bounded(body: Vec<u8>) -> Result<Vec<u8>, Error> {
    if body.len() > MAX_PROXY {
        return Err(Error::Limit(format!("the answer has {} bytes, more than {MAX_PROXY}", body.len())));
    }
    Ok(body)
}
