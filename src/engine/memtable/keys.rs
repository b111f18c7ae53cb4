//! The keys of a few rows on their way into a memtable, without an array where there is only one.

use std::sync::Arc;

use arrow::array::UInt64Array;

use super::chunk::ChunkKeys;
use crate::common::RowId;

/// Keys of the rows that one operation writes or deletes.
#[derive(Clone, Debug)]
pub enum Keys {
    /// The encoded key of a single row.
    One(Arc<[u8]>),
    /// Row ids that follow each other, from this one on: so many.
    Fresh(RowId, u32),
    /// Any others.
    Many(ChunkKeys),
}

impl Keys {
    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::One(_) => 1,
            Self::Fresh(_, count) => *count as usize,
            Self::Many(keys) => keys.len(),
        }
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Calls `with` on the bytes of key `i`: row ids count as big endian.
    pub fn with<T>(&self, i: usize, with: impl FnOnce(&[u8]) -> T) -> T {
        match self {
            Self::One(key) => with(key),
            Self::Fresh(first, _) => with(&(first.0 + i as u64).to_be_bytes()),
            Self::Many(keys) => keys.with(i, with),
        }
    }

    /// Encoded key `i`; row ids have none.
    #[must_use]
    pub fn encoded(&self, i: usize) -> Option<&[u8]> {
        match self {
            Self::One(key) => Some(key),
            Self::Many(ChunkKeys::Encoded(keys)) => Some(keys.value(i)),
            Self::Fresh(..) | Self::Many(ChunkKeys::RowIds(_)) => None,
        }
    }

    /// Bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::One(key) => key.len(),
            Self::Fresh(_, count) => size_of::<u64>() * *count as usize,
            Self::Many(keys) => keys.bytes(),
        }
    }

    /// As arrays.
    #[must_use]
    pub fn into_arrays(self) -> ChunkKeys {
        match self {
            Self::One(key) => ChunkKeys::Encoded([&*key].into_iter().map(Some).collect()),
            Self::Fresh(first, count) => {
                ChunkKeys::RowIds(UInt64Array::from_iter_values(first.0..first.0 + u64::from(count)))
            }
            Self::Many(keys) => keys,
        }
    }
}
