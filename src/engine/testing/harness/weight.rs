//! How much memory one allocation of this thread asked for at most.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

#[global_allocator]
static WEIGHING: Weighing = Weighing;

thread_local! {
    static GREATEST: Cell<usize> = const { Cell::new(0) };
}

/// Starts anew.
pub fn forget() {
    GREATEST.set(0);
}

/// Bytes of the greatest allocation since [`forget`].
pub fn greatest() -> usize {
    GREATEST.get()
}

struct Weighing;

fn note(bytes: usize) {
    // A thread that is ending has no such variable any more, and nobody who would ask.
    let _ = GREATEST.try_with(|greatest| greatest.set(greatest.get().max(bytes)));
}

// SAFETY: every call goes to the system's allocator as it came; noting a number allocates nothing.
unsafe impl GlobalAlloc for Weighing {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        note(layout.size());
        // SAFETY: as the caller promised.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        note(bytes);
        // SAFETY: as the caller promised.
        unsafe { System.realloc(at, layout, bytes) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promised.
        unsafe { System.dealloc(at, layout) }
    }
}
