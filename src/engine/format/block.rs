//! Checksums of a data file's 4 KiB blocks, kept beside it so that the file itself stays plain Arrow.
//!
//! Each crc32c is seeded with the database, the file and the block's number: a block of another
//! database or file, an older version of the file, and a block in the wrong place all fail.

use arrow::buffer::Buffer;

use crate::common::{DatabaseId, FileId};

/// Bytes under one checksum.
pub const BLOCK_LEN: usize = 4096;

/// Number of blocks in a file of `len` bytes.
#[must_use]
pub fn block_count(len: u64) -> u64 {
    len.div_ceil(BLOCK_LEN as u64)
}

/// Computes the checksums of one file's blocks.
#[derive(Clone, Copy, Debug)]
pub struct BlockSeed(u32);

impl BlockSeed {
    /// Seed for `file` of `database`.
    #[must_use]
    pub fn new(database: DatabaseId, file: FileId) -> Self {
        let crc = crc32c::crc32c(&database.0.to_le_bytes());
        Self(crc32c::crc32c_append(crc, &file.0.to_le_bytes()))
    }

    /// Checksum of block `number`.
    #[must_use]
    pub fn sum(self, number: u64, block: &[u8]) -> u32 {
        crc32c::crc32c_append(crc32c::crc32c_append(self.0, &number.to_le_bytes()), block)
    }
}

/// The checksums of all blocks of one file.
#[derive(Clone, Debug)]
pub struct BlockSums {
    seed: BlockSeed,
    sums: Buffer,
}

impl BlockSums {
    /// `sums` holds one little-endian u32 per block.
    #[must_use]
    pub fn new(seed: BlockSeed, sums: Buffer) -> Self {
        Self { seed, sums }
    }

    /// True when `block` is what was written as block `number`.
    #[must_use]
    pub fn matches(&self, number: u64, block: &[u8]) -> bool {
        let stated = usize::try_from(number)
            .ok()
            .and_then(|n| self.sums.get(n.checked_mul(4)?..)?.first_chunk::<4>())
            .map(|bytes| u32::from_le_bytes(*bytes));
        stated == Some(self.seed.sum(number, block))
    }
}
