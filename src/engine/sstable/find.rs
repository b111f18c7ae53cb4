//! Rows by key: fence keys choose the batch, its Bloom filter spares most absent keys, then the key
//! column is searched.

use std::ops::Range;

use arrow::array::BinaryArray;

use super::reader::SstReader;
use super::sorted::SortedKeys;
use crate::common::{Error, Result};
use crate::format::bloom::{Filters, hash_key};
use crate::format::sum::{Fences, Lookup};

impl SstReader {
    fn fences(&self) -> Result<(&Fences, &Filters)> {
        match &self.sum.lookup {
            Lookup::Keys { fences, filters } => Ok((fences, filters)),
            Lookup::RowIds(_) => Err(Error::Internal("a keyless SSTable was asked for a key".into())),
        }
    }

    /// Row with this encoded key.
    ///
    /// # Errors
    /// `Corrupt` when a block under the key column is not what was written.
    pub fn find(&self, key: &[u8]) -> Result<Option<u64>> {
        let (fences, filters) = self.fences()?;
        let Some(batch) = fences.batch_of(key) else { return Ok(None) };
        if !filters.may_contain(batch, hash_key(key)) {
            return Ok(None);
        }
        // Kept columns lie in a mapping, which must not be touched where somebody cut the file short.
        self.check_len()?;
        let start = self.batch_rows(batch).start;
        self.with_key_column(batch, |column| {
            let row = column.lower_bound(0, key);
            column.is_at(row, key).then_some(start + row as u64)
        })
    }

    /// For each of these keys that is here: its position among them, and its row.
    ///
    /// # Errors
    /// As [`SstReader::find`].
    pub fn find_many(&self, keys: &SortedKeys) -> Result<Vec<(usize, u64)>> {
        let (fences, filters) = self.fences()?;
        self.check_len()?;
        let mut found = Vec::new();
        let (mut batch, mut from) = (0, 0);
        for i in keys.within(&self.info.min_key, fences.last()) {
            let key = keys.key(i);
            let Some(next) = fences.last_not_after(key, batch) else { continue };
            if next != batch {
                (batch, from) = (next, 0);
            }
            if !filters.may_contain(batch, keys.hash(i)) {
                continue;
            }
            let (row, here) = self.with_key_column(batch, |column| {
                let row = column.gallop(from, key);
                (row, column.is_at(row, key))
            })?;
            from = row;
            if here {
                found.push((i, self.batch_rows(batch).start + row as u64));
            }
        }
        Ok(found)
    }

    /// First row whose key is not less than `key`, which may be a prefix of a key; the number of rows when
    /// there is none. For a keyless table the key is a row id as eight big-endian bytes.
    ///
    /// # Errors
    /// As [`SstReader::find`].
    pub fn lower_bound(&self, key: &[u8]) -> Result<u64> {
        if let (Some(runs), Some(id)) = (self.row_id_runs(), key.first_chunk()) {
            return Ok(runs.lower_bound(crate::common::RowId(u64::from_be_bytes(*id))));
        }
        let (fences, _) = self.fences()?;
        if key > fences.last() {
            return Ok(self.info.rows);
        }
        let Some(batch) = fences.last_not_after(key, 0) else { return Ok(0) };
        self.check_len()?;
        let row = self.with_key_column(batch, |column| column.lower_bound(0, key))?;
        Ok(self.batch_rows(batch).start + row as u64)
    }

    /// First row of `rows`, which lie in one batch, whose key is not less than `key`; their end when there is none.
    /// Quick when it is near their start.
    ///
    /// # Errors
    /// As [`SstReader::find`].
    pub fn lower_bound_within(&self, rows: Range<u64>, key: &[u8]) -> Result<u64> {
        if rows.is_empty() {
            return Ok(rows.end);
        }
        let batch = self.batch_of_row(rows.start);
        let start = self.batch_rows(batch).start;
        let found =
            self.with_key_column(batch, |column| column.gallop((rows.start - start) as usize, key))?;
        Ok((start + found as u64).min(rows.end))
    }

    /// Encoded keys of one batch.
    ///
    /// # Errors
    /// As [`SstReader::find`].
    pub fn keys(&self, batch: usize) -> Result<BinaryArray> {
        self.with_key_column(batch, |column| column.encode())?
    }

    /// Puts the encoded key of a row into `key`.
    ///
    /// # Errors
    /// As [`SstReader::find`].
    pub fn copy_key(&self, row: u64, key: &mut Vec<u8>) -> Result<()> {
        let batch = self.batch_of_row(row);
        let at = (row - self.batch_rows(batch).start) as usize;
        key.clear();
        self.with_key_column(batch, |column| column.copy_key(at, key))
    }
}
