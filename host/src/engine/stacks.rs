//! The stacks that guests and the calls they make run on, used again: to map and unmap one for each phase makes every core forget its
//! table of pages, which takes longer than a short phase.

use rustix::param::page_size;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::{StackCreator, StackMemory};

/// Makes stacks, and keeps those that are not in use. There are never more than were in use at once. A guest does not see what another
/// left on one: its own values are written before they are read, as with the stacks that wasmtime pools.
#[derive(Debug, Default)]
pub(super) struct Stacks {
    free: Arc<Free>,
}

#[derive(Debug, Default)]
struct Free(Mutex<Vec<Mapping>>);

/// Memory of our own: one page that nobody may touch, and the stack above it.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    guard: usize,
    whole: usize,
}

// SAFETY: whoever has the value has the memory, alone.
unsafe impl Send for Mapping {}
// SAFETY: nothing is read or written through a shared reference.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(size: usize) -> std::io::Result<Self> {
        let guard = page_size();
        let whole = size.checked_next_multiple_of(guard).and_then(|size| size.checked_add(guard));
        let whole = whole.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::InvalidInput))?;
        // SAFETY: new memory, at a place that the kernel chooses; its first page is closed before anybody has it.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_STACK;
            let start = libc::mmap(std::ptr::null_mut(), whole, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if start == libc::MAP_FAILED {
                return Err(std::io::Error::last_os_error());
            }
            let start = NonNull::new(start.cast()).ok_or_else(std::io::Error::last_os_error)?;
            let mapping = Self { start, guard, whole };
            if libc::mprotect(start.as_ptr().cast(), guard, libc::PROT_NONE) != 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(mapping)
        }
    }

    /// An address within it.
    fn at(&self, offset: usize) -> *mut u8 {
        self.start.as_ptr().wrapping_add(offset)
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: ours, and nobody uses it any more.
        unsafe {
            libc::munmap(self.start.as_ptr().cast(), self.whole);
        }
    }
}

/// A stack in use. Goes back to the others.
struct Stack {
    mapping: Option<Mapping>,
    free: Arc<Free>,
}

// SAFETY: new memory is zero and page-aligned with a closed page below it; memory that was used belongs to nobody else any more. Where
// zeroes are asked for, it is new.
unsafe impl StackCreator for Stacks {
    fn new_stack(&self, size: usize, zeroed: bool) -> wasmtime::Result<Box<dyn StackMemory>> {
        let mut free = self.free.0.lock().unwrap_or_else(PoisonError::into_inner);
        let used = free.pop().filter(|mapping| !zeroed && mapping.whole.saturating_sub(mapping.guard) >= size);
        drop(free);
        let mapping = used.map_or_else(|| Mapping::new(size), Ok)?;
        Ok(Box::new(Stack { mapping: Some(mapping), free: Arc::clone(&self.free) }))
    }
}

impl Stack {
    fn place(&self, of: impl FnOnce(&Mapping) -> *mut u8) -> *mut u8 {
        self.mapping.as_ref().map_or(std::ptr::null_mut(), of)
    }
}

// SAFETY: the ranges are those of the mapping, which lives until the stack is dropped.
unsafe impl StackMemory for Stack {
    fn top(&self) -> *mut u8 {
        self.place(|mapping| mapping.at(mapping.whole))
    }

    fn range(&self) -> Range<usize> {
        self.place(|mapping| mapping.at(mapping.guard)).addr()..self.top().addr()
    }

    fn guard_range(&self) -> Range<*mut u8> {
        self.place(|mapping| mapping.at(0))..self.place(|mapping| mapping.at(mapping.guard))
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(mapping) = self.mapping.take() {
            self.free.0.lock().unwrap_or_else(PoisonError::into_inner).push(mapping);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_is_used_again_unless_it_is_too_small_or_must_be_empty() {
        let stacks = Stacks::default();
        let free = || stacks.free.0.lock().unwrap().len();
        let first = stacks.new_stack(100_000, false).unwrap();
        let (top, range, guard) = (first.top(), first.range(), first.guard_range());
        assert!(range.len() >= 100_000 && top.addr() == range.end && range.end.is_multiple_of(page_size()));
        assert_eq!((guard.end.addr(), guard.end.addr() - guard.start.addr()), (range.start, page_size()));
        // SAFETY: within the stack, which is ours.
        unsafe { top.sub(8).cast::<u64>().write(7) };
        let second = stacks.new_stack(100_000, false).unwrap();
        assert!(second.top() != top && free() == 0);
        drop(first);
        assert_eq!(free(), 1);
        assert_eq!(stacks.new_stack(90_000, false).unwrap().top(), top);
        assert!(stacks.new_stack(1 << 20, false).unwrap().range().len() >= 1 << 20);
        let empty = stacks.new_stack(100_000, true).unwrap();
        // SAFETY: the same.
        assert_eq!(unsafe { empty.top().sub(8).cast::<u64>().read() }, 0);
    }
}
