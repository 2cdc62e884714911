//! System calls by number and by name, for the machines whose records Foil can name. Both tables are in every build:
//! a record says itself which machine it is from.

mod aarch64;
mod x86_64;

/// `AUDIT_ARCH_X86_64`: what `arch=` of a 64-bit x86 process says.
pub const ARCH_X86_64: u32 = 0xc000_003e;
/// `AUDIT_ARCH_AARCH64`.
pub const ARCH_AARCH64: u32 = 0xc000_00b7;

/// The machine that Foil was built for, where its system calls are known.
pub const fn native() -> Option<u32> {
    if cfg!(all(target_arch = "x86_64", target_pointer_width = "64")) {
        Some(ARCH_X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(ARCH_AARCH64)
    } else {
        None
    }
}

fn table(arch: u32) -> Option<&'static [(u32, &'static str)]> {
    match arch {
        ARCH_X86_64 => Some(x86_64::NAMES),
        ARCH_AARCH64 => Some(aarch64::NAMES),
        _ => None,
    }
}

/// The name of a system call; `None` where the machine or the number is unknown.
pub fn name(arch: u32, number: u32) -> Option<&'static str> {
    let table = table(arch)?;
    let place = table.binary_search_by_key(&number, |(n, _)| *n).ok()?;
    table.get(place).map(|(_, name)| *name)
}

/// The number of a system call; `None` where the machine has none of that name.
pub fn number(arch: u32, name: &str) -> Option<u32> {
    table(arch)?.iter().find(|(_, n)| *n == name).map(|(number, _)| *number)
}

/// The names of all system calls of all machines that Foil knows; some are there twice.
pub fn names() -> impl Iterator<Item = &'static str> {
    [x86_64::NAMES, aarch64::NAMES].into_iter().flatten().map(|(_, name)| *name)
}

/// Some machine has a system call of that name.
pub fn known_elsewhere(name: &str) -> bool {
    [ARCH_X86_64, ARCH_AARCH64].into_iter().any(|arch| number(arch, name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_sorted_and_both_ways_agree() {
        for arch in [ARCH_X86_64, ARCH_AARCH64] {
            let table = table(arch).unwrap();
            assert!(table.windows(2).all(|w| w[0].0 < w[1].0));
            for (n, text) in table {
                assert_eq!(name(arch, *n), Some(*text));
                assert_eq!(number(arch, text), Some(*n), "{text} is there twice");
            }
        }
        assert_eq!(name(ARCH_X86_64, 59), Some("execve"));
        assert_eq!(name(ARCH_AARCH64, 221), Some("execve"));
        assert_eq!(name(0x4000_0003, 11), None);
    }
}
