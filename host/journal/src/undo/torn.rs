//! Telling our own half-finished writing from somebody else's change.

/// Whether `found` is a mixture of the two contents that we know: each byte is what one of them has at its place. That is
/// what any half-finished write of ours leaves, in either direction and however it cuts the file or orders its pages
/// (truncate then write, write then truncate, a restore on top of a torn write).
///
/// It is asked only after a crash, where nothing better is known. Somebody else's change that happens to be such a mixture,
/// such as emptying the file, is then taken for ours.
pub(super) fn is_mixture(found: &[u8], one: &[u8], other: &[u8]) -> bool {
    found.len() <= one.len().max(other.len())
        && found.iter().enumerate().all(|(at, byte)| one.get(at) == Some(byte) || other.get(at) == Some(byte))
}

/// Whether `found` is a part of an append: everything before, and the beginning of what was added.
pub(super) fn is_partial_append(found: &[u8], before: &[u8], added: &[u8]) -> bool {
    found.strip_prefix(before).is_some_and(|rest| added.starts_with(rest))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn strangers_are_no_mixture() {
        assert!(!is_mixture(b"hellO", b"hello", b"world"));
        assert!(!is_mixture(b"hello world", b"hello", b"world"));
        assert!(is_mixture(b"wello", b"hello", b"world"));
        assert!(!is_partial_append(b"aXb", b"a", b"b"));
        assert!(!is_partial_append(b"", b"a", b"b"));
        assert!(is_partial_append(b"ab", b"a", b"bc"));
    }

    proptest! {
        #[test]
        fn every_torn_write_and_restore_is_recognised(
            before in proptest::collection::vec(any::<u8>(), 0..40),
            new in proptest::collection::vec(any::<u8>(), 0..40),
            written in 0usize..40, restored in 0usize..40, truncate_first: bool, cut: bool,
        ) {
            // Forward: in place, cut first or last, dying after `written` bytes.
            let written = written.min(new.len());
            let mut file = if truncate_first { Vec::new() } else { before.clone() };
            file.splice(..written.min(file.len()), new[..written].iter().copied());
            prop_assert!(is_mixture(&file, &new, &before));
            // Backward over it: dying after `restored` bytes, or just before or after the final cut.
            let restored = restored.min(before.len());
            file.splice(..restored.min(file.len()), before[..restored].iter().copied());
            if cut && restored == before.len() {
                file.truncate(before.len());
            }
            prop_assert!(is_mixture(&file, &before, &new));
        }
    }
}
