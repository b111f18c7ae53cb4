//! Words that never move: one writer takes new ones, readers follow addresses at the same time.
//!
//! An address counts words from the start of the first block. Blocks double in size, so an address tells its block by
//! its highest bit; what is taken lies within one block. Nothing is given back before the whole arena is.

use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use crate::common::sync::AtomicU32;

/// Words of the first block, a power of two.
const FIRST: u32 = 1 << 12;
/// Blocks up to address 2^31.
const BLOCKS: usize = 19;

/// Address of the first word.
pub(super) const ORIGIN: u32 = 0;

/// A growing run of words, all zero at first.
#[derive(Debug)]
pub(super) struct Arena {
    blocks: [OnceLock<Box<[AtomicU32]>>; BLOCKS],
    next: AtomicU32,
}

impl Arena {
    /// An arena whose first `taken` words are in use.
    pub(super) fn new(taken: u32) -> Self {
        Self { blocks: [const { OnceLock::new() }; BLOCKS], next: AtomicU32::new(ORIGIN + taken) }
    }

    /// Words taken, with the gaps between them.
    pub(super) fn words(&self) -> usize {
        self.next.load(Ordering::Relaxed) as usize
    }

    /// Takes `len` words that follow each other; `None` when the addresses are used up. Only the writer calls it.
    pub(super) fn take(&self, len: usize) -> Option<u32> {
        let mut start = self.next.load(Ordering::Relaxed);
        loop {
            let (block, at) = place(start);
            if block >= BLOCKS {
                return None;
            }
            if at + len <= block_len(block) {
                break;
            }
            start += (block_len(block) - at) as u32;
        }
        let (block, _) = place(start);
        self.blocks[block].get_or_init(|| zeroed(block_len(block)));
        self.next.store(start + len as u32, Ordering::Relaxed);
        Some(start)
    }

    /// The words from `address` to the end of its block.
    #[inline]
    pub(super) fn from(&self, address: u32) -> &[AtomicU32] {
        let (block, at) = place(address);
        self.blocks[block].get().map_or(&[], |words| &words[at..])
    }

    /// One word.
    #[inline]
    pub(super) fn word(&self, address: u32) -> &AtomicU32 {
        &self.from(address)[0]
    }
}

/// Block of an address, and its place there.
#[inline]
fn place(address: u32) -> (usize, usize) {
    let shifted = address + FIRST;
    let block = shifted.ilog2() - FIRST.ilog2();
    (block as usize, (shifted - (FIRST << block)) as usize)
}

fn block_len(block: usize) -> usize {
    (FIRST as usize) << block
}

/// Pages that nobody touched yet cost no memory.
fn zeroed(len: usize) -> Box<[AtomicU32]> {
    let words = Box::into_raw(vec![0u32; len].into_boxed_slice());
    // SAFETY: `AtomicU32` has the size, alignment and bit validity of `u32`, and the box is given up to its new owner.
    unsafe { Box::from_raw(words as *mut [AtomicU32]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_lies_within_a_block_and_apart() {
        let arena = Arena::new(1);
        let mut end = 1;
        for len in [3, 4000, 200, 9000, 70_000, 1, 5000] {
            let start = arena.take(len).unwrap_or(0);
            assert!(start >= end && arena.from(start).len() >= len, "{len} words at {start}");
            arena.word(start + len as u32 - 1).store(7, Ordering::Relaxed);
            end = start + len as u32;
        }
        assert_eq!(arena.words(), end as usize);
    }

    #[test]
    fn the_last_address_is_refused() {
        let arena = Arena::new(0);
        arena.next.store((1 << 31) - FIRST - 1, Ordering::Relaxed);
        assert_eq!(arena.take(2), None);
    }
}
