//! What a test says to the fake host, and asks of it.

use super::world::{Call, File, World};
use crate::__bindings::check::exports::foil::host::probing::Basis as WireBasis;
use crate::__bindings::host::types::{Error as WireError, Failure, Parameter};
use crate::events::Event;
use crate::exec::Output;
use crate::{Basis, Check, Context, Error, EventReference, Evidence, Observation, Result, Sighting, Technique, Value};
use std::cell::RefCell;
use std::rc::Rc;

thread_local! {
    static CURRENT: RefCell<Option<Host>> = const { RefCell::new(None) };
}

/// The fake host of this thread. Clones are the same host, so that a script may change files as a program would.
#[derive(Clone)]
pub struct Host(pub(super) Rc<RefCell<World>>);

impl Host {
    /// An empty world, from now on this thread's: no program, no file but the scratch folder, no event.
    #[expect(clippy::new_without_default, reason = "making one replaces the thread's host, which `default` would hide")]
    pub fn new() -> Self {
        let host = Self(Rc::new(RefCell::new(World::new())));
        CURRENT.set(Some(host.clone()));
        host
    }

    /// The host of this thread.
    pub(super) fn current() -> Self {
        CURRENT.with_borrow(|host| {
            host.clone().expect("a host call in a native build needs a fake host: make a `foil_sdk::fake::Host` first")
        })
    }

    /// Scripts a program: what it answers, each time that it is started. Programs without a script are `not-found`.
    pub fn on_exec(&self, program: &str, answer: impl Fn(&Call) -> Result<Output> + 'static) -> &Self {
        self.0.borrow_mut().programs.insert(program.to_owned(), Rc::new(answer));
        self
    }

    /// Puts a file there, mode 0o644.
    pub fn file(&self, path: &str, content: impl AsRef<[u8]>) -> &Self {
        let file = File { content: content.as_ref().to_vec(), mode: 0o644 };
        self.0.borrow_mut().files.insert(path.to_owned(), file);
        self
    }

    /// Puts an empty directory there.
    pub fn directory(&self, path: &str) -> &Self {
        self.0.borrow_mut().directories.insert(path.to_owned());
        self
    }

    /// Takes a file away, as a program would.
    pub fn delete(&self, path: &str) -> &Self {
        self.0.borrow_mut().files.remove(path);
        self
    }

    /// Adds an event of this run to a collector's log. Its sequence number is given here; the collector is armed by its first event.
    /// What others do is not handed to a check, so that no test needs it.
    pub fn event(&self, collector: &str, mut event: Event) -> &Self {
        {
            let mut world = self.0.borrow_mut();
            let log = world.events.entry(collector.to_owned()).or_default();
            event.sequence = log.len() as u64 + 1;
            event.collector = collector.to_owned();
            log.push(event);
        }
        self
    }

    /// A collector that is armed and has recorded nothing so far.
    pub fn arm(&self, collector: &str) -> &Self {
        self.0.borrow_mut().events.entry(collector.to_owned()).or_default();
        self
    }

    /// From now on reading this collector fails with `other(code)`, such as `dead-collector`.
    pub fn blind(&self, collector: &str, code: &str) -> &Self {
        let failure = Failure { code: code.to_owned(), message: "as the test says".to_owned(), retryable: false };
        self.0.borrow_mut().blind.insert(collector.to_owned(), WireError::Other(failure));
        self
    }

    /// From now on every call of this capability, such as `exec`, is denied.
    pub fn deny(&self, capability: &str) -> &Self {
        self.0.borrow_mut().denied.insert(capability.to_owned());
        self
    }

    /// Whether the benign twin is asked for.
    pub fn dry(&self, dry: bool) -> &Self {
        self.0.borrow_mut().context.dry = dry;
        self
    }

    /// The context that modules are given.
    pub fn context(&self) -> Context {
        self.0.borrow().context.clone()
    }

    /// Runs `warmup` and then `detonate`.
    pub fn detonate<T: Technique>(&self, parameters: &[(&str, Value)]) -> Result<Evidence> {
        CURRENT.set(Some(self.clone()));
        let parameters = self.parameters(parameters)?;
        let state = crate::technique::__warmup::<T>(self.context(), parameters.clone()).map_err(Error::from)?;
        let evidence = crate::technique::__detonate::<T>(self.context(), parameters, state).map_err(Error::from)?;
        #[cfg(feature = "manifest")]
        if let Some(manifest) = &self.0.borrow().manifest {
            super::manifest::declared_facts(manifest, &evidence.facts)?;
        }
        Ok(Evidence { summary: evidence.summary, facts: evidence.facts })
    }

    /// Looks once.
    pub fn probe<C: Check>(&self, parameters: &[(&str, Value)], cursor: u64) -> Result<Observation> {
        CURRENT.set(Some(self.clone()));
        let seen =
            crate::check::__probe::<C>(self.context(), self.parameters(parameters)?, cursor).map_err(Error::from)?;
        let sightings = seen.sightings.into_iter().map(|s| {
            let basis = self.basis(s.basis)?;
            Ok(Sighting { basis, summary: s.summary, severity: s.severity, facts: s.facts })
        });
        Ok(Observation {
            sightings: sightings.collect::<Result<_>>()?,
            cursor: seen.cursor,
            looked_at: seen.looked_at,
            remark: seen.remark,
        })
    }

    /// As the real host does, it refuses a reference to an event that there is not.
    fn basis(&self, basis: WireBasis) -> Result<Basis> {
        let references = match basis {
            WireBasis::Elsewhere(at) => return Ok(Basis::Elsewhere(at)),
            WireBasis::Events(references) => references,
        };
        let world = self.0.borrow();
        let known = |reference: &EventReference| {
            let log = world.events.get(&reference.collector);
            log.is_some_and(|log| log.iter().any(|event| event.sequence == reference.sequence))
        };
        let references: Vec<EventReference> = references
            .into_iter()
            .map(|reference| EventReference { collector: reference.collector, sequence: reference.sequence })
            .collect();
        if !(1..=16).contains(&references.len()) || !references.iter().all(known) {
            return Err(Error::Invalid(format!("a sighting refers to {references:?}: 1 to 16 events that were read")));
        }
        Ok(Basis::Events(references))
    }

    /// The programs that were started, in order: program and arguments with a space between each.
    pub fn commands(&self) -> Vec<String> {
        self.0.borrow().calls.iter().map(Call::line).collect()
    }

    /// The programs that were started, in order, with all that was given to them. Refused ones are not among them.
    pub fn calls(&self) -> Vec<Call> {
        self.0.borrow().calls.clone()
    }

    /// The effects by `files-write`, in order, such as `create /etc/cron.d/x` or `remove /tmp/y`.
    pub fn changes(&self) -> Vec<String> {
        self.0.borrow().changes.clone()
    }

    /// What is in a file now; `None` where there is none.
    pub fn content(&self, path: &str) -> Option<Vec<u8>> {
        self.0.borrow().files.get(path).map(|file| file.content.clone())
    }

    /// A file's permission bits; `None` where there is none.
    pub fn mode(&self, path: &str) -> Option<u32> {
        self.0.borrow().files.get(path).map(|file| file.mode)
    }

    /// What was published on the loopback: path and body.
    pub fn published(&self) -> Vec<(String, Vec<u8>)> {
        self.0.borrow().published.clone()
    }

    /// The lines that were logged.
    pub fn lines(&self) -> Vec<String> {
        self.0.borrow().lines.clone()
    }

    fn parameters(&self, given: &[(&str, Value)]) -> Result<Vec<Parameter>> {
        let given: Vec<Parameter> =
            given.iter().map(|(name, value)| Parameter { name: (*name).to_owned(), value: value.clone() }).collect();
        #[cfg(feature = "manifest")]
        if let Some(manifest) = &self.0.borrow().manifest {
            return super::manifest::complete(manifest, given);
        }
        Ok(given)
    }
}
