//! `foil:host/loopback-serve`: bytes on the run's own loopback.

use super::Guest;
use super::guest::from_shield;
use crate::engine::bindings::imports::loopback_serve::Host;
use crate::engine::bindings::types::Error;
use foil_manifest::CapabilityName;

const MAX_BODY: usize = 1 << 20;

impl Host for Guest {
    async fn publish(&mut self, path: String, body: Vec<u8>) -> wasmtime::Result<Result<String, Error>> {
        self.begin()?;
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
        if !path.starts_with('/') || path.len() > 256 || !path.chars().all(plain) || path.contains("..") {
            return Ok(Err(Error::Invalid(
                "a path is `/` and letters, digits, `-`, `_`, `.`; at most 256 bytes".into(),
            )));
        }
        if body.len() > MAX_BODY {
            return Ok(Err(Error::Invalid(format!("a body is at most {MAX_BODY} bytes"))));
        }
        if let Err(refused) =
            self.decide(&format!("publish {path}"), self.permission.plain(CapabilityName::LoopbackServe))
        {
            return Ok(Err(refused));
        }
        let shield = match self.shield() {
            Ok(shield) => shield,
            Err(error) => return Ok(Err(error)),
        };
        Ok(shield.publish(path, body).await.map_err(from_shield))
    }
}
