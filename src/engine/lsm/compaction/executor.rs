//! Carries out a choice: merges files outside every lock, then settles what was deleted meanwhile.

use std::sync::Arc;

use roaring::RoaringBitmap;

use crate::common::{FileId, Result};
use crate::format::table::TableDef;
use crate::lsm::merge::merge_files;
use crate::lsm::{Output, TableFile};
use crate::sstable::SstInfo;

/// The result of a merge.
#[derive(Debug)]
pub struct Compacted {
    /// The files that were merged.
    pub inputs: Vec<Arc<TableFile>>,
    /// The files that take their place.
    pub files: Vec<SstInfo>,
}

/// Merges the live rows of `inputs` into `output`.
///
/// # Errors
/// When a file cannot be read or written, or `cancelled` says to stop.
pub fn compact_files(
    table: &Arc<TableDef>,
    inputs: Vec<Arc<TableFile>>,
    mut output: Output,
    cancelled: &dyn Fn() -> Result<()>,
) -> Result<Compacted> {
    merge_files(table, &inputs, &mut output, cancelled)?;
    Ok(Compacted { inputs, files: output.finish()? })
}

impl Compacted {
    /// Rows of the new files that a flush deleted from the inputs while the merge ran. `now` is the table's present
    /// files, among them the inputs with their newer bitmaps; `outputs` are the new files, opened.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn deleted_meanwhile(
        &self,
        table: &TableDef,
        now: &[Arc<TableFile>],
        outputs: &[Arc<TableFile>],
    ) -> Result<Vec<RoaringBitmap>> {
        let mut deleted = vec![RoaringBitmap::new(); outputs.len()];
        for input in &self.inputs {
            let Some(present) = now.iter().find(|file| file.id() == input.id()) else { continue };
            let fresh = &**present.deletes()? - &**input.deletes()?;
            for row in &fresh {
                mark(table, input, row, outputs, &mut deleted)?;
            }
        }
        Ok(deleted)
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
