//! The memtable itself: pushing commits, finding keys, and the limit that a snapshot puts on both.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use parking_lot::RwLock;

use super::chunk::{Chunk, ChunkKeys, Entry, LIVE};
use super::index::{From, RadixTree, Walk};
use crate::common::{Result, RowId, SeqNo};
use crate::format::size::batch_bytes;

/// Chunks of one size class that are merged into one of the next.
const MERGE_FAN_IN: usize = 32;
/// Chunks of at least this many rows are left alone: to copy them once more would cost more than it saves readers.
const MERGED_ROWS_MAX: usize = 512;

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

/// The chunks in order.
#[derive(Debug, Default)]
struct Chunks {
    all: Vec<Arc<Chunk>>,
    /// The number of the first entry of each: a search need not look into chunks all over the memory.
    starts: Vec<u32>,
}

impl Chunks {
    fn push(&mut self, chunk: Arc<Chunk>) {
        self.starts.push(chunk.start);
        self.all.push(chunk);
    }

    /// The chunk that holds an entry, and the entry's place in it.
    fn locate(&self, entry: u32) -> Option<(&Arc<Chunk>, usize)> {
        let at = self.starts.partition_point(|start| *start <= entry).checked_sub(1)?;
        let chunk = &self.all[at];
        (entry < chunk.end()).then(|| (chunk, (entry - chunk.start) as usize))
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
}

impl MemTable {
    /// An empty memtable of a keyed or a keyless table.
    #[must_use]
    pub fn new(keyed: bool) -> Self {
        Self { keyed, chunks: RwLock::default(), index: RadixTree::default(), bytes: AtomicUsize::new(0) }
    }

    /// Memory it holds.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed) + self.index.bytes()
    }

    /// Number of entries pushed so far.
    #[must_use]
    pub fn len(&self) -> u32 {
        self.chunks.read().all.last().map_or(0, |chunk| chunk.end())
    }

    /// True before the first push.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sequence number of the first commit in it.
    #[must_use]
    pub fn first_seq(&self) -> Option<SeqNo> {
        self.chunks.read().all.first().map(|chunk| chunk.seq(0))
    }

    /// Sequence number of the last commit in it.
    #[must_use]
    pub fn last_seq(&self) -> Option<SeqNo> {
        self.chunks.read().all.last().map(|chunk| chunk.seq(chunk.len() - 1))
    }

    /// Number of entries whose commit is at or before `seq`: the limit of a snapshot.
    #[must_use]
    pub fn limit(&self, seq: SeqNo) -> u32 {
        let chunks = &self.chunks.read().all;
        // Nearly always the snapshot sees all.
        if let Some(last) = chunks.last().filter(|last| last.commits.last().is_some_and(|(_, at)| *at <= seq))
        {
            return last.end();
        }
        let at = chunks.partition_point(|chunk| chunk.commits[0].1 <= seq);
        let Some(chunk) = at.checked_sub(1).map(|i| &chunks[i]) else { return 0 };
        let commits = chunk.commits.partition_point(|(_, commit)| *commit <= seq);
        chunk.commits.get(commits).map_or(chunk.end(), |(offset, _)| chunk.start + offset)
    }

    /// Appends one commit's rows, or its deletions when `rows` is `None`. Only the holder of the commit lock calls it.
    ///
    /// # Errors
    /// When merging small chunks fails, which then left everything as it was, and when the index is full.
    pub fn push(&self, seq: SeqNo, keys: ChunkKeys, rows: Option<RecordBatch>, fresh: bool) -> Result<()> {
        let start = self.len();
        let column_bytes = rows.as_ref().map_or(0, batch_bytes);
        let key_bytes = match &keys {
            ChunkKeys::Encoded(keys) => keys.value_data().len() + size_of::<i32>() * keys.offsets().len(),
            ChunkKeys::RowIds(_) => size_of::<u64>() * keys.len(),
        };
        self.bytes.fetch_add(column_bytes + key_bytes + size_of::<Entry>() * keys.len(), Ordering::Relaxed);
        let entries = std::iter::repeat_with(Entry::new).take(keys.len()).collect();
        let chunk = Arc::new(Chunk { start, rows, keys, entries, commits: vec![(0, seq)], fresh });
        // Before the index names its entries: a reader that meets one must find the entry before it.
        self.chunks.write().push(Arc::clone(&chunk));
        self.link(&chunk)?;
        self.merge_small_chunks()
    }

    /// Makes each key's entry the newest and marks the ones superseded.
    fn link(&self, chunk: &Chunk) -> Result<()> {
        if chunk.rows.is_some() && !self.keyed {
            return Ok(());
        }
        let chunks = self.chunks.read();
        for (i, entry) in chunk.entries.iter().enumerate() {
            let number = chunk.start + i as u32;
            let added = chunk.keys.row_id(i).and_then(|id| entry_of(&chunks.all, id));
            let follow = |older: Option<u32>| {
                older.max(added).into_iter().for_each(|older| entry.follow(older));
            };
            let older = chunk.keys.with(i, |key| self.index.replace(key, number, follow))?.max(added);
            if let Some((chunk, offset)) = older.and_then(|older| chunks.locate(older)) {
                chunk.entries[offset].supersede(number);
            }
        }
        Ok(())
    }

    /// The newest entry of `key` below `limit`.
    #[must_use]
    pub fn find(&self, key: &[u8], limit: u32) -> Option<Found> {
        let row_id = <[u8; 8]>::try_from(key).ok().filter(|_| !self.keyed);
        let newest = self.index.newest(key);
        if newest.is_none() && row_id.is_none() {
            return None;
        }
        let chunks = self.chunks.read();
        let fresh = row_id.and_then(|id| entry_of(&chunks.all, RowId(u64::from_be_bytes(id))));
        below(&chunks, newest.max(fresh)?, limit)
    }

    /// Starts a walk over the keys of a keyed table.
    #[must_use]
    pub fn walk(&self, from: From<'_>, reverse: bool) -> Walk {
        self.index.walk(from, reverse)
    }

    /// The next key that has an entry below `limit`, put into `key`, and the newest such entry.
    pub fn step(&self, walk: &mut Walk, limit: u32, key: &mut Vec<u8>) -> Option<Found> {
        loop {
            let newest = self.index.step(walk, key)?;
            if let Some(found) = below(&self.chunks.read(), newest, limit) {
                return Some(found);
            }
        }
    }

    /// The chunks that hold the entries below `limit`; the last may reach beyond it.
    #[must_use]
    pub fn chunks(&self, limit: u32) -> Vec<Arc<Chunk>> {
        self.chunks.read().all.iter().take_while(|chunk| chunk.start < limit).map(Arc::clone).collect()
    }

    /// The next key, put into `key`, and the number of its newest entry. Only on a memtable that nobody pushes to.
    pub fn step_newest(&self, walk: &mut Walk, key: &mut Vec<u8>) -> Option<u32> {
        self.index.step(walk, key)
    }

    /// Keeps the number of chunks logarithmic under single-row commits.
    fn merge_small_chunks(&self) -> Result<()> {
        while let Some(parts) = self.mergeable_tail() {
            let merged = Arc::new(Chunk::merge(&parts)?);
            let mut chunks = self.chunks.write();
            let keep = chunks.all.len() - parts.len();
            chunks.starts.truncate(keep);
            chunks.all.truncate(keep);
            chunks.push(merged);
        }
        Ok(())
    }

    fn mergeable_tail(&self) -> Option<Vec<Arc<Chunk>>> {
        let chunks = &self.chunks.read().all;
        let tail = chunks.len().checked_sub(MERGE_FAN_IN).map(|at| &chunks[at..])?;
        let class = |chunk: &Chunk| chunk.len().ilog(MERGE_FAN_IN);
        let last = class(tail.last()?);
        let small = |chunk: &Arc<Chunk>| {
            chunk.rows.is_some() && chunk.len() < MERGED_ROWS_MAX && class(chunk) == last
        };
        tail.iter().all(small).then(|| tail.to_vec())
    }
}

/// The newest entry below `limit` of the key whose newest entry is `entry`.
fn below(chunks: &Chunks, mut entry: u32, limit: u32) -> Option<Found> {
    while entry != LIVE {
        let (chunk, offset) = chunks.locate(entry)?;
        if entry < limit {
            return Some(Found { chunk: Arc::clone(chunk), offset, seq: chunk.seq(offset) });
        }
        entry = chunk.entries[offset].previous();
    }
    None
}

/// The entry of a row that is in this memtable itself. Row ids grow with the entry number.
fn entry_of(chunks: &[Arc<Chunk>], id: RowId) -> Option<u32> {
    let rows: Vec<&Arc<Chunk>> = chunks.iter().filter(|chunk| chunk.rows.is_some()).collect();
    let at = rows.partition_point(|chunk| chunk.keys.row_id(0) <= Some(id)).checked_sub(1)?;
    let ChunkKeys::RowIds(ids) = &rows[at].keys else { return None };
    let offset = ids.values().binary_search(&id.0).ok()?;
    Some(rows[at].start + offset as u32)
}
