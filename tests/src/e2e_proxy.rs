//! A proxy between Foil and the real API server that fails as networks and servers do. Behind it is `kubectl proxy`, which speaks
//! plain HTTP on loopback.

use crate::e2e::until;
use crate::e2e_kube::Cluster;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What happens to a request.
#[derive(Debug, Clone)]
pub enum Fault {
    /// It is passed on, late.
    Delay(Duration),
    /// The connection is cut before it is passed on.
    Cut,
    /// It is carried out, and the answer is lost.
    LoseAnswer,
    /// It is not passed on, and answered with this status.
    Status(u16, &'static str),
    /// It is not passed on, and answered with what is no HTTP.
    Nonsense,
}

/// Which requests, and how many of them.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The method.
    pub method: &'static str,
    /// What the path contains.
    pub path: &'static str,
    /// How many more of them fail.
    pub times: u32,
    /// How.
    pub fault: Fault,
}

/// The proxy. Dropping it ends both.
pub struct Proxy {
    behind: Child,
    rules: Arc<Mutex<Vec<Rule>>>,
    /// A kubeconfig whose cluster is the proxy.
    pub kubeconfig: PathBuf,
    _folder: tempfile::TempDir,
}

impl Proxy {
    /// Starts one in front of the cluster, as its kubeconfig's user.
    pub fn new(cluster: &Cluster) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("api.sock");
        let behind = Command::new("kubectl")
            .arg("--kubeconfig")
            .arg(cluster.kubeconfig())
            .args(["proxy", "--disable-filter=true", "-u"])
            .arg(&socket)
            .stdout(Stdio::null())
            .spawn()
            .expect("kubectl proxy");
        until(Duration::from_secs(10), "kubectl proxy listens", || socket.exists());
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let rules: Arc<Mutex<Vec<Rule>>> = Arc::default();
        let of_thread = Arc::clone(&rules);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (rules, socket) = (Arc::clone(&of_thread), socket.clone());
                // A client that goes away is none of our business.
                std::thread::spawn(move || _ = serve(stream, &rules, &socket));
            }
        });
        let kubeconfig = folder.path().join("kubeconfig");
        let name = cluster.kubectl(&["config", "current-context"]);
        let text = format!(
            "apiVersion: v1\nkind: Config\nclusters: [{{name: p, cluster: {{server: \"http://127.0.0.1:{port}\"}}}}]\n\
             users: [{{name: u, user: {{}}}}]\ncontexts: [{{name: {0}, context: {{cluster: p, user: u}}}}]\ncurrent-context: {0}\n",
            name.trim()
        );
        std::fs::write(&kubeconfig, text).expect("writable");
        Self { behind, rules, kubeconfig, _folder: folder }
    }

    /// From now on these requests fail.
    pub fn fail(&self, rules: &[Rule]) {
        *self.rules.lock().expect("no panic") = rules.to_vec();
    }

    /// How many requests still would.
    pub fn left(&self) -> u32 {
        self.rules.lock().expect("no panic").iter().map(|rule| rule.times).sum()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.behind.kill();
        let _ = self.behind.wait();
    }
}

fn serve(mut client: TcpStream, rules: &Mutex<Vec<Rule>>, socket: &std::path::Path) -> std::io::Result<()> {
    let mut reader = BufReader::new(client.try_clone()?);
    let (mut head, mut line) = (String::new(), String::new());
    while reader.read_line(&mut line)? > 2 {
        head.push_str(&line);
        line.clear();
    }
    let mut first = head.split_whitespace();
    let (method, path) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let header = |name: &str| {
        head.lines().find_map(|line| {
            line.split_once(':').filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned())
        })
    };
    let length = header("content-length").and_then(|value| value.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let fault = {
        let mut rules = rules.lock().expect("no panic");
        let rule = rules.iter_mut().find(|r| r.times > 0 && r.method == method && path.contains(r.path));
        rule.map(|rule| {
            rule.times -= 1;
            rule.fault.clone()
        })
    };
    match &fault {
        Some(Fault::Cut) => return client.shutdown(Shutdown::Both),
        Some(Fault::Nonsense) => return client.write_all(b"\x16\x03\x01 what is this\r\n\r\n"),
        Some(Fault::Status(code, reason)) => {
            let body = format!(
                r#"{{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"{reason}","message":"as the test says","code":{code}}}"#
            );
            let retry = if *code == 429 { "Retry-After: 1\r\n" } else { "" };
            return write!(
                client,
                "HTTP/1.1 {code} X\r\n{retry}Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
        }
        Some(Fault::Delay(span)) => std::thread::sleep(*span),
        Some(Fault::LoseAnswer) | None => {}
    }
    let mut server = std::os::unix::net::UnixStream::connect(socket)?;
    let upgrade = header("upgrade").is_some();
    let kept = head.lines().filter(|l| upgrade || !l.to_ascii_lowercase().starts_with("connection:"));
    let mut request: String = kept.flat_map(|l| [l.trim_end(), "\r\n"]).collect();
    request.push_str(if upgrade { "\r\n" } else { "Connection: close\r\n\r\n" });
    server.write_all(request.as_bytes())?;
    server.write_all(&body)?;
    if upgrade {
        let (mut up, mut from) = (server.try_clone()?, reader);
        let forth = std::thread::spawn(move || {
            _ = std::io::copy(&mut from, &mut up).and_then(|_| up.shutdown(Shutdown::Write))
        });
        std::io::copy(&mut server, &mut client)?;
        client.shutdown(Shutdown::Both)?;
        let _ = forth.join();
        return Ok(());
    }
    let mut answer = Vec::new();
    server.read_to_end(&mut answer)?;
    if matches!(fault, Some(Fault::LoseAnswer)) {
        return client.shutdown(Shutdown::Both);
    }
    client.write_all(&answer)?;
    client.shutdown(Shutdown::Write)
}
