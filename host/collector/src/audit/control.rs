//! Questions to the kernel's audit system and orders to it (`linux/audit.h`). Needs CAP_AUDIT_CONTROL in the machine's first
//! pid and user namespaces.

use super::super::netlink::{self, Message, Netlink, u32_at};
use super::rule_data::RuleData;
use rustix::io::Errno;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

const AUDIT_GET: u16 = 1000;
const AUDIT_SET: u16 = 1001;
const AUDIT_ADD_RULE: u16 = 1011;
const AUDIT_DEL_RULE: u16 = 1012;
const AUDIT_LIST_RULES: u16 = 1013;
/// `AUDIT_STATUS_ENABLED`.
const STATUS_ENABLED: u32 = 1;
/// How long the kernel may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// The audit system's state (`struct audit_status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// 0 off, 1 on, 2 on and unchangeable until the next boot.
    pub enabled: u32,
    /// The audit daemon; 0 where none runs.
    pub pid: u32,
    /// Records that the kernel could not keep, since boot or since somebody reset it.
    pub lost: u32,
    /// Records that wait to be sent.
    pub backlog: u32,
}

/// The kernel's refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ControlError {
    what: &'static str,
    /// The error number.
    pub errno: Errno,
}

impl std::fmt::Display for ControlError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.errno)?;
        f.write_str(match self.errno {
            Errno::PERM | Errno::ACCESS => {
                "; it takes root with CAP_AUDIT_READ and CAP_AUDIT_CONTROL, outside of containers, and no immutable rules (auditctl -e 2)"
            }
            Errno::CONNREFUSED => "; the audit system does not talk to user namespaces: run Foil outside of the container",
            Errno::PROTONOSUPPORT | Errno::AFNOSUPPORT => "; this kernel was built without audit (CONFIG_AUDIT)",
            Errno::INVAL => "; this kernel does not know one of the fields or system calls",
            _ => "",
        })
    }
}

impl std::error::Error for ControlError {}

/// A line to the audit system.
#[derive(Debug)]
pub struct Control {
    socket: Netlink,
}

impl Control {
    /// Opens it.
    pub fn open() -> Result<Self, ControlError> {
        let socket = Netlink::open(rustix::net::netlink::AUDIT, 0)
            .map_err(|errno| ControlError { what: "no socket to the audit system", errno })?;
        socket.set_buffer(4 << 20);
        Ok(Self { socket })
    }

    /// How it stands.
    pub fn status(&self) -> Result<Status, ControlError> {
        let what = "the audit system's state cannot be read";
        let answers = self.ask(AUDIT_GET, &[], AUDIT_GET, what)?;
        let payload = answers.first().map(|m| m.payload.as_slice()).unwrap_or_default();
        let word =
            |index: usize| u32_at(payload, index.saturating_mul(4)).ok_or(ControlError { what, errno: Errno::PROTO });
        Ok(Status { enabled: word(1)?, pid: word(3)?, lost: word(6)?, backlog: word(7)? })
    }

    /// Every rule of the machine.
    pub fn rules(&self) -> Result<Vec<RuleData>, ControlError> {
        let answers = self.ask(AUDIT_LIST_RULES, &[], AUDIT_LIST_RULES, "the audit rules cannot be listed")?;
        Ok(answers.iter().filter_map(|m| RuleData::parse(&m.payload)).collect())
    }

    /// Appends a rule to its list. A rule that is there already is no error.
    pub fn add(&self, rule: &RuleData) -> Result<(), ControlError> {
        match self.ask(AUDIT_ADD_RULE, rule.bytes(), 0, "an audit rule cannot be added") {
            Err(ControlError { errno: Errno::EXIST, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Takes a rule away. A rule that is not there is no error.
    pub fn delete(&self, rule: &RuleData) -> Result<(), ControlError> {
        match self.ask(AUDIT_DEL_RULE, rule.bytes(), 0, "an audit rule cannot be removed") {
            Err(ControlError { errno: Errno::NOENT, .. }) => Ok(()),
            other => other.map(drop),
        }
    }

    /// Has the kernel take a message of user space.
    pub(super) fn tell(&self, kind: u16, payload: &[u8]) -> Result<(), ControlError> {
        self.ask(kind, payload, 0, "a message cannot be given to the audit system").map(drop)
    }

    /// Switches auditing on or off.
    pub fn enable(&self, on: bool) -> Result<(), ControlError> {
        // struct audit_status as the first kernels knew it: mask, enabled, and six words that the mask leaves out.
        let words = [STATUS_ENABLED, u32::from(on), 0, 0, 0, 0, 0, 0];
        let payload: Vec<u8> = words.iter().flat_map(|w| w.to_ne_bytes()).collect();
        self.ask(AUDIT_SET, &payload, 0, "auditing cannot be switched").map(drop)
    }

    /// Sends a request and gathers its answers of type `expected` until they are complete: one acknowledgement, or, for a
    /// list, its end mark, which comes from another thread of the kernel and in any order with the acknowledgement.
    fn ask(&self, kind: u16, payload: &[u8], expected: u16, what: &'static str) -> Result<Vec<Message>, ControlError> {
        let fail = |errno| ControlError { what, errno };
        let sequence = self.socket.send(kind, netlink::REQUEST | netlink::ACK, payload).map_err(fail)?;
        let deadline = Instant::now() + PATIENCE;
        let mut answers = Vec::new();
        let (mut acknowledged, mut ended) = (false, kind != AUDIT_LIST_RULES);
        loop {
            let Some(message) = self.socket.receive().map_err(fail)? else {
                if Instant::now() >= deadline {
                    return Err(fail(Errno::TIMEDOUT));
                }
                netlink::wait(&[self.socket.as_fd()], 100);
                continue;
            };
            if message.sequence != sequence {
                continue; // An answer that came too late for an earlier request.
            }
            match message.kind {
                netlink::ERROR => match u32_at(&message.payload, 0).map(u32::cast_signed) {
                    Some(0) => acknowledged = true,
                    Some(code) => return Err(fail(Errno::from_raw_os_error(code.saturating_neg()))),
                    None => return Err(fail(Errno::PROTO)),
                },
                netlink::DONE => ended = true,
                kind if kind == expected => answers.push(message),
                _ => {}
            }
            if acknowledged && ended && (kind != AUDIT_GET || !answers.is_empty()) {
                return Ok(answers);
            }
        }
    }
}
