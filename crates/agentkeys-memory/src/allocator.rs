use std::{
    alloc::{GlobalAlloc, Layout, System},
    ptr,
};

/// The system's allocator, but for zeros in every block that is given back.
///
/// A block that grows or shrinks moves, and its old place is wiped, so no freed block ever holds a secret. Memory that
/// libraries in C take by themselves is theirs.
#[derive(Clone, Copy, Debug, Default)]
pub struct WipingAllocator;

// SAFETY: every call goes to the system's allocator with the layout as it came in. `realloc` is the trait's own, which
// allocates anew, copies, and gives the old block to `dealloc`.
unsafe impl GlobalAlloc for WipingAllocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises about `layout` are those that `System` asks for.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller hands over a block of `layout.size()` bytes, which nobody uses any more.
        unsafe { wipe(block, layout.size()) };
        // SAFETY: the block came from `System`, with this layout.
        unsafe { System.dealloc(block, layout) }
    }
}

/// Overwrites memory with zeros, also where nobody reads it any more.
///
/// # Safety
///
/// `start` must be valid for writes of `length` bytes, and nothing may refer to them.
pub(crate) unsafe fn wipe(start: *mut u8, length: usize) {
    // SAFETY: the caller promises just this.
    unsafe { ptr::write_bytes(start, 0, length) };
    keep_writes(start);
}

/// Makes the compiler believe that what was written at `start` is read.
#[cfg(any(target_arch = "x86", target_arch = "x86_64", target_arch = "arm", target_arch = "aarch64"))]
fn keep_writes(start: *const u8) {
    // SAFETY: there is no instruction in it. Without `nomem`, memory that `start` leads to may be read by it.
    unsafe { std::arch::asm!("/* {} */", in(reg) start, options(nostack, preserves_flags)) };
}

#[cfg(not(any(target_arch = "x86", target_arch = "x86_64", target_arch = "arm", target_arch = "aarch64")))]
fn keep_writes(start: *const u8) {
    std::hint::black_box(start);
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    #[test]
    fn a_wiped_block_holds_zeros() {
        let mut block = *b"sixteen bytes of";

        // SAFETY: the block is writable and as long as its length says.
        unsafe { wipe(block.as_mut_ptr(), block.len()) };

        assert_eq!(block, [0; 16]);
    }

    #[test]
    #[cfg(target_env = "gnu")]
    fn a_freed_block_holds_zeros() {
        // Of a size that the system's allocator gives back to the same thread at the next opportunity.
        let layout = Layout::from_size_align(512, 16).unwrap();
        // SAFETY: the layout is not empty.
        let first = unsafe { WipingAllocator.alloc(layout) };
        // SAFETY: the block is as long as the layout says.
        unsafe { ptr::write_bytes(first, 0xA5, layout.size()) };

        // SAFETY: the block came from this allocator, with this layout.
        unsafe { WipingAllocator.dealloc(first, layout) };

        // SAFETY: the layout is not empty.
        let second = unsafe { System.alloc(layout) };
        // SAFETY: the block is as long as that, and any byte may be read for what it is.
        let found = unsafe { ptr::read_volatile(second.cast::<[u8; 512]>()) };
        // SAFETY: the block came from the system, with this layout.
        unsafe { System.dealloc(second, layout) };
        assert_eq!(first, second);
        assert!(found.iter().all(|byte| *byte != 0xA5));
    }

    #[test]
    fn a_block_that_grows_keeps_its_bytes() {
        let layout = Layout::from_size_align(32, 8).unwrap();
        // SAFETY: the layout is not empty.
        let small = unsafe { WipingAllocator.alloc_zeroed(layout) };
        // SAFETY: the block is as long as the layout says.
        unsafe { ptr::write_bytes(small, 7, 32) };

        // SAFETY: the block came from this allocator with this layout, and the new size is not zero.
        let grown = unsafe { WipingAllocator.realloc(small, layout, 64 * 1024) };

        // SAFETY: the first 32 bytes were copied.
        assert_eq!(unsafe { slice::from_raw_parts(grown, 32) }, [7; 32]);
        let layout = Layout::from_size_align(64 * 1024, 8).unwrap();
        // SAFETY: the block came from this allocator with this layout.
        unsafe { WipingAllocator.dealloc(grown, layout) };
    }
}
