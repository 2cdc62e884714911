//! Stands in for certificates in a build without the feature `kubernetes`, which reaches no cluster that could issue one.

use super::issue::Request;
use crate::capability::guest::failure;
use crate::engine::bindings::imports::kube_write::Credential;
use crate::engine::bindings::types::Error;

const WHY: &str = "this Foil was built without the feature `kubernetes`";

pub(super) fn signing_request(_: &Request) -> Result<String, Error> {
    Err(failure("certificate", WHY))
}

pub(super) fn read_certificate(_: &str) -> Result<Credential, Error> {
    Err(failure("certificate", WHY))
}
