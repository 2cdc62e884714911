//! Making a canary, and waiting until the feed has it.

use super::super::run::Host;
use super::nest::Nest;
use super::{Maker, Plan, Unproved};
use crate::capability::unix_nanos;
use foil_collector::{Event, EventLog};
use foil_record::{Attribution, SensorProof};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How far a sensor's clock may lag: an event with an earlier time is an earlier canary's.
const LAG: u64 = 1_000_000_000;
/// Events that are looked at at once.
const PAGE: usize = 200;
/// The longest wait between two looks, for feeds that do not wake us.
const WAIT: Duration = Duration::from_millis(200);

/// Makes a canary and waits until the feed has an event of it.
pub(super) async fn fire(
    host: &Host,
    stop: &CancellationToken,
    nest: &Nest,
    plan: &Plan,
    maker: &Maker,
) -> SensorProof {
    let feed = || plan.feed.clone();
    let cannot = |why: String| SensorProof::None { feed: feed(), reason: Unproved::Cannot(why) };
    let (log, _armed) = match nest.listen(&plan.feed) {
        Ok(listening) => listening,
        Err(why) => return cannot(why),
    };
    let (mut cursor, began, earliest) = (log.newest(), Instant::now(), unix_nanos().saturating_sub(LAG));
    // Never given up half-way: it would leave what nobody puts back.
    let what = match nest.make(host, maker).await {
        Ok(what) => what,
        Err(why) => return cannot(why),
    };
    let is_of = |event: &Event, log: &EventLog| event.at >= earliest && is_of(event, log, nest, maker);
    let deadline = began + plan.within;
    loop {
        // Asked before the look, so that the last look is one that began after the deadline.
        let last = Instant::now() >= deadline;
        loop {
            let page = log.read(cursor, PAGE);
            if page.events.iter().any(|event| is_of(event, &log)) {
                let after_ms = began.elapsed().as_secs_f64() * 1e3;
                return SensorProof::Answered { feed: feed(), after_ms };
            }
            cursor = page.next;
            if page.drained {
                break;
            }
        }
        if last {
            return SensorProof::Silent { feed: feed(), canary: format!("{what} within {:?}", plan.within) };
        }
        tokio::select! {
            () = log.wait_beyond(cursor) => {}
            () = tokio::time::sleep(WAIT) => {}
            () = tokio::time::sleep_until(deadline) => {}
            () = host.cancel.cancelled() => return cannot("it was stopped".to_owned()),
            () = stop.cancelled() => return cannot("it was stopped".to_owned()),
        }
    }
}

/// Whether an event is the canary's: it names its run, or is tied to it; and its fields are those that foil.yaml says.
fn is_of(event: &Event, log: &EventLog, nest: &Nest, maker: &Maker) -> bool {
    let run = nest.run.as_str();
    let mentions = || {
        let recorded = log.recorded(event.sequence);
        recorded
            .is_some_and(|recorded| recorded.likeness.as_ref().is_some_and(|of| of.mentions.iter().any(|id| id == run)))
    };
    let tied = matches!(event.attribution, Attribution::Tree | Attribution::Marker | Attribution::Likeness)
        || event.fields.values().any(|value| value.contains(run))
        || mentions();
    match maker {
        // What a backend says may name no process at all: the operator says what it is by its fields.
        Maker::Command { fields, .. } if !fields.is_empty() => {
            let said = |name: &String| event.fields.get(name).map(String::as_str).unwrap_or_default();
            (tied || event.attribution == Attribution::Window)
                && fields.iter().all(|(name, wanted)| foil_manifest::pattern::glob(wanted, said(name)))
        }
        _ => tied,
    }
}
