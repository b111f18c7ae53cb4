//! The flush of a keyed table: one walk over the memtable's keys gathers rows and probes the older files.

use std::sync::Arc;

use arrow::array::{BinaryArray, BinaryBuilder, RecordBatch};
use roaring::RoaringBitmap;

use super::interleave::interleave_batches;
use super::output::Output;
use super::state::TableState;
use crate::common::{Result, SeqNo};
use crate::memtable::{Chunk, ChunkKeys, From, MemTable};
use crate::sstable::SortedKeys;

/// Keys settled and rows gathered at a time.
const GATHER_ROWS: usize = 8192;

/// Writes the newest row of each key in key order; returns the rows that each older file loses.
pub(super) fn write_keyed(
    table: &TableState,
    memtable: &MemTable,
    output: &mut Output,
) -> Result<Vec<RoaringBitmap>> {
    let chunks = memtable.chunks(u32::MAX)?;
    let mut gather = Gather::new(table, &chunks);
    let mut walk = memtable.walk(From::End, false);
    let mut key = Vec::new();
    while let Some(entry) = memtable.step_newest(&mut walk, &mut key) {
        gather.push(&key, entry);
        if gather.places.len() == GATHER_ROWS {
            gather.write(output)?;
        }
    }
    gather.write(output)?;
    Ok(gather.hidden)
}

/// Entries on their way to a file.
struct Gather<'a> {
    table: &'a TableState,
    chunks: &'a [Arc<Chunk>],
    /// The rows of the chunks that hold any, and for each chunk its place among them.
    batches: Vec<&'a RecordBatch>,
    ordinals: Vec<Option<usize>>,
    keys: BinaryBuilder,
    places: Vec<Place>,
    hidden: Vec<RoaringBitmap>,
}

#[derive(Clone, Copy)]
struct Place {
    chunk: usize,
    offset: usize,
    seq: SeqNo,
}

impl<'a> Gather<'a> {
    fn new(table: &'a TableState, chunks: &'a [Arc<Chunk>]) -> Self {
        let mut batches = Vec::new();
        let mut ordinal = |chunk: &'a Arc<Chunk>| {
            batches.push(chunk.rows.as_ref()?);
            Some(batches.len() - 1)
        };
        let ordinals = chunks.iter().map(&mut ordinal).collect();
        let hidden = vec![RoaringBitmap::new(); table.files.len()];
        let (keys, places) = (BinaryBuilder::new(), Vec::with_capacity(GATHER_ROWS));
        Self { table, chunks, batches, ordinals, keys, places, hidden }
    }

    fn push(&mut self, key: &[u8], entry: u32) {
        let chunk = self.chunks.partition_point(|chunk| chunk.start <= entry) - 1;
        let offset = (entry - self.chunks[chunk].start) as usize;
        self.places.push(Place { chunk, offset, seq: self.chunks[chunk].seq(offset) });
        self.keys.append_value(key);
    }

    /// Writes what was pushed.
    fn write(&mut self, output: &mut Output) -> Result<()> {
        let keys = self.keys.finish();
        let places = std::mem::take(&mut self.places);
        let replaced = self.probe(&keys, &places)?;
        let is_row = |i: &usize| !replaced[*i] && self.ordinals[places[*i].chunk].is_some();
        let rows: Vec<usize> = (0..places.len()).filter(is_row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let place = |i: &usize| (self.ordinals[places[*i].chunk].unwrap_or_default(), places[*i].offset);
        let gathered = interleave_batches(&self.batches, &rows.iter().map(place).collect::<Vec<_>>())?;
        let keys = if rows.len() == places.len() {
            keys
        } else {
            BinaryArray::from_iter_values(rows.iter().map(|i| keys.value(*i)))
        };
        output.write(&gathered, &ChunkKeys::Encoded(keys))
    }

    /// Marks what older files lose; tells which of the entries a newer file (a bulk append) replaced.
    fn probe(&mut self, keys: &BinaryArray, places: &[Place]) -> Result<Vec<bool>> {
        let mut replaced = vec![false; places.len()];
        let newest_file = self.table.files.iter().map(|file| file.max_seq()).max().unwrap_or_default();
        // A fresh key is in no older file, so only a newer one could hold it.
        if places.iter().all(|place| self.chunks[place.chunk].fresh && place.seq > newest_file) {
            return Ok(replaced);
        }
        let keys = SortedKeys::new(keys.clone())?;
        for (file, hidden) in self.table.files.iter().zip(&mut self.hidden) {
            for (i, row) in file.find_live_many(&keys)? {
                if file.max_seq() < places[i].seq {
                    hidden.insert(row as u32);
                } else if file.max_seq() > places[i].seq {
                    replaced[i] = true;
                }
            }
        }
        Ok(replaced)
    }
}
