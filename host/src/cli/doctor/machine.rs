//! Who we are, and on what.

use super::{Area, Finding};
use rustix::thread::CapabilitySet;

/// What root's part of Foil takes: name, and for what.
const NEEDED: [(&str, CapabilitySet, &str); 4] = [
    ("CAP_SYS_ADMIN", CapabilitySet::SYS_ADMIN, "the shield `overlay`"),
    ("CAP_AUDIT_CONTROL", CapabilitySet::AUDIT_CONTROL, "audit rules of Foil's own"),
    ("CAP_AUDIT_READ", CapabilitySet::AUDIT_READ, "the kernel's audit stream"),
    ("CAP_SETUID", CapabilitySet::SETUID, "children that run as another user"),
];

/// The oldest kernel whose Landlock and overlays Foil was made for.
const OLDEST: (u32, u32) = (5, 13);

pub(super) fn look() -> Vec<Finding> {
    let mut area = Area::new("machine");
    if rustix::process::geteuid().is_root() {
        let have = rustix::thread::capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
        let lacking: Vec<String> = NEEDED
            .iter()
            .filter(|(_, capability, _)| !have.contains(*capability))
            .map(|(name, _, what)| format!("{name} ({what})"))
            .collect();
        if lacking.is_empty() {
            area.ok("privileges", "root, with all capabilities that Foil uses");
        } else {
            area.warning(
                "privileges",
                format!("root, without {}", lacking.join(", ")),
                "run Foil outside of the container, or give the container these capabilities",
            );
        }
    } else {
        area.warning(
            "privileges",
            format!("uid {}, not root", rustix::process::geteuid().as_raw()),
            "run as root for techniques that need it, for the shield `overlay` and for the kernel's audit stream; without, \
             such runs are inconclusive",
        );
    }
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    match version(&release) {
        Some(version) if version >= OLDEST => area.ok("kernel", release),
        _ => area.warning(
            "kernel",
            format!("{release}, older than {}.{}", OLDEST.0, OLDEST.1),
            "use a newer kernel: the shields need Landlock and overlays of user namespaces",
        ),
    }
    area.found
}

/// `6.12.5-arch1` is (6, 12).
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    #[test]
    fn releases_are_compared_as_numbers() {
        for (release, version) in [
            ("6.12.5-arch1", Some((6, 12))),
            ("5.9", Some((5, 9))),
            ("4.18.0-553.el8", Some((4, 18))),
            ("strange", None),
        ] {
            assert_eq!(super::version(release), version, "{release}");
        }
        assert!((5, 9) < super::OLDEST && super::OLDEST < (6, 1));
    }
}
