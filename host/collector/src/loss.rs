//! What was lost on the way in, where it was lost, and which links that blinds.

use foil_text::printable;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;

/// Most losses that a log keeps apart. What is lost beyond that blinds every link.
const MOST: usize = 64;
/// Most host names that are remembered of a feed.
const MOST_HOSTS: usize = 1_024;
/// How much of what a sender or a sensor wrote stands in a sentence, in bytes.
const SHOWN: usize = 200;

/// Where something was lost. What is not known is `None`, and may be anywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Origin {
    /// The kind of the events, such as `falco` of the inbox.
    pub kind: Option<&'static str>,
    /// The cluster's node, as the cluster says.
    pub node: Option<String>,
    /// The host, as the sensor says.
    pub host: Option<String>,
    /// The collector that Sigma rules were to be evaluated over.
    pub feed: Option<String>,
}

/// What happened to the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// Falco says that it lost system calls. The count is theirs.
    FalcoDropped,
    /// Falco says that its alerts were more than its outputs took.
    FalcoOutputs,
    /// Falco says that the kernel gave it no event for so many of its time-outs in a row.
    FalcoDeaf,
    /// The inbox refused a request.
    Refused {
        /// The HTTP status.
        status: u16,
        /// Where it was sent.
        path: String,
        /// Who sent the first of them.
        from: IpAddr,
        /// Why the first of them was refused.
        why: String,
    },
    /// A connection to the inbox ended before a request could be read.
    NoRequest {
        /// Who opened the first of them.
        from: IpAddr,
        /// What was wrong with the first of them.
        why: String,
    },
    /// The inbox had as many connections as it takes.
    Crowded,
    /// Lines of a log that has JSON in it were none.
    Unreadable {
        /// The log.
        file: String,
        /// The first of them.
        first: String,
    },
    /// Alertmanager left alerts out of a notification.
    Truncated,
    /// Anything else, in a sentence.
    Told(String),
}

impl Cause {
    /// One more of these adds to the count of the other.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Refused { status, path, .. }, Self::Refused { status: other, path: there, .. }) => {
                (status, path) == (other, there)
            }
            (Self::NoRequest { .. }, Self::NoRequest { .. }) => true,
            (Self::Unreadable { file, .. }, Self::Unreadable { file: other, .. }) => file == other,
            (one, other) => one == other,
        }
    }
}

/// Something that was lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loss {
    /// Where.
    pub origin: Origin,
    /// How.
    pub cause: Cause,
    /// How much: events, requests, lines or alerts; 0 where nobody says.
    pub count: u64,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { origin, cause, count } = self;
        let place = origin.node.as_ref().or(origin.host.as_ref());
        let on = place.map(|place| format!(" on {}", printable(place.as_bytes(), SHOWN))).unwrap_or_default();
        let many = |one: &str, more: &str| match count {
            0 => more.to_owned(),
            1 => format!("1 {one}"),
            count => format!("{count} {more}"),
        };
        match cause {
            Cause::FalcoDropped => write!(f, "Falco lost {}{on}", many("event", "events")),
            Cause::FalcoOutputs => write!(f, "Falco lost {}{on} before its outputs", many("alert", "alerts")),
            Cause::FalcoDeaf => {
                write!(f, "Falco{on} received no events from the kernel for {}", many("time-out", "time-outs in a row"))
            }
            Cause::Refused { status, path, from, why } => {
                let (what, whose) = match count {
                    0 | 1 => (format!("a request to {path} was refused"), "it"),
                    count => (format!("{count} requests to {path} were refused"), "the first"),
                };
                write!(f, "{what}; {whose} came from {from} (HTTP {status}: {why})")
            }
            Cause::NoRequest { from, why } => {
                write!(
                    f,
                    "{} to the inbox could not be read; the first came from {from} ({why})",
                    many("connection", "connections")
                )
            }
            Cause::Crowded => f.write_str("the inbox had as many connections as it takes, and more had to wait"),
            Cause::Unreadable { file, first } => {
                let verb = if *count == 1 { "was" } else { "were" };
                write!(f, "{} of {file} {verb} not JSON (first: `{first}`)", many("line", "lines"))
            }
            Cause::Truncated => {
                write!(f, "Alertmanager left {} out of its notifications (truncatedAlerts)", many("alert", "alerts"))
            }
            Cause::Told(why) => f.write_str(why),
        }
    }
}

/// A piece of foreign text for a sentence.
pub fn shown(bytes: &[u8]) -> String {
    let cut = if bytes.len() > SHOWN { "…" } else { "" };
    printable(bytes, SHOWN) + cut
}

/// What a link looks for, as far as it is known. What was lost elsewhere does not blind it. The default looks everywhere.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    /// Kinds of events; `None`: any.
    pub kinds: Option<BTreeSet<String>>,
    /// The node or host that the link itself names, a pattern.
    pub named: Option<String>,
    /// The nodes that the run is on; `None`: not known.
    pub nodes: Option<BTreeSet<String>>,
    /// This machine, where the technique acts on it.
    pub host: Option<String>,
    /// The collectors that the Sigma rules look at which the link names; `None`: any that there are.
    pub feeds: Option<BTreeSet<String>>,
}

impl Interest {
    /// Whether it may be about this node of the cluster.
    pub fn is_on(&self, node: &str) -> bool {
        self.names(node).unwrap_or_else(|| self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node)))
    }

    /// Whether a Sigma rule that the link names may look at this collector.
    pub fn is_fed_by(&self, feed: &str) -> bool {
        self.feeds.as_ref().is_none_or(|feeds| feeds.contains(feed))
    }

    /// Whether the link itself names this place; `None`: it names none.
    fn names(&self, place: &str) -> Option<bool> {
        self.named.as_ref().map(|named| foil_manifest::pattern::glob(named, place))
    }

    /// Whether a loss of this origin blinds the link. `seen`: the hosts that the feed had events of.
    fn concerns(&self, origin: &Origin, seen: &BTreeSet<String>) -> bool {
        let kind = |kind: &&str| self.kinds.as_ref().is_none_or(|kinds| kinds.contains(*kind));
        if !origin.kind.as_ref().is_none_or(kind) || !origin.feed.as_ref().is_none_or(|feed| self.is_fed_by(feed)) {
            return false;
        }
        if let Some(node) = &origin.node {
            return self.is_on(node);
        }
        let Some(host) = &origin.host else { return true };
        self.names(host).unwrap_or_else(|| {
            let own: Vec<String> =
                self.nodes.iter().flatten().chain(&self.host).map(|name| name.to_ascii_lowercase()).collect();
            // A sensor may have a name of its own for this machine, such as its container's id. That another host is meant is
            // known only where events of this one came by its name.
            own.contains(&host.to_ascii_lowercase()) || !own.iter().any(|name| seen.contains(name))
        })
    }
}

/// What a log's feed lost while it listened.
#[derive(Debug, Default)]
pub struct Losses {
    all: Vec<Loss>,
    /// Hosts that there were events of, in small letters.
    hosts: BTreeSet<String>,
    /// How many events Falco had lost since its start, by its last word on it.
    totals: BTreeMap<Option<String>, u64>,
}

impl Losses {
    /// Adds a loss.
    pub fn add(&mut self, loss: Loss) {
        let like = |known: &&mut Loss| known.origin == loss.origin && known.cause.is_like(&loss.cause);
        if let Some(known) = self.all.iter_mut().find(like) {
            known.count = known.count.saturating_add(loss.count);
        } else if self.all.len() < MOST {
            self.all.push(loss);
        } else if self.all.len() == MOST {
            let cause = Cause::Told("events were lost in more ways than are listed".to_owned());
            self.all.push(Loss { origin: Origin::default(), cause, count: 0 });
        }
    }

    /// Takes in how many events a host's Falco has lost since its start: more than when it last said so is a loss.
    pub fn total(&mut self, host: Option<String>, count: u64) {
        if self.totals.len() >= MOST_HOSTS && !self.totals.contains_key(&host) {
            return;
        }
        let before = self.totals.insert(host.clone(), count).unwrap_or(count);
        if count > before {
            let origin = Origin { host, ..Origin::default() };
            self.add(Loss { origin, cause: Cause::FalcoDropped, count: count.saturating_sub(before) });
        }
    }

    /// Notes the host of an event.
    pub fn saw(&mut self, host: &str) {
        if self.hosts.len() < MOST_HOSTS && host.len() <= 255 {
            self.hosts.insert(host.to_ascii_lowercase());
        }
    }

    /// The first loss that blinds such a link, if any.
    pub fn about(&self, interest: &Interest) -> Option<&Loss> {
        self.all.iter().find(|loss| interest.concerns(&loss.origin, &self.hosts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dropped(origin: Origin) -> Loss {
        Loss { origin, cause: Cause::FalcoDropped, count: 3 }
    }

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn losses_of_one_way_are_counted_together() {
        let mut losses = Losses::default();
        let from = "10.0.0.9".parse().unwrap();
        let refused = |status, why: &str| Loss {
            origin: Origin { kind: Some("falco"), ..Origin::default() },
            cause: Cause::Refused { status, path: "/falco".into(), from, why: why.into() },
            count: 1,
        };
        let of = |losses: &Losses| losses.about(&Interest::default()).unwrap().to_string();
        losses.add(refused(415, "text/plain"));
        assert_eq!(of(&losses), "a request to /falco was refused; it came from 10.0.0.9 (HTTP 415: text/plain)");
        losses.add(refused(415, "text/html"));
        assert_eq!(
            of(&losses),
            "2 requests to /falco were refused; the first came from 10.0.0.9 (HTTP 415: text/plain)"
        );
        losses.add(refused(400, "broken"));
        assert_eq!(losses.all.len(), 2);
        (0..200_u16).for_each(|status| losses.add(refused(status, "")));
        assert_eq!(losses.all.len(), MOST + 1);
    }

    #[test]
    fn a_loss_blinds_what_looks_there_and_nothing_else() {
        let nothing = BTreeSet::new();
        let kind = Origin { kind: Some("falco"), ..Origin::default() };
        let of = |kinds: &[&str]| Interest { kinds: Some(names(kinds)), ..Interest::default() };
        assert!(of(&["falco"]).concerns(&kind, &nothing) && Interest::default().concerns(&kind, &nothing));
        assert!(!of(&["alertmanager"]).concerns(&kind, &nothing));

        let node = Origin { node: Some("a".into()), ..Origin::default() };
        let on =
            |nodes: &[&str]| Interest { nodes: Some(names(nodes)), host: Some("me".into()), ..Interest::default() };
        let named = |pattern: &str| Interest { named: Some(pattern.into()), ..Interest::default() };
        assert!(Interest::default().concerns(&node, &nothing) && on(&["a", "b"]).concerns(&node, &nothing));
        assert!(!on(&["b"]).concerns(&node, &nothing));
        assert!(named("a").concerns(&node, &nothing) && !named("b*").concerns(&node, &nothing));
    }

    #[test]
    fn what_one_feed_lost_blinds_no_rule_that_looks_at_another() {
        let lost = Origin { feed: Some("linux.audit".into()), ..Origin::default() };
        let fed = |feed: &str| Interest { feeds: Some(names(&[feed])), ..Interest::default() };
        let seen = BTreeSet::new();
        assert!(fed("linux.audit").concerns(&lost, &seen) && Interest::default().concerns(&lost, &seen));
        assert!(!fed("file.app").concerns(&lost, &seen) && fed("file.app").concerns(&Origin::default(), &seen));
    }

    #[test]
    fn another_hosts_loss_is_told_apart_once_this_one_is_known_by_its_name() {
        let here = Interest { host: Some("Web1".into()), ..Interest::default() };
        let mut losses = Losses::default();
        losses.add(dropped(Origin { host: Some("3f1c09aa".into()), ..Origin::default() }));
        assert!(losses.about(&here).is_some(), "it may be this machine's Falco in a container");
        losses.saw("web1");
        assert!(losses.about(&here).is_none() && losses.about(&Interest::default()).is_some());
        losses.add(dropped(Origin { host: Some("WEB1".into()), ..Origin::default() }));
        assert_eq!(losses.about(&here).unwrap().to_string(), "Falco lost 3 events on WEB1");
    }

    #[test]
    fn a_total_is_a_loss_once_it_grows() {
        let mut losses = Losses::default();
        losses.total(None, 5);
        losses.total(None, 5);
        assert!(losses.about(&Interest::default()).is_none());
        losses.total(None, 6);
        assert_eq!(losses.about(&Interest::default()).unwrap().to_string(), "Falco lost 1 event");
    }
}
