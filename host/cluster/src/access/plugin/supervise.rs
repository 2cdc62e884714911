//! The process above a plugin, forked between Foil and it: it waits, and takes everything that the plugin started with it. It ends when the plugin does,
//! when Foil tells it to, and when Foil dies, however that happens.

use std::io::{Error, Result};
use tokio::process::Command;

/// Waits for what was killed: so often, so long between.
const ROUNDS: u32 = 400;
const ROUND_NS: libc::c_long = 5_000_000;

/// Starts the command below a supervisor. What is spawned, and waited for, is the supervisor; it ends with the plugin's exit status, or 128 and the
/// number of the signal. SIGTERM makes it end the plugin. Spawn it from a thread that outlives it: the kernel tells of a thread's end.
pub fn under_supervisor(command: &mut Command) {
    let foil = std::process::id().cast_signed();
    // SAFETY: what runs between fork and exec makes system calls on its own stack only: it allocates nothing and takes no lock.
    unsafe { command.pre_exec(move || supervise(foil)) };
}

/// Returns in the process that becomes the plugin, and never in the supervisor.
fn supervise(foil: libc::pid_t) -> Result<()> {
    // SAFETY: plain system calls with places of our own, in a process with one thread.
    unsafe {
        let (mut wanted, mut before) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigemptyset(&raw mut wanted);
        libc::sigaddset(&raw mut wanted, libc::SIGTERM);
        libc::sigaddset(&raw mut wanted, libc::SIGCHLD);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const wanted, &raw mut before);
        // No terminal: nothing can be asked of a person, and Ctrl-C is Foil's to hear.
        libc::setsid();
        check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM))?;
        check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1))?;
        // It may have died before it was listened for.
        if libc::getppid() != foil {
            libc::_exit(1);
        }
        let plugin = check(libc::fork())?;
        if plugin == 0 {
            libc::setpgid(0, 0);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            return Ok(());
        }
        // Both may be first.
        libc::setpgid(plugin, plugin);
        close_all();
        wait(plugin, &wanted)
    }
}

fn check(answer: libc::c_int) -> Result<libc::c_int> {
    if answer < 0 { Err(Error::last_os_error()) } else { Ok(answer) }
}

/// The plugin's pipes and Foil's: held here, nobody would see their end.
fn close_all() {
    // SAFETY: nothing of this process uses a descriptor any more.
    unsafe {
        if libc::syscall(libc::SYS_close_range, 0_u32, u32::MAX, 0_u32) == 0 {
            return;
        }
        for descriptor in 0..4096 {
            libc::close(descriptor);
        }
    }
}

fn wait(plugin: libc::pid_t, wanted: &libc::sigset_t) -> ! {
    // SAFETY: plain system calls with places of our own.
    unsafe {
        loop {
            let signal = libc::sigwaitinfo(wanted, std::ptr::null_mut());
            if signal == libc::SIGTERM {
                end(plugin);
                libc::_exit(128_i32.wrapping_add(libc::SIGTERM));
            }
            let mut info: libc::siginfo_t = std::mem::zeroed();
            let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
            let looked = libc::waitid(libc::P_PID, plugin.cast_unsigned(), &raw mut info, flags);
            if looked == 0 && info.si_pid() == plugin {
                // Not reaped yet, so that its number, and its group's, is nobody else's.
                libc::kill(plugin.wrapping_neg(), libc::SIGKILL);
                let mut status = 0;
                libc::waitpid(plugin, &raw mut status, 0);
                sweep();
                let code = if libc::WIFEXITED(status) {
                    libc::WEXITSTATUS(status)
                } else {
                    128_i32.wrapping_add(libc::WTERMSIG(status))
                };
                libc::_exit(code);
            }
        }
    }
}

fn end(plugin: libc::pid_t) {
    // SAFETY: plain system calls; the plugin was not reaped, so that its number is nobody else's.
    unsafe {
        libc::kill(plugin.wrapping_neg(), libc::SIGKILL);
        libc::kill(plugin, libc::SIGKILL);
    }
    sweep();
}

/// Kills what left the plugin's group, too: once its parent is dead it is our child.
fn sweep() {
    for _ in 0..ROUNDS {
        for_each_child(|child| {
            // SAFETY: a child of ours that was not reaped.
            unsafe { libc::kill(child, libc::SIGKILL) };
        });
        // SAFETY: plain system calls with places of our own.
        unsafe {
            loop {
                let reaped = libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG);
                if reaped < 0 {
                    return;
                }
                if reaped == 0 {
                    break;
                }
            }
            let pause = libc::timespec { tv_sec: 0, tv_nsec: ROUND_NS };
            libc::nanosleep(&raw const pause, std::ptr::null_mut());
        }
    }
}

/// Reads the kernel's list of our children. Where it has none, only the plugin's group is known.
fn for_each_child(mut each: impl FnMut(libc::pid_t)) {
    let mut buffer = [0_u8; 4096];
    // SAFETY: a path that ends with NUL, and a buffer of that length.
    let read = unsafe {
        let list = libc::open(c"/proc/thread-self/children".as_ptr(), libc::O_RDONLY);
        if list < 0 {
            return;
        }
        let read = libc::read(list, buffer.as_mut_ptr().cast(), buffer.len());
        libc::close(list);
        read
    };
    let mut pid: libc::pid_t = 0;
    for byte in buffer.get(..usize::try_from(read).unwrap_or(0)).unwrap_or_default() {
        match byte {
            b'0'..=b'9' => pid = pid.wrapping_mul(10).wrapping_add(libc::pid_t::from(byte.wrapping_sub(b'0'))),
            _ if pid > 1 => each(std::mem::take(&mut pid)),
            _ => pid = 0,
        }
    }
}
