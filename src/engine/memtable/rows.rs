//! The memtable itself: pushing commits, finding keys, and the limit that a snapshot puts on both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;

use super::chunk::{Chunk, ChunkKeys, Commits, Entry};
use super::chunks::{Chunks, Place};
use super::index::{From, RadixTree, Walk};
use super::keys::Keys;
use super::notes::Notes;
use super::tail::PackedRows;
use crate::common::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};
use crate::common::{Result, RowId, SeqNo};
use crate::format::size::batch_bytes;

/// The newest entry of a key below a limit.
#[derive(Clone, Debug)]
pub struct Found {
    /// The chunk that holds it.
    pub chunk: Arc<Chunk>,
    /// Its place in the chunk.
    pub offset: usize,
    /// Sequence number of its commit.
    pub seq: SeqNo,
}

impl Found {
    /// The entry at `offset` of a chunk.
    #[must_use]
    pub fn new(chunk: &Arc<Chunk>, offset: usize) -> Self {
        Self { chunk: Arc::clone(chunk), offset, seq: chunk.seq(offset) }
    }

    /// True when the entry is a deletion.
    #[must_use]
    pub fn is_deletion(&self) -> bool {
        self.chunk.rows.is_none()
    }

    /// The row, when it is one.
    #[must_use]
    pub fn row(&self) -> Option<RecordBatch> {
        self.chunk.rows.as_ref().map(|rows| rows.slice(self.offset, 1))
    }
}

/// What is known of the newest entry of a key below a limit without its row.
#[derive(Clone, Copy, Debug)]
pub struct Newest {
    /// Its number.
    pub entry: u32,
    /// Sequence number of its commit.
    pub seq: SeqNo,
    /// True when the entry is a deletion.
    pub is_deletion: bool,
}

/// A memtable that nobody pushes to meanwhile.
#[derive(Debug)]
pub struct Reading<'a> {
    index: &'a RadixTree,
    chunks: RwLockReadGuard<'a, Chunks>,
}

impl Reading<'_> {
    /// The next key that has an entry below `limit`, put into `key`, and where the newest such entry is. Entries below
    /// `limit` [are chunks](MemTable::seal).
    #[inline]
    pub fn step(&self, walk: &mut Walk, limit: u32, key: &mut Vec<u8>) -> Option<(&Arc<Chunk>, usize)> {
        loop {
            let newest = self.index.step(walk, key)?;
            let entry = self.chunks.below(newest, limit);
            if let Some(Place::Chunk(chunk, offset)) = entry.and_then(|entry| self.chunks.place(entry)) {
                return Some((chunk, offset));
            }
        }
    }
}

/// Rows and deletions of one table that no file holds yet.
#[derive(Debug)]
pub struct MemTable {
    keyed: bool,
    chunks: RwLock<Chunks>,
    index: RadixTree,
    /// Of columns, keys and entries; the index counts its own.
    bytes: AtomicUsize,
    notes: Notes,
}

impl MemTable {
    /// An empty memtable of a keyed or a keyless table.
    #[must_use]
    pub fn new(keyed: bool) -> Self {
        let (chunks, index, bytes) = (RwLock::default(), RadixTree::default(), AtomicUsize::new(0));
        Self { keyed, chunks, index, bytes, notes: Notes::default() }
    }

    /// What readers keep beside it.
    #[must_use]
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Memory it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + self.index.bytes()
    }

    /// Number of entries pushed so far.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.chunks.read().len()
    }

    /// True before the first push.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sequence number of the first commit in it.
    #[must_use]
    pub fn first_seq(&self) -> Option<SeqNo> {
        self.chunks.read().first_seq()
    }

    /// Sequence number of the last commit in it.
    #[must_use]
    pub fn last_seq(&self) -> Option<SeqNo> {
        self.chunks.read().last_seq()
    }

    /// Number of entries whose commit is at or before `seq`: the limit of a snapshot.
    #[must_use]
    pub fn limit(&self, seq: SeqNo) -> u32 {
        self.chunks.read().limit(seq)
    }

    /// Appends one commit's rows, or its deletions when `rows` is `None`. Only the holder of the commit lock calls it.
    ///
    /// # Errors
    /// When merging small chunks fails, which then left everything as it was, and when the index is full.
    pub fn push(&self, seq: SeqNo, keys: ChunkKeys, rows: Option<RecordBatch>, fresh: bool) -> Result<()> {
        let column_bytes = rows.as_ref().map_or(0, batch_bytes);
        self.count(column_bytes + keys.bytes(), keys.len());
        let entries = std::iter::repeat_with(Entry::new).take(keys.len()).collect();
        let mut chunks = self.chunks.write();
        chunks.seal()?;
        let start = chunks.tail_start();
        let chunk = Arc::new(Chunk { start, rows, keys, entries, commits: Commits::one(seq), fresh });
        // Before the index names its entries: a reader that meets one must find the entry before it.
        chunks.push(Arc::clone(&chunk));
        let chunks = RwLockWriteGuard::downgrade(chunks);
        if chunk.rows.is_none() || self.keyed {
            for (i, entry) in chunk.entries.iter().enumerate() {
                chunk.keys.with(i, |key| self.link(&chunks, key, entry, start + i as u32))?;
            }
        }
        drop(chunks);
        self.merge_small_chunks()
    }

    /// As [`MemTable::push`] for a few rows as the log holds them, of which no array is made before a reader wants one,
    /// or for a few deletions.
    ///
    /// # Errors
    /// As [`MemTable::push`], and `Corrupt` when the bytes are no such rows.
    pub fn push_few(&self, seq: SeqNo, keys: &Keys, rows: Option<PackedRows<'_>>, fresh: bool) -> Result<()> {
        self.count(rows.map_or(0, |rows| rows.bytes.len()) + keys.bytes(), keys.len());
        let mut chunks = self.chunks.write();
        if !chunks.tail.takes(rows) {
            chunks.seal()?;
        }
        let start = chunks.len();
        chunks.tail.push(seq, keys, rows, fresh)?;
        let chunks = RwLockWriteGuard::downgrade(chunks);
        if rows.is_none() || self.keyed {
            let entries = &chunks.tail.entries[(start - chunks.tail_start()) as usize..];
            for (i, entry) in entries.iter().enumerate() {
                keys.with(i, |key| self.link(&chunks, key, entry, start + i as u32))?;
            }
        }
        let is_mergeable = chunks.mergeable().is_some();
        drop(chunks);
        if is_mergeable { self.merge_small_chunks() } else { Ok(()) }
    }

    fn count(&self, bytes: usize, entries: usize) {
        self.bytes.fetch_add(bytes + size_of::<Entry>() * entries, Ordering::Relaxed);
    }

    /// Makes entry `number` the newest of `key` and marks the one it supersedes.
    fn link(&self, chunks: &Chunks, key: &[u8], entry: &Entry, number: u32) -> Result<()> {
        let added = self.row_id(key).and_then(|id| chunks.entry_of(id));
        let follow = |older: Option<u32>| {
            older.max(added).into_iter().for_each(|older| entry.follow(older));
        };
        let older = self.index.replace(key, number, follow)?.max(added);
        if let Some(older) = older.and_then(|older| chunks.entry(older)) {
            older.supersede(number);
        }
        Ok(())
    }

    /// The row id that a key of a keyless table is.
    fn row_id(&self, key: &[u8]) -> Option<RowId> {
        let id = <[u8; 8]>::try_from(key).ok().filter(|_| !self.keyed)?;
        Some(RowId(u64::from_be_bytes(id)))
    }

    /// The newest entry of `key` below `limit`, where the index has `newest`.
    fn below(&self, newest: Option<u32>, key: &[u8], chunks: &Chunks, limit: u32) -> Option<u32> {
        let added = self.row_id(key).and_then(|id| chunks.entry_of(id));
        chunks.below(newest.max(added)?, limit)
    }

    /// What is known of the newest entry of `key` below `limit`, without its row.
    #[must_use]
    pub fn newest(&self, key: &[u8], limit: u32) -> Option<Newest> {
        let newest = self.index.newest(key);
        if newest.is_none() && self.keyed {
            return None;
        }
        let chunks = self.chunks.read();
        chunks.newest(self.below(newest, key, &chunks, limit)?)
    }

    /// The newest entry of `key` below `limit`.
    ///
    /// # Errors
    /// When no arrays can be made of the newest rows.
    pub fn find(&self, key: &[u8], limit: u32) -> Result<Option<Found>> {
        let newest = self.index.newest(key);
        if newest.is_none() && self.keyed {
            return Ok(None);
        }
        let chunks = self.chunks.read();
        let Some(entry) = self.below(newest, key, &chunks, limit) else { return Ok(None) };
        if let Some(Place::Chunk(chunk, offset)) = chunks.place(entry) {
            return Ok(Some(Found::new(chunk, offset)));
        }
        drop(chunks);
        self.sealed(entry)
    }

    /// An entry that was in the tail.
    fn sealed(&self, entry: u32) -> Result<Option<Found>> {
        let mut chunks = self.chunks.write();
        chunks.seal()?;
        Ok(match chunks.place(entry) {
            Some(Place::Chunk(chunk, offset)) => Some(Found::new(chunk, offset)),
            _ => None,
        })
    }

    /// Starts a walk over the keys of a keyed table.
    #[must_use]
    pub fn walk(&self, from: From<'_>, reverse: bool) -> Walk {
        self.index.walk(from, reverse)
    }

    /// Makes chunks of all entries below `limit`, for [`MemTable::read`].
    ///
    /// # Errors
    /// As [`MemTable::find`].
    pub fn seal(&self, limit: u32) -> Result<()> {
        let chunks = self.chunks.read();
        let is_sealed = limit <= chunks.tail_start() || chunks.tail.is_empty();
        drop(chunks);
        if is_sealed { Ok(()) } else { self.chunks.write().seal() }
    }

    /// Keeps the writer out while rows are read one after another, so do not keep it long.
    pub fn read(&self) -> Reading<'_> {
        Reading { index: &self.index, chunks: self.chunks.read() }
    }

    /// The chunks that hold the entries below `limit`; the last may reach beyond it.
    ///
    /// # Errors
    /// As [`MemTable::find`].
    pub fn chunks(&self, limit: u32) -> Result<Vec<Arc<Chunk>>> {
        self.seal(limit)?;
        Ok(self.chunks.read().all.iter().take_while(|chunk| chunk.start < limit).map(Arc::clone).collect())
    }

    /// The next key, put into `key`, and the number of its newest entry. Only on a memtable that nobody pushes to.
    pub fn step_newest(&self, walk: &mut Walk, key: &mut Vec<u8>) -> Option<u32> {
        self.index.step(walk, key)
    }

    /// Keeps the number of chunks logarithmic under small commits.
    fn merge_small_chunks(&self) -> Result<()> {
        loop {
            let chunks = self.chunks.read();
            let Some(parts) = chunks.mergeable().map(<[_]>::to_vec) else { return Ok(()) };
            drop(chunks);
            let merged = Arc::new(Chunk::merge(&parts)?);
            self.chunks.write().replace(parts.len(), merged);
        }
    }
}
