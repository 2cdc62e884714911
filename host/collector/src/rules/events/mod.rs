//! Recorded events as Sigma names things: which of Sigma's log sources a feed has, and what its events look like there.
//! docs/collectors.md has the tables.

mod auditd;
mod file_event;
mod network;
mod process;
mod reach;
mod users;

pub use process::Programs;
pub use reach::{may_match, never, records};

use super::sigma::{Logsource, SigmaEvent};
use crate::{Event, audit, file};
use std::borrow::Cow;

/// What a feed's events are offered as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `service: auditd`: record by record.
    Auditd,
    /// `category: process_creation`.
    Process,
    /// `category: file_event`.
    File,
    /// `category: network_connection`.
    Network,
    /// A followed log, as it stands.
    Followed,
}

/// What the kernel's audit stream is offered as.
const AUDIT: [Stream; 4] = [Stream::Auditd, Stream::Process, Stream::File, Stream::Network];

/// Field names and values.
type Fields<'a> = Vec<(&'a str, Cow<'a, str>)>;

/// The streams of a collector: none for one that rules are not evaluated over.
pub fn streams(feed: &str) -> &'static [Stream] {
    match feed {
        audit::NAME => &AUDIT,
        _ if feed.starts_with(file::PREFIX) => &[Stream::Followed],
        _ => &[],
    }
}

/// Is a rule about what this stream of this feed has?
pub fn is_about(logsource: &Logsource, stream: Stream, feed: &str) -> bool {
    let Logsource { product, category, service } = logsource;
    let linux = product.as_deref().is_none_or(|product| product == "linux");
    let only = |wanted: &str| linux && service.is_none() && category.as_deref() == Some(wanted);
    match stream {
        Stream::Auditd => linux && category.is_none() && service.as_deref().is_none_or(|service| service == "auditd"),
        Stream::Process => only("process_creation"),
        Stream::File => only("file_event"),
        Stream::Network => only("network_connection"),
        // What is in it only the operator knows, and says by its name.
        Stream::Followed => {
            let name = feed.strip_prefix(file::PREFIX).unwrap_or_default();
            let named = |word: &str| word.eq_ignore_ascii_case(name);
            match (product, category, service) {
                (_, category, Some(service)) => named(service) && category.as_deref().is_none_or(named),
                (_, Some(category), None) => named(category),
                (Some(product), None, None) => product == "linux" || named(product),
                (None, None, None) => false,
            }
        }
    }
}

/// The event as it looks in that stream: nothing, or one or more of Sigma's events.
pub fn views<'a>(event: &'a Event, stream: Stream, programs: &'a Programs) -> Vec<SigmaEvent<'a>> {
    let fields = match stream {
        Stream::Auditd => return auditd::views(event),
        Stream::Process => process::view(event, programs),
        Stream::File => file_event::view(event),
        Stream::Network => network::view(event),
        Stream::Followed => Some(as_it_stands(event)),
    };
    fields.map(SigmaEvent::new).into_iter().collect()
}

fn as_it_stands(event: &Event) -> Fields<'_> {
    event.fields.iter().map(|(name, value)| (name.as_str(), Cow::from(value))).collect()
}

/// A field of the recorded event, where it says something. (`?` and `(null)` are audit's words for nothing.)
fn field<'a>(event: &'a Event, name: &str) -> Option<&'a str> {
    event.fields.get(name).map(String::as_str).filter(|value| !matches!(*value, "" | "?" | "(null)"))
}

/// A system call that did what it was asked for.
fn succeeded(event: &Event) -> bool {
    event.fields.get("success").is_some_and(|success| success == "yes")
}

/// Who did it: `Image`, `User` by name and by number, `ProcessId`.
fn actor(event: &Event) -> Fields<'_> {
    let mut fields: Fields<'_> = Vec::new();
    fields.extend(field(event, "exe").map(|exe| ("Image", exe.into())));
    fields.extend(field(event, "pid").map(|pid| ("ProcessId", pid.into())));
    if let Some(uid) = field(event, "uid") {
        fields.push(("User", uid.into()));
        fields.extend(users::name(uid).map(|name| ("User", name.into())));
    }
    fields
}

#[cfg(test)]
mod tests;
