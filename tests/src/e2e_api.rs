//! A fake of a Kubernetes API server, for answers that no real one gives on demand.

use crate::e2e::Bench;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;

/// The UID that the fake's `kube-system` has by convention: [`environment`] names it.
pub const UID: &str = "11111111-2222-3333-4444-555555555555";

/// Serves plain HTTP on loopback until the test's process ends; returns the port. `answer` gets the method, the path with its
/// query, and the body, and returns the status and the object. Each connection has a thread of its own.
pub fn serve(answer: impl Fn(&str, &str, &[u8]) -> (u16, Value) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || _ = connection(stream, &*answer));
        }
    });
    port
}

/// What is answered to a method, path and body: a status and an object.
type Answer = dyn Fn(&str, &str, &[u8]) -> (u16, Value);

fn connection(mut stream: TcpStream, answer: &Answer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut first, mut length) = (String::new(), 0);
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
        }
        let mut line = String::new();
        while reader.read_line(&mut line)? > 2 {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap_or(0);
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let mut words = first.split_whitespace();
        let (method, path) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (status, object) = answer(method, path, &body);
        let object = object.to_string();
        let length = object.len();
        write!(
            stream,
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{object}"
        )?;
    }
}

/// Writes a kubeconfig for the fake on this port, and a `foil.yaml` that uses it with the namespace `security-testing`; `more`
/// are further lines below `kubernetes:`, indented by two.
pub fn environment(bench: &Bench, port: u16, more: &str) {
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\nclusters: [{{name: f, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
         users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: f, context: {{cluster: f, user: u}}}}]\n"
    );
    std::fs::write(bench.path("kubeconfig"), kubeconfig).expect("writable");
    let text = format!(
        "environment: fake\nparallel: 100\nkubernetes:\n  kubeconfig: kubeconfig\n  context: f\n  cluster: {UID}\n  \
         namespace: security-testing\n{more}"
    );
    bench.write("foil.yaml", &text);
}
