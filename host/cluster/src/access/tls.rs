//! The certificates of a kubeconfig: whom Foil trusts, and with what it identifies itself.

use super::AccessError;
use super::files::{self, MAX_CREDENTIAL};
use base64::Engine as _;
use kube::config::{AuthInfo, Cluster};
use secrecy::{ExposeSecret as _, SecretString};
use std::path::Path;
use x509_parser::pem::Pem;
use x509_parser::prelude::{FromDer as _, X509Certificate, X509Version};

/// Whom Foil trusts to be the API server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots {
    /// The certificates, DER; `None`: those of this machine.
    pub ders: Option<Vec<Vec<u8>>>,
    /// None of them is of a certification authority: a server's own certificate stands there.
    pub only_leaves: bool,
}

/// A client certificate and its key, PEM.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The certificate, and those that signed it.
    pub certificate: String,
    /// The key.
    pub key: SecretString,
}

/// What `certificate-authority` says.
///
/// # Errors
/// It cannot be read, or has no certificate in it.
pub fn roots(cluster: &Cluster) -> Result<Roots, AccessError> {
    let data = cluster.certificate_authority_data.as_deref();
    let path = cluster.certificate_authority.as_deref();
    let Some((field, pem)) = given("certificate-authority", "certificate-authority-data", path, data)? else {
        return Ok(Roots::default());
    };
    roots_of(field, &pem)
}

/// The certificates of a PEM file.
///
/// # Errors
/// There is none in it.
pub fn roots_of(field: &'static str, pem: &[u8]) -> Result<Roots, AccessError> {
    let ders = certificates(field, pem)?;
    let is_ca = |der: &Vec<u8>| {
        X509Certificate::from_der(der).is_ok_and(|(_, certificate)| {
            // Authorities of version 1 have no extension that says so.
            let old = certificate.version() != X509Version::V3;
            certificate.basic_constraints().ok().flatten().map_or(old, |extension| extension.value.ca)
        })
    };
    let only_leaves = !ders.iter().any(is_ca);
    Ok(Roots { ders: Some(ders), only_leaves })
}

/// What `client-certificate` and `client-key` say.
///
/// # Errors
/// They cannot be read, are not PEM, or one of them lacks the other.
pub fn identity(user: &AuthInfo) -> Result<Option<Identity>, AccessError> {
    let key_data = user.client_key_data.as_ref().map(|key| key.expose_secret());
    let certificate = given(
        "client-certificate",
        "client-certificate-data",
        user.client_certificate.as_deref(),
        user.client_certificate_data.as_deref(),
    )?;
    let key = given("client-key", "client-key-data", user.client_key.as_deref(), key_data)?;
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some((field, certificate)), Some((_, key))) => {
            let text = |field, bytes| String::from_utf8(bytes).map_err(|_| not_pem(field));
            Ok(Some(identity_of(field, "client-key", text(field, certificate)?, text("client-key", key)?.into())?))
        }
        (Some(_), None) => Err(lone("client-certificate", "has no `client-key` beside it")),
        (None, Some(_)) => Err(lone("client-key", "has no `client-certificate` beside it")),
    }
}

/// A certificate and a key that belong together as far as their form says.
///
/// # Errors
/// One of them is not PEM.
pub fn identity_of(
    certificate_field: &'static str,
    key_field: &'static str,
    certificate: String,
    key: SecretString,
) -> Result<Identity, AccessError> {
    certificates(certificate_field, certificate.as_bytes())?;
    let private = |pem: &Pem| pem.label.ends_with("PRIVATE KEY");
    let has_key = Pem::iter_from_buffer(key.expose_secret().as_bytes()).filter_map(Result::ok).any(|pem| private(&pem));
    if !has_key {
        return Err(not_pem(key_field));
    }
    Ok(Identity { certificate, key })
}

fn lone(field: &'static str, problem: &str) -> AccessError {
    AccessError::Field { field, problem: problem.into() }
}

fn not_pem(field: &'static str) -> AccessError {
    lone(field, "is not PEM (`-----BEGIN …`), or broken")
}

/// The field that holds, and its bytes. Data that is there and empty says nothing, as `kubectl` has it.
fn given(
    file: &'static str,
    inline: &'static str,
    path: Option<&str>,
    data: Option<&str>,
) -> Result<Option<(&'static str, Vec<u8>)>, AccessError> {
    if let Some(data) = data.map(str::trim).filter(|data| !data.is_empty()) {
        // Line breaks of a folded value are no part of it.
        let data: String = data.split_ascii_whitespace().collect();
        let bytes = base64::engine::general_purpose::STANDARD.decode(data);
        return bytes.map(|bytes| Some((inline, bytes))).map_err(|_| lone(inline, "is not base64"));
    }
    let Some(path) = path.filter(|path| !path.is_empty()) else { return Ok(None) };
    Ok(Some((file, files::read(file, Path::new(path), MAX_CREDENTIAL)?)))
}

/// The certificates of a PEM text, DER.
fn certificates(field: &'static str, pem: &[u8]) -> Result<Vec<Vec<u8>>, AccessError> {
    let mut all = Vec::new();
    for pem in Pem::iter_from_buffer(pem) {
        let pem = pem.map_err(|_| not_pem(field))?;
        if pem.label == "CERTIFICATE" {
            X509Certificate::from_der(&pem.contents)
                .map_err(|_| lone(field, "holds a certificate that cannot be read"))?;
            all.push(pem.contents);
        }
    }
    if all.is_empty() {
        Err(lone(field, "holds no certificate in PEM (`-----BEGIN CERTIFICATE-----`)"))
    } else {
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(ca: bool) -> (String, String) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.is_ca =
            if ca { rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained) } else { rcgen::IsCa::ExplicitNoCa };
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn cluster(data: &str) -> Cluster {
        Cluster { certificate_authority_data: Some(data.to_owned()), ..Cluster::default() }
    }

    fn base64(text: &str) -> String {
        base64::engine::general_purpose::STANDARD.encode(text)
    }

    #[test]
    fn a_servers_own_certificate_is_known_for_what_it_is() {
        for (ca, only_leaves) in [(true, false), (false, true)] {
            let found = roots(&cluster(&base64(&pem(ca).0))).unwrap();
            assert_eq!((found.ders.unwrap().len(), found.only_leaves), (1, only_leaves));
        }
        assert_eq!(roots(&cluster("")).unwrap(), Roots::default(), "empty data is no authority");
    }

    #[test]
    fn what_is_no_certificate_is_said_by_field_and_never_by_value() {
        let broken = base64("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        for (data, word) in [("S3CR3T!", "base64"), ("UzNDUjNU", "no certificate"), (broken.as_str(), "cannot be read")]
        {
            let error = roots(&cluster(data)).unwrap_err().to_string();
            assert!(error.contains("certificate-authority-data") && error.contains(word), "{error}");
            assert!(!error.contains("S3CR3T") && !error.contains("UzND"), "{error}");
        }
    }

    #[test]
    fn a_certificate_and_its_key_come_together() {
        let (certificate, key) = pem(false);
        let user = |certificate: Option<&str>, key: Option<&str>| AuthInfo {
            client_certificate_data: certificate.map(base64),
            client_key_data: key.map(|key| base64(key).into()),
            ..AuthInfo::default()
        };
        assert!(identity(&user(Some(&certificate), Some(&key))).unwrap().is_some());
        assert!(identity(&user(None, None)).unwrap().is_none());
        for bad in [
            user(Some(&certificate), None),
            user(None, Some(&key)),
            user(Some(&certificate), Some("x")),
            user(Some("x"), Some(&key)),
        ] {
            assert!(matches!(identity(&bad), Err(AccessError::Field { .. })));
        }
    }
}
