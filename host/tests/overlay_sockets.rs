//! Sockets and FIFOs of the machine have no other end in a view.

#[path = "common/overlay.rs"]
mod overlay;

use std::io::Read;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use foil_manifest::Network;
use overlay::{Case, Gone, inside, root};

#[test]
fn helper() {
    overlay::helper();
}

#[test]
fn sockets_of_the_machine_refuse() {
    if !root() {
        return;
    }
    let paths = ["/run", "/tmp", "/var/tmp"].map(Gone::new);
    let listeners: Vec<_> = paths.iter().map(|path| UnixListener::bind(&path.0).unwrap()).collect();
    for listener in &listeners {
        listener.set_nonblocking(true).unwrap();
    }
    let read_only = Gone::new("/var/tmp");
    std::fs::create_dir(&read_only.0).unwrap();
    for network in [Network::Loopback, Network::Host] {
        let mut case = Case::new("");
        // A read-only mount would keep a socket alive, were it shown as it is; a socket may be a mount of its own.
        case.before = format!(
            "cd {read_only}; mkdir -p ro; : > alone; mount --bind /var/tmp ro; mount -o remount,bind,ro ro; mount --bind {} alone",
            paths[0]
        );
        let name = paths[2].0.file_name().unwrap().to_string_lossy().into_owned();
        let also = [format!("{read_only}/ro/{name}"), format!("{read_only}/alone")];
        case.scripts =
            paths.iter().map(|path| path.to_string()).chain(also).map(|path| format!("PROBE connect {path}")).collect();
        case.network = network;
        let said = case.run();
        assert_eq!(said.matches("probe:connect ECONNREFUSED").count(), 5, "{said}");
    }
    for listener in &listeners {
        assert!(listener.accept().is_err());
    }
}

#[test]
fn abstract_sockets_of_the_machine_refuse() {
    if !root() {
        return;
    }
    let name = format!("foil-test-{}", foil_text::RunId::new());
    let listener = UnixListener::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    listener.set_nonblocking(true).unwrap();
    assert!(inside(&format!("PROBE abstract {name}")).contains("probe:abstract ECONNREFUSED"));
    let mut case = Case::new(&format!("PROBE abstract {name}"));
    case.network = Network::Host;
    let said = case.run();
    // EPERM by Landlock; where it has no scopes, there are no Unix sockets.
    assert!(said.contains("probe:abstract EPERM") || said.contains("probe:abstract EAFNOSUPPORT"), "{said}");
    assert!(listener.accept().is_err());
}

#[test]
fn families_that_ignore_namespaces_are_refused() {
    if !root() {
        return;
    }
    let said = inside(&format!(
        "PROBE socket {}; PROBE socket {}; PROBE socket {}",
        libc::AF_VSOCK,
        libc::AF_ALG,
        libc::AF_INET6
    ));
    assert_eq!(said.matches("probe:socket EAFNOSUPPORT").count(), 2, "{said}");
    assert!(said.contains("probe:socket ok"), "{said}");
}

#[test]
fn fifos_of_the_machine_have_no_reader() {
    if !root() {
        return;
    }
    for folder in ["/var/tmp", "/run", "/tmp"] {
        let fifo = Gone::new(folder);
        nix::unistd::mkfifo(&fifo.0, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let options = || std::fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).clone();
        let mut reader = options().open(&fifo.0).unwrap();
        let said = inside(&format!("timeout 1 sh -c 'echo escaped > {fifo}'; echo $?"));
        assert!(said.contains("124\n"), "{said}"); // it waited for a reader
        let mut heard = Vec::new();
        let _ = reader.read_to_end(&mut heard);
        assert!(heard.is_empty());
    }
}

/// What stands in for Landlock's scopes on kernels before 6.12, on the host's network.
#[test]
fn without_scopes_there_are_no_unix_sockets() {
    if !root() {
        return;
    }
    use std::os::unix::net::{UnixDatagram, UnixStream};
    let refused = |error: std::io::Error| error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    let status = overlay::child(|| {
        foil_shield::overlay::deny::Filter::new(false).install().unwrap();
        assert!(refused(UnixDatagram::unbound().unwrap_err()));
        assert!(refused(UnixDatagram::pair().unwrap_err()));
        UnixStream::pair().unwrap();
        // A raw Unix socket is a datagram socket by another name.
        use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
        for kind in [SockType::Raw, SockType::Datagram] {
            assert!(socketpair(AddressFamily::Unix, kind, None, SockFlag::empty()).is_err());
        }
        std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        0
    });
    assert_eq!(status, 0);
}
