//! The companion of an SSTable's data file: `sst/{n}.sum`, read whole when the SSTable is opened.
//!
//! It holds what a plain Arrow file has no place for: checksums of the data file's blocks, where the
//! batches lie, fence keys and Bloom filters (or row ids), zone maps. It is sealed by a hash that the
//! manifest repeats, so nothing in it is believed before all of it was verified. `FORMAT.md`,
//! section "Sum file", is the byte layout.

mod decode;
mod encode;
mod fences;
#[cfg(test)]
mod tests;

use crate::common::{DatabaseId, FileId, SeqNo, TableId};
use crate::format::block::BlockSums;
use crate::format::bloom::Filters;
use crate::format::row_ids::RowIdRuns;
use crate::format::stats::Zones;

pub use decode::decode;
pub use encode::{Parts, encode};
pub use fences::Fences;

const MAGIC: &[u8; 8] = b"TRILSUM\0";
/// Version of both files of an SSTable.
pub const VERSION: u32 = 1;
const HEADER_LEN: usize = 96;
const ENTRY_LEN: usize = 24;
/// Sections begin at multiples of this.
const ALIGN: usize = 64;

/// What a section of the file holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
enum Section {
    Blocks = 1,
    Batches = 2,
    Fences = 3,
    FilterEnds = 4,
    FilterLines = 5,
    RowIds = 6,
    Zones = 7,
}

/// Which SSTable this is, and what it spans.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SumHeader {
    /// The database it belongs to.
    pub database: DatabaseId,
    /// Its file.
    pub file: FileId,
    /// Its table.
    pub table: TableId,
    /// Length of the data file.
    pub data_len: u64,
    /// Rows in it.
    pub rows: u64,
    /// Oldest commit with a row in it.
    pub min_seq: SeqNo,
    /// Newest commit with a row in it.
    pub max_seq: SeqNo,
}

/// Where one Arrow batch lies in the data file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchBlock {
    /// First byte of its message.
    pub offset: u64,
    /// Bytes of metadata before the body, a multiple of 8.
    pub meta_len: u32,
    /// Bytes of the body.
    pub body_len: u64,
    /// Rows in this batch and all before it.
    pub end_row: u64,
}

/// How rows of an SSTable are found.
#[derive(Clone, Debug)]
pub enum Lookup {
    /// A keyed table: rows sorted by encoded key.
    Keys {
        /// First key of each batch, last key of the file.
        fences: Fences,
        /// One Bloom filter per batch.
        filters: Filters,
    },
    /// A keyless table: rows sorted by row id.
    RowIds(RowIdRuns),
}

/// A verified companion file.
#[derive(Clone, Debug)]
pub struct Sum {
    /// Which SSTable this is.
    pub header: SumHeader,
    /// Checksums of the data file.
    pub blocks: BlockSums,
    /// Its batches.
    pub batches: Vec<BatchBlock>,
    /// How its rows are found.
    pub lookup: Lookup,
    /// Its zone maps.
    pub zones: Zones,
}
