//! Rules of Foil's own: only where no audit daemon runs and the experiment asks for them. They are planned first, so that the
//! journal has the undo before anything is changed, then installed, and taken away at the end.

use super::control::{Control, ControlError};
use super::request::RuleRequest;
use super::rule_data::{LIST_TASK, NEVER, RuleData};
use super::rule_text;
use foil_text::RunId;

/// What every key of Foil's starts with.
pub const KEY_PREFIX: &str = "foil-";
/// Ends the key where auditing was off before, so that the last of several runs knows to switch it off again.
const WAS_OFF: &str = "-off";

/// Rules to install and to take away again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnRules {
    rules: Vec<RuleData>,
    /// Auditing was off before.
    disable: bool,
}

/// Why there are no rules of our own, or why they are still there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// A daemon runs: its rules are what is being tested.
    #[error(
        "an audit daemon runs (pid {0}): Foil adds no rules beside it and listens to those that are there; leave `rules` out"
    )]
    Daemon(u32),
    /// `auditctl -e 2`.
    #[error("the audit rules are immutable until the next boot (auditctl -e 2)")]
    Immutable,
    /// `-a task,never`, which some distributions ship.
    #[error("the rule `-a task,never` keeps every process from being audited: delete it (auditctl -d task,never)")]
    Suppressed,
    /// A rule that cannot be built.
    #[error("{0}")]
    Invalid(String),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] ControlError),
    /// It was done, and a look says otherwise.
    #[error("{0}")]
    Unverified(String),
}

/// Works out the rules; changes nothing. Write [`OwnRules::undo`] to the journal before [`install`].
pub fn plan_own_rules(request: &RuleRequest, run: &RunId) -> Result<OwnRules, RuleError> {
    let _turn = turn();
    let control = Control::open()?;
    let status = control.status()?;
    let existing = control.rules()?;
    refuse(status, &existing)?;
    // Another run of Foil may have switched auditing on just now: then whoever is last switches it off.
    let disable =
        status.enabled == 0 || existing.iter().any(|r| is_foils(r) && r.key().is_some_and(|k| k.ends_with(WAS_OFF)));
    let key = format!("{KEY_PREFIX}{run}{}", if disable { WAS_OFF } else { "" });
    build(request, &key, disable)
}

/// What is wrong with a request, whatever the kernel says: for each mistake the keys and numbers where it stands in the
/// request, and a sentence.
pub fn check_request(request: &RuleRequest) -> Vec<(Vec<String>, String)> {
    let mut wrong = Vec::new();
    let at = |key: &str, number: usize| vec![key.to_owned(), number.to_string()];
    for (number, call) in request.syscalls.iter().enumerate() {
        if let Err(why) = rule_text::known(call) {
            wrong.push((at("syscalls", number), why));
        }
    }
    for (number, line) in request.rules.iter().enumerate() {
        if let Err(why) = rule_text::from_line(line, KEY_PREFIX) {
            wrong.push((at("rules", number), why));
        }
    }
    if wrong.is_empty()
        && let Err(why) = build(request, KEY_PREFIX, false)
    {
        wrong.push((Vec::new(), why.to_string()));
    }
    wrong
}

fn build(request: &RuleRequest, key: &str, disable: bool) -> Result<OwnRules, RuleError> {
    let mut rules = Vec::new();
    if !request.syscalls.is_empty() {
        let rule = rule_text::from_calls(&request.syscalls, request.uid, key);
        rules.push(rule.map_err(|why| RuleError::Invalid(format!("the audit rule cannot be made: {why}")))?);
    } else if request.uid.is_some() {
        return Err(RuleError::Invalid("`uid` narrows `syscalls`, and there are none".into()));
    }
    for line in &request.rules {
        rules.push(rule_text::from_line(line, key).map_err(RuleError::Invalid)?);
    }
    if rules.is_empty() {
        return Err(RuleError::Invalid(
            "own audit rules are asked for, but neither `syscalls` nor `rules` names one".into(),
        ));
    }
    Ok(OwnRules { rules, disable })
}

fn refuse(status: super::Status, existing: &[RuleData]) -> Result<(), RuleError> {
    if status.enabled == 2 {
        return Err(RuleError::Immutable);
    }
    if status.pid != 0 {
        return Err(RuleError::Daemon(status.pid));
    }
    if existing.iter().any(|r| r.list() == LIST_TASK && r.action() == NEVER) {
        return Err(RuleError::Suppressed);
    }
    Ok(())
}

fn is_foils(rule: &RuleData) -> bool {
    rule.key().is_some_and(|k| k.starts_with(KEY_PREFIX))
}

impl OwnRules {
    /// What the journal keeps: the rules in the kernel's form, in hexadecimal, and whether auditing was off before.
    pub fn undo(&self) -> (Vec<String>, bool) {
        (self.rules.iter().map(|r| hex::encode(r.bytes())).collect(), self.disable)
    }

    /// Reads them back. Only rules with a key of Foil's are taken: nobody else's may be removed in an undo's name.
    pub fn from_undo(rules: &[String], disable: bool) -> Result<Self, RuleError> {
        let read = |text: &String| {
            let rule = hex::decode(text).ok().and_then(|bytes| RuleData::parse(&bytes)).filter(is_foils);
            rule.ok_or_else(|| RuleError::Invalid("the journal holds an audit rule that is none of Foil's".into()))
        };
        Ok(Self { rules: rules.iter().map(read).collect::<Result<_, _>>()?, disable })
    }
}

/// Adds the rules, after those that are there, and switches auditing on where it was off. Where it fails half-way, [`remove`]
/// takes away what was added.
pub fn install(own: &OwnRules) -> Result<(), RuleError> {
    let _turn = turn();
    let control = Control::open()?;
    let status = control.status()?;
    refuse(status, &control.rules()?)?;
    for rule in &own.rules {
        control.add(rule)?;
    }
    if status.enabled == 0 {
        if !own.disable {
            return Err(RuleError::Unverified("auditing was on when the rules were planned and is off now".into()));
        }
        control.enable(true)?;
    }
    if control.status()?.enabled == 0 || missing(&control, own)? > 0 {
        return Err(RuleError::Unverified("the kernel took the audit rules, but does not list them".into()));
    }
    Ok(())
}

/// Takes the rules away, switches auditing off where it was off, and looks. Needs nothing of what [`install`] learned, so
/// that it works after a crash; may be called again.
pub fn remove(own: &OwnRules) -> Result<(), RuleError> {
    let _turn = turn();
    let control = Control::open()?;
    let existing = control.rules()?;
    if existing.iter().any(|r| own.rules.contains(r)) && control.status()?.enabled == 2 {
        return Err(RuleError::Immutable);
    }
    for rule in own.rules.iter().filter(|r| existing.contains(r)) {
        control.delete(rule)?;
    }
    let left = control.rules()?;
    if left.iter().any(|r| own.rules.contains(r)) {
        return Err(RuleError::Unverified("audit rules of this run are still there after their removal".into()));
    }
    // Not under another run of Foil, nor under a daemon that has come since and relies on it.
    let status = control.status()?;
    if own.disable && status.enabled == 1 && status.pid == 0 && !left.iter().any(is_foils) {
        control.enable(false)?;
        if control.status()?.enabled != 0 {
            return Err(RuleError::Unverified("auditing is still on after it was switched off".into()));
        }
    }
    Ok(())
}

/// One Foil at a time changes the rules or looks at them: whoever looks between another's removal of the last rule and its
/// switching off would see auditing on for nobody.
///
/// A name in the abstract namespace goes with its owner, however that ends, and leaves no file. Somebody else can hold
/// it, so that it is waited for a second and no longer: then the race may be lost, and the look says so.
pub(super) fn turn() -> Option<std::os::unix::net::UnixDatagram> {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let name = SocketAddr::from_abstract_name("foil-audit-rules").ok()?;
    (0..100).find_map(|_| {
        let held = UnixDatagram::bind_addr(&name).ok();
        if held.is_none() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        held
    })
}

/// Whether auditing is on for nobody but the run whose rules these are: no daemon, and no other run of Foil's.
pub fn on_for_nobody(rules: &[Vec<u8>]) -> Result<(usize, bool), RuleError> {
    let _turn = turn();
    let control = Control::open()?;
    let (existing, status) = (control.rules()?, control.status()?);
    let ours = |rule: &RuleData| rules.iter().any(|r| r.as_slice() == rule.bytes());
    let present = existing.iter().filter(|rule| ours(rule)).count();
    let others = existing.iter().any(|rule| is_foils(rule) && !ours(rule));
    Ok((present, status.enabled != 0 && status.pid == 0 && !others))
}

/// One of the rules is there.
pub fn present(own: &OwnRules) -> Result<bool, RuleError> {
    Ok(missing(&Control::open()?, own)? < own.rules.len())
}

/// How many of the rules are not there.
pub(super) fn missing(control: &Control, own: &OwnRules) -> Result<usize, ControlError> {
    let existing = control.rules()?;
    Ok(own.rules.iter().filter(|r| !existing.contains(r)).count())
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    fn asked() -> RuleRequest {
        RuleRequest { syscalls: vec!["execve".into()], uid: None, rules: vec!["-a always,exit -S openat".into()] }
    }

    #[test]
    fn the_journal_gives_back_what_it_was_given() {
        let own = build(&asked(), "foil-x-off", true).unwrap();
        let (rules, disable) = own.undo();
        assert_eq!(rules.len(), 2);
        assert_eq!(OwnRules::from_undo(&rules, disable), Ok(own));
    }

    #[test]
    fn an_undo_cannot_name_rules_of_others() {
        let (rules, _) = build(&asked(), "soc-execve", false).unwrap().undo();
        assert!(OwnRules::from_undo(&rules, false).is_err());
        assert!(OwnRules::from_undo(&["zz".into()], false).is_err());
    }

    #[test]
    fn nothing_asked_for_is_an_error() {
        assert!(build(&RuleRequest::default(), "k", false).is_err());
        assert!(build(&RuleRequest { uid: Some(1), rules: asked().rules, ..Default::default() }, "k", false).is_err());
    }

    #[test]
    fn every_mistake_of_a_request_is_found_and_has_its_place() {
        let request = RuleRequest {
            syscalls: vec!["execve".into(), "execv".into(), "unlink".into()],
            uid: None,
            rules: vec!["-a always,exit -S openat".into(), "-a always,exit -S opnat".into(), "-w /etc".into()],
        };
        let wrong = check_request(&request);
        let places: Vec<String> = wrong.iter().map(|(place, _)| place.join("/")).collect();
        assert_eq!(places, ["syscalls/1", "rules/1", "rules/2"]);
        assert!(
            wrong[0].1.contains("do you mean `execve`?") && wrong[1].1.contains("do you mean `openat`?"),
            "{wrong:?}"
        );
        assert_eq!(check_request(&asked()), []);
        assert_eq!(check_request(&RuleRequest::default()).len(), 1);
        let narrowed = RuleRequest { uid: Some(1), rules: asked().rules, ..RuleRequest::default() };
        assert!(check_request(&narrowed)[0].1.contains("`uid`"));
    }

    #[test]
    fn refusals() {
        let status = Status { enabled: 1, pid: 0, lost: 0, backlog: 0 };
        assert_eq!(refuse(Status { enabled: 2, ..status }, &[]), Err(RuleError::Immutable));
        assert_eq!(refuse(Status { pid: 9, ..status }, &[]), Err(RuleError::Daemon(9)));
        let mut never = rule_text::from_line("-a always,exit -S execve", "k").unwrap().bytes().to_vec();
        never[..4].copy_from_slice(&LIST_TASK.to_ne_bytes());
        never[4..8].copy_from_slice(&NEVER.to_ne_bytes());
        assert_eq!(refuse(status, &[RuleData::parse(&never).unwrap()]), Err(RuleError::Suppressed));
        assert_eq!(refuse(status, &[]), Ok(()));
    }
}
