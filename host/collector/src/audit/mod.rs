//! `linux.audit`: the kernel's own audit stream, read from its multicast group, so that no daemon is needed and one that runs
//! is not disturbed.

mod control;
mod message;
mod own_rules;
pub mod parse;
mod request;
mod rule_data;
mod rule_text;
mod subscription;

pub use control::{Control, ControlError, Status};
pub use message::say;
pub use own_rules::{
    KEY_PREFIX, OwnRules, RuleError, check_request, install, on_for_nobody, plan_own_rules, present, remove,
};
pub use request::RuleRequest;
pub use rule_data::RuleData;

use super::registry::ArmOptions;
use super::{Blindness, EventLog};
use std::sync::Arc;
use std::time::{Duration, Instant};
use subscription::Subscription;

/// Its name.
pub const NAME: &str = "linux.audit";

/// `AUDIT_NLGRP_READLOG`, as a bit mask.
const READLOG: u32 = 1;

/// Every test that changes the machine's audit state holds an exclusive `flock` on this file in the system's folder for temporary
/// files, in whichever crate it is: there is one such state a machine.
pub const LIVE_TEST_LOCK: &str = "foil-live-audit.lock";

/// What is compared at the end with how it was when the collector was armed.
#[derive(Debug)]
struct Baseline {
    lost: u32,
    /// Rules that are not Foil's.
    rules: Vec<RuleData>,
    own: Option<OwnRules>,
}

/// An armed collector.
#[derive(Debug)]
pub struct AuditCollector {
    control: Control,
    baseline: Baseline,
    subscription: Subscription,
    log: Arc<EventLog>,
}

impl AuditCollector {
    /// Starts to listen, and installs `options.own_rules`, whose undo must be in the journal by now. When it returns, whatever
    /// the kernel records from then on comes into the log. Processes that were started before auditing was first switched on
    /// since boot are not audited, ever: arm before the run's init is started.
    pub fn arm(log: Arc<EventLog>, options: &ArmOptions) -> Result<Self, Blindness> {
        let control = Control::open().map_err(|e| dead(e.to_string()))?;
        let before = control.status().map_err(|e| dead(e.to_string()))?;
        if before.enabled == 0 && options.own_rules.is_none() {
            return Err(dead(
                "auditing is switched off in the kernel (auditctl -s: enabled 0), and the experiment asks for no rules of its own".into(),
            ));
        }
        if in_other_network() {
            return Err(dead(
                "the audit stream is sent to the machine's first network namespace only, and Foil is in another".into(),
            ));
        }
        let subscription = subscription::subscribe(&log, options)?;
        let rules = control.rules().map_err(|e| dead(e.to_string()))?;
        let baseline = Baseline {
            lost: before.lost,
            rules: rules.into_iter().filter(|r| !r.key().is_some_and(|k| k.starts_with(KEY_PREFIX))).collect(),
            own: options.own_rules.clone(),
        };
        if let Some(own) = &options.own_rules {
            install(own).map_err(|e| dead(e.to_string()))?;
        }
        Ok(Self { control, baseline, subscription, log })
    }

    /// Looks whether all is as it was: nothing lost, no rule gone, auditing still on. Blindness goes into the log too. Call it
    /// before a `missed` is believed.
    pub fn verify(&self) -> Option<Blindness> {
        if let Some(why) = self.changed() {
            self.log.set_blind(why);
        }
        self.log.blind()
    }

    /// Why an overlay would blind it: how many of the machine's rules look at inodes.
    pub fn blinded_by_overlay(&self) -> Option<String> {
        let watches = self.baseline.rules.iter().filter(|rule| rule.looks_at_inodes()).count();
        (watches > 0).then(|| {
            format!(
                "{watches} of the machine's {} audit rules watch inodes (-w, path=, dir=, exe=), which do not fire through an \
                 overlay: try another shield (foil calibrate shows which one the sensors can be trusted with)",
                self.baseline.rules.len()
            )
        })
    }

    /// Stops listening, once what the kernel has recorded so far has come in. Leaves the rules: [`remove`] them afterwards.
    pub fn finish(self) -> Option<Blindness> {
        let deadline = Instant::now() + Duration::from_millis(200);
        while self.control.status().is_ok_and(|s| s.backlog > 0) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
        // The last record leaves the backlog a moment before it is in our socket.
        std::thread::sleep(Duration::from_millis(2));
        subscription::settle(&self.subscription, Duration::from_nanos(parse::PATIENCE));
        self.verify()
    }

    fn changed(&self) -> Option<Blindness> {
        let (now, rules) = match self.control.status().and_then(|s| Ok((s, self.control.rules()?))) {
            Ok(known) => known,
            Err(error) => return Some(Blindness::Dead(error.to_string())),
        };
        let Baseline { lost, rules: before, own } = &self.baseline;
        if now.lost != *lost {
            return Some(Blindness::Lost(format!(
                "the kernel's count of lost audit records went from {lost} to {}",
                now.lost
            )));
        }
        if now.enabled == 0 {
            return Some(Blindness::Lost("somebody switched auditing off meanwhile".into()));
        }
        let own = own.as_ref().map(|own| own_rules::missing(&self.control, own));
        match own.transpose() {
            Err(error) => return Some(Blindness::Dead(error.to_string())),
            Ok(Some(missing)) if missing > 0 => {
                return Some(Blindness::Lost("rules were removed: those that Foil added are gone".into()));
            }
            Ok(_) => {}
        }
        let gone = before.iter().filter(|r| !rules.contains(r)).count();
        (gone > 0).then(|| {
            Blindness::Lost(format!("rules were removed: {gone} of {} that were there are gone", before.len()))
        })
    }
}

fn dead(why: String) -> Blindness {
    Blindness::Dead(why)
}

/// The kernel sends the stream to its first network namespace. Whoever may ask for the audit state is in the first pid namespace,
/// so that process 1 is the machine's.
fn in_other_network() -> bool {
    let network = |pid: &str| std::fs::read_link(format!("/proc/{pid}/ns/net"));
    matches!((network("self"), network("1")), (Ok(own), Ok(first)) if own != first)
}
