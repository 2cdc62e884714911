//! Starting a program in a container, by WebSocket.

use super::access::{Facts, Ready};
use super::exec::{Ended, Exec, Kept};
use super::refusal::{Refusal, Unmet};
use super::{KubeError, Session, transport};
use foil_text::visible;
use http::Request;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, AttachParams};
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// Starts a program and waits for its end.
///
/// # Errors
/// It was not started, or (`Unanswered`) the connection broke.
pub async fn run(session: &Session, exec: Exec) -> Result<Ended, KubeError> {
    let access = session.access().await?;
    let ready = tokio::time::timeout(exec.timeout, session.ready(&access)).await;
    let ready = ready.map_err(|_| KubeError::Unanswered("no credentials in time".into()))??;
    let client = decorated(session, ready);
    let namespace = exec.pod.namespace.clone().unwrap_or_default();
    let pods: Api<Pod> = Api::namespaced(client, &namespace);
    // A terminal without standard input loses what is written to it. Otherwise that is left alone: servers before 1.30 cannot be
    // told that it has ended.
    let params = AttachParams::default()
        .container(exec.container.clone())
        .stdin(exec.tty)
        .stdout(true)
        .stderr(!exec.tty)
        .tty(exec.tty);
    let name = exec.pod.name.clone().unwrap_or_default();
    let end = tokio::time::Instant::now() + exec.timeout;
    let connected = tokio::time::timeout_at(end, pods.exec(&name, &exec.command, &params)).await;
    let mut process = match connected {
        // Nothing was started that anybody could be waited for: the API server, or the node's kubelet, does not answer.
        Err(_) => {
            let why = format!("the node of {} did not start the program within {:?}", exec.pod, exec.timeout);
            return Err(KubeError::Unanswered(why));
        }
        Ok(Err(error)) => {
            let path = format!("{}/exec", exec.pod.path());
            return Err(session.explained(of(&error, &access.facts), (&http::Method::GET, &path, b""), &access).await);
        }
        Ok(Ok(process)) => process,
    };
    let status = process.take_status();
    // Held open to the end, as by a person who types nothing.
    let _stdin = process.stdin();
    let (stdout, stderr) = (process.stdout(), process.stderr());
    let (mut out, mut err) = (Kept::default(), Kept::default());
    let ended = {
        let whole = async {
            tokio::join!(take(stdout, exec.keep, &mut out), take(stderr, exec.keep, &mut err));
            match status {
                Some(status) => status.await,
                None => None,
            }
        };
        tokio::time::timeout_at(end, whole).await
    };
    process.abort();
    let (status, failure) = match ended {
        Err(_) => (None, None),
        Ok(None) => return Err(KubeError::Unanswered("the connection ended before the program did".into())),
        Ok(Some(status)) => meaning(&status),
    };
    Ok(Ended { status, failure, stdout: out, stderr: err })
}

/// The API's status of an ended program.
fn meaning(status: &k8s_openapi::apimachinery::pkg::apis::meta::v1::Status) -> (Option<i32>, Option<String>) {
    if status.status.as_deref() == Some("Success") {
        return (Some(0), None);
    }
    let causes = status.details.as_ref().and_then(|d| d.causes.as_ref()).into_iter().flatten();
    let exit =
        causes.filter(|c| c.reason.as_deref() == Some("ExitCode")).find_map(|c| c.message.as_deref()?.parse().ok());
    match exit {
        Some(code) => (Some(code), None),
        None => (None, Some(foil_text::cut(status.message.as_deref().unwrap_or("it was not started"), 400))),
    }
}

/// Reads a stream to its end and keeps its beginning.
async fn take(stream: Option<impl AsyncRead + Unpin>, keep: usize, kept: &mut Kept) {
    let Some(mut stream) = stream else { return };
    let mut buffer = vec![0; 16 << 10];
    while let Ok(n) = stream.read(&mut buffer).await {
        if n == 0 {
            break;
        }
        let part = buffer.get(..n).unwrap_or_default();
        let room = keep.saturating_sub(kept.bytes.len()).min(n);
        kept.bytes.extend_from_slice(part.get(..room).unwrap_or_default());
        kept.dropped = kept.dropped.saturating_add(n.saturating_sub(room) as u64);
    }
}

/// A client whose every request has the session's headers.
fn decorated(session: &Session, ready: Ready) -> kube::Client {
    let session = session.clone();
    let service = tower::service_fn(move |mut request: Request<kube::client::Body>| {
        let (client, decorated) =
            (ready.client.clone(), session.decorate(request.headers_mut(), ready.authorization.as_ref()));
        async move {
            decorated.map_err(|e| -> tower::BoxError { e.into() })?;
            client.send(request).await.map_err(tower::BoxError::from)
        }
    });
    kube::Client::new(service, "default")
}

fn of(error: &kube::Error, facts: &Facts) -> KubeError {
    match error {
        kube::Error::Api(status) => KubeError::Status {
            code: status.code,
            reason: visible(&status.reason, 80),
            message: visible(&status.message, 600),
            retry_after: None,
            refused: Unmet::of(&status.message, &Value::Null).map(Refusal::Unmet).map(Box::new),
        },
        other => transport::of_client(other, facts),
    }
}
