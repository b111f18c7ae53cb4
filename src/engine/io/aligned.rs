//! Heap memory aligned to 64 bytes whose allocation may fail without ending the process.
//!
//! `arrow::buffer::MutableBuffer` aborts when memory is short; a length read from a file must be
//! able to fail as an error instead. Becomes an Arrow [`Buffer`] without a copy.

use std::collections::TryReserveError;
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::Buffer;

const BLOCK: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Block([u8; BLOCK]);

/// `len` bytes, aligned to 64.
pub(crate) struct AlignedBytes {
    blocks: Vec<Block>,
    len: usize,
}

impl AlignedBytes {
    /// `len` zero bytes.
    ///
    /// # Errors
    /// When the allocator has no such amount.
    pub(crate) fn zeroed(len: usize) -> Result<Self, TryReserveError> {
        let count = len.div_ceil(BLOCK);
        let mut blocks = Vec::new();
        blocks.try_reserve_exact(count)?;
        blocks.resize(count, Block([0; BLOCK]));
        Ok(Self { blocks, len })
    }

    /// The bytes, for filling.
    pub(crate) fn as_mut_slice(&mut self) -> &mut [u8] {
        // SAFETY: `Block` is `repr(C)` over `[u8; 64]` with alignment 64, so it has no padding, any byte
        // pattern is valid, and the vector owns `blocks.len() * 64 >= len` initialised contiguous bytes,
        // borrowed mutably for the life of the slice.
        unsafe { std::slice::from_raw_parts_mut(self.blocks.as_mut_ptr().cast::<u8>(), self.len) }
    }

    /// The same memory as a buffer.
    pub(crate) fn into_buffer(self) -> Buffer {
        let Self { blocks, len } = self;
        buffer(Arc::new(blocks), len)
    }

    /// Shows the bytes as a buffer before they are whole. What keeps the buffer keeps them as they are: they are copied then.
    pub(crate) fn lent<T>(self, look: impl FnOnce(&Buffer) -> T) -> (Self, T) {
        let Self { blocks, len } = self;
        let blocks = Arc::new(blocks);
        let seen = look(&buffer(Arc::clone(&blocks), len));
        (Self { blocks: Arc::unwrap_or_clone(blocks), len }, seen)
    }
}

fn buffer(blocks: Arc<Vec<Block>>, len: usize) -> Buffer {
    // SAFETY: the start of `blocks` points at `blocks.len() * 64 >= len` initialised bytes, which live until their owner
    // handed over here is dropped; until then nobody has the vector alone, which is what changing it takes.
    unsafe { Buffer::from_custom_allocation(NonNull::from(blocks.as_slice()).cast::<u8>(), len, blocks) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn bytes_survive_and_are_aligned() {
        for len in [0, 1, 63, 64, 65, 1000] {
            let mut bytes = AlignedBytes::zeroed(len).unwrap();
            for (at, byte) in bytes.as_mut_slice().iter_mut().enumerate() {
                *byte = at as u8;
            }
            let buffer = bytes.into_buffer();
            assert_eq!(buffer.as_ptr() as usize % 64, 0);
            assert_eq!(buffer.as_slice(), (0..len).map(|at| at as u8).collect::<Vec<_>>());
        }
    }

    #[test]
    fn lent_bytes_come_back_and_change_nothing_that_was_kept() {
        let (mut bytes, seen) = AlignedBytes::zeroed(70).unwrap().lent(|buffer| buffer[69]);
        assert_eq!(seen, 0);
        bytes.as_mut_slice()[69] = 7;
        let (mut bytes, kept) = bytes.lent(Buffer::clone);
        bytes.as_mut_slice()[69] = 8;
        assert_eq!((kept[69], bytes.into_buffer()[69]), (7, 8));
    }

    #[test]
    fn too_much_is_an_error() {
        assert!(AlignedBytes::zeroed(isize::MAX as usize - 4096).is_err());
    }
}
