//! Rows by number, in any order.

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::compute::interleave;
use std::sync::Arc;

use super::reader::SstReader;
use crate::common::{Error, Result};

impl SstReader {
    /// These rows of the file, in this order, with the columns of `projection`.
    ///
    /// # Errors
    /// As [`SstReader::read_batch`]; `Invalid` for a row that is not there.
    pub fn take_rows(&self, rows: &[u64], projection: Option<&[usize]>) -> Result<RecordBatch> {
        if let Some(row) = rows.iter().find(|row| **row >= self.info.rows) {
            return Err(Error::invalid(
                format!("row {row}"),
                format!("the file has {} rows", self.info.rows),
            ));
        }
        if let Some(slice) = self.contiguous(rows, projection)? {
            return Ok(slice);
        }
        let mut numbers: Vec<usize> = rows.iter().map(|row| self.batch_of_row(*row)).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let batches =
            numbers.iter().map(|batch| self.read_batch(*batch, projection)).collect::<Result<Vec<_>>>()?;
        let place = |row: &u64| {
            let batch = self.batch_of_row(*row);
            let at = numbers.partition_point(|number| *number < batch);
            (at, (row - self.batch_rows(batch).start) as usize)
        };
        let places: Vec<(usize, usize)> = rows.iter().map(place).collect();
        self.gather(&batches, &places, projection)
    }

    /// Rows that follow one another within a batch need no copy.
    fn contiguous(&self, rows: &[u64], projection: Option<&[usize]>) -> Result<Option<RecordBatch>> {
        let Some((first, last)) = rows.first().zip(rows.last()) else { return Ok(None) };
        let batch = self.batch_of_row(*first);
        let within = self.batch_rows(batch);
        let ascending = rows.iter().zip(*first..).all(|(row, expected)| *row == expected);
        if !ascending || *last >= within.end {
            return Ok(None);
        }
        Ok(Some(self.read_batch(batch, projection)?.slice((first - within.start) as usize, rows.len())))
    }

    fn gather(
        &self,
        batches: &[RecordBatch],
        places: &[(usize, usize)],
        projection: Option<&[usize]>,
    ) -> Result<RecordBatch> {
        let schema = match projection {
            Some(columns) => Arc::new(self.schema().project(columns)?),
            None => Arc::clone(self.schema()),
        };
        if batches.is_empty() {
            return Ok(RecordBatch::new_empty(schema));
        }
        let column = |i: usize| {
            let pieces: Vec<_> = batches.iter().map(|batch| batch.column(i).as_ref()).collect();
            interleave(&pieces, places)
        };
        let columns = (0..schema.fields().len()).map(column).collect::<Result<_, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(places.len()));
        Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
    }
}
