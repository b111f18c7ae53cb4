//! The live rows of a sorted run of files, batch by batch, in a table's present columns. Large values stay where they lie.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch};
use arrow::compute::{filter, filter_record_batch};
use arrow::datatypes::{Schema, SchemaRef};
use roaring::RoaringBitmap;

use crate::common::{Error, Result};
use crate::format::table::{TableDef, record_batch};
use crate::lsm::columns::{live_rows, read_stored};
use crate::lsm::separate::ref_fields;
use crate::lsm::{Expiry, TableFile};
use crate::memtable::ChunkKeys;
use crate::sstable::{RefBuilder, SstReader};

/// Reads the live rows of files that follow one another in key order, one batch in memory at a time.
pub struct LiveRows {
    table: Arc<TableDef>,
    /// Columns whose references come behind the table's columns.
    separated: Vec<usize>,
    schema: SchemaRef,
    files: VecDeque<Arc<TableFile>>,
    expiry: Option<Expiry>,
    /// Rows of the first file that are not wanted.
    dead: Option<RoaringBitmap>,
    next: usize,
}

impl LiveRows {
    /// From the first batch of the first file on, without the rows that have expired. References of the columns
    /// `separated`, which are all that the files have any of, come behind the others.
    #[must_use]
    pub fn new(
        table: Arc<TableDef>,
        separated: Vec<usize>,
        files: Vec<Arc<TableFile>>,
        expiry: Option<Expiry>,
    ) -> Self {
        let fields = table.schema().fields().iter().map(Arc::clone).collect::<Vec<_>>();
        let fields = fields.into_iter().chain(ref_fields(&table, &separated)).collect::<Vec<_>>();
        let schema = Arc::new(Schema::new(fields));
        Self { table, separated, schema, files: files.into(), expiry, dead: None, next: 0 }
    }

    /// The next batch that has a live row, with its keys.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_batch(&mut self) -> Result<Option<(RecordBatch, ChunkKeys)>> {
        while let Some(file) = self.files.front().map(Arc::clone) {
            let reader = Arc::clone(file.reader()?);
            while self.next < reader.num_batches() {
                self.next += 1;
                if let Some(found) = self.live_batch(&file, &reader, self.next - 1)? {
                    return Ok(Some(found));
                }
            }
            self.files.pop_front();
            (self.next, self.dead) = (0, None);
        }
        Ok(None)
    }

    fn live_batch(
        &mut self,
        file: &TableFile,
        reader: &SstReader,
        i: usize,
    ) -> Result<Option<(RecordBatch, ChunkKeys)>> {
        let dead = match self.dead.take() {
            Some(dead) => dead,
            None => self.dead_rows(file)?,
        };
        let live = live_rows(reader.batch_rows(i), self.dead.insert(dead));
        if live.as_ref().is_some_and(|live| live.true_count() == 0) {
            return Ok(None);
        }
        let rows = self.stored_batch(reader, i)?;
        let keys = batch_keys(&self.table, reader, i)?;
        Ok(Some(match live {
            None => (rows, keys),
            Some(live) => (filter_record_batch(&rows, &live)?, filter_keys(&keys, &live)?),
        }))
    }

    fn stored_batch(&self, reader: &SstReader, i: usize) -> Result<RecordBatch> {
        reader.check_len()?;
        let all: Vec<usize> = (0..self.table.columns.len()).collect();
        let (stored, rows) = (read_stored(&self.table, reader, i, &all)?, reader.batch_rows(i));
        let rows = (rows.end - rows.start) as usize;
        let mut arrays: Vec<ArrayRef> = stored.iter().map(|column| Arc::clone(&column.values)).collect();
        for &column in &self.separated {
            let held = stored[column].refs.as_ref().map(Arc::clone);
            arrays.push(held.map_or_else(|| RefBuilder::none(rows), Ok)?);
        }
        for (i, column) in stored.iter().enumerate().filter(|(i, _)| !self.separated.contains(i)) {
            if column.refs()?.is_some() {
                return Err(Error::Internal(format!("column {i} has references that nobody expected")));
            }
        }
        record_batch(&self.schema, arrays, rows)
    }

    fn dead_rows(&self, file: &TableFile) -> Result<RoaringBitmap> {
        let deletes = file.deletes()?;
        Ok(match &self.expiry {
            Some(expiry) => &**deletes | expiry.in_file(&self.table, file)?,
            None => (**deletes).clone(),
        })
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
