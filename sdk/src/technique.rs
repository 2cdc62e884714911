//! What a technique is.

use crate::__bindings::host::types;
use crate::__bindings::technique::exports::foil::host::detonation;
use crate::{Context, Error, Fact, Result};
use serde::de::DeserializeOwned;

/// A technique: it acts, and never cleans up, since the host has journaled what it did.
///
/// Every run gets a fresh instance for each phase, so statics keep nothing. Export one by
/// [`technique!`](crate::technique!).
pub trait Technique {
    /// Its parameters, as the manifest declares them; [`NoParameters`](crate::NoParameters) where there are none.
    type Parameters: DeserializeOwned;

    /// Prepares what [`detonate`](Self::detonate) needs, and does nothing that a sensor should notice. What it returns is
    /// all that `detonate` knows of it.
    fn warmup(context: &Context, parameters: &Self::Parameters) -> Result<State> {
        let _ = (context, parameters);
        Ok(State::new())
    }

    /// The act itself. Where [`Context::dry`] is set: everything but the act, so that an experiment can show that the alarm
    /// is raised by the act and by nothing else.
    fn detonate(context: &Context, parameters: &Self::Parameters, state: &State) -> Result<Evidence>;
}

/// What `warmup` hands to `detonate`: a few named texts.
#[derive(Debug, Clone, Default)]
pub struct State {
    facts: Vec<Fact>,
}

impl State {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same with one more text.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.facts.push(Fact::new(name, value));
        self
    }

    /// The text of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        crate::context::value(&self.facts, name)
    }

    /// The text of this name, which `warmup` always sets.
    ///
    /// # Errors
    /// `invalid` where it is not there.
    pub fn need(&self, name: &str) -> Result<&str> {
        self.get(name).ok_or_else(|| Error::Invalid(["the state of `warmup` has no `", name, "`"].concat()))
    }
}

/// What a technique says it did.
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// One sentence.
    pub summary: String,
    /// Passed on to later steps, and shown. Never a secret.
    pub facts: Vec<Fact>,
}

impl Evidence {
    /// Evidence with no facts.
    pub fn new(summary: impl Into<String>) -> Self {
        Self { summary: summary.into(), facts: Vec::new() }
    }

    /// The same with one more fact.
    #[must_use]
    pub fn fact(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.facts.push(Fact::new(name, value));
        self
    }

    /// The value of the fact of this name.
    pub fn get(&self, name: &str) -> Option<&str> {
        crate::context::value(&self.facts, name)
    }
}

#[doc(hidden)]
pub fn __warmup<T: Technique>(
    context: Context,
    parameters: Vec<types::Parameter>,
) -> std::result::Result<Vec<Fact>, types::Error> {
    let parameters = crate::decode(parameters)?;
    Ok(T::warmup(&context, &parameters)?.facts)
}

#[doc(hidden)]
pub fn __detonate<T: Technique>(
    context: Context,
    parameters: Vec<types::Parameter>,
    state: Vec<Fact>,
) -> std::result::Result<detonation::Evidence, types::Error> {
    let parameters = crate::decode(parameters)?;
    let evidence = T::detonate(&context, &parameters, &State { facts: state })?;
    Ok(detonation::Evidence { summary: evidence.summary, facts: evidence.facts })
}

/// Exports a type that implements [`Technique`] as the module's technique. It must be a unit struct. Once a crate; natively, where unit tests run,
/// nothing is exported.
#[macro_export]
macro_rules! technique {
    ($technique:ident) => {
        const _: () = {
            // Nothing else makes a value of it, so that the compiler would call it dead code.
            const _: $technique = $technique;

            struct Module;

            impl $crate::__bindings::technique::exports::foil::host::detonation::Guest for Module {
                fn warmup(
                    context: $crate::Context,
                    parameters: ::std::vec::Vec<$crate::__bindings::host::types::Parameter>,
                ) -> ::std::result::Result<::std::vec::Vec<$crate::Fact>, $crate::__bindings::host::types::Error>
                {
                    $crate::__private::warmup::<$technique>(context, parameters)
                }

                fn detonate(
                    context: $crate::Context,
                    parameters: ::std::vec::Vec<$crate::__bindings::host::types::Parameter>,
                    state: ::std::vec::Vec<$crate::Fact>,
                ) -> ::std::result::Result<
                    $crate::__bindings::technique::exports::foil::host::detonation::Evidence,
                    $crate::__bindings::host::types::Error,
                > {
                    $crate::__private::detonate::<$technique>(context, parameters, state)
                }
            }

            #[cfg(target_arch = "wasm32")]
    $crate::__bindings::technique::export_technique!(Module with_types_in $crate::__bindings::technique);
        };
    };
}
