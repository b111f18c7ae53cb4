//! Gathers rows into the batches of a file: of one number of rows, fewer where rows are large.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;

use crate::common::Result;
use crate::format::size::batch_bytes;

/// Bytes at which a batch is full whatever its rows: what the first read of one row verifies and decodes,
/// and far from the 2 GiB that the offsets of a string column can span.
const BATCH_BYTES: usize = 16 << 20;

/// Rows that wait for a batch to fill.
#[derive(Debug)]
pub(super) struct Chunker {
    schema: SchemaRef,
    rows_max: usize,
    waiting: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Chunker {
    /// Batches of `rows_max` rows.
    pub(super) fn new(schema: SchemaRef, rows_max: usize) -> Self {
        Self { schema, rows_max: rows_max.max(1), waiting: vec![], rows: 0, bytes: 0 }
    }

    /// Columns of every batch.
    pub(super) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// Rows that wait.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// How many more rows of `row_bytes` bytes fit; never 0 while none wait.
    pub(super) fn room(&self, row_bytes: usize) -> usize {
        let by_bytes = BATCH_BYTES.saturating_sub(self.bytes) / row_bytes.max(1);
        by_bytes.max(usize::from(self.rows == 0)).min(self.rows_max - self.rows)
    }

    /// Adds rows at the end.
    pub(super) fn push(&mut self, rows: RecordBatch, row_bytes: usize) {
        self.rows += rows.num_rows();
        self.bytes += rows.num_rows() * row_bytes;
        self.waiting.push(rows);
    }

    /// The rows that wait, as one batch.
    pub(super) fn take(&mut self) -> Result<RecordBatch> {
        (self.rows, self.bytes) = (0, 0);
        let mut pieces = std::mem::take(&mut self.waiting);
        if pieces.len() == 1 { Ok(pieces.remove(0)) } else { Ok(concat_batches(&self.schema, &pieces)?) }
    }
}

/// Average bytes of a row.
pub(super) fn row_bytes(batch: &RecordBatch) -> usize {
    batch_bytes(batch).div_ceil(batch.num_rows().max(1))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, Int64Array, StringArray};
    use arrow::datatypes::{Field, Schema};
    use std::sync::Arc;

    fn batch(column: ArrayRef) -> RecordBatch {
        let schema = Schema::new(vec![Field::new("c", column.data_type().clone(), true)]);
        RecordBatch::try_new(Arc::new(schema), vec![column]).unwrap()
    }

    #[test]
    fn large_rows_make_small_batches() {
        let rows = batch(Arc::new(StringArray::from(vec!["x".repeat(6 << 20); 3])));
        let each = row_bytes(&rows);
        assert!((6 << 20..7 << 20).contains(&each));
        let mut chunks = Chunker::new(rows.schema(), 100);
        assert_eq!(chunks.room(each), 2);
        assert_eq!(chunks.room(BATCH_BYTES * 2), 1);
        chunks.push(rows.slice(0, 2), each);
        assert_eq!(chunks.room(each), 0);
        assert_eq!(chunks.take().unwrap().num_rows(), 2);
        assert_eq!(chunks.room(each), 2);
    }

    #[test]
    fn a_slice_weighs_what_it_shows() {
        let rows = batch(Arc::new(Int64Array::from(vec![0; 10_000])));
        assert_eq!(row_bytes(&rows.slice(5_000, 10)), 8);
    }
}
