//! Classic BPF over `struct seccomp_data`, in the few forms that the filter needs.

use libc::{c_int, c_long, sock_filter};

/// `linux/audit.h`: the machine that a call's number is of.
#[cfg(target_arch = "x86_64")]
const ARCH: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
const ARCH: u32 = 0xc000_00b7;
#[cfg(target_arch = "riscv64")]
const ARCH: u32 = 0xc000_00f3;

// Offsets in `struct seccomp_data`; the low half of an argument comes first on these (little-endian) machines.
const AT_NUMBER: u32 = 0;
const AT_ARCH: u32 = 4;
const AT_ARGUMENTS: u32 = 16;

/// Which half of an argument.
#[derive(Debug, Clone, Copy)]
pub enum Half {
    /// All that there is of an `int`.
    Low,
    /// Of a pointer.
    High,
}

/// A program under construction. Between calls of its functions the accumulator holds the call's number.
#[derive(Debug)]
pub struct Code(Vec<sock_filter>);

impl Code {
    /// Kills calls of other machines: i386 and x32 have other numbers, so that no list would mean anything.
    pub fn new() -> Self {
        let mut code = vec![load(AT_ARCH), jump(libc::BPF_JEQ, ARCH, 1, 0), give(libc::SECCOMP_RET_KILL_PROCESS)];
        code.push(load(AT_NUMBER));
        #[cfg(target_arch = "x86_64")]
        code.extend([jump(libc::BPF_JGE, 0x4000_0000, 0, 1), give(libc::SECCOMP_RET_KILL_PROCESS)]);
        Self(code)
    }

    /// Refuses a call, whatever its arguments.
    pub fn refuse(&mut self, number: c_long, error: c_int) {
        self.on(number, &[give(errno(error))]);
    }

    /// Appends `then`, which must end in a verdict, for one call only.
    pub fn on(&mut self, number: c_long, then: &[sock_filter]) {
        let over = u8::try_from(then.len()).unwrap_or(u8::MAX);
        self.0.push(jump(libc::BPF_JEQ, u32::try_from(number).unwrap_or(u32::MAX), 0, over));
        self.0.extend_from_slice(then);
    }

    /// Allows the rest.
    pub fn finish(mut self) -> Vec<sock_filter> {
        self.0.push(give(libc::SECCOMP_RET_ALLOW));
        self.0
    }
}

/// Loads half of an argument.
pub fn argument(number: u32, half: Half) -> sock_filter {
    let at = AT_ARGUMENTS.saturating_add(number.saturating_mul(8));
    load(match half {
        Half::Low => at,
        Half::High => at.saturating_add(4),
    })
}

/// Skips the next instruction unless the accumulator is `value`.
pub fn if_equal(value: u32) -> sock_filter {
    jump(libc::BPF_JEQ, value, 0, 1)
}

/// Skips the next instruction if the accumulator is `value`.
pub fn unless_equal(value: u32) -> sock_filter {
    jump(libc::BPF_JEQ, value, 1, 0)
}

/// Skips the next instruction unless the accumulator has one of these bits.
pub fn if_any(bits: u32) -> sock_filter {
    jump(libc::BPF_JSET, bits, 0, 1)
}

/// Skips the next instruction if the accumulator has one of these bits.
pub fn if_none(bits: u32) -> sock_filter {
    jump(libc::BPF_JSET, bits, 1, 0)
}

/// Keeps these bits of the accumulator.
pub fn and(bits: u32) -> sock_filter {
    statement(libc::BPF_ALU | libc::BPF_AND | libc::BPF_K, bits)
}

/// Ends with an error.
pub fn fail(error: c_int) -> sock_filter {
    give(errno(error))
}

/// Ends: the call is allowed.
pub fn allow() -> sock_filter {
    give(libc::SECCOMP_RET_ALLOW)
}

fn errno(error: c_int) -> u32 {
    libc::SECCOMP_RET_ERRNO | error.cast_unsigned()
}

fn load(offset: u32) -> sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn give(verdict: u32) -> sock_filter {
    statement(libc::BPF_RET | libc::BPF_K, verdict)
}

fn statement(code: u32, k: u32) -> sock_filter {
    sock_filter { code: u16::try_from(code).unwrap_or(u16::MAX), jt: 0, jf: 0, k }
}

fn jump(test: u32, k: u32, yes: u8, no: u8) -> sock_filter {
    sock_filter { jt: yes, jf: no, ..statement(libc::BPF_JMP | test | libc::BPF_K, k) }
}
