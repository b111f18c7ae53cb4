//! Range reads: rows in key order, upwards or downwards, as of a snapshot.

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;

use super::view::TableView;
use crate::common::Result;
use crate::lsm::{Gather, KeyRange, Ordered};

/// Rows of the first batch; each following one is twice as long, so that a short scan reads little and a long one
/// gathers few times.
const FIRST_ROWS: usize = 128;
/// Rows of the longest batch.
const ROWS_MAX: usize = 8192;

/// Batches in key order. After an error it is over.
#[derive(Debug)]
pub struct RangeScan {
    /// Pins files and memtables.
    view: TableView,
    /// Those asked for, then perhaps the one that rows expire by.
    columns: Vec<usize>,
    asked: usize,
    ordered: Option<Ordered>,
    left: usize,
    rows: usize,
}

impl TableView {
    /// The rows whose encoded keys are in `range`, in key order, or backwards with `reverse`: at most `limit` rows of
    /// the columns `projection` (all when `None`). Read as it is consumed; empty for bounds that are the wrong way
    /// round.
    ///
    /// # Errors
    /// `Invalid` when the table has no key; `Corrupt` or `Io` when a file cannot be read.
    pub fn range(
        &self,
        range: &KeyRange,
        reverse: bool,
        limit: Option<usize>,
        projection: Option<&[usize]>,
    ) -> Result<RangeScan> {
        self.codec()?;
        if let Some(reads) = &self.reads {
            reads.range(self.def(), range);
        }
        let ordered = Ordered::open(&self.inner.table, &self.inner.limits, range, reverse)?;
        let mut columns: Vec<usize> =
            projection.map_or_else(|| (0..self.def().columns.len()).collect(), <[usize]>::to_vec);
        let asked = columns.len();
        columns.extend(self.expiry.iter().map(|expiry| expiry.column));
        let left = limit.unwrap_or(usize::MAX);
        Ok(RangeScan { view: self.clone(), columns, asked, ordered: Some(ordered), left, rows: FIRST_ROWS })
    }
}

impl RangeScan {
    fn read(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let rows = self.rows.min(self.left);
            let Some(ordered) = self.ordered.as_mut().filter(|_| rows > 0) else { return Ok(None) };
            let batch = ordered.next_batch(rows, Gather::new(self.view.def(), &self.columns))?;
            self.rows = (self.rows * 2).min(ROWS_MAX);
            if batch.num_rows() == 0 {
                return Ok(None);
            }
            let batch = self.unexpired(batch)?;
            self.left -= batch.num_rows();
            if batch.num_rows() > 0 {
                return Ok(Some(batch));
            }
        }
    }

    fn unexpired(&self, batch: RecordBatch) -> Result<RecordBatch> {
        let Some(expiry) = &self.view.expiry else { return Ok(batch) };
        let live = filter_record_batch(&batch, &expiry.live(batch.column(self.asked))?)?;
        let asked: Vec<usize> = (0..self.asked).collect();
        Ok(live.project(&asked)?)
    }
}

impl Iterator for RangeScan {
    type Item = Result<RecordBatch>;

    fn next(&mut self) -> Option<Self::Item> {
        let read = self.read();
        if !matches!(read, Ok(Some(_))) {
            self.ordered = None;
        }
        read.transpose()
    }
}

impl std::iter::FusedIterator for RangeScan {}
