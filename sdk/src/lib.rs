//! Write a technique or a check for Foil.
//!
//! A module is a WebAssembly component. It can do nothing but call the host, each call is held to what the module's
//! manifest asks for and a reviewer granted, and the host puts everything back afterwards: a module never cleans up.
//!
//! # A technique
//!
//! A technique acts, in two phases. [`warmup`](Technique::warmup) prepares and may be left out;
//! [`detonate`](Technique::detonate) is the act, from which all time limits of an experiment count. Nothing is kept between
//! the two but the [`State`] that the first returns.
//!
//! ```
//! use foil_sdk::prelude::*;
//!
//! #[derive(serde::Deserialize)]
//! #[serde(deny_unknown_fields, rename_all = "kebab-case")]
//! struct Parameters {
//!     file: Option<String>,
//! }
//!
//! struct ReadFile;
//!
//! impl Technique for ReadFile {
//!     type Parameters = Parameters;
//!
//!     fn detonate(context: &Context, parameters: &Parameters, _state: &State) -> Result<Evidence> {
//!         // The benign twin does everything but what a sensor should notice.
//!         let file = if context.dry { "/dev/null" } else { parameters.file.as_deref().unwrap_or("/etc/hostname") };
//!         let output = Command::new("/bin/cat").arg(file).run()?.ok()?;
//!         Ok(Evidence::new(format!("read {file}")).fact("bytes", output.stdout.len()))
//!     }
//! }
//!
//! foil_sdk::technique!(ReadFile);
//!
//! // In a unit test the host is a fake, scripted by the test.
//! let host = foil_sdk::fake::Host::new();
//! host.on_exec("/bin/cat", |_| Ok(fake::output("web-1\n")));
//! let evidence = host.detonate::<ReadFile>(&[]).unwrap();
//! assert_eq!(evidence.summary, "read /etc/hostname");
//! assert_eq!(host.commands(), ["/bin/cat /etc/hostname"]);
//! # use foil_sdk::fake;
//! ```
//!
//! Beside `src/lib.rs` lies `technique.toml`, the manifest: id, ATT&CK ids, parameters, and each capability with its scope
//! and the reason that a reviewer reads. `foil new technique NAME` writes such a folder, `foil build` makes the module.
//!
//! Rules of the house: benign, reversible, marked with the run's id ([`Context::mark`]); no secret that a technique reads
//! enters its evidence; what the target lacks is [`Error::prerequisite`], never a made-up success.
//!
//! # A check
//!
//! A check looks once and returns: the host owns time, polling and deadlines. See [`Check`].
//!
//! # Only what is called is imported
//!
//! A guest imports the host functions that it calls and no others, so what a reviewer sees is what the code can do. The
//! capabilities and the functions here that need them:
//!
//! | capability | functions |
//! |---|---|
//! | none | [`log`], [`clock`] |
//! | `exec` | [`exec`] |
//! | `files-read` | [`files::read`], [`files::read_all`], [`files::stat`], [`files::entries`], [`files::exists`] |
//! | `files-write` | [`files::write`], [`files::append`], [`files::remove`], [`files::create_directory`], … |
//! | `loopback-serve` | [`loopback::publish`] |
//! | `kube-read` | [`kube::get`], [`kube::list`], [`kube::wait`], [`kube::proxy`] |
//! | `kube-write` | [`kube::Pod`], [`kube::create`], [`kube::patch`], [`kube::delete`], [`kube::approve`], … |
//! | `kube-exec` | [`kube::Command`], [`kube::logs`] |
//! | `events-read` (checks only) | [`events::read`], [`events::read_all`], [`search::search`] |

#[allow(missing_docs, clippy::all, unsafe_op_in_unsafe_fn, clippy::undocumented_unsafe_blocks)]
#[doc(hidden)]
#[path = "bindings.rs"]
pub mod __bindings;

pub mod attack;
mod check;
pub mod clock;
mod context;
mod error;
pub mod events;
pub mod exec;
#[cfg(not(target_arch = "wasm32"))]
pub mod fake;
pub mod falco;
pub mod files;
pub mod kube;
pub mod log;
pub mod loopback;
mod parameters;
pub mod pattern;
mod seam;
pub mod search;
mod technique;

pub use __bindings::host::types::{Cluster, Context, Denial, Fact, Failure, Value};
pub use check::{Basis, Check, EventReference, Observation, Sighting};
pub use error::{Error, Result};
pub use parameters::{NoParameters, decode};
pub use technique::{Evidence, State, Technique};

/// What nearly every module needs.
pub mod prelude {
    pub use crate::exec::Command;
    pub use crate::{Check, Context, Error, Evidence, NoParameters, Observation, Result, Sighting, State, Technique};
    pub use crate::{clock, events, files, kube, log, loopback};
}

#[doc(hidden)]
pub mod __private {
    //! What the macros call.
    pub use crate::check::__probe as probe;
    pub use crate::technique::{__detonate as detonate, __warmup as warmup};
}
