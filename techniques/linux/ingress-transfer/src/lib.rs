//! T1105: bringing a tool along.

use foil_sdk::exec::Output;
use foil_sdk::prelude::*;
use std::time::Duration;

/// What the manifest shows a reviewer, word for word: a download without any tool for it.
const FETCH: &str = include_str!("fetch.sh");

#[derive(Clone, Copy, PartialEq, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Tool {
    Any,
    Curl,
    Wget,
    Bash,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    tool: Tool,
}

struct IngressTransfer;

impl Technique for IngressTransfer {
    type Parameters = Parameters;

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let mark = context.mark();
        let script =
            format!("#!/bin/sh\n# {mark}: harmless, of a detection test (Foil, linux.ingress-transfer)\necho {mark}\n");
        let url = loopback::publish("/foil-tool", &script)?;
        if context.dry {
            return Ok(Evidence::new("served a script and downloaded nothing (dry)"));
        }
        let target = context.in_scratch("foil-tool");
        for tool in [Tool::Curl, Tool::Wget, Tool::Bash] {
            if parameters.tool != Tool::Any && parameters.tool != tool {
                continue;
            }
            let Some(output) = download(tool, &url, &target)? else { continue };
            let program = output.ok()?.program;
            if files::read_all(&target, script.len())? != script.as_bytes() {
                return Err(Error::other(
                    "not-downloaded",
                    format!("{program} brought something else than was served"),
                ));
            }
            return Ok(Evidence::new(format!("downloaded {url} with {program}"))
                .fact("url", url)
                .fact("program", program)
                .fact("bytes", script.len()));
        }
        Err(Error::prerequisite("nothing to download with: install curl, wget or bash, or choose another `tool`"))
    }
}

/// `None` where the tool is not there.
fn download(tool: Tool, url: &str, target: &str) -> Result<Option<Output>> {
    let command = match tool {
        Tool::Curl => Command::new("/usr/bin/curl").args(["-fsS", "--max-time", "10", "-o", target, url]),
        Tool::Wget => Command::new("/usr/bin/wget").args(["-q", "-T", "10", "-O", target, url]),
        Tool::Any | Tool::Bash => {
            let port = url.split(&[':', '/'][..]).nth(4).unwrap_or_default();
            Command::new("/bin/bash").args(["-c", FETCH, "foil", port, "/foil-tool"])
        }
    };
    command.timeout(Duration::from_secs(15)).run_if_present()
}

foil_sdk::technique!(IngressTransfer);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        fake::Host::for_technique(include_str!("../technique.toml"))
    }

    /// A program that brings what was published to where its arguments, or the script, say.
    fn brings(host: &fake::Host, program: &str) {
        let world = host.clone();
        host.on_exec(program, move |_| {
            let (_, body) = world.published().remove(0);
            world.file(&world.context().in_scratch("foil-tool"), body);
            Ok(fake::output(""))
        });
    }

    #[test]
    fn curl_comes_first() {
        let host = host();
        brings(&host, "/usr/bin/curl");
        brings(&host, "/usr/bin/wget");
        let evidence = host.detonate::<IngressTransfer>(&[]).unwrap();
        assert_eq!(evidence.get("program"), Some("/usr/bin/curl"));
        assert_eq!(host.commands().len(), 1);
        let (path, body) = host.published().remove(0);
        assert_eq!(path, "/foil-tool");
        assert!(String::from_utf8(body).unwrap().contains(&host.context().mark()));
    }

    #[test]
    fn bash_is_enough_and_is_told_the_port() {
        let host = host();
        brings(&host, "/bin/bash");
        let evidence = host.detonate::<IngressTransfer>(&[]).unwrap();
        assert_eq!(evidence.get("program"), Some("/bin/bash"));
        assert_eq!(host.calls()[0].args[3..], ["41233", "/foil-tool"]);
    }

    #[test]
    fn the_tool_asked_for_or_none() {
        let host = host();
        brings(&host, "/usr/bin/curl");
        let error = host.detonate::<IngressTransfer>(&[("tool", "wget".into())]).unwrap_err();
        assert_eq!(error.code(), Some("prerequisite"));
        assert!(host.commands().is_empty());
    }

    #[test]
    fn something_else_than_was_served_is_no_success() {
        let host = host();
        let world = host.clone();
        host.on_exec("/usr/bin/curl", move |call| {
            world.file(&call.args[4], "<html>log in first</html>");
            Ok(fake::output(""))
        });
        assert_eq!(host.detonate::<IngressTransfer>(&[]).unwrap_err().code(), Some("not-downloaded"));
        host.on_exec("/usr/bin/curl", |_| Ok(fake::exit(7, "curl: (7) refused")));
        assert!(host.detonate::<IngressTransfer>(&[]).unwrap_err().to_string().contains("(7) refused"));
    }

    #[test]
    fn the_benign_twin_downloads_nothing() {
        let host = host();
        host.dry(true).detonate::<IngressTransfer>(&[]).unwrap();
        assert!(host.commands().is_empty());
        assert_eq!(host.published().len(), 1);
    }

    /// The real script against a real server on this machine's loopback, where there is a `bash`.
    #[test]
    fn the_script_downloads_byte_for_byte() {
        use std::io::{Read, Write};
        if !std::path::Path::new("/bin/bash").exists() {
            eprintln!("skipped: there is no /bin/bash to try the script with");
            return;
        }
        let scratch = std::env::temp_dir().join(format!("foil-fetch-{}", std::process::id()));
        std::fs::create_dir(&scratch).unwrap();
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = server.local_addr().unwrap().port().to_string();
        let answering = std::thread::spawn(move || {
            let (mut client, _) = server.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                assert_eq!(client.read(&mut byte).unwrap(), 1, "the request has an end");
                request.extend(byte);
            }
            client.write_all(b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n#!/bin/sh\n\necho \\x\n").unwrap();
            String::from_utf8_lossy(&request).into_owned()
        });
        let status = std::process::Command::new("/bin/bash")
            .args(["-c", FETCH, "foil", &port, "/foil-tool"])
            .env("FOIL_SCRATCH", &scratch)
            .status()
            .unwrap();
        let content = std::fs::read(scratch.join("foil-tool"));
        std::fs::remove_dir_all(&scratch).unwrap();
        assert!(status.success());
        assert!(answering.join().unwrap().starts_with("GET /foil-tool HTTP/1.0\r\n"));
        assert_eq!(content.unwrap(), b"#!/bin/sh\n\necho \\x\n");
    }
}
