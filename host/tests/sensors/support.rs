//! What the tests share.

use foil_collector::inbox::{Inbox, Subscription};
use foil_collector::{Event, EventLog, LogLimits, ProcessTree};
use foil_policy::sources::{FileFormat, FileSource, InboxSource};
use foil_text::RunId;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos() as u64
}

/// A log of a new run.
pub fn log() -> Arc<EventLog> {
    log_of(&ProcessTree::without_connector(), LogLimits::default())
}

pub fn log_of(tree: &Arc<ProcessTree>, limits: LogLimits) -> Arc<EventLog> {
    Arc::new(EventLog::new(RunId::new(), Some(Arc::clone(tree)), limits))
}

pub fn source(path: &Path, format: FileFormat) -> FileSource {
    FileSource { path: path.to_str().expect("UTF-8").to_owned(), format, ..FileSource::default() }
}

/// All events so far.
pub fn events(log: &EventLog) -> Vec<Event> {
    log.read(0, usize::MAX).events
}

/// A field of all events so far.
pub fn values(log: &EventLog, field: &str) -> Vec<String> {
    events(log).iter().map(|event| event.fields.get(field).cloned().unwrap_or_default()).collect()
}

/// Waits until it is so, two seconds at most.
pub fn until(what: &str, mut so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while !so() {
        assert!(Instant::now() < deadline, "not within two seconds: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// An inbox on any port, with one subscriber.
pub fn inbox(log: &Arc<EventLog>) -> (Arc<Inbox>, Subscription) {
    let source = InboxSource { listen: "127.0.0.1:0".into(), ..InboxSource::default() };
    let inbox = Inbox::open(&source, Path::new("/")).expect("an inbox");
    let subscription = inbox.subscribe(log);
    (inbox, subscription)
}

/// A keep-alive connection, which speaks just enough HTTP.
pub struct Client(pub TcpStream);

impl Client {
    pub fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a connection");
        stream.set_nodelay(true).expect("nodelay");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        Self(stream)
    }

    /// Sends a request with these heads; the status and the whole answer.
    pub fn send(&mut self, first: &str, heads: &str, body: &[u8]) -> (u16, String) {
        let head = format!("{first} HTTP/1.1\r\nHost: x\r\n{heads}Content-Length: {}\r\n\r\n", body.len());
        self.0.write_all(&[head.as_bytes(), body].concat()).expect("sent");
        self.answer()
    }

    pub fn post(&mut self, path: &str, body: impl AsRef<[u8]>) -> (u16, String) {
        self.send(&format!("POST {path}"), "Content-Type: application/json\r\n", body.as_ref())
    }

    pub fn answer(&mut self) -> (u16, String) {
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let count = self.0.read(&mut buffer).expect("an answer");
            answer.extend_from_slice(&buffer[..count]);
            let text = String::from_utf8_lossy(&answer);
            let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
                let length =
                    head.to_ascii_lowercase().lines().find_map(|l| l.strip_prefix("content-length: ")?.parse().ok());
                body.len() >= length.unwrap_or(0)
            });
            if whole || count == 0 {
                let status = text.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
                return (status, text.into_owned());
            }
        }
    }
}
