//! Connections: how many, and for how long.

use super::{Shared, request};
use axum::Router;
use axum::extract::Request;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

/// Most connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 512;
/// How long a request's head may take, from when the connection is ready for one. So it also ends connections that say nothing.
const HEAD: Duration = Duration::from_secs(30);
/// Most bytes of a request's head.
const MAX_HEAD: usize = 64 << 10;
/// How long a connection lives. Ends those whose other side no longer reads; sensors connect again.
const LIFE: Duration = Duration::from_secs(600);

/// Serves until it is told to stop.
pub async fn serve(
    listener: std::net::TcpListener,
    shared: Arc<Shared>,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let bodies = Arc::new(request::bodies());
    let app = Router::new().fallback(move |request: Request| {
        let (shared, bodies) = (Arc::clone(&shared), Arc::clone(&bodies));
        async move { request::answer(&shared, &bodies, request).await }
    });
    loop {
        let next = async {
            let slot = Arc::clone(&slots).acquire_owned().await.ok();
            (slot, listener.accept().await)
        };
        let (slot, accepted) = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            next = next => next,
        };
        match accepted {
            Ok((stream, _)) => drop(tokio::spawn(converse(stream, app.clone(), slot))),
            // No more descriptors, or the other side is gone already.
            Err(error) => {
                tracing::debug!("the inbox could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn converse(stream: TcpStream, app: Router, _slot: Option<OwnedSemaphorePermit>) {
    let _ = stream.set_nodelay(true);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
    let connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(app));
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = tokio::time::sleep(LIFE) => {
            // The request that is being answered is answered.
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(HEAD, connection).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection to the inbox broke off: {error}");
    }
}
