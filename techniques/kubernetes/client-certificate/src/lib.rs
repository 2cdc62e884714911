//! T1649: a credential that outlives every password, and that nobody holds.

use foil_sdk::prelude::*;
use std::time::Duration;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Parameters {
    common_name: Option<String>,
}

/// The shortest that the API takes.
const LIFETIME: Duration = Duration::from_secs(600);

struct ClientCertificate;

impl Technique for ClientCertificate {
    type Parameters = Parameters;

    fn detonate(context: &Context, parameters: &Parameters, _: &State) -> Result<Evidence> {
        let user = parameters.common_name.clone().unwrap_or_else(|| context.mark());
        let plain = |c: char| c.is_ascii_alphanumeric() || ":.@_-".contains(c);
        if !(1..=64).contains(&user.len()) || !user.chars().all(plain) {
            return Err(Error::Invalid("`common-name` must be 1 to 64 letters, digits and `:.@_-`".to_owned()));
        }
        let name = context.mark_for("certificate");
        if context.dry {
            kube::request_certificate(&name, "foil.dev/nobody", &user, &[], LIFETIME)?;
            return Ok(Evidence::new(["made the signing request ", &name, ", which nobody signs (dry)"].concat()));
        }
        kube::request_certificate(&name, "kubernetes.io/kube-apiserver-client", &user, &[], LIFETIME)?;
        let issued = kube::approve(&name)?;
        let ends = clock::rfc3339(issued.expires_at);
        Ok(Evidence::new(format!(
            "had a certificate issued that names {} until {ends}; its key is gone",
            issued.subject
        ))
        .fact("resource", "certificatesigningrequests")
        .fact("name", name)
        .fact("subject", issued.subject)
        .fact("expires-at", ends))
    }
}

foil_sdk::technique!(ClientCertificate);

#[cfg(test)]
mod tests {
    use super::*;
    use foil_sdk::fake;

    fn host() -> fake::Host {
        let host = fake::Host::for_technique(include_str!("../technique.toml"));
        host.cluster();
        host
    }

    fn signer(host: &fake::Host) -> String {
        let kind = kube::Kind::new("certificates.k8s.io", "v1", "certificatesigningrequests");
        let request = host.object_now(&kind, None, &host.context().mark_for("certificate")).unwrap();
        request["spec"]["signerName"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_request_is_made_and_approved() {
        let host = host();
        let evidence = host.detonate::<ClientCertificate>(&[]).unwrap();
        assert_eq!(evidence.get("subject"), Some(host.context().mark().as_str()));
        assert_eq!(evidence.get("expires-at"), Some("2027-01-15T08:00:00Z"));
        assert_eq!(signer(&host), "kubernetes.io/kube-apiserver-client");
        let name = host.context().mark_for("certificate");
        let calls = ["create", "approve"].map(|verb| format!("{verb} certificatesigningrequests {name}"));
        assert_eq!(host.kube_calls(), calls);
    }

    #[test]
    fn names_that_are_none_are_refused() {
        let host = host();
        for name in ["", "a b", "a/b", "ä", &"a".repeat(65)] {
            let error = host.detonate::<ClientCertificate>(&[("common-name", name.into())]).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)), "{name}: {error}");
        }
        assert!(host.kube_calls().is_empty());
        let given = host.detonate::<ClientCertificate>(&[("common-name", "system:node:a".into())]).unwrap();
        assert_eq!(given.get("subject"), Some("system:node:a"));
    }

    #[test]
    fn the_twin_has_nothing_issued() {
        let host = host();
        host.dry(true).detonate::<ClientCertificate>(&[]).unwrap();
        assert_eq!(host.kube_calls().len(), 1);
        assert_eq!(signer(&host), "foil.dev/nobody");
    }
}
