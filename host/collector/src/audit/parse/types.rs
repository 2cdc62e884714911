//! Record types by number. Source: `linux/audit.h`, and libaudit's table for the messages of user space.

/// A system call's own record: first of its event.
pub const SYSCALL: u16 = 1300;
/// One file that a system call named.
pub const PATH: u16 = 1302;
/// A change of the audit configuration.
pub const CONFIG_CHANGE: u16 = 1305;
/// An address that a system call was given.
pub const SOCKADDR: u16 = 1306;
/// The working directory.
pub const CWD: u16 = 1307;
/// The arguments of a new program.
pub const EXECVE: u16 = 1309;
/// End of a multi-record event.
pub const EOE: u16 = 1320;
/// The command line of the process; the kernel writes it last.
pub const PROCTITLE: u16 = 1327;

#[rustfmt::skip]
const NAMES: &[(u16, &str)] = &[
    (1006, "LOGIN"), (1100, "USER_AUTH"), (1101, "USER_ACCT"), (1102, "USER_MGMT"), (1103, "CRED_ACQ"),
    (1104, "CRED_DISP"), (1105, "USER_START"), (1106, "USER_END"), (1107, "USER_AVC"), (1108, "USER_CHAUTHTOK"),
    (1109, "USER_ERR"), (1110, "CRED_REFR"), (1111, "USYS_CONFIG"), (1112, "USER_LOGIN"), (1113, "USER_LOGOUT"),
    (1114, "ADD_USER"), (1115, "DEL_USER"), (1116, "ADD_GROUP"), (1117, "DEL_GROUP"), (1121, "TEST"),
    (1122, "TRUSTED_APP"), (1123, "USER_CMD"), (1124, "USER_TTY"), (1125, "CHUSER_ID"), (1126, "GRP_AUTH"),
    (1127, "SYSTEM_BOOT"), (1128, "SYSTEM_SHUTDOWN"), (1129, "SYSTEM_RUNLEVEL"), (1130, "SERVICE_START"),
    (1131, "SERVICE_STOP"), (1132, "GRP_MGMT"), (1200, "DAEMON_START"), (1201, "DAEMON_END"), (1202, "DAEMON_ABORT"),
    (1203, "DAEMON_CONFIG"), (1300, "SYSCALL"), (1302, "PATH"), (1303, "IPC"), (1304, "SOCKETCALL"),
    (1305, "CONFIG_CHANGE"), (1306, "SOCKADDR"), (1307, "CWD"), (1309, "EXECVE"), (1311, "IPC_SET_PERM"),
    (1312, "MQ_OPEN"), (1313, "MQ_SENDRECV"), (1314, "MQ_NOTIFY"), (1315, "MQ_GETSETATTR"), (1316, "KERNEL_OTHER"),
    (1317, "FD_PAIR"), (1318, "OBJ_PID"), (1319, "TTY"), (1320, "EOE"), (1321, "BPRM_FCAPS"), (1322, "CAPSET"),
    (1323, "MMAP"), (1324, "NETFILTER_PKT"), (1325, "NETFILTER_CFG"), (1326, "SECCOMP"), (1327, "PROCTITLE"),
    (1328, "FEATURE_CHANGE"), (1329, "REPLACE"), (1330, "KERN_MODULE"), (1331, "FANOTIFY"), (1332, "TIME_INJOFFSET"),
    (1333, "TIME_ADJNTPVAL"), (1334, "BPF"), (1335, "EVENT_LISTENER"), (1336, "URINGOP"), (1337, "OPENAT2"),
    (1338, "DM_CTRL"), (1339, "DM_EVENT"), (1400, "AVC"), (1401, "SELINUX_ERR"), (1402, "AVC_PATH"),
    (1403, "MAC_POLICY_LOAD"), (1404, "MAC_STATUS"), (1405, "MAC_CONFIG_CHANGE"), (1420, "MAC_TASK_CONTEXTS"),
    (1421, "MAC_OBJ_CONTEXTS"), (1423, "IPE_ACCESS"), (1426, "LANDLOCK_ACCESS"), (1427, "LANDLOCK_DOMAIN"),
    (1700, "ANOM_PROMISCUOUS"), (1701, "ANOM_ABEND"), (1702, "ANOM_LINK"), (1703, "ANOM_CREAT"),
    (1800, "INTEGRITY_DATA"), (1801, "INTEGRITY_METADATA"), (1802, "INTEGRITY_STATUS"), (1803, "INTEGRITY_HASH"),
    (1804, "INTEGRITY_PCR"), (1805, "INTEGRITY_RULE"), (1806, "INTEGRITY_EVM_XATTR"), (1807, "INTEGRITY_POLICY_RULE"),
    (2000, "KERNEL"),
];

/// The type's name as the audit tools print it; `UNKNOWN[n]` for one that is not in the table, as they do.
pub fn name(number: u16) -> String {
    let known = NAMES.binary_search_by_key(&number, |(n, _)| *n).ok().and_then(|i| NAMES.get(i));
    known.map_or_else(|| format!("UNKNOWN[{number}]"), |(_, name)| (*name).to_owned())
}

/// All types that have a name.
pub fn names() -> impl Iterator<Item = &'static str> {
    NAMES.iter().map(|(_, name)| *name)
}

/// The number of a type as the audit tools print it.
pub fn number(name: &[u8]) -> Option<u16> {
    if let Some(inner) = name.strip_prefix(b"UNKNOWN[").and_then(|n| n.strip_suffix(b"]")) {
        return std::str::from_utf8(inner).ok()?.parse().ok();
    }
    NAMES.iter().find(|(_, n)| n.as_bytes() == name).map(|(n, _)| *n)
}

/// Records that only describe the event of another record; the kind of no event is that of one of these.
const PARTS: &[u16] = &[
    SYSCALL, PATH, 1303, 1304, SOCKADDR, CWD, EXECVE, 1311, 1312, 1313, 1314, 1315, 1317, 1318, EOE, 1321, 1322, 1323,
    PROCTITLE, 1337,
];

/// The types whose records make an event by themselves, as the audit tools print them.
pub fn events() -> impl Iterator<Item = &'static str> {
    NAMES.iter().filter(|(number, _)| !PARTS.contains(number)).map(|(_, name)| *name)
}

/// A record that is an event by itself: messages of user space come with a serial of their own and no end mark.
pub fn stands_alone(number: u16) -> bool {
    (1100..1300).contains(&number) || (2100..3000).contains(&number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_round_trips() {
        assert!(NAMES.windows(2).all(|w| w[0].0 < w[1].0));
        for (n, text) in NAMES {
            assert_eq!(name(*n), *text);
            assert_eq!(number(text.as_bytes()), Some(*n));
        }
        assert_eq!(number(name(1999).as_bytes()), Some(1999));
    }
}
