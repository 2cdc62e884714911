//! What uses the network.

use super::shell::Command;

/// Why the command reaches beyond the loopback interface.
pub(super) fn fetches(command: &Command) -> Option<String> {
    let words = command.arguments();
    let verb = |verbs: &str| words.iter().any(|w| verbs.split(' ').any(|verb| verb == w));
    let dev = command.files().chain(words).any(|w| w.starts_with("/dev/tcp/") || w.starts_with("/dev/udp/"));
    if dev && !is_local(command) {
        return Some("connects to the network".into());
    }
    // What these do with this machine's ports is done for others.
    let tunnel = match command.program() {
        "cloudflared" | "devtunnel" | "ngrok" | "openvpn" | "tor" => !words.is_empty(),
        "code" => verb("tunnel"),
        _ => false,
    };
    if tunnel {
        return Some("opens a tunnel through the network".into());
    }
    if words.is_empty() || verb("--version --help -V") {
        return None;
    }
    let listens = words.iter().any(|w| w.starts_with('-') && !w.starts_with("--") && w.contains('l'));
    let why = match command.program() {
        "curl" | "wget" | "aria2c" | "lynx" | "ftp" | "tftp" | "sftp" | "lftp" | "lwp-request" => {
            "fetches from the network, or sends to it"
        }
        "scp" | "rsync" if words.iter().any(|w| !w.starts_with(['/', '.', '-']) && w.contains(':')) => {
            "copies over the network"
        }
        "git" if verb("clone fetch pull push ls-remote submodule") => "fetches from the network",
        "ssh" | "telnet" | "whois" | "ssh-keyscan" | "ssh-copy-id" | "proxychains" | "ldapsearch" | "ldapadd"
        | "ldapmodify" | "smbclient" | "rpcclient" | "kinit" | "realm" | "adcli" => "connects to the network",
        "nc" | "ncat" | "netcat" if !listens => "connects to the network",
        "socat"
            if words.iter().any(|w| {
                ["TCP:", "TCP4:", "UDP:", "OPENSSL:"].iter().any(|to| w.to_ascii_uppercase().starts_with(to))
            }) =>
        {
            "connects to the network"
        }
        "openssl" if verb("s_client") => "connects to the network",
        "nmap" | "masscan" | "zmap" | "ping" | "ping6" | "traceroute" | "arping" | "fping" | "hping3" => {
            "probes the network"
        }
        "dig" | "nslookup" | "host" => "asks a name server",
        "apt" | "apt-get" | "aptitude" | "yum" | "dnf" | "zypper" | "apk" | "pkg" | "brew" | "snap" | "flatpak"
        | "microdnf"
            if verb("install update upgrade add dist-upgrade full-upgrade localinstall download build-dep") =>
        {
            "installs from the network"
        }
        "pacman" if words.iter().any(|w| w.starts_with("-S")) => "installs from the network",
        "pip" | "pip3" | "pipx" | "gem" | "npm" | "cargo" | "go" | "cpan" | "cpanm"
            if verb("install get i download") =>
        {
            "installs from the network"
        }
        python if python.starts_with("python") && words.windows(3).any(|w| w == ["-m", "pip", "install"]) => {
            "installs from the network"
        }
        "aws" | "az" | "gcloud" | "gsutil" | "stratus" | "terraform" if !verb("configure version help") => {
            "asks a cloud"
        }
        // A program in another language that names a URL; or one that is written so, to be run later.
        other
            if names_url(words)
                && (is_language(other) || (matches!(other, "echo" | "printf") && !command.writes.is_empty())) =>
        {
            "is a program that names a URL"
        }
        "docker" | "podman" if verb("pull push login") => "fetches from the network",
        _ => return None,
    };
    (!is_local(command)).then(|| why.into())
}

fn names_url(words: &[String]) -> bool {
    words.iter().any(|word| word.contains("http://") || word.contains("https://"))
}

/// Also where its path is in a variable of that name.
fn is_language(program: &str) -> bool {
    let program = program.to_ascii_lowercase();
    ["python", "perl", "ruby", "php", "node", "lua"].iter().any(|name| program.contains(name))
}

/// Everything that looks like a host is this machine: a run has a loopback interface of its own.
fn is_local(command: &Command) -> bool {
    let hosts = command.files().chain(command.arguments()).filter_map(|word| host(word));
    let mut any = false;
    for host in hosts {
        if !(host == "localhost" || host.starts_with("127.") || host == "::1") {
            return false;
        }
        any = true;
    }
    any
}

/// The host that a word names, if it clearly does.
fn host(word: &str) -> Option<&str> {
    let word = word.rsplit_once('=').map_or(word, |(_, value)| value);
    if let Some(path) = word.strip_prefix("/dev/tcp/").or_else(|| word.strip_prefix("/dev/udp/")) {
        return path.split('/').next();
    }
    let (url, rest) = word.split_once("://").map_or((false, word), |(_, rest)| (true, rest));
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    let host = match authority.strip_prefix('[').and_then(|v6| v6.split_once(']')) {
        Some((v6, _)) => v6,
        None if authority == "::1" => authority,
        None => authority.split(':').next()?,
    };
    let address = host.split('.').count() == 4 && host.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    (url || address || host == "localhost" || host == "::1").then_some(host)
}
