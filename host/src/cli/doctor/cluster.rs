//! The Kubernetes cluster that foil.yaml names.

use super::{Area, Finding};
use crate::cli::{Global, discover};
use foil_cluster::refusal::Refusal;
use foil_cluster::{Address, Cluster, KubeError, Session, object};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// How long all of it may take.
const MOST: Duration = Duration::from_secs(5);
/// How long an exec plugin may take of it, so that the finding names the plugin.
const MOST_OF_A_PLUGIN: Duration = Duration::from_secs(4);
/// Falco's pods that are counted.
const MOST_PODS: usize = 10_000;

pub(super) fn look(global: &Global) -> Vec<Finding> {
    let mut area = Area::new("kubernetes");
    // A file that cannot be read was said before.
    let Ok(environment) = discover::environment(global, None) else { return area.found };
    let Some(rule) = environment.value.cluster else { return area.found };
    let cluster = Arc::new(Cluster::new(rule, Path::new(&environment.value.folder)).within(MOST_OF_A_PLUGIN));
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            area.missing("cluster", format!("no thread to reach it with: {error}"), "look at the limits of this user");
            return area.found;
        }
    };
    let late = runtime.block_on(async { tokio::time::timeout(MOST, all(&mut area, &cluster)).await.is_err() });
    if late {
        let title = cluster.reference().title();
        let says = format!("{title} did not answer within {MOST:?}");
        area.missing("cluster", says, "look at it with `kubectl`, and at the way there");
    }
    // A connection that hangs is not waited for.
    runtime.shutdown_background();
    area.found
}

async fn all(area: &mut Area, cluster: &Arc<Cluster>) {
    let title = cluster.reference().title();
    let session = Session::of_foil(Arc::clone(cluster));
    match session.raw("/version").await {
        Ok(bytes) => {
            let said: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            area.ok("cluster", format!("{title} is reached: Kubernetes {}", shown(object::text(&said, "/gitVersion"))));
        }
        Err(error) => {
            return area.missing("cluster", format!("{title}: {error}"), remedy(&error, "`kubernetes:` of foil.yaml"));
        }
    }
    if identity(area, cluster, &title).await {
        namespace(area, &session).await;
        rights(area, &session).await;
        falco(area, &session).await;
    }
}

/// What to do about an error.
fn remedy(error: &KubeError, place: &str) -> String {
    match (error, error.refused()) {
        (_, Some(Refusal::Credentials)) => {
            "renew the credentials that the kubeconfig leads to, and look whether it is of this cluster".into()
        }
        (_, Some(Refusal::Rights(right))) => {
            format!(
                "give Foil's account the right to {right}: `foil show kubernetes.canary --rbac` prints what one \
                     technique takes"
            )
        }
        (KubeError::Access(_), _) => "mend what the kubeconfig says there".into(),
        (KubeError::Unreachable(_) | KubeError::Unanswered(_), _) => {
            format!("look at the way there, with `kubectl` and the same context, and at {place}")
        }
        _ => format!("mend {place} (`kubeconfig`, `context`), or the credentials that it leads to"),
    }
}

fn shown(text: &str) -> String {
    foil_text::visible(text, 60)
}

/// Whether it is the cluster that foil.yaml means, as far as it says.
async fn identity(area: &mut Area, cluster: &Arc<Cluster>, title: &str) -> bool {
    let pinned = &cluster.reference().uid;
    match cluster.uid().await {
        Err(error) => {
            area.missing(
                "identity",
                format!("{title} cannot be verified: {error}"),
                remedy(&error, "what is said above"),
            );
            false
        }
        Ok(uid) if pinned.is_empty() => {
            let remedy = format!(
                "where it is the right one, write below `kubernetes:` of foil.yaml: `cluster: {}`",
                shown(&uid)
            );
            area.missing("identity", format!("foil.yaml does not say which cluster {title} must be"), remedy);
            true
        }
        Ok(uid) if uid.eq_ignore_ascii_case(pinned) => {
            area.ok("identity", format!("it is the cluster that foil.yaml names ({pinned})"));
            true
        }
        Ok(uid) => {
            let says = format!("{title} is another cluster: its UID is {}, and foil.yaml names {pinned}", shown(&uid));
            area.missing("identity", says, "name the right context; or, where the cluster was made anew, its new UID");
            false
        }
    }
}

async fn namespace(area: &mut Area, session: &Session) {
    let Some(name) = &session.cluster().rule.namespace else {
        return area.ok("namespace", "foil.yaml names none: each run makes one of its own");
    };
    let looked = match Address::new("", "v1", "namespaces", None, Some(name)) {
        Ok(address) => session.get(&address).await,
        Err(error) => Err(error),
    };
    match looked {
        Ok(_) => area.ok("namespace", format!("{name} is there")),
        Err(error) if error.is_not_found() => {
            area.missing(
                "namespace",
                format!("{name} is not there"),
                format!("make it: `kubectl create namespace {name}`"),
            );
        }
        // Foil works without a look at it.
        Err(error) => unknown(area, "namespace", &error, &format!("the namespace {name}")),
    }
}

fn unknown(area: &mut Area, name: &'static str, error: &KubeError, what: &str) {
    area.warning(name, format!("{what} cannot be looked at: {error}"), remedy(error, "what is said above"));
}

/// What the account may do of what most techniques take: asked of the cluster, which changes nothing.
async fn rights(area: &mut Area, session: &Session) {
    let named = session.cluster().rule.namespace.as_deref();
    let mut asked = vec![("get", "pods", ""), ("create", "pods", ""), ("delete", "pods", ""), ("get", "pods", "exec")];
    if named.is_none() {
        asked.extend([("create", "namespaces", ""), ("delete", "namespaces", "")]);
    }
    let (mut may, mut may_not) = (Vec::new(), Vec::new());
    for (verb, resource, subresource) in asked {
        let what = format!("{verb} {resource}{}{subresource}", if subresource.is_empty() { "" } else { "/" });
        match allowed(session, named.unwrap_or_default(), (verb, resource, subresource)).await {
            Ok(true) => may.push(what),
            Ok(false) => may_not.push(what),
            Err(error) => return unknown(area, "rights", &error, "what Foil's account may do"),
        }
    }
    let place = named.map_or("in all namespaces".to_owned(), |name| format!("in {name}"));
    if may_not.is_empty() {
        return area.ok("rights", format!("the account may {} {place}", may.join(", ")));
    }
    let says = format!("the account may not {} {place}", may_not.join(", "));
    area.warning(
        "rights",
        says,
        "techniques differ in what they take: `foil show kubernetes.canary --rbac` prints the least of one",
    );
}

async fn allowed(
    session: &Session,
    namespace: &str,
    (verb, resource, sub): (&str, &str, &str),
) -> Result<bool, KubeError> {
    let address = Address::new("authorization.k8s.io", "v1", "selfsubjectaccessreviews", None, None)?;
    let attributes = json!({ "verb": verb, "resource": resource, "subresource": sub, "namespace": namespace });
    let review = json!({
        "apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview",
        "spec": { "resourceAttributes": attributes },
    });
    let answer = session.create(&address, &review).await?;
    Ok(answer.pointer("/status/allowed") == Some(&Value::Bool(true)))
}

async fn falco(area: &mut Area, session: &Session) {
    let rule = &session.cluster().rule.falco;
    let pods = match Address::new("", "v1", "pods", Some(&rule.namespace), None) {
        Ok(pods) => session.list_all(&pods, &rule.selector, MOST_PODS).await,
        Err(error) => Err(error),
    };
    let place = format!("in {} with the label {}", rule.namespace, shown(&rule.selector));
    match pods {
        Ok(pods) if pods.is_empty() => {
            let remedy =
                "name them by `kubernetes: falco:` of foil.yaml (`namespace`, `selector`), or install Falco there";
            area.warning("Falco", format!("no pod {place}"), remedy);
        }
        Ok(pods) => area.ok("Falco", format!("{} pod(s) {place}", pods.len())),
        Err(error) => unknown(area, "Falco", &error, &format!("the pods {place}")),
    }
}
