//! What a view costs. Prints, and fails only where it is out of all proportion.

#[path = "common/overlay.rs"]
mod overlay;

use std::time::{Duration, Instant};

use foil_shield::overlay::enter;
use overlay::{child, namespaced, root};

#[test]
fn helper() {
    overlay::helper();
}

#[test]
fn entering_and_joining_is_cheap() {
    if !root() {
        return;
    }
    let status = child(|| {
        namespaced(|| {
            let start = Instant::now();
            let view = enter(&overlay::spec("/var/tmp".as_ref())).unwrap();
            let entered = start.elapsed();
            const ROUNDS: u32 = 200;
            let time = |join: bool| {
                let start = Instant::now();
                for _ in 0..ROUNDS {
                    assert_eq!(child(|| i32::from(join && view.join().is_err())), 0);
                }
                start.elapsed() / ROUNDS
            };
            let (plain, joined) = (time(false), time(true));
            println!("overlay: enter {entered:?} once; fork and wait {plain:?}, with join {joined:?}");
            i32::from(entered > Duration::from_secs(2) || joined > Duration::from_millis(50))
        })
    });
    assert_eq!(status, 0);
}

extern "C" fn join(view: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `clone` below passes a view that outlives the child, since its parent waits.
    let view = unsafe { &*view.cast::<foil_shield::overlay::View>() };
    i32::from(view.join().is_err())
}

/// The launcher's children share the init's memory until they execute.
#[test]
fn a_child_that_shares_memory_joins() {
    if !root() {
        return;
    }
    let status = child(|| {
        namespaced(|| {
            let view = enter(&overlay::spec("/var/tmp".as_ref())).unwrap();
            let mut stack = vec![0_u128; 4096];
            for _ in 0..20 {
                let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
                let top = stack.as_mut_ptr_range().end.cast();
                // SAFETY: the child has a stack of its own and its parent waits until it has ended.
                let pid = unsafe { libc::clone(join, top, flags, (&raw const view).cast_mut().cast()) };
                assert!(pid > 0);
                let ended = nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None).unwrap();
                assert!(matches!(ended, nix::sys::wait::WaitStatus::Exited(_, 0)), "{ended:?}");
            }
            assert!(std::fs::read_to_string("/proc/self/status").unwrap().contains("Seccomp:\t0"));
            0
        })
    });
    assert_eq!(status, 0);
}
