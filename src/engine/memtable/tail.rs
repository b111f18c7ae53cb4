//! The entries of the newest small commits: rows in columns that still grow, or deletions.
//!
//! A tail becomes a [`Chunk`] when it is full, when something else follows it, or when a reader wants one of its
//! entries. Until then no array is made of it.

use std::sync::Arc;

use arrow::array::BinaryArray;
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::SchemaRef;

use super::chunk::{Chunk, ChunkKeys, Commits, Entry};
use super::keys::Keys;
use crate::common::{Result, RowId, SeqNo};
use crate::format::packed::PackedColumns;

/// Entries and bytes at which a tail is full. More would make readers wait longer while arrays are made of it.
const ENTRIES_MAX: usize = 1024;
const BYTES_MAX: usize = 256 << 10;

/// Rows of one commit in the packed form of the log.
#[derive(Clone, Copy, Debug)]
pub struct PackedRows<'a> {
    /// Their columns.
    pub schema: &'a SchemaRef,
    /// All of them.
    pub bytes: &'a [u8],
}

/// Entries that follow those of all chunks.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// `None` for deletions.
    rows: Option<PackedColumns>,
    keys: TailKeys,
    pub(super) entries: Vec<Entry>,
    commits: Commits,
    fresh: bool,
    bytes: usize,
}

#[derive(Debug)]
enum TailKeys {
    /// Ends of the encoded keys, and their bytes.
    Encoded(Vec<i32>, Vec<u8>),
    RowIds(Vec<u64>),
}

impl Default for TailKeys {
    fn default() -> Self {
        Self::RowIds(Vec::new())
    }
}

impl TailKeys {
    fn of(keys: &Keys) -> Self {
        match keys {
            Keys::One(_) | Keys::Many(ChunkKeys::Encoded(_)) => Self::Encoded(vec![0], Vec::new()),
            Keys::Fresh(..) | Keys::Many(ChunkKeys::RowIds(_)) => Self::default(),
        }
    }

    fn push(&mut self, keys: &Keys) {
        match (self, keys) {
            (Self::RowIds(ids), Keys::Many(ChunkKeys::RowIds(more))) => ids.extend(more.values()),
            (Self::RowIds(ids), Keys::Fresh(first, count)) => {
                ids.extend(first.0..first.0 + u64::from(*count));
            }
            (Self::Encoded(ends, bytes), keys) => {
                for i in 0..keys.len() {
                    keys.with(i, |key| bytes.extend_from_slice(key));
                    ends.push(bytes.len() as i32);
                }
            }
            // A table's keys are of one kind.
            (Self::RowIds(_), _) => {}
        }
    }

    fn finish(self) -> Result<ChunkKeys> {
        Ok(match self {
            Self::RowIds(ids) => ChunkKeys::RowIds(ids.into()),
            Self::Encoded(ends, bytes) => {
                let ends = OffsetBuffer::new(ScalarBuffer::from(ends));
                ChunkKeys::Encoded(BinaryArray::try_new(ends, Buffer::from_vec(bytes), None)?)
            }
        })
    }
}

impl Tail {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.entries.len() >= ENTRIES_MAX || self.bytes >= BYTES_MAX
    }

    /// True when entries of this kind can follow those that are there.
    pub(super) fn takes(&self, rows: Option<PackedRows<'_>>) -> bool {
        let same_kind = match (&self.rows, rows) {
            (Some(own), Some(rows)) => Arc::ptr_eq(own.schema(), rows.schema),
            (own, rows) => own.is_none() && rows.is_none(),
        };
        self.is_empty() || same_kind && !self.is_full()
    }

    /// Adds one commit, which it [takes](Self::takes).
    pub(super) fn push(
        &mut self,
        seq: SeqNo,
        keys: &Keys,
        rows: Option<PackedRows<'_>>,
        fresh: bool,
    ) -> Result<()> {
        if self.is_empty() {
            let rows = rows.map(|rows| PackedColumns::new(rows.schema)).transpose()?;
            *self = Self { rows, keys: TailKeys::of(keys), fresh: true, ..Self::default() };
        }
        if let (Some(own), Some(rows)) = (&mut self.rows, rows) {
            own.push(rows.bytes, keys.len())?;
        }
        self.commits.push(self.entries.len() as u32, seq);
        self.entries.extend(std::iter::repeat_with(Entry::new).take(keys.len()));
        self.keys.push(keys);
        self.fresh &= fresh;
        self.bytes += rows.map_or(0, |rows| rows.bytes.len()) + keys.bytes();
        Ok(())
    }

    /// Its entries as a chunk, of which the first has number `start`. Nothing is left.
    pub(super) fn take(&mut self, start: u32) -> Result<Chunk> {
        let Self { rows, keys, entries, commits, fresh, .. } = std::mem::take(self);
        let rows = rows.map(PackedColumns::finish).transpose()?;
        Ok(Chunk { start, rows, keys: keys.finish()?, entries, commits, fresh })
    }

    pub(super) fn is_deletions(&self) -> bool {
        self.rows.is_none()
    }

    pub(super) fn commits(&self) -> &Commits {
        &self.commits
    }

    /// Place of the row with this id.
    pub(super) fn place_of(&self, id: RowId) -> Option<usize> {
        match &self.keys {
            TailKeys::RowIds(ids) if !self.is_deletions() => ids.binary_search(&id.0).ok(),
            _ => None,
        }
    }
}
