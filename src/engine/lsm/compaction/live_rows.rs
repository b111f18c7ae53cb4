//! The live rows of one file, batch by batch, in a table's present columns.

use std::sync::Arc;

use arrow::array::{Array, BooleanArray, RecordBatch};
use arrow::compute::{filter, filter_record_batch};

use crate::common::Result;
use crate::format::table::TableDef;
use crate::lsm::TableFile;
use crate::lsm::columns::{live_rows, read_columns};
use crate::memtable::ChunkKeys;
use crate::sstable::SstReader;

/// Reads a file's live rows in order.
pub struct LiveRows {
    table: Arc<TableDef>,
    file: Arc<TableFile>,
    next: usize,
}

impl LiveRows {
    /// From the first batch on.
    #[must_use]
    pub fn new(table: Arc<TableDef>, file: Arc<TableFile>) -> Self {
        Self { table, file, next: 0 }
    }

    /// The next batch that has a live row, with its keys.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<(RecordBatch, ChunkKeys)>> {
        let reader = Arc::clone(self.file.reader()?);
        while self.next < reader.num_batches() {
            let i = self.next;
            self.next += 1;
            let all: Vec<usize> = (0..self.table.columns.len()).collect();
            let rows = read_columns(&self.table, &reader, i, &all)?;
            let keys = batch_keys(&self.table, &reader, i)?;
            let Some(live) = live_rows(reader.batch_rows(i), self.file.deletes()?) else {
                return Ok(Some((rows, keys)));
            };
            if live.true_count() > 0 {
                return Ok(Some((filter_record_batch(&rows, &live)?, filter_keys(&keys, &live)?)));
            }
        }
        Ok(None)
    }
}

fn batch_keys(table: &TableDef, reader: &SstReader, i: usize) -> Result<ChunkKeys> {
    if table.is_keyed() {
        return Ok(ChunkKeys::Encoded(reader.keys(i)?));
    }
    Ok(ChunkKeys::RowIds(reader.row_ids(reader.batch_rows(i))))
}

fn filter_keys(keys: &ChunkKeys, live: &BooleanArray) -> Result<ChunkKeys> {
    Ok(match keys {
        ChunkKeys::Encoded(keys) => ChunkKeys::Encoded(filter(keys, live)?.to_data().into()),
        ChunkKeys::RowIds(ids) => ChunkKeys::RowIds(filter(ids, live)?.to_data().into()),
    })
}
