//! The kernel's audit system and its process connector.

use super::{Area, Finding};
use foil_collector::ProcessTree;
use foil_collector::audit::{Control, ControlError};
use rustix::net::netlink::{AUDIT, SocketAddrNetlink};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

/// `AUDIT_NLGRP_READLOG`, as a bit.
const READLOG: u32 = 1;

pub(super) fn look() -> Vec<Finding> {
    let mut area = Area::new("telemetry");
    match Control::open().and_then(|control| Ok((control.status()?, control))) {
        Err(error) => no_audit(&mut area, &error),
        Ok((status, control)) => {
            let rules = control
                .rules()
                .map_or("rules that cannot be listed".to_owned(), |rules| format!("{} rules", rules.len()));
            let daemon = match status.pid {
                0 => "no audit daemon".to_owned(),
                pid => format!("the audit daemon is process {pid}"),
            };
            let says = |how: &str| format!("{how}, {rules}, {daemon}");
            match status.enabled {
                0 => area.warning(
                    "audit",
                    says("readable, but switched off"),
                    "switch it on (`auditctl -e 1`, better `audit=1` on the kernel's command line: processes that started \
                     before are not audited), or let experiments ask for own rules",
                ),
                2 => area.ok("audit", says("on and immutable until the next boot, so that Foil adds no rules of its own")),
                _ => area.ok("audit", says("on")),
            }
            if status.lost > 0 {
                area.warning(
                    "audit losses",
                    format!("{} records were lost since boot", status.lost),
                    "raise the backlog (`auditctl -b 8192`) or drop rules that record too much; while records are lost, links are \
                     unknown",
                );
            }
            match listen() {
                Ok(()) => area.ok("audit stream", "listening is allowed"),
                Err(error) => area.warning(
                    "audit stream",
                    format!("listening is refused: {error}"),
                    "run as root with CAP_AUDIT_READ, outside of containers",
                ),
            }
        }
    }
    if ProcessTree::new().is_exact() {
        area.ok("process connector", "every fork of the machine is heard of");
    } else {
        area.warning(
            "process connector",
            "not to be had: whose an event is, is worked out from parents and /proc",
            "run as root outside of containers, on a kernel with CONFIG_PROC_EVENTS",
        );
    }
    area.found
}

fn no_audit(area: &mut Area, error: &ControlError) {
    area.warning(
        "audit",
        format!("{error}"),
        "run as root outside of containers; without it `linux.audit` is unknown, and other sensors (`files`, `inbox` of \
         foil.yaml) still work",
    );
}

/// Joins the multicast group as the collector does, and leaves it.
fn listen() -> rustix::io::Result<()> {
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(AUDIT))?;
    bind(&socket, &SocketAddrNetlink::new(0, READLOG))
}
