//! A host for unit tests: no root, no audit, no wasm. Natively every host call of this crate ends here.
//!
//! A test scripts what the world answers, runs the module's own code, and looks at what it did:
//!
//! ```
//! use foil_sdk::{fake, prelude::*};
//!
//! struct Kernel;
//! impl Technique for Kernel {
//!     type Parameters = NoParameters;
//!     fn detonate(_: &Context, _: &NoParameters, _: &State) -> Result<Evidence> {
//!         let release = Command::new("/bin/uname").arg("-r").run()?.ok()?.text();
//!         Ok(Evidence::new("asked for the kernel").fact("release", release.trim()))
//!     }
//! }
//!
//! let host = fake::Host::new();
//! host.on_exec("/bin/uname", |call| Ok(fake::output(if call.args == ["-r"] { "6.18\n" } else { "" })));
//! assert_eq!(host.detonate::<Kernel>(&[]).unwrap().get("release"), Some("6.18"));
//! assert_eq!(host.commands(), ["/bin/uname -r"]);
//!
//! host.deny("exec");
//! assert!(matches!(host.detonate::<Kernel>(&[]), Err(Error::Denied(_))));
//! ```
//!
//! It enforces nothing but what [`Host::deny`] says, unless it was made from the module's manifest
//! (`Host::for_technique`, `Host::for_check`; feature `manifest`): then it refuses what the manifest does not ask for, by the
//! host's own rules, and fills in the defaults of parameters. A module whose tests pass there asks for enough.
//!
//! The host of a test belongs to its thread; making another one replaces it.

pub(crate) mod calls;
pub(crate) mod cluster;
mod host;
#[cfg(feature = "manifest")]
mod manifest;
mod world;

pub use crate::exec::Output;
pub use cluster::{PodCall, pod_output};
pub use host::Host;
pub use world::Call;

use crate::Fact;
use crate::events::Event;
use crate::exec::Ending;
use std::time::Duration;

/// What a program says that writes `stdout` and exits with status 0.
pub fn output(stdout: impl AsRef<[u8]>) -> Output {
    Output {
        program: String::new(),
        ending: Ending::Exited(0),
        stdout: stdout.as_ref().to_vec(),
        stderr: Vec::new(),
        stdout_dropped: 0,
        stderr_dropped: 0,
        pid: 4242,
        duration: Duration::from_millis(1),
    }
}

/// What a program says that writes `stderr` and exits with `status`.
pub fn exit(status: u8, stderr: impl AsRef<[u8]>) -> Output {
    Output { ending: Ending::Exited(status), stderr: stderr.as_ref().to_vec(), ..output("") }
}

/// An event of this run without fields; see [`Event::with`]. The host numbers it, and says which collector it is of.
pub fn event(kind: &str) -> Event {
    Event { collector: String::new(), sequence: 0, at: 1_000_000_000, kind: kind.to_owned(), fields: Vec::new() }
}

impl Event {
    /// The same with one more field, for a test's script.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl ToString) -> Self {
        self.fields.push(Fact::new(name, value));
        self
    }
}
