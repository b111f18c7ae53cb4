//! What a strategy sees of a table's files, and what it may answer.

use crate::common::SeqNo;

/// The level of the sorted run that all data ends in; the levels above it hold overlapping runs, 0 the youngest.
pub const BOTTOM: u8 = 6;
/// Overlapping runs of one level that are merged into one of the next.
pub const FAN_IN: usize = 4;
/// Files one merge reads at most, and so the batches it holds in memory at once.
pub const INPUTS_MAX: usize = 32;

/// One file. All of a strategy's knowledge; it reads no file.
#[derive(Clone, Copy, Debug)]
pub struct FileShape<'a> {
    /// Bytes on disk.
    pub bytes: u64,
    /// Bytes of the values in blob files that its rows refer to. A merge does not copy them.
    pub blob_bytes: u64,
    /// Rows in it.
    pub rows: u64,
    /// Rows that no reader sees any more: deleted, replaced or expired.
    pub dead: u64,
    /// It may be merged: nothing in it is newer than the oldest unflushed row, and no other merge reads it.
    pub settled: bool,
    /// Its level.
    pub level: u8,
    /// Its first key.
    pub min_key: &'a [u8],
    /// Its last key.
    pub max_key: &'a [u8],
    /// Its newest commit.
    pub max_seq: SeqNo,
}

impl FileShape<'_> {
    /// Bytes that a merge would write of it.
    #[must_use]
    pub fn live_bytes(&self) -> u64 {
        let live = self.rows - self.dead.min(self.rows);
        if self.rows == 0 { 0 } else { (self.bytes as f64 * live as f64 / self.rows as f64) as u64 }
    }

    /// Bytes that only dead rows need.
    #[must_use]
    pub fn dead_bytes(&self) -> u64 {
        self.bytes - self.live_bytes() + (self.blob_bytes as f64 * self.dead_share().min(1.0)) as u64
    }

    pub(super) fn dead_share(&self) -> f64 {
        if self.rows == 0 { 1.0 } else { self.dead as f64 / self.rows as f64 }
    }

    pub(super) fn overlaps(&self, min: &[u8], max: &[u8]) -> bool {
        self.min_key <= max && min <= self.max_key
    }

    pub(super) fn lies_within(&self, min: &[u8], max: &[u8]) -> bool {
        min <= self.min_key && self.max_key <= max
    }
}

/// Sizes that bound a merge, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// At which a file is full.
    pub file: u64,
    /// That one merge reads, where a smaller choice is to be had.
    pub job: u64,
}

/// Why files are merged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Too many runs hold the same keys.
    Overlap,
    /// Too many rows are dead.
    Space,
    /// Too many files are small.
    Small,
    /// Every row has expired.
    Expired,
    /// Too little of a blob file is needed.
    Blobs,
    /// Somebody asked for it.
    Manual,
}

impl Reason {
    /// One word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Overlap => "overlap",
            Self::Space => "space",
            Self::Small => "small",
            Self::Expired => "expired",
            Self::Blobs => "blobs",
            Self::Manual => "manual",
        }
    }
}

/// Files to merge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Their positions.
    pub inputs: Vec<usize>,
    /// The level of what they become.
    pub level: u8,
    /// Why.
    pub reason: Reason,
}

impl Choice {
    pub(super) fn new(inputs: Vec<usize>, level: u8, reason: Reason) -> Option<Self> {
        Some(Self { inputs, level, reason })
    }
}

/// First and last key over some of the files.
pub(super) fn hull<'a>(files: &[FileShape<'a>], members: &[usize]) -> (&'a [u8], &'a [u8]) {
    let min = members.iter().map(|&i| files[i].min_key).min().unwrap_or_default();
    let max = members.iter().map(|&i| files[i].max_key).max().unwrap_or_default();
    (min, max)
}
