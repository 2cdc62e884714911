//! `category: network_connection`: a program connects to an internet address.

use super::{Fields, actor, field, succeeded};
use crate::Event;

/// `-EINPROGRESS`: a connection that is made in the background.
const IN_PROGRESS: &str = "-115";

pub(super) fn view(event: &Event) -> Option<Fields<'_>> {
    let internet = matches!(field(event, "family"), Some("inet" | "inet6"));
    let made = succeeded(event) || field(event, "exit") == Some(IN_PROGRESS);
    if event.kind != "connect" || !internet || !made {
        return None;
    }
    let mut fields = actor(event);
    fields.push(("Initiated", "true".into()));
    fields.extend(field(event, "address").map(|address| ("DestinationIp", address.into())));
    fields.extend(field(event, "port").map(|port| ("DestinationPort", port.into())));
    Some(fields)
}
