//! A sensor's health endpoint: one request, no redirects, and to an address of this machine or of a private network only.

use http::Uri;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// How long all of it may take.
const WITHIN: Duration = Duration::from_secs(3);
/// How much of the answer is read, in bytes: its first line is all that counts.
const MOST: usize = 1 << 10;

/// Asks a health endpoint whether its sensor is well. Takes 3 s at most.
///
/// # Errors
/// A sentence: it does not answer, or not with 200.
pub async fn ask(url: &str) -> Result<(), String> {
    match tokio::time::timeout(WITHIN, status(url)).await {
        Ok(Ok(200)) => Ok(()),
        Ok(Ok(status)) => Err(format!("{url} answers with HTTP {status}")),
        Ok(Err(why)) => Err(format!("{url} does not answer: {why}")),
        Err(_) => Err(format!("{url} does not answer within {WITHIN:?}")),
    }
}

async fn status(url: &str) -> Result<u16, String> {
    let uri: Uri = url.parse().map_err(|_| "it is not a URL".to_owned())?;
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let addresses = tokio::net::lookup_host((host.as_str(), uri.port_u16().unwrap_or(80)));
    let addresses: Vec<SocketAddr> = addresses.await.map_err(|error| error.to_string())?.collect();
    // Names may mean anything: a health endpoint is on this machine or beside it.
    if let Some(outside) = addresses.iter().find(|address| !is_near(address.ip())) {
        return Err(format!("{} is not an address of this machine or of a private network", outside.ip()));
    }
    let mut stream = TcpStream::connect(addresses.as_slice()).await.map_err(|error| error.to_string())?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    let request = format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: foil\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(|error| error.to_string())?;
    let mut answer = Vec::new();
    let mut limited = stream.take(MOST as u64);
    while !answer.contains(&b'\n') {
        match limited.read_buf(&mut answer).await {
            Ok(0) => break,
            Ok(_) => {}
            Err(error) => return Err(error.to_string()),
        }
    }
    let first = String::from_utf8_lossy(answer.split(|byte| *byte == b'\n').next().unwrap_or_default()).into_owned();
    let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.trim().parse().ok());
    status.ok_or_else(|| "it does not speak HTTP".to_owned())
}

/// Whether an address is of this machine or of a private network.
fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private(),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};

    fn server(answer: &'static str) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/healthz", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let count = stream.read(&mut request).unwrap();
            assert!(request[..count].starts_with(b"GET /healthz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        url
    }

    #[tokio::test]
    async fn only_200_is_well() {
        assert_eq!(ask(&server("HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"status\":\"ok\"}")).await, Ok(()));
        for (answer, says) in [
            ("HTTP/1.1 503 Service Unavailable\r\n\r\n", "HTTP 503"),
            ("HTTP/1.1 302 Found\r\nLocation: /ok\r\n\r\n", "HTTP 302"),
            ("SSH-2.0-x\r\n", "does not speak HTTP"),
            ("", "does not speak HTTP"),
        ] {
            let why = ask(&server(answer)).await.unwrap_err();
            assert!(why.contains(says), "{why}");
        }
    }

    #[tokio::test]
    async fn what_is_not_there_or_far_away_is_not_well() {
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(&format!("http://{free}/")).await.unwrap_err().contains("does not answer"));
        for far in ["http://192.0.2.1/", "http://169.254.169.254/latest/meta-data/", "http://[2001:db8::1]:80/x"] {
            assert!(ask(far).await.unwrap_err().contains("private network"), "{far}");
        }
    }
}
