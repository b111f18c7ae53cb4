//! Columns of one batch: verified, decoded, and kept for the next reader: all of them on mapped storage, elsewhere as many
//! as the cache has memory for.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef};
use arrow::buffer::{Buffer, MutableBuffer};
use arrow::datatypes::SchemaRef;

use super::blob::StoredColumn;
use super::frame::{Fault, Frame};
use super::key_column::KeyColumn;
use super::reader::SstReader;
use crate::common::{Error, Result};
use crate::format::sum::BatchBlock;

/// A batch of at most so many bytes is read whole where files are not mapped: one call to the disk, or one request, costs
/// more than the bytes of its other columns, and a point read wants them next.
const WHOLE_MAX: u64 = 64 << 10;

/// What is decoded of one batch.
#[derive(Debug)]
pub(super) struct Decoded {
    columns: Box<[OnceLock<ArrayRef>]>,
    pub(super) key: OnceLock<KeyColumn>,
}

impl Decoded {
    pub(super) fn new(schema: &SchemaRef) -> Self {
        let columns = schema.fields().iter().map(|_| OnceLock::new()).collect();
        Self { columns, key: OnceLock::new() }
    }
}

impl SstReader {
    /// Columns of a batch, in the order asked for, large values included.
    ///
    /// # Errors
    /// As [`SstReader::read_batch`].
    pub fn read_columns(&self, batch: usize, columns: &[usize]) -> Result<Vec<ArrayRef>> {
        let stored = self.stored_columns(batch, columns)?;
        stored.iter().map(|column| column.resolve(&self.blobs, None)).collect()
    }

    /// As [`SstReader::read_columns`], large values left where they lie.
    ///
    /// # Errors
    /// As [`SstReader::read_batch`].
    pub fn stored_columns(&self, batch: usize, columns: &[usize]) -> Result<Vec<StoredColumn>> {
        let refs: Vec<Option<usize>> =
            columns.iter().map(|column| self.refs.get(*column).copied().flatten()).collect();
        let all: Vec<usize> = columns.iter().copied().chain(refs.iter().flatten().copied()).collect();
        let mut values = self.stored_arrays(batch, &all)?;
        let mut held = values.split_off(columns.len()).into_iter();
        let column = |(values, refs): (ArrayRef, Option<usize>)| StoredColumn {
            values,
            refs: refs.and_then(|_| held.next()),
        };
        Ok(values.into_iter().zip(refs).map(column).collect())
    }

    /// True when values of a column may lie in blob files.
    #[must_use]
    pub fn has_refs(&self, column: usize) -> bool {
        self.refs.get(column).is_some_and(Option::is_some)
    }

    /// Columns of a batch as they are in the file.
    pub(super) fn stored_arrays(&self, batch: usize, columns: &[usize]) -> Result<Vec<ArrayRef>> {
        if batch >= self.num_batches() {
            return Err(Error::invalid(
                format!("batch {batch}"),
                format!("the file has {}", self.num_batches()),
            ));
        }
        let missing = |column: &usize| Error::Internal(format!("column {column} was not decoded"));
        let Some(slot) = self.decoded.get(batch) else {
            let arrays = self.cached_columns(batch, columns)?;
            return columns
                .iter()
                .map(|column| arrays.get(column).cloned().ok_or_else(|| missing(column)))
                .collect();
        };
        let kept = slot.get_or_init(|| Decoded::new(&self.schema));
        let absent = |column: &&usize| kept.columns.get(**column).is_some_and(|slot| slot.get().is_none());
        let absent: Vec<usize> = columns.iter().filter(absent).copied().collect();
        if !absent.is_empty() {
            let (indices, arrays) = self.decode_columns(batch, absent)?;
            for (column, array) in indices.iter().zip(arrays) {
                // Another reader may have been first; both decoded the same verified bytes.
                let _ = kept.columns[*column].set(array);
            }
        }
        let found = |column: &usize| kept.columns.get(*column).and_then(OnceLock::get).cloned();
        columns.iter().map(|column| found(column).ok_or_else(|| missing(column))).collect()
    }

    /// Columns of a batch on storage that is not mapped, by number: from the cache, and the others decoded and put there.
    fn cached_columns(&self, batch: usize, columns: &[usize]) -> Result<BTreeMap<usize, ArrayRef>> {
        let place = |column: usize| (batch * self.schema.fields().len() + column) as u64;
        let kept = |column: usize| self.cache.as_ref()?.get::<ArrayRef>(place(column));
        let mut found: BTreeMap<usize, ArrayRef> =
            columns.iter().filter_map(|column| Some((*column, ArrayRef::clone(&*kept(*column)?)))).collect();
        let absent: Vec<usize> =
            columns.iter().filter(|column| !found.contains_key(column)).copied().collect();
        let is_worth_all = !absent.is_empty() && self.cache.is_some() && self.is_read_whole(batch);
        let absent = if is_worth_all { (0..self.schema.fields().len()).collect() } else { absent };
        let (indices, arrays) = self.decode_columns(batch, absent)?;
        for (column, array) in indices.into_iter().zip(arrays) {
            if let Some(cache) = &self.cache {
                let bytes = array.to_data().get_slice_memory_size()?;
                cache.put(place(column), Arc::new(ArrayRef::clone(&array)), bytes);
            }
            found.insert(column, array);
        }
        Ok(found)
    }

    /// A column of a batch, if it is decoded already and none of its values lies elsewhere.
    #[must_use]
    pub fn kept_column(&self, batch: usize, column: usize) -> Option<ArrayRef> {
        if self.has_refs(column) {
            return None;
        }
        self.decoded.get(batch)?.get()?.columns.get(column)?.get().cloned()
    }

    /// Decodes columns afresh; returns them with their positions, ascending and without repeats.
    pub(super) fn decode_columns(
        &self,
        batch: usize,
        mut columns: Vec<usize>,
    ) -> Result<(Vec<usize>, Vec<ArrayRef>)> {
        columns.sort_unstable();
        columns.dedup();
        if columns.is_empty() {
            return Ok((columns, vec![]));
        }
        let block = &self.sum.batches[batch];
        let fault = |fault: Fault| self.file.corrupt(block.offset, format!("batch {batch}: {fault}"));
        let body_start = block.offset + u64::from(block.meta_len);
        let rows = self.batch_rows(batch);
        let whole = match self.is_read_whole(batch) {
            true => Some(self.file.read(block.offset..body_start + block.body_len)?),
            false => None,
        };
        let (meta_len, body_len) = (block.meta_len as usize, block.body_len as usize);
        let meta = match &whole {
            Some(whole) => whole.slice_with_length(0, meta_len),
            None => self.file.read(block.offset..body_start)?,
        };
        let frame = Frame::parse(meta, block, rows.end - rows.start, &self.schema).map_err(fault)?;
        let body = match &whole {
            Some(whole) => whole.slice_with_length(meta_len, body_len),
            None => self.read_body(body_start, block.body_len, &frame, &columns)?,
        };
        let arrays = frame.decode(&body, &self.schema, &columns).map_err(fault)?;
        Ok((columns, arrays))
    }

    fn is_read_whole(&self, batch: usize) -> bool {
        let len = |block: &BatchBlock| u64::from(block.meta_len).checked_add(block.body_len);
        let len = self.sum.batches.get(batch).and_then(len);
        !self.file.is_mapped() && len.is_some_and(|len| len <= WHOLE_MAX)
    }

    /// A body whose bytes are verified, and present, at least where `columns` lie.
    fn read_body(&self, start: u64, len: u64, frame: &Frame, columns: &[usize]) -> Result<Buffer> {
        let needed = merged(columns.iter().filter_map(|column| frame.columns.get(*column).cloned()));
        let needed_len: usize = needed.iter().map(Range::len).sum();
        let at = |range: &Range<usize>| start + range.start as u64..start + range.end as u64;
        if self.file.is_mapped() {
            for range in &needed {
                self.file.read(at(range))?;
            }
            return self.file.mapped(start..start + len);
        }
        if needed_len as u64 >= len / 2 {
            return self.file.read(start..start + len);
        }
        // The rest stays zero: pages that nothing touches cost address space, not memory.
        let mut body = MutableBuffer::from_len_zeroed(len as usize);
        for range in needed {
            body.as_slice_mut()[range.clone()].copy_from_slice(&self.file.read(at(&range))?);
        }
        Ok(body.into())
    }
}

/// Ranges in ascending order, neighbours joined.
fn merged(ranges: impl Iterator<Item = Range<usize>>) -> Vec<Range<usize>> {
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match merged.last_mut() {
            Some(last) if range.start <= last.end && range.start >= last.start => {
                last.end = last.end.max(range.end)
            }
            _ => merged.push(range),
        }
    }
    merged
}
