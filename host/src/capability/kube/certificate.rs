//! Requests of certificates, and what a certificate says.

use super::issue::Request;
use crate::capability::guest::failure;
use crate::engine::bindings::imports::kube_write::Credential;
use crate::engine::bindings::types::Error;

/// A signing request, whose key is dropped here.
pub(super) fn signing_request(request: &Request) -> Result<String, Error> {
    let failed = |e: rcgen::Error| failure("certificate", format!("the certificate's request cannot be made: {e}"));
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(rcgen::DnType::CommonName, request.common_name.as_str());
    for organization in &request.organizations {
        params.distinguished_name.push(rcgen::DnType::OrganizationName, organization.as_str());
    }
    let pem = params.serialize_request(&key).and_then(|csr| csr.pem()).map_err(failed)?;
    Ok(base64(pem.as_bytes()))
}

/// Whom a certificate names, and when it ends.
pub(super) fn read_certificate(base64_pem: &str) -> Result<Credential, Error> {
    let unreadable = || failure("kubernetes", "the certificate that was issued cannot be read");
    let pem = unbase64(base64_pem).ok_or_else(unreadable)?;
    let (_, pem) = x509_parser::pem::parse_x509_pem(&pem).map_err(|_| unreadable())?;
    let certificate = pem.parse_x509().map_err(|_| unreadable())?;
    let seconds = u64::try_from(certificate.validity().not_after.timestamp()).unwrap_or_default();
    let subject = foil_text::cut(&certificate.subject().to_string(), 512);
    Ok(Credential { subject, expires_at: seconds.saturating_mul(1_000_000_000) })
}

fn base64(bytes: &[u8]) -> String {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unbase64(text: &str) -> Option<Vec<u8>> {
    use ::base64::Engine as _;
    ::base64::engine::general_purpose::STANDARD.decode(text).ok()
}
