//! Carries out a choice: merges files outside every lock, then settles what was deleted meanwhile.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::common::{FileId, Result};
use crate::format::table::TableDef;
use crate::lsm::merge::merge_files;
use crate::lsm::{Expiry, Output, TableFile};
use crate::sstable::SstInfo;

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

/// Merges the live rows of `inputs` into `output`, without those that have expired. `step` is called with the bytes of each write, and stops the merge
/// by failing.
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
    /// Takes over what flushes deleted from the inputs since the last call. `now` is the table's present files,
    /// among them the inputs with their newer bitmaps; `outputs` are the new files, opened. Called once without a
    /// lock for the bulk of it, and again under the lock for the rest.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn catch_up(
        &mut self,
        table: &TableDef,
        now: &[Arc<TableFile>],
        outputs: &[Arc<TableFile>],
    ) -> Result<()> {
        for (input, known) in self.inputs.iter().zip(&mut self.known) {
            let Some(present) = now.iter().find(|file| file.id() == input.id()) else { continue };
            let present = present.deletes()?;
            for row in &(&**present - &**known) {
                mark(table, input, row, outputs, &mut self.deleted)?;
            }
            *known = Arc::clone(present);
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

fn mark(
    table: &TableDef,
    input: &TableFile,
    row: u32,
    outputs: &[Arc<TableFile>],
    deleted: &mut [RoaringBitmap],
) -> Result<()> {
    let key = row_key(table, input, row)?;
    for (output, deleted) in outputs.iter().zip(deleted) {
        if let Some(row) = output.find_live(&key)? {
            deleted.insert(row as u32);
        }
    }
    Ok(())
}

fn row_key(table: &TableDef, file: &TableFile, row: u32) -> Result<Vec<u8>> {
    let reader = file.reader()?;
    let row = u64::from(row);
    if !table.is_keyed() {
        return Ok(reader.row_ids(row..row + 1).value(0).to_be_bytes().to_vec());
    }
    let batch = reader.batch_of_row(row);
    let keys = reader.keys(batch)?;
    Ok(keys.value((row - reader.batch_rows(batch).start) as usize).to_vec())
}
