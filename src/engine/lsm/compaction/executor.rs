//! Carries out a choice: merges files outside every lock, then settles what was deleted meanwhile.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, BinaryArray, UInt32Array, UInt64Array};
use arrow::compute::take;
use roaring::RoaringBitmap;

use crate::common::{FileId, Result};
use crate::format::table::TableDef;
use crate::lsm::merge::merge_files;
use crate::lsm::{Expiry, Output, TableFile};
use crate::sstable::{SortedKeys, SstInfo};

/// The result of a merge.
#[derive(Debug)]
pub struct Compacted {
    /// The files that were merged.
    pub inputs: Vec<Arc<TableFile>>,
    /// The files that take their place.
    pub files: Vec<SstInfo>,
    /// Per input, the deleted rows that the new files know of.
    known: Vec<Arc<RoaringBitmap>>,
    /// Per new file, the rows of it that were deleted meanwhile.
    deleted: Vec<RoaringBitmap>,
}

/// Merges the live rows of `inputs` into `output`, without those that have expired. `step` is called with the bytes of
/// each write, and stops the merge by failing.
///
/// # Errors
/// When a file cannot be read or written, and what `step` returns.
pub fn compact_files(
    table: &Arc<TableDef>,
    inputs: Vec<Arc<TableFile>>,
    expiry: Option<Expiry>,
    mut output: Output,
    step: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<Compacted> {
    let known = inputs.iter().map(|file| file.deletes().map(Arc::clone)).collect::<Result<Vec<_>>>()?;
    merge_files(table, &inputs, expiry, &mut output, step)?;
    let files = output.finish()?;
    let deleted = vec![RoaringBitmap::new(); files.len()];
    Ok(Compacted { inputs, files, known, deleted })
}

impl Compacted {
    /// Takes over what flushes deleted from the inputs since the last call. `now` is the table's present files, with
    /// their newer bitmaps; an input that is not among them is one that lost its last row, as nothing else takes a
    /// file from a table while it is merged. `outputs` are the new files, opened. Called once without a lock for the
    /// bulk of it, and again under the lock for the rest.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn catch_up(&mut self, now: &[Arc<TableFile>], outputs: &[Arc<TableFile>]) -> Result<()> {
        for (input, known) in self.inputs.iter().zip(&mut self.known) {
            let present = match now.iter().find(|file| file.id() == input.id()) {
                Some(present) => Arc::clone(present.deletes()?),
                None => Arc::new(all_rows(input)),
            };
            let lost = &*present - &**known;
            if !lost.is_empty() {
                mark(input, &lost, outputs, &mut self.deleted)?;
            }
            *known = present;
        }
        Ok(())
    }

    /// Per new file, the rows of it that were deleted meanwhile.
    pub fn deleted(&self) -> &[RoaringBitmap] {
        &self.deleted
    }

    /// Numbers of the merged files.
    pub fn input_ids(&self) -> Vec<FileId> {
        self.inputs.iter().map(|file| file.id()).collect()
    }
}

fn all_rows(file: &TableFile) -> RoaringBitmap {
    let mut rows = RoaringBitmap::new();
    rows.insert_range(0..file.info().rows as u32);
    rows
}

/// Marks in the outputs what became of these rows of an input, a batch of it at a time.
fn mark(
    input: &TableFile,
    rows: &RoaringBitmap,
    outputs: &[Arc<TableFile>],
    deleted: &mut [RoaringBitmap],
) -> Result<()> {
    let reader = input.reader()?;
    for batch in 0..reader.num_batches() {
        let Range { start, end } = reader.batch_rows(batch);
        let places: UInt32Array =
            rows.range(start as u32..end as u32).map(|row| row - start as u32).collect();
        if places.is_empty() {
            continue;
        }
        match reader.row_id_runs() {
            Some(_) => mark_ids(&reader.row_ids(start..end), &places, outputs, deleted)?,
            None => mark_keys(&reader.keys(batch)?, &places, outputs, deleted)?,
        }
    }
    Ok(())
}

fn mark_keys(
    keys: &BinaryArray,
    places: &UInt32Array,
    outputs: &[Arc<TableFile>],
    deleted: &mut [RoaringBitmap],
) -> Result<()> {
    let keys = SortedKeys::new(take(keys, places, None)?.to_data().into())?;
    for (output, deleted) in outputs.iter().zip(deleted) {
        deleted.extend(output.find_live_many(&keys)?.into_iter().map(|(_, row)| row as u32));
    }
    Ok(())
}

fn mark_ids(
    ids: &UInt64Array,
    places: &UInt32Array,
    outputs: &[Arc<TableFile>],
    deleted: &mut [RoaringBitmap],
) -> Result<()> {
    for &place in places.values() {
        let id = ids.value(place as usize).to_be_bytes();
        for (output, deleted) in outputs.iter().zip(&mut *deleted) {
            deleted.extend(output.find_live(&id)?.map(|row| row as u32));
        }
    }
    Ok(())
}
