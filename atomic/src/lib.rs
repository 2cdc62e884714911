//! [Atomic Red Team](https://atomicredteam.io)'s tests. `document` reads its YAML, strictly and with places; a [`Script`] is one
//! test as the data of a module, which Foil's interpreter runs; `judge` reads the request that it makes off its text.

// What files say is hostile: nothing in them may end the host.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::todo,
        clippy::unimplemented
    )
)]

#[cfg(feature = "import")]
pub mod document;
#[cfg(feature = "import")]
pub mod judge;
mod script;
mod substitute;

pub use script::{Argument, Dependency, FORMAT, Kind, Script, Shell};
pub use substitute::substitute;
