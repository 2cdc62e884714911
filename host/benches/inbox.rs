//! Events pushed over keep-alive connections into a run's log, beside a bare axum server that takes the body and forgets it.
//! `cargo bench --workspace --bench inbox`.

mod common;

use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use foil_collector::inbox::Inbox;
use foil_collector::{EventLog, LogLimits, ProcessTree};
use foil_policy::sources::InboxSource;
use foil_text::RunId;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

const CLIENTS: usize = 4;
const EVENTS: usize = 5_000;
const ROUNDS: usize = 10;
const ALERT: &str = include_str!("../tests/fixtures/falco/stock.jsonl");

fn main() {
    let body = ALERT.lines().next().expect("a recorded alert").as_bytes();
    let (mut ours, mut theirs): (Vec<Duration>, Vec<Duration>) = Default::default();
    let bare = bare();
    for round in 0..ROUNDS + 1 {
        let limits = LogLimits { events: 100_000, bytes: 1 << 30 };
        let log = Arc::new(EventLog::new(RunId::new(), Some(ProcessTree::without_connector()), limits));
        let source = InboxSource { listen: "127.0.0.1:0".to_owned(), ..InboxSource::default() };
        let inbox = Inbox::open(&source, Path::new("/")).expect("an inbox");
        let subscription = inbox.subscribe(&log);
        let times = (push(inbox.address(), body), push(bare, body));
        assert_eq!(log.newest(), (CLIENTS * EVENTS) as u64, "all of them are in the log");
        assert_eq!(subscription.verify(), None);
        if round > 0 {
            ours.push(times.0);
            theirs.push(times.1);
        }
    }
    let rate = (CLIENTS * EVENTS) as f64 / common::median(&mut ours).as_secs_f64();
    let name = format!("push of {} alerts by {CLIENTS} connections, {rate:.0} a second", CLIENTS * EVENTS);
    common::line(&name, &mut ours, "a server that forgets", &mut theirs);
}

/// A server with a runtime like the inbox's that reads the body and answers.
fn bare() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it does not block");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            let app = Router::new().route("/falco", post(|body: Bytes| async move { drop(body) }));
            axum::serve(listener, app).await.expect("it serves");
        });
    });
    address
}

/// How long it takes until the last of the events is answered.
fn push(address: SocketAddr, body: &[u8]) -> Duration {
    let head = format!(
        "POST /falco HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    let request = [head.as_bytes(), body].concat();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(address).expect("a connection");
                stream.set_nodelay(true).expect("nodelay");
                let mut answer = [0; 1024];
                for _ in 0..EVENTS {
                    stream.write_all(&request).expect("sent");
                    let count = stream.read(&mut answer).expect("an answer");
                    assert!(
                        answer[..count].starts_with(b"HTTP/1.1 200"),
                        "{}",
                        String::from_utf8_lossy(&answer[..count])
                    );
                }
            });
        }
    });
    began.elapsed()
}
