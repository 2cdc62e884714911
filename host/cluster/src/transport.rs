//! What went wrong on the way to a server and back, told by the types of the errors: their words may repeat addresses with passwords.

use super::KubeError;
use super::access::Facts;
use rustls::CertificateError;
use std::error::Error;
use std::io::ErrorKind;

/// An error of the client: nothing arrived, or perhaps it did.
pub(super) fn of_client(error: &kube::Error, facts: &Facts) -> KubeError {
    match error {
        // A request that was not sent: it cannot be written as one.
        kube::Error::HttpError(_) | kube::Error::BuildRequest(_) => {
            KubeError::Invalid("the request cannot be written as HTTP".into())
        }
        kube::Error::UpgradeConnection(_) => {
            KubeError::Unanswered(format!("{} did not open the stream that was asked for", facts.server))
        }
        other => of_error(other, facts),
    }
}

/// Any error below it.
pub(super) fn of_error(error: &(dyn Error + 'static), facts: &Facts) -> KubeError {
    let tls = chain(error).find_map(|error| error.downcast_ref::<rustls::Error>());
    let place = match &facts.proxy {
        Some(proxy) => format!("{} through the proxy {proxy}", facts.server),
        None => facts.server.clone(),
    };
    if let Some(tls) = tls {
        let why = format!("{place}: {}", certificate(tls, facts));
        // A certificate that is not trusted is told before anything is sent.
        return if matches!(tls, rustls::Error::InvalidCertificate(_)) {
            KubeError::Unreachable(why)
        } else {
            KubeError::Unanswered(why)
        };
    }
    if let Some(kind) = streams(error).map(std::io::Error::kind).find(|kind| nothing_arrived(*kind)) {
        return KubeError::Unreachable(format!("{place}: {kind}"));
    }
    if let Some(kind) = streams(error).map(std::io::Error::kind).find(|kind| broke(*kind)) {
        return KubeError::Unanswered(format!("{place}: {kind}"));
    }
    if let Some(error) = chain(error).find_map(|error| error.downcast_ref::<hyper::Error>()) {
        let why = match error {
            error if error.is_parse() => "it does not speak HTTP",
            error if error.is_timeout() => "it took too long",
            error if error.is_incomplete_message() || error.is_closed() => "it closed the connection",
            _ => "the connection broke",
        };
        return KubeError::Unanswered(format!("{place}: {why}"));
    }
    let hint = if facts.proxy.is_some() {
        ": look at the proxy, and at the name of the server"
    } else {
        ": look at the server's name and port"
    };
    KubeError::Unanswered(format!("{place}: no connection could be made{hint}"))
}

/// The error and all below it. A stream's error says what is inside of it by another way than as its source.
fn chain<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let error = next?;
        let inside = error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        next = inside.map(|inside| inside as &(dyn Error + 'static)).or_else(|| error.source());
        Some(error)
    })
}

fn streams<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a std::io::Error> {
    chain(error).filter_map(|error| error.downcast_ref())
}

/// A connection that was there broke; what else a stream says is in words alone.
fn broke(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof
            | ErrorKind::TimedOut
    )
}

/// A connection that was not made carried nothing.
fn nothing_arrived(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused
            | ErrorKind::NotFound
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
    )
}

/// What is wrong with the server's certificate, and what to do.
fn certificate(error: &rustls::Error, facts: &Facts) -> String {
    let rustls::Error::InvalidCertificate(error) = error else {
        return match error {
            rustls::Error::AlertReceived(_) => {
                "the server refused the TLS connection; it may want another client certificate".into()
            }
            rustls::Error::InvalidMessage(_) => {
                "the server does not speak TLS: the address may be one of plain HTTP".into()
            }
            _ => "no TLS connection could be agreed on".into(),
        };
    };
    match error {
        CertificateError::UnknownIssuer if facts.only_leaves => {
            "`certificate-authority` of the kubeconfig holds the certificate of a server and not of an authority: give it the certificate \
             of the authority that signed the server's (`kubectl` trusts a server's own certificate; Foil does not)"
                .into()
        }
        CertificateError::UnknownIssuer => {
            "its certificate is signed by nobody whom `certificate-authority` of the kubeconfig, or this machine without one, trusts: \
             the kubeconfig may be of a cluster that was made anew, or something stands between"
                .into()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired: renew it, and look at this machine's clock".into()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet: look at this machine's clock".into()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name: use a `server` that it names, or `tls-server-name` of the kubeconfig".into()
        }
        CertificateError::Revoked => "its certificate was revoked".into(),
        CertificateError::BadSignature => {
            "its certificate is signed with another key than that of `certificate-authority`, which has the same name: the kubeconfig may \
             be of a cluster that was made anew"
                .into()
        }
        _ => "its certificate cannot be trusted".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(only_leaves: bool) -> Facts {
        Facts { server: "k8s:6443".into(), proxy: Some("p:3128".into()), only_leaves }
    }

    #[test]
    fn certificates_are_explained_and_words_of_libraries_are_not_passed_on() {
        for (error, only_leaves, word) in [
            (CertificateError::UnknownIssuer, true, "holds the certificate of a server and not of an authority"),
            (CertificateError::UnknownIssuer, false, "made anew"),
            (CertificateError::Expired, false, "expired"),
            (CertificateError::NotValidForName, false, "tls-server-name"),
        ] {
            let inner = rustls::Error::InvalidCertificate(error);
            // As the client wraps it.
            let stream = std::io::Error::other(std::io::Error::new(ErrorKind::InvalidData, inner));
            let KubeError::Unreachable(text) = of_error(&stream, &facts(only_leaves)) else {
                panic!("nothing arrived")
            };
            assert!(text.contains(word) && text.contains("k8s:6443 through the proxy p:3128"), "{text}");
        }
        let words = std::io::Error::other("http://user:S3CR3T@proxy");
        assert!(!of_error(&words, &facts(false)).to_string().contains("S3CR3T"));
        let refused = std::io::Error::from(ErrorKind::ConnectionRefused);
        assert!(matches!(of_error(&refused, &facts(false)), KubeError::Unreachable(_)));
        let reset = std::io::Error::from(ErrorKind::ConnectionReset);
        assert!(matches!(of_error(&reset, &facts(false)), KubeError::Unanswered(_)));
    }
}
