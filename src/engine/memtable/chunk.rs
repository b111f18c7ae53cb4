//! A run of entries that were committed together, or merged since: rows as one Arrow batch, or deletions.

use std::sync::atomic::Ordering;

use arrow::array::{Array, BinaryArray, RecordBatch, UInt64Array};
use arrow::compute::concat_batches;
use arrow::error::ArrowError;

use crate::common::sync::AtomicU32;
use crate::common::{RowId, SeqNo};

/// The mark of an entry that nothing supersedes.
pub const LIVE: u32 = u32::MAX;

/// The keys of a chunk's entries.
#[derive(Clone, Debug)]
pub enum ChunkKeys {
    /// Encoded primary keys.
    Encoded(BinaryArray),
    /// Row ids of a keyless table.
    RowIds(UInt64Array),
}

impl ChunkKeys {
    /// Number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Encoded(keys) => keys.len(),
            Self::RowIds(ids) => ids.len(),
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
            Self::Encoded(keys) => with(keys.value(i)),
            Self::RowIds(ids) => with(&ids.value(i).to_be_bytes()),
        }
    }

    /// Row id `i`; keys of keyed tables have none.
    #[must_use]
    pub fn row_id(&self, i: usize) -> Option<RowId> {
        match self {
            Self::Encoded(_) => None,
            Self::RowIds(ids) => Some(RowId(ids.value(i))),
        }
    }

    /// Bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Encoded(keys) => keys.value_data().len() + size_of::<i32>() * keys.offsets().len(),
            Self::RowIds(ids) => size_of::<u64>() * ids.len(),
        }
    }

    fn concat(parts: &[&Self]) -> Result<Self, ArrowError> {
        let arrays: Vec<&dyn Array> = parts
            .iter()
            .map(|part| match part {
                Self::Encoded(keys) => keys as &dyn Array,
                Self::RowIds(ids) => ids as &dyn Array,
            })
            .collect();
        let joined = arrow::compute::concat(&arrays)?.to_data();
        Ok(match parts.first() {
            Some(Self::Encoded(_)) => Self::Encoded(joined.into()),
            _ => Self::RowIds(joined.into()),
        })
    }
}

/// One entry's bookkeeping.
#[derive(Debug)]
pub struct Entry {
    previous: AtomicU32,
    superseded_by: AtomicU32,
}

impl Default for Entry {
    fn default() -> Self {
        Self::new()
    }
}

impl Entry {
    /// The newest entry of a key that had none.
    #[must_use]
    pub fn new() -> Self {
        Self { previous: AtomicU32::new(LIVE), superseded_by: AtomicU32::new(LIVE) }
    }

    /// The entry of the same key that it supersedes, or [`LIVE`].
    #[must_use]
    pub fn previous(&self) -> u32 {
        self.previous.load(Ordering::Acquire)
    }

    pub(super) fn follow(&self, previous: u32) {
        self.previous.store(previous, Ordering::Release);
    }

    /// The entry that supersedes this one, or [`LIVE`].
    #[must_use]
    pub fn superseded_by(&self) -> u32 {
        self.superseded_by.load(Ordering::Acquire)
    }

    pub(super) fn supersede(&self, by: u32) {
        self.superseded_by.store(by, Ordering::Release);
    }
}

/// Where commits start in a run of entries, oldest first.
#[derive(Clone, Debug, Default)]
pub struct Commits(Vec<(u32, SeqNo)>);

impl Commits {
    /// A single commit.
    #[must_use]
    pub fn one(seq: SeqNo) -> Self {
        Self(vec![(0, seq)])
    }

    pub(super) fn push(&mut self, start: u32, seq: SeqNo) {
        self.0.push((start, seq));
    }

    /// The first entry of each commit, and its sequence number.
    #[must_use]
    pub fn as_slice(&self) -> &[(u32, SeqNo)] {
        &self.0
    }

    /// Sequence number of the first commit.
    #[must_use]
    pub fn first(&self) -> Option<SeqNo> {
        self.0.first().map(|(_, seq)| *seq)
    }

    /// Sequence number of the last commit.
    #[must_use]
    pub fn last(&self) -> Option<SeqNo> {
        self.0.last().map(|(_, seq)| *seq)
    }

    /// Sequence number of the entry at `offset`.
    #[must_use]
    pub fn seq(&self, offset: usize) -> SeqNo {
        let after = self.0.partition_point(|(start, _)| *start as usize <= offset);
        self.0[after - 1].1
    }

    /// Number of entries whose commit is at or before `seq`, of `len` in all.
    #[must_use]
    pub fn limit(&self, seq: SeqNo, len: u32) -> u32 {
        let commits = self.0.partition_point(|(_, commit)| *commit <= seq);
        self.0.get(commits).map_or(len, |(offset, _)| *offset)
    }
}

/// A run of entries.
#[derive(Debug)]
pub struct Chunk {
    /// Number of its first entry.
    pub start: u32,
    /// The rows; `None` when the entries are deletions.
    pub rows: Option<RecordBatch>,
    /// One key per entry.
    pub keys: ChunkKeys,
    /// One per entry.
    pub entries: Vec<Entry>,
    /// Where each commit starts within the chunk.
    pub commits: Commits,
    /// The keys were checked to be absent from every older file and memtable.
    pub fresh: bool,
}

impl Chunk {
    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True for a chunk of no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// One past its last entry.
    #[must_use]
    pub fn end(&self) -> u32 {
        self.start + self.len() as u32
    }

    /// Sequence number of the entry at `offset`.
    #[must_use]
    pub fn seq(&self, offset: usize) -> SeqNo {
        self.commits.seq(offset)
    }

    /// One chunk of the same entries as `parts`, which follow each other and are of one kind.
    pub(super) fn merge(parts: &[std::sync::Arc<Self>]) -> Result<Self, ArrowError> {
        let start = parts[0].start;
        let batches: Vec<&RecordBatch> = parts.iter().filter_map(|part| part.rows.as_ref()).collect();
        let keys: Vec<&ChunkKeys> = parts.iter().map(|part| &part.keys).collect();
        let copy = |entry: &Entry| Entry {
            previous: AtomicU32::new(entry.previous()),
            superseded_by: AtomicU32::new(entry.superseded_by()),
        };
        let rows = batches.first().map(|first| concat_batches(&first.schema(), batches.iter().copied()));
        Ok(Self {
            start,
            rows: rows.transpose()?,
            keys: ChunkKeys::concat(&keys)?,
            entries: parts.iter().flat_map(|part| part.entries.iter().map(copy)).collect(),
            commits: Commits(parts.iter().flat_map(|part| part.commits_from(start)).collect()),
            fresh: parts.iter().all(|part| part.fresh),
        })
    }

    fn commits_from(&self, start: u32) -> impl Iterator<Item = (u32, SeqNo)> {
        self.commits.0.iter().map(move |(offset, seq)| (self.start - start + offset, *seq))
    }
}
