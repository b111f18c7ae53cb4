//! A frozen memtable becomes sorted files, and its updates become deletion bitmaps of the older files.

use arrow::array::UInt64Array;
use arrow::compute::filter_record_batch;
use roaring::RoaringBitmap;

use super::flush_keyed::write_keyed;
use super::output::Output;
use super::state::TableState;
use crate::common::{Error, Result};
use crate::memtable::{ChunkKeys, LIVE, MemTable};
use crate::sstable::SstInfo;

/// What a flush wrote, to be published in one manifest.
#[derive(Debug)]
pub struct FlushOutput {
    /// New files.
    pub files: Vec<SstInfo>,
    /// Older files, by position, that lost rows, with all their deleted rows.
    pub deletes: Vec<(usize, RoaringBitmap)>,
}

/// Writes the oldest frozen memtable of `table`, newest version of each key only.
///
/// # Errors
/// When a file cannot be written, or one that must be probed cannot be read.
pub fn flush_memtable(table: &TableState, mut output: Output) -> Result<FlushOutput> {
    let memtable =
        table.frozen.first().ok_or_else(|| Error::Internal("a flush without a frozen memtable".into()))?;
    let chunks = memtable.chunks(u32::MAX)?;
    output.blobs().expect(&table.def, chunks.iter().filter_map(|chunk| chunk.rows.as_ref()));
    let hidden = if table.def.is_keyed() {
        write_keyed(table, memtable, &mut output)?
    } else {
        write_keyless(memtable, &mut output)?;
        hidden_by_id(table, memtable)?
    };
    let mut deletes = Vec::new();
    for (position, hidden) in hidden.iter().enumerate().filter(|(_, hidden)| !hidden.is_empty()) {
        deletes.push((position, &**table.files[position].deletes()? | hidden));
    }
    Ok(FlushOutput { files: output.finish()?, deletes })
}

/// Rows of each older file that a keyless table's memtable deletes.
fn hidden_by_id(table: &TableState, memtable: &MemTable) -> Result<Vec<RoaringBitmap>> {
    let mut limits = vec![0; table.frozen.len() + 1];
    limits[0] = memtable.len();
    Ok(table.masks(&limits)?.files.clone())
}

fn write_keyless(memtable: &MemTable, output: &mut Output) -> Result<()> {
    for chunk in memtable.chunks(u32::MAX)? {
        let (Some(rows), ChunkKeys::RowIds(ids)) = (&chunk.rows, &chunk.keys) else { continue };
        let live = arrow::array::BooleanArray::from_iter(
            chunk.entries.iter().map(|entry| Some(entry.superseded_by() == LIVE)),
        );
        if live.true_count() == live.len() {
            output.write(rows, &chunk.keys)?;
        } else if live.true_count() > 0 {
            let ids: UInt64Array = arrow::compute::filter(ids, &live)?.to_data().into();
            output.write(&filter_record_batch(rows, &live)?, &ChunkKeys::RowIds(ids))?;
        }
    }
    Ok(())
}
