//! The check behind `trilith check`: every byte of both files, and that the rows are what the companion says.

use std::collections::BTreeMap;

use arrow::array::{Array, ArrayRef, BinaryArray};

use super::blob::{BlobRefs, Large, blob_of};
use super::key_column::KeyColumn;
use super::reader::{SstReader, read_sum};
use crate::common::{Error, FileId, Result};
use crate::format::block::BLOCK_LEN;
use crate::format::bloom::hash_key;
use crate::format::sum::Lookup;

/// Bytes verified at a time.
const STEP: u64 = 256 * BLOCK_LEN as u64;

impl SstReader {
    /// Verifies every byte of both files, decodes every column, and checks the order of the rows.
    ///
    /// # Errors
    /// `Corrupt`, naming the first thing that is wrong.
    pub fn verify(&self) -> Result<()> {
        read_sum(&*self.companion, self.sum.header.database, &self.info)?;
        let mut start = 0;
        while start < self.file.len() {
            let end = (start + STEP).min(self.file.len());
            self.file.read_blocks(start..end)?;
            start = end;
        }
        let (mut previous, mut used): (Option<Vec<u8>>, _) = (None, BTreeMap::new());
        for batch in 0..self.num_batches() {
            let all = (0..self.schema().fields().len()).collect();
            let (_, columns) = self.decode_columns(batch, all)?;
            previous = self.verify_keys(batch, &columns, previous.as_deref())?;
            self.verify_values(batch, &columns, &mut used)?;
        }
        let stated = self.info.blobs.iter().map(|blob| (blob.blob.file, (blob.values, blob.bytes)));
        if stated.collect::<BTreeMap<_, _>>() == used {
            return Ok(());
        }
        let what = "its rows refer to other values in blob files than the manifest counts";
        Err(Error::corrupt(self.file.path(), 0, what))
    }

    /// Reads the large values of a batch, and counts them in `used`.
    fn verify_values(
        &self,
        batch: usize,
        columns: &[ArrayRef],
        used: &mut BTreeMap<FileId, (u64, u64)>,
    ) -> Result<()> {
        for (column, refs) in self.refs.iter().enumerate().filter_map(|(i, refs)| Some((i, (*refs)?))) {
            let Some(heads) = Large::new(&columns[column]) else { continue };
            for (row, value) in BlobRefs::new(&columns[refs])?.iter() {
                let bytes = blob_of(&self.blobs, &value)?.read_hashed(&value)?;
                if heads.value(row).is_none_or(|head| !bytes.starts_with(head)) {
                    let what = format!("batch {batch}: the head of a value is not how the value begins");
                    return Err(Error::corrupt(self.file.path(), self.sum.batches[batch].offset, what));
                }
                let (values, bytes) = used.entry(value.file).or_default();
                (*values, *bytes) = (*values + 1, *bytes + value.len);
            }
        }
        Ok(())
    }

    /// Checks the keys of one batch against order, fence and filter; returns the last of them.
    fn verify_keys(
        &self,
        batch: usize,
        columns: &[ArrayRef],
        previous: Option<&[u8]>,
    ) -> Result<Option<Vec<u8>>> {
        let (Lookup::Keys { fences, filters }, Some(key)) = (&self.sum.lookup, &self.key) else {
            return Ok(None);
        };
        let keys = KeyColumn::new(key.columns_of(columns), key.codec()).encode()?;
        let wrong = |what: &str| {
            let offset = self.sum.batches[batch].offset;
            Err(Error::corrupt(self.file.path(), offset, format!("batch {batch}: {what}")))
        };
        let ascending = (1..keys.len()).all(|row| keys.value(row - 1) < keys.value(row));
        let first = first(&keys);
        if !ascending || previous >= first {
            return wrong("its rows are not in the order of their keys");
        }
        if first != fences.first(batch)
            || keys.iter().flatten().any(|key| !filters.may_contain(batch, hash_key(key)))
        {
            return wrong("its keys are not those that the companion lists");
        }
        let last = keys.value(keys.len() - 1);
        if batch + 1 == self.num_batches() && last != fences.last() {
            return wrong("its last key is not the one that the companion lists");
        }
        Ok(Some(last.to_vec()))
    }
}

fn first(keys: &BinaryArray) -> Option<&[u8]> {
    (!keys.is_empty()).then(|| keys.value(0))
}
