//! The proxy on the way to a cluster, as `kubectl` chooses it: `proxy-url` of the kubeconfig, or else the environment's
//! `HTTPS_PROXY` and `HTTP_PROXY` for hosts that `NO_PROXY` does not name and that are not this machine.

use super::AccessError;
use http::Uri;
use std::net::IpAddr;

/// The schemes of proxies that can be used.
const SCHEMES: [&str; 3] = ["http", "https", "socks5"];

/// The proxy for this server; `None`: none.
///
/// # Errors
/// It is no address of a proxy. Its user and password are never repeated.
pub fn choose(
    proxy_url: Option<&str>,
    server: &Uri,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Uri>, AccessError> {
    if let Some(given) = proxy_url.map(str::trim).filter(|given| !given.is_empty()) {
        return parse("proxy-url", given).map(Some);
    }
    let either = |upper: &str, lower: &str| {
        env(upper).filter(|v| !v.is_empty()).or_else(|| env(lower).filter(|v| !v.is_empty()))
    };
    let (field, proxy) = if server.scheme_str() == Some("http") {
        ("HTTP_PROXY", either("HTTP_PROXY", "http_proxy"))
    } else {
        ("HTTPS_PROXY", either("HTTPS_PROXY", "https_proxy"))
    };
    let Some(proxy) = proxy else { return Ok(None) };
    let (host, port) = (server.host().unwrap_or_default(), port(server));
    if is_local(host) || either("NO_PROXY", "no_proxy").is_some_and(|list| excepts(&list, host, port)) {
        return Ok(None);
    }
    parse(field, proxy.trim()).map(Some)
}

/// The proxy without user and password.
pub fn shown(proxy: &Uri) -> String {
    let host = proxy.host().unwrap_or_default();
    proxy.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn parse(field: &'static str, text: &str) -> Result<Uri, AccessError> {
    let wrong = |problem: &str| AccessError::Field { field, problem: problem.to_owned() };
    // `HTTPS_PROXY=host:3128` is common.
    let text = if text.contains("://") { text.to_owned() } else { format!("http://{text}") };
    let uri: Uri = text
        .parse()
        .map_err(|_| wrong("is not a URL such as http://HOST:PORT (percent-encode what is special in a password)"))?;
    match uri.scheme_str() {
        Some(scheme) if SCHEMES.contains(&scheme) && has_place(&uri) => Ok(uri),
        _ => Err(wrong("is not a proxy that Foil can use: http://, https:// or socks5://")),
    }
}

/// Whether the URL has a host and, where it has a port, one that is a number.
pub fn has_place(uri: &Uri) -> bool {
    let Some(authority) = uri.authority() else { return false };
    let place = authority.as_str().rsplit('@').next().unwrap_or_default();
    let rest = place.strip_prefix(authority.host()).unwrap_or(place);
    !authority.host().is_empty() && (rest.is_empty() || rest == ":" || authority.port_u16().is_some())
}

fn port(server: &Uri) -> u16 {
    server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 })
}

fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

fn is_local(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || bare(host).parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Whether a `NO_PROXY` list names the host: `*`, an address, a network, a domain with all below it, or `.domain` for those below
/// it only; each, but networks, with a port where it has one.
fn excepts(list: &str, host: &str, port: u16) -> bool {
    let host = bare(host).trim_end_matches('.').to_ascii_lowercase();
    let ip = host.parse::<IpAddr>().ok();
    list.split(',').map(|entry| entry.trim().to_ascii_lowercase()).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        if let Some((network, bits)) = entry.split_once('/') {
            return ip.is_some_and(|ip| within(ip, network, bits));
        }
        let (name, wanted) = match entry.rsplit_once(':') {
            // An IPv6 address has colons of its own.
            Some((name, wanted)) if bare(&entry).parse::<IpAddr>().is_err() => (name, Some(wanted)),
            _ => (entry.as_str(), None),
        };
        if wanted.is_some_and(|wanted| wanted.parse() != Ok(port)) {
            return false;
        }
        if let Ok(named) = bare(name).parse::<IpAddr>() {
            return ip == Some(named);
        }
        let name = name.strip_prefix('*').unwrap_or(name);
        match name.strip_prefix('.') {
            Some(_) => host.ends_with(name),
            None => host == name || host.strip_suffix(name).is_some_and(|rest| rest.ends_with('.')),
        }
    })
}

fn within(ip: IpAddr, network: &str, bits: &str) -> bool {
    let (Ok(network), Ok(bits)) = (network.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    match (ip, network) {
        (IpAddr::V4(ip), IpAddr::V4(network)) if bits <= 32 => {
            let shift = 32_u32.saturating_sub(bits);
            ip.to_bits().checked_shr(shift) == network.to_bits().checked_shr(shift)
        }
        (IpAddr::V6(ip), IpAddr::V6(network)) if bits <= 128 => {
            let shift = 128_u32.saturating_sub(bits);
            ip.to_bits().checked_shr(shift) == network.to_bits().checked_shr(shift)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(server: &str, proxy_url: Option<&str>, env: &[(&str, &str)]) -> Option<String> {
        let look = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        choose(proxy_url, &server.parse().unwrap(), &look).unwrap().map(|uri| shown(&uri))
    }

    #[test]
    fn the_proxy_is_the_one_that_kubectl_takes() {
        let env = [("HTTPS_PROXY", "http://u:S3CR3T@p:3128"), ("HTTP_PROXY", "q:1")];
        assert_eq!(chosen("https://k8s.example:6443", None, &env).as_deref(), Some("p:3128"));
        assert_eq!(chosen("http://k8s.example", None, &env).as_deref(), Some("q:1"));
        assert_eq!(chosen("https://k8s.example", Some("http://own:1"), &env).as_deref(), Some("own:1"));
        assert_eq!(chosen("https://127.0.0.1:6443", None, &env), None, "this machine");
        assert_eq!(chosen("https://127.0.0.1:6443", Some("socks5://own:1"), &env).as_deref(), Some("own:1"));
        assert_eq!(chosen("https://k8s.example", None, &[]), None);
    }

    #[test]
    fn no_proxy_names_hosts_domains_addresses_and_networks() {
        for (list, host, port, named) in [
            ("*", "a.b", 443, true),
            ("a.b", "a.b", 443, true),
            ("a.b", "x.A.b", 443, true),
            ("a.b", "xa.b", 443, false),
            (".a.b", "a.b", 443, false),
            (".a.b", "x.a.b", 443, true),
            ("*.a.b", "x.a.b", 443, true),
            ("x, a.b:6443", "a.b", 6443, true),
            ("a.b:6443", "a.b", 443, false),
            ("10.0.0.0/8", "10.1.2.3", 443, true),
            ("10.0.0.0/8", "11.1.2.3", 443, false),
            ("0.0.0.0/0", "11.1.2.3", 443, true),
            ("10.0.0.0/33", "10.0.0.0", 443, false),
            ("10.0.0.1", "10.0.0.1", 443, true),
            ("fd00::/8", "[fd00::1]", 443, true),
            ("fd00::1", "[fd00::1]", 443, true),
            ("[fd00::1]:6443", "[fd00::1]", 443, false),
            ("", "a", 443, false),
        ] {
            assert_eq!(excepts(list, host, port), named, "{list} {host}:{port}");
        }
    }

    #[test]
    fn a_password_is_never_repeated() {
        for bad in ["ftp://u:S3CR3T@h", "http://u:S3CR3T@h o", "http://u:S3CR3T@", "http://u:S3CR3T@h:port"] {
            let error = choose(Some(bad), &"https://k".parse().unwrap(), &|_| None).unwrap_err();
            assert!(!format!("{error} {error:?}").contains("S3CR3T"), "{bad}: {error}");
        }
    }
}
