//! What init's processes say of themselves on the births socket: when they begin, and when Foil's own code in them ends.

use crate::BirthStage;
use std::os::fd::RawFd;

/// Bytes of one message: the call, nanoseconds since 1970, the stage.
pub const LENGTH: usize = 24;

/// Says what the calling process is about to do, for the call `id`. The kernel adds its pid, as the host sees it.
///
/// Allocates nothing and takes no lock: a child that shares init's memory may call it. A full buffer costs the host the
/// message, not the child its start.
pub fn tell(births: RawFd, id: u64, stage: BirthStage) {
    let words = words(id, now(), stage);
    // SAFETY: sends the bytes of an array.
    unsafe { libc::send(births, words.as_ptr().cast(), words.len(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT) };
}

/// Reads a message. `None` where it is none.
pub fn read(words: &[u8]) -> Option<(u64, u64, BirthStage)> {
    let (call, rest) = words.split_first_chunk::<8>()?;
    let (at, rest) = rest.split_first_chunk::<8>()?;
    let stage = match u64::from_le_bytes(rest.try_into().ok()?) {
        0 => BirthStage::SetUp,
        1 => BirthStage::Program,
        2 => BirthStage::Effect,
        _ => return None,
    };
    Some((u64::from_le_bytes(*call), u64::from_le_bytes(*at), stage))
}

fn words(id: u64, at: u64, stage: BirthStage) -> [u8; LENGTH] {
    let stage: u64 = match stage {
        BirthStage::SetUp => 0,
        BirthStage::Program => 1,
        BirthStage::Effect => 2,
    };
    let mut words = [0; LENGTH];
    for (slot, number) in words.chunks_exact_mut(8).zip([id, at, stage]) {
        slot.copy_from_slice(&number.to_le_bytes());
    }
    words
}

/// Nanoseconds since 1970.
pub fn now() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the structure.
    unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000);
    seconds.saturating_add(u64::try_from(time.tv_nsec).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_read() {
        for stage in [BirthStage::SetUp, BirthStage::Program, BirthStage::Effect] {
            assert_eq!(read(&words(7, 1_795_298_620_821_407_465, stage)), Some((7, 1_795_298_620_821_407_465, stage)));
        }
        assert_eq!(read(&[0; 16]), None);
        assert_eq!(read(&[9; LENGTH]), None);
    }
}
