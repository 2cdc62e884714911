//! What the end-to-end tests share.

pub mod e2e;
pub mod e2e_api;
pub mod e2e_fixture;
pub mod e2e_kube;
pub mod e2e_proxy;
pub mod hostile;
