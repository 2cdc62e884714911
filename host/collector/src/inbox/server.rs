//! Connections: how many, and for how long.

use super::{Shared, request};
use crate::loss::{Cause, Loss, Origin};
use axum::body::Body;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::IpAddr;
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
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let slot = match Arc::clone(&slots).try_acquire_owned() {
                    Ok(slot) => Some(slot),
                    Err(_) => {
                        // Whoever waits behind this one may give up, and not come again.
                        shared.lose(Loss { origin: Origin::default(), cause: Cause::Crowded, count: 1 });
                        tokio::select! {
                            () = stop.cancelled() => return Ok(()),
                            slot = Arc::clone(&slots).acquire_owned() => slot.ok(),
                        }
                    }
                };
                let (shared, bodies) = (Arc::clone(&shared), Arc::clone(&bodies));
                tokio::spawn(converse(stream, peer.ip().to_canonical(), shared, bodies, slot));
            }
            // No more descriptors, or the other side is gone already.
            Err(error) => {
                tracing::debug!("the inbox could not accept a connection: {error}");
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    peer: IpAddr,
    shared: Arc<Shared>,
    bodies: Arc<Semaphore>,
    _slot: Option<OwnedSemaphorePermit>,
) {
    let _ = stream.set_nodelay(true);
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD).max_buf_size(MAX_HEAD);
    let told = Arc::clone(&shared);
    let service = hyper::service::service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
        let (shared, bodies) = (Arc::clone(&shared), Arc::clone(&bodies));
        async move { Ok::<_, Infallible>(request::answer(&shared, &bodies, peer, request.map(Body::new)).await) }
    });
    let connection = http.serve_connection(TokioIo::new(stream), service);
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
        // A sensor that speaks TLS here, or whose request ended in its head, had something to say. One that only looks whether
        // somebody listens sends nothing, and what a body lacked was said where it was read.
        if error.is_parse() || error.is_incomplete_message() {
            let why = if error.is_parse() { "it is not HTTP/1; is it TLS?" } else { "its request broke off" };
            let cause = Cause::NoRequest { from: peer, why: why.to_owned() };
            told.lose(Loss { origin: Origin::default(), cause, count: 1 });
        }
    }
}
