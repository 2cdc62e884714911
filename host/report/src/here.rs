//! What other tools' forms say of the machine, and of how Foil was called.

use jiff::tz::TimeZone;

/// This machine, at the time of writing.
pub struct Here {
    /// The first address that others reach it by; empty where there is none.
    pub ip: String,
    pub zone: TimeZone,
    /// `PATH`.
    pub path: String,
    /// The command line.
    pub command: String,
}

impl Here {
    pub fn now() -> Self {
        Self {
            ip: address().unwrap_or_default(),
            zone: TimeZone::system(),
            path: std::env::var_os("PATH").unwrap_or_default().to_string_lossy().into_owned(),
            command: shell_words::join(std::env::args_os().map(|word| word.to_string_lossy().into_owned())),
        }
    }
}

/// IPv4 where there is one, as Invoke-AtomicRedTeam prefers it.
fn address() -> Option<String> {
    use nix::net::if_::InterfaceFlags;
    let addresses = || {
        let up = |flags: InterfaceFlags| {
            flags.contains(InterfaceFlags::IFF_UP) && !flags.contains(InterfaceFlags::IFF_LOOPBACK)
        };
        nix::ifaddrs::getifaddrs().ok().into_iter().flatten().filter(move |i| up(i.flags)).filter_map(|i| i.address)
    };
    let v4 = addresses().find_map(|address| Some(address.as_sockaddr_in()?.ip().to_string()));
    v4.or_else(|| addresses().find_map(|address| Some(address.as_sockaddr_in6()?.ip().to_string())))
}
