//! Keys on their way into an SSTable: checked for order, gathered into fences, filters or row-id runs.

use std::ops::Range;

use arrow::array::{Array, BinaryArray};

use crate::common::{Error, Result};
use crate::format::bloom::FilterBuilder;
use crate::format::row_ids::RowIdRuns;
use crate::format::sum::Fences;

/// Keys of the rows being written.
#[derive(Clone, Copy, Debug)]
pub enum RowKeys<'a> {
    /// Encoded keys, one per row.
    Encoded(&'a BinaryArray),
    /// Row ids of the rows of this batch.
    RowIds(&'a RowIdRuns),
}

/// Keys of the file so far.
#[derive(Debug)]
pub(super) enum KeyLog {
    /// Keyed table.
    Keys(EncodedKeys),
    /// Keyless table.
    RowIds(RowIdRuns),
}

/// Encoded keys of the file so far.
#[derive(Debug, Default)]
pub(super) struct EncodedKeys {
    firsts: Vec<Box<[u8]>>,
    filters: FilterBuilder,
    last: Vec<u8>,
    in_batch: bool,
}

impl KeyLog {
    /// Checks that `keys` are those of `rows` rows; takes in row ids, which know no batches.
    pub(super) fn begin(&mut self, keys: RowKeys<'_>, rows: usize) -> Result<()> {
        match (self, keys) {
            (Self::Keys(_), RowKeys::Encoded(keys)) if keys.len() == rows => Ok(()),
            (Self::RowIds(log), RowKeys::RowIds(ids)) if ids.rows() == rows as u64 => {
                if log.append(ids) {
                    return Ok(());
                }
                Err(Error::Internal("row ids given to an SSTable do not ascend".into()))
            }
            _ => {
                Err(Error::Internal(format!("the keys given to an SSTable are not those of its {rows} rows")))
            }
        }
    }

    /// Notes the keys of rows that join the batch being filled.
    pub(super) fn push(&mut self, keys: RowKeys<'_>, rows: Range<usize>) -> Result<()> {
        match (self, keys) {
            (Self::Keys(log), RowKeys::Encoded(keys)) => log.push(keys, rows),
            _ => Ok(()),
        }
    }

    /// Closes the batch being filled.
    pub(super) fn end_batch(&mut self) {
        if let Self::Keys(log) = self
            && log.in_batch
        {
            log.filters.finish_batch();
            log.in_batch = false;
        }
    }

    /// First and last key of the file.
    pub(super) fn range(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::Keys(log) => {
                (log.firsts.first().map_or_else(Vec::new, |key| key.to_vec()), log.last.clone())
            }
            Self::RowIds(ids) => {
                let bytes = |id: Option<crate::common::RowId>| id.map(|id| id.0.to_be_bytes().to_vec());
                (bytes(ids.first_id()).unwrap_or_default(), bytes(ids.last_id()).unwrap_or_default())
            }
        }
    }
}

impl EncodedKeys {
    fn push(&mut self, keys: &BinaryArray, rows: Range<usize>) -> Result<()> {
        let mut previous: Option<&[u8]> = (!self.firsts.is_empty()).then_some(self.last.as_slice());
        for row in rows.clone() {
            let key = keys.value(row);
            if previous.is_some_and(|previous| previous >= key) {
                return Err(Error::Internal("keys given to an SSTable do not strictly ascend".into()));
            }
            previous = Some(key);
            self.filters.insert(key);
        }
        if !rows.is_empty() {
            if !self.in_batch {
                self.firsts.push(keys.value(rows.start).into());
                self.in_batch = true;
            }
            self.last = keys.value(rows.end - 1).to_vec();
        }
        Ok(())
    }

    /// Fences and filters of the whole file.
    pub(super) fn finish(self) -> Result<(Fences, FilterBuilder)> {
        let fences = Fences::new(self.firsts, self.last.into())
            .ok_or_else(|| Error::Internal("fence keys do not ascend".into()))?;
        Ok((fences, self.filters))
    }
}
