//! Hostile sizes from small inputs: a fuzzer hardly ever finds a large one by itself, and where time grows with the square of
//! a file's size, only a large one shows it. libFuzzer's `-timeout` is the judge.

/// A first byte below eight repeats the rest until it has a power of two of bytes, at most `most`; any other leaves it alone.
/// A sanitized, unoptimised build is some thirty times slower than what is shipped, so that `most` may be below the real bound.
pub fn swell(data: &[u8], most: usize) -> Vec<u8> {
    let (power, rest) = match data.split_first() {
        Some((first @ 0..8, rest)) if !rest.is_empty() => (*first, rest),
        _ => return data.to_vec(),
    };
    let wanted = (most >> (7 - power)).max(rest.len());
    rest.iter().copied().cycle().take(wanted).collect()
}
