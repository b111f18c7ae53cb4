//! Which rows of files and older memtables are hidden by newer memtable entries, as of a snapshot.
//!
//! An entry hides the row of its key in a file when the file is older than the entry. Found hits are kept per table
//! state and grow with the memtable, so that a scan pays for the entries written since the last one.

use std::sync::Arc;

use arrow::array::BinaryArray;
use roaring::RoaringBitmap;

use super::state::TableState;
use crate::common::Result;
use crate::memtable::{Chunk, ChunkKeys, MemTable};
use crate::sstable::SortedKeys;

/// Chunks of at least this many entries are probed in key order, batch by batch.
const SORTED_PROBE_MIN: usize = 64;

/// Where a hidden row is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    /// Row of the table state's file at a position.
    File(usize, u32),
    /// Entry of the table state's memtable at a position.
    MemTable(usize, u32),
}

#[derive(Clone, Debug)]
struct Hit {
    memtable: usize,
    entry: u32,
    target: Target,
}

/// Rows that memtable entries hide, for one snapshot.
#[derive(Debug, Default)]
pub struct Masks {
    /// Per file.
    pub files: Vec<RoaringBitmap>,
    /// Per memtable, oldest first.
    pub memtables: Vec<RoaringBitmap>,
}

/// The hits found so far, and the masks made of them last.
#[derive(Debug, Default)]
pub(super) struct MaskCache {
    hits: Vec<Hit>,
    probed: Vec<u32>,
    last: Option<(Vec<u32>, Arc<Masks>)>,
}

impl MaskCache {
    /// What was found so far, for a state that puts one more memtable on top.
    pub(super) fn known_hits(&self) -> Self {
        Self { hits: self.hits.clone(), probed: self.probed.clone(), last: None }
    }
}

impl TableState {
    /// The masks for a snapshot that sees `limits[i]` entries of memtable `i`.
    ///
    /// # Errors
    /// When a file that must be probed cannot be read.
    pub fn masks(&self, limits: &[u32]) -> Result<Arc<Masks>> {
        let mut cache = self.masks.lock();
        if let Some((made_for, masks)) = &cache.last
            && made_for == limits
        {
            return Ok(Arc::clone(masks));
        }
        cache.probed.resize(limits.len(), 0);
        for (position, memtable) in self.memtables().enumerate() {
            let from = cache.probed[position];
            if from < limits[position] {
                let hits = self.probe(position, memtable, from, limits[position])?;
                cache.hits.extend(hits);
                cache.probed[position] = limits[position];
            }
        }
        let masks = Arc::new(self.collect(&cache.hits, limits));
        cache.last = Some((limits.to_vec(), Arc::clone(&masks)));
        Ok(masks)
    }

    fn collect(&self, hits: &[Hit], limits: &[u32]) -> Masks {
        let mut masks = Masks {
            files: vec![RoaringBitmap::new(); self.files.len()],
            memtables: vec![RoaringBitmap::new(); limits.len()],
        };
        for hit in hits.iter().filter(|hit| hit.entry < limits[hit.memtable]) {
            match hit.target {
                Target::File(file, row) => masks.files[file].insert(row),
                Target::MemTable(memtable, entry) => masks.memtables[memtable].insert(entry),
            };
        }
        masks
    }

    fn probe(&self, position: usize, memtable: &MemTable, from: u32, to: u32) -> Result<Vec<Hit>> {
        let mut hits = Vec::new();
        for chunk in memtable.chunks(to)?.iter().filter(|chunk| chunk.end() > from && !chunk.fresh) {
            let first = from.max(chunk.start) - chunk.start;
            let last = to.min(chunk.end()) - chunk.start;
            self.probe_chunk(position, chunk, first as usize..last as usize, &mut hits)?;
        }
        Ok(hits)
    }

    fn probe_chunk(
        &self,
        position: usize,
        chunk: &Chunk,
        entries: std::ops::Range<usize>,
        hits: &mut Vec<Hit>,
    ) -> Result<()> {
        let settled: Vec<_> =
            self.memtables().take(position).map(|older| (older, self.settled(older))).collect();
        for offset in entries.clone() {
            let entry = chunk.start + offset as u32;
            for (older, (memtable, limit)) in settled.iter().enumerate() {
                let newest = chunk.keys.with(offset, |key| memtable.newest(key, *limit));
                if let Some(newest) = newest.filter(|newest| !newest.is_deletion) {
                    let target = Target::MemTable(older, newest.entry);
                    hits.push(Hit { memtable: position, entry, target });
                }
            }
        }
        match &chunk.keys {
            ChunkKeys::Encoded(keys) if entries.len() >= SORTED_PROBE_MIN => {
                self.probe_sorted(position, chunk, keys, entries, hits)
            }
            _ => entries.into_iter().try_for_each(|offset| self.probe_files(position, chunk, offset, hits)),
        }
    }

    fn probe_files(&self, position: usize, chunk: &Chunk, offset: usize, hits: &mut Vec<Hit>) -> Result<()> {
        let seq = chunk.seq(offset);
        for (at, file) in self.files.iter().enumerate().filter(|(_, file)| file.max_seq() < seq) {
            if let Some(row) = chunk.keys.with(offset, |key| file.find_live(key))? {
                let target = Target::File(at, row as u32);
                hits.push(Hit { memtable: position, entry: chunk.start + offset as u32, target });
            }
        }
        Ok(())
    }

    fn probe_sorted(
        &self,
        position: usize,
        chunk: &Chunk,
        keys: &BinaryArray,
        entries: std::ops::Range<usize>,
        hits: &mut Vec<Hit>,
    ) -> Result<()> {
        let mut order: Vec<usize> = entries.collect();
        order.sort_unstable_by(|a, b| keys.value(*a).cmp(keys.value(*b)));
        let sorted = order.iter().map(|&offset| keys.value(offset));
        let sorted = SortedKeys::new(BinaryArray::from_iter_values(sorted))?;
        for (at, file) in self.files.iter().enumerate() {
            for (i, row) in file.find_live_many(&sorted)? {
                let offset = order[i];
                if file.max_seq() < chunk.seq(offset) {
                    let target = Target::File(at, row as u32);
                    hits.push(Hit { memtable: position, entry: chunk.start + offset as u32, target });
                }
            }
        }
        Ok(())
    }
}
