//! The chunks of a memtable in order, and the tail that follows them.

use std::sync::Arc;

use super::chunk::{Chunk, ChunkKeys, Entry, LIVE};
use super::rows::Newest;
use super::tail::Tail;
use crate::common::{Result, RowId, SeqNo};

/// Chunks of one size class that are merged into one of the next.
const MERGE_FAN_IN: usize = 32;
/// Chunks of at least this many rows are left alone: to copy them once more would cost more than it saves readers.
const MERGED_ROWS_MAX: usize = 512;

/// All entries of a memtable.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    pub(super) all: Vec<Arc<Chunk>>,
    /// The number of the first entry of each: a search need not look into chunks all over the memory.
    starts: Vec<u32>,
    /// For each, one more than the first row id of the last chunk with rows, up to it; 0 before the first.
    first_ids: Vec<u64>,
    pub(super) tail: Tail,
}

/// Where an entry is.
pub(super) enum Place<'a> {
    Chunk(&'a Arc<Chunk>, usize),
    Tail(usize),
}

impl Chunks {
    pub(super) fn push(&mut self, chunk: Arc<Chunk>) {
        let first_id =
            chunk.rows.as_ref().and_then(|_| chunk.keys.row_id(0)).map(|id| id.0.saturating_add(1));
        let before = self.first_ids.last().copied().unwrap_or_default();
        self.first_ids.push(first_id.unwrap_or(before));
        self.starts.push(chunk.start);
        self.all.push(chunk);
    }

    /// Number of entries.
    pub(super) fn len(&self) -> u32 {
        self.tail_start() + self.tail.entries.len() as u32
    }

    /// Number of the first entry of the tail.
    pub(super) fn tail_start(&self) -> u32 {
        self.all.last().map_or(0, |chunk| chunk.end())
    }

    /// Sequence number of the first commit.
    pub(super) fn first_seq(&self) -> Option<SeqNo> {
        self.all.first().map_or_else(|| self.tail.commits().first(), |chunk| chunk.commits.first())
    }

    /// Sequence number of the last commit.
    pub(super) fn last_seq(&self) -> Option<SeqNo> {
        self.tail.commits().last().or_else(|| self.all.last().and_then(|chunk| chunk.commits.last()))
    }

    /// Number of entries whose commit is at or before `seq`.
    pub(super) fn limit(&self, seq: SeqNo) -> u32 {
        // Nearly always the snapshot sees all.
        if self.last_seq().is_none_or(|last| last <= seq) {
            return self.len();
        }
        if self.tail.commits().first().is_some_and(|first| first <= seq) {
            return self.tail_start() + self.tail.commits().limit(seq, self.tail.entries.len() as u32);
        }
        let at = self.all.partition_point(|chunk| chunk.commits.first() <= Some(seq));
        let Some(chunk) = at.checked_sub(1).map(|i| &self.all[i]) else { return 0 };
        chunk.start + chunk.commits.limit(seq, chunk.len() as u32)
    }

    /// Makes a chunk of the tail.
    pub(super) fn seal(&mut self) -> Result<()> {
        if !self.tail.is_empty() {
            let chunk = self.tail.take(self.tail_start())?;
            self.push(Arc::new(chunk));
        }
        Ok(())
    }

    pub(super) fn place(&self, entry: u32) -> Option<Place<'_>> {
        if let Some(offset) = entry.checked_sub(self.tail_start()) {
            return ((offset as usize) < self.tail.entries.len()).then_some(Place::Tail(offset as usize));
        }
        let at = self.starts.partition_point(|start| *start <= entry).checked_sub(1)?;
        let chunk = &self.all[at];
        (entry < chunk.end()).then(|| Place::Chunk(chunk, (entry - chunk.start) as usize))
    }

    /// The bookkeeping of an entry.
    pub(super) fn entry(&self, entry: u32) -> Option<&Entry> {
        self.place(entry).map(|place| match place {
            Place::Chunk(chunk, offset) => &chunk.entries[offset],
            Place::Tail(offset) => &self.tail.entries[offset],
        })
    }

    /// The newest entry below `limit` of the key whose newest entry is `entry`.
    pub(super) fn below(&self, mut entry: u32, limit: u32) -> Option<u32> {
        while entry >= limit {
            entry = if entry == LIVE { return None } else { self.entry(entry)?.previous() };
        }
        Some(entry)
    }

    /// What is known of an entry without its row.
    pub(super) fn newest(&self, entry: u32) -> Option<Newest> {
        Some(match self.place(entry)? {
            Place::Chunk(chunk, at) => {
                Newest { entry, seq: chunk.seq(at), is_deletion: chunk.rows.is_none() }
            }
            Place::Tail(at) => {
                Newest { entry, seq: self.tail.commits().seq(at), is_deletion: self.tail.is_deletions() }
            }
        })
    }

    /// The entry of a row that is in this memtable itself. Row ids grow with the entry number.
    pub(super) fn entry_of(&self, id: RowId) -> Option<u32> {
        if let Some(offset) = self.tail.place_of(id) {
            return Some(self.tail_start() + offset as u32);
        }
        let after = self.first_ids.partition_point(|first| *first <= id.0.saturating_add(1));
        let first = self.first_ids[..after].last()?;
        // Deletions repeat the id of the rows before them.
        let chunk = &self.all[self.first_ids.partition_point(|before| before < first)];
        let (ChunkKeys::RowIds(ids), Some(_)) = (&chunk.keys, &chunk.rows) else { return None };
        let offset = ids.values().binary_search(&id.0).ok()?;
        Some(chunk.start + offset as u32)
    }

    /// Small chunks of one kind and size at the end, enough of them to be merged.
    pub(super) fn mergeable(&self) -> Option<&[Arc<Chunk>]> {
        let tail = self.all.len().checked_sub(MERGE_FAN_IN).map(|at| &self.all[at..])?;
        let class = |chunk: &Chunk| (chunk.rows.is_some(), chunk.len().ilog(MERGE_FAN_IN));
        let last = class(tail.last()?);
        let small = |chunk: &Arc<Chunk>| chunk.len() < MERGED_ROWS_MAX && class(chunk) == last;
        tail.iter().all(small).then_some(tail)
    }

    /// Puts a chunk in the place of the `count` chunks of the same entries.
    pub(super) fn replace(&mut self, count: usize, merged: Arc<Chunk>) {
        let at = self.starts.partition_point(|start| *start < merged.start);
        let after = self.all.split_off(at);
        self.starts.truncate(at);
        self.first_ids.truncate(at);
        self.push(merged);
        // Readers may have sealed the tail meanwhile.
        after.into_iter().skip(count).for_each(|chunk| self.push(chunk));
    }
}
