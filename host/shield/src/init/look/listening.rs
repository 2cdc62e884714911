//! TCP sockets that listen, by sock_diag(7): the kernel lists those alone, where `/proc/net/tcp` goes through the whole table of
//! connections, which takes ten milliseconds and more.

use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_TCP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, SocketId, StateFlags};
use netlink_packet_sock_diag::{SockDiagMessage, SockDiagMessage::InetResponse};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, socket_with, sockopt};
use std::net::SocketAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::time::Duration;

/// The kernel fills a datagram of an answer up to 32 KiB.
const DATAGRAM: usize = 64 * 1024;
/// How long the kernel may take for one.
const PATIENCE: Duration = Duration::from_secs(3);

/// A socket that listens: where, and its inode.
pub type Listening = (SocketAddr, u64);

/// Opens a socket on which the kernel lists those of the caller's network. `None`: this kernel has no such list (`CONFIG_INET_DIAG`).
pub fn open() -> Option<OwnedFd> {
    let kernel = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, Some(netlink::SOCK_DIAG));
    let kernel = kernel.ok()?;
    sockopt::set_socket_timeout(&kernel, sockopt::Timeout::Recv, Some(PATIENCE)).ok()?;
    Some(kernel)
}

/// The TCP sockets that listen: of IPv4, and of IPv6.
pub fn list(kernel: BorrowedFd<'_>) -> Option<[Vec<Listening>; 2]> {
    Some([of(kernel, AF_INET)?, of(kernel, AF_INET6)?])
}

fn of(kernel: BorrowedFd<'_>, family: u8) -> Option<Vec<Listening>> {
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let request = InetRequest {
        family,
        protocol: IPPROTO_TCP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::LISTEN,
        socket_id: if family == AF_INET { SocketId::new_v4() } else { SocketId::new_v6() },
    };
    let mut order = NetlinkMessage::new(header, SockDiagMessage::InetRequest(request).into());
    order.finalize();
    let mut bytes = vec![0; order.buffer_len()];
    order.serialize(&mut bytes);
    rustix::net::sendto(kernel, &bytes, SendFlags::empty(), &netlink::SocketAddrNetlink::new(0, 0)).ok()?;
    let (mut found, mut datagram) = (Vec::new(), vec![0; DATAGRAM]);
    loop {
        let (length, _) = rustix::net::recv(kernel, datagram.as_mut_slice(), RecvFlags::empty()).ok()?;
        let mut rest = datagram.get(..length).filter(|rest| !rest.is_empty())?;
        while !rest.is_empty() {
            let message = NetlinkMessage::<SockDiagMessage>::deserialize(rest).ok()?;
            match message.payload {
                NetlinkPayload::InnerMessage(InetResponse(answer)) => {
                    let id = &answer.header.socket_id;
                    found.push((SocketAddr::new(id.source_address, id.source_port), answer.header.inode.into()));
                }
                NetlinkPayload::Done(_) => return Some(found),
                _ => return None,
            }
            // Messages begin at multiples of four bytes.
            let size = usize::try_from(message.header.length).ok()?.checked_next_multiple_of(4)?;
            rest = rest.get(size..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd as _;

    #[test]
    fn what_listens_is_listed_and_what_is_connected_is_not() {
        let four = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let connected = std::net::TcpStream::connect(four.local_addr().unwrap()).unwrap();
        let six = std::net::TcpListener::bind("[::1]:0").ok();
        let Some([of_four, of_six]) = open().and_then(|kernel| list(kernel.as_fd())) else {
            println!("skipped: this kernel does not list sockets");
            return;
        };
        let addresses = |listed: &[Listening]| listed.iter().map(|(address, _)| *address).collect::<Vec<_>>();
        assert!(addresses(&of_four).contains(&four.local_addr().unwrap()), "{of_four:?}");
        assert!(!addresses(&of_four).contains(&connected.local_addr().unwrap()), "{of_four:?}");
        assert!(six.is_none_or(|six| addresses(&of_six).contains(&six.local_addr().unwrap())), "{of_six:?}");
    }
}
