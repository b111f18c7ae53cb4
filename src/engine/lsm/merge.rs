//! The sort-merge of several files' live rows, for compaction only: scans never need one.
//!
//! Every key has at most one live row over all files, so the merge compares keys and drops nothing.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use arrow::array::{BinaryArray, RecordBatch, UInt64Array};
use arrow::compute::interleave_record_batch;

use super::file::TableFile;
use super::output::Output;
use crate::common::Result;
use crate::format::table::TableDef;
use crate::memtable::ChunkKeys;

const GATHER_ROWS: usize = 8192;

/// Reads the live rows of one file, a batch at a time, in key order and in the table's present columns.
struct Cursor {
    source: super::compaction::LiveRows,
    batch: Arc<(RecordBatch, ChunkKeys)>,
    row: usize,
}

impl Cursor {
    fn open(table: &Arc<TableDef>, file: &Arc<TableFile>) -> Result<Option<Self>> {
        let mut source = super::compaction::LiveRows::new(Arc::clone(table), Arc::clone(file));
        Ok(source.next_batch()?.map(|batch| Self { source, batch: Arc::new(batch), row: 0 }))
    }

    fn key(&self) -> Vec<u8> {
        self.batch.1.with(self.row, <[u8]>::to_vec)
    }

    /// Moves on; false at the end.
    fn advance(&mut self) -> Result<bool> {
        self.row += 1;
        if self.row < self.batch.0.num_rows() {
            return Ok(true);
        }
        let Some(batch) = self.source.next_batch()? else { return Ok(false) };
        (self.batch, self.row) = (Arc::new(batch), 0);
        Ok(true)
    }
}

/// Rows picked so far for the next output batch.
#[derive(Default)]
struct Gather {
    batches: Vec<Arc<(RecordBatch, ChunkKeys)>>,
    places: Vec<(usize, usize)>,
}

impl Gather {
    fn push(&mut self, batch: &Arc<(RecordBatch, ChunkKeys)>, row: usize) {
        let known = self.batches.iter().rposition(|held| Arc::ptr_eq(held, batch));
        let at = known.unwrap_or_else(|| {
            self.batches.push(Arc::clone(batch));
            self.batches.len() - 1
        });
        self.places.push((at, row));
    }

    fn write(&mut self, output: &mut Output) -> Result<()> {
        if self.places.is_empty() {
            return Ok(());
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().map(|held| &held.0).collect();
        let rows = interleave_record_batch(&batches, &self.places)?;
        output.write(&rows, &self.keys())?;
        *self = Self::default();
        Ok(())
    }

    fn keys(&self) -> ChunkKeys {
        let row_ids = self.places.iter().filter_map(|&(batch, row)| self.batches[batch].1.row_id(row));
        match &self.batches[0].1 {
            ChunkKeys::RowIds(_) => ChunkKeys::RowIds(UInt64Array::from_iter_values(row_ids.map(|id| id.0))),
            ChunkKeys::Encoded(_) => ChunkKeys::Encoded(self.encoded_keys()),
        }
    }

    fn encoded_keys(&self) -> BinaryArray {
        let values = self.places.iter().filter_map(|&(batch, row)| match &self.batches[batch].1 {
            ChunkKeys::Encoded(keys) => Some(keys.value(row)),
            ChunkKeys::RowIds(_) => None,
        });
        BinaryArray::from_iter_values(values)
    }
}

/// Writes the live rows of `files` in key order.
///
/// # Errors
/// When a file cannot be read or written.
pub fn merge_files(
    table: &Arc<TableDef>,
    files: &[Arc<TableFile>],
    output: &mut Output,
    cancelled: &dyn Fn() -> Result<()>,
) -> Result<()> {
    let mut cursors = Vec::new();
    for file in files {
        cursors.extend(Cursor::open(table, file)?);
    }
    let mut heap: BinaryHeap<Reverse<(Vec<u8>, usize)>> =
        cursors.iter().enumerate().map(|(at, cursor)| Reverse((cursor.key(), at))).collect();
    let mut gather = Gather::default();
    while let Some(Reverse((_, at))) = heap.pop() {
        let bound = heap.peek().map(|Reverse((key, _))| key.clone());
        // Rows up to the next cursor's key come from this one without another look at the heap.
        loop {
            gather.push(&cursors[at].batch, cursors[at].row);
            if gather.places.len() == GATHER_ROWS {
                cancelled()?;
                gather.write(output)?;
            }
            if !cursors[at].advance()? {
                break;
            }
            let cursor = &cursors[at];
            if bound
                .as_ref()
                .is_some_and(|bound| cursor.batch.1.with(cursor.row, |key| key > bound.as_slice()))
            {
                heap.push(Reverse((cursor.key(), at)));
                break;
            }
        }
    }
    gather.write(output)
}
