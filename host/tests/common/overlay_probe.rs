//! System calls that no shell makes, run inside by this test binary: `PROBE name argument` in a script prints
//! `probe:name ok` or `probe:name ERRNO`.

use std::ffi::CString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};

pub fn run(words: &str) -> String {
    let (name, argument) = words.split_once(' ').unwrap_or((words, ""));
    let outcome = match name {
        "connect" => UnixStream::connect(argument).map(drop),
        "abstract" => {
            SocketAddr::from_abstract_name(argument).and_then(|name| UnixStream::connect_addr(&name)).map(drop)
        }
        "attach" => call(libc::SYS_ptrace, [libc::PTRACE_SEIZE as i64, number(argument), 0, 0]),
        "pidfd-kill" => pidfd(argument).and_then(|fd| call(libc::SYS_pidfd_send_signal, [fd, 15, 0, 0])),
        "pidfd-getfd" => pidfd(argument).and_then(|fd| call(libc::SYS_pidfd_getfd, [fd, 3, 0, 0])),
        "setns" => setns(argument),
        "open-by-handle" => open_by_handle(argument),
        "keyctl" => call(libc::SYS_keyctl, [0, -3, 0, 0]),
        // The wrong magic: even a kernel that is asked does nothing.
        "reboot" => call(libc::SYS_reboot, [1, 2, 3, 0]),
        "settime" => settime(),
        "module" => call(libc::SYS_finit_module, [0, c"".as_ptr() as i64, 0, 0]),
        "socket" => call(libc::SYS_socket, [number(argument), i64::from(libc::SOCK_STREAM), 0, 0]),
        "raw" => call(libc::SYS_socket, [i64::from(libc::AF_INET), i64::from(libc::SOCK_RAW), 1, 0]),
        "io-uring" => call(libc::SYS_io_uring_setup, [1, 0, 0, 0]),
        "clone3" => call(libc::SYS_clone3, [0, 0, 0, 0]),
        "cgroup-namespace" => call(libc::SYS_unshare, [i64::from(libc::CLONE_NEWCGROUP), 0, 0, 0]),
        "chroot" => climb(),
        "write" => std::fs::OpenOptions::new()
            .write(true)
            .open(argument)
            .and_then(|mut file| io::Write::write_all(&mut file, b"x")),
        "core-limit" => core_limit(number(argument) as u64),
        other => Err(io::Error::other(other.to_string())),
    };
    match outcome {
        Ok(()) => format!("probe:{name} ok"),
        Err(error) => {
            let errno = nix::errno::Errno::from_raw(error.raw_os_error().unwrap_or(0));
            format!("probe:{name} {errno:?}")
        }
    }
}

fn number(text: &str) -> i64 {
    text.trim().parse().unwrap()
}

fn call(which: libc::c_long, [a, b, c, d]: [i64; 4]) -> io::Result<()> {
    answer(which, [a, b, c, d]).map(drop)
}

fn answer(which: libc::c_long, [a, b, c, d]: [i64; 4]) -> io::Result<i64> {
    // SAFETY: every caller passes numbers, null or pointers to live data of the right size.
    let status = unsafe { libc::syscall(which, a, b, c, d, 0, 0) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(status) }
}

fn pidfd(pid: &str) -> io::Result<i64> {
    answer(libc::SYS_pidfd_open, [number(pid), 0, 0, 0])
}

fn setns(path: &str) -> io::Result<()> {
    let file = std::fs::File::open(path)?;
    Ok(nix::sched::setns(file, nix::sched::CloneFlags::empty())?)
}

/// Opens the machine's root folder by handle: inode 2 of ext4, which nobody needs to be told.
fn open_by_handle(path: &str) -> io::Result<()> {
    let folder = std::fs::File::open(path)?;
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        inode: u32,
        generation: u32,
    }
    let mut handle = Handle { bytes: 8, kind: 1, inode: 2, generation: 0 };
    let fd = std::os::fd::AsRawFd::as_raw_fd(&folder);
    call(libc::SYS_open_by_handle_at, [i64::from(fd), (&raw mut handle) as i64, 0, 0])
}

/// Sets the clock to what it is.
fn settime() -> io::Result<()> {
    let clock = rustix::time::ClockId::Realtime;
    Ok(rustix::time::clock_settime(clock, rustix::time::clock_gettime(clock))?)
}

/// The classic way out of a chroot: keep a handle, chroot below it, go back to it and climb; then look for what only the
/// machine has, a mount of its own at / that is no overlay.
fn climb() -> io::Result<()> {
    let outside = std::fs::File::open("/")?;
    std::fs::create_dir_all("/tmp/foil-jail")?;
    nix::unistd::chroot("/tmp/foil-jail")?;
    nix::unistd::fchdir(&outside)?;
    for _ in 0..64 {
        nix::unistd::chdir("..")?;
    }
    nix::unistd::chroot(".")?;
    let kind = nix::sys::statfs::statfs(&CString::new("/").unwrap()[..])?.filesystem_type();
    if kind == nix::sys::statfs::OVERLAYFS_SUPER_MAGIC {
        Err(io::Error::from_raw_os_error(libc::EXDEV))
    } else {
        Ok(())
    }
}

/// A core limit: any but 1 has the kernel's pipe handler called.
fn core_limit(bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
    // SAFETY: the structure outlives the call.
    let status = unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const limit) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
