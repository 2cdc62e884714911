//! Dropping capabilities that reach past the files and processes of the run.

use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, remove_capability_from_bounding_set, set_capabilities,
};

/// What even a root child of any level but `open` must not have: each acts on the machine as a whole, where no
/// namespace, Landlock rule or overlay is in between.
///
/// - `SYS_MODULE`, `BPF`, `PERFMON`: code in, or a view into, the kernel.
/// - `SYS_RAWIO`, `MKNOD`: devices and memory below the file system.
/// - `SYS_BOOT`, `SYS_TIME`, `WAKE_ALARM`: the machine and its clock, which no namespace of ours separates.
/// - `AUDIT_CONTROL`, `AUDIT_READ`, `SYSLOG`: the sensor that is being measured, and the kernel's log.
/// - `MAC_ADMIN`, `MAC_OVERRIDE`: the machine's own security policy.
/// - `DAC_READ_SEARCH`: files by handle, past every path rule.
/// - `LINUX_IMMUTABLE`: attributes that an undo could not take back with the pre-image.
/// - `CHECKPOINT_RESTORE`: choosing process ids, and with them the marks by which a run is known.
pub const MACHINE_WIDE: CapabilitySet = CapabilitySet::SYS_MODULE
    .union(CapabilitySet::BPF)
    .union(CapabilitySet::PERFMON)
    .union(CapabilitySet::SYS_RAWIO)
    .union(CapabilitySet::MKNOD)
    .union(CapabilitySet::SYS_BOOT)
    .union(CapabilitySet::SYS_TIME)
    .union(CapabilitySet::WAKE_ALARM)
    .union(CapabilitySet::AUDIT_CONTROL)
    .union(CapabilitySet::AUDIT_READ)
    .union(CapabilitySet::SYSLOG)
    .union(CapabilitySet::MAC_ADMIN)
    .union(CapabilitySet::MAC_OVERRIDE)
    .union(CapabilitySet::DAC_READ_SEARCH)
    .union(CapabilitySet::LINUX_IMMUTABLE)
    .union(CapabilitySet::CHECKPOINT_RESTORE);

/// Besides [`MACHINE_WIDE`], `confined` drops:
///
/// - `SYS_ADMIN`: mounts, namespaces and much of the kernel's surface hang on it, and nothing that a Landlock domain
///   allows needs it.
/// - `SETFCAP`: a file with capabilities outlives the shield, as a set-id file does, for whoever can reach it. Its mode is
///   an argument that the filter sees; an attribute is not.
/// - `SYS_RESOURCE`: the limits that the run was given.
/// - `SYS_NICE`: real-time priority, by which a child keeps the sensors and Foil from the processors.
pub const CONFINED: CapabilitySet = MACHINE_WIDE
    .union(CapabilitySet::SYS_ADMIN)
    .union(CapabilitySet::SETFCAP)
    .union(CapabilitySet::SYS_RESOURCE)
    .union(CapabilitySet::SYS_NICE);

/// The network of the machine, for children that share it.
pub const NETWORK: CapabilitySet = CapabilitySet::NET_ADMIN;

/// Takes these capabilities from the bounding set: no program that is executed later can have them, set-id or not.
/// Must come before [`drop_own`], since it needs `SETPCAP`.
pub fn drop_bounding(drops: CapabilitySet) -> Result<(), String> {
    for capability in drops.iter() {
        match remove_capability_from_bounding_set(capability) {
            // A capability that this kernel does not know cannot be had either.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(format!("cannot drop {capability:?} from the bounding set: {error}")),
        }
    }
    Ok(())
}

/// Takes these capabilities from the calling process, and empties what a program would inherit.
pub fn drop_own(drops: CapabilitySet) -> Result<(), String> {
    let have = capabilities(None).map_err(|error| format!("cannot read the capabilities: {error}"))?;
    let sets = CapabilitySets {
        effective: have.effective.difference(drops),
        permitted: have.permitted.difference(drops),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, sets).map_err(|error| format!("cannot drop capabilities: {error}"))
}

/// Does the calling process have this capability?
pub fn has(capability: CapabilitySet) -> bool {
    capabilities(None).is_ok_and(|have| have.effective.contains(capability))
}
