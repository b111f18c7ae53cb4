//! The sort-merge of several files' live rows, for compaction only: scans never need one.
//!
//! Every key has at most one live row over all files, so the merge compares keys and drops nothing. Files whose key
//! ranges follow one another are read as one run, a batch in memory at a time; a stretch of rows that no other run
//! reaches into passes as it is, without a copy.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, RecordBatch};
use arrow::compute::{interleave, interleave_record_batch};

use super::expiry::Expiry;
use super::file::TableFile;
use super::output::Output;
use crate::common::Result;
use crate::format::size::batch_bytes;
use crate::format::table::TableDef;
use crate::memtable::ChunkKeys;

/// Rows gathered before they are written.
const GATHER_ROWS: usize = 8192;
/// Rows that are worth a write of their own rather than a copy.
const STRETCH_ROWS: usize = 1024;

type Batch = Arc<(RecordBatch, ChunkKeys)>;

/// Reads the live rows of one run, a batch at a time, in key order and in the table's present columns.
struct Cursor {
    source: super::compaction::LiveRows,
    batch: Batch,
    row: usize,
}

impl Cursor {
    fn open(
        table: &Arc<TableDef>,
        separated: &[usize],
        run: Vec<Arc<TableFile>>,
        expiry: Option<Expiry>,
    ) -> Result<Option<Self>> {
        let separated = separated.to_vec();
        let mut source = super::compaction::LiveRows::new(Arc::clone(table), separated, run, expiry);
        Ok(source.next_batch()?.map(|batch| Self { source, batch: Arc::new(batch), row: 0 }))
    }

    fn key(&self) -> Vec<u8> {
        self.batch.1.with(self.row, <[u8]>::to_vec)
    }

    /// The rows from here on that come before `bound`, at least one: keys of runs differ.
    fn stretch(&self, bound: Option<&[u8]>) -> Range<usize> {
        let (mut low, mut high) = (self.row + 1, self.batch.0.num_rows());
        let Some(bound) = bound else { return self.row..high };
        while low < high {
            let middle = low.midpoint(high);
            if self.batch.1.with(middle, |key| key < bound) { low = middle + 1 } else { high = middle }
        }
        self.row..low
    }

    /// Moves on to `row`; false at the end.
    fn advance(&mut self, row: usize) -> Result<bool> {
        self.row = row;
        if self.row < self.batch.0.num_rows() {
            return Ok(true);
        }
        let Some(batch) = self.source.next_batch()? else { return Ok(false) };
        (self.batch, self.row) = (Arc::new(batch), 0);
        Ok(true)
    }
}

/// Files as few sorted runs: each file follows the last one of its run.
fn runs(files: &[Arc<TableFile>]) -> Vec<Vec<Arc<TableFile>>> {
    let mut files: Vec<Arc<TableFile>> = files.to_vec();
    files.sort_by(|a, b| a.info().min_key.cmp(&b.info().min_key));
    let mut runs: Vec<Vec<Arc<TableFile>>> = Vec::new();
    for file in files {
        let ends_before = |run: &&mut Vec<Arc<TableFile>>| {
            run.last().is_some_and(|last| last.info().max_key < file.info().min_key)
        };
        match runs.iter_mut().find(ends_before) {
            Some(run) => run.push(file),
            None => runs.push(vec![file]),
        }
    }
    runs
}

/// Rows on their way to the output; `step` hears of the bytes of each write.
struct Gather<'a> {
    output: &'a mut Output,
    step: &'a mut dyn FnMut(u64) -> Result<()>,
    pieces: Vec<(Batch, Range<usize>)>,
    rows: usize,
}

impl Gather<'_> {
    fn push(&mut self, batch: &Batch, rows: Range<usize>) -> Result<()> {
        if rows.len() >= STRETCH_ROWS {
            self.write()?;
            return self
                .put(batch.0.slice(rows.start, rows.len()), &slice_keys(&batch.1, rows.start, rows.len()));
        }
        self.rows += rows.len();
        self.pieces.push((Arc::clone(batch), rows));
        if self.rows >= GATHER_ROWS { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        self.rows = 0;
        let (batches, places) = places(std::mem::take(&mut self.pieces));
        let rows: Vec<&RecordBatch> = batches.iter().map(|batch| &batch.0).collect();
        let rows = interleave_record_batch(&rows, &places)?;
        self.put(rows, &interleave_keys(&batches, &places)?)
    }

    fn put(&mut self, rows: RecordBatch, keys: &ChunkKeys) -> Result<()> {
        self.output.write(&rows, keys)?;
        (self.step)(batch_bytes(&rows) as u64 + self.output.take_blob_bytes())
    }
}

/// The batches that pieces are of, and for each row its batch and place.
fn places(pieces: Vec<(Batch, Range<usize>)>) -> (Vec<Batch>, Vec<(usize, usize)>) {
    let (mut batches, mut places): (Vec<Batch>, Vec<_>) = (Vec::new(), Vec::new());
    for (batch, rows) in pieces {
        let known = batches.iter().rposition(|held| Arc::ptr_eq(held, &batch));
        let at = known.unwrap_or_else(|| {
            batches.push(batch);
            batches.len() - 1
        });
        places.extend(rows.map(|row| (at, row)));
    }
    (batches, places)
}

fn interleave_keys(batches: &[Batch], places: &[(usize, usize)]) -> Result<ChunkKeys> {
    let arrays: Vec<&dyn Array> = batches
        .iter()
        .map(|batch| match &batch.1 {
            ChunkKeys::Encoded(keys) => keys as &dyn Array,
            ChunkKeys::RowIds(ids) => ids as &dyn Array,
        })
        .collect();
    let keys = interleave(&arrays, places)?.to_data();
    Ok(match &batches[0].1 {
        ChunkKeys::Encoded(_) => ChunkKeys::Encoded(keys.into()),
        ChunkKeys::RowIds(_) => ChunkKeys::RowIds(keys.into()),
    })
}

fn slice_keys(keys: &ChunkKeys, start: usize, len: usize) -> ChunkKeys {
    match keys {
        ChunkKeys::Encoded(keys) => ChunkKeys::Encoded(keys.slice(start, len)),
        ChunkKeys::RowIds(ids) => ChunkKeys::RowIds(ids.slice(start, len)),
    }
}

/// Writes the live rows of `files`, without those that have expired, in key order. `step` is called with the bytes of each write, and ends the merge
/// with its error.
///
/// # Errors
/// When a file cannot be read or written, and what `step` returns.
pub fn merge_files(
    table: &Arc<TableDef>,
    files: &[Arc<TableFile>],
    expiry: Option<Expiry>,
    output: &mut Output,
    step: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let mut cursors = Vec::new();
    let separated = output.blobs().columns.clone();
    for run in runs(files) {
        cursors.extend(Cursor::open(table, &separated, run, expiry)?);
    }
    let mut heap: BinaryHeap<Reverse<(Vec<u8>, usize)>> =
        cursors.iter().enumerate().map(|(at, cursor)| Reverse((cursor.key(), at))).collect();
    let mut gather = Gather { output, step, pieces: Vec::new(), rows: 0 };
    while let Some(Reverse((_, at))) = heap.pop() {
        let bound = heap.peek().map(|Reverse((key, _))| key.as_slice());
        let cursor = &mut cursors[at];
        let rows = cursor.stretch(bound);
        gather.push(&cursor.batch, rows.clone())?;
        if cursor.advance(rows.end)? {
            heap.push(Reverse((cursor.key(), at)));
        }
    }
    gather.write()
}
